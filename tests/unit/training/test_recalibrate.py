"""A recalibration as a candidate: what the gate says of it where only the base rate moved, and where nothing did."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support.bundled import PROBLEM

from ml_models.cutoffs import distinct_cutoffs
from ml_models.odds import log_odds
from ml_models.rows import scored
from ml_models.training.champion_challenge import Champion
from ml_models.training.gates import GATES
from ml_models.training.recalibrate import NothingToRecalibrateError, evaluate_recalibration
from ml_models.training.search import simplest_recipe
from ml_models.training.splits import split_training_set


@pytest.fixture(scope="module")
def champion(world: pd.DataFrame) -> Champion:
    """A champion of the first five cutoffs of fourteen."""
    days = distinct_cutoffs(world["cutoff_date"])[:5]
    pipeline = simplest_recipe(PROBLEM)(world[world["cutoff_date"] <= pd.Timestamp(days[-1])])
    return Champion(7, pipeline, "logistic", {"C": 0.02}, days[-1], days[0])


def lapsing_more(world: pd.DataFrame, champion: Champion, step: float) -> pd.DataFrame:
    """Return the world with the log-odds of lapsing a step higher after what the champion knows, by drawing again."""
    score = scored(champion.pipeline, world, PROBLEM)
    moved = 1 / (1 + np.exp(-(log_odds(score) + step)))
    luck = np.random.default_rng(3).random(len(world))
    newer = (world["cutoff_date"] > pd.Timestamp(champion.trained_through)).to_numpy()
    stays = (world["lapsed"] == 0).to_numpy() & newer
    return world.assign(lapsed=np.where(stays & (luck < (moved - score) / (1 - score)), 1, world["lapsed"]))


def test_a_recalibrated_champion_passes_the_gate_where_the_base_rate_moved(
    world: pd.DataFrame, champion: Champion
) -> None:
    rows = split_training_set(lapsing_more(world, champion, 1.0), PROBLEM)[0]
    result, compared, gates = evaluate_recalibration(rows, PROBLEM, champion)
    assert {gate.name: gate.sentence for gate in gates if not gate.passed} == {}
    assert [gate.name for gate in gates] == list(GATES)
    assert compared.cross_fitted
    newest = distinct_cutoffs(world["cutoff_date"])[-4:]
    assert distinct_cutoffs(compared.rows["cutoff_date"]) == newest
    assert result.recalibration is not None
    assert result.recalibration.version == 7
    assert result.recalibration.intercept > 0.5
    assert (result.candidate, result.parameters) == ("logistic", {"C": 0.02})
    assert (result.trained_from, result.trained_through) == (champion.trained_from, newest[-1])
    # Neither the champion nor the map learned from what lies between.
    assert result.excluded == tuple(distinct_cutoffs(world["cutoff_date"])[5:-4])
    ranks = [pd.Series(scored(one, world, PROBLEM)).rank() for one in (champion.pipeline, result.pipeline)]
    assert ranks[0].corr(ranks[1]) == pytest.approx(1, abs=1e-6)


def test_it_is_refused_where_nothing_moved(world: pd.DataFrame, champion: Champion) -> None:
    rows = split_training_set(world, PROBLEM)[0]
    _, _, gates = evaluate_recalibration(rows, PROBLEM, champion)
    assert "beats_champion" in [gate.name for gate in gates if not gate.passed]


def test_what_nobody_knows_yet_moves_nothing(world: pd.DataFrame, champion: Champion) -> None:
    rows = split_training_set(world, PROBLEM)[0]
    newest = replace(champion, trained_through=distinct_cutoffs(world["cutoff_date"])[-2])
    with pytest.raises(NothingToRecalibrateError, match=r"that version 7 learned from; got 0 rows at 0 cutoff\(s\)"):
        evaluate_recalibration(rows, PROBLEM, newest)
