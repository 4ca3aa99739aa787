"""What BigQuery says of a table without reading it, as a local copy needs it.

Its columns as DuckDB has them, and a text that is another one when the rows may be others.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any

from resources.warehouse.bigquery.types import current_type
from resources.warehouse.contract import SourceTable

DUCKDB_TYPES = {
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    # The destination of Airbyte makes NUMERIC of what the embedded profile lands as DOUBLE.
    "NUMERIC": "DOUBLE",
    "BIGNUMERIC": "DOUBLE",
    "STRING": "VARCHAR",
    "BOOL": "BOOLEAN",
    "DATE": "DATE",
    "TIME": "TIME",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
    "BYTES": "BLOB",
}
"""What stays a value; everything else (JSON, structures, arrays, places) becomes text."""

_NAMED = re.compile(r"`([^`]+)`\.`([^`]+)`\.`([^`]+)`|`([^`.]+)\.([^`.]+)\.([^`.]+)`")

_READ = re.compile(r"(?i)\b(?:from|join)\s+([`\w][^\s(),]*)")


def source_of(table: Any, look_up: Callable[[str], Any]) -> SourceTable:
    """Return a table's or view's description; `look_up` gives that of another one by its full name, None if gone."""
    columns, reads = {}, {}
    for field in table.schema:
        kind = current_type(field.field_type)
        name = field.name.lower()
        if field.mode == "REPEATED" or kind not in DUCKDB_TYPES:
            columns[name], reads[name] = "VARCHAR", f"to_json_string(`{field.name}`)"
        else:
            columns[name] = DUCKDB_TYPES[kind]
            reads[name] = f"cast(`{field.name}` as float64)" if "NUMERIC" in kind else f"`{field.name}`"
    made = table.created.isoformat() if table.table_type == "TABLE" and table.created else ""
    return SourceTable(columns, reads, _changed(table, look_up), made, table.modified if made else None)


def _changed(table: Any, look_up: Callable[[str], Any]) -> str:
    """Return a text that is another one whenever rows may be; "" where that cannot be told."""
    if table.table_type == "TABLE":
        # Rows that were streamed in do not show in the description until BigQuery put them away.
        if table.streaming_buffer is not None or table.modified is None:
            return ""
        return f"{table.modified.isoformat()} {table.num_rows}"
    if table.table_type != "VIEW":
        return ""
    states = [table.view_query]
    for name in _tables_named(table.view_query):
        read = look_up(name)
        state = "" if read is None else _changed(read, look_up)
        if not state:
            return ""
        states.append(f"{name} {state}")
    return hashlib.sha256("\n".join(states).encode()).hexdigest() if len(states) > 1 else ""


def _tables_named(sql: str) -> list[str]:
    """Return the tables that a view reads, by full name; none where it names one in another way than dbt does."""
    named = [".".join(part for part in found if part) for found in _NAMED.findall(sql)]
    # A name with a dot and without backticks: which table that is depends on settings.
    vague = [name for name in _READ.findall(_NAMED.sub("`", sql)) if "." in name]
    return [] if vague else list(dict.fromkeys(named))
