"""Through a real daemon: a decision is answered by one run, also when the daemon is killed in between."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from judged import FAIL, begin, finish
from support.copies import copy_home
from support.processes import end_group, holding
from ticking import POINTS

from resources.environment import variables
from resources.profiles import ROOT
from sensors.drift import DRIFT_SENSOR
from steps.tables import NO_ACTION_DUE

pytestmark = pytest.mark.slow(minutes=6)

HERE = Path(__file__).resolve().parent
IMPROVE = {
    "decision": "improve",
    "event_id": "contaminated-1",
    "window": "expanding",
    "cutoff": "2018-01-01",
    # Grounds to replace the champion, which learned from these.
    "quarantine_from": "2017-06-05",
    "quarantine_to": "2017-06-12",
    "reason": "Version 1 learned from two cutoffs that lack a third of the stores.",
}
ROLLBACK = {
    "decision": "rollback",
    "event_id": "promotion-2",
    "cutoff": "2018-01-08",
    "reason": "Log-loss rose by .02 since version 2 serves.",
}
FINISHED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


class Home:
    """A baton's folder with a Dagster instance in it, as `make ui` leaves it."""

    def __init__(self, folder, make_baton, small_source):
        self.folder = folder
        self.dagster = folder / "dagster"
        self.dagster.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / "deploy" / "embedded" / "dagster.yaml", self.dagster / "dagster.yaml")
        self.workspace = folder / "workspace.yaml"
        self.workspace.write_text(
            f"load_from:\n  - python_file:\n      relative_path: {HERE / 'sample_location.py'}\n"
            f"      location_name: baton\n      working_directory: {ROOT}\n"
        )
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BATON_")},
            "BATON_HOME": str(folder),
            "DAGSTER_HOME": str(self.dagster),
        }
        self.baton = make_baton(folder, source=small_source)
        with variables({"DAGSTER_HOME": str(self.dagster)}):
            self.baton.instance = self.instance = dg.DagsterInstance.from_config(str(self.dagster))

    def decide(self, decision):
        """Let a judging run end with this decision, as the weekly judgement records it; return the run's id."""
        run_id = begin(self.instance, [NO_ACTION_DUE])
        finish(self.instance, run_id, {NO_ACTION_DUE: FAIL}, **decision)
        return run_id

    def asked(self):
        """The runs that the drift sensor asked for."""
        return self.instance.get_runs(dg.RunsFilter(tags={"dagster/sensor_name": DRIFT_SENSOR}))

    def ticks(self):
        """The drift sensor's ticks, newest first."""
        for state in self.instance.all_instigator_state():
            if state.name == DRIFT_SENSOR:
                return self.instance.get_ticks(state.instigator_origin_id, state.selector_id)
        return []

    def ticking(self, *arguments):
        """Run the daemon's sensor loop in a process of its own; return its exit code and what it wrote."""
        command = [sys.executable, str(HERE / "ticking.py"), str(self.workspace), *arguments]
        with open(self.folder / "ticking.log", "wb") as log:
            process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                code = process.wait(timeout=180)
            finally:
                end_group(process)
        return code, (self.folder / "ticking.log").read_text(errors="replace")

    def champions(self):
        return self.baton.read("select model_version, reason from training.champion order by promoted_at")


@pytest.fixture
def daemon():
    """Start daemons that end with the test: `daemon(home)`."""
    started = []

    def start(home):
        log = open(home.folder / f"daemon-{len(started)}.log", "wb")  # noqa: SIM115 the daemon writes while the test runs
        command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-w", str(home.workspace)]
        process = subprocess.Popen(
            command, env=home.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        started.append((process, log))
        return process

    yield start
    for process, log in started:
        end_group(process)
        log.close()


def wait_for(what, condition, process, home, seconds=240):
    """Wait until `condition()` is true while the daemon lives, and return what it returned."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        assert process.poll() is None, f"the daemon ended: {logs(home)}"
        time.sleep(0.5)
    raise AssertionError(f"waited {seconds} s for {what}: {logs(home)}")


def logs(home):
    return "\n".join(file.read_text(errors="replace")[-3000:] for file in sorted(home.folder.glob("daemon-*.log")))


@pytest.fixture(scope="module")
def judged(baton, make_baton, small_source, tmp_path_factory):
    """A folder in which a retraining was decided and nobody has acted on it; copy it, do not change it."""
    home = Home(copy_home(baton.home, tmp_path_factory.mktemp("judged") / "baton"), make_baton, small_source)
    home.judged_in = home.decide(IMPROVE)
    return home


def served(home):
    return home.baton.read("select distinct cutoff_date::varchar, model_version from predictions.lapse_predictions")


def assert_retrained_once(home, judged_in):
    assert not [tick.error for tick in home.ticks() if tick.is_failure]
    [run] = [run for run in home.asked() if run.job_name == "retrain"]
    assert run.status == dg.DagsterRunStatus.SUCCESS
    assert run.tags["dagster/run_key"] == f"drift-{judged_in}"
    assert run.tags["baton/evaluated_in_run"] == judged_in
    assert run.tags["baton/cause"] == IMPROVE["reason"]
    assert run.tags["baton/cutoff"] == "2018-01-01"


def assert_new_champion_serves(home):
    # The answer arrived: a new champion that knows why it is there, and predictions that are its own.
    assert home.champions()[1:] == [(2, IMPROVE["reason"])]
    assert served(home) == [("2018-01-01", 2)]


def test_a_decision_is_answered_by_one_run_and_by_none_after_a_restart_and_a_rollback_by_another(
    baton, make_baton, small_source, tmp_path, daemon
):
    home = Home(copy_home(baton.home, tmp_path / "baton"), make_baton, small_source)
    first = daemon(home)
    wait_for("the drift sensor's first look", home.ticks, first, home)
    assert home.asked() == []

    judged_in = home.decide(IMPROVE)
    wait_for("a finished retraining", lambda: {run.status for run in home.asked()} & FINISHED, first, home)
    assert_retrained_once(home, judged_in)
    assert_new_champion_serves(home)

    end_group(first)
    before = time.time()
    second = daemon(home)
    wait_for(
        "a look after the restart",
        lambda: [tick for tick in home.ticks() if tick.timestamp > before and tick.is_completed],
        second,
        home,
    )
    assert len(home.asked()) == 1
    assert_new_champion_serves(home)

    rolled_back_in = home.decide(ROLLBACK)
    finished = lambda: len([run for run in home.asked() if run.status in FINISHED]) == 2  # noqa: E731
    wait_for("a finished rollback", finished, second, home)
    [run] = [run for run in home.asked() if run.job_name == "rollback"]
    assert run.tags["dagster/run_key"] == f"drift-{rolled_back_in}"
    assert_retrained_once(home, judged_in)
    assert home.champions()[2:] == [(1, f"rollback: {ROLLBACK['reason']}")]
    assert served(home) == [("2018-01-01", 1)]


def launch(home, job):
    """Ask for a run as a person does at a shell."""
    command = [str(Path(sys.executable).with_name("dagster")), "job", "launch", "-w", str(home.workspace)]
    subprocess.run([*command, "-l", "baton", "-j", job], env=home.environment, check=True, capture_output=True)


def test_a_run_that_an_analyst_kept_from_the_warehouse_goes_on_from_the_failed_step_when_she_is_gone(
    baton, make_baton, small_source, tmp_path, daemon
):
    home = Home(copy_home(baton.home, tmp_path / "baton"), make_baton, small_source)
    home.environment["BATON_WAIT_SECONDS"] = "1"
    runs = lambda: home.instance.get_runs(dg.RunsFilter(job_name="weekly_score"))  # noqa: E731 newest first
    steps = lambda run, how: [  # noqa: E731
        one.dagster_event.step_key
        for one in home.instance.all_logs(run.run_id)
        if one.is_dagster_event and one.dagster_event.event_type_value == how
    ]
    with holding(home.folder / "warehouse.duckdb", reads=True) as analyst:
        launch(home, "weekly_score")
        process = daemon(home)
        wait_for("the first run to fail", lambda: runs()[-1].status == dg.DagsterRunStatus.FAILURE, process, home)
    first = runs()[-1]
    scored = {"predictions__lapse_predictions", "spend__predictions", "next_product__predictions"}
    assert scored <= set(steps(first, "STEP_SUCCESS"))
    assert steps(first, "STEP_FAILURE") == ["dbt_serving"]
    [failure] = [
        one for one in home.instance.all_logs(first.run_id) if one.dagster_event and one.dagster_event.is_step_failure
    ]
    assert re.search(
        rf"another process holds it: .*PID {analyst}.*Close that program",
        failure.dagster_event.step_failure_data.error.to_string(),
        re.DOTALL,
    )

    # A retry may have come before the analyst went.
    wait_for("a retry that goes through", lambda: runs()[0].status == dg.DagsterRunStatus.SUCCESS, process, home)
    last = runs()[0]
    assert last.root_run_id == first.run_id
    begun, *between, published = steps(last, "STEP_SUCCESS")
    assert not scored & {begun, *between}
    assert (begun, published) == ("dbt_serving", "published__serving_copy"), "from what failed on"
    assert set(between) == {"campaigns__assignment", "predictions__shadow_predictions"}
    assert len(runs()) <= 4


@pytest.mark.parametrize("point", POINTS)
def test_a_daemon_that_is_killed_between_evaluation_and_launch_neither_loses_nor_doubles_the_run(
    point, judged, make_baton, small_source, tmp_path, daemon
):
    home = Home(copy_home(judged.folder, tmp_path / "baton"), make_baton, small_source)
    code, said = home.ticking("kill", point)
    assert code == -signal.SIGKILL, said
    assert len(home.asked()) == (1 if point in ("RUN_CREATED", "RUN_LAUNCHED") else 0)

    code, said = home.ticking("go", "3")
    assert code == 0, said
    [run] = home.asked()
    assert run.status == dg.DagsterRunStatus.QUEUED
    assert run.tags["dagster/run_key"] == f"drift-{judged.judged_in}"
    assert len([tick for tick in home.ticks() if tick.is_completed]) >= 3

    if point == "RUN_CREATED":
        # The whole way: a daemon takes over and the retraining that was nearly lost is done.
        process = daemon(home)
        wait_for("a finished retraining", lambda: {run.status for run in home.asked()} & FINISHED, process, home)
        assert_retrained_once(home, judged.judged_in)
        assert_new_champion_serves(home)
