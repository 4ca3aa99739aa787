"""Nothing is promoted that does not beat the baselines, and the gate can fail for each of its reasons."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support.bundled import FEATURES, PROBLEM
from support.simulated_shop import make_frame

from ml_models.metrics import row_log_loss
from ml_models.training.champion_challenge import GROWTH, OLD_DAYS, Champion, Comparison, compare_with_champion, grounds
from ml_models.training.gate import GateResult, evaluate_candidate, judge
from ml_models.training.gates import GATES
from ml_models.training.search import TrainingResult, train
from ml_models.training.splits import split_training_set

LOGISTIC = PROBLEM.candidates[0]


@pytest.fixture(scope="module")
def first(training_set: pd.DataFrame) -> TrainingResult:
    """The first candidate: there is no champion to compare it with."""
    result, compared, _ = evaluate_candidate(training_set, PROBLEM)
    assert compared is None
    return result


def verdicts(result: TrainingResult, compared: Comparison | None = None) -> dict[str, GateResult]:
    return {gate.name: gate for gate in judge(result, PROBLEM, compared)}


def with_score(trained: TrainingResult, score: pd.Series | np.ndarray, column: str | None = None) -> TrainingResult:
    scores = trained.holdout_scores.assign(**{column or trained.candidate: score})
    return replace(trained, holdout_scores=scores)


def test_a_good_model_passes_every_gate_and_each_says_why(first: TrainingResult) -> None:
    results = judge(first, PROBLEM)
    assert [gate.name for gate in results] == list(GATES)
    assert all(gate.passed for gate in results), [gate for gate in results if not gate.passed]
    assert all(gate.sentence.endswith(".") for gate in results)


def test_the_judgement_is_repeatable(trained: TrainingResult) -> None:
    assert judge(trained, PROBLEM) == judge(trained, PROBLEM)


@pytest.mark.parametrize("baseline", ["base_rate", "recency_rule", "rfm_logistic"])
def test_a_baseline_in_disguise_is_not_promoted(trained: TrainingResult, baseline: str) -> None:
    result = verdicts(with_score(trained, trained.holdout_scores[baseline]))
    assert not result[f"beats_{baseline}"].passed


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


def test_where_a_simpler_family_is_as_good_it_is_the_candidate(trained: TrainingResult, first: TrainingResult) -> None:
    assert trained.candidate == "boosting"
    verdict = verdicts(trained)["simpler_is_worse"]
    assert not verdict.passed
    assert verdict.sentence.startswith("Log-loss of boosting against the simpler logistic:")
    assert first.candidate == "logistic"
    assert verdicts(first)["simpler_is_worse"].sentence == "logistic beats the simpler families on the holdout."


def test_a_family_that_is_better_beyond_noise_stays(trained: TrainingResult) -> None:
    outcome = trained.holdout_predictions["lapsed"]
    knowing = with_score(trained, 0.9 * trained.holdout_scores["boosting"] + 0.1 * outcome)
    assert verdicts(knowing)["simpler_is_worse"].passed


def test_a_model_that_misbehaves_is_not_promoted(first: TrainingResult) -> None:
    train = first.holdout_rows
    backwards = LOGISTIC.build({"C": 0.01}, 0).fit(train[FEATURES], 1 - train["lapsed"])
    result = verdicts(replace(first, pipeline=backwards))
    assert not result["directions"].passed
    assert "a customer who comes less often" in result["directions"].sentence
    assert not result["extremes"].passed
    assert result["invariance"].passed


# Candidate against champion.


def champion_of(world: pd.DataFrame, through: int, *, labels: pd.Series | None = None) -> Champion:
    """A champion that learned from the cutoffs up to number `through`, perhaps from other labels."""
    days = sorted(world["cutoff_date"].unique())
    rows = world[world["cutoff_date"] <= days[through]]
    outcome = rows["lapsed"] if labels is None else labels.loc[rows.index]
    pipeline = LOGISTIC.build({"C": 0.02}, 0).fit(rows[FEATURES], outcome)
    return Champion(3, pipeline, "logistic", {"C": 0.02}, days[through].date())


def compare(result: TrainingResult, training_set: pd.DataFrame, champion: Champion) -> Comparison:
    return compare_with_champion(result, training_set, champion, PROBLEM, minimum_rows=500, minimum_positives=50)


@pytest.fixture(scope="module")
def even(world, training_set, first) -> Comparison:
    """The comparison with a champion that learned from the first nine of the fourteen cutoffs, and is as good."""
    return compare(first, training_set, champion_of(world, 8))


@pytest.fixture(scope="module")
def uneven(world, training_set, first) -> Comparison:
    """The comparison with a champion that learned when light shoppers came back and heavy ones did not."""
    other = (world["active_days_84d"] > 20).astype("int64")
    return compare(first, training_set, champion_of(world, 8, labels=other))


def test_a_champion_that_is_as_good_stays(first, even):
    assert even.grounds == ""
    verdict = verdicts(first, even)["beats_champion"]
    assert not verdict.passed
    assert "version 3 as it is against the candidate fitted without the customers it scores" in verdict.sentence


def test_both_are_judged_on_the_same_rows_which_neither_fit_had_seen(world, first, even):
    assert even.cross_fitted
    days = pd.Series(even.rows["cutoff_date"].unique())
    assert (days - sorted(world["cutoff_date"].unique())[8] >= pd.Timedelta(days=28)).all()
    assert len(days) == 2  # cutoffs 12 and 13 of 14 begin after all labels that the champion knew
    assert len(even.scores) == len(even.rows)
    # A fit that knew a customer's own outcome would be better than the deployed model on new customers can be.
    seen = first.pipeline.predict_proba(even.rows[FEATURES])[:, 1]
    assert (
        row_log_loss(even.rows["lapsed"], seen).mean()
        < row_log_loss(even.rows["lapsed"], even.scores["candidate"]).mean()
    )


def test_a_champion_of_a_world_that_is_gone_is_replaced(first, uneven):
    result = judge(first, PROBLEM, uneven)
    assert all(gate.passed for gate in result), [gate for gate in result if not gate.passed]
    assert {gate.name: gate for gate in result}["beats_champion"].observed < -0.05


def test_a_candidate_that_is_worse_is_refused_even_where_there_are_grounds(first, even):
    scores = even.scores.assign(candidate=even.scores["candidate"] * 0.6)
    verdict = verdicts(first, replace(even, scores=scores, grounds="it is old"))["beats_champion"]
    assert not verdict.passed
    assert "The champion may be replaced by what is no worse: it is old." in verdict.sentence


def test_grounds_let_an_equal_candidate_through(first, even):
    assert verdicts(first, replace(even, grounds="it is old"))["beats_champion"].passed


def test_a_slice_that_pays_for_the_others_stops_the_promotion(first, uneven):
    light = uneven.rows["active_days_84d"].between(6, 11).to_numpy()
    outcome = uneven.rows["lapsed"].to_numpy()
    # The champion knew those who come now and then, and only them.
    champion = np.where(light, 0.1 + 0.8 * outcome, uneven.scores["champion"])
    result = verdicts(first, replace(uneven, scores=uneven.scores.assign(champion=champion)))
    assert result["beats_champion"].passed
    assert not result["no_slice_worse"].passed
    assert "activity 6-11 stands worst" in result["no_slice_worse"].sentence


def test_after_a_change_the_champion_s_own_calibration_is_the_bound(first, even):
    off = np.clip(even.scores["candidate"] * 1.8, 0, 0.99)
    result = verdicts(first, replace(even, scores=even.scores.assign(candidate=off)))
    assert not result["calibration"].passed
    worse = even.scores.assign(candidate=off, champion=np.clip(even.scores["champion"] * 2.5, 0, 0.99))
    assert verdicts(first, replace(even, scores=worse))["calibration"].passed


def test_without_new_rows_the_recipes_are_compared_on_the_holdout_and_the_sentence_says_so(world, training_set, first):
    champion = champion_of(world, 12)
    compared = compare(first, training_set, champion)
    assert not compared.cross_fitted
    assert set(compared.rows["cutoff_date"].dt.date) == set(first.split.holdout)
    assert "the recipe of version 3 and the candidate's, both fitted on the candidate's train part" in compared.how
    retired = compare(first, training_set, replace(champion, algorithm="a recipe of former days"))
    assert "version 3 as it is, on rows that it may know" in retired.how


@pytest.mark.parametrize(
    ("through", "record", "quarantine", "words"),
    [
        (12, {}, (), ""),
        (12, {}, (5, 6), "it learned from 2 cutoff(s) now known bad"),
        (12, {"excluded": (5, 6)}, (5, 6), ""),
        (12, {"from": 8}, (5, 6), "it knew 5 of 12 labelled cutoffs"),
        (6, {}, (), f"it knew 7 of {round(7 * GROWTH)} labelled cutoffs"),
        (7, {}, (), ""),
    ],
)
def test_grounds_are_anomalies_of_the_training_set(world, first, through, record, quarantine, words):
    days = [stamp.date() for stamp in sorted(world["cutoff_date"].unique())]
    excluded = tuple(days[number] for number in record.get("excluded", ()))
    trained_from = days[record["from"]] if "from" in record else None
    champion = Champion(3, first.pipeline, "logistic", {}, days[through], trained_from, excluded)
    frame, _ = split_training_set(world, PROBLEM, quarantined=[days[number] for number in quarantine])
    found = grounds(champion, frame, PROBLEM)
    assert found.startswith(words)
    assert bool(found) == bool(words)


def test_a_champion_of_half_a_year_ago_is_old(first):
    days = pd.date_range("2017-03-27", periods=70, freq="7D")
    frame = pd.DataFrame({"cutoff_date": days, "split": "train"})
    newest = days[-1].date()
    young, old = (newest - pd.Timedelta(days=number) for number in (OLD_DAYS - 7, OLD_DAYS))
    assert grounds(Champion(3, first.pipeline, "logistic", {}, young), frame, PROBLEM) == ""
    assert "182 days older" in grounds(Champion(3, first.pipeline, "logistic", {}, old), frame, PROBLEM)


def test_evaluating_a_candidate_trains_compares_and_judges_in_one(world, training_set):
    result, compared, gates = evaluate_candidate(training_set, PROBLEM, champion_of(world, 8))
    assert compared is not None
    assert [gate.name for gate in gates] == list(GATES)
    assert not all(gate.passed for gate in gates)
    assert result.candidate == "logistic"


# What is learned from.


def test_quarantined_cutoffs_and_those_before_a_window_teach_nothing():
    world = make_frame(customers=500, cutoffs=14)
    days = [stamp.date() for stamp in sorted(world["cutoff_date"].unique())]
    frame, split = split_training_set(world, PROBLEM, newest=8, quarantined=days[8:10])
    by_split = {name: sorted(rows["cutoff_date"].dt.date.unique()) for name, rows in frame.groupby("split")}
    assert by_split["quarantined"] == days[8:10]
    assert by_split["before window"] == days[:4]
    assert sorted([*split.train, *split.gap, *split.holdout]) == [*days[4:8], *days[10:]]
    only = replace(PROBLEM, candidates=(LOGISTIC,))
    result = train(frame, only)
    assert (result.trained_from, result.trained_through) == (days[4], days[13])
    assert result.excluded == tuple(days[8:10])
    assert result.window == "recent"
    # Poison what is kept out: nothing changes.
    poisoned = frame.assign(lapsed=frame["lapsed"].where(~frame["split"].isin(["quarantined", "before window"]), 1))
    again = train(poisoned, only)
    assert again.metrics == result.metrics
    assert again.fingerprint == result.fingerprint
