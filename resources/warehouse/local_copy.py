"""The local copy: a DuckDB file on this machine with what the weekly judgement measures and replays.

Here belongs how it is made and kept up to date, whatever warehouse it is a copy of; what it asks of that warehouse is
`contract.Source`.

A refresh copies what changed and nothing else. Descriptions of tables are free, and tell whether there is anything to
read. What Airbyte lands carries the instant of its extraction: of it only those days of extraction are copied whose
rows are others now (more, fewer, or rewritten under another instant). Of order lines only those days are copied whose
digest, which the source computes of all values, is another one. Everything else is small, and is copied whole.

One table is one transaction, together with the note of what was copied: a refresh that is killed leaves each table as
it was or as it is now, and the next refresh goes on from there.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

from resources.warehouse.contract import (
    EXTRACTED,
    JUDGED_CUSTOMERS,
    LOADED,
    POPULATION,
    LocalWarehouse,
    Source,
    SourceTable,
    arrival_of,
    quoted,
    share_within,
)
from resources.warehouse.duckdb import DuckDBWarehouse, all_or_nothing

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

COPIED = {
    ("staging", "stg_order_lines"): "ordered_on",
    ("staging", "stg_products"): "",
    ("marts", "order_lines"): "ordered_on",
}
"""What is measured beside the raw tables, and the day of a row where there are many ("": copied whole).

A sandbox builds everything else from these raw tables itself.
"""

SPANS = 200
"""A day here and a day there: with more pieces than this the whole table is read, as one statement would get long."""

INSERTED_ROWS = 100_000
"""Small batches wait until they are so many rows: an insert has its price."""

FORMER = "mirror.duckdb"
"""What the copy was called in former days."""


class _Copy(NamedTuple):
    """What the copy holds of a table."""

    columns: Mapping[str, str]
    changed: str
    made: str
    share: float


class _Days(NamedTuple):
    """The days of a table's rows by `column`, and for each a text that is another one when its rows are."""

    column: str
    states: Mapping[date, str]


@dataclass(frozen=True)
class LocalCopy:
    """The DuckDB file of a local copy, and whose rows it holds.

    `entity_columns` are the names that the customer goes by, in raw tables and in models. Above `most_customers` at the
    newest cutoff, tables with such a column are copied for a share of the customers only, the same ones everywhere.
    `wait_seconds` is how long to wait for another process to let go of the file.

    It is a cache: whoever deletes it has it copied anew. A file of the name that it had in former days (`FORMER`) is
    deleted from the same folder as soon as the copy is there.
    """

    path: str
    entity_columns: Sequence[str] = ("customer_id",)
    most_customers: int = JUDGED_CUSTOMERS
    wait_seconds: float = 600.0

    def refreshed(self, source: Source) -> DuckDBWarehouse:
        """Bring the copy to where the source is, and return it.

        Raises:
            WarehouseError: the source cannot be read, or the file not written. Tables that were not reached are as
                they were.
        """
        file = _Refresh(self, source).done()
        for name in {FORMER, f"{FORMER}.wal"} - {Path(self.path).name}:
            Path(self.path).with_name(name).unlink(missing_ok=True)
        return file


@dataclass(frozen=True)
class _Refresh:
    """One refresh of a copy from its source."""

    copy: LocalCopy
    source: Source

    def done(self) -> DuckDBWarehouse:
        file = DuckDBWarehouse(path=self.copy.path, wait_seconds=self.copy.wait_seconds)
        tables = self._tables()
        population = self.source.describe(*POPULATION)
        if file.exists("copied", "tables"):
            with file.connect() as connection:
                copies, (share, counted) = _copies(connection), _sample(connection)
            settled = population is None or (population.changed and population.changed == counted)
            share = share or 1.0
            if (
                settled
                and set(copies) == set(tables)
                and not any(self._outdated(table, copies.get(name), share) for name, table in tables.items())
            ):
                # Nobody who reads the copy at the moment has to be waited for.
                return file
        with file.connect(read_only=False) as connection:
            connection.execute("set timezone = 'UTC'; set preserve_insertion_order = false")
            _ensure_notes(connection)
            share = self._settled_share(connection, population)
            copies = _copies(connection)
            for name in copies.keys() - tables.keys():
                _drop(connection, name)
                _log().info(f"local copy: {'.'.join(name)} is gone")
            for name, table in tables.items():
                if self._outdated(table, copies.get(name), share):
                    self._copy(connection, name, table, copies.get(name), share)
        return file

    def _tables(self) -> dict[tuple[str, str], SourceTable]:
        # As the sandbox: what begins with an underscore is the loader's own.
        names = [("raw", table) for table in sorted(self.source.tables("raw")) if not table.startswith("_")]
        described = {name: self.source.describe(*name) for name in [*names, *COPIED]}
        return {name: table for name, table in described.items() if table is not None}

    def _settled_share(self, connection: "duckdb.DuckDBPyConnection", population: SourceTable | None) -> float:
        """Return the share of customers that is copied, counting them anew if they may be others."""
        decided, counted = _sample(connection)
        if population is None or (population.changed and population.changed == counted):
            return decided or 1.0
        newest = self.source.read(f"select max(cutoff_date) as newest from {'.'.join(POPULATION)}")["newest"].iloc[0]
        there = 0
        if newest == newest:
            sql = f"select count(*) as n from {'.'.join(POPULATION)} where cutoff_date = ?"
            there = int(self.source.read(sql, [newest.date()])["n"].iloc[0])
        needed = share_within(there, self.copy.most_customers)
        # Up to twice as many are kept: who is near the limit would change sides week by week.
        settled = decided if decided and needed <= decided <= 2 * needed else needed
        if settled != (decided or 1.0):
            _log().warning(
                f"local copy: {there:,} customers, so one in {1 / settled:.0f} is measured and replayed from now on, "
                f"not one in {1 / (decided or 1.0):.0f}; what names customers is copied again"
            )
        connection.execute("delete from copied.sample")
        connection.execute("insert into copied.sample values (?, ?, ?)", [settled, there, population.changed])
        return settled

    def _entity(self, table: SourceTable) -> str | None:
        return next((name for name in self.copy.entity_columns if name in table.columns), None)

    def _outdated(self, table: SourceTable, copy: _Copy | None, share: float) -> bool:
        share = share if self._entity(table) else 1.0
        return not table.changed or copy != (table.columns, table.changed, table.made, share)

    def _copy(
        self,
        connection: "duckdb.DuckDBPyConnection",
        name: tuple[str, str],
        table: SourceTable,
        copy: _Copy | None,
        share: float,
    ) -> None:
        """Copy a table, or those days that are others now; in one transaction."""
        entity = self._entity(table)
        share = share if entity else 1.0
        where, parameters = "true", list[Any]()
        if entity and share < 1:
            # A row that names nobody has no hash, and must not escape who looks for nulls.
            value = table.reads[entity]
            where = f"({value} is null or {self.source.sampled(value, share)})"
        alike = copy is not None and (copy.columns, copy.made, copy.share) == (table.columns, table.made, share)
        # Asked before the rows are: a day that changes in between is another one again at the next refresh.
        days = self._days(name, table, where)
        spans = _other_spans(_kept_days(connection, name), days) if alike and days else None
        target = f"{quoted(name[0])}.{quoted(name[1])}"
        rows = 0
        with all_or_nothing(connection):
            if spans is None:
                columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in table.columns.items())
                connection.execute(f"create schema if not exists {quoted(name[0])}")
                connection.execute(f"create or replace table {target} ({columns})")
            elif spans and days:
                parameters = [bound for span in spans for bound in span]
                connection.execute(f"delete from {target} where {_within(days.column, spans)}", parameters)
                where = f"{where} and ({_within(table.reads[days.column], spans)})"
            if spans is None or spans:
                statement = f"select {', '.join(table.reads.values())} from {name[0]}.{name[1]} where {where}"
                rows = insert_batches(
                    connection, target, table.columns, self.source.arrow_batches(statement, parameters)
                )
            note = [*name, json.dumps(table.columns), table.changed, table.made, share, rows, datetime.now(UTC)]
            connection.execute("delete from copied.tables where schema_name = ? and table_name = ?", list(name))
            connection.execute(f"insert into copied.tables values ({', '.join('?' for _ in note)})", note)
            _keep_days(connection, name, days)
        what = "whole" if spans is None else f"{sum((end - begin).days for begin, end in spans)} day(s)"
        _log().info(f"local copy: {rows:,} rows of {'.'.join(name)} copied ({what})")

    def _days(self, name: tuple[str, str], table: SourceTable, where: str) -> _Days | None:
        """Return the state of each day of a table in the source (of extraction: UTC); None where days cannot tell."""
        if table.columns.get(column := arrival_of(table.columns)) == "TIMESTAMP WITH TIME ZONE":
            value = table.reads[column]
            day, state = f"cast({value} as date)", f"min({value}) as oldest, max({value}) as newest"
        elif table.columns.get(column := COPIED.get(name, "")) == "DATE":
            day, state = table.reads[column], f"{self.source.digest_of(list(table.reads.values()))} as digest"
        else:
            return None
        found = self.source.read(
            f"select {day} as of_day, count(*) as n, {state} from {name[0]}.{name[1]} where {where} group by 1"
        )
        if found["of_day"].isna().any():
            return None
        rows = found.itertuples(index=False)
        return _Days(column, {_date(row[0]): " ".join(map(str, row[1:])) for row in rows})


Span = tuple[date, date]
"""From a day, or an instant, on; up to and without another."""


def _other_spans(before: Mapping[date, str], now: _Days) -> list[Span] | None:
    """Return the days whose rows are others; None: better copy all."""
    if not set(before) & set(now.states):
        return None
    days = sorted(day for day in {*before, *now.states} if before.get(day) != now.states.get(day))
    spans: list[Span] = []
    for day in days:
        begin = spans.pop()[0] if spans and spans[-1][1] == day else day
        spans.append((begin, day + timedelta(days=1)))
    if now.column in (EXTRACTED, LOADED):
        spans = [(_midnight(begin), _midnight(end)) for begin, end in spans]
    return spans if len(spans) <= SPANS else None


def _date(day: Any) -> date:
    # A DATE arrives as a Timestamp of pandas from one engine and as a date from another.
    return day.date() if isinstance(day, datetime) else day


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _within(column: str, spans: Sequence[Span]) -> str:
    # Bounds on the column itself: the source need not read partitions outside of them.
    return " or ".join(f"({column} >= ? and {column} < ?)" for _ in spans)


def insert_batches(
    connection: "duckdb.DuckDBPyConnection",
    target: str,
    columns: Mapping[str, str],
    batches: "Iterator[pa.RecordBatch]",
) -> int:
    """Insert what comes, the columns in this order (name: DuckDB's type); return how many rows came."""
    import pyarrow as pa

    names = ", ".join(map(quoted, columns))
    values = ", ".join(f"cast(c{number} as {kind})" for number, kind in enumerate(columns.values()))
    waiting: list[pa.RecordBatch] = []
    rows = 0

    def put() -> None:
        offered = pa.Table.from_batches(waiting)
        connection.register("_offered", offered.rename_columns([f"c{number}" for number in range(offered.num_columns)]))
        connection.execute(f"insert into {target} ({names}) select {values} from _offered")
        connection.unregister("_offered")
        waiting.clear()

    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        if sum(one.num_rows for one in waiting) >= INSERTED_ROWS:
            put()
    if waiting:
        put()
    return rows


def share_of(file: LocalWarehouse) -> float:
    """Return the share of customers that a file holds: 1 unless it is the copy of a large warehouse."""
    if not file.exists("copied", "sample"):
        return 1.0
    with file.connect() as connection:
        return _sample(connection)[0] or 1.0


def _ensure_notes(connection: "duckdb.DuckDBPyConnection") -> None:
    connection.execute(
        "create schema if not exists copied; create table if not exists copied.tables (schema_name varchar, "
        "table_name varchar, columns varchar, changed varchar, made varchar, share double, rows_read bigint, "
        "copied_at timestamp with time zone); "
        "create table if not exists copied.sample (share double, customers bigint, counted varchar); "
        "create table if not exists copied.days (schema_name varchar, table_name varchar, of_day date, state varchar)"
    )


def _copies(connection: "duckdb.DuckDBPyConnection") -> dict[tuple[str, str], _Copy]:
    found = connection.execute("select schema_name, table_name, columns, changed, made, share from copied.tables")
    return {(row[0], row[1]): _Copy(json.loads(row[2]), *row[3:]) for row in found.fetchall()}


def _kept_days(connection: "duckdb.DuckDBPyConnection", name: tuple[str, str]) -> dict[date, str]:
    """Return the states of a table's days when they were copied."""
    kept = "select of_day, state from copied.days where schema_name = ? and table_name = ?"
    return dict(connection.execute(kept, list(name)).fetchall())


def _keep_days(connection: "duckdb.DuckDBPyConnection", name: tuple[str, str], days: _Days | None) -> None:
    connection.execute("delete from copied.days where schema_name = ? and table_name = ?", list(name))
    if days and days.states:
        rows = [[*name, day, state] for day, state in days.states.items()]
        connection.executemany("insert into copied.days values (?, ?, ?, ?)", rows)


def _sample(connection: "duckdb.DuckDBPyConnection") -> tuple[float | None, str]:
    """Return the share of customers that is copied, if decided, and the state of the table they were counted in."""
    found = connection.execute("select share, counted from copied.sample").fetchone()
    return (found[0], found[1]) if found else (None, "")


def _drop(connection: "duckdb.DuckDBPyConnection", name: tuple[str, str]) -> None:
    with all_or_nothing(connection):
        connection.execute(f"drop table if exists {quoted(name[0])}.{quoted(name[1])}")
        connection.execute("delete from copied.tables where schema_name = ? and table_name = ?", list(name))
        _keep_days(connection, name, None)


def _log() -> Any:
    return dg.get_dagster_logger("local copy")
