from datetime import date, timedelta

import duckdb
import pandas as pd
import pytest
from support.simulated_feed import FAULTY_WEEK, FIRST, make_shop, measure, sources, watch

from ml_models.faults import perturbed_sql
from ml_models.monitoring.data_quality import judge_arrival, judge_quality, judge_schema
from ml_models.monitoring.data_quality.monitored_tables import TableSource

CUTOFF = FAULTY_WEEK + timedelta(days=7)
SINCE = f"sold_at >= date '{FAULTY_WEEK}'"


def third(column: str) -> str:
    return f"hash({column}) % 3 = 0"


def changed(**columns: str) -> str:
    return (
        "select * replace ("
        + ", ".join(f"case when {SINCE} then {sql} else {name} end as {name}" for name, sql in columns.items())
        + ") from clean"
    )


def without(condition: str) -> str:
    return f"select * from clean where not ({SINCE} and {condition})"


@pytest.fixture(scope="module")
def shop():
    with duckdb.connect() as connection:
        make_shop(connection)
        connection.execute("create table clean as select * from feed.sales")
        connection.execute("create table clean_items as select * from feed.items")
        yield connection


@pytest.fixture(scope="module")
def tables(shop):
    named = [
        TableSource(**{**vars(source), "entity": "buyer_id"}) if source.time_sql else source for source in sources()
    ]
    # The counts of a simulation: tills are few, items are many.
    return watch(shop, named)


@pytest.fixture(scope="module")
def healthy(shop, tables):
    return measure(shop, tables, FIRST, 16)


@pytest.fixture(scope="module")
def judged(shop, tables, healthy):
    """Return a judge of the weeks from the faulty one on, under rows as a query makes them."""

    def judge(sales: str = "select * from clean", items: str = "select * from clean_items", weeks: int = 1):
        shop.execute(f"create or replace table feed.sales as {sales}")
        shop.execute(f"create or replace table feed.items as {items}")
        new = measure(shop, tables, FAULTY_WEEK, weeks)
        profile = pd.concat([healthy[healthy["period_start"] < pd.Timestamp(FAULTY_WEEK)], new])
        bad, verdicts = {}, []
        for week in range(weeks):
            verdict = judge_quality(profile, tables, CUTOFF + timedelta(days=7 * week), bad)
            bad = verdict.bad_weeks
            verdicts.append(verdict)
        return verdicts if weeks > 1 else verdicts[0]

    return judge


FAULTS = {
    "amounts in another unit": (changed(price="price * 100"), "range", "price"),
    "amounts of some tills in another unit": (changed(price=f"case when {third('till_id')} then price * "
    "100 else price end"), "range", "price"),
    "negative amounts": (changed(price="case when hash(receipt, item) % 20 = 0 then -price else "
    "price end"), "range", "price"),
    "null items": (changed(item="case when hash(receipt, item) % 4 = 0 then null else item end"), "nulls", "item"),
    "nulls at some tills": (changed(rebate=f"case when {third('till_id')} then null else "
    "rebate end"), "nulls", "rebate"),
    "one value": (changed(paid_by="'card'"), "stuck", "paid_by"),
    "a third of the tills silent": (without(third("till_id")), "volume", ""),
    "a day missing": (without(f"cast(sold_at as date) = date '{FAULTY_WEEK}' + 2"), "volume", ""),
    "the newest days missing": (without(f"cast(sold_at as date) >= date '{FAULTY_WEEK}' + 5"), "stale", ""),
    "cut at two": (without("extract(hour from sold_at) >= 14"), "hours", "sold_at"),
    "another clock": (changed(sold_at="sold_at + interval 5 hour"), "hours", "sold_at"),
    "the hour lost": (changed(sold_at="cast(cast(sold_at as date) as timestamp)"), "hours", "sold_at"),
    "two in five orders lost": (without("hash(receipt) % 5 < 2"), "volume", ""),
    "a sixth of the lines lost": (without("hash(receipt, item) % 6 = 0"), "volume", "receipt"),
    "lines lost": (without(third("(receipt, item)".strip("()"))), "volume", "receipt"),
    "the file twice": (f"select * from clean union all select * from clean where {SINCE}", "keys", "receipt+item"),
    "days again under new keys": (
        "select * from clean union all select * replace (receipt + 9000000 as receipt, sold_at + "
        f"interval 7 day as sold_at) from clean where sold_at >= date '{FAULTY_WEEK}' - 7 and not {SINCE}",
        "replay",
        "receipt",
    ),
    "new identifiers": (changed(buyer_id="buyer_id + 100000"), "ids", "buyer_id"),
    "a part of the buyers not delivered": (without(third("buyer_id")), "ids", "buyer_id"),
    "items without a partner": (changed(item="case when hash(item) % 9 = 0 then item + 5000 else "
    "item end"), "orphans", "item"),
}  # fmt: skip

BENIGN = {
    "nothing": "select * from clean",
    "dearer by a fifth": changed(price="round(price * 1.2, 2)", rebate="round(rebate * 1.2, 2)"),
    "a third of the buyers come less": without(f"{third('buyer_id')} and hash(receipt) % 10 < 6"),
    "more buyers": "select * from clean union all select * replace (receipt + 9000000 as receipt, "
    "buyer_id + 100000 as buyer_id, price + 0.1 as price, sold_at + interval 7 minute as sold_at) from "
    f"clean where {SINCE} and hash(buyer_id) % 7 = 0",
    "one till closes and its buyers go next door": changed(till_id="case when till_id = 7 then 8 else till_id end"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_seen_in_its_first_week(judged, name):
    sales, kind, column = FAULTS[name]
    verdict = judged(sales)
    assert verdict.status == "fail"
    assert (kind, column) in {(anomaly.kind, anomaly.column) for anomaly in verdict.anomalies}, verdict.sentence
    assert all(anomaly.asset == "feed/sales" and anomaly.last_day < CUTOFF for anomaly in verdict.anomalies)


@pytest.mark.parametrize("name", BENIGN)
def test_customers_may_change(judged, name):
    verdict = judged(BENIGN[name])
    assert verdict.anomalies == (), verdict.sentence
    assert verdict.status == "pass"


def test_renamed_and_collapsed_families_are_seen_on_the_list_of_items(judged):
    renamed = judged(
        items="select * replace (case when family in ('family 1', 'family 5') then upper(family) else "
        "family end as family) from clean_items"
    )
    collapsed = judged(items="select * replace ('family 0' as family) from clean_items")
    for verdict in (renamed, collapsed):
        assert ("feed/items", "categories") in {(anomaly.asset, anomaly.kind) for anomaly in verdict.anomalies}


def test_a_lasting_fault_stays_an_anomaly_and_its_end_is_none(judged):
    lasting = judged(FAULTS["amounts in another unit"][0], weeks=2)
    assert [verdict.status for verdict in lasting] == ["fail", "fail"]
    assert lasting[1].anomalies[0].first_day == FAULTY_WEEK
    ended = judged(
        f"select * replace (case when {SINCE} and sold_at < date '{CUTOFF}' then price * 100 else price "
        "end as price) from clean",
        weeks=2,
    )
    assert [verdict.status for verdict in ended] == ["fail", "pass"]


def test_a_fault_that_ebbs_a_little_goes_on_and_as_much_would_not_begin_one(judged):
    def paid(first: int, then: int) -> str:
        share = f"case when sold_at < date '{CUTOFF}' then {first} else {then} end"
        return changed(paid_by=f"case when hash(receipt, item) % 100 < {share} then 'card' else paid_by end")

    goes_on = judged(paid(18, 10), weeks=2)
    assert [[one.column for one in verdict.anomalies] for verdict in goes_on] == [["paid_by"], ["paid_by"]]
    assert [verdict.status for verdict in judged(paid(0, 10), weeks=2)] == ["pass", "pass"]


def test_a_fault_of_the_whole_table_lowers_no_limit_of_its_segments(judged):
    lost = judged(without("hash(receipt) % 5 < 2"), weeks=2)
    assert [[one.segment_column for one in verdict.anomalies] for verdict in lost] == [[""], [""]]


def test_days_delivered_before_must_not_grow(judged):
    again = (
        "select * from clean union all select * replace (receipt + 9000000 as receipt) from clean "
        f"where sold_at >= date '{FAULTY_WEEK}' - 14 and not {SINCE}"
    )
    assert "replay" in {anomaly.kind for anomaly in judged(again).anomalies}


@pytest.mark.parametrize(
    "name",
    [
        "a third of the tills silent",
        "amounts of some tills in another unit",
        "null items",
        "another clock",
        "cut at two",
    ],
)
def test_an_anomaly_can_be_made_again_and_looks_the_same(shop, tables, judged, name):
    sales, kind, column = FAULTS[name]
    anomaly = next(one for one in judged(sales).anomalies if (one.kind, one.column) == (kind, column))
    shop.execute("create or replace table feed.sales as select * from clean")
    sql = perturbed_sql(anomaly.replay, tables[0].columns, "sold_at").replace("{table}", "clean")
    again = next(one for one in judged(sql).anomalies if (one.kind, one.column) == (kind, column))
    assert again.observed == pytest.approx(anomaly.observed, rel=0.15)


def test_too_little_is_refused(shop, tables, healthy):
    early = judge_quality(healthy, tables, FIRST + timedelta(days=28))
    assert early.status == "insufficient evidence"
    absent = judge_quality(healthy, tables, FIRST + timedelta(days=7 * 30))
    assert absent.status == "insufficient evidence"


def test_the_past_is_judged_anew_without_its_verdicts(judged, tables, healthy):
    carried = judge_quality(healthy, tables, CUTOFF, {})
    assert judge_quality(healthy, tables, CUTOFF).anomalies == carried.anomalies == ()


def test_a_missing_or_retyped_column_is_an_anomaly_and_a_new_one_is_not():
    before = {"id": "BIGINT", "amount": "DOUBLE", "at": "TIMESTAMP"}
    assert judge_schema("raw/t", before, {**before, "note": "VARCHAR"}, date(2021, 5, 3)) == ()
    assert judge_schema("raw/t", before, {**before, "id": "INTEGER"}, date(2021, 5, 3)) == ()
    (renamed,) = judge_schema("raw/t", before, {"id": "BIGINT", "total": "DOUBLE", "at": "TIMESTAMP"}, date(2021, 5, 3))
    assert renamed.column == "amount"
    assert "total" in renamed.sentence
    (text,) = judge_schema("raw/t", before, {**before, "amount": "VARCHAR"}, date(2021, 5, 3))
    assert text.kind == "schema"


def test_a_feed_is_stale_beyond_what_it_ever_missed(tables, healthy):
    assert judge_arrival(healthy, tables[0], CUTOFF, CUTOFF - timedelta(days=1)) == ()
    (stale,) = judge_arrival(healthy, tables[0], CUTOFF, CUTOFF - timedelta(days=4))
    assert stale.kind == "stale"
    assert stale.first_day == CUTOFF - timedelta(days=3)


def test_a_closed_day_is_missed_by_nobody(shop, tables, healthy):
    closed = FAULTY_WEEK + timedelta(days=2)
    shop.execute(f"create or replace table feed.sales as select * from clean where cast(sold_at as date) <> '{closed}'")
    new = measure(shop, tables, FAULTY_WEEK, 1)
    profile = pd.concat([healthy[healthy["period_start"] < pd.Timestamp(FAULTY_WEEK)], new])
    assert [one.kind for one in judge_quality(profile, tables, CUTOFF, {}).anomalies] == ["volume"]
    assert judge_quality(profile, tables, CUTOFF, {}, [closed]).anomalies == ()


def test_a_feed_is_not_stale_for_the_days_on_which_it_was_closed(tables, healthy):
    newest = CUTOFF - timedelta(days=4)
    closed = [newest + timedelta(days=number) for number in (1, 2, 3)]
    assert judge_arrival(healthy, tables[0], CUTOFF, newest, closed_days=closed) == ()
    assert judge_arrival(healthy, tables[0], CUTOFF, newest, closed_days=closed[:1]) != ()
