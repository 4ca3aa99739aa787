"""Who uses the predictions finds whom to call, why, and whether it can be trusted, whatever the copy holds or lacks."""

import base64
import hashlib
import html
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from support.shown_pages import CUSTOMERS, NASTY, NEWEST, ODD_ID, Page, browser, listed, page_of, quoted, rows_of

from resources.profiles import ROOT
from resources.serving_copy import FILE, LAYOUT
from steps.people.copy import ROWS_A_PAGE


def test_the_page_of_the_week_says_what_to_do_how_fresh_how_sure_and_whom_to_call(ours):
    answer = ours.get("/")
    text = page_of(answer).text
    assert "This week: 6 May 2024" in text
    assert "Use the list. Nothing that was checked is out of its usual range." in text
    assert "The data is complete through 5 May 2024." in text
    assert "A newer week should be here" not in text
    assert "8 April 2024: of 100 customers most at risk 40 stayed away (between 31 and 50" in text
    assert "Of 100 customers picked at random, 10 did." in text
    assert "1,040 customers are scored. Of the 104 most at risk, 91 are expected to stay away for 28 days." in text
    assert "They spent EUR 5,460 in the last 90 days." in text
    assert "0 of these 104 were not among the tenth most at risk on 29 April 2024." in text
    assert len(listed(answer)) == ROWS_A_PAGE
    assert listed(answer)[1:3] == ["c2", "c3"]


def test_a_list_is_searched_filtered_ordered_and_paged_without_a_script(ours):
    assert listed(ours.get("/", params={"find": "IN 45 OF"})) == ["c45"], "reasons are searched, in any letters"
    assert listed(ours.get("/", params={"find": "c1040"})) == ["c1040"]
    assert listed(ours.get("/", params={"find": "%"}))[0].startswith("a/b"), "a letter like any other"
    assert listed(ours.get("/", params={"band": "medium"}))[0] == "c105"
    assert listed(ours.get("/", params={"order": "spend"}))[0] == "c1040"
    second = ours.get("/", params={"band": "high", "order": "spend", "page": "2"})
    assert listed(second)[0] == "c79"
    links = [link for link in Page(second.text).links if "page=3" in link]
    assert listed(ours.get(links[0]))[0] == "c54", "the next page is of the same list"
    assert "Nobody fits." in page_of(ours.get("/", params={"find": "nobody"})).text


def test_the_file_holds_all_rows_of_the_filtered_list_in_its_order(ours):
    shown = ours.get("/", params={"band": "high", "order": "spend", "page": "2"})
    [link] = [link for link in Page(shown.text).links if "call_list" in link]
    answer = ours.get(link)
    rows = rows_of(answer)
    assert answer.headers["content-disposition"] == 'attachment; filename="call_list_2024-05-06.csv"'
    assert [row["customer_id"] for row in rows] == [*(f"c{number}" for number in range(104, 1, -1)), ODD_ID]
    assert rows[0]["reason_1"] == "a visit in 104 of 12 weeks"
    assert len(rows_of(ours.get("/call_list.csv"))) == CUSTOMERS
    assert ours.get("/call_list.csv", params={"band": "none"}).status_code == 400


def test_a_spreadsheet_takes_no_text_of_the_file_for_a_formula(ours):
    [row] = rows_of(ours.get("/call_list.csv", params={"find": "=1+1"}))
    assert row["reason_2"] == "'=1+1"


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [
        ("page=0", 400, "A page is a number from 1 on, and '0' was asked for"),
        ("page=two", 400, "and 'two' was asked for"),
        ("page=-1", 400, "and '-1' was asked for"),
        ("page=²", 400, "and '²' was asked for"),
        ("page=99999999999999999999", 400, "A page is a number"),
        ("page=999", 404, "There is no page 999: the list has 42 now."),
        ("band=huge", 400, "The risk is one of high, medium, low, and 'huge' was asked for: all are shown."),
        ("order=luck", 400, "The order is one of risk, spend, away, customer, and 'luck' was asked for"),
        ("order=loss", 400, "and 'loss' was asked for"),
        ("find=%00%ff", 200, "Nobody fits."),
    ],
)
def test_what_a_list_cannot_be_asked_is_a_sentence_and_the_rest_of_the_page_works(ours, asked, status, says):
    page = page_of(ours.get(f"/?{asked}"), status)
    assert says in page.text
    assert "Use the list." in page.text


def test_a_customer_has_a_history_with_reasons_and_outcomes(ours):
    answer = ours.get("/customer", params={"id": "c2"})
    page = page_of(answer)
    assert "89.9 % chance to stay away" in page.text
    assert "Scored on 6 May 2024, for the 28 days from then on" in page.text
    assert f"What raises it {re.sub(r' +', ' ', NASTY)}" in page.text
    assert "First visit 2 January 2023" in page.text
    assert "Spent so far EUR 123" in page.text
    assert page.text.count("not known yet") == 4, "of the newest weeks"
    assert page.text.count("stayed away") == 2
    assert answer.text.count("<circle") > 6


def test_any_customer_of_the_list_can_be_opened_whatever_it_is_called(ours):
    page = page_of(ours.get("/", params={"find": "a/b"}))
    [link] = [link for link in page.links if "customer" in link]
    assert f"Customer {ODD_ID}" in page_of(ours.get(link)).text


def test_a_customer_who_was_never_scored_is_known_all_the_same(ours):
    text = page_of(ours.get("/customer", params={"id": "never scored"})).text
    assert "This customer has never been scored" in text
    assert "Orders so far 1" in text


def test_a_page_that_names_no_icon_has_one_all_the_same(ours):
    answer = ours.get("/favicon.ico")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")


def test_who_is_nobody_or_nothing_is_said_in_a_sentence(ours):
    assert "There is no customer 'x\"y'." in page_of(ours.get("/customer", params={"id": 'x"y'}), 404).text
    assert "No customer was named." in page_of(ours.get("/customer"), 404).text
    assert "There is no such page." in page_of(ours.get("/nowhere"), 404).text
    assert "can be read, and nothing else" in page_of(ours.post("/"), 405).text


def test_whether_it_can_be_trusted_is_told_over_time_by_kind_and_by_what_went_wrong(ours):
    answer = ours.get("/trust")
    text = page_of(answer).text
    assert "Predictions of 2 weeks that served have met their outcomes." in text
    assert "8 April 2024 served 1,040 85 70 12.0 % 10.0 % 2" in text
    assert "25 March 2024 test 1,040 85 70 12.0 % 10.0 % 2" in text
    assert "999" not in text, "test weeks of a version that does not serve"
    assert "Shopping days in the last 90 days" in text
    assert "1-2 40 too few to say 38.0 % 40.0 %" in text
    assert "4 weeks are judged. In 1 nothing had to be done" in text
    assert "29 April 2024: Ask before you use the list." in text
    assert "Something looks wrong with the data or with what was made of it. team:data has to look at it first." in text
    assert "22 April 2024: Use the list; the model is being adjusted." in text
    assert "15 April 2024: Wait for the next list." in text
    assert "Seen later : held" not in text
    assert "4 March 2024 2 5 February 2024 passed the gate" in text


def test_served_weeks_and_test_weeks_are_never_one_curve(ours):
    text = ours.get("/trust").text
    figure = text[text.index("ranked-title") : text.index("expected-title")]
    drawn = {
        name: len(re.findall("<circle|<rect", group))
        for name, group in re.findall(r'<g class="curve (\w+)">(.*?)</g>', figure, re.DOTALL)
    }
    assert drawn == {"live": 2, "tested": 6, "rule": 0}


def test_a_week_that_must_be_looked_at_is_said_before_the_list(shop):
    bad = shop(f"delete from monitoring.why where cutoff = date '{NEWEST}'")
    text = page_of(bad.get("/")).text
    assert text.index("Ask before you use the list.") < text.index("Whom to call")
    assert "This is about 29 April 2024. The week of 6 May 2024 is scored and not judged yet." in text


def test_a_week_that_a_person_released_can_be_used(shop):
    released = shop(
        f"delete from monitoring.why where cutoff = date '{NEWEST}'",
        "update monitoring.decisions set week_released = '{}'",
    )
    assert "a person has said that the week was right" in page_of(released.get("/")).text


def test_scores_that_are_old_are_called_late(shop):
    late = shop(now=datetime.combine(NEWEST + timedelta(days=9), datetime.min.time(), UTC))
    assert "A newer week should be here by now." in page_of(late.get("/")).text


def test_too_few_customers_are_no_figure(shop):
    small = shop("update marts.accuracy_over_time set customers = 990")
    text = page_of(small.get("/")).text
    assert "Too few customers were judged in the newest week" in text
    assert "stayed away (" not in text


EMPTY = (
    "marts.customers_at_risk",
    "predictions.lapse_predictions",
    "marts.accuracy_over_time",
    "monitoring.why",
    "monitoring.decisions",
    "monitoring.performance",
    "training.champion",
    "outcomes.customer_outcomes",
)


@pytest.mark.parametrize("lacks", ["delete from", "drop table"])
def test_before_anything_is_scored_judged_or_promoted_each_page_says_so(shop, lacks):
    kept = [one for one in EMPTY if lacks == "delete from" or one != "predictions.lapse_predictions"]
    changes = [f"{lacks} {table}" for table in kept] + ["delete from predictions.lapse_predictions"]
    fresh = shop(*changes, "update published.serving_copy set newest_cutoff = null, champion_version = null")
    text = page_of(fresh.get("/")).text
    assert "No week has been judged yet" in text
    assert "No customer has been scored yet." in text
    assert "The data is complete through 5 May 2024." in text
    trust = page_of(fresh.get("/trust")).text
    assert "No prediction has been judged yet." in trust
    assert "No week has been judged yet." in trust
    assert "This customer has never been scored" in page_of(fresh.get("/customer?id=c2")).text
    assert rows_of(fresh.get("/call_list.csv")) == []


def test_one_scored_and_unjudged_week_is_enough_for_a_list(shop):
    first = shop(
        f"delete from predictions.lapse_predictions where cutoff_date < date '{NEWEST}'",
        "delete from marts.accuracy_over_time where evidence = 'live'",
        "delete from monitoring.why",
    )
    text = page_of(first.get("/")).text
    assert "No other week is scored yet, so there is nothing to compare with." in text
    assert "In the newest week on which the model was tested, 25 March 2024" in text
    assert "The outcome of predictions that served is not known yet: it takes 28 days." in text
    assert "there are only test weeks" in page_of(first.get("/trust")).text


PATHS = ("/", "/trust", "/customer?id=c2", "/call_list.csv")


@pytest.mark.parametrize("path", PATHS)
def test_without_a_copy_each_page_says_how_one_is_made_and_works_once_it_is(shop, tmp_path, path):
    early = browser(tmp_path / FILE)
    assert "none was published yet. `make run`" in page_of(early.get(path), 503).text
    shop()
    assert early.get(path).status_code == 200


def test_a_copy_of_another_layout_and_a_file_that_is_none_are_a_sentence(shop, tmp_path):
    other = shop(f"update published.serving_copy set layout = {LAYOUT + 1}")
    assert f"is of layout {LAYOUT + 1}" in page_of(other.get("/"), 503).text
    rubbish = tmp_path / "rubbish.duckdb"
    rubbish.write_bytes(b"no database")
    assert "Nothing to show yet" in page_of(browser(rubbish).get("/"), 503).text


def test_a_page_with_a_defect_says_so_and_the_others_go_on(shop):
    defect = shop("alter table marts.accuracy_over_time drop column base_rate")
    assert "That is a defect of the page" in page_of(defect.get("/trust"), 500).text
    assert page_of(defect.get("/customer?id=c2"))


def test_a_browser_is_told_to_run_no_script_and_to_keep_and_lend_nothing(ours):
    for path in (*PATHS, "/nowhere", "/static/style.css"):
        headers = ours.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'"), path
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


def test_nothing_comes_from_elsewhere_and_no_other_name_is_answered(ours):
    for path in ("/", "/trust", "/customer?id=c2"):
        loaded = re.findall(r'(?:src|href)="([^"]*)"', ours.get(path).text)
        assert all(address.startswith(("/", "#")) for address in loaded)
    assert ours.get("/static/style.css").headers["content-type"].startswith("text/css")
    assert ours.get("/favicon.ico").headers["content-type"] == "image/svg+xml", "asked for by a card, which names none"
    assert ours.get("/", headers={"host": "elsewhere.example"}).status_code == 400


def test_a_page_is_never_answered_from_a_folder_above_its_files(ours):
    assert ours.get("/static/..%2fpages.py").status_code == 404
    assert (ROOT / "app" / "pages.py").is_file()


CARD = {
    "format": 1,
    "model": "lapse",
    "version": 2,
    "title": f"Customer lapse {NASTY}",
    "company": "Shop",
    "standing": "Serves since 4 March 2024.",
    "lead": [],
    "sections": [],
    "annex_iv": [],
    "missing": {},
}


def test_the_card_of_a_version_is_a_page_with_a_style_of_its_own_and_no_other(shop):
    ours = shop(
        "create table training.model_card (model_version bigint, card varchar)",
        f"insert into training.model_card values (2, {quoted(json.dumps(CARD))}), (1, 'no card')",
    )
    answer = ours.get("/card")
    assert answer.status_code == 200
    assert "&lt;script&gt;" in answer.text
    assert "<script>" not in answer.text
    style = answer.text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in answer.headers["content-security-policy"]
    assert 'href="/card?version=2"' in ours.get("/trust").text
    assert "version '9': there are 2, 1." in html.unescape(ours.get("/card?version=9").text)
    broken = ours.get("/card?version=1")
    assert (broken.status_code, "cannot be shown" in broken.text) == (404, True)


def test_where_no_version_has_a_card_the_page_says_so(ours):
    answer = ours.get("/card")
    assert (answer.status_code, "has a card yet" in answer.text) == (404, True)


NEXT = """
create schema next_product;
create table next_product.predictions as select customer_id, date '2024-05-06' as cutoff_date, place, product_type,
  score, is_repeat, days_bought, days_since, basis, 4 as model_version from (values
  ('c5', 1, 'MILK', 0.75e0, 1, 6, 2, 'habits'), ('c5', 2, 'TEA & <herbs>', 0.25e0, 0, 0, null, 'habits'),
  ('c6', 1, 'BREAD', 0.5e0, 1, 1, 1, 'popular')
) as one(customer_id, place, product_type, score, is_repeat, days_bought, days_since, basis);
"""


def test_a_customer_has_a_list_of_what_may_be_bought_next_with_habits_and_new_types_told_apart(shop):
    page = shop(NEXT).get("/customer?id=c5")
    assert "What may be bought next" in page.text
    assert page.text.index("MILK") < page.text.index("TEA &amp; &lt;herbs&gt;")
    assert "on 6 days, last 2 days before" in page.text
    assert "new to this customer" in page.text
    assert "too few for a habit" not in page.text


def test_a_customer_of_one_day_is_told_to_get_what_most_buy(shop):
    page = shop(NEXT).get("/customer?id=c6")
    assert "came on one day only in the 90 days before: too few for a habit. The list is what most" in page.text
    assert "on 1 day, last 1 day before" in page.text


def test_a_company_that_is_not_asked_has_no_such_list(ours):
    assert "bought next" not in ours.get("/customer?id=c5").text
