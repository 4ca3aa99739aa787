"""The Parquet files: do they keep the catalog's promise, and the SQL that reads what an instant reveals."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from source_complete_journey.config import Config, ConfigError
from source_complete_journey.streams import STORE_TIME_ZONE, STREAMS, Column, Stream

if TYPE_CHECKING:
    import duckdb

TYPES_OF_KIND = {
    "integer": {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"},
    "number": {"FLOAT", "DOUBLE", "DECIMAL"},
    "string": {"VARCHAR"},
    "timestamp": {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"},
}
RECORDS_A_SLICE = 150_000
"""How many records go between two checkpoints, about."""


@dataclass(frozen=True)
class Slice:
    """A piece of a stream that ends in a checkpoint: its condition, its rows, and the cursor reached after it."""

    where: str
    rows: int
    cursor: str | None


def connect() -> "duckdb.DuckDBPyConnection":
    """Open DuckDB in memory, on one thread: a second one doubles the CPU time of writing JSON and saves no time."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("set threads = 1")
    connection.execute("set timezone = 'UTC'")
    return connection


class Files:
    """Reads the files of one configuration through one DuckDB connection."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection", config: Config) -> None:
        self.connection = connection
        self.config = config

    def verify(self, stream: Stream) -> list[str]:
        """Compare a stream's file with the catalog; return remarks about what will be left out.

        Raises:
            ConfigError: the file is missing, is no Parquet file, or lacks a column or has it with another type. The
                sentence names the file, the column, what was expected and what is there.
        """
        path = self.config.path(stream.name)
        found = self._describe(path.name, stream)
        expected = {column.name: column for column in stream.columns}
        extra = sorted(set(found) - set(expected))
        for name, column in expected.items():
            if name not in found:
                hint = f" It has {', '.join(extra)}, which the catalog lacks: was the column renamed?" if extra else ""
                raise ConfigError(f"{path.name}: expected a column {name} ({column.kind}), but there is none.{hint}")
            if found[name].split("(")[0] not in TYPES_OF_KIND[column.kind]:
                raise ConfigError(
                    f"{path.name}: expected column {name} to be of kind {column.kind}, but it is {found[name]}. "
                    "Put the file right; nothing of it was read."
                )
        return [f"{path.name}: column {name} is not in the catalog and is left out" for name in extra]

    def slices(self, stream: Stream, since: str | None) -> list[Slice]:
        """Cut what is to be read into pieces of about RECORDS_A_SLICE rows, in cursor order; `since` is inclusive.

        Inclusive, because rows that share the newest cursor value may not all have been delivered; the destination
        removes the few that come twice by primary key.

        Raises:
            ConfigError: a row has no cursor value.
        """
        where = self._visible(stream)
        if stream.cursor is None:
            row = self.connection.execute(f"select count(*) from {self._table(stream.name)} where {where}").fetchone()
            return [Slice(where, row[0] if row else 0, None)]
        cursor, table = f'"{stream.cursor}"', self._table(stream.name)
        missing = self.connection.execute(f"select count(*) from {table} where {cursor} is null").fetchone()
        if missing and missing[0]:
            raise ConfigError(
                f"{self.config.path(stream.name).name}: expected every row to have a {stream.cursor}, but "
                f"{missing[0]:,} have none and could never be read incrementally."
            )
        if since is not None:
            where = f"({where}) and {cursor} >= timestamp '{_checked(since)}'"
        days = self.connection.execute(
            f"select date_trunc('day', {cursor})::varchar, count(*), {_text(f'max({cursor})')}"
            f" from (select {cursor} from {table} where {where}) group by 1 order by 1"
        ).fetchall()
        return list(_pieces(days, cursor, where))

    def select(self, stream: Stream, piece: Slice) -> str:
        """Return the SQL whose rows are the records' data of one piece, columns in catalog order."""
        columns = ", ".join(f'{_value(column)} as "{column.name}"' for column in stream.columns)
        order = f' order by "{stream.cursor}"' if stream.cursor else ""
        # Inside a subquery, so that the order and the conditions see the file's own values, not their texts.
        return f"select {columns} from (select * from {self._table(stream.name)} where {piece.where}{order})"

    def digest(self, stream: Stream, piece: Slice) -> str:
        """Return in short what the records of a piece hold, in whatever order; equal texts, equal records.

        A sum does not ask for the order, and a row that stands twice counts twice. Another DuckDB may hash otherwise.
        """
        columns = ", ".join(f'"{column.name}"' for column in stream.columns)
        found = self.connection.execute(
            f"select count(*), sum(hash({columns})), version() from ({self.select(stream, piece)})"
        ).fetchone()
        kinds = [(column.name, column.kind) for column in stream.columns]
        return hashlib.sha256(repr((kinds, found)).encode()).hexdigest()

    def lie(self, stream: Stream) -> list[tuple[int, int, int]]:
        """Return what tells whether a file that a stream is read from was written or replaced meanwhile."""
        paths = [self.config.path(one.name) for one in needed([stream.name], self.config)]
        return [(found.st_size, found.st_mtime_ns, found.st_ino) for found in (path.stat() for path in paths)]

    def _table(self, stream: str) -> str:
        path = str(self.config.path(stream)).replace("'", "''")
        return f"read_parquet('{path}')"

    def _visible(self, stream: Stream) -> str:
        if self.config.as_of is None or stream.visible is None:
            return "true"
        instant = f"timestamptz '{self.config.as_of.isoformat()}'"
        return (
            stream.visible.replace("$instant", f"({instant} at time zone 'UTC')")
            .replace("$local_date", f"({instant} at time zone '{STORE_TIME_ZONE}')::date")
            .replace("{campaign_descriptions}", self._table("campaign_descriptions"))
        )

    def _describe(self, file: str, stream: Stream) -> dict[str, str]:
        import duckdb

        path = self.config.path(stream.name)
        if not path.is_file():
            raise ConfigError(f"{file}: expected a Parquet file in {path.parent}, but there is none of that name.")
        try:
            rows = self.connection.execute(f"describe select * from {self._table(stream.name)}").fetchall()
        except duckdb.Error as error:
            raise ConfigError(
                f"{file}: expected a Parquet file, but it cannot be read as one: {str(error).splitlines()[0]}"
            ) from error
        return {name: kind for name, kind, *_ in rows}


def needed(names: list[str], config: Config) -> list[Stream]:
    """Return the streams whose files must be sound to read `names`: themselves, and those that date their rows."""
    wanted = dict.fromkeys(names)
    if config.as_of is not None:
        wanted |= dict.fromkeys(other for name in names for other in STREAMS[name].needs)
    return [STREAMS[name] for name in wanted]


def _pieces(days: list[tuple[str, int, str]], cursor: str, where: str) -> Iterator[Slice]:
    """Join whole days into pieces; a day is never cut, so equal cursor values stay in one piece."""
    start, rows = None, 0
    for index, (day, count, newest) in enumerate(days):
        start, rows = start or day, rows + count
        if rows >= RECORDS_A_SLICE or index + 1 == len(days):
            bounds = f"{cursor} >= timestamp '{start}' and {cursor} < timestamp '{day}' + interval 1 day"
            yield Slice(f"({where}) and {bounds}", rows, newest)
            start, rows = None, 0


def _value(column: Column) -> str:
    name = f'"{column.name}"'
    if column.kind == "timestamp":
        return _text(name)
    if column.kind == "number":
        # JSON has no NaN and no infinity.
        return f"case when isfinite({name}::double) then {name}::double end"
    return name


def _text(timestamp: str) -> str:
    return f"replace({timestamp}::timestamp::varchar, ' ', 'T')"


def _checked(cursor: Any) -> str:
    try:
        return datetime.fromisoformat(cursor).isoformat()
    except (TypeError, ValueError):
        raise ConfigError(
            f"The state must hold a cursor such as 2017-09-04T08:00:00; it holds {cursor!r}. "
            "Reset the stream to read it anew."
        ) from None
