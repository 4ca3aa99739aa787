"""What a candidate has forgotten: rows that the champion had right beyond doubt, and the candidate has wrong.

A candidate may be better on the newest weeks and lose what was known of a season before them, above all where it learns
from a recent window. So each season that the champion learned from is asked by itself, also one that the candidate
left out. Both models are asked as they would be deployed: what is judged is memory, not what new rows show.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.metrics import MINIMUM_ROWS, Interval, band_order, grouped_mean, paired_log_loss, slices_of
from ml_models.odds import log_odds
from ml_models.problems.contract import Problem

BEYOND_DOUBT = 3.0
"""Times the odds of an outcome that a model gives a row, against its own mean of the season, from which it has the row
right beyond doubt. Against its own mean, because a base rate that moved is no memory lost."""

FORGOTTEN = 0.01
"""Share (0 to 1) of a season's rows, right beyond doubt before, that may be wrong now. On the bundled year, with
champions of 9 to 29 cutoffs and candidates eight cutoffs later, both families and both windows, the worst season lost
.001 at most. A candidate that never saw light shoppers lost .036, one of labels of which three in ten were turned over
.030."""

NAMED = 3
"""How many customers are named in the sentence."""


@dataclass(frozen=True)
class Remembered:
    """Rows that the champion learned from, with both models' scores: what it is that may be forgotten.

    `rows`: keys, features and label, index 0 to n - 1; `candidate` and `champion`: probabilities, (n,). `why_none`: why
    nothing can be asked, as a clause; then the rest is empty.
    """

    rows: pd.DataFrame
    candidate: npt.NDArray[np.float64]
    champion: npt.NDArray[np.float64]
    why_none: str = ""


def none_remembered(why: str) -> Remembered:
    """Return what stands for no rows, with the reason as a clause."""
    return Remembered(pd.DataFrame(), np.empty(0), np.empty(0), why)


@dataclass(frozen=True)
class Forgotten:
    """The season that fares worst: share of its rows, right beyond doubt before, that are wrong now.

    `rows` were right beyond doubt in it, `wrong` of them are wrong now; `seasons` were asked. `slice_name` and
    `slice_value`: the segment that holds most of what is wrong, with `slice_share` of its own rows; `customers`: some
    of the `who` customers.
    """

    season: str
    share: Interval
    rows: int
    wrong: int
    seasons: int
    slice_name: str
    slice_value: str
    slice_share: float
    customers: tuple[str, ...]
    who: int


def seasons_of(cutoffs: pd.Series) -> pd.Series:
    """Return the calendar quarter of each cutoff, index kept.

    >>> seasons_of(pd.Series(["2024-01-01", "2024-11-25"])).tolist()
    ['2024 Q1', '2024 Q4']
    """
    days = cutoff_dates(cutoffs)
    named: pd.Series = days.dt.year.astype(str) + " Q" + days.dt.quarter.astype(str)
    return named


def leaning(scores: npt.NDArray[np.float64], outcome: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return how far a model leans to what came, in log-odds beyond its own mean: below 0 it is on the wrong side.

    >>> leaning(np.array([0.5, 0.1, 0.1]), np.array([1, 0, 1])).round(2).tolist()
    [1.19, 1.01, -1.01]
    """
    own = log_odds([float(scores.mean())])[0]
    result: npt.NDArray[np.float64] = (log_odds(scores) - own) * np.where(outcome == 1, 1, -1)
    return result


def forgotten(remembered: Remembered, problem: Problem, excused: Collection[tuple[str, str]] = ()) -> Forgotten | None:
    """Return what the candidate forgot, by the season that fares worst; None where no season has enough rows.

    `excused` are segments, by slice and value, whose rows are not asked.
    """
    found: list[Forgotten] = []
    if remembered.rows.empty:
        return None
    seasons, asked = seasons_of(remembered.rows[problem.cutoff]), ~_in_any(remembered.rows, excused, problem)
    for season in sorted(seasons.unique()):
        here = (seasons == season).to_numpy() & asked
        if not here.any():
            continue
        rows = remembered.rows[here]
        outcome = rows[problem.label].to_numpy(dtype="int64")
        right = leaning(remembered.champion[here], outcome) >= math.log(BEYOND_DOUBT)
        if int(right.sum()) < MINIMUM_ROWS:
            continue
        wrong = leaning(remembered.candidate[here], outcome)[right] < 0
        known = rows[right]
        share = grouped_mean(wrong.astype("float64"), known[problem.entity].to_numpy())
        name, value, of_slice = _most(known, wrong, problem)
        customers = known.loc[wrong, problem.entity].astype(str).value_counts(sort=True)
        named = sorted(customers.index, key=lambda one: (-int(customers[one]), one))[:NAMED]
        found.append(
            Forgotten(
                season, share, len(known), int(wrong.sum()), 0, name, value, of_slice, tuple(named), len(customers)
            )
        )
    if not found:
        return None
    worst = max(found, key=lambda one: (one.share.low, one.share.value))
    return replace(worst, seasons=len(found))


def borne_out(rows: pd.DataFrame, scores: pd.DataFrame, problem: Problem) -> list[tuple[str, str]]:
    """Return the segments, by slice and value, in which new rows show that what held before holds no more.

    There the log-loss of the candidate is below the champion's beyond noise. `rows` are rows that neither fit had seen,
    `scores` has the columns `candidate` and `champion` of them.
    """
    outcome, groups = rows[problem.label].to_numpy(), rows[problem.entity].to_numpy()
    candidate, champion = scores["candidate"].to_numpy(), scores["champion"].to_numpy()
    found = []
    for name, value, mask in _segments(rows, problem):
        difference = paired_log_loss(outcome[mask], candidate[mask], champion[mask], groups[mask])
        if mask.sum() >= MINIMUM_ROWS and difference.high < 0:
            found.append((name, value))
    return found


def _segments(rows: pd.DataFrame, problem: Problem) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Yield slice, value and which rows are in it, of the problem's own slices."""
    for name, values in slices_of(rows, problem).items():
        if name in ("all", "cutoff"):
            continue
        names = values.to_numpy(dtype=object)
        for value in band_order(values):
            yield name, value, np.asarray(names == value)


def _in_any(rows: pd.DataFrame, segments: Collection[tuple[str, str]], problem: Problem) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(rows), dtype=bool)
    if segments:
        for name, value, mask in _segments(rows, problem):
            found |= mask & ((name, value) in segments)
    return found


def _most(rows: pd.DataFrame, wrong: npt.NDArray[np.bool_], problem: Problem) -> tuple[str, str, float]:
    """Return the segment that holds most of what is wrong: its slice, its value, and the wrong share of its rows."""
    best = (0, "", "", 0.0)
    for name, value, mask in _segments(rows, problem):
        count = int(wrong[mask].sum())
        if count > best[0]:
            best = (count, name, value, count / int(mask.sum()))
    return best[1:]
