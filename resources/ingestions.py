"""Until when each stream was read: `raw.ingestions`, one row a raw table, written by every load that succeeded.

A day is over when ingestion has passed it, whether or not somebody bought. The spine of cutoffs asks this table.
"""

from datetime import date, datetime
from typing import TYPE_CHECKING

from resources.warehouse import all_or_nothing
from resources.warehouse.contract import Warehouse

if TYPE_CHECKING:
    import duckdb

SCHEMA, TABLE = "raw", "ingestions"
COLUMNS = {"stream": "varchar", "ingested_at": "timestamp with time zone"}
"""`stream`: the name of the raw table. `ingested_at`: the instant as of which its newest successful load read."""


def record(warehouse: Warehouse, stream: str, at: datetime) -> None:
    """Note that a load of the raw table `stream` succeeded, which read as of `at` (an instant with a zone)."""
    import pandas as pd

    warehouse.create_table(SCHEMA, TABLE, COLUMNS)
    row = pd.DataFrame({"stream": [stream], "ingested_at": [pd.Timestamp(at).tz_convert("UTC").as_unit("us")]})
    warehouse.replace_partitions(SCHEMA, TABLE, row, column="stream", values=[stream])


def record_in(connection: "duckdb.DuckDBPyConnection", streams: list[str], at: datetime) -> None:
    """Do as `record` for several raw tables on an open connection, in one transaction."""
    name = f"{SCHEMA}.{TABLE}"
    connection.execute(f"create table if not exists {name} (stream varchar, ingested_at timestamp with time zone)")
    with all_or_nothing(connection):
        connection.execute(f"delete from {name} where list_contains(?, stream)", [streams])
        connection.executemany(f"insert into {name} values (?, ?)", [[stream, at] for stream in streams])


def rows_as_of(database: str, there: bool, morning: date | None, zone: str) -> str:
    """Return the SQL of the table in an attached DuckDB `database`, as on a `morning` in `zone` (None: as it is).

    `there`: whether the database has the table; otherwise there are no rows.
    """
    at = f"least(ingested_at, timezone('{zone}', timestamp '{morning}'))" if morning else "ingested_at"
    source = f"{database}.{SCHEMA}.{TABLE}" if there else "(select '' as stream, now() as ingested_at) limit 0"
    return f"select stream, {at} as ingested_at from {source}"
