"""Whoever wants to know what a model is fed finds the feature, what it is, who uses it, and how it does."""

import re

import pytest
from support.shown_pages import NASTY, NEWEST, page_of, quoted

ODD = "a&b=c d"

CATALOGUE = (
    f"""create table features.catalogue as
    select * from (values
      ('recency_days', 'Days since the last visit', 'Days from the last shopping day.', 'recency', 0e0, .02e0, .06e0,
        'no', 'lapse, spend', .3e0, 120e0, 'select 1 as recency_days', 'raw.lines'),
      ('spend_90d', {quoted(NASTY)}, {quoted(NASTY)}, 'spend', .1e0, .07e0, .06e0, 'yes', 'spend', null, 900e0,
        {quoted("select '<b>' as spend_90d")}, 'raw.lines, raw.products'),
      ('{ODD}', null, null, null, .4e0, null, null, null, '', null, null, null, null)
    ) as one(feature, label, description, family, null_share, drift, drift_bound, drift_beyond, problems,
      importance_lapse, importance_spend, definition, inputs)""",
    f"""create or replace table features.catalogue as select *, 'what ' || family as family_about, 'double' as type,
      'days' as unit, 'yes' as nullable, 'team:analytics' as owner, 'features.customer_features' as model,
      date '{NEWEST}' - 1 as delivered_through, 2e0 as stale_after_days, date '{NEWEST}' as cutoff_date,
      1040 as customers, date '{NEWEST}' as drift_measured_on, .05e0 as build_seconds, null::double as bytes_billed
      from features.catalogue""",
    f"""create table monitoring.drift as select date '{NEWEST}' - (7 * week)::int as cutoff_date,
      'recency_days' as column_name, 'features' as layer, '' as segment, 1040 as n,
      case when week < 6 then .01 + week / 1000 end as statistic, 0e0 as null_share from range(0, 8) as weeks(week)""",
)


@pytest.fixture
def features(shop):
    return shop(*CATALOGUE)


def listed(answer, status=200):
    page_of(answer, status)
    return re.findall(r'href="/feature\?name=[^"]*">([^<]*)</a>', answer.text)


def test_every_feature_is_listed_and_the_page_is_in_the_navigation(features):
    answer = features.get("/features")
    assert listed(answer) == ["a&amp;b=c d", "recency_days", "spend_90d"]
    assert "3 of 3 features." in page_of(answer).text
    assert '<a href="/features" aria-current="page">Features</a>' in answer.text
    assert '<a href="/features">Features</a>' in features.get("/").text


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("find=PRODUCTS", ["spend_90d"]),
        ("find=shopping+day", ["recency_days"]),
        ("used_by=lapse", ["recency_days"]),
        ("used_by=spend&order=spend", ["spend_90d", "recency_days"]),
        ("order=nulls", ["a&amp;b=c d", "spend_90d", "recency_days"]),
        ("order=drift", ["spend_90d", "recency_days", "a&amp;b=c d"]),
        ("find=nothing+like+it", []),
    ],
)
def test_a_person_finds_and_orders_them_without_a_script(features, asked, found):
    assert listed(features.get(f"/features?{asked}")) == found


def test_what_is_not_understood_is_said_and_the_rest_shown(features):
    answer = features.get("/features?order=luck&used_by=churn")
    assert len(listed(answer, 400)) == 3
    text = page_of(answer, 400).text
    assert "The problem is one of lapse, spend, and 'churn' was asked for: all are shown." in text
    assert "'luck' was asked for: it is by name." in text


def test_one_feature_is_told_with_users_drift_weeks_and_sql(features):
    answer = features.get("/feature?name=recency_days")
    text = page_of(answer).text
    assert "Days from the last shopping day." in text
    assert "team:analytics" in text
    assert "lapse : place 1 of 1 features that its model reads." in text
    assert "spend : place 2 of 2" in text
    assert "0.300 log-odds" in text
    assert "EUR 1 on average" in text
    assert "is 0.020, and its own past allows 0.060." in text
    assert "select 1 as recency_days" in text
    assert "features.features_as_of(" in text
    assert len(re.findall(r'<svg viewBox="0 0 360', answer.text)) == 2
    assert answer.text.count('<th scope="row" class="day">') == 8, "the weeks that were drawn"


def test_a_feature_beyond_its_bound_says_so_and_nothing_in_a_text_is_markup(features):
    text = page_of(features.get("/feature?name=spend_90d")).text
    assert "beyond its bound" in text
    assert NASTY in text
    assert "select '<b>' as spend_90d" in text


def test_a_feature_of_which_little_is_known_has_a_page_too(features):
    text = page_of(features.get("/feature", params={"name": ODD})).text
    assert "No model that serves reads it." in text
    assert "Its SQL cannot be read" in text
    assert "Drift is not measured yet" in text


def test_a_feature_that_is_not_there_and_a_copy_without_a_catalogue_are_sentences(features, ours):
    assert "There is no feature 'luck'." in page_of(features.get("/feature?name=luck"), 404).text
    assert "No feature was named." in page_of(features.get("/feature"), 404).text
    assert "No feature has been built yet." in page_of(ours.get("/features")).text
    assert "There is no feature 'recency_days'." in page_of(ours.get("/feature?name=recency_days"), 404).text
