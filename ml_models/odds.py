"""Rates moved in odds, where there is room at any rate: twice a rate of .6 would be no probability."""

import math

import numpy as np
import numpy.typing as npt

EDGE = 1e-12
"""How near to 0 and 1 a rate may come before its log-odds are taken."""


def moved_odds(rate: float, step: float) -> float:
    """Return the rate (0 to 1) whose log-odds are `step` above those of `rate`; it stays between 0 and 1.

    >>> round(moved_odds(0.1, math.log(2.2)), 3), round(moved_odds(0.6, math.log(2.2)), 3)
    (0.196, 0.767)
    """
    p = min(max(rate, EDGE), 1 - EDGE)
    odds = p / (1 - p) * math.exp(step)
    return odds / (1 + odds)


def log_odds(rates: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the log-odds of rates, clipped so that 0 and 1 have some."""
    p = np.clip(np.asarray(rates, dtype="float64"), EDGE, 1 - EDGE)
    result: npt.NDArray[np.float64] = np.log(p) - np.log1p(-p)
    return result
