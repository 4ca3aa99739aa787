"""What a candidate has forgotten: rows that the champion had right beyond doubt, and the candidate has wrong.

A candidate may be better on the newest weeks and lose what was known of a season before them, above all where it learns
from a recent window. So each season that the champion learned from is asked by itself, also one that the candidate
left out. Both models are asked as they would be deployed: what is judged is memory, not what new rows show.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.metrics import MINIMUM_ROWS, Interval, grouped_mean, paired_log_loss, segments_of
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


@dataclass(frozen=True)
class BorneOut:
    """Where the candidate thinks otherwise than the champion was sure, new rows say that it is right.

    `outcome` is the label (0 or 1) that the champion was sure of; `gain` the candidate's log-loss less the champion's
    on the `rows` new rows of that kind. `except_for` are segments, by slice and value, in which they say the contrary.
    """

    outcome: int
    gain: Interval
    rows: int
    except_for: tuple[tuple[str, str], ...] = ()


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


def forgotten(remembered: Remembered, problem: Problem, excused: Collection[BorneOut] = ()) -> Forgotten | None:
    """Return what the candidate forgot, by the season that fares worst; None where no season has enough rows.

    Rows of an outcome that is `excused` are not asked.
    """
    found: list[Forgotten] = []
    if remembered.rows.empty:
        return None
    seasons, asked = seasons_of(remembered.rows[problem.cutoff]), ~_excused(remembered.rows, excused, problem)
    for season in sorted(seasons.unique()):
        here = (seasons == season).to_numpy()
        rows = remembered.rows[here]
        outcome = rows[problem.label].to_numpy(dtype="int64")
        # Against the mean of the whole season, also where only some of its rows are asked.
        right = (leaning(remembered.champion[here], outcome) >= math.log(BEYOND_DOUBT)) & asked[here]
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


def borne_out(rows: pd.DataFrame, scores: pd.DataFrame, problem: Problem) -> list[BorneOut]:
    """Return the changes of mind that rows bear out which neither fit had seen: there the world changed.

    `scores` has the columns `candidate` and `champion` of them. Asked are the rows of which the champion is sure as it
    was of those that it remembers, and the candidate leans the other way: who thinks as before of a whole segment, and
    otherwise of some of it, is judged by these alone. Too few of them say nothing, so what no new row is like stays
    asked: a season that comes once a year.
    """
    outcome, groups = rows[problem.label].to_numpy(), rows[problem.entity].to_numpy()
    candidate, champion = (scores[name].to_numpy(dtype="float64") for name in ("candidate", "champion"))
    found = []
    for sure_of in (0, 1):
        said = np.full(len(rows), sure_of)
        changed = (leaning(champion, said) >= math.log(BEYOND_DOUBT)) & (leaning(candidate, said) < 0)

        def gain(mask: npt.NDArray[np.bool_]) -> Interval:
            return paired_log_loss(outcome[mask], candidate[mask], champion[mask], groups[mask])

        if changed.sum() < MINIMUM_ROWS or (whole := gain(changed)).high >= 0:
            continue
        against = [
            (name, value)
            for name, value, segment in segments_of(rows, problem)
            if (changed & segment).sum() >= MINIMUM_ROWS and gain(changed & segment).low > 0
        ]
        found.append(BorneOut(sure_of, whole, int(changed.sum()), tuple(against)))
    return found


def _excused(rows: pd.DataFrame, excused: Collection[BorneOut], problem: Problem) -> npt.NDArray[np.bool_]:
    outcome, found = rows[problem.label].to_numpy(), np.zeros(len(rows), dtype=bool)
    for one in excused:
        found |= (outcome == one.outcome) & ~_in_any(rows, one.except_for, problem)
    return found


def _in_any(rows: pd.DataFrame, segments: Collection[tuple[str, str]], problem: Problem) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(rows), dtype=bool)
    if segments:
        for name, value, mask in segments_of(rows, problem):
            found |= mask & ((name, value) in segments)
    return found


def _most(rows: pd.DataFrame, wrong: npt.NDArray[np.bool_], problem: Problem) -> tuple[str, str, float]:
    """Return the segment that holds most of what is wrong: its slice, its value, and the wrong share of its rows."""
    best = (0, "", "", 0.0)
    for name, value, mask in segments_of(rows, problem):
        count = int(wrong[mask].sum())
        if count > best[0]:
            best = (count, name, value, count / int(mask.sum()))
    return best[1:]
