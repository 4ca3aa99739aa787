"""The gate is for any company: a sound model passes it at any rate of lapsing, and a broken one at none."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support.simulated_company import Company, problem_of, rows_of

from ml_models.problems.contract import Problem
from ml_models.training.gate import GateResult, evaluate_candidate, judge
from ml_models.training.splits import split_training_set

ALL = problem_of()
FULL = problem_of(names=("logistic",))

COMPANIES = [
    Company(0.03, 3_000, 5),
    Company(0.03, 1_000, 14),
    Company(0.03, 300, 40),
    Company(0.5, 300, 5),
    Company(0.5, 1_000, 14),
    Company(0.5, 300, 40),
    Company(0.75, 300, 5, season=0.25),
    Company(0.75, 3_000, 5),
    Company(0.75, 300, 40, season=0.25),
    Company(0.93, 1_000, 5),
    Company(0.93, 1_000, 14),
    Company(0.93, 300, 40, season=0.25),
    Company(0.5, 1_000, 14, signal=0.4, mood=0.3),
    Company(0.72, 1_000, 14, trend=0.0, season=0.25),
]


def labelled(rows: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    return split_training_set(rows, problem)[0]


def refusals(rows: pd.DataFrame, problem: Problem) -> list[GateResult]:
    return [gate for gate in evaluate_candidate(rows, problem)[2] if not gate.passed]


def of(company: Company) -> str:
    return f"{company.rate:g}, {company.customers} customers, {company.cutoffs} cutoffs, signal {company.signal:g}"


@pytest.mark.parametrize("company", COMPANIES, ids=of)
def test_a_sound_model_passes(company: Company) -> None:
    assert [gate.sentence for gate in refusals(labelled(rows_of(company), ALL), ALL)] == []


BROKEN = [Company(0.03, 3_000, 5), Company(0.5, 300, 14), Company(0.75, 1_000, 5), Company(0.93, 1_000, 14)]


@pytest.mark.parametrize("company", BROKEN, ids=of)
def test_a_model_of_shuffled_labels_does_not_pass(company: Company) -> None:
    rows = rows_of(company)
    shuffled = np.random.default_rng(0).permutation(rows["lapsed"])
    found = {gate.name for gate in refusals(labelled(rows.assign(lapsed=shuffled), ALL), ALL)}
    assert "beats_base_rate" in found


@pytest.mark.parametrize("company", BROKEN, ids=of)
def test_a_model_that_learned_recency_the_wrong_way_round_does_not_pass(company: Company) -> None:
    """Until the holdout the feed counted the days from the other end."""
    frame = labelled(rows_of(replace(company, trend=0.0)), FULL)
    reversed_ = frame["recency_days"].where(frame["split"] == "holdout", 29 - frame["recency_days"])
    for problem in (FULL, ALL):
        assert refusals(frame.assign(recency_days=reversed_), problem)


@pytest.mark.parametrize("company", BROKEN, ids=of)
def test_a_deployed_fit_that_has_it_the_wrong_way_round_does_not_pass(company: Company) -> None:
    """The judged fit is sound; what would be deployed is not."""
    frame = labelled(rows_of(company), FULL)
    result, _, _ = evaluate_candidate(frame, FULL)
    features = list(result.pipeline.feature_names_in_)
    backwards = FULL.candidates[0].build({"C": 0.02}, 0).fit(frame[features], 1 - frame["lapsed"])
    found = {gate.name for gate in judge(replace(result, pipeline=backwards), FULL) if not gate.passed}
    assert {"directions", "extremes"} <= found


@pytest.mark.parametrize("company", BROKEN, ids=of)
def test_a_leak_that_is_absent_when_it_counts_does_not_pass_and_is_not_read_where_three_features_do(
    company: Company,
) -> None:
    frame = labelled(rows_of(company), FULL)
    leak = frame["lapsed"].where(frame["split"] != "holdout").astype("float64")
    leaking = frame.assign(weekend_share_84d=leak)
    assert refusals(leaking, FULL)
    result, _, gates = evaluate_candidate(leaking, ALL)
    assert result.candidate in ("rfm_logistic", "recency_rule")
    assert "weekend_share_84d" not in result.pipeline.feature_names_in_
    assert [gate.sentence for gate in gates if not gate.passed] == []


def test_too_few_customers_are_no_evidence_and_are_told_so() -> None:
    found = {gate.name: gate for gate in refusals(labelled(rows_of(Company(0.03, 1_000, 5)), ALL), ALL)}
    assert "at least 200 rows and 50 of each class are needed" in found["enough_evidence"].sentence
