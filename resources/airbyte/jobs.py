"""What a job is on an Airbyte server, and what Airbyte tells of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from resources.airbyte.protocol import AirbyteError

SYNC = "sync"
ENDED = ("succeeded", "failed", "cancelled")
WAITING = ("pending", "queued", "running", "incomplete")
"""The public API's states of a job. `incomplete`: an attempt failed and Airbyte will make another."""


class AirbyteJobError(AirbyteError):
    """A job did not do what was wanted. `streams` says what it landed of each stream, as far as is known."""

    def __init__(self, message: str, failure_type: str, streams: "Mapping[str, StreamCount]") -> None:
        super().__init__(message, failure_type)
        self.streams = streams


@dataclass(frozen=True)
class Job:
    """A job as the public API describes it. What it left out or sent as null or something else is None."""

    id: int
    status: str
    kind: str
    started: datetime | None
    updated: datetime | None
    duration: str | None
    rows: int | None
    bytes: int | None

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> "Job":
        """Return the job of a JobResponse.

        Raises:
            ValueError: it is no object, or its jobId is no number, or it has no status.
        """
        if not isinstance(details, Mapping):
            raise ValueError(f"{details!r} is no job")
        number, status, duration = (details.get(key) for key in ("jobId", "status", "duration"))
        # A guessed state could end a live job, or wait for ever for one that has ended.
        if not str(number).isdecimal() or not (isinstance(status, str) and status):
            raise ValueError(f"a job has jobId {number!r} and status {status!r}")
        return cls(
            id=int(str(number)),
            status=status,
            kind=str(details.get("jobType") or SYNC),
            started=_instant(details.get("startTime")),
            updated=_instant(details.get("lastUpdatedAt")),
            duration=duration if isinstance(duration, str) else None,
            rows=_number(details.get("rowsSynced")),
            bytes=_number(details.get("bytesSynced")),
        )

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED


@dataclass(frozen=True)
class StreamCount:
    """What a job did for one stream."""

    records_read: int
    records_landed: int
    bytes: int
    records_rejected: int = 0


@dataclass(frozen=True)
class JobReport:
    """What the Configuration API tells of a job beyond the public API.

    `enabled` are the streams that the job was to sync, None if unknown. `reason` is Airbyte's own, of its last failed
    attempt; `attempts` counts all.
    """

    reason: str = ""
    failure_type: str = "system_error"
    partial: bool = False
    attempts: int = 0
    enabled: frozenset[str] | None = None
    streams: Mapping[str, StreamCount] = field(default_factory=dict)


def report_of(answer: Mapping[str, Any], safe: Callable[[str], str]) -> JobReport:
    """Return the report in an answer of `jobs/get_without_logs`; `safe` takes secrets out of Airbyte's words.

    Raises:
        KeyError, TypeError, AttributeError, ValueError: the answer has another shape.
    """
    job, attempts = answer["job"], [one["attempt"] for one in answer["attempts"]]
    reason, failure_type, partial = "", "system_error", False
    summaries = [one.get("failureSummary") for one in attempts]
    last = next((one for one in reversed(summaries) if one), None)
    if last is not None:
        failures = list(_failures(last))
        reason = " ".join(dict.fromkeys(safe(text) for _, text in failures))
        failure_type = "config_error" if any(kind == "config_error" for kind, _ in failures) else "system_error"
        partial = bool(last.get("partialSuccess"))
    enabled = job.get("enabledStreams")
    return JobReport(
        reason=reason,
        failure_type=failure_type,
        partial=partial,
        attempts=len(attempts),
        enabled=None if enabled is None else frozenset(str(one["name"]) for one in enabled),
        streams={
            str(one["streamName"]): StreamCount(
                records_read=int(one.get("recordsEmitted") or 0),
                records_landed=int(one.get("recordsCommitted") or 0),
                bytes=int(one.get("bytesCommitted") or one.get("bytesEmitted") or 0),
                records_rejected=int(one.get("recordsRejected") or 0),
            )
            for one in job.get("streamAggregatedStats") or ()
        },
    )


def failure_of(name: str, job: Job, how: str, report: JobReport) -> AirbyteJobError:
    """Return the error of a connection's job that ended badly; `how` says it in a word or two."""
    reason = report.reason or "Airbyte gave no reason through its API."
    kept = (
        "Part of the rows had landed before; streams that were not read to their end are not fresh. "
        if report.partial
        else ""
    )
    fix = (
        "Correct the connection in Airbyte, then run again."
        if report.failure_type == "config_error"
        else f"Look at job {job.id} of {name} in Airbyte, then run again."
    )
    made = f" after {report.attempts} attempts" if report.attempts > 1 else ""
    message = f"Expected Airbyte to sync {name}, but its job {job.id} {how}{made}. {reason} {kept}{fix}"
    return AirbyteJobError(message, report.failure_type, report.streams)


def _failures(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield type and sentence of each failure that an attempt reports. Its stack trace is left in Airbyte."""
    for one in summary.get("failures") or ():
        text = one.get("externalMessage") or one.get("internalMessage") or "no words"
        where = ", ".join(
            word
            for word in (one.get("failureOrigin"), one.get("failureType"), _stream(one.get("streamDescriptor")))
            if word
        )
        first = " ".join(str(text).split())
        yield (
            str(one.get("failureType")),
            f"Airbyte says{f' ({where})' if where else ''}: {first}{'' if first.endswith('.') else '.'}",
        )


def _stream(descriptor: Mapping[str, Any] | None) -> str:
    return f"stream {descriptor['name']}" if descriptor and descriptor.get("name") else ""


def _number(value: Any) -> int | None:
    return int(str(value)) if str(value).isdecimal() else None


def _instant(text: Any) -> datetime | None:
    """Return an ISO instant; None for what is missing, null or no instant."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
