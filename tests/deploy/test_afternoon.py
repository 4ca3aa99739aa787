"""The page "to production in an afternoon", followed step by step on loopback: what it says comes out, comes out."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from contracts.airbyte_server.server import AirbyteServer, Connection
from contracts.bigquery.bigquery_world import BothEngines
from environments.emulator import serving as emulating
from support.bundled import RECORDING_ENDS
from support.checkouts import copy_project
from support.sample import load_raw_sample

from resources.airbyte.snapshot import SNAPSHOT_FILE, read_snapshot
from resources.environment import variables
from resources.profiles import ROOT
from tools.debian import libraries, program
from tools.postgres import free_port
from tools.postgres import serving as postgres

pytestmark = pytest.mark.slow(minutes=8)

PAGE = ROOT / "docs" / "afternoon.md"
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ANYTHING = "…"

LOOPBACK_ONLY = {"BIGQUERY_EMULATOR_HOST", "BIGQUERY_EMULATOR_STORAGE", "BATON_NOW"}
"""What the page says to be set for this test and never in production."""


def steps() -> list[tuple[str, str]]:
    """Return the page's commands, block by block, each with what one sees of it."""
    found: list[tuple[str, str]] = []
    for info, text in BLOCK.findall(PAGE.read_text()):
        if info == "sh":
            found.append((text, ""))
        elif info == "output":
            found[-1] = (found[-1][0], text)
    return found


def named() -> list[str]:
    """Return the variables of the page's file."""
    [text] = [text for info, text in BLOCK.findall(PAGE.read_text()) if info == "text production.env"]
    return re.findall(r"^(\w+)=", text, re.MULTILINE)


def missing(expected: str, output: str) -> str | None:
    """Return the first line that one should have seen and did not; lines and their parts come in this order."""
    at = 0
    for line in expected.splitlines():
        for part in filter(str.strip, line.split(ANYTHING)):
            found = output.find(part, at)
            if found < 0:
                return line
            at = found + len(part)
    return None


class Reader:
    """Somebody who types what the page says, into one shell that stays open."""

    def __init__(self, checkout: Path, environment: dict[str, str], state: Path) -> None:
        self.checkout, self.environment, self.state = checkout, environment, state
        self.groups: list[int] = []
        state.write_text("")

    def types(self, commands: str, seconds: float = 900) -> str:
        """Run a block; return what it printed, or fail with it."""
        # Variables and functions of one block are there in the next, as in the reader's shell.
        script = f'. "{self.state}"\n{commands}\n{{ export -p; declare -f; }} > "{self.state}"\n'
        log = self.state.with_suffix(".output")
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", script],
                cwd=self.checkout,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.groups.append(process.pid)
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                code = -1
        said = log.read_text(errors="replace")
        assert code == 0, f"ended with {code}:\n{commands}\n{said[-4000:]}\n{self.logs()}"
        return said

    def logs(self) -> str:
        """Return the ends of what the processes wrote."""
        home = self.state.parent / "home"
        files = [*home.glob("logs/*.log"), *home.glob("alerts.jsonl")]
        return "\n".join(f"--- {one.name}\n{one.read_text(errors='replace')[-3000:]}" for one in files)

    def leaves(self) -> None:
        """End whatever was started: the blocks' own processes, and nginx, which leaves its block."""
        for file in self.state.parent.glob("home/*.pid"):
            with suppress(ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGTERM)
        for group in self.groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader with a copy of the project and a file of variables, and all services on loopback."""
    checkout, home = copy_project(tmp_path / "baton"), tmp_path / "home"
    (tmp_path / "emulator").mkdir()
    with ExitStack() as stack:
        emulator = stack.enter_context(emulating(tmp_path / "emulator"))
        database = stack.enter_context(postgres())
        # Airbyte's destination, as far as rows go: what a sync lands, in the types that it lands, is there already.
        stack.enter_context(variables(emulator.environment()))
        both = BothEngines.in_folder(tmp_path)
        load_raw_sample(both.duckdb.path, modulo=8)
        both.land()

        def landed(connection: Connection) -> dict[str, int]:
            return {one.name: both.duckdb.row_count("raw", one.name) for one in connection.selected}

        [kept] = read_snapshot(SNAPSHOT_FILE).values()
        connection = Connection.of_snapshot(kept)
        theirs = Connection(connection.name, connection.streams)
        airbyte = stack.enter_context(AirbyteServer(theirs, script=["succeeded"], on_success=landed))
        behind = ("CODE_PORT", "WEB_PORT", "VIEWER_PORT", "APP_PORT", "ENDPOINT_PORT")
        ports = (*behind, "PORT", "VIEW_PORT", "READ_PORT", "SCORE_PORT")
        given = {
            **{f"BATON_{name}": str(free_port()) for name in ports},
            **database.variables,
            **airbyte.environment(),
            **emulator.environment(),
            "BATON_HOME": str(home),
            "DAGSTER_HOME": str(home / "instance"),
            "BATON_PROFILE": "production",
            # The emulator has one.
            "BATON_BIGQUERY_LOCATION": "US",
            "MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow.db",
            "BATON_ARTIFACT_ROOT": (home / "artifacts").as_uri(),
            "BATON_COMPUTE_LOGS": str(home / "compute_logs"),
            "BATON_CODE_HOST": "127.0.0.1",
            "BATON_EDITOR_PASSWORD": "edits",
            "BATON_VIEWER_PASSWORD": "views",
            "BATON_READER_PASSWORD": "reads",
            "BATON_PROGRAM_PASSWORD": "asks",
            "BATON_NOW": RECORDING_ENDS,
        }
        given["BATON_UI"] = f"http://127.0.0.1:{given['BATON_PORT']}"
        assert set(given) - set(named()) == LOOPBACK_ONLY
        assert set(named()) <= set(given)
        file = tmp_path / "production.env"
        file.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
        mine = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
        nginx = program("nginx", "usr/sbin/nginx")
        mine |= libraries(nginx) | {"PATH": f"{nginx.parent}:{mine['PATH']}"}
        typing = Reader(
            checkout,
            {**mine, "BATON_ENV": str(file), "OMP_NUM_THREADS": "1"},
            tmp_path / "shell",
        )
        try:
            yield typing
        finally:
            typing.leaves()
        assert airbyte.invalid == []
        assert [job.status for job in airbyte.jobs.values()] == ["succeeded"]


def test_whoever_follows_the_page_gets_what_it_says(reader: Reader) -> None:
    page = steps()
    assert len(page) > 12
    for commands, expected in page:
        said = reader.types(commands)
        line = missing(expected, said)
        assert line is None, f"expected to see {line!r} after\n{commands}\nbut it said\n{said[-4000:]}\n{reader.logs()}"


def test_a_line_that_does_not_come_is_missed() -> None:
    assert missing("one … three\nfour", "zero one two three\nfour") is None
    assert missing("one … three\nfour", "four one two three") == "four"
    assert missing("two\none", "one two") == "one"
