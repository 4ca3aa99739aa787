"""One command's session: the instance, the clock, and progress on the terminal."""

import contextlib
import json
import logging
import os
import shutil
import threading
import time
import uuid
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.tags import MAX_RETRIES_TAG

from commands.alone import UNFINISHED, alone, wait_for_daemon
from commands.own_run import run_here
from resources.backup import BackupError
from resources.profiles import PROFILES, ROOT, ProfileError, claim_home, resources_for
from sensors.failed_runs import sentence_of
from sensors.patience import BEGAN_TAG, PID_TAG, RUN_TAG, is_of_command

LAUNCH = ".venv/bin/dagster job launch --workspace deploy/compose/workspace.yaml --location baton --job"
"""How a run is asked for in production, where its variables (DAGSTER_HOME among them) are set; a job's name follows."""


def rebuild_config(start: str) -> dict[str, Any]:
    """Return the run configuration of `ingest_and_build` that makes cutoffs from `start` on again."""
    config = {"config": {"rebuild_from": start}}
    return {"ops": {"dbt_build": config, "feature_frame": config}}


IN_PRODUCTION = {
    "check": f"In production launch the job `check` in the web UI of its instance, or by `{LAUNCH} check`.",
    "run": f"In production launch the job `everything` in the web UI of its instance, or by `{LAUNCH} everything`.",
    "ui": (
        "In production open the web UI of its instance (docs/deployment.md): a second daemon here would start each "
        "scheduled job twice."
    ),
    "rebuild": (
        "In production launch the job `ingest_and_build` with `rebuild_from` in the web UI of its instance, or by "
        f"`{LAUNCH} ingest_and_build --config-json '{json.dumps(rebuild_config('2024-01-01'))}'`."
    ),
    "backup": (
        "In production each service is backed up by its own means: docs/operations.md says which, and in which order."
    ),
    "restore": (
        "In production each service is restored by its own means: docs/operations.md says which, and in which order."
    ),
    "upgrade": (
        "In production each service is upgraded where it runs: `dagster instance migrate`, `mlflow db upgrade <its "
        "database>` (docs/production.md)."
    ),
    "replay": (
        "It sets the clock back and would load, score and promote in production as if it were then. Only the embedded "
        "profile replays what is recorded."
    ),
}
"""The commands that have an instance under `BATON_HOME` of their own, and what one does instead in production."""


def embedded_only(command: str) -> None:
    """Refuse a command of the embedded profile where another one is set: what it opens stands beside production's own.

    Raises:
        ProfileError: the sentence says what one does instead.
    """
    profile = os.environ.get("BATON_PROFILE") or "embedded"
    if profile not in PROFILES:
        # The sentence that names those that there are.
        resources_for(profile)
    if profile != "embedded":
        raise ProfileError(
            f"Expected the embedded profile, to which `make {command}` belongs, and BATON_PROFILE is {profile!r}. "
            f"{IN_PRODUCTION[command]} For the embedded profile: env -u BATON_PROFILE make {command}"
        )


def folder_given(text: str, name: str) -> Path:
    """Return the absolute path of a folder that was given as the variable `name` of a command.

    Raises:
        BackupError: none was given.
    """
    if not text:
        raise BackupError(f"Expected {name} to name a folder, and it is empty. For example: {name}=backups/2024-09-02.")
    return Path(text).expanduser().absolute()


@contextlib.contextmanager
def instance(*, answering: bool = True, sole: bool = True) -> Iterator[dg.DagsterInstance]:
    """Open the Dagster instance under `BATON_HOME`, made ready for use; `answering`: see `claim_home`.

    `sole`: for what writes to the home; it waits until no other command and no run of a daemon does.
    """
    folder = prepare_home(answering=answering)
    with (
        alone(folder.parent) if sole else contextlib.nullcontext(),
        dg.DagsterInstance.from_config(str(folder)) as opened,
    ):
        reap(opened)
        if sole:
            wait_for_daemon(opened)
        yield opened


@contextlib.contextmanager
def alone_in_home() -> Iterator[None]:
    """Let nothing else write to the home meanwhile, for what changes it without a run; see `instance`.

    In production there is none to hold: each table changes in one statement, and the queue is the instance's own.
    """
    embedded = (os.environ.get("BATON_PROFILE") or "embedded") == "embedded"
    with instance(answering=False) if embedded else contextlib.nullcontext():
        yield


def prepare_home(*, answering: bool = True) -> Path:
    """Claim the home, write the instance's configuration to its `dagster`; return that and set DAGSTER_HOME."""
    claimed = claim_home(answering=answering)
    folder = claimed / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    configured = folder / "dagster.yaml"
    wanted = ROOT / "deploy" / "embedded" / "dagster.yaml"
    if not configured.exists() or configured.read_bytes() != wanted.read_bytes():
        shutil.copyfile(wanted, configured)
    os.environ["BATON_HOME"] = str(claimed)
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder


def reap(
    opened: dg.DagsterInstance,
    *,
    without_daemon: bool = False,
    everyone: bool = False,
    only: Collection[str] | None = None,
) -> list[str]:
    """Fail the runs whose process is gone, and return their ids.

    A run whose process tree was killed stays "started" for ever and would hold the only run slot, or "not started" if
    that was before its first event. Runs of a command carry its process id; the daemon's runs do not, so those are
    judged only by a caller that knows that no daemon is there (`without_daemon`), and not before they have begun.
    `everyone`: no run can be going on in this home. `only`: of these runs alone.
    """
    dead = []
    for record in opened.get_run_records(dg.RunsFilter(statuses=[*UNFINISHED, dg.DagsterRunStatus.NOT_STARTED])):
        run = record.dagster_run
        pid = run.tags[PID_TAG] if is_of_command(run) else None
        if only is not None and run.run_id not in only:
            continue
        if pid is None and run.status is dg.DagsterRunStatus.NOT_STARTED:
            continue
        gone = without_daemon if pid is None else not _alive(int(pid), run.tags.get(BEGAN_TAG, ""))
        if gone or everyone:
            opened.report_run_failed(run, "The process that executed this run is gone; it was found dead at start-up.")
            dead.append(run.run_id)
    return dead


def _process_tags(run_id: str) -> dict[str, str]:
    """Return the tags of a run that this process executes.

    The daemon tries a run whose process was killed once more; a command is for whoever gave it to try again.
    """
    return {
        PID_TAG: str(os.getpid()),
        BEGAN_TAG: _began(os.getpid()) or "",
        RUN_TAG: run_id,
        MAX_RETRIES_TAG: "0",
    }


def _alive(pid: int, began: str) -> bool:
    """Tell whether the process that began then (empty: unknown) still runs."""
    found = _began(pid)
    return found is not None and (not found or not began or found == began)


def _began(pid: int) -> str | None:
    """Return when a process began, in ticks since the machine did; empty where that is not told, None if it is gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        # It is there and belongs to somebody else.
        pass
    try:
        about = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The name, in parentheses, may hold anything; after it come the state and, 19 fields on, the start.
    state, *rest = about.rpartition(")")[2].split()
    # A killed process that its parent did not ask for yet has an id and nothing else.
    return None if state in ("Z", "X") else rest[18]


UNSAID = ("Dependencies for step", "A dbt subsetted execution")
"""Messages of Dagster and dagster-dbt that tell a person nothing; what failed first is said once, at the end."""


class Spoken:
    """What the terminal was told last, and when; after `silence` seconds a person is told which step is at work."""

    def __init__(self, silence: float = 5.0) -> None:
        self.silence = silence
        self.started = self.last = self.step_began = time.monotonic()
        self.step = ""
        self._ended = threading.Event()

    def line(self, text: str) -> None:
        """Print a line after the seconds since the start."""
        self.last = time.monotonic()
        print(f"{self.last - self.started:6.1f} s  {text}", flush=True)

    @contextlib.contextmanager
    def never_silent(self) -> Iterator[None]:
        """Say which step is at work whenever nothing else was said for that long."""
        self._ended.clear()
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(min(0.5, self.silence)):
            if self.step and time.monotonic() - self.last >= self.silence:
                self.line(f"  … {self.step}, {time.monotonic() - self.step_began:.0f} s so far")


_spoken = Spoken()


def load_definitions() -> dg.Definitions:
    """Return the company's definitions with progress on the terminal; their SQL is read first, if it changed."""
    _spoken.line("loading the company, its tables and models")
    from definitions import build_definitions

    return build_definitions(loggers={"console": progress_logger})


class _Progress(logging.Handler):
    """Prints what a person wants to follow: assets made, checks failed, and what an asset says of its work."""

    def emit(self, record: logging.LogRecord) -> None:
        meta: Mapping[str, Any] = getattr(record, "dagster_meta", {})
        event = meta.get("dagster_event")
        text = str(meta.get("orig_message", record.getMessage()))
        line = _line(event) if event is not None else f"  {text}"
        if event is not None and event.event_type_value == "STEP_START":
            _spoken.step, _spoken.step_began = event.step_key, time.monotonic()
        if line and not text.startswith(UNSAID) and (event is not None or record.levelno >= logging.INFO):
            _spoken.line(line)


def _line(event: dg.DagsterEvent) -> str | None:
    kind = event.event_type_value
    if kind == "STEP_START":
        return f"▸ {event.step_key}"
    if kind == "ASSET_MATERIALIZATION" and event.asset_key:
        metadata = event.step_materialization_data.materialization.metadata
        rows = metadata.get("dagster/row_count")
        return f"  ✓ {event.asset_key.to_user_string()}" + (f"  {rows.value:,} rows" if rows else "")
    if kind == "ASSET_CHECK_EVALUATION":
        check = event.asset_check_evaluation_data
        if not check.passed:
            return (
                f"  ✗ check {check.check_name} on {check.asset_key.to_user_string()}: {check.description or 'failed'}"
            )
    return None


@dg.logger(
    {"log_level": dg.Field(str, default_value="DEBUG", is_required=False)},
    description="Progress for a person at a terminal.",
)
def progress_logger(context: dg.InitLoggerContext) -> logging.Logger:
    """Return a logger that prints one line a thing done."""
    logger = logging.Logger("baton.progress", level=context.logger_config["log_level"])
    logger.addHandler(_Progress())
    return logger


def quiet() -> None:
    """Keep libraries' own chatter off the terminal; errors still come through."""
    for name in ("mlflow", "alembic", "mlflow.store.db.utils", "dagster.code_server", "dbt", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # dagster-airbyte's workspace is marked beta; the lock pins it, and the graph's snapshot watches it.
    warnings.filterwarnings("ignore", category=dg.BetaWarning)


def execute(
    opened: dg.DagsterInstance,
    definitions: dg.Definitions,
    job: str,
    *,
    run_config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    console: str = "DEBUG",
) -> dg.JobExecutionResult:
    """Run one job in this process; the web UI shows the run and its events like any other's.

    `console` is the least level that the terminal shows.
    """
    run_id = str(uuid.uuid4())
    with _spoken.never_silent() if console == "DEBUG" else contextlib.nullcontext():
        return run_here(
            opened,
            definitions.resolve_job_def(job),
            run_id=run_id,
            run_config={**(run_config or {}), "loggers": {"console": {"config": {"log_level": console}}}},
            tags={**_process_tags(run_id), **(tags or {})},
        )


def first_failure(result: dg.JobExecutionResult | dg.ExecuteInProcessResult) -> str:
    """Say in a sentence what failed first in a run."""
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            return f"{event.step_key} failed: {sentence_of(error) if error else 'no reason was given'}"
    for event in result.all_events:
        if event.event_type_value == "PIPELINE_FAILURE":
            return event.message or "the run failed"
    return "the run failed without a recorded reason"
