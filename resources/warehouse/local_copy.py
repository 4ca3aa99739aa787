"""A DuckDB file on this machine that holds what the weekly judgement measures and replays of a warehouse elsewhere.

A refresh copies what changed and nothing else. Descriptions of tables are free, and tell whether there is anything to
read. What Airbyte lands carries the instant of its extraction: of it only those days of extraction are copied whose
rows are others now (more, fewer, or rewritten under another instant). Of order lines only those days are copied whose
digest, which the origin computes of all values, is another one. Everything else is small, and is copied whole.

One table is one transaction, together with the note of what was copied: a refresh that is killed leaves each table as
it was or as it is now, and the next refresh goes on from there.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import dagster as dg

from resources.warehouse.duckdb import JUDGED_CUSTOMERS, POPULATION, DuckDBWarehouse, quoted, share_within

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

MIRRORED = {
    ("staging", "stg_order_lines"): "ordered_on",
    ("staging", "stg_products"): "",
    ("marts", "order_lines"): "ordered_on",
}
"""What is measured beside the raw tables, and the day of a row where there are many ("": copied whole).

A sandbox builds everything else from these raw tables itself.
"""

EXTRACTED = "_airbyte_extracted_at"

SPANS = 200
"""A day here and a day there: with more pieces than this the whole table is read, as one statement would get long."""

INSERTED_ROWS = 100_000
"""Small batches wait until they are so many rows: an insert has its price."""


class Source(NamedTuple):
    """A table of the origin, as its description has it.

    `columns` is DuckDB's type of each column, `reads` the origin's SQL for its value. `changed` is another text
    whenever rows may be others; "" where the origin cannot tell. `made` is another text when the table was made anew.
    """

    columns: Mapping[str, str]
    reads: Mapping[str, str]
    changed: str
    made: str


class Origin(Protocol):
    """The warehouse that is mirrored."""

    def tables(self, schema: str) -> list[str]:
        """Return the names of a schema's tables and views; none if it is not there."""

    def describe(self, schema: str, table: str) -> Source | None:
        """Return a table's description, at no charge; None if it is not there."""

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> "pd.DataFrame":
        """Return the rows of a query."""

    def arrow_batches(self, sql: str, parameters: Sequence[Any] = ()) -> "Iterator[pa.RecordBatch]":
        """Yield the rows of a query as they come."""

    def sampled(self, column: str, share: float) -> str:
        """Return the condition that a share of a column's values meet."""

    def digest_of(self, values: Sequence[str]) -> str:
        """Return the SQL of an aggregate over rows, in any order, that is another one when a value is."""


class _Copy(NamedTuple):
    """What the mirror holds of a table."""

    columns: Mapping[str, str]
    changed: str
    made: str
    share: float


class _Days(NamedTuple):
    """The days of a table's rows by `column`, and for each a text that is another one when its rows are."""

    column: str
    states: Mapping[date, str]


@dataclass(frozen=True)
class Mirror:
    """One DuckDB file and what it is a copy of.

    `entity_columns` are the names that the customer goes by, in raw tables and in models. Above `most_customers` at the
    newest cutoff, tables with such a column are copied for a share of the customers only, the same ones everywhere.
    """

    origin: Origin
    path: str
    entity_columns: Sequence[str] = ("customer_id",)
    most_customers: int = JUDGED_CUSTOMERS
    wait_seconds: float = 600.0

    def refreshed(self) -> DuckDBWarehouse:
        """Bring the mirror to where the origin is, and return it.

        Raises:
            WarehouseError: the origin cannot be read, or the file not written. Tables that were not reached are as
                they were.
        """
        file = DuckDBWarehouse(path=self.path, wait_seconds=self.wait_seconds)
        sources = self._sources()
        population = self.origin.describe(*POPULATION)
        if file.exists("copied", "tables"):
            with file.connect() as connection:
                copies, (share, counted) = _copies(connection), _sample(connection)
            settled = population is None or (population.changed and population.changed == counted)
            share = share or 1.0
            if (
                settled
                and set(copies) == set(sources)
                and not any(self._outdated(source, copies.get(name), share) for name, source in sources.items())
            ):
                # Nobody who reads the mirror at the moment has to be waited for.
                return file
        with file.connect(read_only=False) as connection:
            connection.execute("set timezone = 'UTC'; set preserve_insertion_order = false")
            _ensure_notes(connection)
            share = self._settled_share(connection, population)
            copies = _copies(connection)
            for name in copies.keys() - sources.keys():
                _drop(connection, name)
                _log().info(f"mirror: {'.'.join(name)} is gone")
            for name, source in sources.items():
                if self._outdated(source, copies.get(name), share):
                    self._copy(connection, name, source, copies.get(name), share)
        return file

    def _sources(self) -> dict[tuple[str, str], Source]:
        # As the sandbox: what begins with an underscore is the loader's own.
        names = [("raw", table) for table in sorted(self.origin.tables("raw")) if not table.startswith("_")]
        described = {name: self.origin.describe(*name) for name in [*names, *MIRRORED]}
        return {name: source for name, source in described.items() if source is not None}

    def _settled_share(self, connection: "duckdb.DuckDBPyConnection", population: Source | None) -> float:
        """Return the share of customers that is copied, counting them anew if they may be others."""
        decided, counted = _sample(connection)
        if population is None or (population.changed and population.changed == counted):
            return decided or 1.0
        newest = self.origin.read(f"select max(cutoff_date) as newest from {'.'.join(POPULATION)}")["newest"].iloc[0]
        there = 0
        if newest == newest:
            sql = f"select count(*) as n from {'.'.join(POPULATION)} where cutoff_date = ?"
            there = int(self.origin.read(sql, [newest.date()])["n"].iloc[0])
        needed = share_within(there, self.most_customers)
        # Up to twice as many are kept: who is near the limit would change sides week by week.
        settled = decided if decided and needed <= decided <= 2 * needed else needed
        if settled != (decided or 1.0):
            _log().warning(
                f"mirror: {there:,} customers, so one in {1 / settled:.0f} is measured and replayed from now on, not "
                f"one in {1 / (decided or 1.0):.0f}; what names customers is copied again"
            )
        connection.execute("delete from copied.sample")
        connection.execute("insert into copied.sample values (?, ?, ?)", [settled, there, population.changed])
        return settled

    def _entity(self, source: Source) -> str | None:
        return next((name for name in self.entity_columns if name in source.columns), None)

    def _outdated(self, source: Source, copy: _Copy | None, share: float) -> bool:
        share = share if self._entity(source) else 1.0
        return not source.changed or copy != (source.columns, source.changed, source.made, share)

    def _copy(
        self,
        connection: "duckdb.DuckDBPyConnection",
        name: tuple[str, str],
        source: Source,
        copy: _Copy | None,
        share: float,
    ) -> None:
        """Copy a table, or those days that are others now; in one transaction."""
        entity = self._entity(source)
        share = share if entity else 1.0
        where, parameters = "true", list[Any]()
        if entity and share < 1:
            # A row that names nobody has no hash, and must not escape who looks for nulls.
            value = source.reads[entity]
            where = f"({value} is null or {self.origin.sampled(value, share)})"
        alike = copy is not None and (copy.columns, copy.made, copy.share) == (source.columns, source.made, share)
        # Asked before the rows are: a day that changes in between is another one again at the next refresh.
        days = self._days(name, source, where)
        spans = _other_spans(_kept_days(connection, name), days) if alike and days else None
        target = f"{quoted(name[0])}.{quoted(name[1])}"
        rows = 0
        connection.execute("begin")
        try:
            if spans is None:
                columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in source.columns.items())
                connection.execute(f"create schema if not exists {quoted(name[0])}")
                connection.execute(f"create or replace table {target} ({columns})")
            elif spans and days:
                parameters = [bound for span in spans for bound in span]
                connection.execute(f"delete from {target} where {_within(days.column, spans)}", parameters)
                where = f"{where} and ({_within(source.reads[days.column], spans)})"
            if spans is None or spans:
                statement = f"select {', '.join(source.reads.values())} from {name[0]}.{name[1]} where {where}"
                rows = _insert(connection, target, source.columns, self.origin.arrow_batches(statement, parameters))
            note = [*name, json.dumps(source.columns), source.changed, source.made, share, rows, datetime.now(UTC)]
            connection.execute("delete from copied.tables where schema_name = ? and table_name = ?", list(name))
            connection.execute(f"insert into copied.tables values ({', '.join('?' for _ in note)})", note)
            _keep_days(connection, name, days)
        except BaseException:
            connection.execute("rollback")
            raise
        connection.execute("commit")
        what = "whole" if spans is None else f"{sum((end - begin).days for begin, end in spans)} day(s)"
        _log().info(f"mirror: {rows:,} rows of {'.'.join(name)} copied ({what})")

    def _days(self, name: tuple[str, str], source: Source, where: str) -> _Days | None:
        """Return the state of each day of a table in the origin (of extraction: UTC); None where days cannot tell."""
        if source.columns.get(EXTRACTED) == "TIMESTAMP WITH TIME ZONE":
            column, value = EXTRACTED, source.reads[EXTRACTED]
            day, state = f"cast({value} as date)", f"min({value}) as oldest, max({value}) as newest"
        elif source.columns.get(column := MIRRORED.get(name, "")) == "DATE":
            day, state = source.reads[column], f"{self.origin.digest_of(list(source.reads.values()))} as digest"
        else:
            return None
        found = self.origin.read(
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
    if now.column == EXTRACTED:
        spans = [(_midnight(begin), _midnight(end)) for begin, end in spans]
    return spans if len(spans) <= SPANS else None


def _date(day: Any) -> date:
    # A DATE arrives as a Timestamp of pandas from one engine and as a date from another.
    return day.date() if isinstance(day, datetime) else day


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _within(column: str, spans: Sequence[Span]) -> str:
    # Bounds on the column itself: the origin need not read partitions outside of them.
    return " or ".join(f"({column} >= ? and {column} < ?)" for _ in spans)


def _insert(
    connection: "duckdb.DuckDBPyConnection",
    target: str,
    columns: Mapping[str, str],
    batches: "Iterator[pa.RecordBatch]",
) -> int:
    """Insert what comes, the columns in this order; return how many rows came."""
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


def share_of(file: DuckDBWarehouse) -> float:
    """Return the share of customers that a file holds: 1 unless it is the mirror of a large warehouse."""
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
    connection.execute("begin")
    connection.execute(f"drop table if exists {quoted(name[0])}.{quoted(name[1])}")
    connection.execute("delete from copied.tables where schema_name = ? and table_name = ?", list(name))
    _keep_days(connection, name, None)
    connection.execute("commit")


def _log() -> Any:
    return dg.get_dagster_logger("mirror")
