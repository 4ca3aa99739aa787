"""Medians, scales and floors on arrays of weeks by series; nothing here knows of tables or anomalies."""

import math

import numpy as np
import numpy.typing as npt

from ml_models.monitoring.data_quality.thresholds import DESIGN_EFFECT, DEVIATIONS

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def nanmedian(values: Array) -> Array:
    """Return the median along the first axis, nan (without a warning) where there is no value.

    numpy's own masks an array for this, which costs ten times as much on the small ones that are judged here.
    """
    if not len(values):
        return np.full(values.shape[1:], np.nan)
    ordered = np.sort(values, axis=0)  # nan sorts last
    count = (~np.isnan(values)).sum(axis=0)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(values) - 1)
    lower, upper = (np.take_along_axis(ordered, place[None], axis=0)[0] for place in (low, high))
    median: Array = (lower + upper) / 2
    return median


def scaled(values: Array, reference: float) -> Array:
    """Return values on a scale where equal steps are equal ratios, also around zero and below it.

    asinh(x / s) is log(2x / s) for x >> s; s is a twentieth of the column's usual mean.
    """
    return np.arcsinh(values / max(abs(reference) / 20, 1e-9))


def share_floor(floor: float, centre: Array, count: Array, quiet: Array) -> Array:
    """Return the least difference of a share that counts: beyond chance; what never happened before counts earlier."""
    with np.errstate(invalid="ignore", divide="ignore"):
        safe = np.clip(centre, 1 / np.maximum(count, 1), 0.5)
        chance = DEVIATIONS * np.sqrt(DESIGN_EFFECT * safe * (1 - safe) / np.maximum(count, 1))
    return np.where(quiet, np.maximum(floor / 4, 5 / np.maximum(count, 1)), np.maximum(floor, chance))


def wrong_side(difference: Array, limit: Array, side: str) -> Mask:
    """Return what lies beyond its limit on the side that is wrong: "up", "down" or "both"."""
    with np.errstate(invalid="ignore"):
        up, down = difference > limit, difference < -limit
    return up if side == "up" else down if side == "down" else up | down


def smaller(one: Array, other: Array) -> Array:
    """Return the difference closer to zero where both have the same sign, else 0."""
    with np.errstate(invalid="ignore"):
        return np.where(one * other > 0, np.where(np.abs(one) < np.abs(other), one, other), 0.0)


def weighted_quantile(values: Array, weights: Array, share: float) -> float:
    """Return the value that this share of the weight does not exceed."""
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(cumulated, share * cumulated[-1])), len(values) - 1)])


def rounded(factor: float) -> float:
    """Return the power of ten that a factor nearly is (units are off by powers of ten), else three digits of it."""
    power = round(math.log10(factor)) if factor > 0 else 0
    near = power != 0 and abs(math.log10(factor) - power) < 0.15
    return float(10.0**power) if near else float(f"{factor:.3g}")
