"""Lands a table in the schema `raw` of BigQuery: one that is there already by SQL within it, any other as text first.

Each load makes the table anew, in one statement: rows that were there keep the instant at which they were first seen.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from resources.company import reading
from resources.company.model import Company
from resources.tables.errors import TableError
from resources.tables.land import SCHEMA, Landed, refuse_changes
from resources.tables.read import STAGED, Staged
from resources.tables.times import event_column, plain, time_column
from resources.warehouse.bigquery import BigQueryWarehouse
from resources.warehouse.bigquery.types import current_type
from resources.warehouse.contract import LOADED, quoted

KINDS: Mapping[str, str] = {
    "BOOLEAN": "BOOL",
    "DATE": "DATE",
    "TIMESTAMP": "DATETIME",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "FLOAT": "FLOAT64",
    "DOUBLE": "FLOAT64",
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"), "INT64"),
}
"""BigQuery's type of DuckDB's; a decimal is a number that fits, and anything else a text."""


@dataclass(frozen=True)
class Found:
    """A table within BigQuery: its name in SQL, the SQL of each column by its lower-case name, and the types."""

    relation: str
    reads: Mapping[str, str]
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Summary:
    """What a load came to: see `resources.tables.load.Loaded`."""

    landed: Landed
    newest: datetime | None
    hidden: int
    unreadable: int


def there(warehouse: BigQueryWarehouse, name: str, place: str) -> Found:
    """Return a table that is in BigQuery already, by `project.dataset.table`.

    Raises:
        TableError: it holds no row.
        WarehouseError: it is not there, or may not be read.
    """
    with warehouse.connect(f"looking for {place}", unchanged=f"raw.{name} stays as it was.") as client:
        table = client.get_table(place, **warehouse.asked())
    if table.table_type == "TABLE" and not table.num_rows:
        raise TableError(name, f"expected rows in bigquery:{place}, and it holds none. Put the source right.")
    return Found(
        f"`{place}`",
        {field.name.lower(): _q(field.name) for field in table.schema},
        {field.name.lower(): current_type(field.field_type) for field in table.schema},
    )


@contextmanager
def uploaded(warehouse: BigQueryWarehouse, name: str, read: Staged) -> Iterator[Found]:
    """Write what was read to a table of texts, which is gone afterwards."""
    import duckdb

    waiting = f"_loading_{name}"
    texts = ", ".join(f"cast({quoted(column)} as varchar) as c{number}" for number, column in enumerate(read.columns))
    with duckdb.connect(str(read.file), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        frame = connection.execute(f"select {texts} from {STAGED}").fetchdf()
    kinds = {column: _kind(kind) for column, kind in read.columns.items()}
    try:
        warehouse.replace_table(SCHEMA, waiting, frame)
        yield Found(
            f"{SCHEMA}.{_q(waiting)}",
            {column: f"cast(c{number} as {kinds[column]})" for number, column in enumerate(read.columns)},
            kinds,
        )
    finally:
        warehouse.drop_table(SCHEMA, waiting)


def land(
    warehouse: BigQueryWarehouse, company: Company, name: str, found: Found, at: datetime, *, stands: bool
) -> Summary:
    """Bring `raw.<name>` to what was found; where the clock `stands`, only rows from before `at` are there.

    Raises:
        TableError: a column that company.toml names is not there, or one is gone or changed its type.
        WarehouseError: BigQuery refuses. The table stays as it was.
    """
    zone, table = company.time.zone, company.tables[name]
    event = event_column(company, name)
    for field, column in (("time", event), ("arrived", table.arrived.lower())):
        if column and column not in found.columns:
            raise TableError(
                name,
                f"expected the column {column}, which company.toml names as its {field}, and it has "
                f"{', '.join(found.columns)}. Correct company.toml, or put the source right.",
            )
    with warehouse.connect(f"making the dataset {SCHEMA}") as client:
        warehouse.ensure_dataset(client, SCHEMA)
    had = warehouse.shapes([SCHEMA]).get((SCHEMA, name))
    refuse_changes(name, had.columns if had else {}, found.columns)
    local = reading.local_time(time_column(company, name, event), zone, "bigquery") if event else "null"
    local = f"cast({local} as datetime)"
    arrived = reading.local_time(plain(table.arrived.lower()), zone, "bigquery") if table.arrived else ""
    loaded_at = f"timestamp({arrived}, '{zone}')" if arrived else "cast(null as timestamp)"
    offered = _offered(found, local, loaded_at)
    shown = _shown(at, zone) if stands else "true"
    seen = warehouse.read(
        f"select countif({shown}) as n, countif(not ({shown})) as hidden, countif(_event is null) as unread, "
        f"cast(max(if({shown}, _event, null)) as string) as newest from ({offered})"
    ).iloc[0]
    columns = ", ".join(map(_q, found.columns))
    relation = f"{SCHEMA}.{_q(name)}"
    kept = (
        f"select to_json_string(struct({', '.join(_or_null(had.columns, one) for one in found.columns)})) as _row, "
        f"{LOADED} from {relation}"
        if had
        else f"select '' as _row, cast(null as timestamp) as {LOADED} limit 0"
    )
    numbered = "row_number() over (partition by _row order by {}) as _number"
    instant = f"timestamp '{at.astimezone(UTC).strftime('%Y-%m-%d %H:%M:%S.%f')}+00'"
    joined = (
        f"from (select *, {numbered.format('_arrived')} from ({offered}) where {shown}) as offered "
        f"left join (select *, {numbered.format(LOADED)} from ({kept})) as kept using (_row, _number)"
    )
    came = int(warehouse.read(f"select countif(kept.{LOADED} is null) as n {joined}")["n"].iloc[0])
    warehouse.execute(
        f"create or replace table {relation} as select {columns}, "
        f"coalesce(kept.{LOADED}, offered._arrived, {instant}) as {LOADED} {joined}",
        unchanged=f"raw.{name} stays as it was.",
    )
    rows, before = int(seen["n"]), (had.rows or 0) if had else 0
    return Summary(
        Landed(rows, {**found.columns, LOADED: "TIMESTAMP"}, came, before + came - rows),
        datetime.fromisoformat(seen["newest"]) if isinstance(seen["newest"], str) else None,
        int(seen["hidden"]),
        int(seen["unread"]) if event else 0,
    )


def _offered(found: Found, local: str, loaded_at: str) -> str:
    """Return the select of what was found: its columns, `_row` (its text), `_event` and `_arrived`."""
    reads = ", ".join(f"{sql} as {_q(column)}" for column, sql in found.reads.items())
    struct = ", ".join(map(_q, found.columns))
    return (
        f"select *, to_json_string(struct({struct})) as _row, {local} as _event, {loaded_at} as _arrived "
        f"from (select {reads} from {found.relation})"
    )


def _shown(at: datetime, zone: str) -> str:
    """Return the condition under which a row was there at an instant that may lie in the past."""
    local = at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")
    return f"(_event is null or _event < datetime '{local}')"


def _or_null(columns: Mapping[str, str], column: str) -> str:
    # A column that is new has no value in the rows that were there.
    return _q(column) if column in columns else f"null as {_q(column)}"


def _kind(kind: str) -> str:
    if kind.startswith("DECIMAL("):
        digits, _, decimals = kind[len("DECIMAL(") : -1].partition(",")
        return "NUMERIC" if int(decimals) <= 9 and int(digits) - int(decimals) <= 29 else "BIGNUMERIC"
    return KINDS.get(kind, "STRING")


def _q(name: str) -> Any:
    return reading.quoted(name, "bigquery")
