"""An Airbyte server on loopback: it answers as the public API and the part of the Configuration API that is used do.

Jobs go through a script of states, one step each time they are asked for, and land nothing; `on_success` may land rows
in whatever warehouse is under test. Everything answered is first held against the models of `airbyte-api` (public API)
or of `config_api` (Configuration API); what does not fit is kept in `invalid`. Faults are told in advance and used up.
"""

import base64
import json
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from contracts.airbyte_server import config_api
from pydantic import BaseModel, ValidationError

from resources.airbyte.snapshot import ServerConnection

WORKSPACE = "0b1f8c1e-0000-4000-8000-000000000001"
SOURCE, DESTINATION = "0b1f8c1e-0000-4000-8000-0000000000a1", "0b1f8c1e-0000-4000-8000-0000000000d1"
CLIENT = {"client_id": "the-client", "client_secret": "s3cret-of-the-client"}
USER = {"username": "someone", "password": "s3cret-of-someone"}
ENDED = ("succeeded", "failed", "cancelled")
BYTES_A_ROW = 100
PUBLIC, CONFIG = "/api/public/v1", "/api/v1"


@dataclass(frozen=True)
class Stream:
    """A stream of a connection's catalog; `rows` is what a sync of it moves."""

    name: str
    json_schema: Mapping[str, Any]
    selected: bool = True
    incremental: bool = False
    primary_key: Sequence[Sequence[str]] = ()
    cursor: Sequence[str] = ()
    namespace: str | None = None
    only_fields: Sequence[str] = ()
    rows: int = 1000


@dataclass(frozen=True)
class Connection:
    """A connection as somebody configured it."""

    name: str
    streams: Sequence[Stream]
    id: str = "0b1f8c1e-0000-4000-8000-0000000000c1"
    prefix: str = ""
    status: str = "active"
    status_reason: str | None = None
    dataset: str = "raw"

    @classmethod
    def of_catalog(cls, name: str, file: Path, streams: Sequence[str] = ()) -> "Connection":
        """Return a connection that syncs the named streams (none: all) of a connector's committed catalog."""
        return cls(
            name,
            [
                Stream(
                    entry["name"],
                    entry["json_schema"],
                    selected=not streams or entry["name"] in streams,
                    incremental="incremental" in entry["supported_sync_modes"],
                    primary_key=entry.get("source_defined_primary_key") or [],
                    cursor=entry.get("default_cursor_field") or [],
                )
                for entry in json.loads(file.read_text())["streams"]
            ],
        )

    @classmethod
    def of_snapshot(cls, connection: ServerConnection) -> "Connection":
        """Return the connection that a snapshot was taken of, so that the committed one needs no refreshing."""
        return cls(
            connection.name,
            [
                Stream(
                    stream.name,
                    stream.json_schema,
                    incremental=stream.sync_mode == "incremental",
                    primary_key=stream.primary_key,
                    cursor=stream.cursor,
                    namespace=stream.namespace or None,
                )
                for stream in connection.streams
            ],
            id=connection.id,
            prefix=connection.prefix,
            dataset=connection.dataset,
        )

    def changed(self, stream: str, **more: Any) -> "Connection":
        """Return the connection with one stream configured otherwise."""
        return replace(self, streams=[replace(one, **more) if one.name == stream else one for one in self.streams])

    def without(self, stream: str) -> "Connection":
        """Return the connection with a catalog that lacks a stream."""
        return replace(self, streams=[one for one in self.streams if one.name != stream])

    @property
    def selected(self) -> list[Stream]:
        """The streams that a sync moves."""
        return [stream for stream in self.streams if stream.selected]


@dataclass
class Fault:
    """What happens to the next `times` requests of a method whose path contains `path`.

    `status` with `headers` and `body` (bytes as they are, else JSON; or a function of the request) is answered instead,
    with `heard` after the request took effect; `lost` closes the connection after it took effect, `unheard` before;
    `seconds` delays the answer.
    """

    method: str
    path: str
    times: int = 1
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    heard: bool = False
    lost: bool = False
    unheard: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    authorization: str


@dataclass
class ServerJob:
    """A job and the states that it still has to go through."""

    id: int
    connection: Connection
    script: list[str]
    kind: str = "sync"
    status: str = "pending"
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    attempts: list[dict[str, Any]] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)


class AirbyteServer:
    """Serves `connections` of one workspace; use it as a context manager.

    `script` are the states of each new job after `pending`; `failures` what Airbyte says of its failed attempts.
    `authentication` is `client`, `password` or `none`. While `hold` is set, jobs do not go on.
    """

    def __init__(
        self,
        *connections: Connection,
        script: Sequence[str] = ("running", "succeeded"),
        authentication: str = "client",
        failures: Sequence[Mapping[str, Any]] = (),
        partial: bool = False,
        on_success: Callable[[Connection], Mapping[str, int] | None] | None = None,
        certificate: Path | None = None,
    ) -> None:
        self.connections = {one.id: one for one in connections}
        self.script, self.authentication = list(script), authentication
        self.failures, self.partial = list(failures), partial
        self.on_success = on_success
        self.jobs: dict[int, ServerJob] = {}
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.invalid: list[str] = []
        self.tokens: set[str] = set()
        self.hold = False
        self.job_patch: dict[str, Any] = {}
        self.reports = True
        self._lock = threading.RLock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._scheme = "http" if certificate is None else "https"

    def __enter__(self) -> "AirbyteServer":
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        """The address that AIRBYTE_URL would hold."""
        return f"{self._scheme}://127.0.0.1:{self._http.server_address[1]}"

    def environment(self) -> dict[str, str]:
        """Return the environment variables with which this server is reached."""
        shared = {"AIRBYTE_URL": self.url, "AIRBYTE_WORKSPACE_ID": WORKSPACE, "AIRBYTE_AUTH": self.authentication}
        given = {"client": CLIENT, "password": USER, "none": {}}[self.authentication]
        return shared | {f"AIRBYTE_{name.upper()}": value for name, value in given.items()}

    def configure(self, connection: Connection) -> None:
        """Change a connection, as somebody does in Airbyte's own pages."""
        self.connections[connection.id] = connection

    def begin(self, connection: Connection, script: Sequence[str], kind: str = "sync") -> ServerJob:
        """Begin a job, as Airbyte's own schedule or a person does."""
        with self._lock:
            job = ServerJob(len(self.jobs) + 1, connection, list(script), kind)
            self.jobs[job.id] = job
            return job

    def count(self, method: str, path: str) -> int:
        """Return how many requests of a method had a path that ends so."""
        return sum(one.method == method and one.path.endswith(path) for one in self.requests)

    # Answers

    def answer(self, request: Request) -> tuple[int, Any]:
        """Return status and body for a request."""
        method, path = request.method, request.path
        if (method, path) == ("POST", f"{PUBLIC}/applications/token"):
            return self._token(request.body or {})
        if not self._authorised(request.authorization):
            return self._problem(401, "unauthorized", "The credentials in the request are invalid.")
        if path.startswith(PUBLIC):
            return self._public(method, path.removeprefix(PUBLIC), request)
        if path.startswith(CONFIG):
            return self._configuration(path.removeprefix(CONFIG), request.body or {})
        return self._problem(404, "not-found", "There is nothing at this path.")

    def _public(self, method: str, path: str, request: Request) -> tuple[int, Any]:
        if (method, path) == ("GET", f"/workspaces/{WORKSPACE}"):
            body = {"workspaceId": WORKSPACE, "name": "baton", "dataResidency": "auto", "notifications": {}}
            return self._valid("WorkspaceResponse", body)
        if (method, path) == ("GET", "/connections"):
            first, size = int(request.query.get("offset", 0)), int(request.query.get("limit", 20))
            every = [self._connection_response(one) for one in self.connections.values()]
            body = {"data": every[first : first + size]}
            if first + size < len(every):
                body["next"] = f"{self.url}{PUBLIC}/connections?limit={size}&offset={first + size}"
            return self._valid("ConnectionsResponse", body)
        if (method, path) == ("GET", f"/destinations/{DESTINATION}"):
            return self._valid("DestinationResponse", self._destination_response())
        if (method, path) == ("GET", "/jobs"):
            return self._valid("JobsResponse", {"data": self._listed(request.query)})
        if (method, path) == ("POST", "/jobs"):
            return self._create(request.body)
        if path.startswith("/jobs/"):
            return self._job(method, path.removeprefix("/jobs/"))
        return self._problem(
            400, "resource-not-found", "The requested resource could not be found.", resourceType="workspace"
        )

    def _create(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        _model("JobCreateRequest").model_validate(body)
        connection = self.connections.get(body["connectionId"])
        if connection is None:
            return self._problem(
                400, "resource-not-found", "The requested resource could not be found.", resourceId=body["connectionId"]
            )
        if any(job.status not in ENDED and job.connection.id == connection.id for job in self.jobs.values()):
            return self._problem(
                409,
                "try-again-later",
                "Please try again later.",
                message=f"A sync is already running for: {connection.id}",
            )
        return self._valid("JobResponse", self._job_response(self.begin(connection, self.script)))

    def _job(self, method: str, number: str) -> tuple[int, Any]:
        job = self.jobs.get(int(number)) if number.isdigit() else None
        if job is None:
            return self._problem(400, "resource-not-found", "The requested resource could not be found.")
        if method == "DELETE":
            job.status = "cancelled"
        elif not self.hold:
            self._go_on(job)
        return self._valid("JobResponse", self._job_response(job))

    def _go_on(self, job: ServerJob) -> None:
        if job.status in ENDED or not job.script:
            return
        job.status = job.script.pop(0)
        if job.status in ("incomplete", "failed"):
            job.attempts.append(self._attempt(job, "failed"))
            if self.partial:
                job.rows = {stream.name: stream.rows for stream in job.connection.selected[:1]}
        if job.status == "succeeded":
            landed = self.on_success(job.connection) if self.on_success and job.kind == "sync" else None
            job.rows = dict(landed or {stream.name: stream.rows for stream in job.connection.selected})
            job.attempts.append(self._attempt(job, "succeeded"))

    def _configuration(self, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        if path == "/connections/get":
            connection = self.connections.get(str(body.get("connectionId")))
            if connection is None:
                text = f"Could not find configuration for STANDARD_SYNC: {body.get('connectionId')}."
                return 404, self._held(config_api.KnownException, {"message": text})
            return 200, self._held(config_api.ConnectionRead, self._connection_read(connection))
        if path == "/jobs/get_without_logs" and self.reports and body.get("id") in self.jobs:
            return 200, self._held(config_api.JobInfoRead, self._job_info(self.jobs[body["id"]]))
        return 404, self._held(config_api.KnownException, {"message": "Object not found."})

    def _token(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        if {name: body.get(name) for name in CLIENT} != CLIENT:
            return self._problem(401, "invalid-api-key", "The API key in the Authorization header is invalid.")
        token = f"token-{len(self.tokens)}"
        self.tokens.add(token)
        return 200, self._held(config_api.Token, {"access_token": token, "token_type": "Bearer", "expires_in": 180})

    def _authorised(self, header: str) -> bool:
        if self.authentication == "client":
            return header.removeprefix("Bearer ") in self.tokens
        if self.authentication == "password":
            pair = f"{USER['username']}:{USER['password']}".encode()
            return header == f"Basic {base64.b64encode(pair).decode()}"
        return not header

    # Bodies

    def _connection_response(self, one: Connection) -> dict[str, Any]:
        modes = {True: "incremental_deduped_history", False: "full_refresh_overwrite"}
        return {
            "connectionId": one.id,
            "name": one.name,
            "sourceId": SOURCE,
            "destinationId": DESTINATION,
            "workspaceId": WORKSPACE,
            "status": one.status,
            "schedule": {"scheduleType": "manual"},
            "createdAt": 1700000000,
            "tags": [],
            "prefix": one.prefix,
            "configurations": {
                "streams": [{"name": stream.name, "syncMode": modes[stream.incremental]} for stream in one.selected]
            },
        }

    def _connection_read(self, one: Connection) -> dict[str, Any]:
        read = {
            "connectionId": one.id,
            "name": one.name,
            "sourceId": SOURCE,
            "destinationId": DESTINATION,
            "status": one.status,
            "breakingChange": False,
            "prefix": one.prefix,
            "namespaceDefinition": "customformat",
            "namespaceFormat": one.dataset,
            "syncCatalog": {"streams": [_stream(stream) for stream in one.streams]},
        }
        return read | ({"statusReason": one.status_reason} if one.status_reason else {})

    def _destination_response(self) -> dict[str, Any]:
        return {
            "destinationId": DESTINATION,
            "name": "warehouse",
            "destinationType": "bigquery",
            "definitionId": "22f6c74f-5699-40ff-833c-4a879ea40133",
            "workspaceId": WORKSPACE,
            "createdAt": 1700000000,
            "configuration": {
                "destinationType": "bigquery",
                "project_id": "the-project",
                "dataset_id": "raw",
                "dataset_location": "EU",
                "credentials_json": "**********",
            },
        }

    def _listed(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        found = [
            self._job_response(job)
            # The API's own default is the oldest first.
            for job in sorted(
                self.jobs.values(), key=lambda job: job.id, reverse=query.get("orderBy", "").endswith("DESC")
            )
            if query.get("connectionId", job.connection.id) == job.connection.id
            and query.get("status", job.status) == job.status
            and query.get("jobType", job.kind) == job.kind
        ]
        return found[: int(query.get("limit", 20))]

    def _job_response(self, job: ServerJob) -> dict[str, Any]:
        body: dict[str, Any] = {
            "jobId": job.id,
            "status": job.status,
            "jobType": job.kind,
            "connectionId": job.connection.id,
            # Java leaves seconds out when they are zero, and so may an instant on the minute.
            "startTime": job.created.strftime("%Y-%m-%dT%H:%MZ"),
        }
        if job.status in ENDED:
            body["lastUpdatedAt"] = job.created.isoformat()
            body["rowsSynced"] = sum(job.rows.values())
            body["bytesSynced"] = sum(job.rows.values()) * BYTES_A_ROW
        if job.status != "pending":
            body["duration"] = "PT1M12S"
        return body

    def _job_info(self, job: ServerJob) -> dict[str, Any]:
        at = int(job.created.timestamp())
        return {
            "job": {
                "id": job.id,
                "configType": job.kind,
                "configId": job.connection.id,
                "createdAt": at,
                "updatedAt": at,
                "status": job.status,
                "enabledStreams": [{"name": stream.name} for stream in job.connection.selected],
                "streamAggregatedStats": [
                    {
                        "streamName": name,
                        "recordsEmitted": rows,
                        "bytesEmitted": rows * BYTES_A_ROW,
                        "recordsCommitted": rows,
                        "bytesCommitted": rows * BYTES_A_ROW,
                        "recordsRejected": 0,
                    }
                    for name, rows in job.rows.items()
                ],
            },
            "attempts": [{"attempt": one} for one in job.attempts],
        }

    def _attempt(self, job: ServerJob, status: str) -> dict[str, Any]:
        at = int(job.created.timestamp())
        attempt = {"id": len(job.attempts), "status": status, "createdAt": at, "updatedAt": at}
        if status == "failed" and self.failures:
            said = [{"timestamp": at, **one} for one in self.failures]
            attempt["failureSummary"] = {"failures": said, "partialSuccess": self.partial}
        return attempt

    def _problem(self, status: int, title: str, detail: str, **data: str) -> tuple[int, Any]:
        about = f"https://reference.airbyte.com/reference/errors#{title}"
        body: dict[str, Any] = {"status": status, "type": about, "title": title, "detail": detail}
        return status, self._held(config_api.Problem, body | ({"data": data} if data else {}))

    def _valid(self, model: str, body: Any) -> tuple[int, Any]:
        """Hold a body of the public API against its model in `airbyte-api`."""
        self._held(_model(model), body)
        for one in body.get("data", ()):
            self._held(_model(model.replace("sResponse", "Response")), one)
        jobs = body["data"] if model == "JobsResponse" else [body] if model == "JobResponse" else []
        for job in jobs:
            # Put in on purpose, after the check: what servers were seen to answer although the models forbid it.
            job.update(self.job_patch)
        return 200, body

    def _held(self, model: type[BaseModel], body: Any) -> Any:
        try:
            model.model_validate(body)
        except ValidationError as error:
            self.invalid.append(f"{model.__name__}: {error}")
        # Models of the SDK let fields through that they do not know; a server that invents some proves nothing.
        unknown = set(body) - {known.alias or name for name, known in model.model_fields.items()}
        self.invalid += [f"{model.__name__} has no {name}" for name in sorted(unknown)]
        return body


def _stream(stream: Stream) -> dict[str, Any]:
    deduped = "append_dedup" if stream.primary_key else "append"
    described = {
        "name": stream.name,
        "jsonSchema": dict(stream.json_schema),
        "supportedSyncModes": ["full_refresh", "incremental"] if stream.incremental else ["full_refresh"],
        "sourceDefinedPrimaryKey": [list(path) for path in stream.primary_key],
        "defaultCursorField": list(stream.cursor),
    }
    configured: dict[str, Any] = {
        "selected": stream.selected,
        "syncMode": "incremental" if stream.incremental else "full_refresh",
        "destinationSyncMode": deduped if stream.incremental else "overwrite",
        "primaryKey": [list(path) for path in stream.primary_key],
        "cursorField": list(stream.cursor),
    }
    if stream.only_fields:
        configured["fieldSelectionEnabled"] = True
        configured["selectedFields"] = [{"fieldPath": [name]} for name in stream.only_fields]
    namespace = {"namespace": stream.namespace} if stream.namespace else {}
    return {"stream": described | namespace, "config": configured}


@cache
def _model(name: str) -> type[BaseModel]:
    found: type[BaseModel] = getattr(import_module(f"airbyte_api.models.{name.lower()}"), name)
    return found


def _handler(server: AirbyteServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            given = json.loads(self.rfile.read(length)) if length else None
            parts = urlsplit(self.path)
            request = Request(
                self.command,
                parts.path,
                {name: values[0] for name, values in parse_qs(parts.query).items()},
                given,
                self.headers.get("Authorization") or "",
            )
            with server._lock:
                server.requests.append(request)
                fault = _next_fault(server.faults, request)
                unanswered = fault is not None and (fault.unheard or (fault.status and not fault.heard))
                status, body = (0, None) if unanswered else server.answer(request)
            if fault is not None:
                threading.Event().wait(fault.seconds)
                if fault.lost or fault.unheard:
                    self.close_connection = True
                    self.connection.close()
                    return
                if fault.status:
                    status, body = fault.status, fault.body(request) if callable(fault.body) else fault.body
            self.reply(status, body, fault.headers if fault else {})

        do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 the base class calls them so

        def reply(self, status: int, body: Any, headers: Mapping[str, str]) -> None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


def _next_fault(faults: list[Fault], request: Request) -> Fault | None:
    for fault in faults:
        if fault.method == request.method and fault.path in request.path:
            fault.times -= 1
            if fault.times == 0:
                faults.remove(fault)
            return fault
    return None
