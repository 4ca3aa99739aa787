"""The week's performance: judge by outcomes whether the predictions hold, new customers alone left out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pandas as pd

from ml_models.monitoring.drift.thresholds import LEAST_WINDOWS
from ml_models.monitoring.new_customers import new_customers_alone
from ml_models.monitoring.performance.history import performance_history
from ml_models.monitoring.performance.verdict import PerformanceVerdict, judge_performance
from ml_models.problems.contract import Problem


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
        history = performance_history(
            rows,
            predict(rows),
            outcomes,
            early,
            problem,
            trained_through,
            groups=groups,
            exclude=excluded,
            known=earlier,
        )
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
