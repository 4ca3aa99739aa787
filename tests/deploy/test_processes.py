"""Webserver, daemon and code location as processes of their own on a real Postgres, each killed and started again."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

import duckdb
import pytest
from processes import end_group

from commands.debian import program
from commands.postgres import free_port, serving
from commands.sample import write_connections
from resources.profiles import ROOT

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
    doors = {"webserver": (8080, free_port()), "viewer": (8081, free_port())}
    text = (ROOT / "deploy" / "proxy" / "nginx.conf").read_text()
    for fixed, port in doors.values():
        text = text.replace(f"listen {fixed};", f"listen 127.0.0.1:{port};")
    folder = tmp_path / "proxy"
    (folder / "logs").mkdir(parents=True)
    # Where an installed nginx has folders of its own.
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    text = text.replace("http {", "http {\n" + "".join(f"  {kind}_temp_path {folder}/{kind};\n" for kind in kinds))
    (folder / "nginx.conf").write_text(f"pid {folder}/nginx.pid;\nerror_log {folder}/logs/error.log;\n{text}")
    (folder / "upstreams.conf").write_text(
        "".join(f"upstream {name} {{ server 127.0.0.1:{deployment.ports[name]}; }}\n" for name in doors)
    )
    (folder / "editors.htpasswd").write_text("eve:{PLAIN}edits\n")
    (folder / "viewers.htpasswd").write_text("vic:{PLAIN}views\n")
    nginx = program("nginx", "usr/sbin/nginx")
    command = [
        nginx,
        "-p",
        folder,
        "-c",
        folder / "nginx.conf",
        "-g",
        "daemon off; user root;" if os.geteuid() == 0 else "daemon off;",
    ]
    proxy = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)

    def through(door: str, who: str = "", query: str = "{ version }") -> tuple[int, dict]:
        headers = {"Content-Type": "application/json"}
        if who:
            headers["Authorization"] = f"Basic {b64encode(who.encode()).decode()}"
        request = urllib.request.Request(
            f"http://127.0.0.1:{doors[door][1]}/graphql",
            data=json.dumps({"query": query, "variables": {"job": "ingest_and_build"}}).encode(),
            headers=headers,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, {}

    try:
        deployment.wait(
            "both webservers", lambda: through("webserver", "eve:edits")[0] == through("viewer", "vic:views")[0] == 200
        )
        deployment.wait("the code location", lambda: deployment.location() == "RepositoryLocation")
        for door, stranger in (("webserver", ""), ("webserver", "vic:views"), ("viewer", ""), ("viewer", "eve:wrong")):
            assert through(door, stranger)[0] == 401, (door, stranger)
        _, answer = through("viewer", "vic:views", LAUNCH)
        assert answer["data"]["launchRun"]["__typename"] == "UnauthorizedError"
        assert deployment.runs() == []
        _, answer = through("webserver", "eve:edits", LAUNCH)
        assert answer["data"]["launchRun"]["__typename"] == "LaunchRunSuccess"
        assert len(deployment.runs()) == 1
    finally:
        end_group(proxy)
