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

from ml_models.cutoffs import cutoff_dates, distinct_cutoffs
from ml_models.metrics import paired_log_loss
from ml_models.model_version import Deployed
from ml_models.monitoring.decision.thresholds import FOLDS, MINIMUM_PER_CLASS, MINIMUM_ROWS
from ml_models.monitoring.prices import Prices, saving_of
from ml_models.monitoring.settings import Settings
from ml_models.monitoring.types import Effect, Window
from ml_models.problems.contract import Problem
from ml_models.rows import customer_folds, scored

Array = npt.NDArray[np.float64]


def unknown(note: str, rows: int = 0, cutoffs: Sequence[date] = ()) -> Effect:
    """Return an effect about which nothing can be said."""
    return Effect(math.nan, math.nan, math.nan, rows, tuple(cutoffs), note)


def window_cutoffs(cutoffs: Sequence[date], window: Window, recent: int, excluded: Sequence[date] = ()) -> list[date]:
    """Return the cutoffs that a retraining learns from: all of them, or the newest `recent`, less the excluded."""
    clean = [day for day in sorted(cutoffs) if day not in set(excluded)]
    return clean[-recent:] if window == "recent" else clean


@dataclass(frozen=True)
class CrossFitted:
    """Rows that a remedy is judged on, with scores of fits that did not know their customers, (n,).

    `note`: why there are none, a clause; then `score` is empty.
    """

    rows: pd.DataFrame
    score: Array
    note: str = ""


def matured_and_clean(rows: pd.DataFrame, problem: Problem, excluded: Sequence[date]) -> list[date]:
    """Return the cutoffs of labelled rows, ascending, without the excluded ones."""
    out = set(excluded)
    return [day for day in distinct_cutoffs(rows[problem.cutoff]) if day not in out]


def judged_cutoffs(clean: Sequence[date], champion: Deployed, settings: Settings) -> list[date]:
    """Return the newest of the clean cutoffs that the champion did not learn from, on which a remedy is judged."""
    return [day for day in clean if day > champion.info.trained_through][-settings.judged_cutoffs :]


def retraining_gain(
    rows: pd.DataFrame,
    champion: Any,
    refit: Callable[[pd.DataFrame], Any],
    problem: Problem,
    window: Sequence[date],
    judged: Sequence[date],
    folds: int = FOLDS,
) -> Effect:
    """Return how much lower the log-loss of a model refitted on `window` is than the champion's, on `judged` cutoffs.

    `rows` are labelled rows (rows.labelled_rows); `judged` cutoffs that the champion never learned from.
    """
    found = cross_fitted(rows, refit, problem, window, judged, folds)
    if found.note:
        return unknown(found.note, 0, judged)
    outcome = found.rows[problem.label].to_numpy(dtype="float64")
    return compared(outcome, found.score, scored(champion, found.rows, problem), found.rows, problem)


def cross_fitted(
    rows: pd.DataFrame,
    refit: Callable[[pd.DataFrame], Any],
    problem: Problem,
    window: Sequence[date],
    judged: Sequence[date],
    folds: int = FOLDS,
) -> CrossFitted:
    """Score the rows of the `judged` cutoffs by refits on `window` that know neither their customers nor the future."""
    days = cutoff_dates(rows[problem.cutoff])
    judge = days.isin([pd.Timestamp(day) for day in judged]).to_numpy()
    outcome = rows[problem.label].to_numpy(dtype="float64")
    positives = int(outcome[judge].sum())
    nothing = np.empty(0)
    if judge.sum() < MINIMUM_ROWS or min(positives, judge.sum() - positives) < MINIMUM_PER_CLASS:
        few = f"{int(judge.sum())} matured rows that the champion does not know are too few"
        return CrossFitted(rows[judge], nothing, few)
    learn = days.isin([pd.Timestamp(day) for day in window]).to_numpy()
    matured = (days <= pd.Timestamp(min(judged)) - timedelta(days=problem.horizon_days)).to_numpy()
    fold = customer_folds(rows[problem.entity], folds)
    score = np.full(len(rows), np.nan)
    for number in range(folds):
        seen = learn & (matured | (fold != number))
        positives = int(outcome[seen].sum())
        if min(positives, int(seen.sum()) - positives) < MINIMUM_PER_CLASS:
            return CrossFitted(rows[judge], nothing, "the training window holds too few rows to fit")
        asked = judge & (fold == number)
        if asked.any():
            model = refit(rows[seen])
            score[asked] = scored(model, rows[asked], problem)
    return CrossFitted(rows[judge], score[judge])


def effect_since_promotion(
    champion: Deployed,
    previous: Deployed,
    frame: pd.DataFrame,
    rows: pd.DataFrame,
    early: pd.DataFrame,
    problem: Problem,
    excluded: Sequence[date],
    settings: Settings,
) -> Effect | None:
    """Compare champion and predecessor on the clean rows since the promotion: realised, else by the early label.

    `frame`: feature rows of all cutoffs; `rows`: those with a known label; `early`: keys and the early label. None:
    nothing has come since that could compare them.
    """
    through = max(champion.info.trained_through, previous.info.trained_through)
    first = pd.Timestamp(max(champion.info.promoted_on, through + timedelta(days=problem.horizon_days)))
    bad = [pd.Timestamp(day) for day in excluded]

    def since(part: pd.DataFrame) -> pd.DataFrame:
        days = cutoff_dates(part[problem.cutoff])
        return part[(days >= first) & ~days.isin(bad)]

    matured = since(rows)
    if len(matured):
        return promotion_effect(matured, champion.pipeline, previous.pipeline, problem)
    if early.empty or rows.empty:
        return None
    early = early.assign(**{problem.cutoff: cutoff_dates(early[problem.cutoff])})
    both_known = rows.merge(early[[*problem.keys, problem.early_label]], on=list(problem.keys))
    newest = sorted(both_known[problem.cutoff].unique())[-settings.recent_cutoffs :]
    both_known = both_known[both_known[problem.cutoff].isin(newest)]
    expected = early_rows(since(frame), early, both_known, champion.pipeline, previous.pipeline, problem)
    return promotion_effect(expected, champion.pipeline, previous.pipeline, problem) if len(expected) else None


def promotion_effect(rows: pd.DataFrame, champion: Any, previous: Any, problem: Problem) -> Effect:
    """Return how much lower the champion's log-loss is than its predecessor's on these labelled rows.

    The rows must lie outside both models' training; negative: the promotion did harm. A label between 0 and 1 counts
    as an expected outcome (an early proxy).
    """
    if len(rows) < MINIMUM_ROWS:
        return unknown(f"{len(rows)} rows since the promotion are too few", len(rows))
    outcome = rows[problem.label].to_numpy(dtype="float64")
    return compared(outcome, scored(champion, rows, problem), scored(previous, rows, problem), rows, problem)


def compared(
    outcome: Array, new: Array, old: Array, rows: pd.DataFrame, problem: Problem, prices: Prices | None = None
) -> Effect:
    """Return the paired effect of `new` scores over `old` ones, bootstrapped by customer; `prices`: in money too."""
    groups = rows[problem.entity].to_numpy()
    worse = paired_log_loss(outcome, new, old, groups)
    days = tuple(sorted({stamp.date() for stamp in cutoff_dates(rows[problem.cutoff].unique())}))
    saving = None if prices is None else saving_of(prices, outcome, new, old, groups)
    return Effect(-worse.value, -worse.high, -worse.low, len(rows), days, saving=saving)


def early_rows(
    frame: pd.DataFrame, early: pd.DataFrame, both_known: pd.DataFrame, champion: Any, previous: Any, problem: Problem
) -> pd.DataFrame:
    """Return rows whose outcome is still open, labelled with what it is expected to become.

    `early`: keys and the early label; `both_known`: keys, early label and label, of cutoffs where both are known. Who
    returned within the early days has not lapsed, and for the others the expected label is the matured rate among
    customers to whom both models, averaged, gave a similar score: neither model is favoured.
    """
    rows = frame.merge(early[[*problem.keys, problem.early_label]], on=problem.keys, how="inner")
    absent = both_known[both_known[problem.early_label] == 1]
    if absent.empty or rows.empty:
        return rows.iloc[:0].assign(**{problem.label: pd.Series(dtype="float64")})

    def mean_score(part: pd.DataFrame) -> Array:
        return (scored(champion, part, problem) + scored(previous, part, problem)) / 2

    past = mean_score(absent)
    edges = np.unique(np.quantile(past, np.linspace(0, 1, 11)[1:-1]))
    bins = np.searchsorted(edges, past)
    count = np.bincount(bins, minlength=len(edges) + 1)
    total = np.bincount(bins, weights=absent[problem.label].to_numpy(dtype="float64"), minlength=len(edges) + 1)
    rate = (total + absent[problem.label].mean()) / (count + 1)
    expected = np.where(rows[problem.early_label].to_numpy() == 1, rate[np.searchsorted(edges, mean_score(rows))], 0.0)
    return rows.assign(**{problem.label: expected})
