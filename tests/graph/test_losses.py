"""Whatever a home loses, a table or a file at a time: the next run heals it, or its sentence says what does."""

import json

import pytest
from support.copies import copy_home
from support.processes import command

from tools.losses import TREES, contents, kinds, tables

SEED, SHARE = 16, 3
"""`make losses` goes through all of them; here a share of some minutes."""


def test_every_file_of_a_home_is_of_one_kind_and_every_table_is_lost_in_two_ways(baton, tmp_path):
    home = copy_home(baton.home, tmp_path / "home")
    found = [str(file) for files in kinds(home).values() for file in files]
    assert sorted(found) == sorted(str(file.relative_to(home)) for file in home.rglob("*") if file.is_file())
    large = {kind for kind, files in kinds(home).items() if len(files) > 20}
    assert all(kind.startswith(TREES) for kind in large), "what is written together, and nothing else, is one kind"
    assert {kind for kind in kinds(home) if "model.skops" in kind} == {
        "mlartifacts/models/m-*/artifacts/model.skops (champion)"
    }
    assert {name for name, _ in tables(home)} == set(contents(home))
    assert {("training.champion", "BASE TABLE"), ("raw.transactions", "BASE TABLE")} <= set(tables(home))


@pytest.mark.slow(minutes=4)
def test_a_share_of_all_losses_heals_by_a_run_or_by_what_its_sentence_advises(baton, tmp_path):
    copy_home(baton.home, tmp_path / "home")
    (tmp_path / "source").mkdir()
    connections = json.loads((baton.home / "connections.json").read_text())
    (tmp_path / "source" / "connections.json").write_text(json.dumps(connections))
    asked = ["--folder", str(tmp_path), "--share", str(SHARE), "--seed", str(SEED)]
    done = command("-m", "tools.losses", *asked, seconds=1500)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert f"{SHARE} of {SHARE} healed" in done.stdout
