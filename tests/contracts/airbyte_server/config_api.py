"""What the Configuration API answers, after its public description; `airbyte-api` has models of the public API only.

A field that is not named here is an error, so the test server cannot invent one that the client then reads.
"""

# ruff: noqa: N815 the names are the API's

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

JobStatus = Literal["pending", "queued", "running", "incomplete", "failed", "succeeded", "cancelled"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Stream(Strict):
    name: str
    jsonSchema: dict[str, Any]
    supportedSyncModes: list[Literal["full_refresh", "incremental"]]
    sourceDefinedPrimaryKey: list[list[str]] = []
    sourceDefinedCursor: bool = False
    defaultCursorField: list[str] = []
    namespace: str | None = None


class SelectedField(Strict):
    fieldPath: list[str]


class StreamConfiguration(Strict):
    syncMode: Literal["full_refresh", "incremental"]
    destinationSyncMode: Literal["append", "overwrite", "append_dedup", "overwrite_dedup", "update", "soft_delete"]
    selected: bool
    primaryKey: list[list[str]] = []
    cursorField: list[str] = []
    fieldSelectionEnabled: bool = False
    selectedFields: list[SelectedField] = []


class StreamAndConfiguration(Strict):
    stream: Stream
    config: StreamConfiguration


class Catalog(Strict):
    streams: list[StreamAndConfiguration]


class ConnectionRead(Strict):
    connectionId: str
    name: str
    sourceId: str
    destinationId: str
    syncCatalog: Catalog
    status: Literal["active", "inactive", "deprecated", "locked"]
    breakingChange: bool
    prefix: str | None = None
    namespaceDefinition: Literal["source", "destination", "customformat"]
    namespaceFormat: str | None = None
    statusReason: str | None = None


class Descriptor(Strict):
    name: str
    namespace: str | None = None


class Failure(Strict):
    timestamp: int
    failureOrigin: str | None = None
    failureType: str | None = None
    externalMessage: str | None = None
    internalMessage: str | None = None
    stacktrace: str | None = None
    retryable: bool | None = None
    streamDescriptor: Descriptor | None = None


class FailureSummary(Strict):
    failures: list[Failure]
    partialSuccess: bool | None = None


class Attempt(Strict):
    id: int
    status: Literal["running", "failed", "succeeded"]
    createdAt: int
    updatedAt: int
    failureSummary: FailureSummary | None = None


class AttemptInfo(Strict):
    attempt: Attempt


class StreamStats(Strict):
    streamName: str
    streamNamespace: str | None = None
    recordsEmitted: int
    bytesEmitted: int
    recordsCommitted: int
    bytesCommitted: int
    recordsRejected: int


class JobRead(Strict):
    id: int
    configType: str
    configId: str
    createdAt: int
    updatedAt: int
    status: JobStatus
    enabledStreams: list[Descriptor] = []
    streamAggregatedStats: list[StreamStats] = []


class JobInfoRead(Strict):
    job: JobRead
    attempts: list[AttemptInfo]


class KnownException(Strict):
    """An error of the Configuration API."""

    message: str
    exceptionClassName: str | None = None


class ProblemData(Strict):
    message: str | None = None
    resourceType: str | None = None
    resourceId: str | None = None


class Problem(Strict):
    """An error of the public API."""

    status: int
    type: str
    title: str
    detail: str
    data: ProblemData | None = None


class Token(Strict):
    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
