"""Airbyte protocol messages, one JSON object a line, and standard output as a sink for them."""

import json
import os
import stat
import sys
import time
from typing import Any


def write(message: dict[str, Any]) -> None:
    """Send one message. Unbuffered, because records reach the same descriptor from elsewhere."""
    write_bytes(json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")


def write_bytes(data: bytes) -> None:
    """Write all of `data` to standard output."""
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def stdout_is_pipe() -> bool:
    """Tell whether standard output is a pipe, which can be opened a second time without truncating what it holds."""
    return stat.S_ISFIFO(os.fstat(sys.__stdout__.fileno() if sys.__stdout__ else 1).st_mode)


def log(level: str, text: str) -> None:
    """Send a LOG message."""
    write({"type": "LOG", "log": {"level": level, "message": text}})


def stream_status(stream: str, status: str) -> None:
    """Send STARTED, RUNNING, COMPLETE or INCOMPLETE for a stream."""
    _trace("STREAM_STATUS", stream_status={"stream_descriptor": {"name": stream}, "status": status})


def estimate(stream: str, rows: int) -> None:
    """Announce how many records a stream is going to send."""
    _trace("ESTIMATE", estimate={"name": stream, "type": "STREAM", "row_estimate": rows})


def error(text: str, failure_type: str, *, internal: str = "", stack: str = "", stream: str | None = None) -> None:
    """Send a TRACE ERROR; `failure_type` is config_error or system_error."""
    detail: dict[str, Any] = {"message": text, "failure_type": failure_type}
    if internal:
        detail["internal_message"] = internal
    if stack:
        detail["stack_trace"] = stack
    if stream:
        detail["stream_descriptor"] = {"name": stream}
    _trace("ERROR", error=detail)


def state(stream: str, value: dict[str, Any], records: int | None) -> None:
    """Send a checkpoint: everything before it is covered by `value`; `records` since the previous one, if counted."""
    body: dict[str, Any] = {
        "type": "STREAM",
        "stream": {"stream_descriptor": {"name": stream}, "stream_state": value},
    }
    if records is not None:
        body["sourceStats"] = {"recordCount": float(records)}
    write({"type": "STATE", "state": body})


def _trace(kind: str, **body: Any) -> None:
    write({"type": "TRACE", "trace": {"type": kind, "emitted_at": time.time() * 1000, **body}})
