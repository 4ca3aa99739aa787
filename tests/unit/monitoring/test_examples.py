"""The examples in the docstrings of the monitoring's formulas say what the functions return."""

import doctest

import pytest

from ml_models.monitoring.diagnosis import loss_split
from ml_models.monitoring.drift import distances


@pytest.mark.parametrize("module", [distances, loss_split], ids=lambda module: module.__name__)
def test_examples_in_docstrings_hold(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
