"""Lists under other definitions of the measures, on one customer whose figures are worked out by hand."""

import math

import pandas as pd
import pytest

from ml_models.problems.next_product.otherwise import (
    DEFINITIONS,
    best_lists,
    means,
    named_by_candidates,
    otherwise,
)

CUTOFF = pd.Timestamp("2024-05-06")


def rows(columns, *given):
    return pd.DataFrame([("ann", CUTOFF, *row) for row in given], columns=["customer_id", "cutoff_date", *columns])


# Milk on four days, bread on two, twelve more types once: fourteen types, eighteen purchases.
PURCHASES = rows(
    ["product_type", "is_repeat", "days"],
    ("milk", 1, 4),
    ("bread", 1, 2),
    *((f"once {number:02d}", 0, 1) for number in range(12)),
)
LISTS = rows(["product_type", "place"], ("milk", 1), ("eggs", 2), ("bread", 3))


def discount(place):
    return 1 / math.log2(place + 1)


def test_the_same_list_is_measured_by_every_definition():
    [found] = otherwise(LISTS, PURCHASES).to_dict("records")
    gain = discount(1) + discount(3)
    ten, all_of_it = (sum(discount(place) for place in range(1, last + 1)) for last in (10, 14))
    graded = 4 * discount(1) + 2 * discount(2) + all_of_it - discount(1) - discount(2)
    assert found["recall"] == pytest.approx(2 / 14)
    assert found["ndcg"] == pytest.approx(gain / ten)
    assert found["ndcg_of_all"] == pytest.approx(gain / all_of_it)
    assert found["recall_of_purchases"] == pytest.approx(6 / 18)
    assert found["ndcg_of_purchases"] == pytest.approx((4 * discount(1) + 2 * discount(3)) / graded)


def test_who_bought_nothing_is_in_no_mean():
    idle = LISTS.assign(customer_id="bob")
    judged = otherwise(pd.concat([LISTS, idle]), PURCHASES)
    assert judged.set_index("customer_id").loc["bob", list(DEFINITIONS)].isna().all()
    assert means(judged)["recall"] == pytest.approx(2 / 14)


def test_the_best_lists_name_what_was_bought_most_often_and_nothing_beyond_ten():
    types = [*(f"never {number:02d}" for number in range(5)), "bread", "milk", "once 03"]
    best = best_lists(rows(["product_type"], *((name,) for name in types)), PURCHASES)
    assert best["product_type"].to_list()[:3] == ["milk", "bread", "once 03"]
    many = best_lists(PURCHASES[["customer_id", "cutoff_date", "product_type"]], PURCHASES)
    assert many["place"].to_list() == list(range(1, 11))


def test_what_no_candidate_names_is_told():
    named = named_by_candidates(rows(["product_type"], ("milk",), ("eggs",), ("once 00",), ("once 01",)), PURCHASES)
    assert named == pytest.approx({"types": 3 / 14, "repeats": 1 / 2, "new": 2 / 12})
