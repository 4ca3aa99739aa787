"""Strict time splits by cutoff, with the gap that label maturity demands.

A split of seven weekly cutoffs, whose labels take four weeks:

    >>> weeks = pd.date_range("2024-01-01", periods=7, freq="7D")
    >>> split = split_cutoffs(weeks, horizon_days=28)
    >>> {part: len(getattr(split, part)) for part in ("train", "gap", "holdout")}
    {'train': 1, 'gap': 3, 'holdout': 3}
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from ml_models.cutoffs import MINIMUM_CUTOFFS, cutoff_dates, cutoffs_needed, distinct_cutoffs
from ml_models.problems.contract import Problem
from ml_models.rows import customer_folds

QUARANTINED = "quarantined"
KEPT_OUT = (QUARANTINED, "before window")
"""The values of `split` of rows that nothing is learned from: known bad, or older than a recent window."""


@dataclass(frozen=True)
class TimeSplit:
    """Cutoffs of each part, ascending. Every training label was known before the first holdout cutoff."""

    train: tuple[date, ...]
    gap: tuple[date, ...]
    holdout: tuple[date, ...]

    def part_of(self, cutoff: date) -> str:
        """Return 'train', 'gap' or 'holdout'.

        >>> split = TimeSplit((date(2024, 1, 1),), (date(2024, 1, 8),), (date(2024, 1, 29),))
        >>> split.part_of(date(2024, 1, 29))
        'holdout'
        """
        if cutoff in self.train:
            return "train"
        return "holdout" if cutoff in self.holdout else "gap"


def split_cutoffs(cutoffs: Iterable[date | pd.Timestamp], horizon_days: int, holdout_share: float = 0.5) -> TimeSplit:
    """Split matured cutoffs into train, gap and holdout.

    The holdout is the newest ceil(n * holdout_share) cutoffs, shortened where needed so that at least one training
    cutoff remains; a training cutoff c has c + horizon_days <= the first holdout cutoff, so that no training label
    overlaps the holdout.

    Raises:
        ValueError: there are fewer than five cutoffs, or they lie closer together than the horizon allows.

    >>> split = split_cutoffs(pd.date_range("2024-01-01", periods=7, freq="7D"), horizon_days=28)
    >>> str(split.train[-1]), str(split.holdout[0])
    ('2024-01-01', '2024-01-29')
    """
    days = distinct_cutoffs(cutoffs)
    n = len(days)
    if n < MINIMUM_CUTOFFS:
        got = ", ".join(str(day) for day in days) or "none"
        raise ValueError(
            f"Expected at least {cutoffs_needed(horizon_days)} matured cutoffs to train and to judge on, got {n} "
            f"({got}); sync more history or wait until more labels are {horizon_days} days old."
        )
    for first in range(n - math.ceil(n * holdout_share), n):
        train = tuple(day for day in days if (days[first] - day).days >= horizon_days)
        if train:
            return TimeSplit(train, tuple(days[len(train) : first]), tuple(days[first:]))
    raise ValueError(
        f"Expected matured cutoffs that span more than the horizon of {horizon_days} days, got {n} from {days[0]} to "
        f"{days[-1]}; sync more history before training."
    )


def assign_split(cutoffs: pd.Series, split: TimeSplit) -> pd.Series:
    """Return 'train', 'gap' or 'holdout' for each row's cutoff, index kept.

    >>> split = split_cutoffs(pd.date_range("2024-01-01", periods=7, freq="7D"), horizon_days=28)
    >>> assign_split(pd.Series(["2024-02-12", "2024-01-01", "2024-01-08"]), split).tolist()
    ['holdout', 'train', 'gap']
    """
    dates = cutoff_dates(cutoffs)
    names = {stamp: split.part_of(stamp.date()) for stamp in dates.unique()}
    return dates.map(names).astype(object)


def split_training_set(
    labelled: pd.DataFrame,
    problem: Problem,
    *,
    newest: int | None = None,
    quarantined: Collection[date] = (),
) -> tuple[pd.DataFrame, TimeSplit]:
    """Return keys, features, label and `split` of labelled rows, sorted by cutoff and entity, and the split itself.

    Rows of `quarantined` cutoffs get the split `quarantined`; of the others only the `newest` cutoffs (None: all) are
    learned from, and older ones get `before window`. Rows that are kept out stay in the frame, so that anybody can see
    which they are.

    Sorting makes every later step independent of the order in which a warehouse returns rows.

    Raises:
        ValueError: a column is missing, a label is null, or the cutoffs cannot be split (see `split_cutoffs`).

    >>> from dataclasses import replace
    >>> from ml_models.problems.question import Question
    >>> from ml_models.problems.lapse.problem import lapse
    >>> weeks = pd.date_range("2024-01-01", periods=8, freq="7D")
    >>> rows = pd.DataFrame({"customer_id": "c1", "cutoff_date": weeks, "trips_28d": 2, "lapsed": 0})
    >>> problem = replace(lapse(Question(), ()), features=("trips_28d",))
    >>> frame, split = split_training_set(rows, problem, quarantined=[date(2024, 1, 8)])
    >>> frame["split"].tolist()
    ['train', 'quarantined', 'gap', 'gap', 'holdout', 'holdout', 'holdout', 'holdout']
    """
    columns = [*problem.keys, *problem.features, problem.label]
    missing = [name for name in columns if name not in labelled.columns]
    if missing:
        raise ValueError(
            f"Expected the columns {', '.join(problem.keys)}, {len(problem.features)} features and {problem.label}, "
            f"but {', '.join(missing)} is missing; rebuild the feature frame and the outcomes."
        )
    if labelled[problem.label].isna().any():
        raise ValueError(
            f"Expected a label in every row, got {int(labelled[problem.label].isna().sum())} null {problem.label}; "
            "join matured outcomes only."
        )
    frame = labelled[columns].assign(**{problem.cutoff: cutoff_dates(labelled[problem.cutoff])})
    frame = frame.astype({problem.label: "int64"}).sort_values([problem.cutoff, problem.entity], ignore_index=True)
    cutoffs = [stamp.date() for stamp in frame[problem.cutoff].unique()]
    bad = set(quarantined)
    clean = [day for day in cutoffs if day not in bad]
    used = clean[-newest:] if newest else clean
    split = split_cutoffs([pd.Timestamp(day) for day in used], problem.horizon_days)
    names = {
        pd.Timestamp(day): "quarantined" if day in bad else split.part_of(day) if day in used else "before window"
        for day in cutoffs
    }
    return frame.assign(split=frame[problem.cutoff].map(names).astype(object)), split


def inner_split(train: pd.DataFrame, problem: Problem) -> tuple[pd.Series, str]:
    """Return a mask of the validation rows inside the training part (the rest, less the gap, fits) and how it was made.

    The value of the mask is 'fit', 'gap' or 'validate'. With five or more training cutoffs that span a horizon the
    split is by time, with the same maturity gap, a third of the cutoffs validating. Else, and where a side would hold
    one outcome only, no gap is left to give: a third of the customers (by a stable hash of their id) validates instead,
    so that at least no customer is on both sides.

    >>> from ml_models.problems.question import Question
    >>> from ml_models.problems.lapse.problem import lapse
    >>> train = pd.DataFrame({"customer_id": "c1", "cutoff_date": pd.date_range("2024-01-01", periods=8, freq="7D")})
    >>> sides, how = inner_split(train, lapse(Question(), ()))
    >>> sides.tolist()
    ['fit', 'fit', 'gap', 'gap', 'gap', 'validate', 'validate', 'validate']
    >>> how
    'time: fit 2024-01-01 to 2024-01-08, validate 2024-02-05 to 2024-02-19'
    """
    cutoffs: Sequence[pd.Timestamp] = list(train[problem.cutoff].unique())
    if len(cutoffs) >= MINIMUM_CUTOFFS and (max(cutoffs) - min(cutoffs)).days >= problem.horizon_days:
        split = split_cutoffs(cutoffs, problem.horizon_days, holdout_share=1 / 3)
        names = {"train": "fit", "gap": "gap", "holdout": "validate"}
        sides = assign_split(train[problem.cutoff], split).map(names)
        parts = (train[sides == side] for side in ("fit", "validate"))
        if not _both_outcomes(train, problem) or all(_both_outcomes(part, problem) for part in parts):
            return sides, (
                f"time: fit {split.train[0]} to {split.train[-1]}, validate {split.holdout[0]} to {split.holdout[-1]}"
            )
    validates = pd.Series(customer_folds(train[problem.entity], 3) == 0, index=train.index)
    return validates.map({True: "validate", False: "fit"}), (
        f"customers: {len(cutoffs)} training cutoff(s) leave no room for a time split, so a third of customers"
    )


def _both_outcomes(part: pd.DataFrame, problem: Problem) -> bool:
    return problem.label in part and part[problem.label].nunique() > 1
