"""The crash suite kills all of a family, finds what differs by as little as a cell, and repeats itself by its seed."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from support.registered import fitted, log, registry_of

from resources.profiles import ROOT
from resources.registry import REFERENCE
from tools.crash.compare import files, tables, unfinished
from tools.crash.family import start
from tools.crash.plan import plan
from tools.crash.registry import registries
from tools.crash.stages import stages

RUNAWAY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env={}, start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""


def test_the_same_seed_is_the_same_moments_and_each_stage_is_tried_over_its_whole_time():
    tried = list(stages().values())
    moments = plan(tried, 50, seed=7)
    assert moments == plan(tried, 50, seed=7) != plan(tried, 50, seed=8)
    assert [one.number for one in moments] == list(range(1, 51))
    for stage in tried:
        fractions = sorted(one.fraction for one in moments if one.stage is stage)
        assert fractions[0] < 1 / len(fractions)
        assert 1 - 1 / len(fractions) < fractions[-1] < 1
    assert {one.stage.name for one in plan(tried, len(tried), seed=1)} == set(stages()), "a few are of all stages"


def test_a_child_with_a_session_and_an_environment_of_its_own_is_killed_with_its_parent(tmp_path):
    log = tmp_path / "said.log"
    family = start([sys.executable, "-c", RUNAWAY], {}, tmp_path, log)
    deadline = time.monotonic() + 60
    while not log.read_text().endswith("\n") and time.monotonic() < deadline:
        time.sleep(0.02)
    child = int(log.read_text())
    assert family.members() == {family.process.pid, child}
    assert family.kill() == 2
    assert family.members() == set()
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(child)], capture_output=True, text=True, check=False).stdout
    assert state.strip()[:1] in ("", "Z")


@pytest.fixture
def homes(tmp_path):
    """Two homes with one warehouse that differs in what is drawn for each run."""
    for name, run in (("undisturbed", "a"), ("healed", "b")):
        (tmp_path / name).mkdir()
        write(tmp_path / name, "create schema training; create schema marts; create schema scoring")
        write(tmp_path / name, f"create table training.champion as select 1 as model_version, '{run}' as run_id")
        write(tmp_path / name, f"create schema spend; create table spend.champion as select 1 as v, '{run}' as run_id")
        write(tmp_path / name, "create table marts.orders as select range as id, range / 7.0 as paid from range(100)")
        write(tmp_path / name, "create view marts.paid as select sum(paid) as paid from marts.orders")
        write(tmp_path / name, "create macro scoring.lapse(x) as x * 2")
    return tmp_path / "undisturbed", tmp_path / "healed"


def write(home: Path, sql: str) -> None:
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        connection.execute(sql)


def found(homes):
    return [(one.where, one.what) for one in tables(*homes)]


def test_what_is_drawn_for_each_run_is_no_difference_nor_is_the_last_digit_of_a_sum(homes):
    write(homes[1], "update marts.orders set paid = paid + 1e-15 where id = 3")
    assert tables(*homes) == []


@pytest.mark.parametrize(
    ("sql", "where"),
    [
        ("update marts.orders set paid = paid + 1e-6 where id = 3", [("marts.orders", "paid"), ("marts.paid", "paid")]),
        ("update training.champion set model_version = 2", [("training.champion", "model_version")]),
        ("create or replace macro scoring.lapse(x) as x * 3", [("scoring.lapse", "SQL function")]),
        ("drop view marts.paid", [("marts.paid", "columns")]),
        ("create table marts.left_over as select 1 as x", [("marts.left_over", "columns")]),
        ("alter table marts.orders alter paid type float", [("marts.orders", "columns")]),
    ],
)
def test_whatever_else_differs_is_named(homes, sql, where):
    write(homes[1], sql)
    assert found(homes)[: len(where)] == where


def test_rows_that_are_there_twice_or_not_at_all_are_counted_with_an_example(homes):
    write(homes[1], "insert into marts.orders select * from marts.orders where id = 3")
    [orders, _] = tables(*homes)
    assert (orders.where, orders.count) == ("marts.orders", 1)
    assert "too many id 3" in orders.example


def test_a_run_that_nobody_executes_any_more_is_marked_so(tmp_path):
    (tmp_path / "dagster" / "history").mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(tmp_path / "dagster" / "history" / "runs.db")) as database:
        database.execute("create table runs (id integer primary key, status text)")
        database.executemany("insert into runs (status) values (?)", [("SUCCESS",), ("FAILURE",)])
        database.commit()
        assert unfinished(tmp_path) == []
        database.execute("insert into runs (status) values ('NOT_STARTED')")
        database.commit()
    assert [(one.where, one.count) for one in unfinished(tmp_path)] == [("dagster/history/runs.db", 1)]


def test_a_file_that_is_left_over_is_named_and_another_run_of_dagster_is_not(homes):
    undisturbed, healed = homes
    for home, drawn in ((undisturbed, "0" * 32), (healed, "1" * 32)):
        (home / "mlartifacts" / drawn).mkdir(parents=True)
        (home / "mlartifacts" / drawn / "evidence.json").touch()
        (home / "dagster").mkdir()
    for run in range(2):
        (healed / "dagster" / f"{run}").touch()
        (undisturbed / "dagster" / f"{run}").touch()
    # SQLite's own log is taken over by whoever opens the file next.
    (healed / "dagster" / "index.db-wal").touch()
    assert files(undisturbed, healed) == []
    (healed / ".airbyte-sync-abc").touch()
    (undisturbed / "company").touch()
    assert [(one.where, one.count) for one in files(undisturbed, healed)] == [(".airbyte-sync-abc", 1), ("company", 0)]


def test_a_version_too_many_an_orphan_and_artefacts_of_nobody_are_found(tmp_path):
    homes = tmp_path / "undisturbed", tmp_path / "healed"
    for home in homes:
        log(registry_of(home), fitted(0)[0], **{REFERENCE: "a,b"})
    assert registries(*homes) == []
    registry = registry_of(homes[1])
    log(registry, fitted(1)[0], fingerprint="f2", **{REFERENCE: "a,b"})
    client = registry._client()
    client.create_run(client.get_experiment_by_name(registry.experiment).experiment_id)
    (homes[1] / "mlartifacts" / ("f" * 32)).mkdir()
    next(homes[1].rglob("model.skops")).unlink()
    found = {one.what for one in registries(*homes)}
    assert {"lapse version 2", "lapse alias challenger", "runs without a version", "artefacts of nobody"} < found
    assert {"files of lapse version 1", "files of lapse version 2"} & found


@pytest.mark.slow
def test_a_suite_that_is_interrupted_ends_what_it_started_and_removes_what_it_made(tmp_path):
    command = [sys.executable, "-m", "tools.crash", "--kills", "1", "--stages", "first"]
    suite = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*/undisturbed-first/home/dagster")) and time.monotonic() < deadline:
        time.sleep(0.1)
    run = [
        pid
        for pid in Path("/proc").glob("[0-9]*/environ")
        if str(tmp_path) in text_of(pid) and "BATON_HOME" in text_of(pid)
    ]
    suite.send_signal(signal.SIGTERM)
    _, said = suite.communicate(timeout=120)
    assert said.decode().strip() == "interrupted; what was made is removed"
    assert suite.returncode == 1
    assert list(tmp_path.iterdir()) == []
    assert run, "nothing was going on"
    assert not [pid for pid in run if str(tmp_path) in text_of(pid)]


def text_of(environment):
    """What a process was started with; nothing if it is gone."""
    try:
        return environment.read_text(errors="replace")
    except OSError:
        return ""
