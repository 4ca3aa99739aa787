"""The simplest candidate that nothing beats is the candidate, and more features must be worth their keep."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support.bundled import PROBLEM
from support.simulated_company import Company, problem_of, rows_of

from ml_models.problems.contract import Candidate
from ml_models.training.baselines import BASELINES, baseline_scores
from ml_models.training.choice import HARM, WORTH, duel, reads_more, simplest_unbeaten
from ml_models.training.fitting import fitted
from ml_models.training.gate import evaluate_candidate, judge
from ml_models.training.search import search
from ml_models.training.splits import split_training_set

BY_NAME = {one.name: one for one in PROBLEM.candidates}
ROWS = 4_000
GENERATOR = np.random.default_rng(0)
TRUTH = GENERATOR.uniform(0.05, 0.6, ROWS)
OUTCOME = (GENERATOR.random(ROWS) < TRUTH).astype("int64")
GROUPS = np.arange(ROWS) % 1_000


def nearer(share: float) -> np.ndarray:
    """Scores that lie between the rate and the truth: the nearer to the truth, the lower their log-loss."""
    return share * TRUTH + (1 - share) * TRUTH.mean()


def test_candidates_stand_from_three_features_and_fewer_to_all() -> None:
    order = sorted(PROBLEM.candidates, key=lambda one: one.complexity)
    assert [one.name for one in order] == ["recency_rule", "rfm_logistic", "logistic", "boosting"]
    assert reads_more(order[1], order[0])
    assert reads_more(order[2], order[1])
    assert not reads_more(order[0], order[1])
    assert not reads_more(order[3], order[2])


def test_beyond_noise_always_suffices_and_equal_never_does() -> None:
    for more in (True, False):
        assert duel(OUTCOME, nearer(1.0), nearer(0.3), GROUPS, reads_more=more).beats
        assert not duel(OUTCOME, nearer(0.5), nearer(0.5), GROUPS, reads_more=more).beats
        assert not duel(OUTCOME, nearer(0.3), nearer(1.0), GROUPS, reads_more=more).beats


def test_more_features_may_be_taken_before_their_gain_is_certain_and_another_form_not() -> None:
    few = slice(0, 400)
    better, worse = nearer(1.0)[few], nearer(0.7)[few]
    found = duel(OUTCOME[few], better, worse, GROUPS[few], reads_more=True)
    loss = found.bound / HARM
    assert found.difference.value < -WORTH * loss
    assert 0 < found.difference.high < HARM * loss
    assert found.beats
    assert not duel(OUTCOME[few], better, worse, GROUPS[few], reads_more=False).beats


def test_the_first_that_none_of_those_after_it_beats_is_chosen() -> None:
    scores = {"recency_rule": nearer(0.2), "rfm_logistic": nearer(0.9), "logistic": nearer(0.9), "boosting": nearer(1)}
    found, lost = simplest_unbeaten(PROBLEM.candidates, scores, OUTCOME, GROUPS, "logistic")
    assert found.name == "rfm_logistic"
    assert lost is not None
    assert lost.difference.value == 0
    alone, nothing = simplest_unbeaten(PROBLEM.candidates, scores, OUTCOME, GROUPS, "recency_rule")
    assert (alone.name, nothing) == ("recency_rule", None)


@pytest.mark.parametrize("name", ["recency_rule", "rfm_logistic"])
def test_the_baselines_that_read_features_are_candidates_and_score_as_such(name: str) -> None:
    problem = problem_of()
    rows = rows_of(Company(0.3, 300, 5))
    candidate: Candidate = BY_NAME[name]
    model = fitted(candidate, {"C": 1.0}, 0, rows, problem)
    assert tuple(model.feature_names_in_) == tuple(one for one in problem.features if one in (candidate.features or ()))
    scores = baseline_scores(rows, rows, problem)
    assert list(scores) == list(BASELINES)
    np.testing.assert_array_equal(scores[name], model.predict_proba(rows[list(model.feature_names_in_)])[:, 1])


def test_where_rfm_is_all_there_is_to_know_rfm_is_promoted_and_the_rest_stands_beside_it() -> None:
    problem = problem_of()
    rows, _ = split_training_set(rows_of(Company(0.5, 800, 10, trend=0.0)), problem)
    heard: list[str] = []
    result, _, gates = evaluate_candidate(rows, problem, log=heard.append)
    assert result.candidate == "rfm_logistic"
    assert result.searched == "logistic"
    assert list(result.pipeline.feature_names_in_) == ["recency_days", "active_days_84d", "spend_cents_84d"]
    assert result.selection.startswith("simpler than logistic, which does not beat it on the holdout (")
    assert any(line.startswith("logistic does not beat rfm_logistic on the holdout") for line in heard)
    assert [gate.sentence for gate in gates if not gate.passed] == []
    said = {gate.name: gate.sentence for gate in gates}
    assert said["beats_rfm_logistic"] == "The candidate is the RFM regression itself, because nothing beats it."
    assert {"recency_rule", "logistic"} <= set(result.comparison["model"])
    # The family that was not worth it would be refused if somebody insisted on it.
    insisted = replace(result, candidate="logistic")
    verdict = {gate.name: gate for gate in judge(insisted, problem)}["simpler_is_worse"]
    assert not verdict.passed
    assert verdict.sentence.startswith("Log-loss of logistic against the simpler rfm_logistic:")


def test_where_recency_is_all_there_is_the_rule_is_promoted() -> None:
    problem = problem_of()
    labelled = rows_of(Company(0.4, 800, 10))
    gone = 1 / (1 + np.exp(-1.2 * (np.log1p(labelled["recency_days"]) - 2)))
    drawn = np.random.default_rng(3).random(len(labelled))
    rows, _ = split_training_set(labelled.assign(lapsed=(drawn < gone).astype("int64")), problem)
    result, _, gates = evaluate_candidate(rows, problem)
    assert result.candidate == "recency_rule"
    assert [gate.sentence for gate in gates if not gate.passed] == []


def test_where_a_trend_tells_more_all_features_are_taken() -> None:
    problem = problem_of()
    rows, _ = split_training_set(rows_of(Company(0.5, 800, 10, trend=0.6)), problem)
    assert evaluate_candidate(rows, problem)[0].candidate == "logistic"


def test_the_inner_rows_do_not_decide_whether_all_features_are_worth_it() -> None:
    problem = problem_of()
    rows, _ = split_training_set(rows_of(Company(0.5, 300, 5, trend=0.0)), problem)
    searched = search(rows, problem)
    assert searched.chosen == "logistic"
    assert set(searched.best) == {"recency_rule", "rfm_logistic", "logistic"}
    assert pd.Series(searched.groups).nunique() > 200
