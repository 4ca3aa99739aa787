"""Nothing is promoted that does not beat the baselines, and the gate can fail for each of its reasons."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml_models.gate import GATES, GateResult, judge, promotable
from ml_models.lapse import PROBLEM
from ml_models.training import TrainingResult


def verdicts(result: TrainingResult) -> dict[str, GateResult]:
    return {gate.name: gate for gate in judge(result, PROBLEM)}


def with_score(trained: TrainingResult, score: pd.Series | np.ndarray, column: str | None = None) -> TrainingResult:
    scores = trained.holdout_scores.assign(**{column or trained.candidate: score})
    return replace(trained, holdout_scores=scores)


def test_a_good_model_passes_every_gate_and_each_says_why(trained: TrainingResult) -> None:
    results = judge(trained, PROBLEM)
    assert [gate.name for gate in results] == list(GATES)
    assert promotable(results), [gate for gate in results if not gate.passed]
    assert all(gate.sentence.endswith(".") for gate in results)


def test_the_judgement_is_repeatable(trained: TrainingResult) -> None:
    assert judge(trained, PROBLEM) == judge(trained, PROBLEM)


@pytest.mark.parametrize("baseline", ["base_rate", "recency_rule", "rfm_logistic"])
def test_a_baseline_in_disguise_is_not_promoted(trained: TrainingResult, baseline: str) -> None:
    result = verdicts(with_score(trained, trained.holdout_scores[baseline]))
    assert not result[f"beats_{baseline}"].passed
    assert not promotable(list(result.values()))


def test_a_model_of_shuffled_labels_is_not_promoted(trained: TrainingResult) -> None:
    result = verdicts(with_score(trained, trained.holdout_scores["shuffled_labels"]))
    assert not result["beats_recency_rule"].passed


def test_a_model_that_ranks_well_but_overstates_the_risk_fails_calibration(trained: TrainingResult) -> None:
    score = trained.holdout_scores[trained.candidate]
    result = verdicts(with_score(trained, np.clip(score * 1.8, 0, 0.99)))
    assert not result["calibration"].passed
    assert result["calibration"].observed > result["calibration"].bound


def test_a_leak_is_found_by_the_negative_control(trained: TrainingResult) -> None:
    """A control that predicts outcomes although its labels were shuffled has seen them."""
    outcome = trained.holdout_predictions["lapsed"]
    result = verdicts(with_score(trained, 0.05 + 0.9 * outcome, "shuffled_labels"))
    assert not result["negative_control"].passed
    assert "look for the label among the features" in result["negative_control"].sentence


def test_a_tiny_holdout_is_no_evidence(trained: TrainingResult) -> None:
    few = replace(
        trained,
        holdout_predictions=trained.holdout_predictions.head(300),
        holdout_scores=trained.holdout_scores.head(300),
    )
    assert not verdicts(few)["enough_evidence"].passed


def test_no_verdict_promotes_nothing() -> None:
    assert not promotable([])
