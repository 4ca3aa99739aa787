"""A type renamed, a department gone, a campaign: what is told of each, and what follows."""

import numpy as np
import pandas as pd
import pytest

from ml_models.problems.next_product.assortment import changes

WEEKS = 24
FAULT = pd.Timestamp("2024-01-01") + pd.Timedelta(weeks=20)


@pytest.fixture(scope="module")
def usual():
    """Half a year of thirty types, bought by some hundred customers, a little otherwise each week."""
    generator = np.random.default_rng(5)
    size = 400 / (1 + np.arange(30))
    rows = [
        (pd.Timestamp("2024-01-01") + pd.Timedelta(weeks=week), f"type {place:02d}", int(generator.poisson(mean)))
        for week in range(WEEKS)
        for place, mean in enumerate(size)
    ]
    made = pd.DataFrame(rows, columns=["cutoff_date", "product_type", "buyers_lately"])
    return made[made["buyers_lately"] > 0]


def told(popular):
    return changes(popular, 28).set_index("cutoff_date")


def from_fault_on(popular):
    return popular["cutoff_date"] >= FAULT


def test_an_ordinary_half_year_is_as_usual(usual):
    verdicts = told(usual)["verdict"]
    assert set(verdicts) == {"as usual", "too little to say"}
    assert (verdicts == "too little to say").sum() == 6


def test_a_renamed_type_is_to_be_inspected_and_named(usual):
    renamed = usual.copy()
    renamed.loc[from_fault_on(renamed) & (renamed["product_type"] == "type 02"), "product_type"] = "TYPE 2 (NEW)"
    found = told(renamed).loc[FAULT]
    assert (found["verdict"], found["decision"]) == ("renamed", "inspect")
    assert "type 02" in found["examples"]
    assert "TYPE 2 (NEW)" in found["examples"]
    assert "staging" in found["sentence"]


def test_a_department_that_vanished_is_to_be_inspected(usual):
    department = [f"type {place:02d}" for place in range(3, 9)]
    found = told(usual[~(from_fault_on(usual) & usual["product_type"].isin(department))]).loc[FAULT]
    assert (found["verdict"], found["decision"]) == ("vanished", "inspect")
    assert "type 03" in found["examples"]


def test_a_campaign_is_behaviour_and_no_fault(usual):
    flipped = usual.copy()
    names = {f"type {place:02d}": f"type {9 - place:02d}" for place in range(10)}
    there = from_fault_on(flipped)
    flipped.loc[there, "product_type"] = flipped.loc[there, "product_type"].replace(names)
    found = told(flipped).loc[FAULT]
    assert (found["verdict"], found["decision"]) == ("campaign", "continue")


def test_a_cutoff_that_was_unusual_does_not_become_usual(usual):
    department = [f"type {place:02d}" for place in range(3, 9)]
    twice = usual[
        ~(usual["cutoff_date"].isin([FAULT, FAULT + pd.Timedelta(weeks=1)]) & usual["product_type"].isin(department))
    ]
    found = told(twice)
    assert found.loc[FAULT, "decision"] == found.loc[FAULT + pd.Timedelta(weeks=1), "decision"] == "inspect"
