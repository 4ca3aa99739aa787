"""The week's performance: judge by outcomes whether the predictions hold, new customers alone left out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd

from ml_models.monitoring.drift.thresholds import LEAST_WINDOWS
from ml_models.monitoring.new_customers import new_customers_alone
from ml_models.monitoring.performance.history import performance_history
from ml_models.monitoring.performance.verdict import PerformanceVerdict, judge_performance
from ml_models.problems.contract import Problem

_newest: list[tuple[str, Problem, pd.DataFrame]] = []
"""What was measured last, and a digest of all that it was measured of: a check and the judgement of a week ask for the
same history one after the other, and it is the dearest part of both."""


def judge_predictions(
    frame: pd.DataFrame,
    predict: Callable[[pd.DataFrame], Any],
    outcomes: pd.DataFrame,
    early: pd.DataFrame,
    problem: Problem,
    trained_through: date,
    cutoff: date,
    excluded: Sequence[date] = (),
    groups: Sequence[str] = (),
    measured: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, PerformanceVerdict]:
    """Judge by outcomes whether a model's predictions hold; return the history that it is judged by, and the verdict.

    Frames as in WeekEvidence; `predict` gives the model's scores of feature rows; `excluded` cutoffs are left out;
    `measured` is an earlier answer's history of the same model. What fails among new customers alone is "moved", no
    alarm.
    """

    def judged(rows: pd.DataFrame, earlier: pd.DataFrame | None) -> tuple[pd.DataFrame, PerformanceVerdict]:
        history = _measured(rows, predict(rows), outcomes, early, problem, trained_through, groups, excluded, earlier)
        return history, judge_performance(history, cutoff, problem.question, excluded)

    history, verdict = judged(frame, measured)
    if verdict.status == "fail":
        columns = [*problem.keys, *problem.features, *(name for name in groups if name in frame.columns)]
        reason = new_customers_alone(
            frame[columns],
            problem.entity,
            cutoff,
            LEAST_WINDOWS,
            problem.question,
            lambda rows: judged(rows, None)[1].status == "fail",
        )
        if reason:
            verdict = replace(verdict, status="moved", sentence=f"{verdict.sentence} {reason}.")
    return history, verdict


def _measured(
    frame: pd.DataFrame,
    scores: Any,
    outcomes: pd.DataFrame,
    early: pd.DataFrame,
    problem: Problem,
    trained_through: date,
    groups: Sequence[str],
    excluded: Sequence[date],
    known: pd.DataFrame | None,
) -> pd.DataFrame:
    """Return `performance_history` of these; what was asked last, of exactly the same rows, is not measured again."""
    digest = sha256(repr((str(trained_through), list(groups), [str(day) for day in excluded])).encode())
    for part in (frame, outcomes, early, *([known] if known is not None else [])):
        digest.update(repr(list(part.columns)).encode())
        digest.update(pd.util.hash_pandas_object(part, index=False).to_numpy().tobytes())
    digest.update(np.asarray(scores, dtype="float64").tobytes())
    asked = digest.hexdigest()
    if not (_newest and _newest[0][0] == asked and _newest[0][1] is problem):
        history = performance_history(
            frame, scores, outcomes, early, problem, trained_through, groups=groups, exclude=excluded, known=known
        )
        _newest[:] = [(asked, problem, history)]
    return _newest[0][2].copy()
