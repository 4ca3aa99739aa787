"""The embedded engine as a dagster-airbyte workspace: the same builder, translator and keys as with a server."""

import contextlib
import json
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import dagster as dg
from dagster_airbyte.resources import AirbyteClient
from dagster_airbyte.types import AirbyteOutput
from pydantic import Field, PrivateAttr

from resources.airbyte import landing
from resources.airbyte.connections import Connection, load_connections
from resources.airbyte.plans import SCHEMA, StreamPlan, properties_of, refuse_meetings
from resources.airbyte.protocol import AirbyteError, Connector
from resources.airbyte.raw import RawWorkspace, named
from resources.airbyte.snapshot import Change, catalog_changes
from resources.airbyte.sync import Job, Reporter, StreamResult, SyncFailedError, SyncResult, sync
from resources.company import company
from resources.folders import write_whole
from resources.forced import forced
from resources.warehouse import WarehouseError, open_duckdb
from resources.warehouse.contents import DATA_VERSION, contents_of

CONNECTION_IDS = uuid.UUID("5b1f3e0e-3a53-4a39-9a0c-2f6a8f0f7f5e")
KEPT = "The source has the rows of the sync before. They were compared with the table, and none was sent again."
"""What is told of a table of which no row was read because none is new."""
DESTINATION = {"destinationId": "duckdb", "destinationType": "duckdb"}


class EmbeddedAirbyteWorkspace(RawWorkspace):
    """Runs Airbyte connectors as local processes and lands their records in the DuckDB file `warehouse_path`.

    `clock` tells the instant that `${clock}` in a connection's configuration stands for; it is read when a sync begins.
    `connections_file` and `connectors_dir` default to the project's. `sync_time_limit`, and `wait_seconds` for a
    warehouse that another process holds, are in seconds.
    """

    warehouse_path: str
    connections_file: str = ""
    connectors_dir: str = ""
    sync_time_limit: float = 3600.0
    wait_seconds: float = 60.0

    rest_api_base_url: str = Field(default="embedded", description="There is no server.")
    configuration_api_base_url: str = Field(default="embedded", description="There is no server.")
    workspace_id: str = Field(default="embedded", description="There is no server.")

    _embedded: "EmbeddedClient | None" = PrivateAttr(default=None)

    def connections(self) -> dict[str, Connection]:
        """Return the connections by name.

        Raises:
            AirbyteError: the file of connections is missing or malformed.
        """
        return load_connections(self.connections_file, self.connectors_dir)

    def get_client(self) -> AirbyteClient:
        """Return the client that answers from files and local processes."""
        # It has the methods that a workspace calls, and none that would dial a server.
        return cast(AirbyteClient, self._client_of_files())

    def sync_and_poll(self, context: dg.AssetExecutionContext) -> Iterator[Any]:
        """Sync the connection of the context's assets and report every table that changed.

        The whole connection is synced, as an Airbyte server does; a table that was not selected is reported too.

        Raises:
            dagster.Failure: the sync failed; its description is the sentence. What was complete before is reported.
        """
        client = self._client_of_files()
        client.reporter = Reporter(progress=context.log.info, log=_forward_to(context))
        client.resend = forced(context.run.tags)
        try:
            for event in super().sync_and_poll(context):
                yield client.enrich(event)
        except (AirbyteError, WarehouseError) as error:
            if isinstance(error, SyncFailedError):
                yield from client.report_partial(context, error)
            raise dg.Failure(str(error)) from error

    def sync_connection(self, name: str, reporter: Reporter | None = None, *, resend: bool = False) -> SyncResult:
        """Sync one connection outside Dagster; `resend`: with the full refreshes that have nothing new, too.

        Raises:
            AirbyteError: it failed, or the clock was set back behind the last sync.
            WarehouseError: the warehouse cannot be opened or its disk is full.
        """
        return sync(replace(self._job(self._known(name)), resend=resend), reporter)

    def last_synced(self, name: str, wait_seconds: float | None = None) -> datetime | None:
        """Return the instant as of which the last successful sync of a connection read; None if there was none."""
        if not Path(self.warehouse_path).exists():
            return None
        wait = self.wait_seconds if wait_seconds is None else wait_seconds
        with open_duckdb(self.warehouse_path, read_only=True, wait_seconds=wait) as connection:
            return landing.last_sync_as_of(connection, name)

    def discover(self, name: str) -> Path:
        """Ask a connection's source for its catalog, write it where definitions load it from, and return that file.

        Raises:
            AirbyteError: there is no such connection, or the source failed.
        """
        return self.keep_catalog(name, self.asked(name))

    def keep_catalog(self, name: str, catalog: Mapping[str, Any]) -> Path:
        """Write a connection's catalog where definitions load it from, and return that file."""
        connection = self._known(name)
        return write_whole(connection.own_catalog, json.dumps(catalog, indent=1) + "\n")

    def differences(self, name: str, catalog: Mapping[str, Any]) -> list[Change]:
        """Say how a source's catalog differs from the committed one of a connection; not at all if there is none.

        Raises:
            AirbyteError: there is no such connection, or a stream of either catalog cannot be landed.
        """
        connection = self._known(name)
        return catalog_changes(connection, catalog) if connection.catalog_file.exists() else []

    def changes(self, name: str) -> list[Change]:
        """Ask the source of a connection, and say how its catalog differs from the committed one.

        Raises:
            AirbyteError: there is no such connection, the source failed, or a stream of either cannot be landed.
        """
        return self.differences(name, self.asked(name)) if self._known(name).catalog_file.exists() else []

    def asked(self, name: str) -> dict[str, Any]:
        """Return the catalog that the source of a connection answers.

        Raises:
            AirbyteError: there is no such connection, or the source failed.
        """
        connection = self._known(name)
        configuration = connection.configuration(self.clock.now(), self._kept_configurations())
        with tempfile.TemporaryDirectory() as folder:
            connector = Connector(
                connection.executable,
                configuration.given(),
                Path(folder),
                self.sync_time_limit,
                environment=connection.environment,
                hide=configuration.hides(),
                keep=configuration.keep,
            )
            return connector.discover(lambda _level, _text: None)

    def reset(self, name: str, stream: str) -> None:
        """Drop the table and the state of a stream, so that the next sync reads it from the start.

        Raises:
            AirbyteError: there is no such connection or stream.
        """
        plans = {plan.name: plan for plan in self._known(name).plans()}
        if stream not in plans:
            raise AirbyteError(
                f"Expected a stream of {name} ({', '.join(plans)}); it is {stream!r}. Nothing was changed.",
                "config_error",
            )
        with open_duckdb(self.warehouse_path, wait_seconds=self.wait_seconds) as connection:
            landing.reset(connection, name, plans[stream])

    def shown(self, connection: Connection) -> list[Mapping[str, Any]]:
        """Return the catalog's entries of a connection's streams, as assets: the graph has each table once.

        Two sources of one table are refused when either is synced; definitions load with the first of them.
        """
        taken = set(company().tables)
        for name, other in self.connections().items():
            if name == connection.name:
                break
            taken |= set(other.tables())
        return [entry for table, entry in connection.tables().items() if table not in taken]

    def _plans(self, connection: Connection) -> list[StreamPlan]:
        """Return the streams to be synced.

        Raises:
            AirbyteError: one cannot be landed, or something else lands in its table.
        """
        plans = connection.plans()
        mine = [(f"stream {plan.name} of connection {connection.name}", plan.table) for plan in plans]
        others = [(f"[tables.{table}] of the company's file", table) for table in company().tables]
        for name, other in self.connections().items():
            # A connection whose catalog cannot be read says so when it is synced itself.
            with contextlib.suppress(AirbyteError):
                others += [(f"connection {name}", table) for table in other.tables() if name != connection.name]
        for one in others:
            refuse_meetings([*mine, one])
        return plans

    def _kept_configurations(self) -> Path:
        return Path(self.warehouse_path).parent / "airbyte"

    def _known(self, name: str) -> Connection:
        return named(self.connections(), name)

    def _client_of_files(self) -> "EmbeddedClient":
        if self._embedded is None:
            self._embedded = EmbeddedClient(self)
        return self._embedded

    def _job(self, connection: Connection) -> Job:
        now = self.clock.now()
        last = self.last_synced(connection.name) if connection.follows_clock else None
        if last is not None and now < last:
            # Its full refreshes would go back in time and its incremental tables would not.
            raise AirbyteError(
                f"Expected a clock at or after {last.astimezone(now.tzinfo).isoformat()}, as of which "
                f"{connection.name} was last read, but it says {now.isoformat()}. What was revealed cannot be hidden "
                "again: set the clock forward, or start anew with another BATON_HOME. Nothing was changed.",
                "config_error",
            )
        configuration = connection.configuration(now, self._kept_configurations())
        return Job(
            name=connection.name,
            executable=connection.executable,
            config=configuration.given(),
            environment=connection.environment,
            hide=configuration.hides(),
            keep=configuration.keep,
            streams=self._plans(connection),
            warehouse_path=self.warehouse_path,
            as_of=now if connection.follows_clock else None,
            time_limit=self.sync_time_limit,
            wait_seconds=self.wait_seconds,
        )


class EmbeddedClient:
    """The part of dagster-airbyte's client that a workspace uses, answered from files and a local connector process."""

    def __init__(self, workspace: EmbeddedAirbyteWorkspace) -> None:
        self.reporter = Reporter()
        self.resend = False
        self._workspace = workspace
        self._result: SyncResult | None = None

    def validate_workspace_id(self) -> None:
        """Check nothing: there is no server to ask."""

    def get_connections(self) -> list[dict[str, Any]]:
        """Return the connections' ids."""
        return [{"connectionId": _id(name)} for name in self._workspace.connections()]

    def get_connection_details(self, connection_id: str) -> dict[str, Any]:
        """Return a connection as the API describes it, with the catalog that is committed."""
        connection = self._connection(connection_id)
        return {
            "connectionId": connection_id,
            "name": connection.name,
            "prefix": connection.prefix,
            "status": "active",
            "destinationId": DESTINATION["destinationId"],
            "syncCatalog": {
                "streams": [
                    {
                        "stream": {
                            "name": entry["name"],
                            "jsonSchema": {
                                **(entry.get("json_schema") or {}),
                                "properties": properties_of(entry.get("json_schema")),
                            },
                        },
                        "config": {"selected": True},
                    }
                    for entry in self._workspace.shown(connection)
                ]
            },
        }

    def get_destination_details(self, destination_id: str) -> dict[str, Any]:
        """Return the warehouse as the API describes a destination."""
        return {
            **DESTINATION,
            "destinationId": destination_id,
            "configuration": {"database": Path(self._workspace.warehouse_path).stem, "schema": SCHEMA},
        }

    def sync_and_poll(self, connection_id: str) -> AirbyteOutput:
        """Sync a connection to its end.

        Raises:
            AirbyteError: it failed. WarehouseError: the warehouse cannot be opened or its disk is full.
        """
        connection = self._connection(connection_id)
        self._result = self._workspace.sync_connection(connection.name, self.reporter, resend=self.resend)
        self.reporter.progress(
            f"{connection.name}: synced {self._result.records:,} records ({self._result.bytes / 1e6:,.0f} MB) in "
            f"{self._result.seconds:.1f} s, {self._result.cpu_seconds:.1f} s of CPU time"
        )
        return AirbyteOutput(
            job_details={"jobId": connection.name, "status": "succeeded", "jobType": "sync"},
            connection_details=self.get_connection_details(connection_id),
        )

    def enrich(self, event: Any) -> Any:
        """Add rows, bytes and speed to what dagster-airbyte reports of a table."""
        result = self._result.streams.get(_stream_of(event.asset_key, self._result.streams)) if self._result else None
        if result is None or self._result is None:
            return event
        metadata = {**(event.metadata or {}), **_metadata(result, self._result)}
        with open_duckdb(self._workspace.warehouse_path, read_only=True) as connection:
            held = contents_of(connection, SCHEMA, result.plan.table)
        if isinstance(event, dg.MaterializeResult):
            return event._replace(metadata=metadata, data_version=dg.DataVersion(held))
        return dg.AssetMaterialization(
            asset_key=event.asset_key, description=event.description, metadata=metadata, tags={DATA_VERSION: held}
        )

    def report_partial(self, context: dg.AssetExecutionContext, error: SyncFailedError) -> Iterator[Any]:
        """Report what a failed sync committed: complete tables as materialised, half-read ones as observed.

        A half-read table is not a fresh one, so it must not count for its freshness policy.
        """
        for result in error.streams.values():
            if not result.committed:
                continue
            key = dg.AssetKey([SCHEMA, result.plan.table])
            metadata = _metadata(result, None)
            if result.status != "COMPLETE":
                # Yielded: an event that is only logged is lost when the step fails right after it.
                yield dg.AssetObservation(key, description=str(error), metadata=metadata)
            elif key in context.selected_asset_keys:
                yield dg.MaterializeResult(asset_key=key, metadata=metadata)
            else:
                yield dg.AssetMaterialization(key, metadata=metadata)

    def _connection(self, connection_id: str) -> Connection:
        return next(one for name, one in self._workspace.connections().items() if _id(name) == connection_id)


def _metadata(result: StreamResult, whole: SyncResult | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "dagster/row_count": result.rows,
        "dagster/table_name": f"{SCHEMA}.{result.plan.table}",
        "airbyte/rows_read": result.records,
        "airbyte/bytes": result.bytes,
        "airbyte/records_per_second": round(result.records / result.seconds) if result.seconds else None,
        "airbyte/status": result.status,
        "airbyte/new_columns": result.new_columns or None,
        "airbyte/unchanged": KEPT if result.kept else None,
    }
    if whole is not None:
        metadata["airbyte/cpu_seconds"] = round(whole.cpu_seconds, 2)
        metadata["airbyte/sync_seconds"] = round(whole.seconds, 2)
    return {key: value for key, value in metadata.items() if value is not None}


def _stream_of(key: dg.AssetKey, streams: Mapping[str, StreamResult]) -> str:
    return next((name for name, result in streams.items() if result.plan.table == key.path[-1]), "")


def _forward_to(context: dg.AssetExecutionContext) -> Any:
    """Return a log that passes the connector's own words on, its chatter at debug level."""
    levels = {"WARN": context.log.warning, "ERROR": context.log.error, "FATAL": context.log.error}

    def forward(level: str, text: str) -> None:
        levels.get(level, context.log.debug)(text)

    return forward


def _id(name: str) -> str:
    return str(uuid.uuid5(CONNECTION_IDS, name))
