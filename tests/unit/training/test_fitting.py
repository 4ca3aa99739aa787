"""A feature that teaches nothing is left out of a fit, with a sentence, and everything goes on without it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support.bundled import FEATURES, PROBLEM
from support.random_models import proved

from ml_models.explain import REASONS, family_contributions, top_reasons
from ml_models.rows import scored
from ml_models.training.behaviour import behaves
from ml_models.training.fitting import NothingToLearnError, features_for, fitted, left_out
from ml_models.training.gate import evaluate_candidate
from ml_models.training.search import TrainingResult
from ml_models.training.splits import inner_split

NAME = "gap_std_days_84d"
BY_NAME = {one.name: one for one in PROBLEM.candidates}


def null_throughout(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(**{NAME: np.nan})


def constant(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(**{NAME: 7.0})


def null_in_the_inner_fit_part(rows: pd.DataFrame) -> pd.DataFrame:
    train = rows[rows["split"] == "train"]
    fit = inner_split(train, PROBLEM)[0].eq("fit")
    return rows.assign(**{NAME: rows[NAME].mask(rows.index.isin(train.index[fit]))})


def evaluated(rows: pd.DataFrame) -> tuple[TrainingResult, list[str], list[str]]:
    heard: list[str] = []
    result, _, gates = evaluate_candidate(rows, PROBLEM, log=heard.append)
    return result, heard, [gate.sentence for gate in gates if not gate.passed]


@pytest.mark.parametrize(("change", "why"), [(null_throughout, "null in all "), (constant, "7 in all ")])
def test_a_feature_that_teaches_nothing_is_left_out_and_told(training_set: pd.DataFrame, change, why: str) -> None:
    rows = change(training_set)
    result, heard, refused = evaluated(rows)
    assert result.left_out[NAME].startswith(why)
    assert any(line.startswith("Left out, because they teach nothing") and NAME in line for line in heard)
    assert NAME not in result.pipeline.feature_names_in_
    assert refused == []
    # Everything that asks the pipeline goes on, whatever the column holds by now.
    newest = rows.tail(300).assign(**{NAME: 3.0})
    np.testing.assert_array_equal(
        scored(result.pipeline, newest, PROBLEM), scored(result.pipeline, rows.tail(300), PROBLEM)
    )
    compiled, proof = proved(result.pipeline, newest, list(result.pipeline.feature_names_in_))
    assert proof.passed, proof.sentence
    assert NAME not in compiled.columns
    reasons = top_reasons(result.pipeline, newest, result.reference, PROBLEM)
    assert list(reasons) == list(REASONS)
    assert reasons["reason_1"].notna().any()
    assert np.isfinite(family_contributions(result.pipeline, newest, result.reference, PROBLEM)).all(axis=None)
    assert {one.kind for one in behaves(result.pipeline, newest, PROBLEM)} == {"invariance", "directions", "extremes"}


def test_a_feature_that_is_null_in_the_inner_fit_part_only_is_left_out_there_only(training_set: pd.DataFrame) -> None:
    result, heard, _ = evaluated(null_in_the_inner_fit_part(training_set))
    assert NAME not in result.left_out
    assert any(line.startswith("Among the rows that the search fits on") and NAME in line for line in heard)
    assert NAME in result.pipeline.feature_names_in_
    assert set(result.trials["candidate"]) == set(BY_NAME)


def test_what_the_judged_fit_did_not_have_the_deployed_one_has_not_either(training_set: pd.DataFrame) -> None:
    """It came with the holdout: nobody has judged a model that reads it."""
    rows = training_set.assign(**{NAME: training_set[NAME].where(training_set["split"] == "holdout")})
    result, _, _ = evaluated(rows)
    assert NAME in result.left_out
    assert NAME not in result.pipeline.feature_names_in_


@pytest.mark.parametrize("name", sorted(BY_NAME))
@pytest.mark.parametrize("change", [null_throughout, constant])
def test_every_candidate_fits_without_it(training_set: pd.DataFrame, name: str, change) -> None:
    candidate = BY_NAME[name]
    parameters = candidate.sample(np.random.default_rng(0), 1)[0]
    model = fitted(candidate, parameters, 0, change(training_set), PROBLEM)
    assert NAME not in model.feature_names_in_
    assert np.isfinite(scored(model, training_set, PROBLEM)).all()


def test_rfm_without_money_is_recency_and_frequency(training_set: pd.DataFrame) -> None:
    unpaid = training_set.assign(spend_cents_84d=0)
    assert features_for(BY_NAME["rfm_logistic"], unpaid, PROBLEM) == ["recency_days", "active_days_84d"]


def test_a_family_without_any_feature_does_not_compete(training_set: pd.DataFrame) -> None:
    problem = replace(PROBLEM, candidates=(BY_NAME["logistic"], BY_NAME["recency_rule"]))
    heard: list[str] = []
    rows = training_set.assign(recency_days=3)
    result, _, _ = evaluate_candidate(rows, problem, log=heard.append)
    assert set(result.trials["candidate"]) == {"logistic"}
    assert any(line.startswith("recency_rule does not compete. Expected a feature with at least") for line in heard)
    # Nothing is left of the rule but the rate.
    assert result.holdout_scores["recency_rule"].nunique() == 1


def test_where_nothing_tells_customers_apart_that_is_said(training_set: pd.DataFrame) -> None:
    same = training_set.assign(**dict.fromkeys(FEATURES, 1.0))
    with pytest.raises(NothingToLearnError, match="recency_days: 1 in all 2,240 rows; active_days_84d: 1 in"):
        evaluate_candidate(same, PROBLEM)


def test_one_value_with_nulls_beside_it_stays() -> None:
    rows = pd.DataFrame({"a": [5.0, np.nan] * 800, "b": [5.0] * 1_599 + [6.0], "c": [np.nan] * 1_599 + [6.0]})
    assert left_out(rows, ["a", "b", "c"]) == {}


def test_rows_of_one_outcome_are_refused_with_a_sentence(training_set: pd.DataFrame) -> None:
    rows = training_set.assign(lapsed=0)
    with pytest.raises(NothingToLearnError, match=r"both outcomes of lapsed for logistic .* got 0 in all of"):
        fitted(BY_NAME["logistic"], {"C": 0.1}, 0, rows, PROBLEM)


def test_where_a_side_of_the_time_split_would_hold_one_outcome_customers_are_split(training_set: pd.DataFrame) -> None:
    train = training_set[training_set["split"] == "train"]
    days = sorted(train["cutoff_date"].unique())
    weeks = pd.concat([train.assign(cutoff_date=days[0] + pd.Timedelta(days=7 * number)) for number in range(10)])
    late = weeks["cutoff_date"] > days[0] + pd.Timedelta(days=28)
    assert inner_split(weeks, PROBLEM)[1].startswith("time")
    sides, how = inner_split(weeks.assign(lapsed=weeks["lapsed"].where(late, 0)), PROBLEM)
    assert how.startswith("customers")
    assert set(sides) == {"fit", "validate"}
