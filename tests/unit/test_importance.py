"""Importance is what a prediction loses when a feature is taken to its typical value."""

import numpy as np
import pandas as pd

from ml_models.importance import feature_importance

ROWS = pd.DataFrame({"a": [1, 2, 3, 8], "b": [0.0, 10.0, 20.0, np.nan], "c": [5, 5, 5, 5], "other": list("wxyz")})


def test_of_a_linear_model_it_is_the_mean_size_of_coefficient_times_deviation():
    found = feature_importance(lambda rows: (3 * rows["a"] - rows["c"]).to_numpy(), ROWS, ["a", "c"])
    # Medians 2.5 and 5: deviations of 1.5, .5, .5, 5.5.
    assert found.to_dict() == {"a": 3 * 2.0, "c": 0.0}


def test_a_value_that_is_not_known_moves_to_the_typical_one_as_well():
    found = feature_importance(lambda rows: rows["b"].fillna(0).to_numpy(), ROWS, ["b"])
    assert found["b"] == np.mean([10, 0, 10, 10])


def test_the_rows_are_as_they_were_and_without_rows_nothing_matters():
    before = ROWS.copy()
    feature_importance(lambda rows: rows["a"].to_numpy(), ROWS, ["a"])
    pd.testing.assert_frame_equal(ROWS, before)
    assert feature_importance(lambda _: np.array([1.0]), ROWS.head(0), ["a"]).to_dict() == {"a": 0.0}
