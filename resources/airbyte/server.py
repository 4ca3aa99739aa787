"""An Airbyte server or Cloud as a workspace: the same builder, translator and keys as the embedded engine.

Airbyte's own destination lands the rows; here syncs are started and followed. Definitions load from a committed
snapshot and open no connection.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
from dagster_airbyte.resources import AIRBYTE_CLOUD_CONFIGURATION_API_BASE_URL, AIRBYTE_CLOUD_REST_API_BASE_URL
from dagster_airbyte.translator import AirbyteMetadataSet, AirbyteWorkspaceData
from dagster_airbyte.types import AirbyteOutput
from pydantic import Field, PrivateAttr

from resources.airbyte.client import CANCEL, LEAVE, ServerClient
from resources.airbyte.jobs import SYNC, AirbyteJobError, Job, JobReport, StreamCount
from resources.airbyte.plans import SCHEMA
from resources.airbyte.protocol import AirbyteError
from resources.airbyte.raw import RawWorkspace, column_schema, named, raw_key
from resources.airbyte.snapshot import (
    SNAPSHOT_FILE,
    Change,
    ServerConnection,
    changes,
    connection_of,
    gone,
    other_shape,
    read_snapshot,
    streams_of,
    workspace_data,
)

SNAPSHOT_CHECK = "as_in_snapshot"
URL, WORKSPACE_ID, AUTH = "AIRBYTE_URL", "AIRBYTE_WORKSPACE_ID", "AIRBYTE_AUTH"
CREDENTIALS: Mapping[str, Mapping[str, str]] = {
    "client": {"client_id": "AIRBYTE_CLIENT_ID", "client_secret": "AIRBYTE_CLIENT_SECRET"},
    "password": {"username": "AIRBYTE_USERNAME", "password": "AIRBYTE_PASSWORD"},
    "none": {},
}
"""How requests can be signed, and the environment variables that hold what it takes. A table without fallback."""


class RemoteAirbyteWorkspace(RawWorkspace):
    """Starts syncs on an Airbyte server, or in Airbyte Cloud, and reports the tables that its destination landed.

    Where the server is and how requests are signed comes from the environment, when a request is first made:
    AIRBYTE_URL (unset: Cloud), AIRBYTE_WORKSPACE_ID, AIRBYTE_AUTH (`client`, `password` or `none`; unset: `client`) and
    that way's variables. So definitions load without any of them, and no secret is ever part of a configuration.

    Times are in seconds. A job that takes longer than `poll_timeout` fails the run and is left running, or cancelled
    where `on_poll_timeout` is `cancel`. `cancel_on_termination` cancels it when the run is terminated. Both hold for a
    sync, started here or attached to, never for a reset, clear or refresh that is waited for. `outage_limit` is how
    long a live job is waited for while the server does not answer, `incomplete_limit` how long Airbyte may rest between
    two attempts (its own longest pause is 30 minutes).
    """

    snapshot_path: str = str(SNAPSHOT_FILE)

    rest_api_base_url: str = Field(default="", description="Follows from AIRBYTE_URL.")
    configuration_api_base_url: str = Field(default="", description="Follows from AIRBYTE_URL.")
    workspace_id: str = Field(default="", description="From AIRBYTE_WORKSPACE_ID.")
    request_max_retries: int = 4
    request_retry_delay: float = 1.0
    request_timeout: float = 30.0  # type: ignore[assignment]
    poll_interval: float = 10.0
    poll_timeout: float | None = 6 * 3600.0
    on_poll_timeout: str = LEAVE
    outage_limit: float = 1800.0
    incomplete_limit: float = 3600.0
    cancel_on_termination: bool = False
    poll_previous_running_sync: bool = True

    _server: "ServerClient | None" = PrivateAttr(default=None)

    def connections(self) -> dict[str, ServerConnection]:
        """Return the connections of the snapshot by name.

        Raises:
            AirbyteError: the snapshot is missing or malformed.
        """
        return read_snapshot(Path(self.snapshot_path))

    def fetch_airbyte_workspace_data(self) -> AirbyteWorkspaceData:
        """Return what dagster-airbyte makes assets of, from the snapshot.

        Raises:
            AirbyteError: the snapshot is missing or malformed.
        """
        return workspace_data(self.connections())

    def get_client(self) -> ServerClient:
        """Return the client of the server that the environment names; no request is made yet.

        Raises:
            AirbyteError: a variable is missing or cannot be.
        """
        if self._server is None:
            if self.on_poll_timeout not in (LEAVE, CANCEL):
                raise AirbyteError(
                    f"Expected on_poll_timeout to be {LEAVE!r} or {CANCEL!r}; it is {self.on_poll_timeout!r}.",
                    "config_error",
                )
            rest, configuration = self._addresses()
            self._server = ServerClient(
                rest_api_base_url=rest,
                configuration_api_base_url=configuration,
                workspace_id=self.workspace_id
                or _variable(WORKSPACE_ID, "the workspace's id, from its address in Airbyte"),
                **self._credentials(),
                request_max_retries=self.request_max_retries,
                request_retry_delay=self.request_retry_delay,
                request_timeout=self.request_timeout,
                max_items_per_page=self.max_items_per_page,
                poll_interval=self.poll_interval,
                poll_timeout=self.poll_timeout,
                on_poll_timeout=self.on_poll_timeout,
                outage_limit=self.outage_limit,
                incomplete_limit=self.incomplete_limit,
                cancel_on_termination=self.cancel_on_termination,
                poll_previous_running_sync=self.poll_previous_running_sync,
            )
        return self._server

    def sync_and_poll(self, context: dg.AssetExecutionContext) -> Iterator[Any]:
        """Sync the connection of the context's assets and report every table that it landed.

        The whole connection is synced; a table that was not selected is reported too.

        Raises:
            dagster.Failure: the sync failed, or a selected stream was not part of it; its description is the sentence.
                What was landed before is reported.
        """
        try:
            client = self.get_client()
            connection = self._of_snapshot(context)
            output = client.sync_and_poll(connection.id)
            synced = self._synced(client, output, connection)
            yield from self._reported(context, synced)
        except AirbyteError as error:
            if isinstance(error, AirbyteJobError):
                yield from _observed(connection, error)
            # Trying again at once helps against an outage, not against a wrong setting.
            raise dg.Failure(str(error), allow_retries=error.failure_type != "config_error") from None

    def last_synced(self, name: str, wait_seconds: float | None = None) -> datetime | None:
        """Return when the last successful sync of a connection began; None if there was none.

        With `wait_seconds` the server is asked once only.

        Raises:
            AirbyteError: there is no such connection, or the server could not be asked.
        """
        tries = None if wait_seconds is None else 1
        jobs = self.get_client().newest_jobs(self._known(name).id, tries=tries, jobType=SYNC, status="succeeded")
        return next((job.started or job.updated for job in jobs if job.status == "succeeded"), None)

    def changes(self, name: str) -> list[Change]:
        """Say how a connection differs at the server from the snapshot.

        Raises:
            AirbyteError: there is no such connection, here or there, or the server could not be asked.
        """
        kept = self._known(name)
        live, offered = self._live(kept.id)
        return changes(kept, live, offered)

    def live_connections(self) -> dict[str, ServerConnection]:
        """Return all connections of the workspace as the server describes them now, by name.

        Raises:
            AirbyteError: the server could not be asked, or two connections have one name.
        """
        client = self.get_client()
        client.validate_workspace_id()
        found: dict[str, ServerConnection] = {}
        try:
            listed = [str(one["connectionId"]) for one in client.get_connections()]
        except (KeyError, TypeError) as error:
            raise other_shape("a list of connections, each with its connectionId", error) from error
        for one in listed:
            connection, _ = self._live(one)
            if connection.name in found:
                raise AirbyteError(
                    f"Expected connections with names of their own, but two are called {connection.name}. Rename one "
                    "of them in Airbyte.",
                    "config_error",
                )
            found[connection.name] = connection
        return found

    def offered_streams(self, connection_id: str) -> list[str]:
        """Return all streams of a connection's catalog at the server, selected or not.

        Raises:
            AirbyteError: there is no such connection, or the server could not be asked.
        """
        return self._live(connection_id)[1]

    def _live(self, connection_id: str) -> tuple[ServerConnection, list[str]]:
        client = self.get_client()
        details = client.get_connection_details(connection_id)
        connection = connection_of(details, client.get_destination_details(str(details.get("destinationId"))))
        return connection, list(streams_of(details))

    def _known(self, name: str) -> ServerConnection:
        return named(self.connections(), name)

    def _of_snapshot(self, context: dg.AssetExecutionContext) -> ServerConnection:
        metadata = next(iter(context.assets_def.specs)).metadata
        name = AirbyteMetadataSet.extract(metadata).connection_name
        return self._known(name)

    def _synced(self, client: ServerClient, output: AirbyteOutput, kept: ServerConnection) -> "_Synced":
        job = Job.of(output.job_details)
        report = client.report(job.id)
        catalog = streams_of(output.connection_details)
        selected = {name for name, chosen in catalog.items() if chosen}
        # What the job was told to sync counts more than what the connection says now.
        landed = selected if report.enabled is None else report.enabled
        prefix = str(output.connection_details.get("prefix") or "")
        missing = {}
        for stream in kept.streams:
            if stream.name not in landed:
                why = gone(kept, stream.name, catalog)
                if stream.name in selected:
                    why = f"Stream {stream.name} of {kept.name} was not part of job {job.id}. Run the sync again."
                missing[kept.table(stream.name)] = why
        return _Synced(job, report, kept, prefix, landed, missing)

    def _reported(self, context: dg.AssetExecutionContext, synced: "_Synced") -> Iterator[Any]:
        kept = synced.kept
        if synced.prefix != kept.prefix:
            raise AirbyteError(
                f"Expected the tables of {kept.name} to begin with {kept.prefix!r}, but the connection's prefix is "
                f"{synced.prefix!r}: its rows landed in other tables. Set the prefix back, or refresh the snapshot.",
                "config_error",
            )
        for stream in kept.streams:
            key = raw_key(kept.table(stream.name))
            if key.path[-1] in synced.missing:
                continue
            metadata = {
                "dagster/table_name": f"{SCHEMA}.{key.path[-1]}",
                "dagster/column_schema": column_schema(stream.json_schema, kept.destination_type),
                **synced.metadata(stream.name),
            }
            if key in context.selected_asset_keys:
                yield dg.MaterializeResult(asset_key=key, metadata=metadata)
            else:
                yield dg.AssetMaterialization(key, metadata=metadata)
        new = sorted(set(synced.landed) - {stream.name for stream in kept.streams})
        if new:
            context.log.warning(f"{kept.name} also syncs {', '.join(new)}: refresh the snapshot to make them assets.")
        missing = {table: why for table, why in synced.missing.items() if raw_key(table) in context.selected_asset_keys}
        for table, why in missing.items():
            # This run's checks are skipped when its sync fails; the table's page shall still say why.
            context.instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=raw_key(table), check_name=SNAPSHOT_CHECK, passed=False, description=why, metadata={}
                )
            )
        if missing:
            raise AirbyteError(" ".join(missing.values()), "config_error")

    def _addresses(self) -> tuple[str, str]:
        """Return the addresses of the public and the Configuration API."""
        if self.rest_api_base_url and self.configuration_api_base_url:
            return self.rest_api_base_url.rstrip("/"), self.configuration_api_base_url.rstrip("/")
        url = os.environ.get(URL, "").strip().rstrip("/")
        if not url:
            return AIRBYTE_CLOUD_REST_API_BASE_URL, AIRBYTE_CLOUD_CONFIGURATION_API_BASE_URL
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise AirbyteError(
                f"Expected {URL} to be the address of an Airbyte server, such as https://airbyte.example.com, or unset "
                "for Airbyte Cloud; it has no http(s) scheme or no host. Correct it.",
                "config_error",
            )
        if parts.username or parts.password:
            raise AirbyteError(
                f"Expected {URL} without a user or password in it, since addresses are logged. Put them into "
                "AIRBYTE_USERNAME and AIRBYTE_PASSWORD, and set AIRBYTE_AUTH to password.",
                "config_error",
            )
        return f"{url}/api/public/v1", f"{url}/api/v1"

    def _credentials(self) -> dict[str, str]:
        given = {name: getattr(self, name) for one in CREDENTIALS.values() for name in one if getattr(self, name)}
        if given:
            return given
        way = dg.EnvVar(AUTH).get_value() or "client"
        if way not in CREDENTIALS:
            raise AirbyteError(
                f"Expected {AUTH} to be one of {', '.join(CREDENTIALS)}, or unset for client; it is {way!r}. Correct "
                "it.",
                "config_error",
            )
        if way == "none" and not os.environ.get(URL):
            raise AirbyteError(
                f"Expected credentials, because Airbyte Cloud takes no request without, but {AUTH} is none. Set {URL} "
                f"to a server of your own, or {AUTH} to client.",
                "config_error",
            )
        what = {
            "client": "an application, as Airbyte shows it under its settings",
            "password": "a user of the server",
        }
        return {name: _variable(variable, what[way]) for name, variable in CREDENTIALS[way].items()}


@dataclass(frozen=True)
class _Synced:
    """A sync that succeeded: its job, what it landed, and which tables of the snapshot it left out, and why."""

    job: Job
    report: JobReport
    kept: ServerConnection
    prefix: str
    landed: Collection[str]
    missing: Mapping[str, str]

    def metadata(self, stream: str) -> dict[str, Any]:
        """Return numbers of the stream (where Airbyte tells them) and of the whole sync."""
        seconds = _duration(self.job.duration)
        count = self.report.streams.get(stream)
        metadata = {
            **(_counts(count) if count else {}),
            "airbyte/status": "COMPLETE",
            "airbyte/job_id": self.job.id,
            "airbyte/job_attempts": self.report.attempts or None,
            "airbyte/job_rows": self.job.rows,
            "airbyte/job_bytes": self.job.bytes,
            "airbyte/sync_seconds": seconds,
        }
        return {key: value for key, value in metadata.items() if value is not None}


def _counts(count: StreamCount) -> dict[str, Any]:
    return {
        "airbyte/rows_read": count.records_read,
        "airbyte/rows_landed": count.records_landed,
        "airbyte/bytes": count.bytes,
        "airbyte/rows_rejected": count.records_rejected or None,
    }


def _observed(connection: ServerConnection, error: AirbyteJobError) -> Iterator[dg.AssetObservation]:
    """Report what a failed job landed. Airbyte does not tell which streams it finished, so none counts as fresh."""
    for name, count in error.streams.items():
        if count.records_landed:
            metadata = {key: value for key, value in _counts(count).items() if value is not None}
            yield dg.AssetObservation(raw_key(connection.table(name)), description=str(error), metadata=metadata)


def _duration(text: str | None) -> float | None:
    """Return the seconds of an ISO 8601 duration of hours, minutes and seconds, as Java writes it."""
    found = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?", text or "")
    if not found or not any(found.groups()):
        return None
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


def _variable(name: str, what: str) -> str:
    value = (dg.EnvVar(name).get_value() or "").strip()
    if not value:
        raise AirbyteError(
            f"Expected the environment variable {name} to hold {what}, but it is not set. Set it where Dagster's code "
            "location and runs are started, and run again.",
            "config_error",
        )
    return value
