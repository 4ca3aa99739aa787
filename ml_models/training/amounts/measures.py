"""Measures of predicted amounts: error, total, order; by slice; with customer-clustered uncertainty.

Amounts are cents. All arrays have shape (n,).
"""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.metrics import Interval, grouped_mean

AMOUNT_METRICS = ("mean_seen", "mean_predicted", "total_ratio", "absolute_error", "root_squared_error", "order")
MINIMUM_ROWS = 200
"""Below this the error of a slice swings by more than any difference worth acting on."""

TENTHS = 10


def amount_metrics(seen: npt.ArrayLike, predicted: npt.ArrayLike) -> dict[str, float]:
    """Return n and AMOUNT_METRICS.

    Means, total predicted over total seen, mean absolute and root mean squared error, and `order`, Spearman's rank
    correlation; what cannot be said is nan.

    >>> found = amount_metrics([0, 100, 300], [50, 100, 250])
    >>> found["n"], found["total_ratio"], round(found["absolute_error"], 2), found["order"]
    (3.0, 1.0, 33.33, 1.0)
    """
    y, p = np.asarray(seen, dtype="float64"), np.asarray(predicted, dtype="float64")
    if not len(y):
        return {"n": 0.0, **dict.fromkeys(AMOUNT_METRICS, math.nan)}
    total = y.sum()
    told = len(y) > 1 and np.ptp(y) > 0 and np.ptp(p) > 0
    return {
        "n": float(len(y)),
        "mean_seen": float(y.mean()),
        "mean_predicted": float(p.mean()),
        "total_ratio": float(p.sum() / total) if total else math.nan,
        "absolute_error": float(np.abs(y - p).mean()),
        "root_squared_error": float(np.sqrt(((y - p) ** 2).mean())),
        "order": float(pd.Series(y).rank().corr(pd.Series(p).rank())) if told else math.nan,
    }


def paired_absolute(
    seen: npt.ArrayLike, predicted: npt.ArrayLike, other: npt.ArrayLike, groups: npt.ArrayLike
) -> Interval:
    """Return the mean difference in absolute error, predicted minus other (negative: better), on the same rows.

    The 95 % interval is a bootstrap over whole customers (`groups`).
    """
    y, p, o = (np.asarray(one, dtype="float64") for one in (seen, predicted, other))
    return grouped_mean(np.abs(y - p) - np.abs(y - o), groups)


def paired_squared(
    seen: npt.ArrayLike, predicted: npt.ArrayLike, other: npt.ArrayLike, groups: npt.ArrayLike
) -> Interval:
    """Return the same of squared errors, in squared cents."""
    y, p, o = (np.asarray(one, dtype="float64") for one in (seen, predicted, other))
    return grouped_mean((y - p) ** 2 - (y - o) ** 2, groups)


def off_by(seen: npt.ArrayLike, predicted: npt.ArrayLike, groups: npt.ArrayLike) -> Interval:
    """Return by which share of what was seen the predictions are above it in all, with its interval over customers."""
    y, p = np.asarray(seen, dtype="float64"), np.asarray(predicted, dtype="float64")
    mean = float(y.mean()) if len(y) else 0.0
    if mean <= 0:
        return Interval(math.nan, math.nan, math.nan)
    found = grouped_mean(p - y, groups)
    return Interval(found.value / mean, found.low / mean, found.high / mean)


def movement(seen: npt.ArrayLike, cutoffs: npt.ArrayLike) -> float:
    """Return by which share the mean amount moves from cutoff to cutoff, as a standard deviation; 0 of one cutoff.

    >>> round(movement([90, 110, 99, 121], [1, 1, 2, 2]), 4)
    0.0673
    """
    means = pd.Series(np.asarray(seen, dtype="float64")).groupby(np.asarray(cutoffs)).mean()
    return float(means.std(ddof=1) / means.mean()) if len(means) > 1 and means.mean() > 0 else 0.0


def tenths(seen: npt.ArrayLike, predicted: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> pd.DataFrame:
    """Return one row a tenth of the predictions, the smallest first: n, mean_predicted, mean_seen.

    With `groups` also `low` and `high`, the interval of the mean difference, predicted minus seen.
    """
    frame = pd.DataFrame({"seen": np.asarray(seen, dtype="float64"), "predicted": np.asarray(predicted, "float64")})
    order = frame["predicted"].rank(method="first")
    frame["tenth"] = np.ceil(order / max(len(frame), 1) * TENTHS).astype("int64")
    if groups is not None:
        frame["group"] = np.asarray(groups)
    rows = []
    for tenth, part in frame.groupby("tenth"):
        row = {
            "tenth": tenth,
            "n": len(part),
            "mean_predicted": part["predicted"].mean(),
            "mean_seen": part["seen"].mean(),
        }
        if groups is not None:
            found = grouped_mean((part["predicted"] - part["seen"]).to_numpy(), part["group"].to_numpy())
            row |= {"low": found.low, "high": found.high}
        rows.append(row)
    return pd.DataFrame(rows)


def by_slice(seen: npt.ArrayLike, predicted: npt.ArrayLike, slices: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Return one row a slice value: slice_name, slice_value, n, AMOUNT_METRICS, note.

    Of a slice below MINIMUM_ROWS rows errors and order are nan, and `note` says why; n and means are always given.
    """
    y, p = np.asarray(seen, dtype="float64"), np.asarray(predicted, dtype="float64")
    rows = []
    for name, values in slices.items():
        texts = values.reset_index(drop=True)
        for value in texts.dropna().unique():
            mask = (texts == value).to_numpy()
            found, note = amount_metrics(y[mask], p[mask]), ""
            if mask.sum() < MINIMUM_ROWS:
                note = f"insufficient evidence: {int(mask.sum())} rows, at least {MINIMUM_ROWS} are needed"
                found |= dict.fromkeys(("absolute_error", "root_squared_error", "order"), math.nan)
            rows.append({"slice_name": name, "slice_value": str(value), **found, "note": note})
    return pd.DataFrame(rows, columns=["slice_name", "slice_value", "n", *AMOUNT_METRICS, "note"])
