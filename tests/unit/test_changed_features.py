"""A feature is added or taken away while a champion serves: it is asked with its own, or it is said why not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline
from support.bundled import FEATURES, PROBLEM

from ml_models.model_version import Deployed, ModelInfo
from ml_models.monitoring.decision.ledger import empty_ledger
from ml_models.monitoring.decision.retraining_gain import promotion_effect
from ml_models.monitoring.week import WeekEvidence, judge_week
from ml_models.problems.contract import Problem
from ml_models.rows import MissingFeaturesError, features_of, scored
from ml_models.training.champion_challenge import Champion
from ml_models.training.gate import evaluate_candidate
from ml_models.training.search import simplest_recipe

CHANGED = "stores_84d"
OTHERS = [name for name in FEATURES if name != CHANGED]
WITHOUT = replace(PROBLEM, features=tuple(OTHERS), catalogue={name: PROBLEM.catalogue[name] for name in OTHERS})
"""The problem before the feature was added, or after it was taken away."""

NAMED = rf"version 3 of lapse was fitted on, but the rows have no {CHANGED}.*-j retrain.*put the column back"


def fitted(world: pd.DataFrame, features: list[str], last: int = 8) -> Pipeline:
    """Return a model that learned from the first cutoffs, until the one of this number."""
    days = sorted(world["cutoff_date"].unique())
    rows = world[world["cutoff_date"] <= days[last]]
    return PROBLEM.candidates[0].build({"C": 0.02}, 0).fit(rows[features], rows["lapsed"])


@pytest.fixture(scope="module")
def before(world: pd.DataFrame) -> Pipeline:
    """A model of the time before the feature was added; its columns were in another order then."""
    return fitted(world, OTHERS[::-1])


@pytest.fixture(scope="module")
def after(world: pd.DataFrame) -> Pipeline:
    """A model that knows the feature."""
    return fitted(world, FEATURES)


def champion(world: pd.DataFrame, pipeline: Pipeline) -> Champion:
    through = sorted(world["cutoff_date"].unique())[8].date()
    return Champion(3, pipeline, "logistic", {"C": 0.02}, through)


def test_a_model_is_asked_with_its_own_features_in_its_order(world: pd.DataFrame, before: Pipeline) -> None:
    assert features_of(before, PROBLEM) == OTHERS[::-1]
    expected = before.predict_proba(world[OTHERS[::-1]])[:, 1]
    np.testing.assert_array_equal(scored(before, world, PROBLEM), expected)


def test_rows_without_a_feature_of_the_model_are_refused_with_what_to_do(world: pd.DataFrame, after: Pipeline) -> None:
    with pytest.raises(MissingFeaturesError, match=NAMED):
        scored(after, world.drop(columns=CHANGED), WITHOUT, "version 3")


def test_a_candidate_with_a_new_feature_is_compared_with_the_champion_as_it_is(
    world: pd.DataFrame, training_set: pd.DataFrame, before: Pipeline
) -> None:
    result, compared, gates = evaluate_candidate(training_set, PROBLEM, champion(world, before))
    assert features_of(result.pipeline, PROBLEM) == FEATURES
    assert compared is not None
    assert compared.cross_fitted
    np.testing.assert_array_equal(compared.scores["champion"], scored(before, compared.rows, PROBLEM))
    assert (
        "version 3 as it is against the candidate"
        in next(one for one in gates if one.name == "beats_champion").sentence
    )


def test_a_champion_whose_feature_is_gone_is_compared_by_its_recipe_and_may_be_replaced(
    world: pd.DataFrame, training_set: pd.DataFrame, after: Pipeline
) -> None:
    gone = training_set.drop(columns=CHANGED)
    result, _, gates = evaluate_candidate(gone, WITHOUT, champion(world, after))
    assert features_of(result.pipeline, WITHOUT) == OTHERS
    verdict = next(one for one in gates if one.name == "beats_champion")
    assert verdict.passed
    assert f"the rows have no {CHANGED}, which it needs" in verdict.sentence
    assert f"it cannot score without {CHANGED}, which the feature frame no longer has" in verdict.sentence
    retired = replace(champion(world, after), algorithm="a recipe of former days")
    with pytest.raises(MissingFeaturesError, match=NAMED):
        evaluate_candidate(gone, WITHOUT, retired)


def deployed(world: pd.DataFrame, pipeline: Pipeline, version: str) -> Deployed:
    days = [stamp.date() for stamp in sorted(world["cutoff_date"].unique())]
    return Deployed(pipeline, ModelInfo(version, trained_through=days[6], promoted_on=days[8]))


def evidence(world: pd.DataFrame, problem: Problem, **models: Any) -> WeekEvidence:
    """Return a week in which everybody spends five times as much, so that drift has something to explain."""
    days = sorted(world["cutoff_date"].unique())
    money = [name for name in problem.features if problem.catalogue[name].unit == "cents"]
    features = world[[*problem.keys, *problem.features]].astype(dict.fromkeys(money, "float64"))
    features.loc[features["cutoff_date"] >= days[-3], money] *= 5
    matured = world[world["cutoff_date"] <= days[-5]]
    return WeekEvidence(
        cutoff=days[-1].date(),
        problem=problem,
        profile=pd.DataFrame(),
        tables=(),
        frame=features,
        outcomes=matured[[*problem.keys, problem.label]],
        early=world.loc[world["cutoff_date"] <= days[-3], problem.keys].assign(
            **{PROBLEM.early_label: world[problem.label]}
        ),
        **{"champion": None, "previous": None, **models},
        ledger=empty_ledger(),
        lineage={},
        owners={},
        rebuild=None,
        refit=simplest_recipe(problem),
    )


def test_a_week_is_judged_with_a_champion_and_a_predecessor_of_other_features(
    world: pd.DataFrame, before: Pipeline, after: Pipeline
) -> None:
    models = {"champion": deployed(world, before, "3"), "previous": deployed(world, after, "2")}
    judged = judge_week(evidence(world, PROBLEM, **models))
    assert judged.score_drift is not None
    assert judged.performance is not None
    assert CHANGED in set(judged.drift_history["column_name"])
    assert judged.drift.status in ("fail", "moved")
    # What a promotion brought is asked of both, each by its own features.
    assert np.isfinite(promotion_effect(world, before, after, PROBLEM).value)


def test_a_week_without_a_feature_of_the_champion_says_so(world: pd.DataFrame, after: Pipeline) -> None:
    with pytest.raises(MissingFeaturesError, match=NAMED):
        judge_week(evidence(world, WITHOUT, champion=deployed(world, after, "3")))


def test_a_predecessor_whose_feature_is_gone_is_none_to_return_to(
    world: pd.DataFrame, before: Pipeline, after: Pipeline
) -> None:
    models = {"champion": deployed(world, before, "3"), "previous": deployed(world, after, "2")}
    assert judge_week(evidence(world, WITHOUT, **models)).decision.action != "rollback"
