"""Who comes, when orders are lost and when customers change: a world of customers whose visits are known one by one."""

from collections.abc import Callable
from datetime import date, timedelta

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from support.simulated_feed import FAULTY_WEEK, make_shop, measure, sources, watch

from ml_models.monitoring.data_quality import judge_quality
from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable, TableSource

FIRST, WEEKS, BEGAN, CUSTOMERS = date(2021, 1, 4), 40, 34, 1500
COLUMNS = {"order_no": "BIGINT", "buyer": "BIGINT", "sold_at": "TIMESTAMP"}
TABLE = MonitoredTable(
    "raw/orders", "raw.orders", COLUMNS, "sold_at", "sold_at", keys=("order_no", "buyer"), group="order_no",
    entity="buyer", ids=("buyer",),
)  # fmt: skip
Visits = npt.NDArray[np.int64]
Change = Callable[[Visits, np.random.Generator], Visits]


def visits_of(change: Change, seed: int) -> Visits:
    """Return visits, weeks x customers; `change` is made to the weeks from BEGAN on and may add customers."""
    generator = np.random.default_rng(seed)
    pace = generator.gamma(1.2, 1.7, CUSTOMERS)
    season = np.exp(generator.normal(0, 0.015, WEEKS))
    visits = generator.poisson(pace * season[:, None])
    changed = change(visits[BEGAN:], generator)
    more = changed.shape[1] - CUSTOMERS
    return np.vstack([np.hstack([visits[:BEGAN], np.zeros((BEGAN, more), dtype="int64")]), changed])


def profile_of(visits: Visits) -> pd.DataFrame:
    """Measure what `profile_sql` measures of customers, and the rows: ten of each order."""
    rows = []
    for week in range(WEEKS):
        day, now = FIRST + timedelta(days=7 * week), visits[week]
        total = float(now.sum())
        rows += [("", "rows", day, 10 * total, 10 * total), ("order_no", "rows_per_group", day, total, 10.0)]
        rows += [("", "day_rows", day + timedelta(days=number), total, 10 * total / 7) for number in range(7)]
        if week < 4:
            continue
        past = visits[week - 4 : week].sum(axis=0)
        known, share = past > 0, now[past > 0].sum() / past.sum()
        spread = ((now[known] - share * past[known]) ** 2).sum() / now[known].sum()
        fresh = (visits[max(week - 12, 0) : week].sum(axis=0) == 0) & (now > 0)
        rows += [
            ("buyer", "again_of_visits", day, float(past.sum()), 4 * share),
            ("buyer", "spread_of_visits", day, float(known.sum()), spread),
            ("buyer", "newcomers", day, float((now > 0).sum()), float(fresh.sum())),
            ("buyer", "newcomers_visits", day, total, float(now[fresh].sum())),
        ]
    frame = pd.DataFrame(rows, columns=["column_name", "measure", "period_start", "n", "value"])
    starts = pd.to_datetime(frame["period_start"]).astype("datetime64[us]")
    return frame.assign(asset="raw/orders", value_key="", period_start=starts)


def found(change: Change, weeks: int = 3, seed: int = 1) -> list[tuple[str, ...]]:
    """Return what is wrong in each week since the change, as `kind:column`."""
    profile, bad, wrong = profile_of(visits_of(change, seed)), {}, []
    for week in range(BEGAN, BEGAN + weeks):
        verdict = judge_quality(profile, [TABLE], FIRST + timedelta(days=7 * (week + 1)), bad)
        bad = verdict.bad_weeks
        wrong.append(tuple(f"{one.kind}:{one.column}" for one in verdict.anomalies))
    return wrong


def nothing(visits: Visits, _: np.random.Generator) -> Visits:
    return visits


def lost(visits: Visits, generator: np.random.Generator) -> Visits:
    return generator.binomial(visits, 0.78)


def a_third_comes_less(visits: Visits, generator: np.random.Generator) -> Visits:
    return generator.binomial(visits, np.where(np.arange(CUSTOMERS) % 3 == 0, 0.34, 1.0))


def second_cards(visits: Visits, generator: np.random.Generator) -> Visits:
    first = generator.binomial(visits, np.where(np.arange(CUSTOMERS) % 5 == 0, 0.5, 1.0))
    return np.hstack([first, (visits - first)[:, np.arange(CUSTOMERS) % 5 == 0]])


def newcomers(visits: Visits, generator: np.random.Generator) -> Visits:
    return np.hstack([visits, generator.permuted(visits[:, :150], axis=1)])


def test_orders_lost_at_random_are_a_feed_s_and_customers_who_come_less_the_world_s():
    assert found(lost) == [("volume:",)] * 3
    assert found(a_third_comes_less, weeks=6) == [()] * 6


def test_second_identifiers_take_visits_from_the_first_and_newcomers_bring_theirs():
    assert found(second_cards)[0] == ("ids:buyer",)
    assert found(newcomers) == [()] * 3


@pytest.mark.parametrize("seed", range(2, 10))
def test_customers_who_come_as_ever_are_no_anomaly(seed):
    assert found(nothing, weeks=6, seed=seed) == [()] * 6


def test_visits_are_measured_as_they_are_here():
    with duckdb.connect() as connection:
        make_shop(connection, buyers=300)
        named = [TableSource(**{**vars(source), "entity": "buyer_id"}) for source in sources() if source.time_sql]
        tables = watch(connection, named)
        profile = measure(connection, tables, FAULTY_WEEK, 1)
        visits = connection.execute(
            f"select buyer_id, (date '{FAULTY_WEEK}' + 6 - cast(sold_at as date)) // 7 as back, "
            f"count(distinct receipt) as visits from feed.sales where sold_at < date '{FAULTY_WEEK}' + 7 group by 1, 2"
        ).df()
    table = visits.pivot_table(index="buyer_id", columns="back", values="visits", fill_value=0)
    now, past = table[0], table[[1, 2, 3, 4]].sum(axis=1)
    known, share = past > 0, now[past > 0].sum() / past.sum()
    fresh = (table[list(range(1, 13))].sum(axis=1) == 0) & (now > 0)
    measured = profile[profile["column_name"] == "buyer_id"].set_index("measure")["value"]
    assert measured["again_of_visits"] == pytest.approx(4 * share)
    assert measured["spread_of_visits"] == pytest.approx(((now - share * past)[known] ** 2).sum() / now[known].sum())
    assert measured["newcomers"] == fresh.sum()
    assert measured["newcomers_visits"] == now[fresh].sum()
