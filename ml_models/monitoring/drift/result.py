"""What a judgement of drift says: the verdict on one cutoff, and what a movement does to the scores."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

import pandas as pd

Status = Literal["pass", "moved", "fail", "insufficient evidence"]


@dataclass(frozen=True)
class ScoreEffect:
    """What a movement of some columns does to a model's scores.

    `loss`: the log-loss that the scores lose if the movement means nothing (the mean Kullback-Leibler divergence of the
    actual scores from those with the movement undone). `bar`: the loss that natural weeks show. `score_change`: the
    change of the mean score, in probability.
    """

    loss: float
    bar: float
    score_change: float

    @property
    def harmless(self) -> bool:
        """Whether nobody could tell the scores from those without the movement."""
        return self.loss <= self.bar


@dataclass(frozen=True)
class DriftVerdict:
    """The judgement on one cutoff.

    `table` has one row a column and segment, alarms first, then by statistic over threshold: column_name, segment
    ("": all rows), statistic, threshold, js, wasserstein, null_share, null_change, null_threshold, past_windows,
    violated, violated_windows (of the last three), alarm, note. `columns` are the alarmed ones, `segments` where, when
    only a segment moved. If columns alarmed but what the model says stayed as it was, `status` is `moved`, and `effect`
    says how little the scores changed (see `weigh_drift`).
    """

    status: Status
    cutoff: date
    columns: tuple[str, ...]
    table: pd.DataFrame
    sentence: str
    segments: tuple[str, ...] = ()
    effect: ScoreEffect | None = None
