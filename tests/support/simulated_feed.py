"""A simulated shop, whose truth is known, and how its feed is measured."""

from dataclasses import replace
from datetime import date, timedelta

import duckdb
import numpy as np
import pandas as pd

from ml_models.monitoring.data_quality.monitored_tables import (
    MonitoredTable,
    Reference,
    TableSource,
    census_sql,
    monitored_tables,
)
from ml_models.monitoring.data_quality.profile_sql import measure_sql

FIRST = date(2021, 3, 1)  # a Monday
WEEKS = 16
FAULTY_WEEK = FIRST + timedelta(days=7 * 14)
HOURS = np.array([9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
BUSY = np.array([4, 6, 8, 9, 8, 7, 8, 11, 14, 12, 5]) / 92


def make_shop(connection: duckdb.DuckDBPyConnection, buyers: int = 450, seed: int = 7) -> None:
    """Write `feed.sales` (receipt, item, buyer_id, till_id, sold_at, price, rebate, paid_by) and `feed.items`."""
    generator = np.random.default_rng(seed)
    items = pd.DataFrame({"item": np.arange(400), "family": [f"family {one % 12}" for one in range(400)]})
    usual_price = np.round(np.exp(generator.normal(1.0, 0.8, 400)), 2) + 0.05
    popularity = generator.gamma(0.7, size=400)
    popularity /= popularity.sum()
    home, pace = generator.integers(0, 24, buyers), generator.gamma(3.0, 0.6, buyers)
    counts = generator.poisson(np.repeat(pace, WEEKS).reshape(buyers, WEEKS))
    buyer = np.repeat(np.arange(buyers), counts.sum(axis=1))
    week = np.concatenate([np.repeat(np.arange(WEEKS), row) for row in counts])
    orders = len(buyer)
    day = week * 7 + generator.choice(7, orders, p=np.array([4, 4, 4, 4, 5, 7, 6]) / 34)
    second = generator.choice(HOURS, orders, p=BUSY) * 3600 + generator.integers(0, 3600, orders)
    till = np.where(generator.random(orders) < 0.85, home[buyer], generator.integers(0, 24, orders))
    size = 2 + generator.poisson(4, orders)
    line = np.repeat(np.arange(orders), size)
    item = generator.choice(400, len(line), p=popularity)
    sales = pd.DataFrame(
        {
            "receipt": line + 5_000_000,
            "item": item,
            "buyer_id": buyer[line],
            "till_id": till[line],
            "sold_at": pd.Timestamp(FIRST)
            + pd.to_timedelta(day[line], unit="D")
            + pd.to_timedelta(second[line], unit="s"),
            "price": np.round(usual_price[item] * generator.choice([1, 1, 1, 0.8], len(line)), 2),
            "rebate": np.where(generator.random(len(line)) < 0.3, np.round(usual_price[item] / 5, 2), 0.0),
            "paid_by": generator.choice(["card", "cash", "voucher"], len(line), p=[0.6, 0.37, 0.03]),
        }
    ).drop_duplicates(["receipt", "item"])
    connection.execute("create schema if not exists feed")
    for name, frame in (("sales", sales), ("items", items)):
        connection.register("made", frame)
        connection.execute(f"create or replace table feed.{name} as select * from made")
        connection.unregister("made")


def sources() -> list[TableSource]:
    return [
        TableSource(
            "feed/sales",
            {
                "receipt": "BIGINT",
                "item": "BIGINT",
                "buyer_id": "BIGINT",
                "till_id": "BIGINT",
                "sold_at": "TIMESTAMP",
                "price": "DOUBLE",
                "rebate": "DOUBLE",
                "paid_by": "VARCHAR",
            },
            keys=("receipt", "item"),
            time_sql="sold_at",
            time_column="sold_at",
            references=(Reference("item", "feed.items", "item"),),
        ),
        TableSource("feed/items", {"item": "BIGINT", "family": "VARCHAR"}, keys=("item",)),
    ]


def watch(connection: duckdb.DuckDBPyConnection, these: list[TableSource]) -> tuple[MonitoredTable, ...]:
    counted = []
    for source in these:
        rows = connection.execute(census_sql(source)).fetchall()
        counted.append(
            replace(
                source,
                rows=rows[0][3],
                distinct={row[0]: row[1] for row in rows},
                lives={row[0]: row[2] for row in rows if row[2] is not None},
            )
        )
    return monitored_tables(counted)


def measure(connection: duckdb.DuckDBPyConnection, tables, first: date, weeks: int) -> pd.DataFrame:
    parts = []
    for table in tables:
        spans = [(first, weeks)] if table.time_sql else [(first + timedelta(days=7 * k), 1) for k in range(weeks)]
        for start, count in spans:
            last = start + timedelta(days=7 * count - 1)
            parts += [connection.execute(sql).df() for sql in measure_sql(table, start, last)]
    profile = pd.concat(parts, ignore_index=True)
    return profile.assign(period_start=pd.to_datetime(profile["period_start"]))
