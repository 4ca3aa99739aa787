"""A label is a suspect when it cannot be true, or when sudden ones come together; a surprise alone is none."""

import numpy as np
import pandas as pd
import pytest
from support.bundled import PROBLEM
from support.simulated_shop import make_frame

from ml_models.training.label_suspects import confident_learning, contradicted, together
from ml_models.training.rows_backtest import TooShortError, backtest_rows, lose_orders
from ml_models.training.rows_chosen import unknowing_scores

KEYS = ["customer_id", "cutoff_date"]


@pytest.fixture(scope="module")
def world() -> pd.DataFrame:
    return make_frame(customers=500, cutoffs=14)


@pytest.fixture(scope="module")
def scores(world: pd.DataFrame) -> np.ndarray:
    return unknowing_scores(world, PROBLEM)


def test_true_labels_are_no_suspects_however_surprising(world, scores):
    assert contradicted(world, world, PROBLEM).empty
    assert together(world.assign(score=scores), PROBLEM).empty
    # What a model alone calls wrong is hundreds of true labels.
    assert confident_learning(scores, world["lapsed"].to_numpy()).sum() > 200


def test_a_label_that_was_turned_over_is_contradicted_by_later_rows(world):
    days = sorted(world["cutoff_date"].unique())
    # The newest four have no row a horizon later yet.
    known = (world["cutoff_date"] <= days[-5]).to_numpy()
    turned = known & (np.random.default_rng(1).random(len(world)) < 0.05)
    found = contradicted(world.assign(lapsed=np.where(turned, 1 - world["lapsed"], world["lapsed"])), world, PROBLEM)
    assert set(map(tuple, found[KEYS].to_numpy())) == set(map(tuple, world.loc[turned, KEYS].to_numpy()))
    assert found["sentence"].str.contains("said to have (?:lapsed|stayed), and").all()


def test_a_missing_row_is_no_witness_where_its_cutoff_is_not_built(world):
    newest = world["cutoff_date"].max()
    turned = world.assign(lapsed=np.where(world["cutoff_date"] == newest, 0, world["lapsed"]))
    assert contradicted(turned, world, PROBLEM).empty


def test_sudden_outcomes_together_are_listed_and_say_what_is_usual(world):
    days = sorted(world["cutoff_date"].unique())
    calm = world.assign(score=np.where(world["active_days_84d"] >= 12, 0.004, 0.3), lapsed=0)
    calm.loc[world["active_days_84d"] < 12, "lapsed"] = (np.arange((world["active_days_84d"] < 12).sum()) % 3 == 0) * 1
    assert together(calm, PROBLEM).empty
    heavy = calm[(calm["active_days_84d"] >= 12) & (calm["cutoff_date"] == days[6])].index[:15]
    calm.loc[heavy, "lapsed"] = 1
    found = together(calm, PROBLEM)
    assert set(found["customer_id"]) == set(calm.loc[heavy, "customer_id"])
    assert set(found["cutoff_date"]) == {days[6]}
    assert found["sentence"].str.startswith("one of 15 sudden outcomes").all()


def test_nothing_scored_is_nothing_suspect(world):
    assert together(world.head(0).assign(score=pd.Series(dtype="float64")), PROBLEM).empty


def test_lost_orders_leave_rows_and_labels_as_they_would_have_been(world):
    seen = world[[*KEYS, "recency_days"]]
    lost, wrong, still = lose_orders(world, seen, PROBLEM, np.random.default_rng(0))
    assert wrong.sum() > 5
    assert (lost.loc[wrong, "lapsed"] == 1).all()
    before = world.set_index(KEYS)["lapsed"].reindex(pd.MultiIndex.from_frame(lost.loc[wrong, KEYS]))
    assert (before == 0).all(), "only who stayed is wrongly said to have lapsed"
    # Nobody whose orders are all there is touched, and later rows agree with what is said.
    assert len(still) < len(seen)
    assert contradicted(lost, still, PROBLEM).empty


def test_the_backtest_says_of_each_reason_what_it_was_worth():
    world = make_frame(customers=250, cutoffs=16)
    heard: list[str] = []
    found = backtest_rows(world, world[[*KEYS, "recency_days"]], PROBLEM, heard.append, points=1)
    assert len(heard) == 1
    worth = found.worth.set_index(["variant", "judged_on"])
    assert list(worth.index.get_level_values(0)) == [
        "uncertain",
        "known error",
        "weak slice",
        "label suspect",
        "label suspect, 2% of labels wrong",
        "as served, a week late",
        "as served, a week late",
    ]
    # Of true labels none is left out, and so nothing is gained or lost.
    assert worth.loc["label suspect"].iloc[0][["changed", "difference", "auc"]].tolist() == [0, 0, 0]
    assert (worth["changed"].drop("label suspect") > 0).all()
    assert (worth["low"] <= worth["difference"]).all()
    assert set(found.suspects["rule"]) == {"a model would have said otherwise", "contradicted", "sudden together"}
    kept = found.suspects.set_index(["world", "rule"])
    assert kept.loc[("2% turned over", "contradicted"), "precision"] == 1


def test_too_short_a_history_is_said():
    world = make_frame(customers=60, cutoffs=7)
    with pytest.raises(TooShortError, match="Expected at least 10 weekly cutoffs with known outcomes"):
        backtest_rows(world, world, PROBLEM, print)
