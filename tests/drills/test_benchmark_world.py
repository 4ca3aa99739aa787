"""A drill written as a world: who reads the folder sees on each Monday what the judgement saw, and nothing later."""

import json
import math
import subprocess
import sys
from datetime import date, timedelta
from importlib import util

import pandas as pd
import pytest
from support.bundled import PROBLEM

from drills.faults import known
from drills.run import drill
from ml_models.metrics import score_metrics
from ml_models.rows import scored
from ml_models.training.search import simplest_recipe
from tools.benchmark.folder_of_worlds import OURS, READERS, copy_readers, gather
from tools.benchmark.worlds import write_world

START = date(2017, 8, 14)
WEEKS = 1
KEYS = ["cutoff_date", "customer_id"]


@pytest.fixture(scope="module")
def drilled(year):
    sandbox, recording = year
    lineage = {**sandbox.lineage(), "features/feature_frame": ("features/customer_features",)}
    owners = dict.fromkeys([*lineage, "training/champion"], "team:data-engineering")
    fault = known()["amounts_times_100"]
    return drill(fault, recording, sandbox, PROBLEM, lineage, owners, START, WEEKS)


@pytest.fixture(scope="module")
def folder(drilled, tmp_path_factory):
    made = tmp_path_factory.mktemp("benchmark")
    write_world(drilled, simplest_recipe(PROBLEM), made, "these tables")
    copy_readers(made)
    gather(made)
    return made


@pytest.fixture(scope="module")
def world(folder):
    spec = util.spec_from_file_location("world", folder / "world.py")
    sys.modules["world"] = loaded = util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    (found,) = loaded.worlds(folder).values()
    return found


def same(found, expected, keys):
    left, right = (rows.sort_values(keys, ignore_index=True) for rows in (found, expected))
    pd.testing.assert_frame_equal(left[right.columns], right, check_dtype=False)


@pytest.mark.parametrize("after", range(WEEKS + 1))
def test_each_monday_is_as_the_judgement_saw_it(world, drilled, after):
    day, history = START + timedelta(days=7 * after), drilled.history
    week = pd.Timestamp(day)
    assert world.weeks[after] == week
    same(world.features(week), history.frame(day), KEYS)
    same(world.outcomes(week), history.outcomes(day).rename(columns={PROBLEM.label: "label"}), KEYS)
    same(world.early(week), history.early(day).rename(columns={PROBLEM.early_label: "label"}), KEYS)
    same(world.measures(week), history.profile(day), ["asset", "column_name", "measure", "value_key", "period_start"])
    columns = {(asset, name) for asset, kinds in history.columns(day).items() for name in kinds}
    assert set(world.columns(week)[["asset", "column_name"]].itertuples(index=False, name=None)) == columns


def test_a_row_has_the_score_of_the_model_that_served_first(world, drilled):
    said = drilled.result.predictions
    first = said[(said.model_version == "1") & (said.cutoff_date == pd.Timestamp(START))]
    found = world.current(pd.Timestamp(START)).merge(first, on=KEYS, suffixes=("", "_served"))
    assert len(found) == len(first) > 0
    assert found.score.tolist() == pytest.approx(found.score_served.tolist(), abs=1e-12)


def test_what_a_model_learns_from_is_what_had_matured(world):
    week = world.weeks[-1]
    latest = world.reference(week).cutoff_date.max()
    assert latest == week - pd.Timedelta(days=PROBLEM.horizon_days)


def test_who_has_the_folder_alone_fits_the_model_that_the_losses_are_of(world, folder):
    week, keys = world.weeks[-1], ["cutoff_date", "customer_id"]
    labelled = world.outcomes(week).rename(columns={"label": PROBLEM.label})
    learned = world.features(week).merge(labelled, on=keys).sort_values(keys, ignore_index=True)
    model = simplest_recipe(PROBLEM)(learned)
    truth = folder / "worlds" / "amounts_times_100" / "truth"
    labels = pd.read_parquet(truth / "labels.parquet")
    rows = world.current(week).merge(labels[labels.week == week], on="customer_id")
    losses = pd.read_parquet(truth / "losses.parquet")
    known = losses[(losses.week == week) & (losses.fitted_on == week) & (losses.kind == "served")]
    loss = score_metrics(rows.label, scored(model, rows, PROBLEM))["log_loss"]
    assert loss == pytest.approx(known.log_loss.item(), abs=1e-9)


def test_the_scorer_says_of_our_answers_what_the_drill_said(folder, drilled):
    done = subprocess.run(
        [sys.executable, "-I", str(folder / "score.py"), "--details"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    score = drilled.score
    line = next(line for line in done.stdout.splitlines() if line.startswith(OURS))
    cells = [cell.strip() for cell in line.split("  ") if cell.strip()]

    def share(right):
        return f"{int(bool(right))} of 1"

    assert cells == [
        OURS,
        "1",
        share(score.detected),
        f"{score.delay_days:.0f} d" if score.detected else "-",
        share(score.cause_right),
        share(score.owner_right),
        share(score.asset_right),
        share(score.decision_right),
        "0",
        "-" if math.isnan(score.harm) else f"{round(score.harm, 4) + 0.0:+.4f}",
        # Nobody trained on cents.
        "+0.0000",
    ]


def test_without_a_retraining_the_table_of_losses_is_what_keeping_the_model_cost(folder, drilled):
    losses = pd.read_parquet(folder / "worlds" / "amounts_times_100" / "truth" / "losses.parquet")
    kept = losses[(losses.fitted_on == pd.Timestamp(START)) & (losses.kind == "served")]
    mean = (kept.log_loss * kept.rows).sum() / kept.rows.sum()
    # Before a fault the best is to keep the clean champion.
    assert mean == pytest.approx(drilled.best, abs=1e-12)


def test_a_world_that_is_written_again_replaces_the_one_before_and_leaves_nothing_half(folder, drilled):
    write_world(drilled, simplest_recipe(PROBLEM), folder, "other tables")
    about = json.loads((folder / "worlds" / "amounts_times_100" / "world.json").read_text())
    assert about["made_of"] == "other tables"
    assert [place.name for place in (folder / "worlds").iterdir()] == ["amounts_times_100"]
    assert len(list((folder / "past").iterdir())) == 1


def test_an_entry_answers_from_the_folder_alone(folder):
    command = [sys.executable, "entries.py", "any_psi"]
    subprocess.run(command, cwd=folder, env={"PATH": "/usr/bin"}, capture_output=True, text=True, check=True)
    answers = pd.read_csv(folder / "answers" / "any_psi.csv", keep_default_na=False)
    assert answers.week.tolist() == [str(START + timedelta(days=7 * after)) for after in range(WEEKS + 1)]
    # Amounts in cents are far out of any decile from the second Monday on.
    assert answers.alarmed.astype(str).str.lower().tolist()[1] == "true"
    assert answers.decision.tolist()[1] == "improve"


def test_the_folder_describes_itself():
    assert {file.name for file in READERS.iterdir() if file.is_file()} >= {"README.md", "score.py", "world.py"}
