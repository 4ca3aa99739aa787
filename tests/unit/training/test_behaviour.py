"""A model is put to situations that a person can answer, and each kind of wrong answer is found."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from support.bundled import FEATURES, PROBLEM

from ml_models.training.behaviour import BehaviourResult, behaves
from ml_models.training.search import TrainingResult


class Twisted:
    """A fitted pipeline whose probabilities somebody changes."""

    def __init__(self, pipeline: Pipeline, twist) -> None:
        self.pipeline, self.twist = pipeline, twist
        self.feature_names_in_ = np.array(FEATURES, dtype=object)

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        score = np.asarray(self.twist(self.pipeline.predict_proba(frame)[:, 1], frame), dtype="float64")
        return np.column_stack([1 - score, score])


def failures(pipeline, rows: pd.DataFrame) -> dict[str, BehaviourResult]:
    return {one.name: one for one in behaves(pipeline, rows, PROBLEM) if not one.passed}


@pytest.fixture(scope="module")
def rows(trained: TrainingResult) -> pd.DataFrame:
    return trained.holdout_rows.tail(900)


@pytest.mark.parametrize("family", ["logistic", "boosting"])
def test_a_sound_model_of_either_family_behaves_and_says_how(training_set, rows, family):
    [candidate] = [one for one in PROBLEM.candidates if one.name == family]
    parameters = candidate.sample(np.random.default_rng(0), 3)[1]
    train = training_set[training_set["split"] == "train"]
    pipeline = candidate.build(parameters, 0).fit(train[FEATURES], train["lapsed"])
    results = behaves(pipeline, rows, PROBLEM)
    assert [one.sentence for one in results if not one.passed] == []
    assert {one.kind for one in results} == {"invariance", "directions", "extremes"}
    assert all(one.sentence.endswith(".") for one in results)


def test_a_score_that_depends_on_the_order_of_rows_is_found(trained, rows):
    ordered = Twisted(trained.pipeline, lambda score, frame: score + 0.001 * np.linspace(0, 1, len(score)))
    assert "row order" in failures(ordered, rows)


def test_a_score_that_depends_on_who_else_is_scored_is_found(trained, rows):
    ranked = Twisted(trained.pipeline, lambda score, frame: pd.Series(score).rank(pct=True))
    assert "alone or among others" in failures(ranked, rows)


def test_a_model_that_reads_an_id_is_found(trained, rows):
    greedy = Twisted(trained.pipeline, lambda score, frame: score)
    greedy.feature_names_in_ = np.array([*FEATURES, "customer_id"], dtype=object)
    found = failures(greedy, rows)
    assert list(found) == ["who and when"]
    assert found["who and when"].sentence.endswith("reads customer_id.")


def test_a_model_that_a_price_rise_upsets_is_found(trained, rows):
    def upset(score, frame):
        return np.clip(score + 0.2 * (frame["spend_cents_84d"].to_numpy() / 50_000), 0, 1)

    assert "price level" in failures(Twisted(trained.pipeline, upset), rows)


def test_a_model_that_has_it_the_wrong_way_round_fails_directions_and_extremes(trained, rows):
    found = failures(Twisted(trained.pipeline, lambda score, frame: 1 - score), rows)
    assert {"a customer who comes less often", "the worst customer", "the best customer"} <= set(found)


def test_a_constant_is_no_model(trained, rows):
    found = failures(Twisted(trained.pipeline, lambda score, frame: np.full(len(score), 0.1)), rows)
    assert {"a customer who slips away in every way", "the worst customer", "the best customer"} == set(found)


def test_a_null_that_becomes_no_probability_is_found(trained, rows):
    def fragile(score, frame):
        return np.where(frame["gap_std_days_84d"].isna(), np.nan, score)

    known = rows[rows["gap_std_days_84d"].notna()]
    found = failures(Twisted(trained.pipeline, fragile), known)
    assert found["nulls where they may be"].observed > 0


def test_a_model_that_refuses_nulls_does_not_pass_silently(training_set, rows):
    train = training_set[training_set["split"] == "train"]
    bare = Pipeline([("model", LogisticRegression(C=1e-9))])
    bare.fit(train[FEATURES].fillna(0), train["lapsed"])
    with pytest.raises(ValueError, match="NaN"):
        behaves(bare, rows, PROBLEM)
