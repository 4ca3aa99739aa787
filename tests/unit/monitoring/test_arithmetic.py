"""The judgement's own medians are numpy's, with none of its warnings."""

import warnings

import numpy as np
import pytest

from ml_models.monitoring.data_quality.arithmetic import nanmedian


@pytest.mark.parametrize("lost", [0.0, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("weeks", [1, 2, 7, 8])
def test_a_median_is_numpys_where_there_is_a_value(weeks, lost):
    random = np.random.default_rng(weeks)
    values = random.normal(size=(weeks, 200)) * 10.0 ** random.integers(-5, 6, size=200)
    values[0, :3] = [np.inf, -np.inf, 0.0]
    values[random.random(values.shape) < lost] = np.nan
    with warnings.catch_warnings(action="error"):
        found = nanmedian(values)
    with warnings.catch_warnings(action="ignore"):
        wanted = np.nanmedian(values, axis=0)
    assert np.array_equal(found, wanted, equal_nan=True)


def test_of_no_weeks_there_is_no_median():
    assert np.isnan(nanmedian(np.empty((0, 3)))).tolist() == [True] * 3
