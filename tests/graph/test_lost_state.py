"""Whatever of a home is lost, the next run makes it again, or says what does: tables, models, registry, warehouse."""

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from support.copies import copy_home

from commands.session import first_failure
from resources.registry import CHALLENGER, CHAMPION

pytestmark = pytest.mark.slow(minutes=3)

TOGETHER = (
    ("raw", "training", "features", "predictions"),
    ("staging", "marts", "outcomes", "monitoring", "campaigns", "scoring", "published", "spend", "next_product"),
)
"""Schemas that are dropped together: each table of the graph in one of two runs."""

GROWS = "_airbyte_syncs"
"""A row each sync."""


@pytest.fixture
def home(baton, tmp_path):
    return copy_home(baton.home, tmp_path / "baton")


def counts(baton):
    """The rows of each table, and zero for each function's schema."""
    warehouse = baton.resources["warehouse"]
    return {name: warehouse.row_count(*name) for name in warehouse.shapes() if name[1] != GROWS}


def lapse_models(home):
    """The model files of lapse: each problem keeps its models in the same folder."""
    named = "select storage_location from model_versions where name = 'lapse' and current_stage = 'None'"
    with contextlib.closing(sqlite3.connect(home / "mlflow.db")) as database:
        places = [place for (place,) in database.execute(named)]
    return [Path(url2pathname(urlsplit(place).path)) / "model.skops" for place in places]


def run(make_baton, home):
    made = make_baton(home)
    result = made.run()
    assert result.success, first_failure(result)
    return made


@pytest.mark.parametrize("schemas", TOGETHER, ids="+".join)
def test_a_run_makes_every_table_again(baton, make_baton, home, schemas):
    with make_baton(home).resources["warehouse"].connect(read_only=False) as connection:
        for schema in schemas:
            connection.execute(f"drop schema if exists {schema} cascade")
    made = run(make_baton, home)
    assert counts(made) == counts(baton)
    assert made.resources["registry"].by_alias(CHAMPION).version == 1, "its model was not lost"


def test_every_schema_is_dropped_in_one_of_them(baton):
    there = {schema for schema, _ in baton.resources["warehouse"].shapes()}
    assert there <= {schema for together in TOGETHER for schema in together}


def test_a_warehouse_that_was_moved_away_is_built_again_beside_the_registry(baton, make_baton, home):
    """What the sentence about a damaged warehouse advises."""
    (home / "warehouse.duckdb").rename(home / "damaged.duckdb")
    made = run(make_baton, home)
    assert counts(made) == counts(baton)
    assert made.read("select model_version from training.candidate") == [(1,)]
    assert made.read("select model_version from training.champion") == [(1,)]
    holdout = "select customer_id, cutoff_date, score from training.holdout_predictions order by all"
    assert made.read(holdout) == baton.read(holdout), "the same data and recipe are the same fit"


def test_a_registry_that_was_moved_away_counts_on_so_that_a_version_means_one_model(make_baton, home):
    """What the sentence about a damaged database of MLflow advises."""
    (home / "mlflow.db").rename(home / "damaged.db")
    made = run(make_baton, home)
    champion = made.resources["registry"].by_alias(CHAMPION)
    assert champion.version == 2
    assert made.read("select model_version from training.champion order by promoted_at") == [(1,), (2,)]
    made.resources["registry"].load(champion)


def test_a_lost_model_is_trained_again_and_serves(make_baton, home):
    for file in (home / "mlartifacts").rglob("model.skops"):
        file.unlink()
    made = run(make_baton, home)
    champion = made.resources["registry"].by_alias(CHAMPION)
    assert champion.version == 2
    made.resources["registry"].load(champion)
    rescore = {"ops": {"predictions__lapse_predictions": {"config": {"rescore": True}}}}
    assert made.run("weekly_score", run_config=rescore).success


def test_a_lost_champion_is_replaced_although_the_challenger_of_these_data_was_refused_beside_it(make_baton, home):
    made = make_baton(home)
    with made.resources["warehouse"].connect(read_only=False) as connection:
        connection.execute("update features.feature_frame set spend_cents_84d = spend_cents_84d + 1")
    assert made.run("retrain").success
    registry = made.resources["registry"]
    assert (registry.by_alias(CHAMPION).version, registry.by_alias(CHALLENGER).version) == (1, 2)
    oldest, _ = sorted(lapse_models(home), key=lambda file: file.stat().st_mtime)
    oldest.unlink()
    assert made.run("retrain").success
    champion = registry.by_alias(CHAMPION)
    assert champion.version == 3
    registry.load(champion)
