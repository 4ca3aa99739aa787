"""What both engines share: the keys of the raw assets, what their pages say, and what a sensor asks a workspace."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, Self, TypeVar

import dagster as dg
from dagster_airbyte import AirbyteConnectionTableProps, AirbyteWorkspace, DagsterAirbyteTranslator
from dagster_airbyte.utils import clean_name

from resources.airbyte.plans import (
    AIRBYTE_COLUMNS,
    BIGQUERY,
    SCHEMA,
    StreamPlan,
    duckdb_type,
    identifier,
    properties_of,
    refuse_meetings,
)
from resources.airbyte.protocol import AirbyteError
from resources.clock import Clock
from resources.company import company

_Connection = TypeVar("_Connection")

AIRBYTE_COLUMN_DESCRIPTIONS = {
    "_airbyte_raw_id": "Identifies this arrival of the record.",
    "_airbyte_extracted_at": "When the record was read at the source; in a recording, the moment of the recording.",
    "_airbyte_meta": "Changes that the sync made to the record.",
    "_airbyte_generation_id": "Counts full refreshes of the table; 0 for incremental streams.",
}
BIGQUERY_TYPES: Mapping[str, str] = {
    "BIGINT": "INT64",
    "DOUBLE": "NUMERIC",
    "BOOLEAN": "BOOL",
    "TIMESTAMP": "DATETIME",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "DATE": "DATE",
    "VARCHAR": "STRING",
    "JSON": "JSON",
}
"""What Airbyte's BigQuery destination makes of the types that the embedded engine lands in DuckDB."""


class RawTranslator(DagsterAirbyteTranslator):
    """Turns a stream into the asset `raw/<stream>`, the only place where raw keys are made.

    The key depends on the stream's table name alone: destination, database and schema are known when definitions load
    and unknown when a sync reports what it made.
    """

    def get_asset_spec(self, props: AirbyteConnectionTableProps) -> dg.AssetSpec:
        """Return the asset of a stream, in group `raw`, with owner, description and the columns of its table."""
        spec = super().get_asset_spec(props)
        table = identifier(props.table_name)
        return spec.replace_attributes(
            key=raw_key(table),
            group_name=SCHEMA,
            owners=[company().owners.raw],
            description=_description(props),
            kinds=spec.kinds,
            metadata={
                **spec.metadata,
                "dagster/table_name": f"{SCHEMA}.{table}",
                "dagster/column_schema": column_schema(props.json_schema, props.destination_type),
            },
        )


def raw_key(table: str) -> dg.AssetKey:
    """Return the key of the asset that is the table `raw.<table>`."""
    return dg.AssetKey([SCHEMA, table])


def column_schema(json_schema: Mapping[str, Any], destination_type: str | None = None) -> dg.TableSchema:
    """Return the columns of a stream's table: name, type in the warehouse, description.

    Types are DuckDB's, or BigQuery's when that is the destination.
    """
    columns = [
        dg.TableColumn(
            # Airbyte's destination for BigQuery names columns as it names tables.
            identifier(name) if destination_type == BIGQUERY else name,
            warehouse_type(schema, destination_type),
            description=schema.get("description"),
        )
        for name, schema in properties_of(json_schema).items()
    ]
    columns += [
        dg.TableColumn(name, _named(kind, destination_type), description=AIRBYTE_COLUMN_DESCRIPTIONS[name])
        for name, kind in AIRBYTE_COLUMNS.items()
    ]
    return dg.TableSchema(columns=columns)


def warehouse_type(schema: Mapping[str, Any], destination_type: str | None = None) -> str:
    """Return the type of a property's column in the warehouse that a connection lands in."""
    if destination_type == BIGQUERY and schema.get("format") == "time":
        return "STRING" if schema.get("airbyte_type") == "time_with_timezone" else "TIME"
    return _named(duckdb_type(schema), destination_type)


def _named(kind: str, destination_type: str | None) -> str:
    return BIGQUERY_TYPES[kind] if destination_type == BIGQUERY else kind


def _description(props: AirbyteConnectionTableProps) -> str:
    what = props.json_schema.get("description") or f"Stream `{props.stream_name}`."
    return f"{what}\n\nAs the source sends it; landed by the Airbyte connection `{props.connection_name}`."


@dataclass(frozen=True)
class SourceNews:
    """Whether a sync would read something new, and why: a sensor's decision and its explanation.

    `of` names what is new where a day does not: a file's time.
    """

    new: bool
    reason: str
    of: str = ""


def names_of_steps(connections: Iterable[str]) -> dict[str, str]:
    """Return the name of each connection's step: small letters, digits and `_`, no name twice."""
    found: dict[str, str] = {}
    for name in sorted(connections):
        plain = clean_name(name)
        taken = plain in found.values()
        found[name] = f"{plain}_{hashlib.sha256(name.encode()).hexdigest()[:6]}" if taken else plain
    return found


class PlannedConnection(Protocol):
    """A connection, wherever it is synced."""

    @property
    def name(self) -> str:
        """What it is called."""

    def plans(self) -> list[StreamPlan]:
        """Return how each of its streams is read and landed."""


def named(connections: Mapping[str, _Connection], name: str) -> _Connection:
    """Return the connection of this name.

    Raises:
        AirbyteError: there is none.
    """
    if name not in connections:
        raise AirbyteError(
            f"Expected one of the connections {', '.join(connections)}; it is {name!r}. Nothing was changed.",
            "config_error",
        )
    return connections[name]


class RawWorkspace(AirbyteWorkspace):
    """What the graph asks of a workspace, whichever engine syncs. `clock` tells what day it is."""

    clock: Clock

    def connections(self) -> Mapping[str, PlannedConnection]:
        """Return the connections by name."""
        raise NotImplementedError

    def plans(self) -> list[StreamPlan]:
        """Return the selected streams of all connections.

        Raises:
            AirbyteError: a stream cannot be landed, or two would land in one table.
        """
        found = [(name, plan) for name, connection in self.connections().items() for plan in connection.plans()]
        refuse_meetings([(f"stream {plan.name} of connection {name}", plan.table) for name, plan in found])
        return [plan for _, plan in found]

    def last_synced(self, name: str, wait_seconds: float | None = None) -> datetime | None:
        """Return the instant as of which the last successful sync of a connection read; None if there was none."""
        raise NotImplementedError

    def has_new_data(self, name: str, wait_seconds: float | None = None) -> SourceNews:
        """Tell whether a sync of a connection would read something new, without starting a connector.

        A source reveals what the clock allows, in whole days: there is news once the clock shows a later day than that
        as of which the last successful sync read. Any other source may have news once a day has passed. `wait_seconds`
        is for somebody who cannot wait for a warehouse in use, or a server away, as long as a sync would.
        """
        now, last = self.clock.now(), self.last_synced(name, wait_seconds)
        if last is None:
            return SourceNews(True, f"{name} was never synced")
        last = last.astimezone(now.tzinfo)
        as_of, today = f"{last:%Y-%m-%d %H:%M}", f"it is now {now:%Y-%m-%d %H:%M}"
        if last.date() < now.date():
            return SourceNews(True, f"{name} was last read as of {as_of}, {today}")
        return SourceNews(False, f"{name} was read as of {as_of} already, {today}")

    @contextmanager
    def process_config_and_initialize_cm_cached(self) -> "Iterator[Self]":
        """Yield this workspace as it is, to describe its assets.

        The inherited method initialises a copy through an ephemeral Dagster instance, whose storage imports SQLAlchemy:
        two CPU seconds at every load of the definitions, to read a file that needs no initialisation.
        """
        yield self
