"""The replay: the same jobs week by week, interrupted at any point and continued."""

import json
import os
import signal
import subprocess
import sys

import duckdb
import pytest

from resources.profiles import ROOT
from tools.sample import write_connections, write_sample

pytestmark = pytest.mark.slow(minutes=7)


def start(home, connections, **arguments):
    options = [text for name, value in arguments.items() for text in (f"--{name}", value)]
    return subprocess.Popen(
        [sys.executable, "-m", "commands.replay", *options],
        cwd=ROOT,
        env={**os.environ, "BATON_HOME": str(home), "BATON_CONNECTIONS": str(connections)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_replay_is_killed_and_continued_and_does_no_week_twice(tmp_path):
    # Half of the customers: with few of them the gate finds too little evidence for a first model, and rightly so.
    connections = tmp_path / "connections.json"
    write_sample(tmp_path / "half", modulo=2)
    write_connections(connections, tmp_path / "half")
    # Five weeks: the first outcome is known, and so the first accuracy, 28 days after the first cutoff.
    weeks = {"from": "2017-05-22", "to": "2017-06-19"}
    first = start(tmp_path / "home", connections, **weeks)
    lines = [first.stdout.readline(), first.stdout.readline()]
    assert "2017-05-22" in lines[0], first.stderr.read()
    assert "retrained (" in lines[0]
    first.send_signal(signal.SIGKILL)
    first.communicate()

    replay = tmp_path / "home" / "replay"
    done_before = json.loads((replay / "replay.json").read_text())["through"]
    out, err = start(tmp_path / "home", connections, **weeks).communicate(timeout=600)
    assert f"continuing after {done_before}" in out, err
    assert "2017-06-19" in out
    assert "accuracy over time" in out
    assert (replay / "accuracy_over_time.png").read_bytes().startswith(b"\x89PNG")

    with duckdb.connect(str(replay / "warehouse.duckdb"), read_only=True) as connection:
        scored = connection.execute(
            "select cutoff_date, count(*), count(distinct customer_id), max(trained_through) "
            "from predictions.lapse_predictions group by 1 order by 1"
        ).fetchall()
        newest = connection.execute("select max(ordered_at) from staging.stg_order_lines").fetchone()
    assert [str(row[0]) for row in scored] == [f"2017-{day}" for day in ("05-22", "05-29", "06-05", "06-12", "06-19")]
    assert all(rows == customers for _, rows, customers, _ in scored)
    # Nothing later than the replayed morning was ever seen.
    assert str(newest[0]) < "2017-06-19 08:00:00"
    assert all((cutoff - through).days >= 28 for cutoff, _, _, through in scored)

    other = start(tmp_path / "home", connections, **{"from": "2017-06-05", "to": "2017-06-12"})
    _, err = other.communicate(timeout=120)
    assert other.returncode != 0
    assert "holds a replay from 2017-05-22, and this one starts at 2017-06-05" in err


def test_a_candidate_that_fails_the_gate_is_not_promoted_and_the_line_says_which_gates(small_source, tmp_path):
    connections = tmp_path / "connections.json"
    write_connections(connections, small_source)
    out, err = start(tmp_path / "home", connections, **{"from": "2017-05-22", "to": "2017-05-22"}).communicate(
        timeout=600
    )
    assert "scored     0  model none" in out, err
    assert "not promoted (enough_evidence" in out
    with duckdb.connect(str(tmp_path / "home" / "replay" / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from predictions.lapse_predictions").fetchall() == [(0,)]
        assert connection.execute("select count(*) from training.candidate").fetchall() == [(1,)]
