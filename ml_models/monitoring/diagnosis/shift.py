"""How far the current rows lie from a healthy reference, and what a replay leaves of it.

The distance is the mean distance of two cumulative distributions on reference quantiles. It is summed over the
features, each by what the model makes of it, and over the score. What two healthy weeks differ by is taken off.
"""

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from ml_models.metrics import Array
from ml_models.monitoring.diagnosis import messages
from ml_models.monitoring.diagnosis.case import Case, Replayed, rows_at
from ml_models.monitoring.diagnosis.thresholds import EXPLAINED, INFLUENCE_ROWS, PARTLY, QUANTILE_STEPS, VISIBLE
from ml_models.problems.contract import Problem
from ml_models.rows import scored

_SEED = 0
_QUANTILES = np.linspace(0, 1, QUANTILE_STEPS + 1)[1:-1]
# The column of the champion's scores, beside the features.
_SCORE = "_score"


class Shift:
    """How far the current rows lie from a healthy reference, column by column, and what a replay leaves of it."""

    def __init__(
        self,
        names: list[str],
        weights: Array,
        noise: Array,
        current: Sequence[Array],
        healthy: Sequence[Array],
        day: date,
    ) -> None:
        self.names, self.weights, self.noise = names, weights, noise
        self.current, self.healthy, self.reference = current, healthy, day
        self.seen = np.maximum(_distances(current, healthy, healthy) - noise, 0)
        self.whole = float(weights @ self.seen)

    @classmethod
    def of(cls, case: Case, clean: Sequence[date]) -> "Shift":
        """Compare the case's cutoff with the newest clean one; ordinary weeks as far apart tell the noise."""
        problem, reference = case.problem, clean[-1]
        parts = {
            "current": rows_at(case.frame, case.cutoff, problem),
            "healthy": rows_at(case.frame, reference, problem),
        }
        steps = max(1, (case.cutoff - reference).days // 7)
        earlier = clean[:-1]
        if earlier:
            parts["earlier"] = rows_at(case.frame, earlier[-min(steps, len(earlier))], problem)
        names, weights = list(problem.features), influence(case.champion, parts["healthy"], problem)
        if case.champion is not None:
            parts = {name: _with_score(part, case) for name, part in parts.items()}
            names, weights = [*names, _SCORE], np.append(weights, 1.0)
        healthy, noise = _sorted(parts["healthy"], names), np.zeros(len(names))
        if earlier:
            noise = _distances(_sorted(parts["earlier"], names), healthy, healthy)
        return cls(names, weights, noise, _sorted(parts["current"], names), healthy, reference)

    @property
    def visible(self) -> bool:
        """Whether the shift is more than the wobble of ordinary weeks."""
        return self.whole >= VISIBLE

    def table(self, left: Array | None = None, made: Array | None = None) -> pd.DataFrame:
        """Return each column's weight and distances: as observed, left after a replay, made by it of healthy rows."""
        nothing = np.full(len(self.names), math.nan)
        columns = {"column_name": self.names, "weight": self.weights, "observed": self.seen}
        return pd.DataFrame(
            columns | {"left": nothing if left is None else left, "replayed": nothing if made is None else made}
        )

    def share(self, case: Case, replayed: pd.DataFrame) -> Replayed:
        """Return what share of the shift the replayed rows of the reference cutoff reproduce."""
        if case.champion is not None:
            replayed = _with_score(replayed, case)
        columns = _sorted(replayed, self.names)
        left, made = (
            np.maximum(_distances(part, columns, self.healthy) - self.noise, 0) for part in (self.current, self.healthy)
        )
        share = min(max(1 - float(self.weights @ left) / self.whole, 0.0), 1.0)
        sentence = messages.share_of_shift(self.reference, share)
        return Replayed(share, "shift", self.reference, sentence, self.whole, self.table(left, made))


def _with_score(rows: pd.DataFrame, case: Case) -> pd.DataFrame:
    return rows.assign(**{_SCORE: scored(case.champion, rows, case.problem) if len(rows) else np.array([])})


def moves_elsewhere(replayed: Replayed) -> bool:
    """Return whether most of what moved lies in columns that the replay leaves alone."""
    table = replayed.columns
    weight = table["weight"] * table["observed"]
    untouched = table["replayed"] < np.maximum(table["observed"] * PARTLY, VISIBLE)
    return bool(weight[untouched].sum() > EXPLAINED * weight.sum())


def influence(champion: Any, rows: pd.DataFrame, problem: Problem) -> Array:
    """Return each feature's weight in the champion's scores, summing to 1; uniform without a champion.

    The weight is the standard deviation of the change in log-odds when the feature's values are dealt to other rows, on
    at most INFLUENCE_ROWS rows: what the model makes of a feature, whatever kind of model it is.
    """
    names = list(problem.features)
    if champion is None or rows.empty:
        return np.full(len(names), 1 / len(names))
    sample = rows[names].sample(min(len(rows), INFLUENCE_ROWS), random_state=_SEED).reset_index(drop=True)
    order = np.random.default_rng(_SEED).permutation(len(sample))
    # The sample once as it is, then once for each feature, whose own values are dealt there.
    places = np.tile(np.arange(len(sample)), (len(names), len(names) + 1, 1))
    places[np.arange(len(names)), np.arange(len(names)) + 1] = order
    whole = pd.DataFrame({name: sample[name].array.take(at.ravel()) for name, at in zip(names, places, strict=True)})
    score = np.clip(scored(champion, whole, problem), 1e-9, 1 - 1e-9)
    odds = np.log(score / (1 - score)).reshape(len(names) + 1, len(sample))
    moved = (odds[1:] - odds[0]).std(axis=1)
    total = moved.sum()
    return np.asarray(moved / total) if total > 0 else np.full(len(names), 1 / len(names))


def _sorted(rows: pd.DataFrame, names: Sequence[str]) -> list[Array]:
    """Return each column's numbers, ascending, nulls last."""
    return [np.sort(rows[name].to_numpy(dtype="float64", na_value=np.nan)) for name in names]


def _distances(one: Sequence[Array], other: Sequence[Array], grid: Sequence[Array]) -> Array:
    """Return each column's mean distance between two cumulative distributions, on the grid's quantiles; 0 to 1.

    All three as `_sorted` gives them.
    """
    found = []
    for a, b, g in zip(one, other, grid, strict=True):
        if not len(a) or not len(b):
            found.append(0.0)
            continue
        present = g[~np.isnan(g)]
        edges = np.unique(np.quantile(present, _QUANTILES)) if len(present) else np.array([0.0])
        # Nulls sort behind everything, so they show in the distribution as what they are: missing mass.
        shares = [np.searchsorted(part, edges, side="right") / len(part) for part in (a, b)]
        below = [np.searchsorted(part, edges, side="left") / len(part) for part in (a, b)]
        nulls = abs(np.isnan(a).mean() - np.isnan(b).mean())
        found.append(float((np.abs(shares[0] - shares[1]).mean() + np.abs(below[0] - below[1]).mean()) / 2 + nulls))
    return np.array(found)
