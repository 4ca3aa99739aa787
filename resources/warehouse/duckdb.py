"""The warehouse contract on one DuckDB file, and how that file is opened by everybody who needs it.

Reads never block a writer for longer than their statement. A killed process leaves the previous tables. What DuckDB
does in its own way belongs here; what holds for every engine belongs in `contract`.
"""

import contextlib
import logging
import random
import re
import time
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.folders import make_private, says_full
from resources.warehouse.arrow import arrow_of
from resources.warehouse.contract import (
    POPULATION,
    LocalWarehouse,
    Shape,
    Warehouse,
    WarehouseBusyError,
    WarehouseError,
    lower_names,
    plain_value,
    quoted,
    refuse_unexpected_values,
)
from resources.warehouse.duckdb_engine import OtherModeError, attached
from resources.warehouse.duckdb_source import DuckDBSource
from resources.warehouse.parquet_buffer import Buffered, replace_by_buffer

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from ml_models.scoring_sql.compiler import DialectName

LOG = logging.getLogger("baton.warehouse")

SAID_AFTER = 5.0
"""Seconds of waiting after which it is said for whom."""

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
        make_private(Path(path).parent)
    began, told = time.monotonic(), False
    deadline = began + wait_seconds
    with contextlib.ExitStack() as stack:
        while True:
            try:
                connection = stack.enter_context(attached(path, read_only=read_only))
                break
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise WarehouseError(unreadable(path, error)) from error
                if time.monotonic() > deadline:
                    raise WarehouseBusyError(
                        f"Expected to open the warehouse {path} within {wait_seconds:.0f} s, but another process holds "
                        f"it: {_holder(error)}. Close that program (a DuckDB shell, a notebook, another run; one that "
                        "only reads keeps writers out, too) and try again; nothing was changed. Who wants to look for "
                        "long looks into the serving copy, serving.duckdb beside it. A run waits longer by "
                        "BATON_WAIT_SECONDS."
                    ) from error
                if not told and time.monotonic() > began + SAID_AFTER:
                    told = True
                    LOG.warning("waiting up to %.0f s for %s: %s", wait_seconds, path, _holder(error))
                # Jitter, so that two waiting processes do not meet again and again.
                time.sleep(0.05 + random.random() * 0.2)
            except (OtherModeError, duckdb.ResourceInUseException):
                # The same process has it open in the other mode: wait for that short use to end.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            except duckdb.Error as error:
                raise WarehouseError(unreadable(path, error)) from error
        try:
            # By default a statement of two seconds draws a bar, into a log, too.
            connection.execute("set enable_progress_bar = false")
            yield connection
        except duckdb.Error as error:
            if says_full(str(error)):
                raise WarehouseError(
                    f"The disk that holds {path} is full; the statement was rolled back and the previous tables are "
                    "intact. Free some space and run again."
                ) from error
            if is_damage(error):
                raise WarehouseError(unreadable(path, error)) from error
            raise


@contextlib.contextmanager
def all_or_nothing(connection: "duckdb.DuckDBPyConnection") -> Iterator[None]:
    """Let the statements of a block all take effect when it ends well, or none of them."""
    import duckdb

    connection.execute("begin")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        # A commit that failed has ended the transaction: what it failed for is what a person must read.
        with contextlib.suppress(duckdb.Error):
            connection.execute("rollback")
        raise


DAMAGE = (
    "could not read enough bytes",
    "corrupt",
    "checksum",
    "failed to load metadata",
    "database has been invalidated",
)
"""By what the text of an error tells that the file is cut short or overwritten, although it may open."""


def is_damage(error: Exception) -> bool:
    """Tell whether an error of DuckDB says that the file is damaged."""
    return any(sign in str(error).lower() for sign in DAMAGE)


def unreadable(path: str, error: Exception) -> str:
    """Return in a sentence why a warehouse's file cannot be used, and what to do."""
    first = str(error).splitlines()[0]
    if says_full(first):
        return f"The disk that holds {path} is full: {first} Free some space and run again; nothing was changed."
    later = re.search(r"version number (\d+), but we can only read .*versions between \d+ and (\d+)", first)
    if later:
        return (
            f"Expected a warehouse that DuckDB {version('duckdb')} reads, up to its storage version {later[2]}, and a "
            f"later DuckDB wrote {path}, of storage version {later[1]}. Check out the baton that wrote it, or a later "
            "one, then `make setup` and this command again; or bring an earlier backup back by `make restore "
            "FROM=<folder>`. Nothing was changed."
        )
    return (
        f"Expected a DuckDB warehouse at {path}, but it cannot be read: {first} If there is a backup, move the "
        "home away and bring it back by `make restore FROM=<folder>`. Without one, move the file away and run `make "
        "run` to build a new one: what people and judgements recorded in it (the ledger, past predictions) is lost."
    )


def _holder(error: Exception) -> str:
    """Return the part of DuckDB's message that names the process."""
    _, found, who = str(error).partition("Conflicting lock is held in")
    return (found + who.split(" See also")[0]).strip().rstrip(".") or str(error).splitlines()[0]


class DuckDBWarehouse(Warehouse):
    """The warehouse contract on one DuckDB file.

    `path` is the file, `wait_seconds` how long to wait for another process to let go of it, `memory_limit` DuckDB's own
    bound (it spills to disk beyond). Where there are more customers than `local_copy` keeps whole, the weekly judgement
    measures and replays the share that it keeps; without one, all.
    """

    path: str
    wait_seconds: float = 60.0
    memory_limit: str = "2GB"

    @property
    def dialect(self) -> "DialectName":
        """Return `duckdb`."""
        return "duckdb"

    @contextlib.contextmanager
    def connect(self, *, read_only: bool = True) -> "Iterator[duckdb.DuckDBPyConnection]":
        """Open the warehouse for one short use."""
        with open_duckdb(self.path, read_only=read_only, wait_seconds=self.wait_seconds) as connection:
            connection.execute(f"set memory_limit = '{self.memory_limit}'")
            yield connection

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> "pd.DataFrame":
        """Return the rows of `sql` as a DataFrame with lower-case column names; opens the file read-only."""
        with self.connect() as connection:
            frame = connection.execute(sql, _plain(parameters)).fetchdf()
        frame.columns = frame.columns.str.lower()
        return frame

    def batches(self, sql: str, parameters: Sequence[Any] = ()) -> "Generator[pd.DataFrame, None, None]":
        """Yield the rows of `sql` in frames of some 200,000 rows; the file is open read-only meanwhile."""
        with self.connect() as connection:
            connection.execute(sql, _plain(parameters))
            while len(frame := connection.fetch_df_chunk(BATCH_VECTORS)):
                frame.columns = frame.columns.str.lower()
                yield frame

    def exists(self, schema: str, table: str) -> bool:
        """Tell whether a table or view is there (a warehouse that is not there has no tables)."""
        return bool(self.present([(schema, table)]))

    def present(self, names: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return those of these tables and views that are there, in one opening: that costs more than the look."""
        if not names or not Path(self.path).exists():
            return set()
        with self.connect() as connection:
            return {name for name in names if _exists(connection, *name)}

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

    def local(self) -> LocalWarehouse:
        """Return itself; where there are more customers than are judged, a file that holds the share that is."""
        if self.local_copy is None or not self.exists(*POPULATION):
            return self
        of = ".".join(POPULATION)
        newest = f"select count(*) as n from {of} where cutoff_date = (select max(cutoff_date) from {of})"
        if self.read(newest)["n"].iloc[0] <= self.local_copy.most_customers:
            return self
        return self.local_copy.refreshed(DuckDBSource(self))

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
            _offer(connection, frame, schema, table)
            connection.execute(f"create schema if not exists {quoted(schema)}")
            connection.execute(f"create or replace table {_name(schema, table)} as select * from _new_rows")
            return _count(connection, schema, table)

    def replace_partitions(
        self, schema: str, table: str, frame: "pd.DataFrame", *, column: str, values: Sequence[Any]
    ) -> int:
        """Replace the rows whose `column` is one of `values` by `frame` in one transaction; return the table's rows."""
        frame = lower_names(frame)
        refuse_unexpected_values(frame, f"{schema}.{table}", column, values)
        with self.transaction() as connection:
            _offer(connection, frame, schema, table)
            return _replace(connection, schema, table, column, values)

    def replace_partitions_by(
        self, schema: str, table: str, frames: "Iterable[pd.DataFrame]", *, column: str, values: Sequence[Any]
    ) -> int:
        """Do as `replace_partitions`, with rows that need not fit in memory together; return the table's rows."""

        def put(rows: Buffered) -> int:
            with self.transaction() as connection:
                file = str(rows.path).replace("'", "''")
                connection.execute(f"create or replace temp view _new_rows as select * from read_parquet('{file}')")
                return _replace(connection, schema, table, column, values)

        return replace_by_buffer(self, schema, table, frames, column, values, put)

    def md5_of(self, column: str) -> str:
        """Return the SQL for the MD5 of a column's text."""
        return f"md5(cast({column} as varchar))"

    @contextlib.contextmanager
    def transaction(self) -> "Iterator[duckdb.DuckDBPyConnection]":
        """Open the warehouse for statements that all take effect when the block ends well, or none of them."""
        with self.connect(read_only=False) as connection, all_or_nothing(connection):
            yield connection


def _name(schema: str, table: str) -> str:
    return f"{quoted(schema)}.{quoted(table)}"


def _plain(parameters: Sequence[Any]) -> list[Any]:
    return [plain_value(value) for value in parameters]


def _offer(connection: "duckdb.DuckDBPyConnection", frame: "pd.DataFrame", schema: str, table: str) -> None:
    """Make the frame readable as `_new_rows`, with types that follow from all its values and from the table's."""
    connection.register("_new_rows", arrow_of(frame, lambda: _types(connection, schema, table)))


def _types(connection: "duckdb.DuckDBPyConnection", schema: str, table: str) -> dict[str, str]:
    """Return the types of a table's columns; none if it is not there."""
    return dict(
        connection.execute(
            "select lower(column_name), data_type from information_schema.columns where table_schema = ? and "
            "table_name = ?",
            [schema, table],
        ).fetchall()
    )


def _replace(
    connection: "duckdb.DuckDBPyConnection", schema: str, table: str, column: str, values: Sequence[Any]
) -> int:
    """Put `_new_rows` in the place of the rows whose `column` is one of `values`; return the table's rows."""
    connection.execute(f"create schema if not exists {quoted(schema)}")
    name = _name(schema, table)
    connection.execute(f"create table if not exists {name} as select * from _new_rows limit 0")
    have = dict(connection.execute("select lower(name), type from pragma_table_info(?)", [name]).fetchall())
    for new, kind in connection.execute("select column_name, column_type from (describe _new_rows)").fetchall():
        if new not in have:
            connection.execute(f"alter table {name} add column {quoted(new)} {kind}")
        elif have[new] == "VARCHAR" != kind and _gets_its_first_value(connection, name, new):
            # It became text for want of a value, and this is the first one.
            connection.execute(f"alter table {name} alter {quoted(new)} type {kind}")
    if len(values):
        marks = ", ".join("?" for _ in values)
        connection.execute(f"delete from {name} where {quoted(column)} in ({marks})", _plain(values))
    connection.execute(f"insert into {name} by name select * from _new_rows")
    return _count(connection, schema, table)


def _gets_its_first_value(connection: "duckdb.DuckDBPyConnection", name: str, column: str) -> bool:
    """Tell whether a column of a table has no value, and `_new_rows` has one."""
    counted = [
        connection.execute(f"select 1 from {rows} where {quoted(column)} is not null limit 1").fetchone()
        for rows in (name, "_new_rows")
    ]
    return counted[0] is None and counted[1] is not None


def _exists(connection: "duckdb.DuckDBPyConnection", schema: str, table: str) -> bool:
    found = connection.execute(
        "select count(*) from information_schema.tables where table_schema = ? and table_name = ?", [schema, table]
    ).fetchone()
    return bool(found and found[0])


def _count(connection: "duckdb.DuckDBPyConnection", schema: str, table: str) -> int:
    found = connection.execute(f"select count(*) from {_name(schema, table)}").fetchone()
    return int(found[0]) if found else 0
