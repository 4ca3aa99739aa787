"""Lists: how they are ordered, what they are worth, and what people expect of them, on pairs that are written down."""

import numpy as np
import pandas as pd
import pytest

from ml_models.problems.next_product import behaviour
from ml_models.problems.next_product.baselines import neighbours, popular, top_frequency
from ml_models.problems.next_product.measures import breadth, judged, paired, summary
from ml_models.problems.next_product.rankings import HABITS, POPULAR, lists_of, overlap

CUTOFF = pd.Timestamp("2024-05-06")
TYPES = [f"type {number:02d}" for number in range(30)]


def pair(customer, name, days=0, since=None, customer_days=8, popularity=0.5, **others):
    return {
        "customer_id": customer,
        "cutoff_date": CUTOFF,
        "product_type": name,
        "days_bought": days,
        "days_bought_lately": min(days, 2),
        "faded_days": 700 * days,
        "days_since": since if days else np.nan,
        "gap_days": 7.0 if days > 1 else np.nan,
        "share_of_days": days / customer_days,
        "popularity": popularity,
        "popularity_lately": popularity,
        "customer_days": customer_days,
        "customer_recency_days": 2,
        "customer_types": 20,
        "days_bought_before": 0,
        **others,
    }


def shop(customers=40, seed=3, names=TYPES):
    """Return customers with a few habits each, one of them a stranger; the first types are the most popular ones."""
    generator, rows = np.random.default_rng(seed), []
    for number in range(customers):
        stranger = number == 0
        for place, name in enumerate(names):
            days = int(generator.integers(1, 7)) if generator.random() < 0.4 else 0
            rows.append(
                pair(
                    f"c{number:02d}",
                    name,
                    min(days, 1) if stranger else days,
                    since=int(generator.integers(2, 60)),
                    customer_days=1 if stranger else 8,
                    popularity=1 / (1 + place),
                )
            )
    return pd.DataFrame(rows)


def bought(*rows):
    return pd.DataFrame(
        [(customer, CUTOFF, name, repeat) for customer, name, repeat in rows],
        columns=["customer_id", "cutoff_date", "product_type", "is_repeat"],
    )


def test_a_list_is_the_ten_best_pairs_and_equal_scores_are_ordered_by_popularity():
    pairs = pd.DataFrame([pair("a", name, popularity=place / 30) for place, name in enumerate(TYPES)])
    scores = np.where(pairs["product_type"] == "type 03", 1.0, 0.5)
    made = lists_of(pairs, scores)
    assert list(made["place"]) == list(range(1, 11))
    assert list(made["product_type"][:3]) == ["type 03", "type 29", "type 28"]
    shuffled = pairs.sample(frac=1, random_state=1)
    again = lists_of(shuffled, np.where(shuffled["product_type"] == "type 03", 1.0, 0.5))
    assert list(again["product_type"]) == list(made["product_type"])


def test_lists_are_those_of_all_pairs_sorted():
    """Cell for cell, also with equal scores, scores that are missing, and pairs in any order."""
    later = shop(seed=4).assign(cutoff_date=CUTOFF + pd.Timedelta(days=7))
    pairs = pd.concat([shop(), later]).sample(frac=1, random_state=2)
    generator = np.random.default_rng(5)
    scores = np.where(generator.random(len(pairs)) < 0.1, np.nan, np.round(generator.random(len(pairs)), 1))
    popular = pairs["customer_days"] < 2
    popularity = pairs["popularity_lately"] + 1e-6 * pairs["popularity"]
    slow = pairs.assign(
        score=scores,
        basis=np.where(popular, POPULAR, HABITS),
        by=np.where(popular, popularity, scores),
        then=popularity,
    ).sort_values(
        ["cutoff_date", "customer_id", "by", "then", "product_type"], ascending=[True, True, False, False, True]
    )
    slow["place"] = slow.groupby(["cutoff_date", "customer_id"]).cumcount() + 1
    slow = slow[slow["place"] <= 10].drop(columns=["by", "then"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(lists_of(pairs, scores), slow, check_exact=True)
    assert lists_of(pairs.iloc[:0], []).empty


def test_a_customer_of_one_day_gets_what_most_buy_and_the_list_says_so():
    pairs = pd.DataFrame(
        [
            pair(customer, name, days=int(name == "tea"), since=2, customer_days=days, popularity=popularity)
            for customer, days in (("stranger", 1), ("regular", 5))
            for name, popularity in (("tea", 0.1), ("milk", 1.0), ("bread", 0.6))
        ]
    )
    made = lists_of(pairs, top_frequency(pairs)).set_index("customer_id")
    assert list(made.loc["stranger", "product_type"]) == ["milk", "bread", "tea"]
    assert set(made.loc["stranger", "basis"]) == {POPULAR}
    assert list(made.loc["regular", "product_type"]) == ["tea", "milk", "bread"]
    assert set(made.loc["regular", "basis"]) == {HABITS}


def test_measures_are_those_that_are_counted_by_hand():
    pairs = pd.DataFrame([pair(who, name) for who in "ab" for name in TYPES[:12]])
    lists = lists_of(pairs, np.tile(np.arange(12, 0, -1), 2))
    outcomes = bought(("a", "type 00", 1), ("a", "type 02", 0), ("a", "type 11", 1), ("a", "never a candidate", 0))
    rows = judged(lists, outcomes).set_index("customer_id")
    # Places 1 and 3 hit, of four types bought: two repeats, two new.
    assert rows.loc["a", "recall"] == pytest.approx(2 / 4)
    assert rows.loc["a", "ndcg"] == pytest.approx((1 + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2 + 1 / np.log2(5)))
    assert (rows.loc["a", "repeat_recall"], rows.loc["a", "new_recall"]) == (0.5, 0.5)
    assert rows.loc["b", ["recall", "ndcg"]].isna().all(), "who bought nothing is in no mean"
    told = summary(rows.reset_index())
    assert (told["lists"], told["bought_nothing"], told["recall"]) == (2, 1, 0.5)


def test_a_perfect_list_is_one_however_much_was_bought():
    pairs = pd.DataFrame([pair("a", name) for name in TYPES])
    lists = lists_of(pairs, np.arange(30, 0, -1))
    rows = judged(lists, bought(*[("a", name, 1) for name in TYPES]))
    assert rows["ndcg"].iloc[0] == pytest.approx(1)
    assert rows["recall"].iloc[0] == pytest.approx(10 / 30)


def test_lists_of_different_customers_are_not_compared():
    lists = lists_of(shop(), top_frequency(shop()))
    rows = judged(lists, bought(("c01", "type 00", 1)))
    with pytest.raises(ValueError, match="40 and 39"):
        paired(rows, rows[rows["customer_id"] != "c05"])
    same = paired(rows, rows)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_one_list_for_all_names_a_third_and_is_as_concentrated_as_can_be():
    pairs = shop()
    same = breadth(lists_of(pairs, popular(pairs)), pairs)
    assert same.coverage == pytest.approx(10 / 30)
    assert same.concentration == pytest.approx(2 / 3)
    own = breadth(lists_of(pairs, top_frequency(pairs)), pairs)
    assert own.coverage > same.coverage
    assert own.concentration < same.concentration


def test_neighbours_name_what_similar_customers_buy_and_nobody_is_their_own_neighbour():
    rows = [pair(f"twin {n}", name, days=3, since=3) for n in range(5) for name in ("a", "b", "c")]
    rows += [pair("asked", name, days=3 if name != "c" else 0, since=3) for name in ("a", "b", "c", "z")]
    rows += [pair(f"other {n}", "z", days=3, since=3) for n in range(5)]
    pairs = pd.DataFrame(rows)
    scores = pd.Series(neighbours(pairs), index=pairs.index)
    asked = pairs["customer_id"] == "asked"
    by_type = scores[asked].set_axis(pairs.loc[asked, "product_type"])
    assert by_type["a"] > by_type["c"] > 0
    alone = pairs[asked]
    assert neighbours(alone)[alone["days_bought"].to_numpy() == 0].sum() == 0


def test_neighbours_are_the_same_in_one_block_and_in_many(monkeypatch):
    from ml_models.problems.next_product import baselines

    whole = neighbours(shop())
    monkeypatch.setattr(baselines, "BLOCK", 7)
    assert neighbours(shop()) == pytest.approx(whole)


def test_personal_frequency_is_all_that_people_expect():
    verdicts = {one.name: one for one in behaviour.expectations(shop(), top_frequency)}
    assert all(one.passed for one in verdicts.values()), [one.sentence for one in verdicts.values()]


def test_a_model_that_reads_popularity_alone_is_refused():
    pairs = shop(names=[f"type {number:03d}" for number in range(120)])
    verdicts = {one.name: one for one in behaviour.expectations(pairs, popular)}
    assert not verdicts["not_the_popular_alone"].passed
    assert verdicts["strangers_get_the_popular"].passed


def test_a_model_that_a_twin_confuses_is_refused():
    def nervous(pairs):
        return np.sin(1e4 * pairs["popularity"].to_numpy()) + 0.01 * pairs["days_bought"].to_numpy()

    verdicts = {one.name: one for one in behaviour.expectations(shop(), nervous)}
    assert not verdicts["twins_change_little"].passed


def test_what_nobody_buys_is_seen():
    pairs = shop()
    pairs.loc[pairs["product_type"] == "type 00", ["popularity", "popularity_lately"]] = 0.0
    verdicts = {one.name: one for one in behaviour.expectations(pairs, top_frequency)}
    assert not verdicts["all_can_be_bought"].passed


def test_without_the_newest_day_a_type_bought_on_that_day_only_is_new_again():
    pairs = pd.DataFrame(
        [pair("a", "once", 1, since=2), pair("a", "often", 4, since=2), pair("a", "older", 3, since=9)]
    )
    older = behaviour.without_newest_day(pairs).set_index("product_type")
    assert older.loc["once", ["days_bought", "faded_days"]].to_list() == [0, 0]
    assert np.isnan(older.loc["once", "days_since"])
    assert older.loc["often", ["days_bought", "days_since"]].to_list() == [3, 9]
    assert older.loc["older", ["days_bought", "days_since"]].to_list() == [3, 9]
    assert older["customer_days"].to_list() == [7, 7, 7]


def test_overlap_counts_shared_types():
    pairs = shop()
    one = lists_of(pairs, top_frequency(pairs))
    assert overlap(one, one) == 1
    assert 0 < overlap(one, lists_of(pairs, -top_frequency(pairs))) < 1
