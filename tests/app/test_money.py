"""What is at stake is told in money where there is money, with intervals, and too few are no figure."""

import re

from support.shown_pages import CUSTOMERS, NEWEST, listed, page_of, rows_of


def test_where_money_is_expected_to_be_lost_the_list_begins_with_the_most(shop):
    priced = shop(
        "alter table marts.customers_at_risk add column expected_loss double",
        "update marts.customers_at_risk set expected_loss = risk_rank where risk_rank < 500",
    )
    answer = priced.get("/")
    assert listed(answer)[0] == "c499"
    assert "Expected loss" in answer.text
    assert "EUR 499" in answer.text
    assert "Worth a call" not in answer.text, "prices are not known"


def test_where_prices_are_known_the_list_says_who_is_worth_a_call_and_by_what(shop):
    priced = shop(
        "alter table marts.customers_at_risk add column worth_calling boolean",
        "alter table marts.customers_at_risk add column worth_calling_by varchar default 'a contact costs EUR 2'",
        "update marts.customers_at_risk set worth_calling = risk_rank < 3 where risk_rank <> 3",
    )
    answer = priced.get("/")
    assert re.findall(r"<td>(yes|no|not known)</td>", answer.text)[:4] == ["yes", "yes", "not known", "no"]
    assert "Worth a call: a contact costs EUR 2" in page_of(answer).text


VALUED = (
    "alter table marts.customers_at_risk add column expected_loss double",
    "alter table marts.customers_at_risk add column loss_rank bigint",
    "alter table marts.customers_at_risk add column worth_calling boolean",
    "alter table marts.customers_at_risk add column worth_calling_by varchar default 'A contact costs EUR 2.'",
    "alter table marts.customers_at_risk add column segment varchar default 'known'",
    # The other way round than the risk, but for the first ten.
    f"update marts.customers_at_risk set loss_rank = case when risk_rank <= 10 then risk_rank else {CUSTOMERS + 11} - "
    "risk_rank end",
    f"update marts.customers_at_risk set expected_loss = {CUSTOMERS + 1} - loss_rank",
)


def test_what_is_at_stake_is_told_by_both_orders_with_what_they_share(shop):
    text = page_of(shop(*VALUED).get("/")).text
    assert f"expected to leave EUR {CUSTOMERS * (CUSTOMERS + 1) // 2:,} unspent" in text
    by_loss = sum(range(CUSTOMERS - 103, CUSTOMERS + 1))
    by_risk = sum(range(CUSTOMERS - 9, CUSTOMERS + 1)) + sum(range(1, 95))
    assert f"Call the 104 with most money to lose , and you reach EUR {by_loss:,} of it." in text
    assert f"Call the 104 most likely to stay away , and you reach EUR {by_risk:,}." in text
    assert "10 customers are in both tenths." in text
    assert "Who is worth a call is not said" in text
    assert "0 customers are new" in text


def test_who_is_worth_a_call_and_who_is_new_is_counted_and_marked(shop):
    valued = shop(
        *VALUED,
        "update marts.customers_at_risk set worth_calling = loss_rank <= 7",
        "update marts.customers_at_risk set segment = 'new' where loss_rank in (3, 500)",
    )
    answer = valued.get("/")
    text = page_of(answer).text
    assert "7 customers are worth a call. A contact costs EUR 2." in text
    assert "2 customers are new" in text
    assert "1 of them is among those with most money to lose." in text
    assert answer.text.count('<span class="tag">new</span>') == 1, "one of the two is on the first page"


MONEY = (
    "alter table marts.accuracy_over_time add column lapsed bigint default 104",
    *(
        f"alter table marts.accuracy_over_time add column {name} double default {value}"
        for name, value in {
            "spend_lost": 8812.4,
            "spend_covered_by_risk": 0.2,
            "spend_covered_by_risk_low": 0.11,
            "spend_covered_by_risk_high": 0.29,
            "spend_covered_by_loss": 0.4,
            "spend_covered_by_loss_low": 0.31,
            "spend_covered_by_loss_high": 0.49,
        }.items()
    ),
    f"update marts.accuracy_over_time set lapsed = 99 where cutoff_date = date '{NEWEST}' - 28",
    "create table marts.expected_spend_accuracy as select decile, case when decile = 3 then 99 else 200 end "
    "as customers, "
    "34.0 as mean_expected, 45.0 as mean_observed, 'spend more than expected' as calibration, 76.0 as mean_error, "
    "88.0 as mean_error_of_last_month, 11.0 as gain, 10.0 as gain_low, 12.0 as gain_high "
    "from range(0, 11) as t(decile)",
)


def test_money_is_told_by_week_with_intervals_and_too_few_are_no_figure(shop):
    text = page_of(shop(*MONEY).get("/trust")).text
    assert "8 April 2024 served EUR 8,812 too few to say: 99 stayed away" in text
    assert "1 April 2024 served EUR 8,812 40 % (31 to 49) 20 % (11 to 29)" in text
    assert "off by EUR 76 on average in 28 days. “As much as last month” is off by EUR 88." in text
    assert "The expectation is nearer: by EUR 11 (EUR 10 to EUR 12)." in text
    assert "2 200 EUR 34 EUR 45 spend more than expected EUR 76 EUR 88" in text
    assert "3 99 too few to say" in text


def test_a_copy_that_tells_no_intervals_shows_the_shares_alone(shop):
    former = [
        f"alter table marts.accuracy_over_time drop column spend_covered_by_{end}" for end in ("risk_low", "loss_high")
    ]
    text = page_of(shop(*MONEY, *former).get("/trust")).text
    assert "1 April 2024 served EUR 8,812 40.0 % 20.0 %" in text
    few = page_of(shop(*MONEY, "update marts.expected_spend_accuracy set customers = 5").get("/trust")).text
    assert "Too few to say: 5 customers are judged." in few


def test_reasons_of_a_row_say_once_with_whom_they_compare(shop):
    peers = "customers with 1-2 shopping days"
    same = shop(
        f"update marts.customers_at_risk set reason_1 = 'last visit 25 days ago (typical 13 among {peers})', "
        f"reason_2 = 'trips: 2 (typical 6 among {peers})' where customer_id = 'c2'",
        "update marts.customers_at_risk set reason_1 = 'spent 3 (typical 4)' where customer_id = 'c4'",
    )
    text = page_of(same.get("/", params={"find": "c2"})).text
    assert f"Beside {peers}: last visit 25 days ago (typical 13) trips: 2 (typical 6)" in text
    assert "Beside" not in page_of(same.get("/", params={"find": "spent 3"})).text
    [row] = rows_of(same.get("/call_list.csv", params={"find": "last visit 25"}))
    assert row["reason_2"] == f"trips: 2 (typical 6 among {peers})", "alone it says so for itself"


def test_a_company_without_money_is_shown_none(shop):
    poor = shop(
        "alter table marts.customers_at_risk drop column spend_cents_90d",
        "alter table marts.customers drop column amount_cents",
    )
    for path in ("/", "/trust", "/customer?id=c2"):
        assert "EUR" not in page_of(poor.get(path)).text
    assert "biggest spenders" not in poor.get("/").text
