"""Runs an Airbyte connector, an executable that speaks the Airbyte protocol, and reads what it says.

A connector writes one JSON message a line to standard output. Records outnumber everything else by a million to one, so
they are recognised by their first bytes and handed on in whole blocks; only other messages are parsed here.
"""

import contextlib
import fcntl
import json
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from resources.airbyte import exact_json
from resources.secrets import masked

BLOCK_BYTES = 1 << 20
STDERR_LINES = 20
RECORD_START = re.compile(
    rb'\{"type": ?"RECORD", ?"record": ?\{(?:"namespace": ?(?:null|"(?:[^"\\]|\\.)*"), ?)?'
    rb'"stream": ?("(?:[^"\\]|\\["\\/bfnrt])*"), ?"data": ?'
)
"""How a RECORD line begins in every development kit; a line that begins otherwise is parsed as a whole."""

NEEDED_VARIABLES = {
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "JAVA_HOME"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
}
"""Where programs, certificates and proxies are, and which language is spoken: all that a connector gets unasked."""
LAST_WORDS_SECONDS = 2.0
"""How long a source that sent something wrong is listened to, for what it says about it itself."""

BROKEN_RECORD = re.compile(rb'\s*\{\s*"type"\s*:\s*"RECORD"')

Log = Callable[[str, str], None]
"""Takes an Airbyte log level (DEBUG, INFO, WARN, ERROR, FATAL) and a text."""


class AirbyteError(RuntimeError):
    """A sync could not be done; the message says what was expected, what came, and what to do.

    `failure_type` is Airbyte's: `config_error` (a person has to put something right: a retry is useless) or
    `system_error`.
    """

    def __init__(self, message: str, failure_type: str = "system_error") -> None:
        super().__init__(message)
        self.failure_type = failure_type


class SyncTimeoutError(AirbyteError):
    """The connector did not finish within its time limit and was ended."""


@dataclass(frozen=True)
class Records:
    """Whole RECORD lines of one stream, as the connector wrote them."""

    stream: str
    lines: bytes
    count: int


@dataclass
class Connector:
    """A connector executable and how to run it.

    `config` is written to a file that only the owner can read, in `work_dir`, and removed after the run. `time_limit`
    is in seconds. Of this process's environment the connector gets what every program needs, and the variables in
    `environment`. `hide` hides the configuration's secrets in a text, `keep` is told another configuration that the
    source wants to have at its next run.
    """

    executable: Path
    config: Mapping[str, Any]
    work_dir: Path
    time_limit: float = 3600.0
    environment: Sequence[str] = ()
    hide: Callable[[str], str] = str
    keep: Callable[[Mapping[str, Any]], object] = lambda _: None
    reported: dict[str, Any] | None = None

    def discover(self, log: Log) -> dict[str, Any]:
        """Ask the connector for its catalog.

        Raises:
            AirbyteError: it failed, or answered no catalog.
        """
        catalog: dict[str, Any] | None = None
        with self._messages("discover", {}, log) as messages:
            for message in messages:
                if isinstance(message, dict) and message.get("type") == "CATALOG":
                    catalog = message.get("catalog")
        if catalog is None:
            raise AirbyteError(
                f"Expected {self.executable.name} to answer `discover` with a catalog, but it sent none. "
                "Is it an Airbyte source?"
            )
        return catalog

    @contextlib.contextmanager
    def read(
        self, catalog: Mapping[str, Any], state: Any, log: Log
    ) -> "Iterator[Iterator[Records | dict[str, Any] | None]]":
        """Run `read`; the messages must be consumed to the end, where a failure of the connector is raised.

        `None` comes about once a second while the connector is silent, so that the consumer can report.

        Raises:
            AirbyteError: the connector reported an error, or ended with another exit code than 0.
            SyncTimeoutError: it took longer than the time limit.
        """
        with self._messages("read", {"catalog": catalog, "state": state}, log) as messages:
            try:
                yield messages
            except AirbyteError as ours:
                theirs = self._own_error(messages)
                if theirs is None:
                    raise
                kind = "config_error" if "config_error" in (ours.failure_type, theirs.failure_type) else "system_error"
                raise AirbyteError(f"{theirs} Before that: {ours}", kind) from ours

    def _own_error(self, messages: "Iterator[Records | dict[str, Any] | None]") -> AirbyteError | None:
        """Return what the source says of its own trouble, if it says so soon after we had to stop listening."""
        deadline = time.monotonic() + LAST_WORDS_SECONDS
        try:
            for _ in messages:
                if time.monotonic() > deadline:
                    return self._reported_error()
        except SyncTimeoutError:
            return self._reported_error()
        except AirbyteError as error:
            return error
        return None

    @contextlib.contextmanager
    def _messages(
        self, command: str, files: Mapping[str, Any], log: Log
    ) -> "Iterator[Iterator[Records | dict[str, Any] | None]]":
        arguments = [str(self.executable), command]
        paths: list[Path] = []
        self.reported = None
        try:
            for name, content in {"config": self.config, **files}.items():
                path = self.work_dir / f"{name}.json"
                paths.append(path)
                write_private(path, content)
                arguments += [f"--{name}", str(path)]
            process = self._start(arguments)
            try:
                yield self._listen(process, command, log)
            finally:
                _end(process)
        finally:
            for path in paths:
                path.unlink(missing_ok=True)

    def _start(self, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
        try:
            # A session of its own: the whole family of the connector can be ended at once.
            with _heeding(signal.SIGTERM):
                process = subprocess.Popen(
                    arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    start_new_session=True,
                    env=environment_of_connector(self.environment),
                )
        except FileNotFoundError as error:
            raise AirbyteError(
                f"Expected the connector's executable at {self.executable}, but there is none (or the interpreter in "
                "its first line is gone). Run `make setup` to install the connectors.",
                "config_error",
            ) from error
        except OSError as error:
            raise AirbyteError(
                f"Expected {self.executable} to be an executable connector, but it cannot be started: "
                f"{error.strerror}. Run `make setup` to install the connectors anew.",
                "config_error",
            ) from error
        if process.stdout is not None:
            # A wider pipe saves switches between the two processes; where it cannot be had, nothing else changes.
            with contextlib.suppress(AttributeError, OSError):
                fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, BLOCK_BYTES)
        return process

    def _listen(
        self, process: "subprocess.Popen[bytes]", command: str, log: Log
    ) -> "Iterator[Records | dict[str, Any] | None]":
        assert process.stdout is not None
        assert process.stderr is not None
        last_words: deque[str] = deque(maxlen=STDERR_LINES)
        listener = threading.Thread(target=_keep_last, args=(process.stderr, last_words), daemon=True)
        listener.start()

        def pass_on(level: str, text: str) -> None:
            log(level, self._hidden(text))

        for message in messages_of(self._blocks(process), pass_on):
            body = message.get(str(message.get("type")).lower()) if isinstance(message, dict) else None
            if not isinstance(message, dict):
                yield message
            elif message.get("type") == "LOG":
                said = body if isinstance(body, dict) else {}
                pass_on(str(said.get("level") or "INFO"), str(said.get("message") or ""))
            elif message.get("type") == "TRACE" and isinstance(body, dict) and body.get("type") == "ERROR":
                # The first error is the cause; what follows it is usually its echo.
                self.reported = self.reported or body.get("error") or {"message": "(it says no more)"}
            elif message.get("type") == "CONTROL":
                self._control(body, pass_on)
            else:
                yield message
        code = process.wait()
        listener.join(timeout=5)
        if error := self._reported_error():
            raise error
        if code == 0:
            return
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        words = self._hidden(" ".join(" | ".join(last_words).split()))[-1500:]
        raise AirbyteError(
            f"Expected `{self.executable.name} {command}` to succeed, but it {how}. Its last words: {words or '(none)'}"
        )

    def _reported_error(self) -> AirbyteError | None:
        if self.reported is None:
            return None
        kind = str(self.reported.get("failure_type") or "system_error")
        said = str(self.reported.get("message") or "(it gave no message)").strip()
        text = f"{self.executable.name} reported a {kind.replace('_', ' ')}: {said}"
        inside = str(self.reported.get("internal_message") or "").strip()
        if inside and inside not in text and kind != "config_error":
            text += f" ({inside.splitlines()[0][:500]})"
        return AirbyteError(self._hidden(text), kind)

    def _control(self, body: Any, log: Log) -> None:
        """Keep the configuration that a source wants to have from now on."""
        inner = body.get("connectorConfig") if isinstance(body, dict) else None
        config = inner.get("config") if isinstance(inner, dict) else None
        if isinstance(config, dict):
            self.keep(config)
        else:
            log("WARN", "a CONTROL message without a configuration was left out")

    def _hidden(self, text: str) -> str:
        return masked(self.hide(text))

    def _blocks(self, process: "subprocess.Popen[bytes]") -> Iterator[bytes]:
        """Yield what the connector writes, and b"" about once a second while it writes nothing."""
        assert process.stdout is not None
        deadline = time.monotonic() + self.time_limit
        out = process.stdout.fileno()
        while True:
            if time.monotonic() > deadline:
                raise SyncTimeoutError(
                    f"Expected {self.executable.name} to finish within {self.time_limit:,.0f} s, but it had not; it "
                    "was ended. What was committed at its checkpoints stays. Run again to continue, or raise the limit."
                )
            if not select.select([out], [], [], 1.0)[0]:
                yield b""
                continue
            block = os.read(out, BLOCK_BYTES)
            if not block:
                return
            yield block


def messages_of(blocks: Iterator[bytes], log: Log) -> "Iterator[Records | dict[str, Any] | None]":
    """Cut blocks, as they come from the pipe, into messages; an empty block yields None."""
    router = _Router(log)
    pieces: list[bytes] = []
    for block in blocks:
        if not block:
            yield None
            continue
        end = block.rfind(b"\n") + 1
        if not end:
            pieces.append(block)
            continue
        pieces.append(block[:end])
        yield from router.route(b"".join(pieces))
        pieces = [block[end:]]
    if rest := b"".join(pieces):
        # A whole message may lack its newline; half of one, of a connector that died in mid-line, is none.
        try:
            json.loads(rest)
        except ValueError:
            log("WARN", f"the connector stopped in the middle of a message of {len(rest):,} bytes, which is dropped")
        else:
            yield from router.route(rest + b"\n")


class _Router:
    """Tells record lines from other messages, by whole blocks where it can."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._prefix = b""
        self._stream = ""

    def route(self, lines: bytes) -> "Iterator[Records | dict[str, Any] | None]":
        """Yield the messages of `lines`, which ends with a newline.

        A JSON text holds no raw newline, so a newline followed by the prefix is a RECORD line of that stream and
        nothing else: where there are as many of these as lines, the block goes on untouched.
        """
        if self._prefix and lines.startswith(self._prefix):
            count = lines.count(b"\n")
            if lines.count(b"\n" + self._prefix) == count - 1:
                yield Records(self._stream, lines, count)
                return
        start = 0
        run_start, run_count, run_stream = 0, 0, ""
        while start < len(lines):
            end = lines.index(b"\n", start) + 1
            found = RECORD_START.match(lines, start, end)
            message: dict[str, Any] | None = None
            stream = ""
            if found:
                stream = self._remember(found)
            else:
                message = self._parse(lines[start:end])
                record = message.get("record") if message is not None and message.get("type") == "RECORD" else None
                if isinstance(record, dict) and isinstance(record.get("stream"), str):
                    stream, message = record["stream"], None
            if run_count and stream != run_stream:
                yield Records(run_stream, lines[run_start:start], run_count)
                run_count = 0
            if stream:
                if not run_count:
                    run_start, run_stream = start, stream
                run_count += 1
            elif message is not None:
                yield message
            start = end
        if run_count:
            yield Records(run_stream, lines[run_start:], run_count)

    def _remember(self, found: "re.Match[bytes]") -> str:
        prefix = found.group(0)
        if prefix != self._prefix:
            self._prefix, self._stream = prefix, json.loads(found.group(1))
        return self._stream

    def _parse(self, line: bytes) -> dict[str, Any] | None:
        if not line.strip():
            return None
        try:
            message = exact_json.loads(line)
        except ValueError:
            # Half a record would be a record lost; other lines that are no message are somebody's print statements.
            message = {"type": "RECORD", "line": line.decode(errors="replace")} if BROKEN_RECORD.match(line) else None
        if isinstance(message, dict) and "type" in message:
            return message
        self._log("DEBUG", "not a message: " + line.decode(errors="replace").strip()[:2000])
        return None


def environment_of_connector(names: Sequence[str]) -> dict[str, str]:
    """Return what a connector gets of this process's environment: what every program needs, and these variables."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.upper() in NEEDED_VARIABLES or name.startswith("LC_") or name in names
    }


def write_private(path: Path, content: Any) -> None:
    """Write JSON into a file that only its owner can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(exact_json.dumps(content))


def _keep_last(stream: IO[bytes], lines: "deque[str]") -> None:
    for line in stream:
        if text := line.decode(errors="replace").strip():
            lines.append(text)


@contextlib.contextmanager
def _heeding(number: signal.Signals) -> Iterator[None]:
    """Let a program that is started in the block heed a signal, although this process may ignore it.

    What a process ignores, the programs that it starts ignore, too; what it handles, they do not. A shell's background
    jobs ignore SIGINT, from which Dagster takes what to do about SIGTERM, and a connector that ends helpers of its own
    by SIGTERM (multiprocessing's pool does) then waits for them for ever. Only the main thread may set a handler;
    syncs run there.
    """
    ignored = signal.getsignal(number) is signal.SIG_IGN and threading.current_thread() is threading.main_thread()
    if ignored:
        signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        if ignored:
            signal.signal(number, signal.SIG_IGN)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the connector and its children, politely first."""
    for how, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
