"""Reads a table that is there already into a file of its own, so that the warehouse is held only while it lands."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resources.company.model import RawTable
from resources.private_folder import private_folder
from resources.tables import files, postgres
from resources.tables.errors import TableError
from resources.warehouse import quoted

if TYPE_CHECKING:
    import duckdb

STAGED = "staged"
"""The table of what was read, in the file `Staged.file`."""


@dataclass(frozen=True)
class Staged:
    """What was read: a DuckDB file with one table, its columns (lower case: type) and rows."""

    file: Path
    columns: dict[str, str]
    rows: int


@contextlib.contextmanager
def staged(name: str, table: RawTable, folder: Path, scratch: Path) -> Iterator[Staged]:
    """Read the table `name` into a file under `scratch`, which is gone afterwards; paths begin in `folder`.

    Raises:
        TableError: it is not there, cannot be read, holds no row, or two of its columns differ only in case.
    """
    import duckdb

    # Beside the warehouse, because that disk is the one known to be large.
    with private_folder(scratch, f".loading-{name}-") as made:
        file = made / "staged.duckdb"
        with duckdb.connect(str(file)) as connection:
            connection.execute("set timezone = 'UTC'; set preserve_insertion_order = false; set memory_limit = '1GB'")
            read_into(connection, STAGED, name, table, folder, made)
            _lower_columns(connection)
            columns = columns_of(connection, STAGED)
            rows = connection.execute(f"select count(*) from {STAGED}").fetchall()[0][0]
        if not rows:
            raise TableError(
                name,
                f"expected rows in {table.source}, and it holds none. Put the source right; a table that may be "
                "empty is better left out of company.toml until it holds some.",
            )
        yield Staged(file, columns, rows)


def columns_of(connection: "duckdb.DuckDBPyConnection", relation: str) -> dict[str, str]:
    """Return the columns of a relation with their types."""
    return {str(row[0]): str(row[1]) for row in connection.execute(f"describe {relation}").fetchall()}


def read_into(
    connection: "duckdb.DuckDBPyConnection", relation: str, name: str, table: RawTable, folder: Path, scratch: Path
) -> None:
    """Read the table `name` into the table `relation` of a connection, its columns called as the source calls them.

    `scratch` is a folder for what has to be written anew to be read.

    Raises:
        TableError: it is not there, cannot be read, or two of its columns differ only in case.
    """
    import duckdb

    kind = table.source.partition(":")[0]
    try:
        if kind == "postgres":
            wanted = postgres.select(name, table, scratch)
        else:
            wanted = files.select(connection, name, table, folder, scratch)
        there = columns_of(connection, f"select * from ({wanted}) limit 0") if kind != "csv" else {}
        files.refuse_collisions(name, list(there), table.source)
        connection.execute(f"create table {relation} as {wanted}")
        if kind == "csv":
            files.refuse_rejected(connection, name)
    except duckdb.Error as error:
        first = str(error).splitlines()[0].rstrip(".")
        raise TableError(
            name, f"expected to read {table.source}, but: {first}. Put the source right and run again."
        ) from error
    if kind == "duckdb":
        connection.execute("detach _theirs")


def _lower_columns(connection: "duckdb.DuckDBPyConnection") -> None:
    for column in columns_of(connection, STAGED):
        if column != column.lower():
            # DuckDB compares names without case, so a rename to the lower case needs a step between.
            connection.execute(f"alter table {STAGED} rename {quoted(column)} to _renamed")
            connection.execute(f"alter table {STAGED} rename _renamed to {quoted(column.lower())}")
