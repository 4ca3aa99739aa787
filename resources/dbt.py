"""dbt, run in this process: the manifest that the graph is made of, and the command that builds it.

dagster-dbt's own resource starts `dbt` as a subprocess, which costs seconds an invocation. dbt's programmatic
interface does the same work in a warm process; its structured events are the same, so dagster-dbt still translates
them into materialisations and check results.
"""

import fcntl
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr

from resources.environment import variables
from resources.labels import run_labels

EMBEDDED = "embedded"
"""The target on DuckDB."""

CHARGES = ("bytes_processed", "bytes_billed", "slot_ms")
"""What BigQuery says about each node that it built."""

WRITES = {"parse", "compile"}
"""Commands whose files are what they are called for."""

SOURCE_SUFFIXES = {".sql", ".yml", ".yaml", ".csv", ".md"}


class DbtError(RuntimeError):
    """dbt could not do its work; the message says which node and why, `events` what it did before."""

    def __init__(self, message: str, events: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.events = list(events)


class DbtRunner(dg.ConfigurableResource):
    """Runs dbt commands on one project against one warehouse.

    `state_dir` holds the compiled target and the logs of that warehouse, `target` is its name in profiles.yml, and
    `warehouse_path` the DuckDB file that `embedded` reads from the environment. `variables_of_target` is what another
    target reads from there.
    """

    project_dir: str
    state_dir: str
    warehouse_path: str = ""
    target: str = EMBEDDED
    variables_of_target: Mapping[str, str] = Field(default_factory=dict)

    _charged: dict[str, dict[str, int]] = PrivateAttr(default_factory=dict)

    @property
    def manifest_path(self) -> Path:
        """The manifest that the graph is made of."""
        return Path(self.state_dir) / "target" / "manifest.json"

    def variables(self) -> dict[str, Any]:
        """Return the variables of dbt_project.yml: what the project is told about its source."""
        import yaml  # type: ignore[import-untyped]

        return dict(yaml.safe_load((Path(self.project_dir) / "dbt_project.yml").read_text(encoding="utf-8"))["vars"])

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
        state = Path(self.state_dir)
        state.mkdir(parents=True, exist_ok=True)
        stamp = state / "manifest.sha256"
        digest = self.digest()
        if self.manifest_path.exists() and stamp.exists() and stamp.read_text() == digest:
            return self.manifest_path
        with (state / "parse.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (self.manifest_path.exists() and stamp.exists() and stamp.read_text() == digest):
                self.invoke(["parse"])
                stamp.write_text(digest)
        return self.manifest_path

    def ensure_compiled(self) -> Path:
        """Compile every model as for a first build, if the project changed; return that manifest's path.

        It has a target folder of its own, so that `manifest_path` stays what the graph was made of, and is compiled
        for DuckDB, against an empty database in memory called `memory`: no warehouse is opened, and no incremental
        model asks what its table holds already.

        Raises:
            DbtError: the project does not compile.
        """
        state = Path(self.state_dir)
        state.mkdir(parents=True, exist_ok=True)
        target = state / "compiled"
        manifest, stamp, digest = target / "manifest.json", state / "compiled.sha256", self.digest()
        if manifest.exists() and stamp.exists() and stamp.read_text() == digest:
            return manifest
        with (state / "parse.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (manifest.exists() and stamp.exists() and stamp.read_text() == digest):
                compiled = ["compile", "--full-refresh", "--no-populate-cache", "--select", "resource_type:model"]
                self.invoke(compiled, {"BATON_WAREHOUSE": ":memory:", "BATON_DBT_TARGET": EMBEDDED}, target=target)
                stamp.write_text(digest)
        return manifest

    def invoke(
        self, args: Sequence[str], environment: Mapping[str, str] | None = None, target: Path | None = None
    ) -> list[dict[str, Any]]:
        """Run one dbt command in this process and return its structured events, oldest first.

        `target` is the folder that dbt writes to, if not the project's usual one.

        Raises:
            DbtError: dbt reports an error or a failed node.
        """
        from dbt.cli.main import dbtRunner
        from google.protobuf.json_format import MessageToDict

        events: list[dict[str, Any]] = []
        wanted = {"LogModelResult", "LogTestResult", "LogSeedResult", "LogSnapshotResult", "LogUnitTestResult"}

        def keep(message: Any) -> None:
            if message.info.name in wanted:
                events.append(MessageToDict(message, preserving_proto_field_name=True))

        state = Path(self.state_dir)
        command = [
            *args,
            "--quiet",
            "--project-dir",
            self.project_dir,
            "--profiles-dir",
            self.project_dir,
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
        # `env_var()` keeps dbt's partial parsing alive, `--vars` does not.
        with variables(settings):
            try:
                result = dbtRunner(callbacks=[keep]).invoke(command)
            finally:
                _release_duckdb()
        self._note_charges(result)
        if not result.success:
            raise DbtError(_explain(args, result), events)
        return events

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
        root = Path(self.project_dir)
        digest = hashlib.sha256()
        for file in sorted(root.rglob("*")):
            if file.suffix in SOURCE_SUFFIXES and file.is_file():
                digest.update(str(file.relative_to(root)).encode())
                digest.update(file.read_bytes())
        return digest.hexdigest()


def _release_duckdb() -> None:
    """Close the connection that dbt-duckdb keeps for the life of the process: DuckDB locks a file per process."""
    module = sys.modules.get("dbt.adapters.duckdb.connections")
    if module is not None and module.DuckDBConnectionManager._ENV is not None:
        module.DuckDBConnectionManager._ENV.close()
        module.DuckDBConnectionManager._ENV = None


def _explain(args: Sequence[str], result: Any) -> str:
    """Say in a sentence which nodes failed and why."""
    if result.exception is not None:
        return f"`dbt {args[0]}` could not run: {str(result.exception).strip()}"
    failed = [
        node for node in getattr(result.result, "results", []) if str(node.status) in {"error", "fail", "runtime error"}
    ]
    lines = [f"{node.node.name} ({node.status}): {_short(node.message)}" for node in failed[:10]]
    return f"`dbt {args[0]}`: {len(failed)} node(s) failed. " + " | ".join(lines)


def _short(message: str | None, most: int = 400) -> str:
    """Cut a message to what a person reads; DuckDB lists every candidate function in its own."""
    text = " ".join((message or "no message").split("Candidate functions")[0].split())
    return text if len(text) <= most else text[:most] + " …"
