"""The web UI's programs begin when the home may be used, end together, and leave nothing behind however they end."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from support.processes import end_group

from commands.beside import Companion, beside
from commands.ports import LOOPBACK, port_for
from commands.ui import _wait_for_code
from resources.profiles import ROOT

PATIENCE = 90.0

APP = """
import os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        open(os.environ["BEGAN"], "w").write(str(os.getpid()))
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
"""

STARTER = """
import sys, time
from commands.beside import beside
with beside(["uvicorn", "--app-dir", sys.argv[1], "--uds", sys.argv[1] + "/socket", "app:app"]) as server:
    server.begin({"BEGAN": sys.argv[1] + "/began"})
    time.sleep(600)
"""


def until(holds, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def server(tmp_path) -> list[str]:
    """A program of another package that serves until it is ended."""
    (tmp_path / "app.py").write_text(APP)
    return ["uvicorn", "--app-dir", str(tmp_path), "--uds", str(tmp_path / "socket"), "app:app"]


def test_a_program_begins_when_told_with_the_variables_of_then_and_ends_with_the_context(server, tmp_path):
    began = tmp_path / "began"
    with beside(server) as companion:
        time.sleep(1.0)
        assert companion.ended() is None
        assert not began.exists(), "nobody said that it may begin"
        companion.begin({"BEGAN": str(began)})
        until(began.exists, "it was told to begin")
    assert companion.ended() is not None


def test_a_program_that_may_not_begin_ends_without_a_word(server, capfd):
    with beside(server) as companion:
        pass
    assert companion.ended() == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this machine does not tell which processes there are")
def test_a_program_ends_with_whoever_started_it_also_if_that_is_killed(server, tmp_path):
    began = tmp_path / "began"
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path)], cwd=ROOT)
    try:
        until(lambda: began.exists() and began.read_text(), "it was told to begin")
        pid = int(began.read_text())
        assert is_there(pid)
    finally:
        starter.kill()
        starter.wait()
    until(lambda: not is_there(pid), "nobody is there any more for whom it works")


def test_code_that_its_server_cannot_load_is_told_before_there_is_a_page(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    ended.wait()
    with pytest.raises(RuntimeError, match=r"Expected the code to load in its server .* its server ended \(3\)"):
        _wait_for_code(Companion(ended), str(tmp_path / "socket"))


LOADED = "{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename } } } } }"
DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType healthy } } } }"


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_web_ui_has_the_code_and_a_daemon_and_all_of_it_ends(tmp_path, how):
    port = port_for(0, 3950, "ui")

    def asked(query: str) -> dict:
        body = json.dumps({"query": query}).encode()
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{port}/graphql", body, {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)["data"]
        except OSError:
            return {}

    def healthy() -> bool:
        found = asked(DAEMONS).get("instance", {}).get("daemonHealth", {}).get("allDaemonStatuses", [])
        return any(one["daemonType"] == "SENSOR" and one["healthy"] for one in found)

    command = [sys.executable, "-m", "commands.ui", "--port", str(port)]
    environment = {**os.environ, "BATON_HOME": str(tmp_path / "home"), "BATON_NOW": "2017-05-01T08:00:00-04:00"}
    log = (tmp_path / "log").open("w+")
    web = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        until(lambda: asked(LOADED), "the web UI answers")
        [location] = asked(LOADED)["workspaceOrError"]["locationEntries"]
        assert location["name"] == "baton"
        assert location["locationOrLoadError"]["__typename"] == "RepositoryLocation"
        until(healthy, "the daemon is there")
        web.send_signal(how)
        assert web.wait(timeout=PATIENCE) == 0
    finally:
        end_group(web)
    log.seek(0)
    assert "Traceback" not in log.read()
    assert asked(LOADED) == {}
