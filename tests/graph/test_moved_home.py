"""A home that was moved, or that came back from a backup, goes on as if nothing had been: rows, champion, next run."""

import shutil

import pytest
from support.copies import copy_home
from support.processes import command

from resources.backup import back_up, restore
from resources.registry import CHAMPION
from tools.same_rows import differences

NEWEST = "select customer_id, cutoff_date, score, model_version from predictions.lapse_predictions order by all"


@pytest.fixture
def came_back(baton, tmp_path):
    back_up(baton.home, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "elsewhere" / "home")
    shutil.rmtree(tmp_path / "backup")
    return tmp_path / "elsewhere" / "home"


def test_a_restored_home_has_every_row_and_scores_with_its_own_champion(baton, make_baton, came_back):
    again = make_baton(came_back)
    before, after = (one.resources["warehouse"] for one in (baton, again))
    names = sorted(name for name in before.shapes() if name[0] != "information_schema")
    assert names == sorted(after.shapes())
    changed = {
        name: found
        for name in names
        if (found := differences(*(one.read("select * from " + ".".join(name)) for one in (before, after))))
    }
    assert changed == {}
    champion = again.resources["registry"].by_alias(CHAMPION)
    assert champion == baton.resources["registry"].by_alias(CHAMPION)
    again.resources["registry"].load(champion)
    rescored = again.run("weekly_score", run_config=RESCORE)
    assert rescored.success
    newest = "select customer_id, score, model_version from predictions.lapse_predictions order by 1, 2, 3"
    assert again.read(newest) == baton.read(newest)


RESCORE = {"ops": {"predictions__lapse_predictions": {"config": {"rescore": True}}}}


def ran(home, module, *arguments):
    """Run a command in a home, as make does, on the sample that the home was made of."""
    done = command(
        "-m", f"commands.{module}", *arguments, BATON_HOME=str(home), BATON_CONNECTIONS=str(home / "connections.json")
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def moved(home, to, tmp_path):
    shutil.move(home, to)
    assert not home.exists()


def backed_up_and_restored(home, to, tmp_path):
    ran(home, "backup", "--to", str(tmp_path / "back up"))
    shutil.rmtree(home)
    assert "version 1 serves" in ran(to, "restore", "--from", str(tmp_path / "back up"))


@pytest.mark.slow(minutes=2)
@pytest.mark.parametrize(
    ("brought", "name"),
    [(moved, "ein Größer & 'Laden' 店"), (backed_up_and_restored, "höher; +=,@ ~[1] {2}"), (moved, "home")],
    ids=["moved to odd letters", "restored to odd letters", "moved"],
)
def test_make_run_goes_on_in_a_home_that_came_from_elsewhere(baton, make_baton, tmp_path, brought, name):
    home, to = copy_home(baton.home, tmp_path / "before"), tmp_path / "elsewhere" / name
    to.parent.mkdir()
    brought(home, to, tmp_path)
    if not (to / "connections.json").exists():
        shutil.copyfile(baton.home / "connections.json", to / "connections.json")
    said = ran(to, "run")
    assert "version 1 was trained on exactly these data; nothing to register" in said
    assert f"State: {to}." in said
    again = make_baton(to)
    champion = again.resources["registry"].by_alias(CHAMPION)
    assert champion.version == 1
    again.resources["registry"].load(champion)
    assert again.read(NEWEST) == baton.read(NEWEST)
    assert not home.exists(), "nothing was written to where it was"
    assert {one.name for one in to.parent.iterdir()} == {name}, "nor beside it"


@pytest.mark.parametrize("letters", ["a%20b", "a?b", "a#b", "a\\b"])
def test_a_home_whose_path_an_engine_misreads_is_refused_before_anything_is_made(tmp_path, letters):
    done = command("-m", "commands.run", BATON_HOME=str(tmp_path / letters))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: Expected a home whose path DuckDB and SQLite can read, and ")
    assert "export BATON_HOME=<folder>" in done.stderr
    assert not list(tmp_path.iterdir())
