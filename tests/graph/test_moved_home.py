"""A home that was moved, or that came back from a backup, goes on as if nothing had been: rows, champion, next run."""

import shutil

import pytest

from resources.backup import back_up, restore
from resources.registry import CHAMPION
from tools.same_rows import differences


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
