"""How a champion could be improved, and what each way would bring: `retrain` it, or `recalibrate` it.

Both are judged on the same rows, the newest matured clean ones that the champion does not know, by fits that did not
know their customers. A recalibration learns from nothing but these rows: the map of one part of the customers is fitted
on the others. It is chosen where the test of the base rate says that nothing else moved, and the retraining is not
better beyond noise: one number is learned faster than a model, and forgets nothing.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.model_version import Deployed
from ml_models.monitoring.decision import messages
from ml_models.monitoring.decision.base_rate import BaseRateTest, Scored, base_rate_test, slope_of
from ml_models.monitoring.decision.retraining_gain import (
    Array,
    CrossFitted,
    compared,
    cross_fitted,
    judged_cutoffs,
    matured_and_clean,
    unknown,
    window_cutoffs,
)
from ml_models.monitoring.decision.thresholds import (
    FOLDS,
    MINIMUM_PER_CLASS,
    MINIMUM_ROWS,
    NOISE,
    REFERENCE_CUTOFFS,
    SLOPE_WORTH,
)
from ml_models.monitoring.prices import Worth, worth_of
from ml_models.monitoring.settings import Settings
from ml_models.monitoring.types import Effect, Recalibration, Remedy, Situation, Window
from ml_models.problems.contract import Problem
from ml_models.recalibration import OddsMap, fitted_map
from ml_models.rows import customer_folds, scored


class Remedies:
    """What a retraining or a recalibration would have brought; each fit is made once, and only when it is asked for.

    `rows`: labelled rows of all matured cutoffs; nothing learns from `excluded` cutoffs or is judged on them.
    """

    def __init__(
        self,
        rows: pd.DataFrame,
        champion: Deployed | None,
        refit: Callable[[pd.DataFrame], Any],
        problem: Problem,
        excluded: Sequence[date],
        settings: Settings,
    ) -> None:
        self._rows, self._champion, self._refit, self._problem = rows, champion, refit, problem
        self._settings = settings
        self._clean = matured_and_clean(rows, problem, excluded)
        self._judged = judged_cutoffs(self._clean, champion, settings) if champion is not None else []
        self._refitted: dict[Window, CrossFitted] = {}

    def gain(self, window: Window) -> Effect:
        """Return what a retraining on this window would have brought."""
        if self._champion is None:
            return unknown("there is no champion to compare with")
        if not self._judged:
            return unknown("no outcome has matured that the champion does not know")
        found = self._cross_fitted(window)
        if found.note:
            return unknown(found.note, 0, self._judged)
        return self._over(found.rows, found.score, self._served(found.rows))

    def recalibration(self, window: Window) -> Recalibration | None:
        """Return what a recalibration would have brought instead of a retraining on this window; None: not known."""
        found = self._cross_fitted(window) if self._judged else None
        if found is None or found.note:
            return None
        rows, problem = found.rows, self._problem
        served, outcome = self._served(rows), rows[problem.label].to_numpy(dtype="float64")
        tested = self._tested(rows, served)
        if tested is None:
            return None
        customers = rows[problem.entity].to_numpy(dtype=object)
        score = cross_fitted_map(outcome, served, customers, customer_folds(customers, FOLDS), FOLDS)
        return Recalibration(
            gain=self._over(rows, score, served),
            over_retraining=self._over(rows, score, found.score),
            base_rate_only=tested.only,
            sentence=tested.sentence,
        )

    def _cross_fitted(self, window: Window) -> CrossFitted:
        if window not in self._refitted:
            learn = window_cutoffs(self._clean, window, self._settings.recent_cutoffs)
            self._refitted[window] = cross_fitted(self._rows, self._refit, self._problem, learn, self._judged)
        return self._refitted[window]

    def _tested(self, rows: pd.DataFrame, served: Array) -> BaseRateTest | None:
        """Return the test of the base rate on these rows against those before them; None: too few of either."""
        problem = self._problem
        days = [pd.Timestamp(day) for day in self._clean if day < min(self._judged)][-REFERENCE_CUTOFFS:]
        earlier = self._rows[cutoff_dates(self._rows[problem.cutoff]).isin(days).to_numpy()]
        if not (enough(earlier, problem) and enough(rows, problem)):
            return None
        return tested(earlier, self._served(earlier), rows, served, problem)

    def _served(self, rows: pd.DataFrame) -> Array:
        if self._champion is None:
            raise ValueError("Expected a champion to compare a remedy with, got none; ask `gain` first.")
        return scored(self._champion.pipeline, rows, self._problem)

    def _over(self, rows: pd.DataFrame, new: Array, old: Array) -> Effect:
        outcome = rows[self._problem.label].to_numpy(dtype="float64")
        return compared(outcome, new, old, rows, self._problem, self._settings.prices)


def enough(rows: pd.DataFrame, problem: Problem) -> bool:
    """Whether rows are enough to say something about the champion's scores on them."""
    positives = int(rows[problem.label].sum())
    return len(rows) >= MINIMUM_ROWS and min(positives, len(rows) - positives) >= MINIMUM_PER_CLASS


def tested(
    earlier: pd.DataFrame, served_earlier: Array, rows: pd.DataFrame, served: Array, problem: Problem
) -> BaseRateTest:
    """Return the test of the base rate: labelled rows of two times, with the champion's scores."""

    def of(part: pd.DataFrame, score: Array) -> Scored:
        return Scored(part[problem.label].to_numpy(dtype="float64"), score, part[problem.entity].to_numpy(dtype=object))

    return base_rate_test(of(earlier, served_earlier), of(rows, served))


def learned_map(outcome: Array, score: Array, customers: npt.NDArray[np.object_]) -> OddsMap:
    """Return the map of the champion's log-odds to deploy: the intercept, and the slope where it is clearly not 1.

    Raises:
        ValueError: all outcomes are the same.
    """
    slope, error = slope_of(Scored(outcome, score, customers))
    return fitted_map(outcome, score, slope=abs(slope - 1) - NOISE * error > SLOPE_WORTH)


def cross_fitted_map(
    outcome: Array,
    score: Array,
    customers: npt.NDArray[np.object_],
    fold: npt.NDArray[np.int64],
    folds: int,
) -> Array:
    """Return scores moved by the maps of the other parts of the customers; unmoved where these have one outcome."""
    moved = score.copy()
    for number in range(folds):
        others = fold != number
        if 0 < outcome[others].sum() < others.sum():
            found = learned_map(outcome[others], score[others], customers[others])
            moved[~others] = found.of(score[~others])
    return moved


def newest_map(
    rows: pd.DataFrame, champion: Deployed, problem: Problem, excluded: Sequence[date], settings: Settings
) -> tuple[OddsMap, list[date]] | None:
    """Return the map that a recalibration deploys and the cutoffs that it is learned from; None: too few rows."""
    judged = judged_cutoffs(matured_and_clean(rows, problem, excluded), champion, settings)
    part = rows[cutoff_dates(rows[problem.cutoff]).isin([pd.Timestamp(day) for day in judged]).to_numpy()]
    if not enough(part, problem):
        return None
    served = scored(champion.pipeline, part, problem)
    outcome, customers = part[problem.label].to_numpy(dtype="float64"), part[problem.entity].to_numpy(dtype=object)
    return learned_map(outcome, served, customers), judged


@dataclass(frozen=True)
class Option:
    """One way to improve: the remedy, what a retraining would learn from, what it brings, and that in words."""

    remedy: Remedy
    window: Window
    gain: Effect
    words: str


def best_option(situation: Situation, windows: Sequence[Window]) -> Option:
    """Return the better of the windows, or the recalibration where only the base rate moved and it is as good.

    The gain may be unknown.
    """
    gains = {window: situation.gain(window) for window in windows}
    best = max(windows, key=lambda window: gains[window].value if gains[window].known else -math.inf)
    gain = gains[best]
    if not gain.known:
        return Option("retrain", best, gain, "")
    retrained = messages.gain_measured(gain, best, situation.diagnosis)
    other = situation.recalibration(best)
    if other is None or not other.base_rate_only or other.gain.low <= 0 or other.over_retraining.high < 0:
        return Option("retrain", best, gain, retrained)
    return Option("recalibrate", best, other.gain, messages.recalibration_measured(retrained, other))


def worth(gain: Effect, situation: Situation, settings: Settings) -> Worth | None:
    """Return what a gain comes to in money until the next improvement is possible; None without prices."""
    if settings.prices is None:
        return None
    rounds = settings.cooldown_days(situation.horizon_days) / situation.horizon_days
    return worth_of(gain, settings.prices, situation.customers, rounds)


def not_worth_it(gain: Effect, value: Worth | None, settings: Settings) -> str:
    """Return why a gain is not worth a run, as a clause; empty where it is.

    A gain within noise never is. Beyond it money decides where the company names prices, else `minimum_gain`.
    """
    if value is None:
        return "" if gain.low > 0 and gain.value >= settings.minimum_gain else "no gain worth a run"
    if gain.low <= 0:
        return "no gain beyond noise"
    return "" if value.pays else "not worth its price"
