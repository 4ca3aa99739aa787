"""A server on loopback, a workspace that talks to it, and the raw assets that are made of its snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
from contracts.airbyte_server.server import AirbyteServer, Connection, Stream
from dagster._core.errors import DagsterAssetCheckFailedError

from assets.company.airbyte import airbyte_assets
from resources.airbyte.checks import snapshot_checks
from resources.airbyte.server import SNAPSHOT_CHECK, RemoteAirbyteWorkspace
from resources.airbyte.snapshot import write_snapshot
from resources.clock import Clock

NOW = "2026-03-02T08:00:00+00:00"
INTEGER, TEXT = {"type": ["null", "integer"]}, {"type": ["null", "string"]}
PEOPLE = Stream("people", {"type": "object", "properties": {"id": INTEGER, "name": TEXT}}, rows=40)
ORDERS = Stream(
    "orders",
    {"type": "object", "properties": {"id": INTEGER, "at": {"type": ["null", "string"], "format": "date-time"}}},
    incremental=True,
    primary_key=[["id"]],
    cursor=["at"],
    rows=1234,
)
SHOP = Connection("shop", [PEOPLE, ORDERS])
QUICK: Mapping[str, Any] = {"poll_interval": 0.002, "request_retry_delay": 0.002, "request_timeout": 5.0}


@dataclass
class Outcome:
    """What a run of the raw assets left behind."""

    metadata: dict[str, dict[str, Any]]
    observed: dict[str, dict[str, Any]]
    checks: dict[str, tuple[bool, str]]
    failure: dg.Failure | DagsterAssetCheckFailedError | None
    log: str

    @property
    def success(self) -> bool:
        """Whether the run succeeded."""
        return self.failure is None

    @property
    def sentence(self) -> str:
        """What the run failed with; empty if it did not."""
        return getattr(self.failure, "description", None) or str(self.failure or "")


@dataclass
class Remote:
    """A server and a workspace whose snapshot was taken from it."""

    server: AirbyteServer
    workspace: RemoteAirbyteWorkspace

    def materialise(
        self, selection: Sequence[str] = (), *, downstream: Sequence[dg.AssetsDefinition] = (), **more: Any
    ) -> Outcome:
        """Sync through Dagster: the named tables, or all, and their checks, and what is downstream."""
        workspace = RemoteAirbyteWorkspace(**{**self.settings(), **more})
        keys = dg.AssetSelection.keys(*(["raw", name] for name in selection)) if selection else None
        assets, checks = airbyte_assets(self.workspace), snapshot_checks(self.workspace)
        failure: dg.Failure | DagsterAssetCheckFailedError | None = None
        with dg.DagsterInstance.ephemeral() as instance:
            try:
                dg.materialize(
                    [*assets, *checks, *downstream],
                    resources={"airbyte": workspace},
                    selection=keys,
                    instance=instance,
                    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                )
            except (dg.Failure, DagsterAssetCheckFailedError) as raised:
                failure = raised
            entries = instance.all_logs(instance.get_runs()[0].run_id)
            evaluations = self._evaluations(instance)
        events = [entry.dagster_event for entry in entries if entry.dagster_event]
        return Outcome(
            metadata={
                event.asset_key.path[-1]: _plain(event.step_materialization_data.materialization.metadata)
                for event in events
                if event.event_type_value == "ASSET_MATERIALIZATION"
            },
            observed={
                event.asset_key.path[-1]: _plain(event.asset_observation_data.asset_observation.metadata)
                for event in events
                if event.event_type_value == "ASSET_OBSERVATION"
            },
            checks=evaluations,
            failure=failure,
            log="\n".join([entry.to_json() for entry in entries]),
        )

    def settings(self) -> dict[str, Any]:
        """Return what the workspace was made of."""
        return {name: getattr(self.workspace, name) for name in ("clock", "snapshot_path", *QUICK)}

    def _evaluations(self, instance: dg.DagsterInstance) -> dict[str, tuple[bool, str]]:
        found = {}
        for connection in self.workspace.connections().values():
            for stream in connection.streams:
                key = dg.AssetKey(["raw", connection.table(stream.name)])
                records = instance.event_log_storage.get_asset_check_execution_history(
                    dg.AssetCheckKey(key, SNAPSHOT_CHECK), limit=5
                )
                for record in records:
                    evaluation = record.event and record.event.dagster_event.event_specific_data
                    if evaluation is not None and hasattr(evaluation, "passed"):
                        found.setdefault(stream.name, (evaluation.passed, evaluation.description))
        return found


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.value for name, value in metadata.items()}


def remote(server: AirbyteServer, folder: Path, **more: Any) -> Remote:
    """Return a workspace of a server that runs, with a snapshot taken of it. The environment must name the server."""
    settings = {**QUICK, "clock": Clock(reads=NOW, override_variable="BATON_NOT_IN_TESTS"), **more}
    workspace = RemoteAirbyteWorkspace(snapshot_path=str(folder / "snapshot.json"), **settings)
    write_snapshot(folder / "snapshot.json", workspace.live_connections())
    server.requests.clear()
    return Remote(server, workspace)


def renamed(connection: Connection, **more: Any) -> Connection:
    """Return a connection configured otherwise."""
    return replace(connection, **more)
