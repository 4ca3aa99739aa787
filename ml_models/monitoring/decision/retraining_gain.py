"""What a retraining would bring, and what a promotion has brought: two models on the same matured rows.

The question before a retraining is not "is the model worse than it was" but "would a model fitted now be better on
rows like the newest ones". Waiting for later rows would answer it weeks too late, so the newest matured cutoffs answer
it by customer: the candidate learns from the other customers' rows of these cutoffs and from everybody's rows whose
labels were known before them. No row is judged by a fit that saw its customer in an overlapping label window.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.metrics import paired_log_loss
from ml_models.problems.contract import Problem
from ml_models.training.splits import cutoff_dates

Array = npt.NDArray[np.float64]

MINIMUM_ROWS = 400
MINIMUM_PER_CLASS = 20


@dataclass(frozen=True)
class Effect:
    """A difference in log-loss between two models on the same rows, positive: the first is better.

    `low` and `high` bound it at 95 %, bootstrapped by customer. `value` is nan when there were too few rows, and
    `note` says so.
    """

    value: float
    low: float
    high: float
    rows: int
    cutoffs: tuple[date, ...]
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether there was enough evidence."""
        return not math.isnan(self.value)


def unknown(note: str, rows: int = 0, cutoffs: Sequence[date] = ()) -> Effect:
    """Return an effect about which nothing can be said."""
    return Effect(math.nan, math.nan, math.nan, rows, tuple(cutoffs), note)


def labelled_rows(frame: pd.DataFrame, outcomes: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """Return the feature rows with a known label: keys, features, label; sorted by cutoff and entity."""
    left = frame.assign(**{problem.cutoff: cutoff_dates(frame[problem.cutoff])})
    right = outcomes[[*problem.keys, problem.label]]
    right = right.assign(**{problem.cutoff: cutoff_dates(right[problem.cutoff])})
    left = left.drop(columns=problem.label, errors="ignore")
    rows = left.merge(right, on=problem.keys, how="inner").dropna(subset=[problem.label])
    return rows.sort_values([problem.cutoff, problem.entity], ignore_index=True)


def window_cutoffs(cutoffs: Sequence[date], window: str, recent: int, excluded: Sequence[date] = ()) -> list[date]:
    """Return the cutoffs that a retraining learns from: all of them, or the newest `recent`, less the excluded."""
    sound = [day for day in sorted(cutoffs) if day not in set(excluded)]
    return sound[-recent:] if window == "recent" else sound


def retraining_gain(
    rows: pd.DataFrame,
    champion: Any,
    refit: Callable[[pd.DataFrame], Any],
    problem: Problem,
    window: Sequence[date],
    judged: Sequence[date],
    folds: int = 3,
) -> Effect:
    """Return how much lower the log-loss of a model refitted on `window` is than the champion's, on `judged` cutoffs.

    `rows` are labelled rows (labelled_rows); `judged` cutoffs that the champion never learned from. Customers are
    divided into `folds` by a stable hash of their id.
    """
    days = cutoff_dates(rows[problem.cutoff])
    judge = days.isin([pd.Timestamp(day) for day in judged]).to_numpy()
    outcome = rows[problem.label].to_numpy(dtype="float64")
    positives = int(outcome[judge].sum())
    if judge.sum() < MINIMUM_ROWS or min(positives, judge.sum() - positives) < MINIMUM_PER_CLASS:
        return unknown(f"{int(judge.sum())} matured rows that the champion does not know are too few", 0, judged)
    learn = days.isin([pd.Timestamp(day) for day in window]).to_numpy()
    settled = (days <= pd.Timestamp(min(judged)) - timedelta(days=problem.horizon_days)).to_numpy()
    fold = pd.util.hash_pandas_object(rows[problem.entity].astype(str), index=False).to_numpy() % folds
    features = list(problem.features)
    score = np.full(len(rows), np.nan)
    for number in range(folds):
        seen = learn & (settled | (fold != number))
        positives = int(outcome[seen].sum())
        if min(positives, int(seen.sum()) - positives) < MINIMUM_PER_CLASS:
            return unknown("the training window holds too few rows to fit", 0, judged)
        asked = judge & (fold == number)
        if asked.any():
            model = refit(rows[seen])
            score[asked] = model.predict_proba(rows.loc[asked, features])[:, 1]
    part = rows[judge]
    return compared(outcome[judge], score[judge], scored(champion, part, problem), part, problem)


def promotion_effect(rows: pd.DataFrame, champion: Any, previous: Any, problem: Problem) -> Effect:
    """Return how much lower the champion's log-loss is than its predecessor's on these labelled rows.

    The rows must lie outside both models' training; negative: the promotion did harm. A label between 0 and 1 counts
    as an expected outcome (an early proxy).
    """
    if len(rows) < MINIMUM_ROWS:
        return unknown(f"{len(rows)} rows since the promotion are too few", len(rows))
    outcome = rows[problem.label].to_numpy(dtype="float64")
    return compared(outcome, scored(champion, rows, problem), scored(previous, rows, problem), rows, problem)


def scored(model: Any, rows: pd.DataFrame, problem: Problem) -> Array:
    """Return the model's probability for each row."""
    return np.asarray(model.predict_proba(rows[list(problem.features)])[:, 1], dtype="float64")


def compared(outcome: Array, new: Array, old: Array, rows: pd.DataFrame, problem: Problem) -> Effect:
    """Return the paired effect of `new` scores over `old` ones, bootstrapped by customer."""
    worse = paired_log_loss(outcome, new, old, rows[problem.entity].to_numpy())
    days = tuple(sorted({stamp.date() for stamp in cutoff_dates(rows[problem.cutoff].unique())}))
    return Effect(-worse.value, -worse.high, -worse.low, len(rows), days)


def early_rows(
    frame: pd.DataFrame, early: pd.DataFrame, settled: pd.DataFrame, champion: Any, previous: Any, problem: Problem
) -> pd.DataFrame:
    """Return rows whose outcome is still open, labelled with what it is expected to become.

    `early`: keys and lapsed_14d; `settled`: keys, lapsed_14d and the label, of cutoffs where both are known. Who
    returned within 14 days has not lapsed, and for the others the expected label is the settled rate among customers
    to whom both models, averaged, gave a similar score: neither model is favoured.
    """
    rows = frame.merge(early[[*problem.keys, "lapsed_14d"]], on=problem.keys, how="inner")
    absent = settled[settled["lapsed_14d"] == 1]
    if absent.empty or rows.empty:
        return rows.iloc[:0].assign(**{problem.label: pd.Series(dtype="float64")})

    def axis(part: pd.DataFrame) -> Array:
        return (scored(champion, part, problem) + scored(previous, part, problem)) / 2

    known = axis(absent)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, 11)[1:-1]))
    bins = np.searchsorted(edges, known)
    count = np.bincount(bins, minlength=len(edges) + 1)
    total = np.bincount(bins, weights=absent[problem.label].to_numpy(dtype="float64"), minlength=len(edges) + 1)
    rate = (total + absent[problem.label].mean()) / (count + 1)
    expected = np.where(rows["lapsed_14d"].to_numpy() == 1, rate[np.searchsorted(edges, axis(rows))], 0.0)
    return rows.assign(**{problem.label: expected})
