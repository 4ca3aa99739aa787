"""What is to be explained, what a replay came to, and how a case's rows are read."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.metrics import Array, row_log_loss
from ml_models.model_version import ModelInfo
from ml_models.monitoring.types import Anomaly, Perturbation
from ml_models.problems.contract import Problem
from ml_models.rows import scored

Basis = Literal["loss", "shift", "none"]

Rebuild: TypeAlias = Callable[[Sequence[Perturbation], date], pd.DataFrame]
"""Gives the feature rows of one past cutoff as they would be under these perturbations. Raises NotReplayable, or
another RuntimeError, when it cannot."""


class NotReplayable(RuntimeError):  # noqa: N818 - it is an answer, not an accident
    """A rebuild raises it when these perturbations cannot be re-enacted, and says why."""


@dataclass(frozen=True)
class Replayed:
    """What re-enacting the anomalies on a healthy week came to.

    `share`: 0 to 1, nan when there was nothing to explain or nothing could be replayed. `basis`: what the share is of.
    `columns`: by feature, the observed distance from the reference and what the replay leaves of it.
    """

    share: float
    basis: Basis
    reference: date | None
    sentence: str
    observed: float = math.nan
    columns: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class Case:
    """What is to be explained: one week's evidence, and what it takes to replay it.

    - `anomalies`: quality anomalies that fail now. `still_in_window`: those of earlier weeks whose days are still
      inside the feature windows.
    - `frame`: feature rows of all cutoffs. `rows`: those with a label (ml_models.rows.labelled_rows).
      `early`: keys and the problem's early label.
    - `champion`: fitted pipeline with `predict_proba`, None when there is none yet; `champion_info` about it.
    - `drifted`: columns that alarmed; `drift_alarm`: features or scores did.
    - `performance_alarm`: predictions do not hold; `performance_kind`: by which evidence; `segments`: the alarmed ones,
      as (segment_column, segment_value); `explains`: the split that explains most of the loss, as a sentence.
    - `lineage`: asset -> the assets it reads; `owners`: asset -> team; both keyed `schema/name`.
    - `rebuild`: see Rebuild; None where no sandbox is at hand.
    - `insufficient`: no layer could be judged. `excluded`: cutoffs that are bad for any reason.
    """

    cutoff: date
    problem: Problem
    anomalies: tuple[Anomaly, ...]
    still_in_window: tuple[Anomaly, ...]
    frame: pd.DataFrame
    rows: pd.DataFrame
    early: pd.DataFrame
    champion: Any
    champion_info: ModelInfo | None
    drifted: tuple[str, ...]
    drift_alarm: bool
    performance_alarm: bool
    performance_kind: str
    lineage: Mapping[str, Sequence[str]]
    owners: Mapping[str, str]
    rebuild: Rebuild | None
    segments: tuple[tuple[str, str], ...] = ()
    explains: str = ""
    insufficient: bool = False
    excluded: tuple[date, ...] = ()

    @property
    def alarm(self) -> bool:
        """Whether drift or performance left its range."""
        return self.drift_alarm or self.performance_alarm


def row_losses(rows: pd.DataFrame, case: Case) -> Array:
    """Return the champion's log-loss on each labelled row."""
    return row_log_loss(rows[case.problem.label].to_numpy(dtype="float64"), scored(case.champion, rows, case.problem))


def cutoffs_of(rows: pd.DataFrame, problem: Problem) -> list[date]:
    """Return the cutoffs of these rows, oldest first."""
    return sorted(stamp.date() for stamp in cutoff_dates(rows[problem.cutoff].unique()))


def among(rows: pd.DataFrame, days: Sequence[date], problem: Problem) -> npt.NDArray[np.bool_]:
    """Return whether each row's cutoff is one of these days."""
    return np.asarray(cutoff_dates(rows[problem.cutoff]).isin([pd.Timestamp(day) for day in days]))


def rows_at(rows: pd.DataFrame, day: date, problem: Problem) -> pd.DataFrame:
    """Return the rows of one cutoff, numbered anew."""
    return rows[among(rows, [day], problem)].reset_index(drop=True)
