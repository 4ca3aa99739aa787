"""A second run of a home that nobody touched makes nothing; a table that somebody changed is made again."""

import shutil

import dagster as dg
import pytest
from support.copies import copy_home
from support.processes import command

from commands.up_to_date import FILE

pytestmark = pytest.mark.slow(minutes=4)


def ran(home, *more):
    settings = {"BATON_HOME": str(home), "BATON_CONNECTIONS": str(home / "connections.json")}
    done = command("-m", "commands.run", *more, **settings)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def home(baton, tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "baton" / "dagster"))
    return copy_home(baton.home, tmp_path / "baton")


def test_what_is_up_to_date_is_left_alone_and_what_is_not_is_made_again(home, make_baton, tmp_path):
    first = ran(home)
    assert "nothing new: sources" not in first
    warehouse = make_baton(home).resources["warehouse"]
    shapes, runs = warehouse.shapes(), made_by(home)

    second = ran(home)
    assert "nothing new: sources, code, settings and day are those of the run" in second
    assert second.split("\ndata\n")[1].split("\nnothing new")[0] in first, "the summary is that of the run before"
    assert made_by(home) == runs, "nothing but the raw tables was made"
    assert warehouse.shapes() == shapes

    # Whatever is behind it, a file that is another one is noticed: a restored backup, a daemon's run, a person's hand.
    customers = warehouse.row_count("marts", "customers")
    with warehouse.connect(read_only=False) as connection:
        connection.execute("delete from marts.customers")
    shutil.copyfile(home / FILE, tmp_path / FILE)
    third = ran(home)
    assert "everything is made again. warehouse.duckdb changed since the last whole run." in third
    assert warehouse.row_count("marts", "customers") == customers > 0
    assert (home / FILE).read_text() != (tmp_path / FILE).read_text()


def made_by(home):
    """By which run each asset was made last, but for those that a sync lands."""
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        events = {key: instance.get_latest_materialization_event(key) for key in instance.all_asset_keys()}
    return {key: event.run_id for key, event in events.items() if event and key.path[0] != "raw"}
