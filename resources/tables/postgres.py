"""Reads a table of a Postgres database, as of one instant and with its own types, through a file."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.company.model import RawTable
from resources.tables.errors import TableError
from resources.tables.files import text

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

KINDS: Mapping[str, str] = {
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double precision": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp without time zone": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
}
"""DuckDB's type of Postgres's; what is not here, as a JSON or an enumeration, lands as its text."""

CONNECT_SECONDS = 10


def select(name: str, table: RawTable, scratch: Path) -> str:
    """Copy a table's rows to a file in `scratch`, and return the select that reads them.

    Raises:
        TableError: the database or the table cannot be reached; the address, which may hold a secret, is never told.
    """
    import psycopg2

    place = table.source.partition(":")[2]
    address = os.environ.get(table.connection)
    if not address:
        raise TableError(
            name,
            f"expected the address of the database in the environment variable {table.connection}, such as "
            "postgresql://user:password@host/database, and it is not set. Set it and run again.",
        )
    file = scratch / "postgres.csv"
    try:
        connection = psycopg2.connect(address, connect_timeout=CONNECT_SECONDS)
    except psycopg2.Error as error:
        # What could not be parsed is repeated in the message, with the password in it.
        parsed = isinstance(error, psycopg2.OperationalError)
        said = _first(error) if parsed else "it is no address of a database"
        raise TableError(
            name,
            f"expected to reach the database of {table.connection}, but: {_without(said, address)}. Correct "
            "the variable, or see that the server is there, and run again.",
        ) from None
    try:
        with connection:
            columns = _copy(connection, place, file)
    except psycopg2.Error as error:
        raise TableError(
            name,
            f"expected to read the table {place} in the database of {table.connection}, but: "
            f"{_without(_first(error), address)}. Correct `source`, or grant the right to read it.",
        ) from None
    finally:
        connection.close()
    fields = ", ".join(f"{text(column)}: {text(kind)}" for column, kind in columns.items())
    return (
        f"select * from read_csv({text(str(file))}, auto_detect = false, header = false, delim = ',', quote = '\"', "
        # Postgres quotes an empty text, and leaves a null empty.
        f"escape = '\"', nullstr = '', allow_quoted_nulls = false, columns = {{{fields}}})"
    )


def _copy(connection: "Connection", place: str, file: Path) -> dict[str, str]:
    """Write the rows to a file as CSV; return the columns with DuckDB's types."""
    from psycopg2 import sql

    relation = sql.Identifier(*place.split("."))
    connection.set_session(readonly=True, isolation_level="REPEATABLE READ")
    with connection.cursor() as cursor:
        cursor.execute("set local timezone = 'UTC'; set local datestyle = 'ISO'")
        cursor.execute(
            "select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a "
            "where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum",
            [relation.as_string(connection)],
        )
        columns = {str(column): _kind(str(kind)) for column, kind in cursor.fetchall()}
        chosen = sql.SQL(", ").join(sql.Identifier(column) for column in columns)
        copy = sql.SQL("copy (select {} from {}) to stdout (format csv, encoding 'UTF8')").format(chosen, relation)
        with file.open("wb") as stream:
            cursor.copy_expert(copy, stream)
    return columns


def _kind(kind: str) -> str:
    if kind.startswith("numeric("):
        digits, _, decimals = kind[len("numeric(") : -1].partition(",")
        exact = int(digits) <= 38 and 0 <= int(decimals or 0) <= int(digits)
        return f"DECIMAL({digits}, {decimals or 0})" if exact else "DOUBLE"
    if kind == "numeric":
        # Of no declared precision; Airbyte lands it alike.
        return "DOUBLE"
    base = kind.partition("(")[0].strip()
    rest = kind.partition(")")[2]
    return KINDS.get(base + rest, KINDS.get(kind, "VARCHAR"))


def _first(error: Any) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__


def _without(said: str, address: str) -> str:
    """Take the address, and the password in it, out of a message."""
    from psycopg2.extensions import parse_dsn

    secret = parse_dsn(address).get("password", "") if _parses(address) else ""
    for one in filter(None, (address, secret)):
        said = said.replace(one, "***")
    return said


def _parses(address: str) -> bool:
    import psycopg2
    from psycopg2.extensions import parse_dsn

    try:
        parse_dsn(address)
    except psycopg2.Error:
        return False
    return True
