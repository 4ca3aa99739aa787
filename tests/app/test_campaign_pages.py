"""Where chance holds customers out, no page and no file sends anybody to them; and what calls changed is told."""

from datetime import date

import pytest
from support.shown_pages import NEWEST, ODD_ID, changed, page_of, rows_of

from resources.serving_copy import FILE

DRAWN = f"""
create schema campaigns;
create table campaigns.assignment as select cutoff_date, customer_id,
  case when risk_rank in (2, 30, 200) then 'held out' else 'call' end as arm,
  cutoff_date - (case when risk_rank % 2 = 0 then 0 else 7 end)::int as drawn_on, drawn_on + 28 as ends_on
  from marts.customers_at_risk where risk_rank <= 300;
insert into campaigns.assignment select cutoff_date - 7, customer_id, 'held out', drawn_on, ends_on
  from campaigns.assignment where customer_id = 'c5';
alter table marts.customers_at_risk add column worth_calling boolean;
alter table marts.customers_at_risk add column worth_calling_by varchar default 'A contact costs EUR 2.';
update marts.customers_at_risk set worth_calling = risk_rank <= 300;
alter table marts.customers_at_risk add column expected_loss double;
update marts.customers_at_risk set expected_loss = 500 - risk_rank / 10;
create table campaigns.effect as select null::date as cutoff_date, 900 as called, 100 as held_out,
  0.2e0 as lapsed_called, 0.3e0 as lapsed_held_out, 0.1e0 as kept, 0.02e0 as kept_low, 0.18e0 as kept_high,
  4.0e0 as gained, 1.0e0 as gained_low, 7.0e0 as gained_high, 'Calls keep customers. All of it <b>.' as sentence
  union all select date '{NEWEST}' - 28, 900, 100, 0.2, 0.3, null, null, null, 4, 1, 7, null;
"""


@pytest.fixture
def pages(made, tmp_path):
    """A browser of a copy in which a campaign runs."""
    return changed(made, tmp_path / FILE, DRAWN)


def test_who_is_held_out_stands_last_and_is_marked(pages):
    first = pages.get("/")
    text = page_of(first).text
    assert "3 of the 300 customers worth a call are held out by chance : please do not call them." in text
    # Of the most at risk, the second, who would be second in the list.
    shown = page_of(pages.get("/?find=of 12 weeks&band=high")).text
    assert "held out by chance" in shown
    last = page_of(pages.get("/?band=high&page=5")).text
    assert last.count("do not call before 3 June 2024") == 2
    assert "do not call before" not in page_of(pages.get("/?band=high&page=1")).text


def test_who_is_held_out_is_in_no_file(pages):
    rows = rows_of(pages.get("/call_list.csv"))
    assert len(rows) == 1040 - 3
    assert not {"c2", "c30", "c200"} & {row["customer_id"] for row in rows}
    assert "Download 1,037 as CSV" in page_of(pages.get("/")).text
    by_id = {row["customer_id"]: row for row in rows}
    assert by_id["c4"]["on_list_since"] == str(NEWEST)
    assert by_id["c3"]["on_list_since"] == str(date(2024, 4, 29)), "drawn a week ago, and called since"
    assert by_id["c400"]["on_list_since"] == ""


def test_a_customer_who_is_held_out_is_marked_on_their_own_page(pages):
    assert "held out by chance: do not call before 3 June 2024" in page_of(pages.get("/customer?id=c2")).text
    assert "do not call" not in page_of(pages.get("/customer?id=c5")).text, "held out a week ago, and no more"
    assert "do not call" not in page_of(pages.get("/customer", params={"id": ODD_ID})).text


def test_what_calls_changed_is_told_in_words_and_by_week(pages):
    answer = pages.get("/trust")
    text = page_of(answer).text
    assert "Do calls help? Calls keep customers. All of it <b>." in text
    assert "&lt;b&gt;" in answer.text
    assert "all together 900 100 20.0 % 30.0 % 10.0 (2.0 to 18.0) 4.0 (1.0 to 7.0)" in text
    assert "8 April 2024 900 100 20.0 % 30.0 % not known" in text


def test_before_a_campaign_has_met_its_outcome_the_page_says_when_it_will(made, tmp_path):
    early = changed(made, tmp_path / FILE, DRAWN, "delete from campaigns.effect")
    assert "Chance holds 3 of 300 customers out this week." in page_of(early.get("/trust")).text


def test_without_a_campaign_nothing_is_said_of_one(made, tmp_path):
    for change in ("", DRAWN + "delete from campaigns.assignment; delete from campaigns.effect"):
        plain = changed(made, tmp_path / FILE, change)
        assert "held out" not in page_of(plain.get("/")).text
        assert "Do calls help?" not in page_of(plain.get("/trust")).text
        rows = rows_of(plain.get("/call_list.csv"))
        assert len(rows) == 1040
        assert "on_list_since" not in rows[0]
