"""Each reason for choosing rows can be switched on by itself, says which rows it means, and changes what is learned."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support.bundled import FEATURES, PROBLEM
from support.simulated_shop import make_frame

from ml_models.rows import scored
from ml_models.training.fitting import fitted
from ml_models.training.recipe import library_versions, recipe_fingerprint
from ml_models.training.rows_chosen import WEIGHTS, Switches, choose_rows, unknowing_scores
from ml_models.training.search import train
from ml_models.training.splits import split_training_set
from ml_models.training.staleness import as_served, weeks_late

LOGISTIC, BOOSTING = PROBLEM.candidates[:2]
ONE = replace(PROBLEM, candidates=(LOGISTIC,))


@pytest.fixture(scope="module")
def world() -> pd.DataFrame:
    return make_frame(customers=500, cutoffs=14)


@pytest.fixture(scope="module")
def rows(world: pd.DataFrame) -> pd.DataFrame:
    days = [stamp.date() for stamp in sorted(world["cutoff_date"].unique())]
    return split_training_set(world, ONE, quarantined=[days[3]])[0]


@pytest.fixture(scope="module")
def learned(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["split"] != "quarantined"].reset_index(drop=True)


@pytest.fixture(scope="module")
def scores(learned: pd.DataFrame) -> np.ndarray:
    return unknowing_scores(learned, ONE)


def chosen(rows: pd.DataFrame, scores: np.ndarray, **given) -> pd.DataFrame:
    served, seen = given.pop("served", None), given.pop("seen", None)
    return choose_rows(rows, ONE, Switches(**given), scores=scores, served=served, seen=seen)


def test_without_a_switch_every_row_is_ordinary_and_what_is_kept_out_is_none(rows, learned):
    made = choose_rows(rows, ONE, Switches())
    assert made[["customer_id", "cutoff_date"]].equals(learned[["customer_id", "cutoff_date"]])
    assert set(made["reason"]) == {"ordinary"}
    assert set(made["weight"]) == {1.0}


def test_uncertain_are_the_tenth_nearest_to_one_half(rows, learned, scores):
    picked = (chosen(rows, scores, uncertain=True)["reason"] == "uncertain").to_numpy()
    assert picked.sum() == int(0.1 * len(learned))
    assert np.abs(scores[picked] - 0.5).max() <= np.abs(scores[~picked] - 0.5).min()


def test_a_known_error_is_what_served_then_or_else_what_an_unknowing_fit_had_wrong(rows, learned, scores):
    lapsed = (learned["lapsed"] == 1).to_numpy()
    made = chosen(rows, scores, known_error=True)["reason"] == "known error"
    assert scores[made & lapsed].max() < scores.mean() < scores[made & ~lapsed].min()
    # What served had every lapse right, so no lapse is a known error.
    served = learned.loc[lapsed, ["customer_id", "cutoff_date"]].assign(score=0.9)
    again = chosen(rows, scores, known_error=True, served=served)["reason"] == "known error"
    assert not (again & lapsed).any()


def test_the_weak_slice_is_one_whole_segment(rows, learned, scores):
    made = chosen(rows, scores, weak_slice=True)["reason"] == "weak slice"
    active = learned["active_days_84d"]
    low, high = active[made].min(), active[made].max()
    assert 0 < made.mean() < 1
    assert made.equals(active.between(low, high))


def test_a_label_that_later_rows_contradict_does_not_count(world, rows, learned, scores):
    first = learned["cutoff_date"].min()
    came_back = learned[(learned["cutoff_date"] == first) & (learned["lapsed"] == 0)].iloc[0]
    wrong = rows.assign(
        lapsed=rows["lapsed"].where(
            (rows["customer_id"] != came_back["customer_id"]) | (rows["cutoff_date"] != first), 1
        )
    )
    made = chosen(wrong, scores, label_suspect=True, seen=world)
    [suspect] = made[made["reason"] == "label suspect"].to_dict("records")
    assert (suspect["customer_id"], suspect["weight"]) == (came_back["customer_id"], WEIGHTS["label suspect"])


def test_of_several_reasons_the_more_serious_is_told(rows, scores):
    everything = chosen(rows, scores, known_error=True, uncertain=True, weak_slice=True)
    wrong = chosen(rows, scores, known_error=True)["reason"] == "known error"
    assert set(everything.loc[wrong, "reason"]) == {"known error"}


def test_weights_of_train_rows_know_nothing_of_the_holdout(learned, scores):
    turned = learned.assign(lapsed=learned["lapsed"].where(learned["split"] == "train", 1 - learned["lapsed"]))
    train_part = (learned["split"] == "train").to_numpy()
    assert np.array_equal(unknowing_scores(turned, ONE)[train_part], scores[train_part])
    assert not np.array_equal(unknowing_scores(turned, ONE)[~train_part], scores[~train_part])


@pytest.mark.parametrize("candidate", [LOGISTIC, BOOSTING], ids=lambda one: one.name)
def test_a_weight_is_as_many_rows_and_none_is_no_row(learned, candidate):
    parameters = candidate.sample(np.random.default_rng(1), 1)[0]
    some = learned.head(1500)
    only = fitted(candidate, parameters, 0, some.head(900), ONE)
    weighed = fitted(candidate, parameters, 0, some.assign(weight=(np.arange(1500) < 900) * 1.0), ONE)
    assert np.array_equal(scored(only, learned, ONE), scored(weighed, learned, ONE))
    doubled = fitted(candidate, parameters, 0, some.assign(weight=1.0 + some["lapsed"]), ONE)
    assert (
        scored(doubled, learned, ONE).mean()
        > 1.2 * scored(fitted(candidate, parameters, 0, some, ONE), learned, ONE).mean()
    )


def test_a_training_with_weights_is_another_training(rows):
    weighed = rows.assign(weight=np.where(rows["lapsed"] == 1, 2.0, 1.0))
    ordinary, other = train(rows, ONE), train(weighed, ONE)
    assert other.holdout_predictions["score"].mean() > 1.2 * ordinary.holdout_predictions["score"].mean()
    digits = [recipe_fingerprint(some, ONE, seed=0, libraries=library_versions()) for some in (rows, weighed)]
    assert digits[0] != digits[1]


# As stale as serving was.


def test_rows_are_as_many_weeks_old_as_serving_was_late(world):
    days = sorted(world["cutoff_date"].unique())
    made = as_served(world, [0, 2], ONE)
    assert made[["customer_id", "cutoff_date", "lapsed"]].equals(
        world[["customer_id", "cutoff_date", "lapsed"]].reset_index(drop=True)
    )
    by = {day: part.set_index("customer_id")[FEATURES] for day, part in world.groupby("cutoff_date")}
    newest, before = (made[made["cutoff_date"] == day].set_index("customer_id")[FEATURES] for day in days[:-3:-1])
    pd.testing.assert_frame_equal(newest, by[days[-1]])
    both = before.index.intersection(by[days[-4]].index)
    assert len(both) > 200
    pd.testing.assert_frame_equal(before.loc[both], by[days[-4]].loc[both])
    # Who had no row then keeps the present one.
    new = before.index.difference(by[days[-4]].index)
    pd.testing.assert_frame_equal(before.loc[new], by[days[-2]].loc[new])


def test_what_was_served_in_time_changes_nothing(world):
    assert weeks_late([0.38, 2.4, 6.99]) == [0, 0, 0]
    assert as_served(world, [0, 0, 0], ONE) is world
    assert as_served(world, [], ONE) is world
