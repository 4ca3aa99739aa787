"""Unit prices in a shop whose prices are known: what one sells for at some tills, and how much is bought there."""

from dataclasses import replace
from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest
from support.simulated_feed import FAULTY_WEEK, FIRST, make_shop, measure, sources, watch

from ml_models.monitoring.data_quality import judge_quality
from ml_models.monitoring.data_quality.monitored_tables import Price
from ml_models.monitoring.data_quality.prices import _two_groups

SINCE = f"sold_at >= date '{FAULTY_WEEK}'"
SOME = "till_id % 4 = 0"


@pytest.fixture(scope="module")
def judged():
    """Return a judge of the week from which on rows are as a query makes them of `clean`."""
    with duckdb.connect() as connection:
        make_shop(connection, buyers=700)
        connection.execute(
            "create table clean as select * replace (price * pieces as price) from "
            "(select *, 1 + cast(hash(receipt, item) % 3 as integer) as pieces from feed.sales)"
        )
        connection.execute("create or replace table feed.sales as select * from clean")
        [sales] = [source for source in sources() if source.time_sql]
        priced = replace(
            sales,
            columns={**sales.columns, "pieces": "INTEGER"},
            entity="buyer_id",
            price=Price("price", "pieces", "item"),
            references=(),
        )
        tables = watch(connection, [priced])
        healthy = measure(connection, tables, FIRST, 14)

        def judge(**columns: str):
            changed = ", ".join(
                f"case when {SINCE} then {sql} else {name} end as {name}" for name, sql in columns.items()
            )
            replaced = f" replace ({changed})" if changed else ""
            connection.execute(f"create or replace table feed.sales as select *{replaced} from clean")
            new = measure(connection, tables, FAULTY_WEEK, 1)
            return judge_quality(pd.concat([healthy, new]), tables, FAULTY_WEEK + timedelta(days=7), {})

        yield judge


@pytest.mark.parametrize("factor", [1.3, 1.6, 0.8])
def test_another_unit_at_some_tills_is_told_with_its_factor(judged, factor):
    [found] = judged(price=f"case when {SOME} then price * {factor} else price end").anomalies
    assert (found.kind, found.column, found.segment_column) == ("range", "price", "till_id")
    assert set(found.segment_values) == {str(till) for till in range(0, 24, 4)}
    assert found.replay is not None
    assert found.replay.value == pytest.approx(factor, rel=0.03)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"price": "price * 1.15"},
        {"price": f"case when {SOME} then price * 2 else price end", "pieces": f"case when {SOME} then pieces * 2 else "
         "pieces end"},
        {"price": "price * (0.9 + 0.02 * (hash(item, till_id) % 11))"},
    ],
    ids=["nothing", "dearer everywhere", "a spree at some tills", "each till decides about single items"],
)  # fmt: skip
def test_what_is_bought_and_what_all_prices_do_is_no_anomaly(judged, change):
    assert judged(**change).anomalies == ()


def test_a_quantity_in_another_unit_at_some_tills_is_no_spree(judged):
    found = judged(pieces=f"case when {SOME} then pieces * 1000 else pieces end").anomalies
    assert {one.column for one in found} & {"price", "pieces"}
    assert {one.segment_column for one in found} == {"till_id"}


def test_two_groups_are_found_with_what_lies_between_them():
    values, weights = np.array([0.01, 0.3, -0.01, 0.32, np.nan, 0.0]), np.array([1.0, 2.0, 1.0, 2.0, 0.0, 1.0])
    low, apart, within = _two_groups(values, weights)
    assert list(low[:4]) == [True, False, True, False]
    assert apart == pytest.approx(0.31)
    assert within == pytest.approx(0.01, abs=0.002)
