"""A killed process leaves its run "started", holding the only slot; the next start ends such runs, and no live one."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from support.processes import end_group

from commands.session import reap
from sensors.patience import BEGAN_TAG, PID_TAG

NEXT_START = """
import json
from commands.session import instance
with instance(sole=False) as opened:
    print(json.dumps({run.tags["baton/pid"]: run.status.value for run in opened.get_runs()}))
"""


@pytest.fixture
def home(tmp_path):
    return {**os.environ, "BATON_HOME": str(tmp_path / "baton")}


@pytest.fixture
def two_runs(home):
    """Two commands whose runs go on until they are killed."""
    command = [sys.executable, str(Path(__file__).with_name("long_run.py"))]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    started = []
    for _ in range(2):
        started.append(subprocess.Popen(command, env=home, **pipes, start_new_session=True))
        assert b"working\n" in iter(started[-1].stdout.readline, b""), "the run did not start"
    yield started
    for process in started:
        end_group(process)
        process.stdout.close()


def next_start(home):
    """What a later command finds: the status of the run of each process."""
    ended = subprocess.run([sys.executable, "-c", NEXT_START], env=home, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout.splitlines()[-1])


def test_a_killed_run_is_marked_failed_at_the_next_start_and_a_live_one_is_left_alone(home, two_runs):
    killed, live = two_runs
    killed.send_signal(signal.SIGKILL)
    killed.wait(timeout=30)
    assert next_start(home) == {str(killed.pid): "FAILURE", str(live.pid): "STARTED"}


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def unfinished(instance, status=dg.DagsterRunStatus.STARTED, **tags):
    @dg.job
    def empty():
        pass

    return instance.create_run_for_job(empty, status=status, tags=tags).run_id


def status(instance, run_id):
    return instance.get_run_by_id(run_id).status


@pytest.fixture
def killed_process():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process  # dead, but its parent has not asked for it yet: its id still exists
    process.communicate()


def test_a_dead_process_that_nobody_asked_for_is_dead(instance, killed_process):
    run_id = unfinished(instance, **{PID_TAG: str(killed_process.pid)})
    assert reap(instance) == [run_id]
    assert status(instance, run_id) == dg.DagsterRunStatus.FAILURE


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this machine does not tell when a process began")
def test_a_process_that_got_the_id_of_a_dead_one_does_not_keep_its_run_alive(instance):
    run_id = unfinished(instance, **{PID_TAG: str(os.getpid()), BEGAN_TAG: "1"})
    assert reap(instance) == [run_id]


@pytest.mark.parametrize(
    "state", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING]
)
def test_a_run_that_was_killed_while_it_began_or_ended_counts_too(instance, killed_process, state):
    run_id = unfinished(instance, state, **{PID_TAG: str(killed_process.pid)})
    assert reap(instance) == [run_id]
    assert status(instance, run_id) == dg.DagsterRunStatus.FAILURE


def test_a_daemon_s_run_is_judged_only_where_no_daemon_is(instance):
    run_id = unfinished(instance)
    assert reap(instance) == []
    assert status(instance, run_id) == dg.DagsterRunStatus.STARTED
    assert reap(instance, without_daemon=True) == [run_id]
    assert status(instance, run_id) == dg.DagsterRunStatus.FAILURE


def test_finished_runs_and_a_daemon_s_that_did_not_begin_are_left_alone(instance, killed_process):
    tags = {PID_TAG: str(killed_process.pid)}
    done = unfinished(instance, dg.DagsterRunStatus.SUCCESS, **tags)
    waiting = unfinished(instance, dg.DagsterRunStatus.NOT_STARTED)
    about_to = unfinished(instance, dg.DagsterRunStatus.NOT_STARTED, **{PID_TAG: str(os.getpid())})
    assert reap(instance, without_daemon=True) == []
    assert status(instance, done) == dg.DagsterRunStatus.SUCCESS
    assert status(instance, waiting) == dg.DagsterRunStatus.NOT_STARTED
    assert status(instance, about_to) == dg.DagsterRunStatus.NOT_STARTED
