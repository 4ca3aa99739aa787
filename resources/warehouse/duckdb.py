"""The warehouse contract, and its embedded engine: one DuckDB file. BigQuery's is `resources.warehouse.bigquery`.

Reads never block a writer for longer than their statement, writes are atomic, column names are lower-case, and an empty
frame is a table with columns and no rows. A killed process leaves the previous tables.

pandas has no calendar date, so the contract gives its two kinds of time a meaning: a naive datetime column is a DATE
(cutoffs, days), one with a zone is an instant, TIMESTAMP WITH TIME ZONE; a time of day without a zone is refused.
"""

import abc
import contextlib
import random
import time
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

if TYPE_CHECKING:
    import duckdb
    import pandas as pd


POPULATION = ("features", "customer_features")
"""Who is predicted; its newest cutoff tells how many customers there are."""

JUDGED_CUSTOMERS = 20_000
"""Above it the weekly judgement measures, compares and replays a share of the customers: its cost stays the same."""


class WarehouseError(RuntimeError):
    """Something about the warehouse that a person has to put right; the message says what and how."""


class WarehouseBusyError(WarehouseError):
    """Another process holds the warehouse file."""


class Shape(NamedTuple):
    """Columns of a table or view (name: type, as the engine names it) and its rows; None where counting would cost."""

    columns: dict[str, str]
    rows: int | None


class Warehouse(dg.ConfigurableResource):
    """What assets may ask of a warehouse, whichever engine it is.

    SQL given to it is what DuckDB and GoogleSQL both understand: `schema.table`, `?` for parameters, `cast`, no quoted
    names. Types in `create_table` are bigint, double, varchar, boolean, date and timestamp with time zone.
    """

    @abc.abstractmethod
    def read(self, sql: str, parameters: Sequence[Any] = ()) -> "pd.DataFrame":
        """Return the rows of `sql` as a DataFrame with lower-case column names; changes nothing."""

    @abc.abstractmethod
    def batches(self, sql: str, parameters: Sequence[Any] = ()) -> "Generator[pd.DataFrame, None, None]":
        """Yield the rows of `sql` in frames as `read` returns them, as they are asked for: memory stays flat.

        Close it, or take all: until then the connection is held. How many rows a frame has is the engine's.
        """

    @abc.abstractmethod
    def exists(self, schema: str, table: str) -> bool:
        """Tell whether a table or view is there (a warehouse that is not there has no tables)."""

    @abc.abstractmethod
    def row_count(self, schema: str, table: str) -> int:
        """Count the rows of a table."""

    @abc.abstractmethod
    def shapes(self, schemas: Collection[str] | None = None) -> dict[tuple[str, str], Shape]:
        """Return columns and row count of every table and view (of these schemas), by (schema, name)."""

    @abc.abstractmethod
    def local(self) -> "DuckDBWarehouse":
        """Return what the weekly judgement measures and replays as a DuckDB file on this machine, up to date.

        It is to be read only: results are written to the warehouse itself.
        """

    @abc.abstractmethod
    def create_table(self, schema: str, table: str, columns: Mapping[str, str]) -> None:
        """Create an empty table with these columns (name: SQL type) unless it is there."""

    @abc.abstractmethod
    def drop_table(self, schema: str, table: str) -> None:
        """Remove a table; nothing happens where it is not there."""

    @abc.abstractmethod
    def replace_table(self, schema: str, table: str, frame: "pd.DataFrame") -> int:
        """Replace the whole table by `frame` (empty allowed), atomically; return its row count."""

    @abc.abstractmethod
    def replace_partitions(
        self, schema: str, table: str, frame: "pd.DataFrame", *, column: str, values: Sequence[Any]
    ) -> int:
        """Replace the rows whose `column` is one of `values` by `frame`, atomically; return the table's rows.

        Columns are matched by name, never by position. A column that the table lacks is added; one that `frame` lacks
        becomes null.

        Raises:
            WarehouseError: `frame` holds a row outside `values`; nothing was written.
        """

    @abc.abstractmethod
    def replace_partitions_by(
        self, schema: str, table: str, frames: "Iterable[pd.DataFrame]", *, column: str, values: Sequence[Any]
    ) -> int:
        """Do as `replace_partitions`, with rows that need not fit in memory together; all or nothing.

        `frames` is taken to its end first and may read this warehouse meanwhile; its rows wait on this machine's disk.
        All have the columns and types of the first.
        """

    @abc.abstractmethod
    def md5_of(self, column: str) -> str:
        """Return the SQL for the MD5 of a column's text, as 32 lower-case hexadecimal digits."""

    def sampled(self, column: str, share: float) -> str:
        """Return a SQL condition that about this share (0 to 1) of a column's values meet: the same ones everywhere.

        A hash below a bound, not the n smallest: who is in does not depend on who else is there, nor on the engine.
        """
        if share >= 1:
            return "true"
        # Hexadecimal digits sort as the numbers do, and what begins with the bound comes after it.
        return f"{self.md5_of(column)} < '{int(share * 16**8):08x}'"

    def costs(self) -> dict[str, int]:
        """Return what the present step was charged for since the last call, as metadata.

        An engine of one's own charges nothing.
        """
        return {}

    def expected_cost(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, int]:  # noqa: ARG002
        """Return what reading the rows of `sql` would be charged for, as metadata, without reading them."""
        return {}


BATCH_VECTORS = 98
"""How much DuckDB hands over at a time, in its own unit of 2,048 rows: some 200,000 rows."""


@contextlib.contextmanager
def open_duckdb(
    path: str, *, read_only: bool = False, wait_seconds: float = 60.0
) -> "Iterator[duckdb.DuckDBPyConnection]":
    """Open the DuckDB file at `path` for one short use, waiting while another process holds it.

    DuckDB locks a file per process: one writer shuts every other process out, so connections are short-lived and
    every opening is retried for `wait_seconds`.

    Raises:
        WarehouseBusyError: another process still holds the file after `wait_seconds`.
        WarehouseError: the file is missing (when reading), is no DuckDB file, or the disk is full.
    """
    import duckdb

    if read_only and not Path(path).exists():
        raise WarehouseError(f"Expected a warehouse file at {path}, and there is none. Run `make run` to build it.")
    if not read_only:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            connection = duckdb.connect(path, read_only=read_only)
            break
        except duckdb.IOException as error:
            if "lock" not in str(error).lower():
                raise WarehouseError(_unreadable(path, error)) from error
            if time.monotonic() > deadline:
                raise WarehouseBusyError(
                    f"Expected to open the warehouse {path} within {wait_seconds:.0f} s, but another process holds it: "
                    f"{_holder(error)}. Close that program (a DuckDB shell, a notebook, another run) and try again; "
                    "nothing was changed."
                ) from error
            # Jitter, so that two waiting processes do not meet again and again.
            time.sleep(0.05 + random.random() * 0.2)
        except duckdb.ConnectionException:
            # The same process has it open in the other mode: wait for that short use to end.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        except duckdb.Error as error:
            raise WarehouseError(_unreadable(path, error)) from error
    try:
        yield connection
    except duckdb.IOException as error:
        if "no space left" in str(error).lower():
            raise WarehouseError(
                f"The disk that holds {path} is full; the statement was rolled back and the previous tables are "
                "intact. Free some space and run again."
            ) from error
        raise
    finally:
        connection.close()


def _unreadable(path: str, error: Exception) -> str:
    first = str(error).splitlines()[0]
    if "no space left" in first.lower():
        return f"The disk that holds {path} is full: {first} Free some space and run again; nothing was changed."
    return (
        f"Expected a DuckDB warehouse at {path}, but it cannot be opened: {first} Move the file away (or point "
        "BATON_HOME elsewhere) and run `make run` to build a new one."
    )


def _holder(error: Exception) -> str:
    """Return the part of DuckDB's message that names the process."""
    _, found, who = str(error).partition("Conflicting lock is held in")
    return (found + who.split(" See also")[0]).strip().rstrip(".") or str(error).splitlines()[0]


def quoted(name: str) -> str:
    """Quote a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


class DuckDBWarehouse(Warehouse):
    """The warehouse contract on one DuckDB file.

    `path` is the file, `wait_seconds` how long to wait for another process to let go of it, `memory_limit` DuckDB's own
    bound (it spills to disk beyond). With more than `judged_customers` at the newest cutoff the weekly judgement
    measures and replays a share of them, kept in the file `mirror_path`; without such a file, all. `entity_columns` are
    the names of the customer's identifier.
    """

    path: str
    wait_seconds: float = 60.0
    memory_limit: str = "2GB"
    mirror_path: str = ""
    entity_columns: list[str] = ["customer_id"]  # noqa: RUF012 - pydantic copies it
    judged_customers: int = JUDGED_CUSTOMERS

    @contextlib.contextmanager
    def connect(self, *, read_only: bool = True) -> "Iterator[duckdb.DuckDBPyConnection]":
        """Open the warehouse for one short use."""
        with open_duckdb(self.path, read_only=read_only, wait_seconds=self.wait_seconds) as connection:
            connection.execute(f"set memory_limit = '{self.memory_limit}'")
            yield connection

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> "pd.DataFrame":
        """Return the rows of `sql` as a DataFrame with lower-case column names; opens the file read-only."""
        with self.connect() as connection:
            frame = connection.execute(sql, list(parameters)).fetchdf()
        frame.columns = frame.columns.str.lower()
        return frame

    def batches(self, sql: str, parameters: Sequence[Any] = ()) -> "Generator[pd.DataFrame, None, None]":
        """Yield the rows of `sql` in frames of some 200,000 rows; the file is open read-only meanwhile."""
        with self.connect() as connection:
            connection.execute(sql, list(parameters))
            while len(frame := connection.fetch_df_chunk(BATCH_VECTORS)):
                frame.columns = frame.columns.str.lower()
                yield frame

    def exists(self, schema: str, table: str) -> bool:
        """Tell whether a table or view is there (a warehouse that is not there has no tables)."""
        if not Path(self.path).exists():
            return False
        with self.connect() as connection:
            return _exists(connection, schema, table)

    def row_count(self, schema: str, table: str) -> int:
        """Count the rows of a table."""
        with self.connect() as connection:
            return _count(connection, schema, table)

    def shapes(self, schemas: Collection[str] | None = None) -> dict[tuple[str, str], Shape]:
        """Return columns and row count of every table and view, in one opening; raw tables are not counted."""
        columns: dict[tuple[str, str], dict[str, str]] = {}
        with self.connect() as connection:
            described = connection.execute(
                "select table_schema, table_name, column_name, data_type from information_schema.columns "
                "order by table_schema, table_name, ordinal_position"
            ).fetchall()
            for schema, table, column, kind in described:
                columns.setdefault((schema, table), {})[column] = kind
            # Counting a table reads its header; counting a staging view reads no column.
            return {
                name: Shape(columns[name], None if name[0] == "raw" else _count(connection, *name))
                for name in columns
                if name[0] != "information_schema" and (schemas is None or name[0] in schemas)
            }

    def local(self) -> "DuckDBWarehouse":
        """Return itself; where there are more customers than are judged, a file that holds the share that is."""
        if not self.mirror_path or not self.exists(*POPULATION):
            return self
        of = ".".join(POPULATION)
        newest = f"select count(*) as n from {of} where cutoff_date = (select max(cutoff_date) from {of})"
        if self.read(newest)["n"].iloc[0] <= self.judged_customers:
            return self
        from resources.warehouse.duckdb_source import DuckDBOrigin
        from resources.warehouse.local_copy import Mirror

        return Mirror(
            DuckDBOrigin(self),
            self.mirror_path,
            self.entity_columns,
            self.judged_customers,
            wait_seconds=self.wait_seconds,
        ).refreshed()

    def create_table(self, schema: str, table: str, columns: Mapping[str, str]) -> None:
        """Create an empty table with these columns (name: SQL type) unless it is there."""
        types = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns.items())
        with self.transaction() as connection:
            connection.execute(f"create schema if not exists {quoted(schema)}")
            connection.execute(f"create table if not exists {_name(schema, table)} ({types})")

    def drop_table(self, schema: str, table: str) -> None:
        """Remove a table; nothing happens where it is not there."""
        with self.transaction() as connection:
            connection.execute(f"drop table if exists {_name(schema, table)}")

    def replace_table(self, schema: str, table: str, frame: "pd.DataFrame") -> int:
        """Replace the whole table by `frame` (empty allowed) in one transaction; return its row count."""
        with self.transaction() as connection:
            _offer(connection, frame)
            connection.execute(f"create schema if not exists {quoted(schema)}")
            connection.execute(f"create or replace table {_name(schema, table)} as select * from _new_rows")
            return _count(connection, schema, table)

    def replace_partitions(
        self, schema: str, table: str, frame: "pd.DataFrame", *, column: str, values: Sequence[Any]
    ) -> int:
        """Replace the rows whose `column` is one of `values` by `frame` in one transaction; return the table's rows."""
        frame = lower_names(frame)
        refuse_strangers(frame, f"{schema}.{table}", column, values)
        with self.transaction() as connection:
            _offer(connection, frame)
            return _replace(connection, schema, table, column, values)

    def replace_partitions_by(
        self, schema: str, table: str, frames: "Iterable[pd.DataFrame]", *, column: str, values: Sequence[Any]
    ) -> int:
        """Do as `replace_partitions`, with rows that need not fit in memory together; return the table's rows."""
        from resources.warehouse.parquet_buffer import spooled

        frames = (lower_names(frame) for frame in frames)
        with spooled(frames, lambda frame: refuse_strangers(frame, f"{schema}.{table}", column, values)) as rows:
            if rows is None:
                if not self.exists(schema, table):
                    return 0
                nothing = self.read(f"select * from {schema}.{table} limit 0")
                return self.replace_partitions(schema, table, nothing, column=column, values=values)
            with self.transaction() as connection:
                file = str(rows.path).replace("'", "''")
                connection.execute(f"create or replace temp view _new_rows as select * from read_parquet('{file}')")
                return _replace(connection, schema, table, column, values)

    def md5_of(self, column: str) -> str:
        """Return the SQL for the MD5 of a column's text."""
        return f"md5(cast({column} as varchar))"

    @contextlib.contextmanager
    def transaction(self) -> "Iterator[duckdb.DuckDBPyConnection]":
        """Open the warehouse for statements that all take effect when the block ends well, or none of them."""
        with self.connect(read_only=False) as connection:
            connection.execute("begin")
            try:
                yield connection
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")


def _name(schema: str, table: str) -> str:
    return f"{quoted(schema)}.{quoted(table)}"


def share_within(there: int, limit: int) -> float:
    """Return the share (1, 1/2, 1/4, ...) of `there` things that is no more than `limit`.

    A power of a half, so that it seldom changes while things become more, and the smaller sample is in the larger.
    """
    share = 1.0
    while there * share > limit:
        share /= 2
    return share


def lower_names(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the frame with lower-case column names."""
    return frame.rename(columns=str.lower)


def refuse_strangers(frame: "pd.DataFrame", table: str, column: str, values: Sequence[Any]) -> None:
    """Refuse rows whose `column` is none of the `values` that are replaced.

    Raises:
        WarehouseError: there are such rows.
    """
    import pandas as pd

    wanted = {pd.Timestamp(value) if isinstance(value, date) else value for value in values}
    strangers = set(frame[column].unique()) - wanted
    if strangers:
        raise WarehouseError(
            f"Expected only rows with {column} in {sorted(map(str, wanted))} for {table}, but some have "
            f"{sorted(map(str, strangers))}. Nothing was written."
        )


def calendar_days(frame: "pd.DataFrame") -> list[str]:
    """Return the columns that hold calendar dates: naive datetimes.

    Raises:
        WarehouseError: one of them holds a time of day.
    """
    # A zone stands after a comma: datetime64[us, UTC].
    days = [str(n) for n, kind in frame.dtypes.items() if str(kind).startswith("datetime64") and "," not in str(kind)]
    for name in days:
        timed = frame[name].dropna()
        timed = timed[timed != timed.dt.normalize()]
        if len(timed):
            raise WarehouseError(
                f"Expected calendar dates or instants with a zone in column {name}, but {len(timed)} row(s) have "
                f"a time of day without a zone, such as {timed.iloc[0]}. Give them a zone, or cut them to the day. "
                "Nothing was written."
            )
    return days


def _offer(connection: "duckdb.DuckDBPyConnection", frame: "pd.DataFrame") -> None:
    """Make a frame readable as `_new_rows`, naive datetimes as dates."""
    frame = lower_names(frame)
    days = calendar_days(frame)
    # Of a text column without a value DuckDB would make a column of no type, which takes no text later.
    texts = [str(name) for name, kind in frame.dtypes.items() if str(kind) == "object" and frame[name].isna().all()]
    casts = [f"cast({quoted(name)} as date) as {quoted(name)}" for name in days]
    casts += [f"cast({quoted(name)} as varchar) as {quoted(name)}" for name in texts]
    connection.register("_offered", frame)
    replaced = f" replace ({', '.join(casts)})" if casts else ""
    connection.execute(f"create or replace temp view _new_rows as select *{replaced} from _offered")


def _replace(
    connection: "duckdb.DuckDBPyConnection", schema: str, table: str, column: str, values: Sequence[Any]
) -> int:
    """Put `_new_rows` in the place of the rows whose `column` is one of `values`; return the table's rows."""
    connection.execute(f"create schema if not exists {quoted(schema)}")
    name = _name(schema, table)
    connection.execute(f"create table if not exists {name} as select * from _new_rows limit 0")
    have = {row[0] for row in connection.execute(f"select column_name from (describe {name})").fetchall()}
    for new, kind in connection.execute("select column_name, column_type from (describe _new_rows)").fetchall():
        if new not in have:
            connection.execute(f"alter table {name} add column {quoted(new)} {kind}")
    if len(values):
        marks = ", ".join("?" for _ in values)
        connection.execute(f"delete from {name} where {quoted(column)} in ({marks})", list(values))
    connection.execute(f"insert into {name} by name select * from _new_rows")
    return _count(connection, schema, table)


def _exists(connection: "duckdb.DuckDBPyConnection", schema: str, table: str) -> bool:
    found = connection.execute(
        "select count(*) from information_schema.tables where table_schema = ? and table_name = ?", [schema, table]
    ).fetchone()
    return bool(found and found[0])


def _count(connection: "duckdb.DuckDBPyConnection", schema: str, table: str) -> int:
    found = connection.execute(f"select count(*) from {_name(schema, table)}").fetchone()
    return int(found[0]) if found else 0
