"""One training run: bounded, repeatable, judged on rows it never saw, honest about its baselines."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.metrics import roc_auc_score
from support.bundled import FEATURES, PROBLEM
from support.simulated_shop import make_frame

from ml_models.training.baselines import BASELINES, baseline_scores
from ml_models.training.fitting import fitted
from ml_models.training.search import TrainingResult, train
from ml_models.training.splits import split_training_set

# What a model artefact may consist of besides scikit-learn's own trusted types.
TRUSTED = {"numpy.dtype", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"}


def test_the_model_ranks_better_than_the_recency_rule(trained: TrainingResult) -> None:
    table = trained.comparison.set_index("model")
    assert set(table.index) == {*BASELINES, "logistic", "boosting", "shuffled_labels"}
    assert table.loc[trained.candidate, "auc"] > table.loc["recency_rule", "auc"] + 0.02
    assert table.loc[trained.candidate, "log_loss"] < table.loc["base_rate", "log_loss"]


def test_holdout_predictions_are_complete_and_come_from_the_training_part_only(
    trained: TrainingResult, training_set: pd.DataFrame
) -> None:
    holdout = training_set[training_set["split"] == "holdout"]
    predictions = trained.holdout_predictions
    assert list(predictions.columns) == ["customer_id", "cutoff_date", "lapsed", "score", "recency_rule_score"]
    assert predictions[["customer_id", "cutoff_date"]].equals(
        holdout[["customer_id", "cutoff_date"]].reset_index(drop=True)
    )
    again = trained.evaluated_pipeline.predict_proba(holdout[FEATURES])[:, 1]
    np.testing.assert_array_equal(predictions["score"], again)
    assert trained.metrics["auc"] == pytest.approx(roc_auc_score(predictions["lapsed"], predictions["score"]))
    train_part = training_set[training_set["split"] == "train"]
    refit = _same_recipe(trained).fit(train_part[FEATURES], train_part["lapsed"])
    np.testing.assert_allclose(refit.predict_proba(holdout[FEATURES])[:, 1], predictions["score"])


def test_the_deployed_pipeline_saw_every_matured_row(trained: TrainingResult, training_set: pd.DataFrame) -> None:
    refit = _same_recipe(trained).fit(training_set[FEATURES], training_set["lapsed"])
    rows = training_set[FEATURES].head(50)
    np.testing.assert_allclose(refit.predict_proba(rows), trained.pipeline.predict_proba(rows))
    assert trained.trained_through == training_set["cutoff_date"].max().date()
    assert sum(trained.rows.values()) == len(training_set)


def _same_recipe(trained: TrainingResult):
    candidate = next(c for c in PROBLEM.candidates if c.name == trained.candidate)
    return candidate.build(trained.parameters, trained.seed)


def test_the_same_data_and_seed_give_the_same_model_in_any_row_order() -> None:
    rows, _ = split_training_set(make_frame(customers=400, cutoffs=10), PROBLEM)
    first, second = train(rows, PROBLEM, seed=3), train(rows.sample(frac=1, random_state=5), PROBLEM, seed=3)
    assert first.fingerprint == second.fingerprint
    assert first.parameters == second.parameters
    np.testing.assert_array_equal(first.holdout_predictions["score"], second.holdout_predictions["score"])
    np.testing.assert_array_equal(
        first.pipeline.predict_proba(rows[FEATURES]), second.pipeline.predict_proba(rows[FEATURES])
    )


def test_the_search_is_bounded_and_reported(trained: TrainingResult, training_set: pd.DataFrame) -> None:
    assert trained.trials.groupby("candidate").size().to_dict() == {c.name: c.trials for c in PROBLEM.candidates}
    heard: list[str] = []
    cheap = replace(PROBLEM, candidates=PROBLEM.candidates[:1])
    train(training_set, cheap, log=heard.append)
    assert any(line.startswith("Holdout 2017-") and "AUC" in line for line in heard)


def test_the_simpler_candidate_wins_within_noise(training_set: pd.DataFrame) -> None:
    logistic = PROBLEM.candidates[0]
    duplicate = replace(logistic, name="duplicate", complexity=9)
    result = train(training_set, replace(PROBLEM, candidates=(duplicate, logistic)))
    assert result.candidate == "logistic"


def test_five_cutoffs_are_enough_to_train() -> None:
    rows, _ = split_training_set(make_frame(customers=600, cutoffs=5), PROBLEM)
    result = train(rows, PROBLEM)
    assert result.inner.startswith("customers: 1 training cutoff")
    assert len(result.split.holdout) == 1


def test_a_training_part_without_lapses_is_refused(training_set: pd.DataFrame) -> None:
    never = training_set.assign(lapsed=training_set["lapsed"].where(training_set["split"] != "train", 0))
    with pytest.raises(ValueError, match="at least 10 rows of each class in the train part, got 0 positive"):
        train(never, PROBLEM)


def test_pipelines_survive_a_round_trip_with_a_short_trust_list(training_set: pd.DataFrame) -> None:
    rows = training_set.head(600)
    for candidate in PROBLEM.candidates:
        parameters = candidate.sample(np.random.default_rng(0), 1)[0]
        model = fitted(candidate, parameters, 0, rows, PROBLEM)
        stored = skops.io.dumps(model)
        assert set(skops.io.get_untrusted_types(data=stored)) <= TRUSTED
        loaded = skops.io.loads(stored, trusted=sorted(TRUSTED))
        read = rows[list(model.feature_names_in_)]
        np.testing.assert_array_equal(loaded.predict_proba(read), model.predict_proba(read))


def test_a_column_that_is_null_throughout_does_no_harm(training_set: pd.DataFrame) -> None:
    rows = training_set.assign(fuel_share_84d=np.nan)
    result = train(rows, replace(PROBLEM, candidates=PROBLEM.candidates[:1]))
    assert np.isfinite(result.holdout_predictions["score"]).all()


def test_the_recency_rule_is_monotone_and_ranks_exactly_as_recency(training_set: pd.DataFrame) -> None:
    parts = [training_set[training_set["split"] == name] for name in ("train", "holdout")]
    scores = baseline_scores(*parts, PROBLEM)
    days = parts[1]["recency_days"]
    by_day = scores["recency_rule"].groupby(days).mean()
    assert by_day.is_monotonic_increasing
    assert by_day.between(0, 1).all()
    assert roc_auc_score(parts[1]["lapsed"], scores["recency_rule"]) == roc_auc_score(parts[1]["lapsed"], days)
    assert (scores["base_rate"] == parts[0]["lapsed"].mean()).all()
