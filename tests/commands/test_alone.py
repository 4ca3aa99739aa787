"""Two commands in one home: the second waits and says for whom; a second web UI is told where the first one is."""

import os
import signal
import socket
import subprocess
import sys
import time

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat
from support.processes import end_group

from commands.alone import DRILLS, RUNS, alone, hold_for_ui, wait_for_daemon
from commands.session import alone_in_home
from resources.environment import variables
from resources.profiles import ROOT, HomeError

LONG_RUN = ROOT / "tests" / "sensors" / "long_run.py"
UI = """
import os, sys
from pathlib import Path
from commands.alone import hold_for_ui
hold_for_ui(Path(sys.argv[1]), int(sys.argv[2]))
print("held", flush=True)
os.execv("/bin/sleep", ["/bin/sleep", "600"])
"""


@pytest.fixture
def begin(tmp_path):
    """Start a process that ends with the test."""
    started = []

    def start(*arguments):
        environment = {**os.environ, "BATON_HOME": str(tmp_path / "home"), "PYTHONUNBUFFERED": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "stdin": subprocess.PIPE, "text": True}
        command = [sys.executable, *map(str, arguments)]
        started.append(subprocess.Popen(command, env=environment, **pipes, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        end_group(process)
        process.stdout.close()
        process.stdin.close()


def test_a_second_command_waits_for_the_first_and_goes_on_when_it_ends_however_that_is(begin):
    first = begin(LONG_RUN, "sole")
    assert "working\n" in iter(first.stdout.readline, ""), "it did not begin"
    second = begin(LONG_RUN, "sole")
    said = next(line for line in iter(second.stdout.readline, "") if "waiting" in line)
    assert f"`long_run` (process {first.pid}, since " in said
    first.send_signal(signal.SIGKILL)
    assert "working\n" in iter(second.stdout.readline, ""), "it did not go on"


HOLD = """
import sys
from pathlib import Path
from commands.alone import alone
with alone(Path(sys.argv[1]), lock=sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("name", "lock", "given"),
    [
        ("promote", RUNS, ["--version", "1"]),
        ("closed", RUNS, ["--day", "2017-12-25"]),
        ("release", RUNS, ["--week", "2017-12-25"]),
        ("rebuild", RUNS, ["--from", "2017-10-02"]),
        ("upgrade", RUNS, []),
        ("drill", DRILLS, ["--fault", "natural_year"]),
        ("backtest", DRILLS, []),
    ],
)
def test_whatever_writes_to_a_home_waits_for_who_works_in_it(begin, tmp_path, name, lock, given):
    (tmp_path / "home").mkdir()
    holder = begin("-c", HOLD, tmp_path / "home", lock)
    assert holder.stdout.readline() == "held\n"
    waits = begin("-m", f"commands.{name}", *given)
    said = next((line for line in iter(waits.stdout.readline, "") if "waiting" in line), "nothing")
    assert said.startswith(f"waiting for `-c` (process {holder.pid}, since ")
    assert waits.poll() is None


def test_in_production_there_is_no_home_to_hold(tmp_path):
    (tmp_path / "home").mkdir()
    settings = {"BATON_HOME": str(tmp_path / "home"), "BATON_PROFILE": "production"}
    with alone(tmp_path / "home"), variables(settings), alone_in_home():
        pass


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def daemons_run(instance, seconds_ago):
    """A run that a daemon started, and how long ago the daemon gave a sign of life."""

    @dg.job
    def weekly_judge():
        pass

    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - seconds_ago, "SENSOR", "one", []))
    return instance.create_run_for_job(weekly_judge, status=dg.DagsterRunStatus.STARTED)


def test_a_command_waits_for_the_run_of_a_daemon(instance):
    run, said = daemons_run(instance, seconds_ago=5), []

    def heard(text):
        said.append(text)
        instance.report_run_failed(run)

    wait_for_daemon(instance, say=heard)
    assert said == [f"waiting for the run {run.run_id} (weekly_judge) of the daemon to end (Ctrl-C to give up)"]


def test_a_run_of_a_daemon_that_is_gone_holds_nobody_up(instance):
    daemons_run(instance, seconds_ago=600)
    wait_for_daemon(instance, say=pytest.fail)


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_second_web_ui_is_told_where_the_first_one_is_until_that_ends(begin, tmp_path, port):
    (tmp_path / "home").mkdir()
    first = begin("-c", UI, tmp_path / "home", port)
    assert first.stdout.readline() == "held\n"
    with pytest.raises(
        HomeError, match=rf"there is http://127\.0\.0\.1:{port} \(process {first.pid}, since .*Open that"
    ):
        hold_for_ui(tmp_path / "home", port)
    end_group(first)
    os.close(hold_for_ui(tmp_path / "home", port))


def test_a_port_that_is_taken_is_a_sentence_with_another_one(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(HomeError, match=f"the port {port} .* to be free.*make ui PORT={port + 1}"):
            hold_for_ui(tmp_path, port)
