"""Loads a company's table into the warehouse, as far as the clock allows, and records until when it was read."""

import contextlib
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from resources import ingestions
from resources.clock import Clock
from resources.company.model import Company, RawTable
from resources.tables import bigquery, files
from resources.tables.errors import TableError
from resources.tables.land import Landed, Offer, land
from resources.tables.read import STAGED, Staged, staged
from resources.tables.times import event_column, instant, local_time, time_column
from resources.warehouse import DuckDBWarehouse, Warehouse, quoted
from resources.warehouse.bigquery import BigQueryWarehouse
from resources.warehouse.contents import contents_of

if TYPE_CHECKING:
    import duckdb

FILES = ("csv", "parquet", "duckdb")
"""Sources that are files: what they hold is as old as they are."""


@dataclass(frozen=True)
class Loaded:
    """What a load came to.

    `read_as_of` is the instant up to which the source is known. `newest` is the newest event by the shops' clock, None
    where the table has no time or no row. `hidden` rows lie after the clock; of `unreadable` ones the time cannot be
    read. `contents`: what the table holds by now, in short; empty on BigQuery, which bills for the reading.
    """

    landed: Landed
    read_as_of: datetime
    newest: datetime | None
    hidden: int
    unreadable: int
    contents: str = ""


@dataclass(frozen=True)
class _Seen:
    """What the times of a staged table are."""

    unreadable: int
    first_arrived: datetime | None


def load(warehouse: Warehouse, clock: Clock, company: Company, name: str, folder: Path) -> Loaded:
    """Load the company's table `name` into `raw.<name>`; paths of its source begin in `folder`.

    Where the clock stands earlier than now, only rows whose event was before it are there.

    Raises:
        TableError: the source cannot be read or is no longer what it was; the table stays as it was.
        WarehouseError: the warehouse cannot be written.
    """
    table, now = company.tables[name], clock.now()
    before = last_read(warehouse, name)
    if clock.stands and before is not None and now < before:
        raise TableError(
            name,
            f"expected a clock at or after {before.astimezone(now.tzinfo).isoformat()}, as of which it was last read, "
            f"but it says {now.isoformat()}. What was revealed cannot be hidden again: set the clock forward, or start "
            "anew with another BATON_HOME.",
        )
    if isinstance(warehouse, BigQueryWarehouse):
        return _to_bigquery(warehouse, clock, company, name, folder, now)
    if table.source.startswith("bigquery:") or not isinstance(warehouse, DuckDBWarehouse):
        raise TableError(
            name,
            f"expected the profile `production`, whose warehouse is BigQuery, for {table.source}, and this one has "
            "another. Set BATON_PROFILE, or name a file or a database.",
        )
    with staged(name, table, folder, Path(warehouse.path).parent) as read:
        return _to_duckdb(warehouse, clock, company, name, folder, read, now)


def last_read(warehouse: Warehouse, name: str) -> datetime | None:
    """Return the instant up to which a raw table is known; None where it was never loaded."""
    if not warehouse.exists(ingestions.SCHEMA, ingestions.TABLE):
        return None
    found = warehouse.read(
        f"select max(ingested_at) as at from {ingestions.SCHEMA}.{ingestions.TABLE} where stream = ?", [name]
    )["at"].iloc[0]
    return None if found != found else found.to_pydatetime()


def _to_bigquery(
    warehouse: BigQueryWarehouse, clock: Clock, company: Company, name: str, folder: Path, now: datetime
) -> Loaded:
    table = company.tables[name]
    kind, _, place = table.source.partition(":")
    with contextlib.ExitStack() as held:
        if kind == "bigquery":
            found = bigquery.there(warehouse, name, place)
        else:
            read = held.enter_context(staged(name, table, folder, Path(tempfile.gettempdir())))
            found = held.enter_context(bigquery.uploaded(warehouse, name, read))
        made = bigquery.land(warehouse, company, name, found, now, stands=clock.stands)
    as_of = now if clock.stands else _known_until(name, table, folder, made.newest, now, company.time.zone)
    ingestions.record(warehouse, name, as_of)
    return Loaded(made.landed, as_of, made.newest, made.hidden, made.unreadable)


def _to_duckdb(
    warehouse: DuckDBWarehouse, clock: Clock, company: Company, name: str, folder: Path, read: Staged, now: datetime
) -> Loaded:
    import duckdb

    table, zone = company.tables[name], company.time.zone
    event = _expression(company, name, read)
    arrived = _arrival(name, table, read, zone)
    with duckdb.connect(str(read.file), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        seen = _look(connection, name, company, read, event, arrived)
        shown = _shown(event, arrived, seen, now, zone) if clock.stands else "true"
        hidden, newest = connection.execute(
            f"select count(*) filter (not ({shown})), max({_finite(event, 'timestamp')}) filter ({shown}) from {STAGED}"
        ).fetchall()[0]
    day = f"cast({event} as date)" if event else "null::date"
    offer = Offer(name, read, day, arrived or "null", shown, now)
    as_of = now if clock.stands else _known_until(name, table, folder, newest, now, zone)
    with warehouse.connect(read_only=False) as connection:
        landed = land(connection, offer)
        ingestions.record_in(connection, [name], as_of)
        held = contents_of(connection, "raw", name)
    return Loaded(landed, as_of, newest, hidden, seen.unreadable, held)


def _expression(company: Company, name: str, read: Staged) -> str:
    """Return the SQL of a row's event time by the shops' clock; "" where the table has none."""
    column = event_column(company, name)
    if not column:
        return ""
    _expect(name, column, read, "time")
    return local_time(time_column(company, name, column), read.columns[column], company.time.zone)


def _arrival(name: str, table: RawTable, read: Staged, zone: str) -> str:
    """Return the SQL of the instant at which a row arrived; "" where nothing tells."""
    if not table.arrived:
        return ""
    column = table.arrived.lower()
    _expect(name, column, read, "arrived")
    return instant(column, read.columns[column], zone)


def _expect(name: str, column: str, read: Staged, field: str) -> None:
    if column not in read.columns:
        raise TableError(
            name,
            f"expected the column {column}, which company.toml names as its {field}, and it has "
            f"{', '.join(read.columns)}. Correct company.toml, or put the source right.",
        )


def _look(
    connection: "duckdb.DuckDBPyConnection", name: str, company: Company, read: Staged, event: str, arrived: str
) -> _Seen:
    """Look at all times of a staged table.

    Raises:
        TableError: none can be read.
    """
    table, column = company.tables[name], event_column(company, name)
    unreadable = 0
    for expression, told in ((event, column), (arrived, table.arrived.lower())):
        if not expression:
            continue
        stored = quoted(told)
        failed, given, example = connection.execute(
            f"select count(*) filter ({expression} is null and {stored} is not null), count({stored}), "
            f"any_value({stored}) filter ({expression} is null) from {STAGED}"
        ).fetchall()[0]
        if given and failed == given:
            read_as = time_column(company, name, told).format or "a time such as 2024-12-24 10:30:00"
            raise TableError(
                name,
                f"expected the column {told} to hold {read_as}, and none of {given:,} row(s) can be read so, such as "
                f"{example!r} ({read.columns[told]}). Write its `format` in company.toml, or leave it out there.",
            )
        unreadable += failed if expression is event else 0
    first = connection.execute(f"select min({_finite(arrived, 'timestamptz')}) from {STAGED}").fetchall()[0][0]
    return _Seen(unreadable, first)


def _finite(expression: str, kind: str) -> str:
    # Databases know the time "infinity", and Python does not.
    return f"(case when isfinite({expression}) then {expression} end)" if expression else f"null::{kind}"


def _shown(event: str, arrived: str, seen: _Seen, now: datetime, zone: str) -> str:
    """Return the condition under which a row is there at an instant that may lie in the past.

    Its event was before, and so was its arrival. What came on the first day of all arrivals is the history that was
    there: of it the event alone tells.
    """
    parts = []
    if event:
        local = now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        parts.append(f"coalesce({event} < timestamp '{local}', true)")
    if arrived and seen.first_arrived is not None:
        until = max(now, seen.first_arrived + timedelta(days=1))
        parts.append(f"coalesce({arrived} <= timestamptz '{until.isoformat()}', true)")
    return " and ".join(parts) or "true"


def _known_until(
    name: str, table: RawTable, folder: Path, newest: datetime | None, now: datetime, zone: str
) -> datetime:
    """Return the instant up to which a source is known: a file that was not written anew tells nothing of later days.

    A file's own time may be older than its rows, as after unpacking; then its newest row tells.
    """
    if table.source.partition(":")[0] not in FILES:
        return now
    written = datetime.fromtimestamp(files.changed_at(name, table, folder), UTC)
    return min(now, max(written, newest.replace(tzinfo=ZoneInfo(zone)))) if newest else min(now, written)
