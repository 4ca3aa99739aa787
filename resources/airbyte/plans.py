"""How each stream is read and landed: its mode, its keys, its table and the names and types of its columns.

Names: a table is called after its stream as Airbyte's own destinations call it, so that both engines make one table. A
column keeps its name. Names that would meet in an engine are refused before anything is read.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resources.airbyte.protocol import AirbyteError
from resources.ingestions import TABLE as INGESTIONS
from resources.warehouse import quoted

SCHEMA = "raw"
BIGQUERY = "bigquery"
"""What Airbyte calls the destination in which a server lands the tables."""
AIRBYTE_COLUMNS: Mapping[str, str] = {
    "_airbyte_raw_id": "VARCHAR",
    "_airbyte_extracted_at": "TIMESTAMP WITH TIME ZONE",
    "_airbyte_meta": "JSON",
    "_airbyte_generation_id": "BIGINT",
}
SCHEMALESS_COLUMN = "_airbyte_data"
"""Holds the whole record of a stream whose schema names no property."""
STATE_TABLE, SYNCS_TABLE = "_airbyte_state", "_airbyte_syncs"


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

    def schema_of(self, column: str) -> Mapping[str, Any]:
        """Return what the schema says of a column."""
        return properties_of(self.entry.get("json_schema")).get(column, {})

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


def identifier(name: str) -> str:
    """Return a name as Airbyte's destinations write it: letters of ASCII, digits and `_`.

    Accents are taken off, everything else becomes `_`. Dagster, DuckDB and BigQuery take every such name.
    """
    plain = "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
    return "".join(one if one.isascii() and (one.isalnum() or one == "_") else "_" for one in plain)


def meeting(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return the pairs of names that an engine takes for one: they are equal, or differ in case alone."""
    seen: dict[str, str] = {}
    found = []
    for name in names:
        if name.casefold() in seen:
            found.append((seen[name.casefold()], name))
        seen.setdefault(name.casefold(), name)
    return found


def refuse_meetings(tables: Sequence[tuple[str, str]], where: str = "") -> None:
    """Refuse what would be one table in an engine; `tables` is who lands, and the table.

    Raises:
        AirbyteError: two tables have one name, or names that differ only in case.
    """
    for one, other in meeting([table for _, table in tables]):
        owners = [owner for owner, table in tables if table in (one, other)]
        raise AirbyteError(
            f"{where}expected each table from one source, but {' and '.join(owners)} would land in one, "
            f"{SCHEMA}.{one}, and wipe each other's rows. Name the streams to be read (`streams`) without one of them, "
            "or give one of them a connection with a `prefix` of its own. Nothing was read.",
            "config_error",
        )


def plan_stream(entry: Mapping[str, Any], prefix: str = "") -> StreamPlan:
    """Decide how to read and land a stream of a catalog: incrementally if it can, else by replacing its table.

    Raises:
        AirbyteError: the entry is no stream, a column or the table has a name that no table or column can have or that
            is Airbyte's own, two columns differ only in case, or the primary key is no column.
    """
    name = entry.get("name") if isinstance(entry, Mapping) else None
    if not isinstance(name, str) or not name:
        raise AirbyteError(
            f"Expected a name of each stream in a catalog, but one is {str(entry)[:200]}. Discover the catalog anew.",
            "config_error",
        )
    table = identifier(prefix + name)
    properties = properties_of(entry.get("json_schema"))
    columns = {column: duckdb_type(schema) for column, schema in properties.items()} or {SCHEMALESS_COLUMN: "JSON"}
    for one, other in meeting(columns):
        raise AirbyteError(
            f"Stream {name} has columns {one} and {other}, which DuckDB cannot tell apart. Leave the stream out.",
            "config_error",
        )
    for column in columns:
        if column.casefold() in AIRBYTE_COLUMNS:
            raise AirbyteError(
                f"Stream {name} has a column {column}, a name that Airbyte keeps for itself. Leave the stream out.",
                "config_error",
            )
        if not column or "\0" in column:
            raise AirbyteError(
                f"Stream {name} has a column {column!r}, a name that no column can have. Leave the stream out.",
                "config_error",
            )
    if table.casefold() in (STATE_TABLE, SYNCS_TABLE, INGESTIONS):
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


def properties_of(json_schema: Any) -> dict[str, Mapping[str, Any]]:
    """Return the properties of a stream's JSON schema; one that is described by nothing (or by `true`) is any JSON."""
    properties = json_schema.get("properties") if isinstance(json_schema, Mapping) else None
    given = properties if isinstance(properties, Mapping) else {}
    return {str(column): one if isinstance(one, Mapping) else {} for column, one in given.items()}
