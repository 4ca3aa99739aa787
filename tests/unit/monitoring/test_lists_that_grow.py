"""A list's share of nulls that moved by rows that came or went is no fault; one that moved by what rows hold is."""

from datetime import timedelta

import duckdb
import pandas as pd
import pytest
from support.simulated_feed import FAULTY_WEEK, FIRST, measure, watch

from ml_models.monitoring.data_quality import judge_quality
from ml_models.monitoring.data_quality.monitored_tables import TableSource

ROWS = 30_000
LIST = (
    f"select one as item, case when one % 3 = 0 then null else 'size ' || one % 40 end as size, "
    f"case when one % 10 = 0 then -1.0 else 1.0 + one % 7 end as discount from range({ROWS}) as rows(one)"
)


@pytest.fixture(scope="module")
def seen():
    """Return what is seen of the list of items, in the week after ten as it was."""
    with duckdb.connect() as connection:
        connection.execute(f"create schema feed; create table clean as {LIST}; create table feed.items as from clean")
        columns = {"item": "BIGINT", "size": "VARCHAR", "discount": "DOUBLE"}
        tables = watch(connection, [TableSource("feed/items", columns, keys=("item",))])
        before = measure(connection, tables, FIRST, 10)
        before = before[before["period_start"] < pd.Timestamp(FAULTY_WEEK)]

        def judge(items: str) -> set[tuple[str, str]]:
            connection.execute(f"create or replace table feed.items as {items}")
            now = measure(connection, tables, FAULTY_WEEK, 1)
            found = judge_quality(pd.concat([before, now]), tables, FAULTY_WEEK + timedelta(days=7), {})
            return {(one.kind, one.column) for one in found.anomalies}

        yield judge


NEW = "select item + 1000000 as item, size, discount from clean where hash(item) % 5 = 0"


@pytest.mark.parametrize(
    "items",
    [
        f"from clean union all {NEW} and size is not null",
        f"from clean union all {NEW} and discount > 0",
        "from clean where size is not null or hash(item) % 5 > 0",
        "from clean where size is null or hash(item) % 8 > 0",
    ],
    ids=["new items all with a size", "new items at no loss", "items without a size go", "items with a size go"],
)
def test_items_may_come_and_go(seen, items):
    assert seen(items) == set()


@pytest.mark.parametrize(
    ("items", "kind", "column"),
    [
        (f"from clean union all select * replace (null as size) from ({NEW})", "nulls", "size"),
        ("select * replace (coalesce(size, 'unknown') as size) from clean where item % 15 > 0", "nulls", "size"),
        ("select * replace (case when item % 10 = 1 then null else size end as size) from clean", "nulls", "size"),
        (f"from clean union all select * replace (-1.0 as discount) from ({NEW})", "range", "discount"),
        ("select * replace (abs(discount) as discount) from clean", "range", "discount"),
    ],
    ids=["new items without a size", "a word for no size", "sizes lost", "new items at a loss", "losses gone"],
)
def test_what_items_hold_may_not(seen, items, kind, column):
    assert (kind, column) in seen(items)
