"""Some tills lose a part of their orders: told from customers who come less, in a shop whose truth is known."""

from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest
from support.simulated_feed import FAULTY_WEEK, FIRST, make_shop, measure, sources, watch

from ml_models.monitoring.data_quality import judge_quality
from ml_models.monitoring.data_quality.history import History
from ml_models.monitoring.data_quality.monitored_tables import TableSource
from ml_models.monitoring.data_quality.parts import judge_parts
from ml_models.monitoring.data_quality.window import Window

CUTOFF = FAULTY_WEEK + timedelta(days=7)
SOME_TILLS = "hash(till_id, 'some') % 3 = 0"
THEIR_BUYERS = (
    f"buyer_id in (select buyer_id from clean where sold_at < date '{FAULTY_WEEK}' group by 1 "
    "having hash(mode(till_id), 'some') % 3 = 0)"
)


@pytest.fixture(scope="module")
def shop():
    with duckdb.connect() as connection:
        make_shop(connection, buyers=1500)
        connection.execute("create table clean as select * from feed.sales")
        yield connection


@pytest.fixture(scope="module")
def tables(shop):
    named = [TableSource(**{**vars(one), "entity": "buyer_id"}) for one in sources() if one.time_sql]
    return watch(shop, [TableSource(**{**vars(one), "references": ()}) for one in named])


@pytest.fixture(scope="module")
def healthy(shop, tables):
    return measure(shop, tables, FIRST, 14)


@pytest.fixture(scope="module")
def judged(shop, tables, healthy):
    """Return the anomalies of the week in which rows are not delivered, or are different."""

    def judge(lost: str = "false", sales: str = "select * from clean"):
        shop.execute(
            f"create or replace table feed.sales as select * from ({sales}) "
            f"where not (sold_at >= date '{FAULTY_WEEK}' and {lost})"
        )
        profile = pd.concat([healthy, measure(shop, tables, FAULTY_WEEK, 1)])
        return judge_quality(profile, tables, CUTOFF, {}).anomalies

    return judge


@pytest.mark.parametrize("lost", [0.3, 0.4, 0.5])
def test_orders_that_some_tills_lose_are_a_feed_s(judged, shop, lost):
    [anomaly] = judged(f"{SOME_TILLS} and hash(receipt, 'lost') % 100 < {100 * lost}")
    tills = {till for (till,) in shop.execute(f"select distinct till_id from clean where {SOME_TILLS}").fetchall()}
    found = {int(value) for value in anomaly.segment_values}
    assert (anomaly.kind, anomaly.segment_column, anomaly.replay.per) == ("volume", "till_id", "receipt")
    assert len(found & tills) >= 0.8 * len(tills)
    assert len(found - tills) <= 2
    assert anomaly.rate == pytest.approx(lost, abs=0.1)
    assert "all alike and whichever customers made them" in anomaly.sentence


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param(f"{THEIR_BUYERS} and hash(buyer_id, 'b') % 2 = 0 and hash(receipt, 'c') % 4 < 3", id="come less"),
        pytest.param("hash(buyer_id) % 3 = 0 and hash(receipt) % 10 < 6", id="a third of all comes less"),
        pytest.param("till_id = 7", id="one till closes"),
        pytest.param("till_id = 7 and hash(receipt) % 2 = 0", id="one till sells half"),
        pytest.param("hash(receipt, 'all') % 50 = 0", id="hardly anything"),
    ],
)
def test_what_customers_or_one_till_do_is_left_to_drift_and_performance(judged, lost):
    assert judged(lost) == ()


def test_a_till_that_opens_is_no_loss_of_the_others(judged):
    moved = f"hash(buyer_id, 'moves') % 25 = 0 and sold_at >= date '{FAULTY_WEEK}'"
    assert judged(sales=f"select * replace (case when {moved} then 900 else till_id end as till_id) from clean") == ()


def test_the_measure_does_not_change_when_orders_are_lost_at_random(shop, tables):
    def uneven(lost: str) -> float:
        week = f"sold_at >= date '{FAULTY_WEEK}'"
        shop.execute(f"create or replace table feed.sales as select * from clean where not ({week} and {lost})")
        found = measure(shop, tables, FAULTY_WEEK, 1)
        found = found[found["column_name"] == "@till_id"].groupby("measure")["value"].sum()
        return found["strays"] / found["strays_scale"]

    none = uneven("false")
    random = [uneven(f"md5_number_lower(concat(receipt, '-', {seed})) % 10 < 3") for seed in range(12)]
    assert sum(random) / len(random) == pytest.approx(none, abs=0.12)
    assert uneven("md5_number_lower(cast(buyer_id as text)) % 10 < 3") > none + 0.5


STORES, WEEKS = 300, 31


def found_in(profile, tables):
    """Return the anomalies of the newest week of `orders` within each till."""
    sales = next(one for one in tables if one.asset == "feed/sales")
    cutoff = FIRST + timedelta(weeks=WEEKS)
    number = (profile["period_start"] - pd.Timestamp(cutoff)).dt.days
    history = History.of(profile.assign(number=number), sales, cutoff)
    window = Window(history, WEEKS - 1, np.arange(WEEKS - 1), {}, None)
    judge_parts(window)
    return window.anomalies


@pytest.mark.parametrize("weeks", [3, 9, 10, WEEKS])
def test_weeks_that_a_former_build_measured_without_orders_are_no_weeks_without_orders(tables, weeks):
    """After an upgrade only the newest weeks know what each store sold, which goes up and down."""
    numbers = np.random.default_rng(5)
    usual = numbers.gamma(2, 15, STORES)
    made = []
    for week in range(WEEKS):
        start = pd.Timestamp(FIRST + timedelta(weeks=week))
        made.append(("", "rows", "", start, 1, 1.0))
        sold = numbers.poisson(usual * numbers.gamma(usual, 1 / usual))
        if week >= WEEKS - weeks:
            made += [("@till_id", "orders", str(store), start, int(n), float(n)) for store, n in enumerate(sold)]
    columns = ["column_name", "measure", "value_key", "period_start", "n", "value"]
    assert found_in(pd.DataFrame(made, columns=columns), tables) == []


@pytest.mark.parametrize(("uneven", "kinds"), [(20.0, []), (0.7, ["volume"])], ids=["customers", "the feed"])
def test_customers_who_changed_some_weeks_ago_do_not_hide_that_they_still_do(tables, uneven, kinds):
    """Who comes one week in five was counted as evenly as ever until then, and as unevenly as that in weeks since."""
    numbers = np.random.default_rng(5)
    usual = numbers.gamma(4, 15, STORES)
    normal = numbers.normal(0.6, 0.2, WEEKS)
    normal[-6:] = [4.0, 10.0, 15.0, 22.0, 33.0, uneven]
    made = []
    for week in range(WEEKS):
        start = pd.Timestamp(FIRST + timedelta(weeks=week))
        made.append(("", "rows", "", start, 1, 1.0))
        fewer = np.where((np.arange(STORES) % 3 == 0) & (week == WEEKS - 1), 0.5, 1.0)
        for store, n in enumerate(numbers.poisson(usual * fewer)):
            for measured, value in (("orders", float(n)), ("strays", normal[week] * n), ("strays_scale", float(n))):
                made.append(("@till_id", measured, str(store), start, int(n), value))
    columns = ["column_name", "measure", "value_key", "period_start", "n", "value"]
    assert [one.kind for one in found_in(pd.DataFrame(made, columns=columns), tables)] == kinds
