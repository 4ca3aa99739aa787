"""What a run has published is what people read: the pages show its newest week, its customers and its evidence."""

import csv
import html
import io
import re

import pytest
from starlette.testclient import TestClient

from app.pages import Reader, make_app
from ml_models.reasons import together
from resources.company import company
from resources.serving_copy import FILE


@pytest.fixture(scope="module")
def pages(baton):
    ours, question = company(), company().question
    reader = Reader(
        baton.home / FILE,
        ours.title,
        ours.money.currency,
        question.horizon_days,
        question.look_back_days,
        baton.resources["clock"].now,
    )
    return TestClient(make_app(reader), base_url="http://127.0.0.1")


def test_the_list_of_the_week_is_the_table_of_customers_at_risk(baton, pages):
    rows = list(csv.DictReader(io.StringIO(pages.get("/call_list.csv?order=risk").content.decode("utf-8-sig"))))
    told = [(row["customer_id"], row["reason_1"]) for row in rows]
    assert told == baton.read(
        "select customer_id, coalesce(reason_1, '') from marts.customers_at_risk order by risk_rank"
    )
    week = pages.get("/")
    assert week.status_code == 200
    assert f"{len(rows):,} customers are scored." in week.text
    assert "There is no customer" not in week.text


def test_the_newest_decision_and_every_judged_week_are_there(baton, pages):
    [(decision,)] = baton.read("select decision from monitoring.why order by cutoff desc limit 1")
    first = {"continue": "Use the list.", "inspect": "Ask before you use the list."}
    assert first.get(decision, "list") in pages.get("/").text
    trust = pages.get("/trust")
    assert trust.status_code == 200
    [(judged,)] = baton.read("select count(*) from marts.accuracy_over_time")
    assert trust.text.count('<td class="number">1</td></tr>') == judged


def test_the_customer_most_at_risk_can_be_opened_with_the_reasons(baton, pages):
    [(customer, score, reason)] = baton.read(
        "select customer_id, score, reason_1 from marts.customers_at_risk where risk_rank = 1"
    )
    page = pages.get("/customer", params={"id": customer})
    assert page.status_code == 200
    assert f"{100 * score:.1f} % chance to stay away" in page.text
    told = together([reason])
    assert html.escape(told.reasons[0]) in page.text
    assert html.escape(told.peers) in page.text


def test_each_feature_can_be_found_and_opened_with_its_sql_and_its_weeks(baton, pages):
    listed = pages.get("/features?order=lapse")
    ordered = baton.read("select feature from features.catalogue order by importance_lapse desc nulls last, feature")
    assert re.findall(r'href="/feature\?name=([^"]*)"', listed.text) == [name for (name,) in ordered]
    [(name, definition, nulls)] = baton.read(
        "select feature, definition, null_share from features.catalogue where feature = 'recency_z'"
    )
    page = html.unescape(pages.get("/feature", params={"name": name}).text)
    assert definition in page
    assert f"it is unknown for {100 * nulls:.1f} %" in page
    [(weeks,)] = baton.read(f"select count(*) from monitoring.drift where column_name = '{name}'")
    assert page.partition("Weeks of this feature")[2].count('<th scope="row" class="day">') == weeks
