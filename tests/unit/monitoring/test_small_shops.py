"""A shop of some fifty orders a week, one that wins customers in waves, and a crowd before a holiday.

What can be told of few rows is told; what chance or customers do is left alone.
"""

from datetime import date, timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest
from support.simulated_feed import measure, watch

from ml_models.monitoring.data_quality import judge_quality
from ml_models.monitoring.data_quality.monitored_tables import TableSource

FIRST = date(2021, 3, 1)  # a Monday
WEEKS = 34
FAULTY = FIRST + timedelta(days=7 * 30)
SINCE = f"sold_at >= date '{FAULTY}'"
SOURCE = TableSource(
    "feed/orders",
    {"buyer_id": "BIGINT", "sold_at": "TIMESTAMP", "paid": "DOUBLE"},
    time_sql="sold_at",
    time_column="sold_at",
    entity="buyer_id",
)


def orders(rates: np.ndarray, seed: int) -> pd.DataFrame:
    """Return orders of customers (rows of `rates`) who come so many times in each week (columns)."""
    generator = np.random.default_rng(seed)
    counts = generator.poisson(rates)
    buyer = np.repeat(np.arange(len(rates)), counts.sum(axis=1))
    week = np.concatenate([np.repeat(np.arange(rates.shape[1]), row) for row in counts])
    day = week * 7 + generator.integers(0, 7, len(buyer))
    return pd.DataFrame(
        {
            "buyer_id": buyer,
            "sold_at": pd.Timestamp(FIRST) + pd.to_timedelta(day, unit="D"),
            "paid": np.round(np.exp(generator.normal(3.2, 0.8, len(buyer))), 2),
        }
    )


def steady(customers: int, rate: float, seed: int = 3) -> pd.DataFrame:
    return orders(np.full((customers, WEEKS), rate), seed)


def wave(seed: int = 5, customers: int = 800) -> pd.DataFrame:
    """Return a shop that won customers in its first twelve weeks only; one in twelve comes in a week after that."""
    generator = np.random.default_rng(seed)
    since = generator.integers(0, 12, customers)
    rates = np.where(np.arange(WEEKS)[None] > since[:, None], 0.08, 0.0)
    rates[np.arange(customers), since] = 3.0
    return orders(rates, seed)


@pytest.fixture(scope="module")
def judged():
    """Return a judge of the weeks from the seventh on: the sentences of each week, by its first day."""
    with duckdb.connect() as connection:
        connection.execute("create schema feed")

        def judge(clean: pd.DataFrame, sql: str = "select * from clean") -> dict[date, list[tuple[str, str]]]:
            connection.register("clean", clean)
            connection.execute(f"create or replace table feed.orders as {sql}")
            connection.unregister("clean")
            tables = watch(connection, [SOURCE])
            profile, bad, found = measure(connection, tables, FIRST, WEEKS), {}, {}
            for week in range(7, WEEKS):
                day = FIRST + timedelta(days=7 * week)
                verdict = judge_quality(profile, tables, day + timedelta(days=7), bad)
                bad = verdict.bad_weeks
                found[day] = [(one.kind, one.column) for one in verdict.anomalies]
            return found

        yield judge


FAULTS = {
    "amounts in cents": (f"select * replace (case when {SINCE} then paid * 100 else paid end as paid) from clean",
                         ("range", "paid")),
    "two thirds of the rows lost": (f"select * from clean where not ({SINCE} and hash(buyer_id, sold_at) % 3 > 0)",
                                    ("volume", "")),
    "new identifiers": (f"select * replace (case when {SINCE} then buyer_id + 9000 else buyer_id end as buyer_id) "
                        "from clean", ("ids", "buyer_id")),
    "the file twice": (f"select * from clean union all select * from clean where {SINCE}", ("keys", "")),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_shows_in_the_first_week_of_fifty_rows(judged, name):
    sql, expected = FAULTS[name]
    assert expected in judged(steady(400, 0.13), sql)[FAULTY]


@pytest.mark.parametrize("name", ["two thirds of the rows lost", "new identifiers"])
def test_a_fault_shows_after_a_wave_of_customers_has_ended(judged, name):
    sql, expected = FAULTS[name]
    found = judged(wave(), sql)
    assert expected in found[FAULTY]
    assert [kinds for day, kinds in found.items() if day < FAULTY and kinds] == []


@pytest.mark.parametrize("seed", range(4))
def test_natural_weeks_of_a_small_shop_raise_nothing(judged, seed):
    assert [kinds for kinds in judged(steady(300, 0.15, seed)).values() if kinds] == []


@pytest.mark.parametrize("seed", range(3))
def test_the_end_of_a_wave_of_customers_is_no_lost_load(judged, seed):
    assert [kinds for kinds in judged(wave(seed)).values() if kinds] == []


@pytest.mark.parametrize("seed", range(2))
def test_the_end_of_a_wave_is_none_either_where_each_day_has_rows_enough_to_be_judged(judged, seed):
    assert [kinds for kinds in judged(wave(seed, 12_000)).values() if kinds] == []


def test_a_day_that_is_lost_in_the_week_in_which_a_wave_ends_is_told(judged):
    ended = FIRST + timedelta(days=7 * 12)
    sql = f"select * from clean where cast(sold_at as date) <> date '{ended}' + 2"
    assert judged(wave(5, 12_000), sql)[ended] == [("volume", "")]


def test_rows_that_come_in_bursts_are_no_lost_load_between_them(judged):
    level = np.array([0.02, 0.02, 0.3, 0.25, 0.2, 0.15, 0.15, 0.15] * 5)[:WEEKS]
    assert [kinds for kinds in judged(orders(np.tile(level, (300, 1)), 4)).values() if ("volume", "") in kinds] == []


def test_a_shop_that_grows_by_a_tenth_a_week_is_held_against_where_it_has_got_to(judged):
    rates = np.where(np.arange(1500)[:, None] < 40 * 1.1 ** np.arange(WEEKS)[None], 1.0, 0.0)
    assert [kinds for kinds in judged(orders(rates, 1)).values() if ("volume", "") in kinds] == []


def test_many_new_customers_are_no_new_identifiers(judged):
    sql = (
        "select * from clean union all select * replace (buyer_id + 9000 as buyer_id, paid + 0.01 as paid) from clean "
        f"where {SINCE} and hash(buyer_id, sold_at) % 10 < 8"
    )
    assert ("ids", "buyer_id") not in judged(steady(400, 0.13), sql)[FAULTY]


CROWD = f"cast(sold_at as date) = date '{FAULTY}' + 3"


def crowded(shop: pd.DataFrame) -> pd.DataFrame:
    """Add a day on which three times as many of the known customers come, each once."""
    generator = np.random.default_rng(8)
    came = generator.choice(shop["buyer_id"].unique(), 400, replace=False)
    day = pd.Timestamp(FAULTY) + pd.Timedelta(days=3)
    extra = pd.DataFrame(
        {"buyer_id": came, "sold_at": day, "paid": np.round(np.exp(generator.normal(3.2, 0.8, 400)), 2)}
    )
    return pd.concat([shop, extra], ignore_index=True)


def test_a_crowd_of_known_customers_is_no_fault_and_a_day_that_came_again_is(judged):
    shop = steady(3000, 0.4)
    assert judged(crowded(shop))[FAULTY] == []
    again = "select * from clean" + f" union all select * replace (paid + 0.01 as paid) from clean where {CROWD}" * 2
    assert ("volume", "") in judged(shop, again)[FAULTY]
