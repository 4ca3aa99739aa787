"""Measure one model on every window: what its scores promise, what outcomes say, in each segment.

Three kinds of evidence, each a window (cutoff) at a time:

- *estimated*, at once: the log-loss and AUC that the scores promise if what they say is still true. Blind to a change
  of behaviour.
- *proxy*, after the early days: outcomes seen early against what the same scores implied for that label in the windows
  that the model learned from, by a curve from score to early label (logistic in the score's log-odds and their square).
- *realised*, after the problem's horizon: log-loss, AUC, Brier score, observed against expected.
"""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.metrics import Array
from ml_models.monitoring.performance.segments import Features, Segments, estimated, for_trees, found_segments
from ml_models.monitoring.performance.thresholds import LEAF_ROWS, PAST
from ml_models.monitoring.performance.windows import Curve, Judged, Windows, labels_by_cutoff
from ml_models.monitoring.thresholds import MINIMUM_WINDOWS
from ml_models.problems.contract import Problem

HISTORY_COLUMNS = [
    "cutoff_date",
    "kind",
    "segment_column",
    "segment_value",
    "known_on",
    "learned",
    "n",
    "observed",
    "expected",
    "noise",
    "log_loss",
    "log_loss_noise",
    "log_loss_low",
    "log_loss_high",
    "expected_log_loss",
    "auc",
    "auc_low",
    "auc_high",
    "expected_auc",
    "brier",
    "past_gap",
    "past_spread",
    "past_windows",
]


def performance_history(
    frame: pd.DataFrame,
    scores: npt.ArrayLike,
    outcomes: pd.DataFrame,
    early: pd.DataFrame,
    problem: Problem,
    trained_through: date,
    groups: Sequence[str] = (),
    exclude: Sequence[date] = (),
    known: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return HISTORY_COLUMNS, one row a cutoff, kind and segment, oldest first.

    `frame` holds the problem's keys and features, and `groups` (columns of categories such as a region), for all
    cutoffs to be measured and those that the model learned from; `scores`, aligned with it, are *one* model's for all
    of them, or a promotion would look like a change. `outcomes` and `early` hold keys and label (the problem's,
    early_label), one row a key, matured cutoffs only. `trained_through` is the newest cutoff that the model learned
    from, `exclude` cutoffs that must not teach what is usual. `known` is what an earlier call returned for the same
    model: windows in it are not measured again. Raises ValueError when columns are missing, when there is not one score
    a row, or when no cutoff is left to learn from.

    - `known_on`: the day when the window's outcomes are complete; `learned`: the model learned from the window.
    - `n`: rows; `observed` and `expected`: mean label and its expectation; `noise`: standard error of their difference
      if that expectation holds.
    - `*_low`, `*_high`: 95 % intervals by customers, overall only (normal; a customer has one row in a window, so that
      DeLong's error of an AUC is the one by customer, and agrees with a bootstrap at a hundredth of its time).
    - `past_gap`, `past_spread`, `past_windows`: the past of a segment that a tree found, measured with it.

    Row counts above 200,000 a window are sampled by a hash of the entity: the same customers every week.
    """
    missing = [name for name in (*problem.keys, *problem.features, *groups) if name not in frame.columns]
    if missing:
        raise ValueError(
            f"Expected keys, {len(problem.features)} features and {len(groups)} groups to judge performance on, but "
            f"{', '.join(missing)} is missing; pass the feature frame that was scored."
        )
    dates = cutoff_dates(frame[problem.cutoff])
    days = sorted(dates.unique())
    excluded = set(cutoff_dates(exclude)) if len(exclude) else set()
    learned = {day for day in days if day <= pd.Timestamp(trained_through)}
    windows = Windows(frame, np.asarray(scores, dtype="float64"), dates, problem)
    teaching = [day for day in days if day in learned and day not in excluded]
    if len(teaching) < 2:
        teaching = [day for day in days if day not in excluded][:MINIMUM_WINDOWS]
    if not teaching:
        raise ValueError("Expected at least one cutoff that is not excluded, got none; pass some healthy history.")
    segments = Segments(windows, teaching, problem, groups)
    realised, proxy = (
        labels_by_cutoff(outcomes, problem, problem.label),
        labels_by_cutoff(early, problem, problem.early_label),
    )
    promise, early_curve = Curve(windows, teaching, realised), Curve(windows, teaching, proxy)
    measured: set[tuple[object, object]] = set()
    if known is not None and len(known):
        measured = set(zip(known["kind"], cutoff_dates(known["cutoff_date"]), strict=True))

    def to_measure(kind: str) -> list[pd.Timestamp]:
        return [day for day in days if (kind, day) not in measured]

    parts: list[pd.DataFrame] = []
    for evidence in (
        _Evidence("realised", realised, pd.Timedelta(days=problem.horizon_days), None),
        _Evidence("proxy", proxy, pd.Timedelta(days=problem.early_days), early_curve),
    ):
        parts += _measured(evidence, windows, segments, to_measure(evidence.kind), excluded)
    promised = [
        {"cutoff_date": day, "kind": "estimated", "known_on": day} | estimated(windows.window(day), promise)
        for day in to_measure("estimated")
    ]
    parts += [pd.DataFrame(promised)] if promised else []
    new = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["cutoff_date"])
    new = new.assign(learned=new["cutoff_date"].isin(learned)).reindex(columns=HISTORY_COLUMNS)
    if known is not None and len(known):
        new = pd.concat([known[HISTORY_COLUMNS], new], ignore_index=True) if len(new) else known[HISTORY_COLUMNS]
    new = new.assign(cutoff_date=cutoff_dates(new["cutoff_date"]), known_on=cutoff_dates(new["known_on"]))
    return new.sort_values(["cutoff_date", "kind", "segment_column", "segment_value"], kind="stable", ignore_index=True)


@dataclass(frozen=True)
class _Evidence:
    """One kind of outcomes: labels by cutoff, how long they take, and the curve that expects them (None: the score)."""

    kind: str
    labels: Mapping[pd.Timestamp, pd.Series]
    delay: pd.Timedelta
    curve: Curve | None


def _measured(
    evidence: _Evidence,
    windows: Windows,
    segments: Segments,
    missing: Sequence[pd.Timestamp],
    excluded: Collection[pd.Timestamp],
) -> list[pd.DataFrame]:
    """Return the rows of the `missing` windows whose outcomes are there; earlier windows are read as their past."""
    missing = [day for day in sorted(missing) if day in evidence.labels]
    teaching = [day for day in sorted(windows.positions) if day in evidence.labels and day not in excluded]
    leaves: dict[pd.Timestamp, tuple[Features, Array]] = {}

    def judged_on(day: pd.Timestamp) -> Judged:
        return Judged(windows.window(day), evidence.labels[day], evidence.curve)

    def leaf(day: pd.Timestamp, judged: Judged | None = None) -> tuple[Features, Array]:
        if day not in leaves:
            judged = judged or judged_on(day)
            leaves[day] = for_trees(judged.values[:LEAF_ROWS]), judged.residual[:LEAF_ROWS]
        return leaves[day]

    def past(day: pd.Timestamp) -> list[tuple[Features, Array]]:
        # Windows that share outcome days with this one would tell it that its own beginning is usual.
        complete = [begun for begun in teaching if begun < day and begun + evidence.delay <= day]
        with_rows = (leaf(begun) for begun in reversed(complete) if len(leaf(begun)[1]))
        return [*itertools.islice(with_rows, PAST)][::-1]

    parts: list[pd.DataFrame] = []
    for day in missing:
        judged = judged_on(day)
        if not len(judged.y):
            continue
        leaf(day, judged)
        told = {"cutoff_date": day, "kind": evidence.kind, "known_on": day + evidence.delay}
        parts.append(pd.DataFrame(told | segments.measure(judged)))
        if found := found_segments(judged, past(day), segments.problem):
            parts.append(pd.DataFrame([told | row for row in found]))
    return parts
