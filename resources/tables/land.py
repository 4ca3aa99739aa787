"""Lands a table that was read in the schema `raw` of the DuckDB warehouse: only rows that changed, in one transaction.

A digest of each day finds the days that are others now. Within them rows are compared one by one, so that a row which
stays keeps the instant at which it was first seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from resources.tables.errors import TableError
from resources.tables.files import text
from resources.tables.read import STAGED, Staged, columns_of
from resources.warehouse import all_or_nothing, quoted
from resources.warehouse.contract import LOADED

if TYPE_CHECKING:
    import duckdb

SCHEMA = "raw"


@dataclass(frozen=True)
class Offer:
    """What is to land as `raw.<name>`.

    `day` and `loaded_at` are SQL over the staged columns: the day by which rows are digested, and the instant at which
    a row arrived, which is `at` where it is null. `shown` is the condition under which a row is there already.
    """

    name: str
    staged: Staged
    day: str
    loaded_at: str
    shown: str
    at: datetime


@dataclass(frozen=True)
class Landed:
    """What a load did: the table's rows and columns (name: type), and the rows that came and went."""

    rows: int
    columns: dict[str, str]
    came: int
    went: int


def land(connection: "duckdb.DuckDBPyConnection", offer: Offer) -> Landed:
    """Bring `raw.<name>` to what was read, on an open warehouse; rows that are there already stay as they are.

    Raises:
        TableError: a column that the table has is gone, or changed its type. Nothing was changed.
    """
    target, offered = f"{SCHEMA}.{quoted(offer.name)}", offer.staged.columns
    connection.execute("set timezone = 'UTC'")
    had = columns_of(connection, target) if _exists(connection, offer.name) else {}
    refuse_changes(offer.name, had, offered)
    connection.execute(f"attach {text(str(offer.staged.file))} as _loading (read_only)")
    try:
        with all_or_nothing(connection):
            _prepare(connection, target, had, offered)
            came, went = _exchange(connection, target, offer)
            rows = _count(connection, target)
    finally:
        connection.execute("detach _loading")
    return Landed(rows, columns_of(connection, target), came, went)


def refuse_changes(name: str, had: Mapping[str, str], offered: Mapping[str, str]) -> None:
    """Refuse a table that lost a column, or in which one has another type than `raw.<name>` has."""
    for column, kind in had.items():
        if column != LOADED and offered.get(column) != kind:
            now = f"it is {offered[column]} now" if column in offered else "it is gone"
            there = ", ".join(offered)
            raise TableError(
                name,
                f"expected the column {column} as {kind}, as the load before, but {now} (there are {there}). Put the "
                f"source right; if the change is meant, drop raw.{name} and load it anew.",
            )


def _prepare(
    connection: "duckdb.DuckDBPyConnection", target: str, had: Mapping[str, str], offered: Mapping[str, str]
) -> None:
    """Make the table, or give it the columns that are new."""
    connection.execute(f"create schema if not exists {SCHEMA}")
    types = ", ".join(f"{quoted(column)} {kind}" for column, kind in offered.items())
    connection.execute(f"create table if not exists {target} ({types}, {quoted(LOADED)} timestamp with time zone)")
    for column, kind in offered.items():
        if had and column not in had:
            connection.execute(f"alter table {target} add column {quoted(column)} {kind}")


def _exchange(connection: "duckdb.DuckDBPyConnection", target: str, offer: Offer) -> tuple[int, int]:
    """Put in the rows that are new, take out those that are gone; return how many."""
    names = ", ".join(map(quoted, offer.staged.columns))
    staged = f"(select {names} from _loading.{STAGED} where {offer.shown})"
    # Of a row without a day too; `in` finds no null.
    day = f"coalesce({offer.day}, date '0001-01-01')"
    digest = f"select {day} as _of_day, count(*) as _rows, sum(hash({names})::hugeint) as _digest from"
    connection.execute(
        "create or replace temp table _changed_days as select _of_day "
        f"from ({digest} {staged} group by 1) a full join ({digest} {target} group by 1) b using (_of_day) "
        "where a._rows is distinct from b._rows or a._digest is distinct from b._digest"
    )
    changed = f"{day} in (select _of_day from _changed_days)"
    # Equal rows are told apart by their number: of three, two may stay.
    number = f"hash({names}) as _row, row_number() over (partition by hash({names})) as _number"
    connection.execute(
        f"create or replace temp table _had as select rowid as _id, {number} from {target} where {changed}"
    )
    connection.execute(
        "create or replace temp table _new as "
        f"select * from (select {names}, {number} from {staged} where {changed}) as offered "
        "anti join _had using (_row, _number)"
    )
    connection.execute(
        "create or replace temp table _gone as select _id from _had anti join "
        f"(select {number} from {staged} where {changed}) as offered using (_row, _number)"
    )
    connection.execute(f"delete from {target} where rowid in (select _id from _gone)")
    connection.execute(
        f"insert into {target} ({names}, {quoted(LOADED)}) "
        f"select {names}, coalesce({offer.loaded_at}, ?::timestamptz) from _new",
        [offer.at],
    )
    counts = _count(connection, "_new"), _count(connection, "_gone")
    for one in ("_changed_days", "_had", "_new", "_gone"):
        connection.execute(f"drop table {one}")
    return counts


def _exists(connection: "duckdb.DuckDBPyConnection", name: str) -> bool:
    asked = "select 1 from information_schema.tables where table_schema = ? and table_name = ?"
    return connection.execute(asked, [SCHEMA, name]).fetchone() is not None


def _count(connection: "duckdb.DuckDBPyConnection", table: str) -> int:
    found = connection.execute(f"select count(*) from {table}").fetchone()
    return int(found[0]) if found else 0
