"""The segments of a window, and one row of measures for each: bands, slices, groups, and what a tree finds.

A segment is where observed and expected outcomes may part while the whole looks as ever. Bands are taken of every
feature and of the score, slices are the problem's, groups are columns of categories. A segment that nobody thought of
is looked for by a shallow tree on the residuals of one half of the customers, and believed only when the other half
confirms it.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.metrics import Array, auc, bands
from ml_models.monitoring.performance.thresholds import BANDS, LEAF_SHARE, MINIMUM_ROWS, MOST_VALUES, TREE_DEPTH
from ml_models.monitoring.performance.windows import Curve, Judged, Window, Windows
from ml_models.monitoring.thresholds import DEVIATION_OF_MAD, MINIMUM_WINDOWS
from ml_models.problems.contract import Problem

Codes = npt.NDArray[np.int64]

OVERALL = "all"
"""The `segment_column` of the row of all customers."""

FOUND = "found"
"""The `segment_column` of segments that a tree found."""

SCORE = "score"
"""The `segment_column` of the bands of the score."""


class Segments:
    """Segments by bands of every feature and the score, the problem's slices, and the values of group columns."""

    def __init__(
        self, windows: Windows, teaching: Sequence[pd.Timestamp], problem: Problem, groups: Sequence[str]
    ) -> None:
        self.problem, self.groups = problem, tuple(groups)
        recent = [windows.window(day) for day in teaching[-MINIMUM_WINDOWS:]]
        values = np.concatenate([window.values for window in recent])
        scores = np.concatenate([window.score for window in recent])
        self.edges = [_edges(values[:, position]) for position in range(values.shape[1])]
        self.score_edges = _edges(scores)
        self.usual_values = {
            name: _common(pd.concat([window.column(name) for window in recent])) for name in self.groups
        }

    def measure(self, judged: Judged) -> list[dict[str, object]]:
        """Return the overall row and one for each segment with any rows."""
        rows = [_overall(judged)]
        values = judged.values
        for position, name in enumerate(self.problem.features):
            rows += _aggregate(judged, name, *_banded(values[:, position], self.edges[position]))
        rows += _aggregate(judged, SCORE, *_banded(judged.score, self.score_edges))
        for rule in self.problem.slices:
            named = bands(judged.column(rule.feature), rule)
            codes, names = pd.factorize(named, sort=False)
            rows += _aggregate(judged, rule.name, codes.astype("int64"), [str(name) for name in names])
        for name in self.groups:
            part = judged.column(name)
            text = part.astype(object).where(part.notna(), "null").astype(str)
            codes, names = pd.factorize(text.where(text.isin(self.usual_values[name]), "other"))
            rows += _aggregate(judged, name, codes.astype("int64"), [str(value) for value in names])
        return rows


def _common(values: pd.Series) -> set[str]:
    """Return the MOST_VALUES most frequent values as text."""
    counts = values.astype(object).where(values.notna(), "null").astype(str).value_counts()
    return set(counts.index[:MOST_VALUES])


def _edges(values: Array) -> Array:
    """Return the inner edges of BANDS bands of equal size; fewer when many values are equal."""
    present = values[~np.isnan(values)]
    if not len(present):
        return np.array([])
    edges = np.unique(np.quantile(present, np.arange(1, BANDS) / BANDS, method="higher"))
    return np.asarray(edges[edges < present.max()], dtype="float64")


def _banded(values: Array, edges: Array) -> tuple[Codes, list[str]]:
    """Return each value's band (null: the last one) and the bands' names."""
    if not len(edges):
        names = ["any"]
    else:
        inner = [f"above {low:.4g} to {high:.4g}" for low, high in itertools.pairwise(edges)]
        names = [f"up to {edges[0]:.4g}", *inner, f"above {edges[-1]:.4g}"]
    codes: Codes = np.searchsorted(edges, values, side="left").astype("int64")
    codes[np.isnan(values)] = len(names)
    return codes, [*names, "null"]


def _aggregate(judged: Judged, column: str, codes: Codes, names: list[str]) -> list[dict[str, object]]:
    """Return one row of measures for each segment of a column; `codes` are positions in `names`, -1: in none."""
    inside: npt.NDArray[np.bool_] | slice = codes >= 0 if len(codes) and codes.min() < 0 else slice(None)
    codes = codes[inside]
    n = np.bincount(codes, minlength=len(names)).astype("float64")

    def total(of: Array) -> Array:
        return np.bincount(codes, weights=of[inside], minlength=len(names)).astype("float64")

    safe = np.maximum(n, 1)
    loss = total(judged.loss) / safe
    spread = np.sqrt(np.maximum(total(judged.loss**2) / safe - loss**2, 0) / safe)
    parts = {
        "observed": total(judged.y) / safe,
        "expected": total(judged.expected) / safe,
        "noise": np.sqrt(total(judged.variance)) / safe,
        "log_loss": loss,
        "log_loss_noise": spread,
        "expected_log_loss": total(judged.entropy) / safe,
        "brier": total(judged.residual**2) / safe,
    }
    return [
        {"segment_column": column, "segment_value": names[at], "n": int(n[at])}
        | {name: float(values[at]) for name, values in parts.items()}
        for at in range(len(names))
        if n[at] and not (len(names) <= 2 and names[at] == "any")
    ]


def _overall(judged: Judged) -> dict[str, object]:
    """Return the row of all customers, which alone has an AUC and intervals."""
    row = _aggregate(judged, OVERALL, np.zeros(len(judged.y), dtype="int64"), ["all"])[0]
    area, error = auc(judged.y, judged.expected), auc_error(judged.y, judged.expected)
    loss, noise = float(judged.loss.mean()), float(judged.loss.std() / math.sqrt(len(judged.loss)))
    return row | {
        "auc": area,
        "auc_low": area - 1.96 * error,
        "auc_high": area + 1.96 * error,
        "log_loss_low": loss - 1.96 * noise,
        "log_loss_high": loss + 1.96 * noise,
        "expected_auc": _expected_auc(judged.expected, judged.expected),
    }


def auc_error(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the standard error of an AUC, rows independent (DeLong et al. 1988, by ranks); nan with one class.

    Within a cutoff a customer has one row, so that this is the error by customer.
    """
    y, p = np.asarray(labels) == 1, np.asarray(scores, dtype="float64")
    positives, negatives = int(y.sum()), int((~y).sum())
    if min(positives, negatives) < 2:
        return math.nan
    ranks = pd.Series(p).rank().to_numpy()
    above = (ranks[y] - pd.Series(p[y]).rank().to_numpy()) / negatives
    below = 1 - (ranks[~y] - pd.Series(p[~y]).rank().to_numpy()) / positives
    return math.sqrt(above.var(ddof=1) / positives + below.var(ddof=1) / negatives)


def _expected_auc(probability: Array, score: Array) -> float:
    """Return the AUC of `score` expected when each row is positive with `probability`, ties counting half."""
    order = np.argsort(score, kind="stable")
    p, s = probability[order], score[order]
    starts = np.flatnonzero(np.r_[True, np.diff(s) > 0])
    positive, negative = np.add.reduceat(p, starts), np.add.reduceat(1 - p, starts)
    below = np.cumsum(negative) - negative
    # A row is no pair with itself.
    own = (p * (1 - p)).sum() / 2
    pairs = p.sum() * (1 - p).sum() - (p * (1 - p)).sum()
    return float(((positive * (below + negative / 2)).sum() - own) / pairs) if pairs > 0 else math.nan


def estimated(window: Window, curve: Curve) -> dict[str, object]:
    """Return the row that needs no outcome: what the scores promise if the `curve` still holds."""
    promised = curve(window.score)
    loss = -(promised * np.log(window.score) + (1 - promised) * np.log1p(-window.score))
    return {
        "segment_column": OVERALL,
        "segment_value": OVERALL,
        "n": len(window.score),
        "expected": float(promised.mean()),
        "expected_log_loss": float(loss.mean()),
        "log_loss_noise": float(loss.std() / math.sqrt(max(len(loss), 1))),
        "expected_auc": _expected_auc(promised, window.score),
    }


def found_segments(judged: Judged, past: Sequence[tuple[Array, Array]], problem: Problem) -> list[dict[str, object]]:
    """Return the leaves of a shallow tree on one half's residuals, measured on the other half, with their past.

    The half that grew the tree would confirm whatever it found; the other half does so only when it is there. `past`:
    features (n, columns) and residuals (n,) of earlier windows, oldest first.
    """
    from sklearn.tree import DecisionTreeRegressor

    half = judged.window.half[judged.rows]
    if min(int(half.sum()), int((~half).sum())) < 2 * MINIMUM_ROWS or len(past) < MINIMUM_WINDOWS:
        return []
    values = judged.values
    tree = DecisionTreeRegressor(
        max_depth=TREE_DEPTH, min_samples_leaf=max(MINIMUM_ROWS, int(LEAF_SHARE * half.sum())), random_state=0
    )
    tree.fit(values[half], judged.residual[half])
    leaves = tree.apply(values[~half])
    earlier = [(tree.apply(features), residual) for features, residual in past]
    rows: list[dict[str, object]] = []
    for leaf, name in _leaf_names(tree, problem).items():
        inside = np.flatnonzero(~half)[leaves == leaf]
        n = len(inside)
        gaps = [residual[at == leaf].mean() for at, residual in earlier if (at == leaf).sum() >= MINIMUM_ROWS]
        if not n or len(gaps) < MINIMUM_WINDOWS:
            continue
        # Weeks of a slow fault may be among them: the middle of the past, not its mean.
        usual = float(np.median(gaps))
        spread = DEVIATION_OF_MAD * float(np.median(np.abs(np.array(gaps) - usual)))
        rows.append(
            {
                "segment_column": FOUND,
                "segment_value": name,
                "n": n,
                "observed": float(judged.y[inside].mean()),
                "expected": float(judged.expected[inside].mean()),
                "noise": float(math.sqrt(judged.variance[inside].sum()) / n),
                "log_loss": float(judged.loss[inside].mean()),
                "expected_log_loss": float(judged.entropy[inside].mean()),
                "past_gap": usual,
                "past_spread": spread,
                "past_windows": len(gaps),
            }
        )
    return rows


def _leaf_names(tree: object, problem: Problem) -> dict[int, str]:
    """Return each leaf's conditions in words; a tree that found nothing to split has no leaf."""
    inner = tree.tree_  # type: ignore[attr-defined]
    names: dict[int, str] = {}

    def walk(node: int, conditions: tuple[str, ...]) -> None:
        if inner.children_left[node] < 0:
            if conditions:
                names[node] = " and ".join(conditions)
            return
        feature, edge = problem.features[inner.feature[node]], inner.threshold[node]
        walk(inner.children_left[node], (*conditions, f"{feature} <= {edge:.4g}"))
        walk(inner.children_right[node], (*conditions, f"{feature} > {edge:.4g}"))

    walk(0, ())
    return names
