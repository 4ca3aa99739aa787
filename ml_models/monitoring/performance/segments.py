"""The segments of a window, and one row of measures for each: bands, slices, groups, and what a tree finds.

A segment is where observed and expected outcomes may part while the whole looks as ever. Bands are taken of every
feature and of the score, slices are the problem's, groups are columns of categories. A segment that nobody thought of
is looked for by a shallow tree on the residuals of one half of the customers, and believed only when the other half
confirms it.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.metrics import Array, bands
from ml_models.monitoring.performance.thresholds import BANDS, LEAF_SHARE, MINIMUM_ROWS, MOST_VALUES, TREE_DEPTH
from ml_models.monitoring.performance.windows import Curve, Judged, Window, Windows
from ml_models.monitoring.thresholds import DEVIATION_OF_MAD, MINIMUM_WINDOWS
from ml_models.problems.contract import Problem

Codes = npt.NDArray[np.integer[Any]]
Features = npt.NDArray[np.float32]

OVERALL = "all"
"""The `segment_column` of the row of all customers."""

FOUND = "found"
"""The `segment_column` of segments that a tree found."""

SCORE = "score"
"""The `segment_column` of the bands of the score."""

_CELLS = 1_000_000
"""Rows times columns that are counted at once: as many as stay small beside the rows themselves."""


class _Coded(NamedTuple):
    """A column's segments: each row's position in `names`, (n,), -1: in none."""

    column: str
    codes: Codes
    names: Sequence[str]


class Segments:
    """Segments by bands of every feature and the score, the problem's slices, and the values of group columns."""

    def __init__(
        self, windows: Windows, teaching: Sequence[pd.Timestamp], problem: Problem, groups: Sequence[str]
    ) -> None:
        self.problem, self.groups = problem, tuple(groups)
        recent = [windows.window(day) for day in teaching[-MINIMUM_WINDOWS:]]
        values = np.concatenate([window.values for window in recent])
        scores = np.concatenate([window.score for window in recent])
        edges = [_edges(column) for column in (*values.T, scores)]
        self.names = [_band_names(found) for found in edges]
        self.edges = np.array([np.r_[found, np.full(BANDS - 1 - len(found), math.inf)] for found in edges])
        self.usual_values = {
            name: _common(pd.concat([window.column(name) for window in recent])) for name in self.groups
        }

    def measure(self, judged: Judged) -> dict[str, npt.NDArray[Any]]:
        """Return the columns of measures: the overall row, and one for each segment with any rows."""
        whole = _Coded(OVERALL, np.zeros(len(judged.y), dtype="int64"), [OVERALL])
        coded = [whole, *self._bands(judged), *self._slices(judged), *self._groups(judged)]
        step = max(1, _CELLS // max(len(judged.y), 1))
        batches = [_aggregated(judged, coded[at : at + step]) for at in range(0, len(coded), step)]
        parts = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
        others = np.full(len(parts["n"]) - 1, math.nan)
        return parts | {name: np.r_[value, others] for name, value in _overall(judged).items()}

    def _bands(self, judged: Judged) -> list[_Coded]:
        values = np.vstack([judged.values.T, judged.score])
        # As many edges as lie below a value: all columns at once, those with fewer edges filled up with infinity.
        codes = np.zeros(values.shape, dtype="int8")
        for edge in self.edges.T:
            codes += values > edge[:, None]
        empty = np.isnan(values)
        columns = (*self.problem.features, SCORE)
        found = []
        for place, (column, names) in enumerate(zip(columns, self.names, strict=True)):
            codes[place, empty[place]] = len(names) - 1
            found.append(_Coded(column, codes[place], names))
        return found

    def _slices(self, judged: Judged) -> list[_Coded]:
        found = []
        for rule in self.problem.slices:
            codes, names = pd.factorize(bands(judged.column(rule.feature), rule), sort=False)
            found.append(_Coded(rule.name, codes.astype("int64"), [str(name) for name in names]))
        return found

    def _groups(self, judged: Judged) -> list[_Coded]:
        found = []
        for name in self.groups:
            part = judged.column(name)
            text = part.astype(object).where(part.notna(), "null").astype(str)
            codes, names = pd.factorize(text.where(text.isin(self.usual_values[name]), "other"))
            found.append(_Coded(name, codes.astype("int64"), [str(value) for value in names]))
        return found


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


def _band_names(edges: Array) -> list[str]:
    """Return the names of the bands between these edges; the last one is the nulls'."""
    if not len(edges):
        return ["any", "null"]
    inner = [f"above {low:.4g} to {high:.4g}" for low, high in itertools.pairwise(edges)]
    return [f"up to {edges[0]:.4g}", *inner, f"above {edges[-1]:.4g}", "null"]


def _aggregated(judged: Judged, coded: Sequence[_Coded]) -> dict[str, npt.NDArray[Any]]:
    """Return the measures of each segment with any rows, column by column in the order of their names."""
    sizes = [len(one.names) for one in coded]
    starts = np.cumsum([0, *sizes])
    outside = starts[-1]
    # One count over all columns: each has places of its own, and one place is for rows that are in no segment.
    places = np.concatenate(
        [np.where(one.codes >= 0, one.codes + at, outside) for one, at in zip(coded, starts, strict=False)]
    )
    count = np.bincount(places, minlength=outside + 1)[:outside]
    n = np.maximum(count, 1).astype("float64")

    def total(of: Array) -> Array:
        sums = np.bincount(places, weights=np.tile(of, len(coded)), minlength=outside + 1)
        return np.asarray(sums[:outside], dtype="float64")

    loss = total(judged.loss) / n
    parts = {
        "segment_column": np.repeat(np.array([one.column for one in coded], dtype=object), sizes),
        "segment_value": np.array([name for one in coded for name in one.names], dtype=object),
        "n": count,
        "observed": total(judged.y) / n,
        "expected": total(judged.expected) / n,
        "noise": np.sqrt(total(judged.variance)) / n,
        "log_loss": loss,
        "log_loss_noise": np.sqrt(np.maximum(total(judged.loss**2) / n - loss**2, 0) / n),
        "expected_log_loss": total(judged.entropy) / n,
        "brier": total(judged.residual**2) / n,
    }
    # A column with one band has nothing to tell apart.
    told = np.array([not (len(one.names) <= 2 and name == "any") for one in coded for name in one.names])
    return {name: values[told & (count > 0)] for name, values in parts.items()}


def _overall(judged: Judged) -> dict[str, float]:
    """Return what is measured of all customers alone: AUC and intervals."""
    ranked = _Ranked.of(judged.expected)
    area, error = ranked.auc(judged.y == 1)
    loss, noise = float(judged.loss.mean()), float(judged.loss.std() / math.sqrt(len(judged.loss)))
    return {
        "auc": area,
        "auc_low": area - 1.96 * error,
        "auc_high": area + 1.96 * error,
        "log_loss_low": loss - 1.96 * noise,
        "log_loss_high": loss + 1.96 * noise,
        "expected_auc": ranked.expected_auc(judged.expected),
    }


def auc_error(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the standard error of an AUC, rows independent (DeLong et al. 1988, by ranks); nan with one class.

    Within a cutoff a customer has one row, so that this is the error by customer.
    """
    return _Ranked.of(np.asarray(scores, dtype="float64")).auc(np.asarray(labels) == 1)[1]


class _Ranked(NamedTuple):
    """Scores, sorted once: `order` sorts the rows, equal scores are a group that begins at one of `starts`."""

    order: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, score: Array) -> "_Ranked":
        order = np.argsort(score, kind="stable")
        return cls(order, np.flatnonzero(np.r_[True, np.diff(score[order]) > 0]))

    def auc(self, positive: npt.NDArray[np.bool_]) -> tuple[float, float]:
        """Return the AUC and DeLong's standard error of it; nan where a class is missing, or has one row."""
        positives, negatives = int(positive.sum()), int((~positive).sum())
        if not positives or not negatives:
            return math.nan, math.nan
        # Of each row: how many of the other class rank below it, equal ones half.
        above = self._lower(~positive)[positive] / negatives
        area = float(self._lower(~positive)[positive].sum() / (positives * negatives))
        if min(positives, negatives) < 2:
            return area, math.nan
        below = 1 - self._lower(positive)[~positive] / positives
        return area, math.sqrt(above.var(ddof=1) / positives + below.var(ddof=1) / negatives)

    def _lower(self, counted: npt.NDArray[np.bool_]) -> Array:
        """Return how many of the counted rows rank below each row, equal ones half, (n,)."""
        within = np.add.reduceat(counted[self.order].astype("float64"), self.starts)
        lower = np.empty(len(self.order))
        lower[self.order] = np.repeat(np.cumsum(within) - within / 2, np.diff(np.r_[self.starts, len(self.order)]))
        return lower

    def expected_auc(self, probability: Array) -> float:
        """Return the AUC expected when each row is positive with `probability`, ties counting half."""
        p = probability[self.order]
        positive, negative = np.add.reduceat(p, self.starts), np.add.reduceat(1 - p, self.starts)
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
        "expected_auc": _Ranked.of(window.score).expected_auc(promised),
    }


def for_trees(values: Array) -> Features:
    """Return features as a decision tree reads them, so that it need not convert what it is asked of again."""
    return np.ascontiguousarray(values, dtype="float32")


def found_segments(judged: Judged, past: Sequence[tuple[Features, Array]], problem: Problem) -> list[dict[str, object]]:
    """Return the leaves of a shallow tree on one half's residuals, measured on the other half, with their past.

    The half that grew the tree would confirm whatever it found; the other half does so only when it is there. `past`:
    features (n, columns; as a tree reads them, `for_trees`) and residuals (n,) of earlier windows, oldest first.
    """
    from sklearn.tree import DecisionTreeRegressor

    half = judged.window.half[judged.rows]
    if min(int(half.sum()), int((~half).sum())) < 2 * MINIMUM_ROWS or len(past) < MINIMUM_WINDOWS:
        return []
    values = for_trees(judged.values)
    tree = DecisionTreeRegressor(
        max_depth=TREE_DEPTH, min_samples_leaf=max(MINIMUM_ROWS, int(LEAF_SHARE * half.sum())), random_state=0
    )
    tree.fit(values[half], judged.residual[half])
    leaves = tree.apply(values[~half], check_input=False)
    earlier = [(tree.apply(features, check_input=False), residual) for features, residual in past]
    rows: list[dict[str, object]] = []
    for leaf, name in _leaf_names(tree, problem).items():
        inside = np.flatnonzero(~half)[leaves == leaf]
        n = len(inside)
        parts = [residual[at == leaf] for at, residual in earlier]
        gaps = [part.mean() for part in parts if len(part) >= MINIMUM_ROWS]
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
