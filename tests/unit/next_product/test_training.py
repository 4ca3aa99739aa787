"""A training on a small shop with habits: it finds them, is judged on later weeks, refuses what cannot be judged."""

import numpy as np
import pandas as pd
import pytest

from ml_models.problems.next_product.gates import GATES
from ml_models.problems.next_product.pairs import FEATURES
from ml_models.problems.next_product.training import (
    CANDIDATES,
    TooFewPairsError,
    by_trees,
    fitted,
    of_some_customers,
    scorer,
    split,
    train,
)

CUTOFFS = pd.date_range("2024-01-01", periods=4, freq="28D")
SETTLED = np.repeat([0.9, 0.5, 0.05], [4, 8, 28])


@pytest.fixture(scope="module")
def shop():
    """Return labelled pairs and outcomes of 120 customers, whose chance to buy a type grows with how often they did."""
    generator, rows, bought = np.random.default_rng(11), [], []
    for cutoff in CUTOFFS:
        for number in range(120):
            chances = generator.permutation(SETTLED)
            for place, chance in enumerate(chances):
                days = int(generator.binomial(10, chance))
                label = int(generator.random() < chance)
                rows.append(
                    {
                        "customer_id": f"c{number:03d}",
                        "cutoff_date": cutoff,
                        "product_type": f"type {place:02d}",
                        "days_bought": days,
                        "days_bought_lately": days // 3,
                        "faded_days": 600 * days,
                        "days_since": float(generator.integers(1, 30)) if days else np.nan,
                        "gap_days": 8.0 if days > 1 else np.nan,
                        "share_of_days": days / 10,
                        "popularity": (1 + place) / 40,
                        "popularity_lately": (1 + place) / 40,
                        "customer_days": 10,
                        "customer_recency_days": 1,
                        "customer_types": 12,
                        "days_bought_before": 2 * days,
                        "bought": label,
                    }
                )
                if label:
                    bought.append((f"c{number:03d}", cutoff, f"type {place:02d}", int(days > 0)))
    pairs = pd.DataFrame(rows)
    pairs["split"] = split(pairs["cutoff_date"], 28)
    outcomes = pd.DataFrame(bought, columns=["customer_id", "cutoff_date", "product_type", "is_repeat"])
    held = pairs.loc[pairs["split"] == "holdout", "cutoff_date"].unique()
    return pairs, outcomes[outcomes["cutoff_date"].isin(held)]


def test_the_newest_half_is_held_out_and_no_label_reaches_into_it(shop):
    pairs, _ = shop
    days = pairs.groupby("split")["cutoff_date"].agg(["min", "max"])
    assert (days.loc["holdout", "min"] - days.loc["train", "max"]).days >= 28
    weekly = split(pd.Series(pd.date_range("2024-01-01", periods=8, freq="7D")), 28)
    assert weekly.to_list() == ["train"] + ["gap"] * 3 + ["holdout"] * 4


def test_one_cutoff_is_refused_with_a_sentence():
    with pytest.raises(TooFewPairsError, match="got 1 "):
        split(pd.Series([CUTOFFS[0]]), 28)


def test_a_training_finds_habits_and_every_gate_says_a_sentence(shop):
    pairs, outcomes = shop
    result = train(pairs, outcomes, log=lambda _: None)
    assert [gate.name for gate in result.gates] == list(GATES)
    assert all(gate.sentence for gate in result.gates)
    popular = result.comparison.set_index("model").loc["popular", "ndcg"]
    assert result.metrics["ndcg"] > popular + 0.1
    assert result.metrics["ndcg_low"] < result.metrics["ndcg"] < result.metrics["ndcg_high"]
    assert set(result.holdout_lists["cutoff_date"]) == set(outcomes["cutoff_date"])
    score = scorer(result.pipeline)
    often, seldom = pairs[pairs["days_bought"] >= 8], pairs[pairs["days_bought"] == 0]
    assert score(often).mean() > 0.6 > 0.2 > score(seldom).mean()
    assert list(result.pipeline.feature_names_in_) == list(FEATURES)
    # A champion of the same recipe says of the same rows what the candidate says; nothing else comes of it.
    again = train(pairs, outcomes, result.parameters, log=lambda _: None)
    assert score(pairs) == pytest.approx(scorer(again.pipeline)(pairs), abs=0)
    measured = again.comparison.set_index("model")
    assert measured.loc["champion"].equals(measured.loc[result.name].rename("champion"))


def test_labels_that_say_nothing_are_not_promoted(shop):
    pairs, _ = shop
    noise = np.random.default_rng(1).permutation(pairs["bought"].to_numpy())
    shuffled = pairs.assign(bought=noise)
    held = shuffled[(shuffled["split"] == "holdout") & (shuffled["bought"] == 1)]
    outcomes = held[["customer_id", "cutoff_date", "product_type"]].assign(is_repeat=1)
    champion = {"max_iter": 2, "max_leaf_nodes": 3, "learning_rate": 0.1}
    result = train(shuffled, outcomes, champion, log=lambda _: None)
    gates = {gate.name: gate for gate in result.gates}
    assert not gates["beats_personal_frequency"].passed
    measured = result.comparison.set_index("model")["ndcg"]
    assert measured["champion"] not in measured.drop("champion").to_list()


def test_pairs_of_which_none_was_bought_are_refused(shop):
    pairs, outcomes = shop
    with pytest.raises(TooFewPairsError, match="0 were bought"):
        train(pairs.assign(bought=0), outcomes)


def test_slices_are_by_activity_and_by_cutoff(shop):
    pairs, outcomes = shop
    result = train(pairs, outcomes, log=lambda _: None)
    assert set(result.slices["slice_name"]) == {"all", "activity", "cutoff"}
    whole = result.slices.set_index("slice_name").loc["all"]
    by_cutoff = result.slices[result.slices["slice_name"] == "cutoff"]
    assert by_cutoff["lists"].sum() == whole["lists"]


def test_the_candidates_are_one_fit_and_the_shorter_is_to_the_digit_what_it_would_be_alone(shop):
    pairs, _ = shop
    shorter, longest = CANDIDATES.values()
    assert {**shorter, "max_iter": longest["max_iter"]} == longest
    learned, held = (pairs[pairs["split"] == part] for part in ("train", "holdout"))
    together = by_trees(fitted(longest, learned, 0), held, {shorter["max_iter"], longest["max_iter"]})
    for parameters in (shorter, longest):
        alone = scorer(fitted(parameters, learned, 0))(held)
        assert np.array_equal(together[parameters["max_iter"]], alone)


def test_a_share_of_the_customers_is_whole_and_part_of_a_larger_one(shop):
    pairs, _ = shop
    half, quarter = of_some_customers(pairs, len(pairs) // 2), of_some_customers(pairs, len(pairs) // 4)
    assert of_some_customers(pairs, len(pairs)) is pairs
    some, few = set(half["customer_id"]), set(quarter["customer_id"])
    assert few < some < set(pairs["customer_id"])
    assert half.equals(pairs[pairs["customer_id"].isin(some)])
    assert 0.35 < len(some) / 120 < 0.65
    assert of_some_customers(pairs.sample(frac=1, random_state=0), len(pairs) // 2)["customer_id"].isin(some).all()
