"""dbt, run in this process: the manifest that the graph is made of, and the command that builds it.

dagster-dbt's own resource starts `dbt` as a subprocess, which costs seconds an invocation. dbt's programmatic
interface does the same work in a warm process; its structured events are the same, so dagster-dbt still translates
them into materialisations and check results.
"""

import fcntl
import hashlib
import json
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr

from resources.company import company
from resources.company.choice import chosen, folder_of
from resources.company.dbt_project import made_of, prepare, variables
from resources.company.reading import Dialect
from resources.environment import variables as environment_of
from resources.folders import FULL_IN_WORDS, make_private, to_disk, write_whole
from resources.interrupts import interrupts_noted
from resources.labels import run_labels
from resources.secrets import masked
from resources.warehouse import DAMAGE, open_duckdb

EMBEDDED = "embedded"
"""The target on DuckDB."""

CHARGES = ("bytes_processed", "bytes_billed", "slot_ms")
"""What BigQuery says about each node that it built."""

WRITES = {"parse", "compile", "docs"}
"""Commands whose files are what they are called for."""

OPENS = {"build", "run", "docs"}
"""Commands that open the warehouse."""

SECONDS_BETWEEN_CANCELS = 0.2
"""Until the queries of a build that was stopped have ended."""

SOURCE_SUFFIXES = {".sql", ".yml", ".yaml", ".csv", ".md"}

WHAT_TO_DO = {
    r"certificate verify failed|SSLError": (
        "The certificate that came is not trusted: behind a proxy that opens encrypted traffic, name its certificate "
        "authority's file in REQUESTS_CA_BUNDLE; otherwise look at who answers."
    ),
    r"Expecting value: line \d|JSONDecodeError|<html|^'\w+'$": (
        "That is no answer of BigQuery's: is a proxy or another program answering in its place?"
    ),
    r"access token|credentials|invalid_grant|reauthenticat": (
        "Make new credentials: attach a service account, set GOOGLE_APPLICATION_CREDENTIALS to the path of a key file, "
        "or run `gcloud auth application-default login`."
    ),
    r"Max retries exceeded|Connection(Error| refused| reset| aborted)|timed out|Name or service not known": (
        "BigQuery could not be reached: look at the network, and run again."
    ),
    r"bytes billed": (
        "If so much is meant to be scanned, raise BATON_BIGQUERY_MAX_BYTES; if not, look at what is scanned."
    ),
    r"quota exceeded|exceeded quota|rate limit": (
        "Wait until the quota is renewed, or ask for more on the project's quota page."
    ),
    r"billing has not been enabled|enable billing": "Link a billing account to the project.",
    r"access denied|permission \S+ denied|does not have \S+ (permission|access)": (
        "Give the account roles/bigquery.jobUser and roles/bigquery.readSessionUser on the project and "
        "roles/bigquery.dataEditor on the datasets."
    ),
    r"concurrent update|could not serialize|transaction is aborted": (
        "Another job changed the table at the same time: let it end, and run again."
    ),
    r"not found: (dataset|table|project)|different (locations|regions)|in (location|region) \S+$": (
        "Either what makes it has not run yet, or it is in another project or location, and a dataset cannot move: "
        "then correct BATON_BIGQUERY_PROJECT or BATON_BIGQUERY_LOCATION."
    ),
    r"table with name \S+ does not exist": "What makes it has not run yet: run that first.",
    r"could not set lock": "Another program has the warehouse open: let it end or close it, and run again.",
    r"out of memory": "Raise BATON_DUCKDB_MEMORY, or lower `lines_at_once`.",
    FULL_IN_WORDS: "Make room on the disk, and run again.",
    "|".join(DAMAGE): (
        "The warehouse is damaged: move the home away and bring it back by `make restore FROM=<folder>`. Without a "
        "backup move the warehouse's file away, and run `make run`."
    ),
}
"""By what the engine's text says: what a person can do about it."""


_parsed: dict[str, Any] = {}
"""dbt's manifest of the project with this digest, from its parsing until this process compiles it: once, since a
compilation leaves its traces in it."""


class DbtError(RuntimeError):
    """dbt could not do its work; the message says which node and why, `events` what it did before."""

    def __init__(self, message: str, events: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.events = list(events)


def variables_of(project: Path) -> dict[str, Any]:
    """Return the variables of the dbt_project.yml in a folder."""
    import yaml  # type: ignore[import-untyped]

    return dict(yaml.safe_load((project / "dbt_project.yml").read_text(encoding="utf-8"))["vars"])


class DbtRunner(dg.ConfigurableResource[None]):
    """Runs dbt commands on one project against one warehouse.

    Without a `project_dir` the project is that of this process's company, written to `state_dir` when it is needed.
    `state_dir` holds the compiled target and the logs of that warehouse, `target` is its name in profiles.yml, and
    `warehouse_path` the DuckDB file that `embedded` reads from the environment. `variables_of_target` is what another
    target reads from there. `wait_seconds` is how long a build waits for a program that holds the DuckDB file.
    """

    project_dir: str = ""
    state_dir: str
    warehouse_path: str = ""
    target: str = EMBEDDED
    variables_of_target: Mapping[str, str] = Field(default_factory=dict)
    wait_seconds: float = 60.0

    _charged: dict[str, dict[str, int]] = PrivateAttr(default_factory=dict)

    def project(self) -> Path:
        """Return the folder of the project; a company's is made anew if a file that it is made of changed.

        Raises:
            CompanyError: the company's file cannot be read, or it has no staging.
        """
        if self.project_dir:
            return Path(self.project_dir)
        dialect: Dialect = "duckdb" if self.target == EMBEDDED else "bigquery"
        return prepare(company(), folder_of(chosen()), Path(self.state_dir) / "project", dialect=dialect)

    @property
    def manifest_path(self) -> Path:
        """The manifest that the graph is made of."""
        return Path(self.state_dir) / "target" / "manifest.json"

    def variables(self) -> dict[str, Any]:
        """Return what the project is told about the company."""
        return variables_of(Path(self.project_dir)) if self.project_dir else variables(company())

    def entity_columns(self) -> list[str]:
        """Return what the entity's identifier is called: in the models, and in the raw tables of the source."""
        settings = self.variables()
        return [f"{settings['entity']}_id", str(settings["raw_entity_column"])]

    def ensure_manifest(self) -> Path:
        """Parse the project if its files changed since the manifest was made; return the manifest's path.

        A content hash decides, not a time stamp: a fresh clone has new time stamps, an edit within a second has not.
        The lock keeps the web server, the daemon and a command line from parsing into the same folder at once.

        Raises:
            DbtError: the project does not parse.
        """
        state = make_private(Path(self.state_dir))
        stamp = state / "manifest.sha256"
        digest = self.digest()
        if _is_made(self.manifest_path, stamp, digest):
            return self.manifest_path
        with (state / "parse.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_made(self.manifest_path, stamp, digest):
                parsed, _ = self._invoked(["parse"])
                _parsed.clear()
                if self.target == EMBEDDED:
                    _parsed[digest] = parsed
                to_disk(self.manifest_path)
                write_whole(stamp, _stamp(self.manifest_path, digest))
        return self.manifest_path

    def ensure_compiled(self, *, for_warehouse: bool = False) -> Path:
        """Compile every model as for a first build, if the project changed; return that manifest's path.

        It has a target folder of its own, so that `manifest_path` stays what the graph was made of, and is compiled
        for DuckDB, against an empty database in memory called `memory`: no warehouse is opened, and no incremental
        model asks what its table holds already. `for_warehouse`: in the SQL of this runner's own target instead, which
        is asked which tables there are.

        Raises:
            DbtError: the project does not compile.
        """
        state = make_private(Path(self.state_dir))
        there = for_warehouse and self.target != EMBEDDED
        folder = "compiled_for_warehouse" if there else "compiled"
        target = state / folder
        manifest, stamp, digest = target / "manifest.json", state / f"{folder}.sha256", self.digest()
        if _is_made(manifest, stamp, digest):
            return manifest
        with (state / "parse.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_made(manifest, stamp, digest):
                compiled = ["compile", "--full-refresh", "--no-populate-cache", "--select", "resource_type:model"]
                if there:
                    self.invoke(compiled, {}, target=target)
                else:
                    parsed = _parsed.pop(digest, None)
                    if parsed is not None:
                        _name_database(parsed, Path(self.warehouse_path).name.partition(".")[0], "memory")
                    settings = {"BATON_WAREHOUSE": ":memory:", "BATON_DBT_TARGET": EMBEDDED}
                    self._invoked(compiled, settings, target=target, parsed=parsed)
                # There only where dbt had to parse: a home does not depend on which process compiled in it.
                (target / "partial_parse.msgpack").unlink(missing_ok=True)
                to_disk(manifest)
                write_whole(stamp, _stamp(manifest, digest))
        return manifest

    def invoke(
        self, args: Sequence[str], environment: Mapping[str, str] | None = None, target: Path | None = None
    ) -> list[dict[str, Any]]:
        """Run one dbt command in this process and return its structured events, oldest first.

        `target` is the folder that dbt writes to, if not the project's usual one.

        Raises:
            DbtError: dbt reports an error or a failed node.
            WarehouseBusyError: another process holds the DuckDB file that is to be built in.
            KeyboardInterrupt, DagsterExecutionInterruptedError: somebody stopped it; dbt itself would report a failure.
        """
        _, events = self._invoked(args, environment, target)
        return events

    def _invoked(
        self,
        args: Sequence[str],
        environment: Mapping[str, str] | None = None,
        target: Path | None = None,
        parsed: Any = None,
    ) -> tuple[Any, list[dict[str, Any]]]:
        """Run one dbt command; return its result and events. `parsed`: dbt's manifest, which it then does not make."""
        from dbt.cli.main import dbtRunner
        from google.protobuf.json_format import MessageToDict

        events: list[dict[str, Any]] = []
        wanted = {"LogModelResult", "LogTestResult", "LogSeedResult", "LogSnapshotResult", "LogUnitTestResult"}

        def keep(message: Any) -> None:
            if message.info.name == "MainReportVersion":  # the first of all; the loggers are made by then
                _mask_logs()
            if message.info.name in wanted:
                events.append(MessageToDict(message, preserving_proto_field_name=True))

        state, project = Path(self.state_dir), str(self.project())
        command = [
            *args,
            "--quiet",
            "--project-dir",
            project,
            "--profiles-dir",
            project,
            "--target-path",
            str(target or state / "target"),
            "--log-path",
            str(state / "logs"),
            # The manifest on disk is what the graph was made of; writing it again each time costs a second, for nobody.
            "--write-json" if args[0] in WRITES else "--no-write-json",
        ]
        settings = {
            "BATON_DBT_TARGET": self.target,
            "BATON_JOB_LABELS": json.dumps(run_labels()),
            "BATON_WAREHOUSE": self.warehouse_path,
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            **self.variables_of_target,
            **(environment or {}),
        }
        if args[0] in OPENS and self.warehouse_path and Path(self.warehouse_path).is_file():
            # dbt itself tries a few times only, and tells who holds the file once for each model.
            with open_duckdb(self.warehouse_path, wait_seconds=self.wait_seconds):
                pass
        # `env_var()` keeps dbt's partial parsing alive, `--vars` does not.
        with environment_of(settings), interrupts_noted() as interrupts, _no_query_outlives(interrupts):
            try:
                result = dbtRunner(manifest=parsed, callbacks=[keep]).invoke(command)
            finally:
                _release_duckdb()
        self._note_charges(result)
        if not result.success:
            raise DbtError(_explain(args, result, state / "logs" / "dbt.log"), events)
        return result.result, events

    def costs(self) -> dict[str, dict[str, int]]:
        """Return what building each node (by its unique id) was charged since the last call, as metadata."""
        charged = dict(self._charged)
        self._charged.clear()
        return charged

    def _note_charges(self, result: Any) -> None:
        for node in getattr(result.result, "results", None) or []:
            answer = getattr(node, "adapter_response", None) or {}
            found = {f"bigquery/{name}": int(answer[name]) for name in CHARGES if answer.get(name) is not None}
            if found:
                self._charged[node.node.unique_id] = found

    def digest(self) -> str:
        """Return a hash of the project's files: equal digits, equal SQL."""
        root = self.project()
        if not self.project_dir:
            return made_of(root)  # of all its files: counted when it was prepared
        digest = hashlib.sha256()
        for file in sorted(root.rglob("*")):
            if file.suffix in SOURCE_SUFFIXES and file.is_file():
                digest.update(str(file.relative_to(root)).encode())
                digest.update(file.read_bytes())
        return digest.hexdigest()


def _name_database(parsed: Any, before: str, name: str) -> None:
    """Move what was parsed for the database `before` to another, as if it had been parsed for that."""
    for node in (*parsed.nodes.values(), *parsed.sources.values()):
        if node.database == before:
            node.database = name
            if node.relation_name:
                node.relation_name = node.relation_name.replace(f'"{before}".', f'"{name}".', 1)


def _stamp(manifest: Path, digest: str) -> str:
    """Return what says that a manifest was made of a project's files (`digest`), and is whole."""
    return f"{digest} {hashlib.sha256(manifest.read_bytes()).hexdigest()}"


def _is_made(manifest: Path, stamp: Path, digest: str) -> bool:
    return manifest.is_file() and stamp.is_file() and stamp.read_text() == _stamp(manifest, digest)


@contextmanager
def _no_query_outlives(interrupts: Sequence[BaseException]) -> Iterator[None]:
    """Cancel DuckDB's queries again and again once there is an interrupt, until dbt is done.

    dbt cancels once, and waits for its threads: a query that one of them begins a moment later would run to its end.
    """
    done = threading.Event()

    def cancel() -> None:
        from dbt.adapters.factory import FACTORY

        while not done.wait(SECONDS_BETWEEN_CANCELS):
            if interrupts and (adapter := FACTORY.adapters.get("duckdb")) is not None:
                with suppress(Exception):  # one that has been closed in the meantime has no query either
                    adapter.connections.cancel_open()

    watch = threading.Thread(target=cancel, daemon=True)
    watch.start()
    try:
        yield
    finally:
        done.set()
        watch.join()


def _release_duckdb() -> None:
    """Close the connection that dbt-duckdb keeps for the life of the process: DuckDB locks a file per process."""
    module = sys.modules.get("dbt.adapters.duckdb.connections")
    if module is not None and module.DuckDBConnectionManager._ENV is not None:
        module.DuckDBConnectionManager._ENV.close()
        module.DuckDBConnectionManager._ENV = None


def _mask_logs() -> None:
    """Let dbt write neither to its log nor to the screen what looks like a secret; by itself it hides its own only."""
    from dbt_common.events.event_manager_client import get_event_manager
    from dbt_common.events.functions import env_scrubber

    for logger in get_event_manager().loggers:
        logger.scrubber = lambda text: masked(env_scrubber(text))


def _explain(args: Sequence[str], result: Any, log: Path) -> str:
    """Say in sentences what was expected, which nodes failed and why, and what to do; no secret is repeated."""
    if result.exception is not None:
        why = _short_message(str(result.exception))
        sentences = [f"Expected `dbt {args[0]}` to go through, but: {why}", _what_to_do(why)]
    else:
        failed = [
            (node, _short_message(node.message or "no message"))
            for node in getattr(result.result, "results", [])
            if str(node.status) in {"error", "fail", "runtime error"}
        ]
        sentences = [f"`dbt {args[0]}`: {len(failed)} node(s) failed."]
        sentences += [f"{_expected(node)}, but: {why}" for node, why in failed[:10]]
        if any(node.node.resource_type == "model" for node, _ in failed):
            sentences.append("A model that failed keeps the table that it had; what reads it was not built.")
        # Many nodes often fail for one reason.
        sentences += dict.fromkeys(_what_to_do(why) or _mend(node) for node, why in failed)
    return " ".join([*filter(None, sentences), f"All that dbt said is in {log}."])


def _expected(result: Any) -> str:
    """Say what the node was to do."""
    node = result.node
    if node.resource_type == "model":
        return f"Expected the model {node.schema}.{node.name} ({node.original_file_path}) to be built"
    if node.resource_type == "test":
        return f"Expected the test {node.name} ({node.compiled_path}) to find nothing"
    return f"Expected the {str(node.resource_type).replace('_', ' ')} {node.name} to pass"


def _what_to_do(text: str) -> str:
    """Return the sentence of WHAT_TO_DO; empty if there is none."""
    return next((remedy for sign, remedy in WHAT_TO_DO.items() if re.search(sign, text.rstrip("."), re.IGNORECASE)), "")


def _mend(result: Any) -> str:
    """Say what to do where the reason is the project's own."""
    if result.node.resource_type == "test" and str(result.status) == "fail":
        return "Look at the rows that a test finds, and mend what made them."
    return "Correct the SQL or what it reads, and run again."


def _short_message(message: str, most: int = 400) -> str:
    """Return what a person reads of dbt's message: without its headings, and without anything that looks like a secret.

    Of what a database said it is the first line: the others may be pages of HTML, or every candidate function.
    """
    lines = [line.strip() for line in masked(message).splitlines() if line.strip()]
    text = [line for line in lines if not re.fullmatch(r"\w+ Error( in (model|test|unit_test) .*)?", line)]
    if lines[:1] and lines[0].startswith("Database Error") and lines[1:2] == text[:1]:
        text = text[:1]
    one = re.sub(r"^(?:\d{3} )?(?:GET|POST|PUT|PATCH|DELETE) \S+: ", "", " ".join(text) or "no message")
    return (one if len(one) <= most else one[:most] + " …").rstrip(".") + "."
