"""Bounds of behaviour can be met at any rate of lapsing, and one that cannot be met is refused when it is defined."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support.bundled import FEATURES, PROBLEM

from ml_models.problems.contract import Expectation
from ml_models.training.behaviour import behaves

BEHAVIOUR = PROBLEM.behaviour


@pytest.mark.parametrize("rate", [0.03, 0.1, 0.6, 0.75, 0.9])
def test_a_model_that_works_passes_at_any_base_rate(training_set: pd.DataFrame, rate: float) -> None:
    """Half and more of a company's customers lapse where they buy rarely: twice that rate would be above one."""
    train = training_set[training_set["split"] == "train"]
    fitted = PROBLEM.candidates[0].build({"C": 0.02}, 0).fit(train[FEATURES], train["lapsed"])
    fitted[-1].intercept_ = fitted[-1].intercept_ + np.log(rate / (1 - rate)) - np.log(0.1 / 0.9)
    rows = training_set[training_set["split"] == "holdout"].tail(900)
    assert [one.sentence for one in behaves(fitted, rows, PROBLEM) if not one.passed] == []


@pytest.mark.parametrize(
    "bound", [{"extremes": 1.0}, {"extremes": float("inf")}, {"price_factor": 0.0}, {"price_tolerance": -0.1}]
)
def test_a_bound_that_cannot_be_met_is_refused_in_a_sentence(bound: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"Expected `{next(iter(bound))}` to be"):
        replace(BEHAVIOUR, **bound)


def test_a_step_that_no_model_can_show_is_refused() -> None:
    with pytest.raises(ValueError, match="half a standard deviation moves no model further"):
        Expectation("a customer who comes less often", ("frequency",), 9.0)
