"""Webserver, daemon and code location as processes of their own on a real Postgres, each killed and started again."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import duckdb
import pytest
from proxying import PEOPLE, proxying
from support.processes import end_group

from resources.profiles import ROOT
from tools.postgres import free_port, serving
from tools.sample import write_connections

pytestmark = pytest.mark.slow(minutes=3)

RUN_ENDED = ("SUCCESS", "FAILURE", "CANCELED")
LAUNCH = """mutation ($job: String!) { launchRun(executionParams: {mode: "default", selector: {
  repositoryLocationName: "baton", repositoryName: "__repository__", jobName: $job}})
  { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on UnauthorizedError { message } } }"""


class Deployment:
    """The processes of deploy/compose, without containers: the same commands, configuration and variables."""

    def __init__(self, folder: Path, source: Path, database: dict[str, str]):
        self.folder, self.started, self.logs = folder, {}, folder / "logs"
        self.logs.mkdir()
        write_connections(folder / "connections.json", source)
        home = folder / "dagster"
        home.mkdir()
        shutil.copyfile(ROOT / "deploy" / "compose" / "dagster.yaml", home / "dagster.yaml")
        self.ports = {name: free_port() for name in ("code", "webserver", "viewer")}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BATON_")},
            **database,
            "BATON_HOME": str(folder),
            "BATON_CONNECTIONS": str(folder / "connections.json"),
            "BATON_COMPUTE_LOGS": str(folder / "compute_logs"),
            "BATON_CODE_HOST": "127.0.0.1",
            "BATON_CODE_PORT": str(self.ports["code"]),
            "DAGSTER_HOME": str(home),
        }

    def start(self, name: str) -> None:
        """Start one process by the command that the compose file gives it."""
        tools = Path(sys.executable).parent
        workspace = ["--workspace", "deploy/compose/workspace.yaml"]
        web = [tools / "dagster-webserver", "--host", "127.0.0.1", "--port", str(self.ports.get(name, 0)), *workspace]
        command = {
            "code": [sys.executable, "-m", "commands.serve", "--port", str(self.ports["code"])],
            "daemon": [tools / "dagster-daemon", "run", *workspace],
            "webserver": web,
            "viewer": [*web, "--read-only"],
        }[name]
        with (self.logs / f"{name}.log").open("ab") as log:
            self.started[name] = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """Kill a process and all that it started."""
        end_group(self.started.pop(name))

    def end(self) -> None:
        for name in list(self.started):
            self.kill(name)

    def ask(self, query: str, server: str = "webserver", **variables):
        """Ask a webserver's GraphQL interface."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports[server]}/graphql",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())["data"]

    def wait(self, what: str, condition, seconds: float = 240):
        """Wait for what `condition` returns once it is true; a process that is not up yet is waited for."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                found = condition()
            except (OSError, urllib.error.URLError, TypeError, KeyError):
                found = None
            if found:
                return found
            time.sleep(0.5)
        tails = "\n".join(f"--- {one.name}\n{one.read_text(errors='replace')[-1500:]}" for one in self.logs.glob("*"))
        raise AssertionError(f"{what} did not come within {seconds:.0f} s\n{tails}")

    def location(self) -> str:
        """What the webserver says of the code location."""
        entries = self.ask(
            "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"
        )
        return entries["workspaceOrError"]["locationEntries"][0]["locationOrLoadError"]["__typename"]

    def runs(self) -> list[dict]:
        """All runs, oldest first."""
        return self.ask("{ runsOrError { ... on Runs { results { runId status parentRunId jobName } } } }")[
            "runsOrError"
        ]["results"][::-1]

    def launch(self, job: str, server: str = "webserver"):
        """Ask for a run; return its id, or what was answered instead."""
        answer = self.ask(LAUNCH, server, job=job)["launchRun"]
        return answer["run"]["runId"] if answer["__typename"] == "LaunchRunSuccess" else answer["__typename"]

    def tries(self, run_id: str, status: str) -> list[str]:
        """The runs that try a run again, if all of them are in this state."""
        tries = [one for one in self.runs() if one["parentRunId"] == run_id]
        return [one["runId"] for one in tries] if all(one["status"] == status for one in tries) else []

    def status(self, run_id: str) -> str:
        [run] = [one for one in self.runs() if one["runId"] == run_id]
        return run["status"]


@pytest.fixture
def deployment(tmp_path, small_source):
    with serving() as database:
        made = Deployment(tmp_path, small_source, database.variables)
        try:
            made.start("code")
            made.start("webserver")
            yield made
        finally:
            made.end()


def test_a_run_is_tried_again_when_its_executor_dies_and_outlives_everybody_else(deployment):
    deployment.wait("the code location", lambda: deployment.location() == "RepositoryLocation")
    # The source was never read, so the arrivals sensor asks for a run.
    deployment.start("daemon")
    [first] = deployment.wait(
        "the run's start", lambda: [one["runId"] for one in deployment.runs() if one["status"] == "STARTED"]
    )

    # This executes it: its successor fails the run, and the daemon tries once more.
    deployment.kill("code")
    deployment.start("code")
    [again] = deployment.wait("the second try's start", lambda: deployment.tries(first, "STARTED"))
    assert deployment.status(first) == "FAILURE"

    # These do not.
    deployment.kill("daemon")
    deployment.kill("webserver")
    deployment.start("webserver")
    deployment.wait("the second try's end", lambda: deployment.status(again) in RUN_ENDED)
    assert deployment.tries(first, "SUCCESS") == [again]
    assert len(deployment.runs()) == 2
    with duckdb.connect(str(deployment.folder / "warehouse.duckdb"), read_only=True) as connection:
        [[customers]] = connection.execute("select count(distinct customer_id) from features.feature_frame").fetchall()
    assert customers > 200


def test_the_proxy_asks_who_comes_and_viewers_change_nothing(deployment, tmp_path):
    deployment.start("viewer")
    addresses = [
        f"map $host ${name} {{ default 127.0.0.1:{deployment.ports[name]}; }}" for name in ("webserver", "viewer")
    ]
    editor, viewer = PEOPLE["editors"], PEOPLE["viewers"]
    launch = {"query": LAUNCH, "variables": {"job": "ingest_and_build"}}
    with proxying(tmp_path / "proxy", "\n".join([*addresses, "access_log logs/access.log people;"])) as proxy:

        def asked(door: str, who: str, question: dict) -> tuple[int, str]:
            return proxy.ask(door, who, "/graphql", question)

        def launched(door: str, who: str) -> str:
            return json.loads(asked(door, who, launch)[1])["data"]["launchRun"]["__typename"]

        version = {"query": "{ version }"}
        deployment.wait(
            "both webservers",
            lambda: asked("editors", editor, version)[0] == asked("viewers", viewer, version)[0] == 200,
        )
        deployment.wait("the code location", lambda: deployment.location() == "RepositoryLocation")
        for door, stranger in (("editors", ""), ("editors", viewer), ("viewers", ""), ("viewers", "vic:wrong")):
            assert asked(door, stranger, version)[0] == 401, (door, stranger)
        assert launched("viewers", viewer) == "UnauthorizedError"
        assert deployment.runs() == []
        assert launched("editors", editor) == "LaunchRunSuccess"
        assert len(deployment.runs()) == 1
