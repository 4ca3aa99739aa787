"""Lands records in DuckDB: types, tables, and the transaction that holds data and state together.

What a table looks like is what Airbyte's own destinations make of a stream: the stream's columns, and
`_airbyte_raw_id`, `_airbyte_extracted_at`, `_airbyte_meta`, `_airbyte_generation_id`; so dbt sees one schema wherever a
sync ran.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.airbyte import exact_json
from resources.airbyte.merging import delete_deleted, without_duplicates
from resources.airbyte.plans import AIRBYTE_COLUMNS, SCHEMA, STATE_TABLE, SYNCS_TABLE, StreamPlan
from resources.airbyte.protocol import AirbyteError
from resources.airbyte.staging import Staged, stage
from resources.airbyte.unchanged import DIGEST, FULL_REFRESH, Vouched, holds
from resources.warehouse import all_or_nothing, quoted

if TYPE_CHECKING:
    import duckdb

WHOLE_CONNECTION = ""
"""Stands for the stream in the state row of a source that keeps one state for all its streams."""


@dataclass(frozen=True)
class Load:
    """Records to land: the JSONL file (None: there are none), and whether they replace the table.

    `vouched` is what the source says of all that it sent for the table, if it does.
    """

    stream: StreamPlan
    file: Path | None
    replace: bool
    vouched: Vouched | None = None


@dataclass(frozen=True)
class Landed:
    """What became of a load: the rows that its table has now, and what was odd about the records."""

    rows: int
    staged: Staged


NO_STATE = "NONE"
"""The kind of a stream's state where its source has none: its rows were read, and nothing says up to where."""


@dataclass(frozen=True)
class State:
    """A state to keep: of one stream, or of the whole connection (`stream` empty) for GLOBAL and LEGACY sources."""

    stream: str
    kind: str
    value: Any


def prepare(connection: "duckdb.DuckDBPyConnection") -> None:
    """Make the schema and the two tables that the syncs keep about themselves."""
    connection.execute(f"create schema if not exists {quoted(SCHEMA)}")
    connection.execute(
        f"create table if not exists {_own(STATE_TABLE)} (connection VARCHAR, stream VARCHAR, kind VARCHAR, state "
        "JSON, generation_id BIGINT, committed_at TIMESTAMPTZ, holds VARCHAR)"
    )
    connection.execute(
        f"create table if not exists {_own(SYNCS_TABLE)} (connection VARCHAR, started_at TIMESTAMPTZ, "
        "ended_at TIMESTAMPTZ, as_of TIMESTAMPTZ, records BIGINT, bytes BIGINT, cpu_seconds DOUBLE, status VARCHAR, "
        "message VARCHAR, counts VARCHAR)"
    )
    # Made by earlier releases they lack a column.
    connection.execute(f"alter table {_own(STATE_TABLE)} add column if not exists holds VARCHAR")
    connection.execute(f"alter table {_own(SYNCS_TABLE)} add column if not exists counts VARCHAR")


def check_columns(connection: "duckdb.DuckDBPyConnection", stream: StreamPlan, connection_name: str) -> list[str]:
    """Return the stream's columns that its table lacks (all, if there is no table yet).

    Raises:
        AirbyteError: the stream offers a column with another type than the table has.
    """
    # The engine takes names that differ in case alone for one.
    have = {column.casefold(): kind for column, kind in _columns(connection, stream).items()}
    for column, kind in stream.columns.items():
        there = have.get(column.casefold(), kind)
        if there != kind:
            raise AirbyteError(
                f"Stream {stream.name}: column {column} is {there} in {SCHEMA}.{stream.table}, and the source "
                f"now offers {kind}. Nothing was changed. If the new type is right, run `python -m resources.airbyte "
                f"reset {connection_name} {stream.name}`, which drops the table and its state, and sync again.",
                "config_error",
            )
    return [column for column in stream.columns if column.casefold() not in have]


def refuse_doubling(
    connection: "duckdb.DuckDBPyConnection", name: str, streams: Sequence[StreamPlan], read_on: Collection[str]
) -> None:
    """Refuse to read a stream from the start whose rows would be there twice: its state was lost, and it has no key.

    `read_on` are the names of the incremental streams that have rows.

    Raises:
        AirbyteError: there is such a stream.
    """
    rows = connection.execute(f"select stream from {_own(STATE_TABLE)} where connection = ?", [name]).fetchall()
    known = {stream for (stream,) in rows}
    for stream in streams:
        appended = stream.name in read_on and not stream.primary_key
        if appended and not known & {stream.name, WHOLE_CONNECTION}:
            raise AirbyteError(
                f"Stream {stream.name}: expected a state that says up to where {SCHEMA}.{stream.table} was read, and "
                "it is lost. Without a key of its rows, reading from the start would land each of them twice. If the "
                f"source still has them all: `.venv/bin/python -m resources.airbyte reset {name} {stream.name}`, which "
                "drops the table, and sync again. If not: `make restore FROM=<folder>`. Nothing was changed.",
                "config_error",
            )


def saved_state(
    connection: "duckdb.DuckDBPyConnection", name: str, streams: Sequence[StreamPlan], read_on: Collection[str]
) -> Any:
    """Return what to pass to the connector as its state: per stream, or whatever a source with one state left.

    `read_on` are the names of the incremental streams that have rows. One whose table is not there, or has no row, is
    read from the start, whatever its state says of rows that are gone.
    """
    gone = {stream.name for stream in streams if stream.incremental and stream.name not in read_on}
    rows = connection.execute(
        f"select stream, kind, state from {_own(STATE_TABLE)} where connection = ? and state is not null", [name]
    ).fetchall()
    states = {stream: (kind, exact_json.loads(state)) for stream, kind, state in rows}
    if WHOLE_CONNECTION in states:
        kind, value = states[WHOLE_CONNECTION]
        if kind == "LEGACY":
            return {part: one for part, one in value.items() if part not in gone} if isinstance(value, dict) else value
        return [{"type": "GLOBAL", "global": _without(value, gone)}]
    return [
        {"type": "STREAM", "stream": states[stream.name][1]}
        for stream in streams
        if stream.incremental and states.get(stream.name, (FULL_REFRESH,))[0] != FULL_REFRESH
        # What a full refresh left says nothing of where to read on.
        if stream.name not in gone
    ]


def _without(value: Any, gone: Collection[str]) -> Any:
    """Return one state for all streams without its parts about some of them."""
    parts = value.get("stream_states") if isinstance(value, dict) else None
    if not gone or not isinstance(parts, list):
        return value
    return {**value, "stream_states": [part for part in parts if _stream_of(part) not in gone]}


def _stream_of(part: Any) -> str:
    descriptor = part.get("stream_descriptor") if isinstance(part, dict) else None
    return str(descriptor.get("name")) if isinstance(descriptor, dict) else WHOLE_CONNECTION


def commit(
    connection: "duckdb.DuckDBPyConnection", name: str, loads: Sequence[Load], states: Sequence[State]
) -> dict[str, Landed]:
    """Land records and keep states in one transaction; return what became of each stream.

    Raises:
        AirbyteError: a record does not fit its stream's schema; nothing of this commit is kept.
    """
    connection.execute("set timezone = 'UTC'")
    # All that can fail for a reason comes before the transaction: DuckDB gives one up at its first failing statement.
    changes = [change for load in loads for change in _table_changes(connection, name, load.stream)]
    staged = []
    for index, load in enumerate(loads):
        generation = _next_generation(connection, name, load.stream) if load.replace else 0
        staged.append(stage(connection, load.stream, load.file, generation, f"_new_records_{index}"))
    rows = {}
    with all_or_nothing(connection):
        for change in changes:
            connection.execute(change)
        for load, one in zip(loads, staged, strict=True):
            rows[load.stream.name] = _land(connection, name, load, one)
        for state in states:
            if state.kind != NO_STATE or not _has_state(connection, name, state.stream):
                _keep_state(connection, name, state.stream, state.kind, state.value, 0)
    for one in staged:
        if one.table:
            connection.execute(f"drop table {one.table}")
    return {load.stream.name: Landed(rows[load.stream.name], one) for load, one in zip(loads, staged, strict=True)}


def emptied(connection: "duckdb.DuckDBPyConnection", loads: Sequence[Load]) -> dict[str, int]:
    """Return how many rows each table has that these loads will leave with none."""
    found = {}
    for load in loads:
        if load.replace and load.file is None and _columns(connection, load.stream):
            counted = connection.execute(f"select count(*) from {load.stream.qualified}").fetchone()
            if counted and counted[0]:
                found[load.stream.name] = int(counted[0])
    return found


def record_sync(connection: "duckdb.DuckDBPyConnection", values: Sequence[Any]) -> None:
    """Add a line to the record of syncs.

    `values`: connection, started, ended, as_of, records, bytes, CPU s, status, message, counts. Counts are by table how
    many records the source says it sent, and how many of these arrived; none where it does not say.
    """
    *first, counts = values
    row = [*first, json.dumps(counts) if counts else None]
    connection.execute(f"insert into {_own(SYNCS_TABLE)} values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


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
    with all_or_nothing(connection):
        connection.execute(f"drop table if exists {stream.qualified}")
        connection.execute(
            f"delete from {_own(STATE_TABLE)} where connection = ? and stream in (?, ?)",
            [name, stream.name, WHOLE_CONNECTION],
        )


def _land(connection: "duckdb.DuckDBPyConnection", name: str, load: Load, staged: Staged) -> int:
    stream = load.stream
    if load.replace:
        connection.execute(f"delete from {stream.qualified}")
    if source := staged.table:
        if stream.incremental and stream.primary_key:
            source = without_duplicates(connection, stream, source)
        connection.execute(f"insert into {stream.qualified} by name select * from {source}")
        delete_deleted(connection, stream)
    count = connection.execute(f"select count(*) from {stream.qualified}").fetchone()
    rows = int(count[0]) if count else 0
    if load.replace:
        said, odd = load.vouched, staged.notes or staged.unlisted
        # What is odd is told at every sync, and records that went missing come again: such a table is not kept.
        kept = said if said and said.records == rows and not odd else None
        state, contents = ({DIGEST: kept.digest}, holds(connection, stream)) if kept else (None, None)
        generation = _next_generation(connection, name, stream)
        _keep_state(connection, name, stream.name, FULL_REFRESH, state, generation, contents)
    return rows


def _table_changes(connection: "duckdb.DuckDBPyConnection", name: str, stream: StreamPlan) -> list[str]:
    """Return the statements that make the stream's table, or add the columns that it lacks."""
    missing = check_columns(connection, stream, name)
    if _columns(connection, stream):
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


def _has_state(connection: "duckdb.DuckDBPyConnection", name: str, stream: str) -> bool:
    return bool(
        connection.execute(
            f"select 1 from {_own(STATE_TABLE)} where connection = ? and stream = ?", [name, stream]
        ).fetchone()
    )


def has_rows(connection: "duckdb.DuckDBPyConnection", stream: StreamPlan) -> bool:
    """Tell whether a stream's table is there with a row in it."""
    found = _columns(connection, stream) and connection.execute(f"select 1 from {stream.qualified} limit 1").fetchone()
    return bool(found)


def _next_generation(connection: "duckdb.DuckDBPyConnection", name: str, stream: StreamPlan) -> int:
    found = connection.execute(
        f"select max(generation_id) from {_own(STATE_TABLE)} where connection = ? and stream = ?", [name, stream.name]
    ).fetchone()
    return int(found[0] or 0) + 1 if found else 1


def _keep_state(
    connection: "duckdb.DuckDBPyConnection",
    name: str,
    stream: str,
    kind: str,
    value: Any,
    generation: int,
    contents: str | None = None,
) -> None:
    connection.execute(f"delete from {_own(STATE_TABLE)} where connection = ? and stream = ?", [name, stream])
    connection.execute(
        f"insert into {_own(STATE_TABLE)} values (?, ?, ?, ?, ?, now(), ?)",
        [name, stream, kind, None if value is None else exact_json.dumps(value), generation, contents],
    )


def _own(table: str) -> str:
    return f"{quoted(SCHEMA)}.{quoted(table)}"
