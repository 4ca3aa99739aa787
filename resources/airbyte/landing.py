"""Lands records in DuckDB: types, tables, and the transaction that holds data and state together.

What a table looks like is what Airbyte's own destinations make of a stream: the stream's columns, and
`_airbyte_raw_id`, `_airbyte_extracted_at`, `_airbyte_meta`, `_airbyte_generation_id`; so dbt sees one schema wherever a
sync ran.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.airbyte.protocol import AirbyteError
from resources.ingestions import TABLE as INGESTIONS
from resources.warehouse import all_or_nothing, quoted

if TYPE_CHECKING:
    import duckdb

SCHEMA = "raw"
AIRBYTE_COLUMNS: Mapping[str, str] = {
    "_airbyte_raw_id": "VARCHAR",
    "_airbyte_extracted_at": "TIMESTAMP WITH TIME ZONE",
    "_airbyte_meta": "JSON",
    "_airbyte_generation_id": "BIGINT",
}
SCHEMALESS_COLUMN = "_airbyte_data"
"""Holds the whole record of a stream whose schema names no property."""
STATE_TABLE, SYNCS_TABLE = "_airbyte_state", "_airbyte_syncs"
WHOLE_CONNECTION = ""
"""Stands for the stream in the state row of a source that keeps one state for all its streams."""


@dataclass(frozen=True)
class StreamPlan:
    """How one stream is read and landed.

    `columns` maps a column to its DuckDB type, in the order of the schema. Paths of keys and cursors have more than one
    step when they lie inside a nested object.
    """

    name: str
    table: str
    columns: Mapping[str, str]
    incremental: bool
    primary_key: tuple[tuple[str, ...], ...]
    cursor: tuple[str, ...]
    entry: Mapping[str, Any]

    @property
    def qualified(self) -> str:
        """The quoted table name with its schema."""
        return f"{quoted(SCHEMA)}.{quoted(self.table)}"

    @property
    def descriptor(self) -> dict[str, Any]:
        """The stream's name and namespace, as states carry them."""
        namespace = self.entry.get("namespace")
        return {"name": self.name, "namespace": namespace} if namespace else {"name": self.name}

    def configured(self) -> dict[str, Any]:
        """Return the stream's entry in the configured catalog."""
        increments = "append_dedup" if self.primary_key else "append"
        return {
            "stream": dict(self.entry),
            "sync_mode": "incremental" if self.incremental else "full_refresh",
            "destination_sync_mode": increments if self.incremental else "overwrite",
            "cursor_field": list(self.cursor),
            "primary_key": [list(path) for path in self.primary_key],
        }


@dataclass(frozen=True)
class Load:
    """Records to land: the JSONL file (None: there are none), and whether they replace the table."""

    stream: StreamPlan
    file: Path | None
    replace: bool


@dataclass(frozen=True)
class State:
    """A state to keep: of one stream, or of the whole connection (`stream` empty) for GLOBAL and LEGACY sources."""

    stream: str
    kind: str
    value: Any


def duckdb_type(schema: Mapping[str, Any]) -> str:
    """Return the DuckDB type of a property. Objects, arrays and unions become JSON; nothing is lost that way."""
    given = schema.get("type")
    kinds = {kind for kind in ([given] if isinstance(given, str) else given or []) if kind != "null"}
    airbyte_type = schema.get("airbyte_type")
    if kinds == {"integer"} or (kinds == {"number"} and airbyte_type == "integer"):
        return "BIGINT"
    if kinds <= {"integer", "number"} and kinds:
        return "DOUBLE"
    if kinds == {"boolean"}:
        return "BOOLEAN"
    if kinds == {"string"}:
        if schema.get("format") == "date-time":
            naive = airbyte_type == "timestamp_without_timezone"
            return "TIMESTAMP" if naive else "TIMESTAMP WITH TIME ZONE"
        return "DATE" if schema.get("format") == "date" else "VARCHAR"
    return "JSON"


def plan_stream(entry: Mapping[str, Any], prefix: str = "") -> StreamPlan:
    """Decide how to read and land a stream of a catalog: incrementally if it can, else by replacing its table.

    Raises:
        AirbyteError: two columns differ only in case, a column or the table has a name that is Airbyte's own, or the
            primary key is no column.
    """
    name, table = entry["name"], prefix + entry["name"]
    columns = {
        column: duckdb_type(schema) for column, schema in (entry["json_schema"].get("properties") or {}).items()
    } or {SCHEMALESS_COLUMN: "JSON"}
    seen: dict[str, str] = {}
    for column in columns:
        if column in AIRBYTE_COLUMNS:
            raise AirbyteError(
                f"Stream {name} has a column {column}, a name that Airbyte keeps for itself. Leave the stream out.",
                "config_error",
            )
        if column.lower() in seen:
            raise AirbyteError(
                f"Stream {name} has columns {seen[column.lower()]} and {column}, which DuckDB cannot tell apart. Leave "
                "the stream out.",
                "config_error",
            )
        seen[column.lower()] = column
    if table in (STATE_TABLE, SYNCS_TABLE, INGESTIONS):
        raise AirbyteError(f"A stream cannot land as {SCHEMA}.{table}, which the syncs themselves use.", "config_error")
    primary_key = tuple(tuple(path) for path in entry.get("source_defined_primary_key") or ())
    for path in primary_key:
        if path[0] not in columns:
            raise AirbyteError(
                f"Expected the primary key of stream {name} among its columns, but {path[0]} is not there.",
                "config_error",
            )
    cursor = tuple(entry.get("default_cursor_field") or ())
    return StreamPlan(
        name=name,
        table=table,
        columns=columns,
        incremental="incremental" in (entry.get("supported_sync_modes") or ()),
        primary_key=primary_key,
        cursor=cursor if cursor and cursor[0] in columns else (),
        entry=entry,
    )


def prepare(connection: "duckdb.DuckDBPyConnection") -> None:
    """Make the schema and the two tables that the syncs keep about themselves."""
    connection.execute(f"create schema if not exists {quoted(SCHEMA)}")
    connection.execute(
        f"create table if not exists {_own(STATE_TABLE)} (connection VARCHAR, stream VARCHAR, kind VARCHAR, state "
        "JSON, generation_id BIGINT, committed_at TIMESTAMPTZ)"
    )
    connection.execute(
        f"create table if not exists {_own(SYNCS_TABLE)} (connection VARCHAR, started_at TIMESTAMPTZ, "
        "ended_at TIMESTAMPTZ, as_of TIMESTAMPTZ, records BIGINT, bytes BIGINT, cpu_seconds DOUBLE, status VARCHAR, "
        "message VARCHAR)"
    )


def check_columns(connection: "duckdb.DuckDBPyConnection", stream: StreamPlan, connection_name: str) -> list[str]:
    """Return the stream's columns that its table lacks (all, if there is no table yet).

    Raises:
        AirbyteError: the stream offers a column with another type than the table has.
    """
    have = _columns(connection, stream)
    for column, kind in stream.columns.items():
        if have.get(column, kind) != kind:
            raise AirbyteError(
                f"Stream {stream.name}: column {column} is {have[column]} in {SCHEMA}.{stream.table}, and the source "
                f"now offers {kind}. Nothing was changed. If the new type is right, run `python -m resources.airbyte "
                f"reset {connection_name} {stream.name}`, which drops the table and its state, and sync again.",
                "config_error",
            )
    return [column for column in stream.columns if column not in have]


def saved_state(connection: "duckdb.DuckDBPyConnection", name: str, streams: Sequence[StreamPlan]) -> Any:
    """Return what to pass to the connector as its state: per stream, or whatever a source with one state left.

    A stream whose table is gone has none, however it went: it is read from the start.
    """
    rows = connection.execute(
        f"select stream, kind, state from {_own(STATE_TABLE)} where connection = ? and state is not null", [name]
    ).fetchall()
    states = {stream: (kind, json.loads(state)) for stream, kind, state in rows}
    gone = {stream.name for stream in streams if stream.incremental and not _columns(connection, stream)}
    if WHOLE_CONNECTION in states:
        return _without(*states[WHOLE_CONNECTION], gone)
    return [
        {"type": "STREAM", "stream": states[stream.name][1]}
        for stream in streams
        if stream.incremental and stream.name in states and stream.name not in gone
    ]


def _without(kind: str, value: Any, gone: Collection[str]) -> Any:
    """Return one state of a whole connection without the parts of these streams."""
    if kind == "LEGACY":
        return {name: part for name, part in value.items() if name not in gone}
    kept = [one for one in value.get("stream_states", []) if one["stream_descriptor"]["name"] not in gone]
    return [{"type": "GLOBAL", "global": {**value, "stream_states": kept}}]


def commit(
    connection: "duckdb.DuckDBPyConnection", name: str, loads: Sequence[Load], states: Sequence[State]
) -> dict[str, int]:
    """Land records and keep states in one transaction; return the rows of each table that was written.

    Raises:
        AirbyteError: a record does not fit its stream's schema; nothing of this commit is kept.
    """
    connection.execute("set timezone = 'UTC'")
    # All that can fail for a reason comes before the transaction: DuckDB gives one up at its first failing statement.
    changes = [change for load in loads for change in _table_changes(connection, name, load.stream)]
    staged = [_stage(connection, name, load, f"_new_records_{index}") for index, load in enumerate(loads)]
    with all_or_nothing(connection):
        for change in changes:
            connection.execute(change)
        rows = {
            load.stream.name: _land(connection, name, load, table) for load, table in zip(loads, staged, strict=True)
        }
        for state in states:
            _keep_state(connection, name, state.stream, state.kind, state.value, 0)
    for table in staged:
        if table:
            connection.execute(f"drop table {table}")
    return rows


def record_sync(connection: "duckdb.DuckDBPyConnection", values: Sequence[Any]) -> None:
    """Add a line to the record of syncs: connection, started, ended, as_of, records, bytes, CPU s, status, message."""
    connection.execute(f"insert into {_own(SYNCS_TABLE)} values (?, ?, ?, ?, ?, ?, ?, ?, ?)", list(values))


def last_sync_as_of(connection: "duckdb.DuckDBPyConnection", name: str) -> datetime | None:
    """Return the instant as of which the last successful sync read, or None if there was none."""
    known = connection.execute(
        "select count(*) from information_schema.tables where table_schema = ? and table_name = ?",
        [SCHEMA, SYNCS_TABLE],
    ).fetchone()
    if not known or not known[0]:
        return None
    found = connection.execute(
        f"select as_of from {_own(SYNCS_TABLE)} where connection = ? and status = 'succeeded' "
        "order by started_at desc limit 1",
        [name],
    ).fetchone()
    return found[0] if found else None


def reset(connection: "duckdb.DuckDBPyConnection", name: str, stream: StreamPlan) -> None:
    """Drop a stream's table and forget its state, so that the next sync reads it from the start."""
    prepare(connection)
    connection.execute("begin")
    connection.execute(f"drop table if exists {stream.qualified}")
    connection.execute(
        f"delete from {_own(STATE_TABLE)} where connection = ? and stream in (?, ?)",
        [name, stream.name, WHOLE_CONNECTION],
    )
    connection.execute("commit")


def _land(connection: "duckdb.DuckDBPyConnection", name: str, load: Load, staged: str) -> int:
    stream = load.stream
    if load.replace:
        _keep_state(connection, name, stream.name, "FULL_REFRESH", None, _next_generation(connection, name, stream))
        connection.execute(f"delete from {stream.qualified}")
    if staged:
        source = staged
        if stream.incremental and stream.primary_key:
            source = _without_duplicates(connection, stream, staged)
        connection.execute(f"insert into {stream.qualified} by name select * from {source}")
    count = connection.execute(f"select count(*) from {stream.qualified}").fetchone()
    return int(count[0]) if count else 0


def _table_changes(connection: "duckdb.DuckDBPyConnection", name: str, stream: StreamPlan) -> list[str]:
    """Return the statements that make the stream's table, or add the columns that it lacks."""
    missing = check_columns(connection, stream, name)
    if len(missing) < len(stream.columns):
        return [f"alter table {stream.qualified} add column {quoted(one)} {stream.columns[one]}" for one in missing]
    columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in {**stream.columns, **AIRBYTE_COLUMNS}.items())
    return [f"create table {stream.qualified} ({columns})"]


def _columns(connection: "duckdb.DuckDBPyConnection", stream: StreamPlan) -> dict[str, str]:
    import duckdb

    # Asking for one table takes less than a millisecond, asking the information schema takes twenty.
    try:
        rows = connection.execute(
            "select name, type from pragma_table_info(?)", [f"{quoted(SCHEMA)}.{quoted(stream.table)}"]
        ).fetchall()
    except duckdb.CatalogException:
        return {}
    return dict(rows)


def _stage(connection: "duckdb.DuckDBPyConnection", name: str, load: Load, table: str) -> str:
    """Read the records of a load into a temporary table, whose rowid is their order; return its name, or "" if none.

    DuckDB would round 1.5 to 2 for an integer column without a word. So integers are read as doubles, which costs
    nothing, and accepted if they are whole and small enough to be exact; the rest is looked at in `_explain`.
    """
    import duckdb

    if load.file is None:
        return ""
    generation = _next_generation(connection, name, load.stream) if load.replace else 0
    select = _staging_sql(load.stream, load.file, generation, exact=False)
    try:
        connection.execute(f"create or replace temp table {table} as {select}")
    except duckdb.Error as error:
        if not isinstance(error, duckdb.InvalidInputException | duckdb.ConversionException):
            raise
        _explain(connection, load.stream, load.file, error)
        select = _staging_sql(load.stream, load.file, generation, exact=True)
        connection.execute(f"create or replace temp table {table} as {select}")
    return table


def _staging_sql(stream: StreamPlan, file: Path, generation: int, *, exact: bool) -> str:
    read = {column: "DOUBLE" if kind == "BIGINT" and not exact else kind for column, kind in stream.columns.items()}
    if SCHEMALESS_COLUMN in stream.columns:
        data, columns = "JSON", [f"record.data as {quoted(SCHEMALESS_COLUMN)}"]
    else:
        data = "STRUCT(" + ", ".join(f"{quoted(column)} {kind}" for column, kind in read.items()) + ")"
        columns = [
            f"{_checked(column, read[column], kind)} as {quoted(column)}" for column, kind in stream.columns.items()
        ]
    return (
        f"select {', '.join(columns)}, uuid()::varchar as _airbyte_raw_id, "
        "make_timestamptz(record.emitted_at * 1000) as _airbyte_extracted_at, "
        f"'{{\"changes\":[]}}'::json as _airbyte_meta, {generation}::bigint as _airbyte_generation_id "
        f"from {_lines(file, data)}"
    )


def _checked(column: str, read_as: str, kind: str) -> str:
    value = f"record.data.{quoted(column)}"
    if read_as == kind:
        return value
    return (
        f"case when {value} <> trunc({value}) or abs({value}) >= 9007199254740992 "
        f"then error('not exactly an integer') else {value}::bigint end"
    )


def _lines(file: Path, data_type: str) -> str:
    columns = f"STRUCT(data {data_type}, emitted_at BIGINT)".replace("'", "''")
    path = str(file).replace("'", "''")
    return f"read_json('{path}', format = 'newline_delimited', columns = {{'record': '{columns}'}})"


def _explain(connection: "duckdb.DuckDBPyConnection", stream: StreamPlan, file: Path, error: Exception) -> None:
    """Find the first value that does not fit its column, and say so; return if all fit (integers beyond 2^53 do).

    Raises:
        AirbyteError: naming the stream, the column, what was expected and what came.
    """
    import duckdb

    try:
        connection.execute(
            f"create or replace temp view _records as select record.data as data from {_lines(file, 'JSON')}"
        )
        for column, kind in stream.columns.items():
            if kind in ("JSON", "VARCHAR"):
                continue
            path = "$." + json.dumps(column)
            text = "data ->> '{}'".format(path.replace("'", "''"))
            unfit = f"try_cast({text} as {kind}) is null"
            if kind == "BIGINT":
                unfit += f" or try_cast({text} as double) <> trunc(try_cast({text} as double))"
            found = connection.execute(
                f"select {text}, count(*) over () from _records where {text} is not null and ({unfit}) limit 1"
            ).fetchone()
            if found:
                raise AirbyteError(
                    f"Stream {stream.name}: expected {kind} in column {column}, but {found[1]:,} of its new records "
                    f"have something else, such as {str(found[0])[:80]!r}. None of these records was kept. Put the "
                    "source right, or discover its catalog anew if the column changed its type.",
                    "config_error",
                )
    except duckdb.Error as unreadable:
        raise AirbyteError(
            f"Stream {stream.name}: expected every RECORD message to be JSON, but: {str(unreadable).splitlines()[0]} "
            "None of these records was kept."
        ) from error


def _without_duplicates(connection: "duckdb.DuckDBPyConnection", stream: StreamPlan, staged: str) -> str:
    """Remove from the table and from the staged records what the other has in a newer version; return what to insert.

    Of records with equal keys the one with the greatest cursor wins, among equal cursors the one sent last: as in
    Airbyte's destinations. Both passes are skipped when there is nothing to remove, as in nearly every commit.
    """
    keys = ", ".join(_value(path) for path in stream.primary_key)
    source = staged
    if connection.execute(f"select 1 from {staged} group by {keys} having count(*) > 1 limit 1").fetchone():
        order = (f"{_value(stream.cursor)} desc nulls last, " if stream.cursor else "") + "rowid desc"
        source = "_newest_records"
        connection.execute(
            f"create or replace temp table {source} as select * from {staged} "
            f"qualify row_number() over (partition by {keys} order by {order}) = 1"
        )
    same = " and ".join(f"{_value(path, 't')} is not distinct from {_value(path, 'n')}" for path in stream.primary_key)
    known = f"select 1 from {stream.qualified} t where exists (select 1 from {source} n where {same}) limit 1"
    if not connection.execute(known).fetchone():
        return source
    if not stream.cursor:
        connection.execute(f"delete from {stream.qualified} t using {source} n where {same}")
        return source
    old, new = _value(stream.cursor, "t"), _value(stream.cursor, "n")
    connection.execute(
        f"delete from {stream.qualified} t using {source} n where {same} and ({old} is null or {new} >= {old})"
    )
    connection.execute(
        f"create or replace temp table _wanted_records as select n.* from {source} n "
        f"where not exists (select 1 from {stream.qualified} t where {same})"
    )
    return "_wanted_records"


def _value(path: Sequence[str], alias: str = "") -> str:
    """Return the SQL of a column, or of a value inside a JSON column."""
    column = f"{alias}.{quoted(path[0])}" if alias else quoted(path[0])
    if len(path) == 1:
        return column
    inside = "$" + "".join("." + json.dumps(step) for step in path[1:])
    return "({} ->> '{}')".format(column, inside.replace("'", "''"))


def _next_generation(connection: "duckdb.DuckDBPyConnection", name: str, stream: StreamPlan) -> int:
    found = connection.execute(
        f"select max(generation_id) from {_own(STATE_TABLE)} where connection = ? and stream = ?", [name, stream.name]
    ).fetchone()
    return int(found[0] or 0) + 1 if found else 1


def _keep_state(
    connection: "duckdb.DuckDBPyConnection", name: str, stream: str, kind: str, value: Any, generation: int
) -> None:
    connection.execute(f"delete from {_own(STATE_TABLE)} where connection = ? and stream = ?", [name, stream])
    connection.execute(
        f"insert into {_own(STATE_TABLE)} values (?, ?, ?, ?, ?, now())",
        [name, stream, kind, None if value is None else json.dumps(value), generation],
    )


def _own(table: str) -> str:
    return f"{quoted(SCHEMA)}.{quoted(table)}"
