"""One sync: from a connector's messages to committed tables.

A full refresh replaces its table when the connector has said COMPLETE, never before. An incremental stream is committed
at its checkpoints, records and state together; so whatever is killed, the next sync goes on where the tables are.
"""

import contextlib
import resource
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resources import ingestions
from resources.airbyte import landing, unchanged
from resources.airbyte.buffer import Buffer
from resources.airbyte.configuration import Hider, secrets_in
from resources.airbyte.landing import WHOLE_CONNECTION, Landed, Load, State
from resources.airbyte.plans import SCHEMA, StreamPlan
from resources.airbyte.protocol import AirbyteError, Connector, Records
from resources.folders import DISK_FULL
from resources.private_folder import private_folder
from resources.secrets import masked
from resources.warehouse import WarehouseError, open_duckdb

COMMIT_BYTES = 256 << 20
"""How much of an incremental stream is collected, at least, before a checkpoint is committed.

Each commit costs a checkpoint of the database, which rewrites half-full row groups: at 64 MiB the first sync of the
recording takes 9.4 CPU seconds, at 256 MiB 7.6.
"""
COMMIT_SECONDS = 60.0
"""How old a checkpoint may become before it is committed, for a source that is slow."""
PROGRESS_SECONDS = 3.0


@dataclass(frozen=True)
class Job:
    """What to sync: a named connection's source, its streams, and where they go.

    `config` is the source's configuration with its secrets filled in, which `hide` hides in a text; `keep` keeps what
    the source changes in it, and returns the names of that. `environment` names the variables that the connector gets
    beside it. `as_of` is the instant that it reads as of (None: now); `time_limit` and `wait_seconds` (for the
    warehouse) are seconds. `resend`: full refreshes are sent again, also where the source has nothing new.
    """

    name: str
    executable: Path
    config: Mapping[str, Any]
    streams: Sequence[StreamPlan]
    warehouse_path: str
    as_of: datetime | None = None
    time_limit: float = 3600.0
    wait_seconds: float = 60.0
    commit_bytes: int = COMMIT_BYTES
    environment: Sequence[str] = ()
    hide: Hider = field(default_factory=Hider)
    keep: Callable[[Mapping[str, Any]], list[str]] = lambda _: []
    resend: bool = False


@dataclass
class StreamResult:
    """What a sync did to one stream: records and bytes read, rows of the table after it, seconds it took.

    `unlisted` counts the records that have a column which the catalog lacks, by column. `said` counts the records that
    the source says it sent, and `came` how many of these arrived; both 0 where it does not say. `kept`: the source has
    the rows of the sync before, and sent none; the table was compared, and stays.
    """

    plan: StreamPlan
    status: str = "NOT_STARTED"
    records: int = 0
    bytes: int = 0
    rows: int | None = None
    committed: bool = False
    seconds: float = 0.0
    unlisted: "Counter[str]" = field(default_factory=Counter)
    said: int = 0
    came: int = 0
    kept: bool = False

    @property
    def remark(self) -> str:
        """Say what is odd about a stream that succeeded; "" if nothing is."""
        counted = f"{self.plan.name}: the source counts {self.said:,} records, and {self.came:,} arrived."
        return " ".join(part for part in (self.new_columns, counted if self.said != self.came else "") if part)

    @property
    def new_columns(self) -> str:
        """Say which columns are new at the source, as the comparison with a server's snapshot does; "" if none is."""
        if not self.unlisted:
            return ""
        counted = ", ".join(f"{column} ({count:,} records)" for column, count in sorted(self.unlisted.items()))
        return f"New in {self.plan.name}: {counted}."


@dataclass(frozen=True)
class SyncResult:
    """What a sync did. `cpu_seconds` counts the connector and the loader together."""

    streams: Mapping[str, StreamResult]
    seconds: float
    cpu_seconds: float
    records: int
    bytes: int


class SyncFailedError(AirbyteError):
    """A sync that failed after it had begun; `streams` tells what it committed before."""

    def __init__(self, message: str, failure_type: str, streams: Mapping[str, StreamResult]) -> None:
        super().__init__(message, failure_type)
        self.streams = streams


@dataclass
class Reporter:
    """Where a sync tells how far it is (`progress`), and passes on what the connector logs (`log`)."""

    progress: Callable[[str], None] = lambda _: None
    log: Callable[[str, str], None] = lambda _level, _text: None


def sync(job: Job, reporter: Reporter | None = None) -> SyncResult:
    """Run one sync.

    Raises:
        SyncFailedError: the connector failed, stopped early or sent what does not fit; the message says what stays.
        AirbyteError: it could not begin: an unknown stream, a column that changed its type, no executable.
        WarehouseError: the warehouse is held by another process, is no warehouse, or its disk is full.
    """
    started, clock, cpu = datetime.now(UTC), time.monotonic(), _cpu_seconds()
    results = {stream.name: StreamResult(stream) for stream in job.streams}
    run = _Run(job, reporter or Reporter(), results)

    def note(status: str, message: str | None) -> None:
        totals = [sum(result.records for result in results.values()), sum(result.bytes for result in results.values())]
        with open_duckdb(job.warehouse_path, wait_seconds=job.wait_seconds) as connection:
            counts = {one.plan.table: (one.said, one.came) for one in results.values() if one.said}
            told = (_cpu_seconds() - cpu, status, message, counts)
            landing.record_sync(
                connection, [job.name, started, datetime.now(UTC), job.as_of or started, *totals, *told]
            )
            if status == "succeeded":
                ingestions.record_in(connection, [stream.table for stream in job.streams], job.as_of or started)

    try:
        run.execute()
    except (AirbyteError, WarehouseError, OSError) as error:
        failure = _failure(job, error, results)
        if not isinstance(failure, WarehouseError):
            # The sentence that is already there matters more than a second one about the record of syncs.
            with contextlib.suppress(WarehouseError, OSError):
                note("failed", job.hide(str(failure)))
        raise failure from error
    note("succeeded", " ".join(said for result in results.values() if (said := result.remark)) or None)
    return SyncResult(
        streams=results,
        seconds=time.monotonic() - clock,
        cpu_seconds=_cpu_seconds() - cpu,
        records=sum(result.records for result in results.values()),
        bytes=sum(result.bytes for result in results.values()),
    )


@dataclass
class _Run:
    """A sync under way."""

    job: Job
    reporter: Reporter
    results: dict[str, StreamResult]
    buffers: dict[str, Buffer] = field(default_factory=dict)
    began: dict[str, float] = field(default_factory=dict)
    estimates: dict[str, int] = field(default_factory=dict)
    whole_state: State | None = None
    one_state_for_all: bool = False
    rejected: set[str] = field(default_factory=set)
    read_on: set[str] = field(default_factory=set)
    held: dict[str, unchanged.Held] = field(default_factory=dict)
    committed_at: float = 0.0
    reported_at: float = 0.0
    started_at: float = 0.0

    def execute(self) -> None:
        self.started_at = self.committed_at = self.reported_at = time.monotonic()
        with open_duckdb(self.job.warehouse_path, wait_seconds=self.job.wait_seconds) as connection:
            landing.prepare(connection)
            lacking = {one.name: landing.check_columns(connection, one, self.job.name) for one in self.job.streams}
            self.read_on = {
                one.name for one in self.job.streams if one.incremental and landing.has_rows(connection, one)
            }
            landing.refuse_doubling(connection, self.job.name, self.job.streams, self.read_on)
            state = landing.saved_state(connection, self.job.name, self.job.streams, self.read_on)
            if not self.job.resend:
                self.held = unchanged.held(connection, self.job.name, self.job.streams, lacking)
        if self.held:
            state += [unchanged.handed(self.results[name].plan, one) for name, one in self.held.items()]
        # Beside the warehouse, because that disk is the one known to be large.
        with private_folder(Path(self.job.warehouse_path).parent, ".airbyte-sync-") as folder:
            self.buffers = {
                stream.name: Buffer(folder / f"{index}.jsonl") for index, stream in enumerate(self.job.streams)
            }
            connector = Connector(
                self.job.executable,
                self.job.config,
                folder,
                self.job.time_limit,
                environment=self.job.environment,
                hide=self.job.hide,
                keep=self._keep_config,
            )
            catalog = {"streams": [stream.configured() for stream in self.job.streams]}
            try:
                with connector.read(catalog, state, self._log) as messages:
                    for message in messages:
                        self._take(message)
            except AirbyteError as error:
                try:
                    self._salvage()
                except AirbyteError as second:
                    # What stopped the source comes first; that its rest could not be kept is told behind it.
                    raise AirbyteError(
                        f"{error} What it had sent was not kept: {second}", error.failure_type
                    ) from error
                raise
            self._finish()

    def _take(self, message: "Records | dict[str, Any] | None") -> None:
        if isinstance(message, Records):
            self._records(message)
        elif message is not None:
            try:
                if message["type"] == "STATE":
                    self._state(message["state"])
                elif message["type"] == "TRACE":
                    self._trace(message["trace"])
                elif message["type"] == "RECORD":
                    raise ValueError("a record without a stream")
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise AirbyteError(
                    f"Expected a {message['type']} message of the Airbyte protocol, but {self.job.executable.name} "
                    f"sent {masked(self.job.hide(str(message)))[:300]}."
                ) from error
        if time.monotonic() - self.reported_at > PROGRESS_SECONDS:
            self._report_progress()

    def _records(self, records: Records) -> None:
        result = self.results.get(records.stream)
        if result is None:
            raise AirbyteError(
                f"Expected records of {', '.join(self.results)}, but {self.job.executable.name} sent some of "
                f"{records.stream!r}, which was not asked for."
            )
        if result.status == "COMPLETE" or result.kept:
            said = "COMPLETE" if result.status == "COMPLETE" else "told as unchanged"
            raise AirbyteError(f"Expected no more of stream {records.stream} after it was {said}, but records came.")
        self.began.setdefault(records.stream, time.monotonic())
        self.buffers[records.stream].write(records)
        result.records += records.count
        result.bytes += len(records.lines)
        if result.status in ("NOT_STARTED", "STARTED"):
            result.status = "RUNNING"

    def _state(self, state: dict[str, Any]) -> None:
        kind = state.get("type") or ("STREAM" if "stream" in state else "LEGACY")
        if kind == "STREAM":
            name = state["stream"]["stream_descriptor"]["name"]
            buffer = self.buffers.get(name)
            if buffer is None:
                return
            expected = (state.get("sourceStats") or {}).get("recordCount")
            if expected is not None:
                self.results[name].said += int(expected)
                self.results[name].came += buffer.since_checkpoint
            if expected is not None and int(expected) != buffer.since_checkpoint:
                self._log(
                    "WARN",
                    f"{name}: the source counts {int(expected):,} records since its last state, "
                    f"{buffer.since_checkpoint:,} arrived",
                )
            buffer.checkpoint(state["stream"])
            if unchanged.says_unchanged(state["stream"]):
                unchanged.refuse_unasked(name, self.held, state["stream"], self.results[name].records)
                self.results[name].kept = True
            if self._due(buffer.bytes) and self.results[name].plan.incremental:
                self._commit([name])
            return
        # One state for all streams: everything sent so far belongs to it, and has to be committed with it.
        self.one_state_for_all = True
        value = state["global"] if kind == "GLOBAL" else state.get("data", {})
        self.whole_state = State(WHOLE_CONNECTION, kind, value)
        for buffer in self.buffers.values():
            buffer.checkpoint(None)
        if self._due(sum(buffer.bytes for buffer in self.buffers.values())):
            self._commit(self._incremental())

    def _due(self, collected: int) -> bool:
        return collected >= self.job.commit_bytes or time.monotonic() - self.committed_at > COMMIT_SECONDS

    def _trace(self, trace: dict[str, Any]) -> None:
        if trace["type"] == "ESTIMATE":
            estimate = trace["estimate"]
            # An estimate of the whole sync names no stream.
            self.estimates[estimate.get("name") or ""] = int(estimate.get("row_estimate") or 0)
        if trace["type"] != "STREAM_STATUS":
            return
        name, status = trace["stream_status"]["stream_descriptor"]["name"], trace["stream_status"]["status"]
        result = self.results.get(name)
        if result is None:
            return
        self.began.setdefault(name, time.monotonic())
        result.status = status
        if status == "COMPLETE":
            if result.kept:
                self._keep(result)
                return
            buffer = self.buffers[name]
            covered = buffer.bytes == buffer.checkpoint_bytes and not self.one_state_for_all
            if not result.plan.incremental or (covered and buffer.state is not None):
                self._commit([name])

    def _keep(self, result: StreamResult) -> None:
        """Leave a table as it is whose source has nothing new."""
        plan = result.plan
        with open_duckdb(self.job.warehouse_path, read_only=True, wait_seconds=self.job.wait_seconds) as connection:
            result.rows = unchanged.rows_kept(connection, plan, self.held[plan.name])
        result.committed = True
        self.reporter.progress(
            f"{self.job.name}: {plan.name} has nothing new, {result.rows:,} rows in {SCHEMA}.{plan.table} stay"
        )

    def _incremental(self) -> list[str]:
        return [name for name, result in self.results.items() if result.plan.incremental]

    def _commit(self, names: Sequence[str]) -> None:
        loads, states = [], []
        for name in names:
            buffer, plan = self.buffers[name], self.results[name].plan
            said = None
            if not plan.incremental:
                said = unchanged.vouched(buffer.state, self.results[name].records, buffer.since_checkpoint)
            loads.append(Load(plan, buffer.close(), replace=not plan.incremental, vouched=said))
            if plan.incremental and buffer.state is not None:
                states.append(State(name, "STREAM", buffer.state))
            elif plan.incremental and not self.one_state_for_all:
                states.append(State(name, landing.NO_STATE, None))
        if self.whole_state is not None and any(self.results[name].plan.incremental for name in names):
            states.append(self.whole_state)
            self.whole_state = None
        self.rejected.update(names)
        landed = self._land(loads, states)
        self.rejected.difference_update(names)
        self.committed_at = time.monotonic()
        for name in names:
            result = self.results[name]
            result.rows, result.committed = landed[name].rows, True
            if not result.rows:
                self.read_on.discard(name)
            result.unlisted.update(landed[name].staged.unlisted)
            for note in landed[name].staged.notes:
                self._log("WARN", note)
            result.seconds = self.committed_at - self.began.get(name, self.committed_at)
            self.buffers[name].clear()
            if result.status == "COMPLETE":
                self.reporter.progress(
                    f"{self.job.name}: {name} complete, {result.records:,} records read, {result.rows:,} rows in "
                    f"{SCHEMA}.{result.plan.table}"
                )
                self.reported_at = time.monotonic()

    def _land(self, loads: Sequence[Load], states: Sequence[State]) -> dict[str, Landed]:
        import duckdb

        try:
            with open_duckdb(self.job.warehouse_path, wait_seconds=self.job.wait_seconds) as connection:
                # Parsing on two threads costs a third more CPU time, which the connector needs.
                connection.execute("set threads = 1")
                for one in (load.stream for load in loads if load.stream.name in self.read_on):
                    if not landing.has_rows(connection, one):
                        raise AirbyteError(
                            f"Expected {SCHEMA}.{one.table} to hold the rows that this sync reads on from, but it was "
                            f"reset, dropped or emptied meanwhile. Nothing more of {one.name} was kept: sync again; "
                            "it is then read from the start."
                        )
                for name, rows in landing.emptied(connection, loads).items():
                    table = f"{SCHEMA}.{self.results[name].plan.table}"
                    self._log(
                        "WARN",
                        f"{name}: the source sent no record, so {table} is empty now; it had {rows:,} rows before",
                    )
                return landing.commit(connection, self.job.name, loads, states)
        except duckdb.Error as error:
            raise AirbyteError(
                f"Expected to land {', '.join(load.stream.name for load in loads)} in {self.job.warehouse_path}, but "
                f"the database refused: {str(error).splitlines()[0]} Nothing of this commit was kept."
            ) from error

    def _finish(self) -> None:
        """Commit the rest after the connector succeeded, if it completed every stream."""
        unfinished = [name for name, result in self.results.items() if result.status != "COMPLETE"]
        if unfinished:
            self._salvage()
            raise AirbyteError(
                f"Expected {self.job.executable.name} to complete every stream, but it ended without an error and "
                f"without saying COMPLETE for {', '.join(unfinished)}: what it sent of them may be cut short."
            )
        rest = [
            name
            for name in self._incremental()
            if not self.results[name].committed or self.buffers[name].bytes or self.buffers[name].state is not None
        ]
        if rest or self.whole_state is not None:
            self._commit(rest or self._incremental())

    def _salvage(self) -> None:
        """Commit what incremental streams sent up to their last checkpoint, so that a retry need not read it again.

        What the warehouse has refused once stays out: its state must not be kept without its records.
        """
        names = [name for name in self._incremental() if name not in self.rejected]
        if self.one_state_for_all:
            if self.whole_state is None or self.rejected:
                return
        else:
            names = [name for name in names if self.buffers[name].state is not None]
        for name in names:
            self.buffers[name].forget_after_checkpoint()
        if names:
            self._commit(names)

    def _keep_config(self, config: Mapping[str, Any]) -> None:
        self.job.hide.add(secrets_in(config))
        names = self.job.keep(config)
        self.reporter.progress(
            f"{self.job.name}: the source changed {len(names)} values of its configuration ({', '.join(names)}); they "
            "are kept for its next sync"
        )

    def _log(self, level: str, text: str) -> None:
        self.reporter.log(level, text)

    def _report_progress(self) -> None:
        self.reported_at = time.monotonic()
        records = sum(result.records for result in self.results.values())
        megabytes = sum(result.bytes for result in self.results.values()) / 1e6
        parts = []
        for name, result in self.results.items():
            if result.status in ("STARTED", "RUNNING"):
                of = f" of {self.estimates[name]:,}" if self.estimates.get(name) else ""
                parts.append(f"{name} {result.records:,}{of} records")
        seconds = max(self.reported_at - self.started_at, 1e-9)
        self.reporter.progress(
            f"{self.job.name}: {', '.join(parts) or 'waiting for the source'}; {records:,} records, {megabytes:,.0f} "
            f"MB, {records / seconds:,.0f} records/s so far"
        )


def _failure(job: Job, error: Exception, results: Mapping[str, StreamResult]) -> Exception:
    """Return the error to raise: a sentence that also says what became of the tables."""
    if isinstance(error, WarehouseError):
        return error
    if isinstance(error, OSError):
        if error.errno not in DISK_FULL:
            return error
        return WarehouseError(
            f"The disk that holds {job.warehouse_path} has no room for the records of {job.name} ({error.strerror}). "
            "Nothing of the unfinished streams was committed and the previous tables are intact. Free some space and "
            "run again."
        )
    if not any(result.status != "NOT_STARTED" or result.committed for result in results.values()):
        return error
    left = [name for name, result in results.items() if result.status != "COMPLETE" or not result.committed]
    fate = []
    for name in left:
        if results[name].committed:
            fate.append(f"{name} is kept up to its last checkpoint ({results[name].rows:,} rows)")
        else:
            fate.append(f"{name} is as it was")
    incomplete = f" Not complete: {'; '.join(fate)}." if fate else ""
    kind = error.failure_type if isinstance(error, AirbyteError) else "system_error"
    sentence = job.hide(str(error) if str(error).endswith((".", "!", "?")) else f"{error}.")
    return SyncFailedError(f"Sync {job.name}: {sentence}{incomplete}", kind, results)


def _cpu_seconds() -> float:
    """User and system time of this process and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
