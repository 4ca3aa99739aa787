"""Do the predictions still hold? Estimated from scores, foretold by an early label, realised when outcomes mature."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pandas as pd

from ml_models.problem import Problem

Kind = Literal["estimated", "proxy", "realised"]
Status = Literal["fail", "warn", "pass", "insufficient evidence"]

HISTORY_COLUMNS = [
    "cutoff_date",
    "kind",
    "segment_column",
    "segment_value",
    "n",
    "observed",
    "expected",
    "noise",
    "log_loss",
    "expected_log_loss",
    "auc",
    "brier",
    "past_gap",
    "past_spread",
    "past_windows",
]


@dataclass(frozen=True)
class PerformanceVerdict:
    """The judgement of one week on how predictions hold.

    `kind` is the evidence that decided. `table` has one row a kind, segment and statistic of the newest window of each
    kind, alarms first; `segments` are the alarmed ones as (segment_column, segment_value), the overall one is
    ("", "all"). `warn`: only the estimate moved, which no action should rest on.
    """

    status: Status
    kind: Kind
    cutoff: date
    table: pd.DataFrame
    sentence: str
    segments: tuple[tuple[str, str], ...] = ()


def performance_history(
    frame: pd.DataFrame,
    scores: object,
    outcomes: pd.DataFrame,
    early: pd.DataFrame,
    problem: Problem,
    trained_through: date,
    groups: Sequence[str] = (),
    exclude: Sequence[date] = (),
    early_label: str = "lapsed_14d",
    known: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return HISTORY_COLUMNS: one row a cutoff, kind and segment, for one model's `scores` on every cutoff of `frame`."""
    raise NotImplementedError("being written")


def judge_performance(history: pd.DataFrame, cutoff: object) -> PerformanceVerdict:
    """Judge the newest windows known on the morning of `cutoff` against the same model's own past."""
    raise NotImplementedError("being written")
