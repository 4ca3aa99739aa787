"""Which of several versions of a row stays. Keys and cursors compare as what they are, whatever they are held as.

A number may be held as text, or as part of a nested value: "10" comes after "9" all the same, and 7 and "7" in a column
of both are one key. Text that was declared as text is compared letter by letter as a key: "007" is not "7".
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from resources.airbyte.plans import StreamPlan
from resources.warehouse import quoted

if TYPE_CHECKING:
    import duckdb

SENT = "_airbyte_sent"
"""The place of a record among those that were sent together."""
DELETED_AT = "_ab_cdc_deleted_at"
"""When a row was deleted at the source: a column that sources with change data capture have."""
NUMBER = r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?"
INSTANT = r"\d{4}-\d{2}-\d{2}([T ].*)?"
NUMBERS_AS_TEXT = {"big_integer", "big_number", "integer", "number"}
"""What Airbyte calls a text that holds a number."""


def without_duplicates(connection: "duckdb.DuckDBPyConnection", stream: StreamPlan, staged: str) -> str:
    """Remove from the table and from the staged records what the other has in a newer version; return what to insert.

    Of records with equal keys the one with the greatest cursor wins, among equal cursors the one sent last: as in
    Airbyte's destinations. Both passes are skipped when there is nothing to remove, as in nearly every commit.
    """
    keys = ", ".join(_key(stream, path) for path in stream.primary_key)
    source = staged
    if connection.execute(f"select 1 from {staged} group by {keys} having count(*) > 1 limit 1").fetchone():
        order = (f"{_order(stream)} desc nulls last, " if stream.cursor else "") + f"{SENT} desc"
        source = "_newest_records"
        # Not by DuckDB's rowid: a stream may have a column of that name.
        connection.execute(
            f"create or replace temp table {source} as select * exclude ({SENT}) from "
            f"(select *, row_number() over () as {SENT} from {staged}) "
            f"qualify row_number() over (partition by {keys} order by {order}) = 1"
        )
    same = " and ".join(
        f"{_key(stream, path, 't')} is not distinct from {_key(stream, path, 'n')}" for path in stream.primary_key
    )
    known = f"select 1 from {stream.qualified} t where exists (select 1 from {source} n where {same}) limit 1"
    if not connection.execute(known).fetchone():
        return source
    if not stream.cursor:
        connection.execute(f"delete from {stream.qualified} t using {source} n where {same}")
        return source
    old, new = _order(stream, "t"), _order(stream, "n")
    connection.execute(
        f"delete from {stream.qualified} t using {source} n where {same} and "
        f"({_value(stream.cursor, 't')} is null or {new} >= {old})"
    )
    connection.execute(
        f"create or replace temp table _wanted_records as select n.* from {source} n "
        f"where not exists (select 1 from {stream.qualified} t where {same})"
    )
    return "_wanted_records"


def delete_deleted(connection: "duckdb.DuckDBPyConnection", stream: StreamPlan) -> None:
    """Remove the rows whose newest version says that they were deleted at the source, as Airbyte's destinations do."""
    if stream.incremental and stream.primary_key and DELETED_AT in stream.columns:
        connection.execute(f"delete from {stream.qualified} where {quoted(DELETED_AT)} is not null")


def _value(path: Sequence[str], alias: str = "") -> str:
    """Return the SQL of a column, or of a value inside a JSON column as text."""
    column = f"{alias}.{quoted(path[0])}" if alias else quoted(path[0])
    return column if len(path) == 1 else f"({column} ->> {_path(path)})"


def _path(path: Sequence[str]) -> str:
    # DuckDB does not read \u escapes in a path.
    inside = "$" + "".join("." + json.dumps(step, ensure_ascii=False) for step in path[1:])
    return "'{}'".format(inside.replace("'", "''"))


def _is_text(stream: StreamPlan, path: Sequence[str]) -> bool:
    return len(path) > 1 or stream.columns[path[0]] in ("VARCHAR", "JSON")


def _key(stream: StreamPlan, path: Sequence[str], alias: str = "") -> str:
    """Return the SQL of a part of a key; equal keys have equal values."""
    value = _value(path, alias)
    if not _is_text(stream, path):
        return value
    if len(path) == 1 and stream.columns[path[0]] == "VARCHAR":
        schema = stream.schema_of(path[0])
        return _plain_number(value) if schema.get("airbyte_type") in NUMBERS_AS_TEXT else value
    column = _value(path[:1], alias)
    text = value if len(path) > 1 else f"({column} ->> '$')"
    kind = f"json_type({column}, {_path(path)})" if len(path) > 1 else f"json_type({column})"
    return f"case when {kind} = 'DOUBLE' then {_plain_number(text)} else {text} end"


def _plain_number(text: str) -> str:
    """Return the SQL of a number as text in one way of writing: 7 for 007, +7, 7.0 and 7.00."""
    unsigned = rf"regexp_replace(trim({text}), '^\+?(-?)0*(\d)', '\1\2')"
    short = rf"rtrim(regexp_replace({unsigned}, '(\.\d*?)0+$', '\1'), '.')"
    return rf"case when regexp_full_match(trim({text}), '[+-]?\d+(\.\d+)?') then {short} else {text} end"


def _order(stream: StreamPlan, alias: str = "") -> str:
    """Return the SQL of what the cursor is ordered by.

    Numbers held as text come before instants held as text, and these before any other text. DuckDB compares the parts
    one after another, so what a double cannot tell apart is told apart by the exact parts behind it.
    """
    if not _is_text(stream, stream.cursor):
        return _value(stream.cursor, alias)
    text = _value(stream.cursor, alias)
    if len(stream.cursor) == 1 and stream.columns[stream.cursor[0]] == "JSON":
        text = f"({text} ->> '$')"
    text = f"trim({text})"
    number, instant = f"regexp_full_match({text}, '{NUMBER}')", f"try_cast({text} as timestamptz)"
    whole = rf"case when regexp_full_match({text}, '[+-]?\d+') then try_cast({text} as hugeint) end"
    return (
        f"case when {text} is null then null "
        f"when {number} then row(0, try_cast({text} as double), {whole}, try_cast({text} as decimal(38, 18)), "
        "null::timestamptz, null::varchar) "
        f"when regexp_full_match({text}, '{INSTANT}') and {instant} is not null then "
        f"row(1, null::double, null::hugeint, null::decimal(38, 18), {instant}, null::varchar) "
        f"else row(2, null::double, null::hugeint, null::decimal(38, 18), null::timestamptz, {text}) end"
    )
