"""Reads records that wait in a file into a temporary table, typed: fast where all is as expected, else with care.

The fast way is one statement that fails at the first odd value. What it cannot take is mended record by record
(`odd_records`) and read again, or refused in a sentence.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from resources.airbyte.odd_records import does_not_fit, mended, unlisted_columns
from resources.airbyte.plans import SCHEMALESS_COLUMN, StreamPlan
from resources.airbyte.protocol import AirbyteError
from resources.warehouse import quoted

if TYPE_CHECKING:
    import duckdb

LARGEST_RECORD = 16 << 20
"""DuckDB's own limit of a JSON value, in bytes. A longer record is read with a limit of its own."""
NO_CHANGES = """'{"changes":[]}'::json"""
TOO_LARGE = "9007199254740992"
"""From 2^53 on a double does not hold every whole number."""


FIRST_READ_AS = {"BIGINT": "DOUBLE", "BOOLEAN": "VARCHAR", "DATE": "TIMESTAMP"}
"""Wider types, which show what DuckDB would round, cut off or take for true without a word."""
NO_JSON = r"(^|[:\[,])\s*-?(NaN|Infinity)"


@dataclass(frozen=True)
class Staged:
    """A temporary table of a load's records in their order ("": there are none), and what was odd about them.

    `unlisted` counts the records that have a column which the catalog lacks, by column; `notes` are sentences.
    """

    table: str = ""
    unlisted: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def stage(
    connection: "duckdb.DuckDBPyConnection", stream: StreamPlan, file: Path | None, generation: int, table: str
) -> Staged:
    """Read the records of a file into the temporary table `table`.

    Raises:
        AirbyteError: a record does not fit; the sentence names stream, column, count, position and an example.
    """
    import duckdb

    if file is None:
        return Staged()
    unlisted = unlisted_columns(stream, file)
    notes = [
        f"{stream.name}: {count:,} new records have a column {column}, which the connection's catalog lacks; it was "
        "not landed. To land it, discover the catalog anew."
        for column, count in unlisted.items()
    ]
    try:
        connection.execute(f"create or replace temp table {table} as {_fast_sql(stream, file, generation)}")
    except duckdb.Error as error:
        if not isinstance(error, duckdb.InvalidInputException | duckdb.ConversionException):
            raise
        put_right = mended(stream, file, file.with_suffix(".mended"))
        try:
            _stage_mended(connection, stream, put_right.file, put_right.longest, generation, table)
        finally:
            put_right.file.unlink(missing_ok=True)
        notes += put_right.notes
    return Staged(table, unlisted, tuple(notes))


def _stage_mended(
    connection: "duckdb.DuckDBPyConnection", stream: StreamPlan, file: Path, longest: int, generation: int, table: str
) -> None:
    import duckdb

    select = _select(stream, generation, {column: _as_is(column, kind) for column, kind in stream.columns.items()})
    data = _data_type({column: _read_as(kind) for column, kind in stream.columns.items()})
    try:
        connection.execute(f"create or replace temp table {table} as {select} from {_lines(file, data, longest)}")
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        _explain(connection, stream, file, longest)
        raise AirbyteError(
            f"Stream {stream.name}: expected records that fit its schema, but: {str(error).splitlines()[0]} None of "
            "these records was kept."
        ) from error


def _fast_sql(stream: StreamPlan, file: Path, generation: int) -> str:
    """Return the statement that fails at anything odd.

    DuckDB would round 1.5 to 2 for an integer column without a word. So integers are read as doubles, which costs
    nothing, and accepted if they are whole and small enough to be exact.
    """
    read = {column: FIRST_READ_AS.get(kind, _read_as(kind)) for column, kind in stream.columns.items()}
    checked = {}
    for column, kind in stream.columns.items():
        value = f"record.data.{quoted(column)}"
        # A NaN is greater than every number, so it is none below the bound.
        odd = f"not abs({value}) < {TOO_LARGE}"
        if kind == "BIGINT":
            checked[column] = f"case when {value} <> trunc({value}) or {odd} then error('odd') else {value}::bigint end"
        elif kind == "DOUBLE":
            checked[column] = f"case when {odd} then error('odd') else {value} end"
        elif kind == "BOOLEAN":
            checked[column] = f"case when {value} not in ('true', 'false') then error('odd') else {value}::boolean end"
        elif kind == "DATE":
            checked[column] = f"case when {value} <> {value}::date then error('odd') else {value}::date end"
        elif kind == "JSON":
            text = f"{_as_is(column, kind)}::varchar"
            # These two are no JSON, and yet DuckDB reads and keeps them. Words in a text have no such sign before them.
            odd = f"(contains({text}, 'NaN') or contains({text}, 'Infinity')) and regexp_matches({text}, '{NO_JSON}')"
            checked[column] = f"case when {odd} then error('odd') else {_as_is(column, kind)} end"
        else:
            checked[column] = _as_is(column, kind)
    return f"{_select(stream, generation, checked)} from {_lines(file, _data_type(read), LARGEST_RECORD)}"


def _read_as(kind: str) -> str:
    # DuckDB drops the offset of a time that is read without a zone.
    return "TIMESTAMP WITH TIME ZONE" if kind == "TIMESTAMP" else kind


def _as_is(column: str, kind: str) -> str:
    if column == SCHEMALESS_COLUMN:
        return "record.data"
    value = f"record.data.{quoted(column)}"
    return f"make_timestamp(epoch_us({value}))" if kind == "TIMESTAMP" else value


def _select(stream: StreamPlan, generation: int, values: Mapping[str, str]) -> str:
    columns = ", ".join(f"{values[column]} as {quoted(column)}" for column in stream.columns)
    none = "record.data is null"
    if SCHEMALESS_COLUMN in stream.columns:
        none += " or json_type(record.data) <> 'OBJECT'"
    return (
        f"select {columns}, case when {none} then error('odd') else uuid()::varchar end as "
        "_airbyte_raw_id, coalesce(make_timestamptz(record.emitted_at * 1000), now()) as _airbyte_extracted_at, "
        f"case when record.meta is null then {NO_CHANGES} else json_merge_patch({NO_CHANGES}, record.meta) end as "
        f"_airbyte_meta, {generation}::bigint as _airbyte_generation_id"
    )


def _data_type(columns: Mapping[str, str]) -> str:
    if SCHEMALESS_COLUMN in columns:
        return "JSON"
    return "STRUCT(" + ", ".join(f"{quoted(column)} {kind}" for column, kind in columns.items()) + ")"


def _lines(file: Path, data_type: str, longest: int) -> str:
    columns = f"STRUCT(data {data_type}, emitted_at BIGINT, meta JSON)".replace("'", "''")
    path = str(file).replace("'", "''")
    return (
        f"read_json('{path}', format = 'newline_delimited', maximum_object_size = {max(longest, LARGEST_RECORD)}, "
        f"columns = {{'record': '{columns}'}})"
    )


def _explain(connection: "duckdb.DuckDBPyConnection", stream: StreamPlan, file: Path, longest: int) -> None:
    """Find the first value that does not fit its column, and say so; return if all fit.

    Raises:
        AirbyteError: naming the stream, the column, what was expected and what came.
    """
    connection.execute(
        "create or replace temp table _odd_records as select row_number() over () as place, record.data as data "
        f"from {_lines(file, 'JSON', longest)}"
    )
    for column, kind in stream.columns.items():
        if kind in ("JSON", "VARCHAR"):
            continue
        # DuckDB does not read \u escapes in a path.
        path = "$." + json.dumps(column, ensure_ascii=False)
        text = "data ->> '{}'".format(path.replace("'", "''"))
        found = connection.execute(
            f"select {text}, count(*) over (), place from _odd_records where {text} is not null and "
            f"try_cast({text} as {_read_as(kind)}) is null order by place limit 1"
        ).fetchone()
        if found:
            raise AirbyteError(does_not_fit(stream, column, kind, found[1], found[0], found[2]), "config_error")
