"""What a server's connections looked like when somebody last looked: committed, so that definitions load without it.

The snapshot holds what the graph is made of: the selected streams of each connection, their columns, keys and cursors.
It holds no configuration of a source or destination and thus no secret.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dagster_airbyte.translator import AirbyteConnection, AirbyteDestination, AirbyteStream, AirbyteWorkspaceData

from resources.airbyte.connections import Connection, select_streams
from resources.airbyte.plans import (
    BIGQUERY,
    SCHEMA,
    StreamPlan,
    duckdb_type,
    meeting,
    plan_stream,
    properties_of,
)
from resources.airbyte.protocol import AirbyteError
from resources.folders import write_whole
from resources.identifiers import identifier

SNAPSHOT_FILE = Path(__file__).resolve().parent.parent.parent / "deploy" / "production" / "airbyte_snapshot.json"
REFRESH = "python -m commands.airbyte"

WORDS: Mapping[str, str] = {
    "BIGINT": "a whole number",
    "DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "TIMESTAMP": "a time without a zone",
    "TIMESTAMP WITH TIME ZONE": "an instant",
    "DATE": "a date",
    "VARCHAR": "text",
    "JSON": "a nested value",
}


class OneTableError(AirbyteError):
    """Two streams of a connection would be one table."""


@dataclass(frozen=True)
class ServerStream:
    """A selected stream as the server describes it; `json_schema` has only the columns that are synced."""

    name: str
    json_schema: Mapping[str, Any]
    sync_mode: str
    destination_sync_mode: str
    namespace: str = ""
    cursor: Sequence[str] = ()
    primary_key: Sequence[Sequence[str]] = ()

    @property
    def columns(self) -> dict[str, str]:
        """The types of the columns, in DuckDB's words, by name."""
        return {name: duckdb_type(schema) for name, schema in (self.json_schema.get("properties") or {}).items()}


@dataclass(frozen=True)
class ServerConnection:
    """A connection as the server describes it. `dataset` is where the destination puts its tables, empty if unknown."""

    id: str
    name: str
    prefix: str
    destination_id: str
    destination_type: str
    dataset: str
    streams: Sequence[ServerStream]

    def table(self, stream: str) -> str:
        """Return the name of a stream's table."""
        return identifier(self.prefix + stream)

    def plans(self) -> list[StreamPlan]:
        """Return how each stream is landed, as the embedded engine plans it.

        Raises:
            AirbyteError: two columns of a stream would be one, or have Airbyte's own names.
        """
        return [plan_stream(self._entry(stream), self.prefix) for stream in self.streams]

    def _entry(self, stream: ServerStream) -> dict[str, Any]:
        """Return a stream as a catalog has it, with the names that its columns have where they land.

        Raises:
            AirbyteError: the destination makes one column of two.
        """
        landed = identifier if self.destination_type == BIGQUERY else str
        properties = properties_of(stream.json_schema)
        for one, _ in meeting([landed(column) for column in properties]):
            both = [column for column in properties if landed(column).casefold() == one.casefold()]
            raise AirbyteError(
                f"Stream {stream.name} has columns {' and '.join(both)}, which land as one, {one}. "
                "Deselect one of them in Airbyte.",
                "config_error",
            )
        return {
            "name": stream.name,
            "namespace": stream.namespace or None,
            "json_schema": {
                **stream.json_schema,
                "properties": {landed(column): schema for column, schema in properties.items()},
            },
            "supported_sync_modes": [stream.sync_mode],
            "source_defined_primary_key": [[landed(path[0]), *path[1:]] for path in stream.primary_key],
            "default_cursor_field": [landed(step) for step in stream.cursor[:1]] + list(stream.cursor[1:]),
        }


@dataclass(frozen=True)
class Change:
    """What differs at the server. `stream` is empty when it concerns the connection; a breaking one fails a check."""

    stream: str
    sentence: str
    breaking: bool


def read_snapshot(file: Path) -> dict[str, ServerConnection]:
    """Return the connections of a snapshot, by name.

    Raises:
        AirbyteError: there is no such file, or it is no snapshot.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["connections"]
        connections = [
            ServerConnection(**{**one, "streams": [ServerStream(**stream) for stream in one["streams"]]})
            for one in found
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AirbyteError(
            f"Expected the snapshot of Airbyte's connections in {file}, but it cannot be read: {error!r}. Write it by "
            f"`{REFRESH}`.",
            "config_error",
        ) from error
    return {one.name: one for one in connections}


def write_snapshot(file: Path, connections: Mapping[str, ServerConnection]) -> None:
    """Write a snapshot; the old one stays until the new one is whole."""
    content = {"connections": [asdict(connections[name]) for name in sorted(connections)]}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps(content, indent=1) + "\n")


def workspace_data(connections: Mapping[str, ServerConnection]) -> AirbyteWorkspaceData:
    """Return a snapshot as what dagster-airbyte would have fetched."""
    return AirbyteWorkspaceData(
        connections_by_id={
            one.id: AirbyteConnection(
                id=one.id,
                name=one.name,
                stream_prefix=one.prefix,
                streams={
                    stream.name: AirbyteStream(name=stream.name, selected=True, json_schema=stream.json_schema)
                    for stream in one.streams
                },
                destination_id=one.destination_id,
            )
            for one in connections.values()
        },
        destinations_by_id={
            one.destination_id: AirbyteDestination(
                id=one.destination_id, type=one.destination_type, database=None, schema=one.dataset or None
            )
            for one in connections.values()
        },
    )


def streams_of(details: Mapping[str, Any]) -> dict[str, bool]:
    """Return the streams in a connection's catalog and whether each is selected.

    Raises:
        AirbyteError: the catalog has another shape.
    """
    found: dict[str, bool] = {}
    try:
        for entry in details["syncCatalog"]["streams"]:
            name, selected = str(entry["stream"]["name"]), bool(entry["config"].get("selected"))
            found[name] = found.get(name, False) or selected
    except (KeyError, TypeError, AttributeError) as error:
        raise other_shape("the streams of a connection's catalog, with name and config", error) from error
    return found


def connection_of(details: Mapping[str, Any], destination: Mapping[str, Any]) -> ServerConnection:
    """Return a connection from what the server says of it (Configuration API) and of its destination (public API).

    Raises:
        OneTableError: one table would be written by two streams.
        AirbyteError: the answer lacks what a connection has.
    """
    try:
        connection = ServerConnection(
            id=details["connectionId"],
            name=details["name"],
            prefix=details.get("prefix") or "",
            destination_id=details["destinationId"],
            destination_type=destination["destinationType"],
            dataset=_dataset(details, destination["configuration"]),
            streams=[
                _stream(entry["stream"], entry["config"])
                for entry in details["syncCatalog"]["streams"]
                if entry["config"].get("selected")
            ],
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = "connectionId, name, destinationId and syncCatalog of a connection, and its destination's configuration"
        raise other_shape(what, error) from error
    names = [stream.name for stream in connection.streams]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OneTableError(
            f"Connection {connection.name} offers {', '.join(twice)} in more than one namespace, which would be one "
            "table. Deselect one of them in Airbyte, or sync it by a connection with a prefix of its own.",
            "config_error",
        )
    for one, other in meeting([connection.table(name) for name in names]):
        streams = [name for name in names if connection.table(name) in (one, other)]
        raise OneTableError(
            f"Connection {connection.name} offers {' and '.join(streams)}, which would be one table, "
            f"{SCHEMA}.{one}. Deselect one of them in Airbyte, or sync it by a connection with a prefix of its own.",
            "config_error",
        )
    return connection


def other_shape(expected: str, error: Exception) -> AirbyteError:
    """Return what to raise when an answer could not be read as what was expected."""
    return AirbyteError(
        f"Expected {expected}, but {error} is missing or of another shape. The server may be of another version than "
        "dagster-airbyte knows: compare its API's description. Nothing was started.",
        "config_error",
    )


def _dataset(details: Mapping[str, Any], configured: Mapping[str, Any]) -> str:
    """Return where a connection's tables land: in BigQuery a dataset, elsewhere a schema; empty if streams decide."""
    rule = details.get("namespaceDefinition") or "destination"
    if rule == "customformat":
        return details.get("namespaceFormat") or ""
    return "" if rule == "source" else configured.get("dataset_id") or configured.get("schema") or ""


def _stream(stream: Mapping[str, Any], config: Mapping[str, Any]) -> ServerStream:
    schema = dict(stream.get("jsonSchema") or {})
    if config.get("fieldSelectionEnabled"):
        kept = {field["fieldPath"][0] for field in config.get("selectedFields") or ()}
        schema["properties"] = {name: one for name, one in (schema.get("properties") or {}).items() if name in kept}
    described = ServerStream(
        name=str(stream["name"]),
        json_schema=schema,
        sync_mode=config["syncMode"],
        destination_sync_mode=config["destinationSyncMode"],
        namespace=stream.get("namespace") or "",
        cursor=list(config.get("cursorField") or stream.get("defaultCursorField") or []),
        primary_key=_paths(config.get("primaryKey") or stream.get("sourceDefinedPrimaryKey") or []),
    )
    # A column that cannot be read shall be found here, where the sentence for it is.
    _ = described.columns
    return described


def changes(kept: ServerConnection, live: ServerConnection, offered: Collection[str]) -> list[Change]:
    """Say how a connection differs from the snapshot; `offered` are all streams in its catalog, selected or not.

    What a table downstream could miss is breaking: a stream, a column, a type, a key, a name. What is only new is not.
    """
    found = []
    if live.name != kept.name:
        found.append(Change("", f"The connection {kept.name} is now called {live.name}.", breaking=False))
    if live.prefix != kept.prefix:
        what = f"The prefix of {kept.name}'s tables was {kept.prefix!r} and is now {live.prefix!r}"
        found.append(Change("", f"{what}: its tables have other names than the graph's.", breaking=True))
    if (live.destination_type, live.dataset) != (kept.destination_type, kept.dataset):
        before, now = f"{kept.destination_type} {kept.dataset}".strip(), f"{live.destination_type} {live.dataset}"
        what = f"{kept.name} landed in {before} and lands now in {now.strip()}"
        found.append(Change("", f"{what}: its tables are not where the graph reads.", breaking=True))
    before_by, now_by = ({stream.name: stream for stream in one.streams} for one in (kept, live))
    for name, stream in before_by.items():
        if name in now_by:
            found += _stream_changes(stream, now_by[name])
        else:
            found.append(Change(name, gone(kept, name, offered), breaking=True))
    found += [
        Change(name, f"Stream {name} of {kept.name} is new; it lands as {SCHEMA}.{live.table(name)}.", breaking=False)
        for name in now_by
        if name not in before_by
    ]
    return found


def catalog_changes(connection: Connection, catalog: Mapping[str, Any]) -> list[Change]:
    """Say how a source's catalog differs from the committed one of an embedded connection, as `changes` does.

    Raises:
        AirbyteError: the committed catalog cannot be read, or a stream of either cannot be landed.
    """
    before = {plan.name: _embedded(plan) for plan in connection.plans()}
    streams = catalog.get("streams") or []
    offered = {str(entry.get("name")) for entry in streams if isinstance(entry, dict)}
    wanted = [name for name in connection.streams or offered if name in offered]
    now = {plan.name: _embedded(plan) for plan in select_streams(streams, wanted, connection.name, connection.prefix)}
    found = []
    for name, stream in before.items():
        if name in now:
            found += _stream_changes(stream, now[name])
        else:
            sentence = f"Stream {name} of {connection.name} is no longer in the source's catalog: it cannot be synced."
            found.append(Change(name, sentence, breaking=True))
    new = [name for name in now if name not in before]
    return [*found, *(Change(name, f"Stream {name} of {connection.name} is new.", breaking=False) for name in new)]


def _embedded(plan: StreamPlan) -> ServerStream:
    configured = plan.configured()
    return ServerStream(
        name=plan.name,
        json_schema=plan.entry.get("json_schema") or {},
        sync_mode=configured["sync_mode"],
        destination_sync_mode=configured["destination_sync_mode"],
        namespace=plan.entry.get("namespace") or "",
        cursor=plan.cursor,
        primary_key=plan.primary_key,
    )


def gone(connection: ServerConnection, stream: str, offered: Collection[str]) -> str:
    """Say that a stream is not synced any more, why, and what to do."""
    table = f"{SCHEMA}.{connection.table(stream)}"
    if stream in offered:
        return (
            f"Stream {stream} of {connection.name} is deselected in Airbyte, so {table} gets no new rows. Select it "
            f"there again, or let it go: refresh the snapshot (`{REFRESH}`) and remove what reads the table."
        )
    return (
        f"Stream {stream} of {connection.name} is no longer in the source's catalog, so {table} gets no new rows. "
        "Bring it back at the source and refresh the schema in Airbyte, or let it go: refresh the snapshot "
        f"(`{REFRESH}`) and remove what reads the table."
    )


def _stream_changes(kept: ServerStream, live: ServerStream) -> list[Change]:
    found = []
    if live.namespace != kept.namespace:
        came, comes = (f"namespace {one.namespace}" if one.namespace else "no namespace" for one in (kept, live))
        what = f"Stream {kept.name} was read from {came} of the source and is now read from {comes}"
        found.append(Change(kept.name, f"{what}: what lands is another table of that name.", breaking=True))
    before, now = kept.columns, live.columns
    for column, kind in before.items():
        if column not in now:
            found.append(Change(kept.name, f"Column {kept.name}.{column} is no longer synced.", breaking=True))
        elif now[column] != kind:
            sentence = f"Column {kept.name}.{column} was {WORDS[kind]} and is now {WORDS[now[column]]}."
            found.append(Change(kept.name, sentence, breaking=True))
    new = [column for column in now if column not in before]
    if new:
        found.append(Change(kept.name, f"New in {kept.name}: {', '.join(new)}.", breaking=False))
    if _paths(live.primary_key) != _paths(kept.primary_key):
        sentence = f"The key of {kept.name} was {_key(kept)} and is now {_key(live)}."
        found.append(Change(kept.name, sentence, breaking=True))
    if (live.sync_mode, live.destination_sync_mode) != (kept.sync_mode, kept.destination_sync_mode):
        was, is_now = (f"{one.sync_mode}, {one.destination_sync_mode}" for one in (kept, live))
        # Appending where rows were replaced or deduplicated before makes duplicates of them.
        breaking = live.destination_sync_mode == "append" and kept.destination_sync_mode != "append"
        found.append(Change(kept.name, f"{kept.name} was synced by {was} and is now by {is_now}.", breaking))
    if list(live.cursor) != list(kept.cursor):
        sentence = f"The cursor of {kept.name} was {_path(kept.cursor)} and is now {_path(live.cursor)}."
        found.append(Change(kept.name, sentence, breaking=False))
    return found


def _paths(key: Sequence[Sequence[str]]) -> list[list[str]]:
    return [list(path) for path in key]


def _key(stream: ServerStream) -> str:
    return ", ".join(_path(path) for path in stream.primary_key) or "none"


def _path(path: Sequence[str]) -> str:
    return ".".join(path) or "none"
