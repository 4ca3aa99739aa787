"""Cut scored rows into windows (one a cutoff), and set each window's outcomes against what its scores promise."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.metrics import Array, row_log_loss
from ml_models.monitoring.performance.thresholds import PAST, ROW_LIMIT
from ml_models.monitoring.thresholds import MINIMUM_WINDOWS
from ml_models.problems.contract import Problem
from ml_models.rows import hashed

# Windows that stay in memory: the newest few are asked for by each kind of evidence.
_KEPT = 4


class Window:
    """The rows of one cutoff, n of them: what is asked for is read, and kept.

    `entity`: (n,) identifiers. `score`: probabilities, cut off at 1e-9.
    """

    def __init__(
        self, frame: pd.DataFrame, features: Sequence[str], entity: npt.NDArray[np.object_], score: Array
    ) -> None:
        self._frame, self._features = frame, list(features)
        self.entity, self.score = entity, score

    @cached_property
    def values(self) -> Array:
        """The features as numbers, (n, columns)."""
        return self._frame[self._features].to_numpy(dtype="float64", na_value=np.nan)

    @cached_property
    def half(self) -> npt.NDArray[np.bool_]:
        """Which half of the customers a row's customer belongs to, the same one every week."""
        return np.asarray((hashed(self.entity) >> np.uint64(7)) % np.uint64(2) == 0)

    def column(self, name: str) -> pd.Series:
        """Return a column of the rows as it came."""
        return self._frame[name]


class Windows:
    """Cuts a frame into windows of at most ROW_LIMIT rows, the same customers every time.

    `scores` and `dates` are aligned with the frame. Raises ValueError when there is not one score a row.
    """

    def __init__(self, frame: pd.DataFrame, scores: Array, dates: pd.Series, problem: Problem) -> None:
        if len(scores) != len(frame):
            raise ValueError(f"Expected one score a row, got {len(scores)} for {len(frame)} rows; align them.")
        self.frame, self.scores, self.problem = frame, scores, problem
        self.entity = frame[problem.entity].to_numpy(dtype=object)
        by_day: Mapping[Any, Any] = dates.reset_index(drop=True).groupby(dates.to_numpy()).groups
        self.positions: dict[pd.Timestamp, npt.NDArray[np.int64]] = {day: np.asarray(at) for day, at in by_day.items()}
        self.kept: dict[object, Window] = {}

    def window(self, day: pd.Timestamp) -> Window:
        """Return the window of one cutoff; KeyError when the frame has no row of it."""
        if day in self.kept:
            return self.kept[day]
        at = self.positions[day]
        if len(at) > ROW_LIMIT:
            at = at[hashed(self.entity[at]) <= np.uint64(int(ROW_LIMIT / len(at) * (2**64 - 1)))]
        # A frame that is sorted by cutoff is cut without copying it.
        together = len(at) > 0 and at[-1] - at[0] + 1 == len(at) and bool((np.diff(at) == 1).all())
        rows: Any = slice(at[0], at[-1] + 1) if together else at
        window = Window(
            self.frame.iloc[rows],
            self.problem.features,
            self.entity[rows],
            np.clip(self.scores[rows], 1e-9, 1 - 1e-9),
        )
        if len(self.kept) >= _KEPT:
            self.kept.pop(next(iter(self.kept)))
        self.kept[day] = window
        return window


def labels_by_cutoff(labelled: pd.DataFrame, problem: Problem, label: str) -> dict[pd.Timestamp, pd.Series]:
    """Return each cutoff's labels as a series by entity."""
    if not len(labelled):
        return {}
    dates = cutoff_dates(labelled[problem.cutoff])
    series = pd.Series(labelled[label].to_numpy(dtype="float64"), index=labelled[problem.entity].to_numpy())
    return {day: series[(dates == day).to_numpy()] for day in dates.unique()}


class Curve:
    """Expected label given a score: logistic in its log-odds and their square, fitted on the teaching windows."""

    def __init__(
        self, windows: Windows, teaching: Sequence[pd.Timestamp], labels: dict[pd.Timestamp, pd.Series]
    ) -> None:
        pairs = []
        # An early label that began after training is learned from the first windows that have it.
        with_label = [day for day in teaching if day in labels]
        with_label = with_label or sorted(set(labels) & set(windows.positions))[:MINIMUM_WINDOWS]
        for day in with_label[-PAST:]:
            window = windows.window(day)
            y = labels[day].reindex(window.entity).to_numpy(dtype="float64")
            pairs.append((window.score[~np.isnan(y)], y[~np.isnan(y)]))
        self.coefficients = np.array([0.0, 1.0, 0.0])
        if pairs:
            score, y = (np.concatenate(part) for part in zip(*pairs, strict=True))
            if 0 < y.sum() < len(y):
                self.coefficients = _logistic(self._terms(score), y)

    def __call__(self, score: Array) -> Array:
        """Return the expected label of each score, (n,)."""
        odds = np.clip(self._terms(score) @ self.coefficients, -30, 30)
        return np.asarray(1 / (1 + np.exp(-odds)), dtype="float64")

    @staticmethod
    def _terms(score: Array) -> Array:
        odds = np.log(score) - np.log1p(-score)
        return np.column_stack([np.ones(len(score)), odds, odds**2])


def _logistic(x: Array, y: Array) -> Array:
    """Return the coefficients of a logistic regression by Newton's method, with a trace of ridge."""
    beta = np.zeros(x.shape[1])
    beta[0] = math.log(y.mean() / (1 - y.mean()))
    ridge = 1e-4 * len(y) * np.eye(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        gradient = x.T @ (y - p) - ridge @ beta
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + ridge, gradient)
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            break
    return beta


class Judged:
    """One window's rows whose label is there: residuals, losses, and what was expected.

    With a `curve` the window is judged as a prediction of the early label: what the curve expects plays the score.
    """

    def __init__(self, window: Window, label: pd.Series, curve: Curve | None) -> None:
        y = label.reindex(window.entity).to_numpy(dtype="float64")
        self.rows = np.flatnonzero(~np.isnan(y))
        self.window = window
        self.y = y[self.rows]
        self.score = window.score[self.rows]
        self.expected = curve(self.score) if curve is not None else self.score
        self.loss = row_log_loss(self.y, self.expected)
        self.entropy = row_log_loss(self.expected, self.expected)
        self.variance = self.expected * (1 - self.expected)
        self.residual = self.y - self.expected

    @property
    def values(self) -> Array:
        """The features of the rows with a label, (n, columns)."""
        return self.window.values[self.rows]

    def column(self, name: str) -> pd.Series:
        """Return a column of the rows with a label as it came."""
        return self.window.column(name).iloc[self.rows]
