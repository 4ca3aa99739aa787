"""A finished home's raw tables with many times the customers, and what each table weighs; `scale` measures on them."""

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from resources.warehouse.duckdb import open_duckdb
from steps.shop_time import time_zone

if TYPE_CHECKING:
    import duckdb

RENUMBERED = ("household_id", "basket_id")
"""Customers and orders, as the raw tables name them: what a copy has numbers of its own for."""

EVENTS, EVENT_TIME = "transactions", "transaction_timestamp"
"""What arrives week by week, and when it happened, in UTC."""


class ScaleError(RuntimeError):
    """Scaling cannot begin or go on; the message says why and what to do."""


def replicate(source: Path, folder: Path, factor: int) -> dict[str, Any]:
    """Copy the raw tables `factor` times into a new warehouse, without the newest week's events; return the lines.

    The copy numbered 0 is the original. Tables without customers or orders (products, campaigns, coupons) stay as they
    are: a shop with more customers sells the same things. The held-back week waits in the schema `waiting`.
    """
    shutil.copyfile(source / "mlflow.db", folder / "mlflow.db")
    target = folder / "warehouse.duckdb"
    for leftover in (target, folder / "warehouse.duckdb.wal"):
        leftover.unlink(missing_ok=True)
    with open_duckdb(str(target)) as connection:
        connection.execute("set memory_limit = '2GB'; set preserve_insertion_order = false")
        path = str(source / "warehouse.duckdb").replace("'", "''")
        connection.execute(f"attach '{path}' as origin (read_only)")
        connection.execute("create schema raw; create schema waiting")
        held_from = _instant(newest_cutoff(connection, "origin") - timedelta(days=7))
        tables = connection.execute(
            "select table_name from duckdb_tables() where database_name = 'origin' and schema_name = 'raw' order by 1"
        ).fetchall()
        for (name,) in tables:
            connection.execute(f'create table raw."{name}" as select * from origin.raw."{name}" limit 0')
            if name == EVENTS:
                connection.execute(f'create table waiting."{name}" as select * from origin.raw."{name}" limit 0')
            for copy in range(factor):
                rows = copied(connection, name, copy)
                if not rows:
                    continue
                if name == EVENTS:
                    connection.execute(f'insert into raw."{name}" {rows} where {EVENT_TIME} < {held_from}')
                    connection.execute(f'insert into waiting."{name}" {rows} where {EVENT_TIME} >= {held_from}')
                else:
                    connection.execute(f'insert into raw."{name}" {rows}')
        counted = connection.execute(
            f"select (select count(*) from raw.{EVENTS}) as lines, (select count(*) from waiting.{EVENTS}) as waiting"
        ).fetchone()
    return dict(zip(("lines", "lines_waiting"), counted or (0, 0), strict=True))


def copied(connection: "duckdb.DuckDBPyConnection", table: str, copy: int) -> str:
    """Return the query of one copy of a raw table of `origin`; empty where further copies have nothing of their own.

    Numbers are moved by a power of ten above the largest, so the same copy number is the same customer in every table.
    """
    relation = f'origin.raw."{table}"'
    columns = {row[0] for row in connection.execute(f"describe {relation}").fetchall()}
    renumbered = [name for name in RENUMBERED if name in columns]
    if not copy:
        return f"select * from {relation}"
    if not renumbered:
        return ""
    changes = [f"{name} + {copy * _step(connection, name)} as {name}" for name in renumbered]
    if "_airbyte_raw_id" in columns:
        changes.append(f"_airbyte_raw_id || '-{copy}' as _airbyte_raw_id")
    return f"select * replace ({', '.join(changes)}) from {relation}"


def deliver(folder: Path) -> dict[str, Any]:
    """Land the week that waits, as a sync would; nothing if it was landed before."""
    with open_duckdb(str(folder / "warehouse.duckdb")) as connection:
        connection.execute("set memory_limit = '2GB'")
        if not connection.execute("select 1 from duckdb_schemas() where schema_name = 'waiting'").fetchone():
            return {"lines": 0}
        found = connection.execute(f"select count(*) from waiting.{EVENTS}").fetchone()
        connection.execute("begin")
        connection.execute(f"insert into raw.{EVENTS} select * from waiting.{EVENTS}")
        connection.execute("drop schema waiting cascade")
        connection.execute("commit")
    return {"lines": found[0] if found else 0}


def newest_cutoff(connection: "duckdb.DuckDBPyConnection", database: str) -> date:
    """Return the newest cutoff that a finished home knows.

    Raises:
        ScaleError: it knows none.
    """
    found = connection.execute(f"select max(cutoff_date) from {database}.features.cutoffs").fetchone()
    if not found or found[0] is None:
        raise ScaleError("Expected a home with cutoffs, and features.cutoffs is empty. Run `make run` first.")
    newest: date = found[0]
    return newest


def _instant(day: date) -> str:
    """Return midnight of a day in the shops, as the source writes it: in UTC, without a zone."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone())).astimezone(UTC)
    return f"timestamp '{midnight:%Y-%m-%d %H:%M:%S}'"


def _step(connection: "duckdb.DuckDBPyConnection", column: str) -> int:
    found = connection.execute(f"select max({column}) from origin.raw.{EVENTS}").fetchone()
    return int(10 ** len(str(found[0] if found else 0)))


WEIGHTS = {
    **dict.fromkeys(("BIGINT", "INTEGER", "DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"), 8),
    "BOOLEAN": 1,
}
"""Logical bytes of a value in BigQuery, by its type here; a text has two more than its letters, a null has none."""


def weights(warehouse: Path) -> list[str]:
    """Return a line a table: rows, and logical bytes of a row, as BigQuery bills them.

    Raises:
        ScaleError: there is no such warehouse.
    """
    if not warehouse.exists():
        raise ScaleError(f"Expected a warehouse at {warehouse}, and there is none. Run `make run` first.")
    lines = [f"{'table':34s}{'rows':>12s}{'bytes a row':>14s}"]
    with open_duckdb(str(warehouse), read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables() order by 1, 2").fetchall()
        for schema, name in tables:
            relation = f'"{schema}"."{name}"'
            kinds = connection.execute(f"select column_name, column_type from (describe {relation})").fetchall()
            parts = [
                f'{WEIGHTS[kind]} * count("{column}")'
                if kind in WEIGHTS
                else f'coalesce(sum(2 + strlen(cast("{column}" as varchar))), 0)'
                for column, kind in kinds
            ]
            found = connection.execute(f"select count(*), {' + '.join(parts)} from {relation}").fetchone()
            if found and found[0] and not name.startswith("_"):
                lines.append(f"{schema + '.' + name:34s}{found[0]:12,d}{found[1] / found[0]:14.1f}")
    return lines
