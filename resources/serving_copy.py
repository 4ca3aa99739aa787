"""The serving copy: a DuckDB file beside the warehouse with what people read, whole, and never locked by a run.

While a run writes the warehouse's file, no other process can read it, and a reader keeps every run out. So a run ends
by publishing the few tables that people read: written beside, read back, and renamed into place. A reader has the
former copy or the new one. On an engine that many may read at a time, the tables themselves serve.

Here belongs how a copy is written and opened; which tables it holds is said by `steps.serving`.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from resources.folders import name_to_disk, to_disk
from resources.private_folder import private_folder
from resources.sql_functions import SCHEMA as FUNCTIONS
from resources.sql_functions import macros
from resources.warehouse import DuckDBWarehouse, WarehouseError, all_or_nothing, quoted
from resources.warehouse.arrow import arrow_of

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

FILE = "serving.duckdb"
"""What the copy is called, in the folder of the warehouse."""

LAYOUT = 1
"""Another number when a reader of the former layout would misread this one: a table renamed, or other rows in it."""

PUBLISHED = ("published", "serving_copy")
"""The table of a copy whose one row says what it is made of."""

HELD = ("published", "tables")
"""The table of a copy that lists its tables."""

WRITING = 0o222
"""The rights that nobody has: a program that opened the copy for writing would lock it for everybody else."""

Read = Callable[[str], "pd.DataFrame"]

_COPY = "serving_copy"


class Part(NamedTuple):
    """A table of the copy.

    `since` is a query for the first of its cutoffs that is kept, in SQL of any engine; "": all rows are. `{source}` in
    it is the table in the warehouse, and any other name a table that was copied before. `holds` says the same to
    people. Where the warehouse has no such table yet, it is empty with these `columns` (name: SQL type), or is left out
    where none are given.
    """

    schema: str
    table: str
    since: str = ""
    holds: str = "all rows"
    columns: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Copied:
    """A published copy: its file, the rows of each table, and the SQL function that calls the champion ("": none)."""

    file: Path
    rows: Mapping[tuple[str, str], int]
    function: str


def publish(
    warehouse: DuckDBWarehouse, problem_name: str, parts: Sequence[Part], about: Callable[[Read, str], "pd.DataFrame"]
) -> Copied:
    """Publish the copy of a warehouse as of this moment: the parts, in their order, and what calls the champion in SQL.

    `about` gets what reads the new copy and the name of that function, and returns the row of `PUBLISHED`.

    Raises:
        WarehouseError: the copy could not be written, or does not hold what was written. The former one is as it was.
        WarehouseBusyError: another process holds the warehouse; as before.
    """
    file = Path(warehouse.path).with_name(FILE)
    with private_folder(file.parent, ".serving-") as folder:
        new = folder / FILE
        with warehouse.connect() as connection:
            copied = _Writing(connection, new).done(problem_name, parts, about)
        put_in_place(new, file, copied.rows)
    return Copied(file, copied.rows, copied.function)


def put_in_place(new: Path, file: Path, rows: Mapping[tuple[str, str], int]) -> None:
    """Let a written copy become the one that readers open, once it is proven to hold these rows of each table.

    Raises:
        WarehouseError: it cannot be read, or a table has other rows. The former copy is as it was.
    """
    _prove(new, rows)
    new.chmod(new.stat().st_mode & ~WRITING)
    to_disk(new)
    # What a program left that had opened the former copy for writing is none of the new one.
    file.with_name(f"{FILE}.wal").unlink(missing_ok=True)
    new.replace(file)
    name_to_disk(file)


def put_rows(connection: "duckdb.DuckDBPyConnection", name: tuple[str, str], frame: "pd.DataFrame") -> None:
    """Make a table of a frame's rows in the database that the connection uses."""
    schema, table = map(quoted, name)
    connection.execute(f"create schema if not exists {schema}")
    connection.register("_rows", arrow_of(frame))
    connection.execute(f"create table {schema}.{table} as select * from _rows")
    connection.unregister("_rows")


def list_held(
    connection: "duckdb.DuckDBPyConnection", parts: Sequence[Part], rows: Mapping[tuple[str, str], int]
) -> None:
    """Write `HELD`: the tables of a copy, with how many rows of which kind each has."""
    import pandas as pd

    held = [
        {"schema_name": part.schema, "table_name": part.table, "rows": rows[part.schema, part.table]}
        | {"holds": part.holds}
        for part in parts
        if (part.schema, part.table) in rows
    ]
    put_rows(connection, HELD, pd.DataFrame(held))


@contextlib.contextmanager
def open_copy(file: Path) -> "Iterator[duckdb.DuckDBPyConnection]":
    """Open a serving copy for reading.

    Keep it open for a question, not for a day: what is open goes on reading the copy that it opened.

    Raises:
        WarehouseError: there is none, it is damaged, no run published it, or it is of another layout.
    """
    import duckdb

    again = "`make run`, or the asset published/serving_copy in the web UI, publishes it again. Nothing was changed."
    if not file.exists():
        raise WarehouseError(f"Expected a serving copy at {file}, and none was published yet. {again}")
    try:
        connection = duckdb.connect(str(file), read_only=True)
    except duckdb.Error as error:
        raise WarehouseError(_unreadable(file, error, again)) from error
    with contextlib.closing(connection):
        try:
            layout = _layout(connection)
        except duckdb.Error as error:
            raise WarehouseError(_unreadable(file, error, again)) from error
        if layout != LAYOUT:
            what = "is none that a run published" if layout is None else f"is of layout {layout}"
            raise WarehouseError(
                f"Expected a serving copy of layout {LAYOUT} at {file}, and it {what}. With this baton {again}"
            )
        yield connection


def _unreadable(file: Path, error: Exception, again: str) -> str:
    return f"Expected a serving copy at {file} that can be read, and it cannot: {str(error).splitlines()[0]} {again}"


def _layout(connection: "duckdb.DuckDBPyConnection") -> int | None:
    """Return a copy's layout; None where no run published it."""
    connection.execute("set enable_progress_bar = false")
    # The same from information_schema takes seven times as long, and each page opens the copy anew.
    names = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
    if PUBLISHED not in names:
        return None
    [(layout,)] = connection.execute(f"select max(layout) from {'.'.join(PUBLISHED)}").fetchall()
    return int(layout) if layout is not None else None


class _Writing:
    """One copy while it is written through a connection to its warehouse, from which nobody else can write then."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection", file: Path) -> None:
        self.connection, self.file = connection, file
        [(self.warehouse,)] = connection.execute("select current_database()").fetchall()

    def done(self, problem_name: str, parts: Sequence[Part], about: Callable[[Read, str], "pd.DataFrame"]) -> Copied:
        """Write the file whole and let go of it."""
        run = self.connection.execute
        path = str(self.file).replace("'", "''")
        run(f"attach '{path}' as {_COPY} (read_write)")
        run(f"use {_COPY}")
        with all_or_nothing(self.connection):
            rows = {(part.schema, part.table): count for part in parts if (count := self._part(part)) is not None}
            function = self._functions(problem_name)
            list_held(self.connection, parts, rows)
            put_rows(self.connection, PUBLISHED, about(lambda sql: run(sql).fetchdf(), function))
        run(f"checkpoint {_COPY}")
        run(f"use {quoted(self.warehouse)}")
        run(f"detach {_COPY}")
        return Copied(self.file, {**rows, PUBLISHED: 1}, function)

    def _part(self, part: Part) -> int | None:
        """Copy a table and return its rows; None where it is left out."""
        run, name = self.connection.execute, f"{quoted(part.schema)}.{quoted(part.table)}"
        there = run(
            "select 1 from information_schema.tables where table_catalog = ? and table_schema = ? and table_name = ?",
            [self.warehouse, part.schema, part.table],
        ).fetchone()
        if there is None and part.columns is None:
            return None
        run(f"create schema if not exists {quoted(part.schema)}")
        if there is None:
            types = ", ".join(f"{quoted(column)} {kind}" for column, kind in (part.columns or {}).items())
            run(f"create table {name} ({types})")
            return 0
        source = f"{quoted(self.warehouse)}.{name}"
        kept = f"cutoff_date >= ({part.since.format(source=source)})" if part.since else "true"
        run(f"create table {name} as select * from {source} where {kept}")
        [(count,)] = run(f"select count(*) from {name}").fetchall()
        return int(count)

    def _functions(self, problem_name: str) -> str:
        """Copy what calls the champion; return its name, "" where SQL cannot compute the champion, or there is none."""
        from ml_models.scoring_sql.publishing import CHAMPION, alias_statements, aliased_version, function_name

        there = macros(self.connection, self.warehouse)
        alias = function_name(problem_name, CHAMPION)
        version = aliased_version(problem_name, there.get(alias, ""))
        called = function_name(problem_name, version) if version else ""
        if version is None or called not in there:
            return ""
        self.connection.execute(f"create schema if not exists {quoted(FUNCTIONS)}")
        self.connection.execute(f"create macro {quoted(FUNCTIONS)}.{quoted(called)}(f) as ({there[called]})")
        for statement in alias_statements(problem_name, version, "duckdb", schema=FUNCTIONS):
            self.connection.execute(statement)
        return f"{FUNCTIONS}.{alias}"


def _prove(new: Path, rows: Mapping[tuple[str, str], int]) -> None:
    """Open a copy as a reader does, and count every table again.

    Raises:
        WarehouseError: it cannot be read, or a table has other rows.
    """
    with open_copy(new) as connection:
        for (schema, table), count in rows.items():
            [(found,)] = connection.execute(f"select count(*) from {quoted(schema)}.{quoted(table)}").fetchall()
            if found != count:
                raise WarehouseError(
                    f"Expected {count:,} rows of {schema}.{table} in the serving copy that was written, and there are "
                    f"{found:,}. Run again; the former copy is as it was."
                )
