"""The week's drift: measure features and scores once, judge them, and leave out what alarms nobody.

`week` calls `measure_drift`, then `judge_features` and `judge_scores`; the assets of `monitoring/drift` call the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pandas as pd

from ml_models.cutoffs import cutoff_dates, distinct_cutoffs
from ml_models.monitoring.drift.result import DriftVerdict
from ml_models.monitoring.drift.score_effect import weigh_drift
from ml_models.monitoring.drift.statistics import drift_statistics
from ml_models.monitoring.drift.thresholds import LEAST_WINDOWS, REFERENCE_STEPS
from ml_models.monitoring.drift.verdict import judge_drift
from ml_models.monitoring.new_customers import new_customers_alone
from ml_models.monitoring.thresholds import WINDOWS
from ml_models.problems.contract import Problem
from ml_models.rows import scored

SCORE = "score"
"""The one column of the layer `scores`."""

Predict = Callable[[pd.DataFrame], Any]
"""Gives the champion's scores of feature rows."""


def measure_drift(
    problem: Problem,
    frame: pd.DataFrame,
    cutoff: date,
    champion: Any | None,
    version: str,
    measured: pd.DataFrame | None = None,
    groups: Sequence[str] = (),
) -> pd.DataFrame:
    """Return `measured` (an earlier answer) and what it lacks: STATISTICS_COLUMNS, layer, model_version.

    Features are measured once. Scores are measured by one model for all weeks, so a promotion measures them again:
    a window and its reference must be scored by the same model, or every promotion would look like drift. `groups`
    are columns of `frame` that hold categories, in which a movement may hide.
    """
    days = [day for day in distinct_cutoffs(frame[problem.cutoff]) if day <= cutoff]
    parts = []
    for layer, model in (("features", ""), ("scores", version)):
        if layer == "scores" and champion is None:
            continue
        kept = _of_layer(measured, layer, model)
        done = {stamp.date() for stamp in cutoff_dates(kept["cutoff_date"])} if len(kept) else set()
        missing = [day for day in days if day not in done]
        if len(kept):
            parts.append(kept)
        if not missing:
            continue
        if layer == "features":
            segments = {name: frame[name] for name in groups if name in frame.columns}
            new = drift_statistics(frame, missing, list(problem.features), entity=problem.entity, segments=segments)
        else:
            scores = frame[[problem.cutoff]].assign(**{SCORE: scored(champion, frame, problem, f"version {version}")})
            new = drift_statistics(scores, missing, [SCORE])
        parts.append(new.assign(layer=layer, model_version=model))
    return pd.concat(parts, ignore_index=True)


def against_clean(
    problem: Problem,
    frame: pd.DataFrame,
    history: pd.DataFrame,
    cutoff: date,
    spoilt: Sequence[date],
    champion: Any | None,
    version: str,
    groups: Sequence[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return frame and `history` (measure_drift) in which a clean cutoff is compared with clean ones.

    The `spoilt` cutoffs that the judged windows are compared with are left out, and those windows measured again. Where
    this cutoff is spoilt itself, both stay as they are: that it is another than those before is what there is to see.
    """
    reach = timedelta(weeks=max(REFERENCE_STEPS) + WINDOWS - 1)
    out = sorted(day for day in spoilt if cutoff - reach <= day < cutoff)
    if cutoff in spoilt or not out:
        return frame, history
    clean = frame[~cutoff_dates(frame[problem.cutoff]).isin([pd.Timestamp(day) for day in out]).to_numpy()]
    earlier = history[cutoff_dates(history["cutoff_date"]) < pd.Timestamp(out[0])]
    return clean, measure_drift(problem, clean, cutoff, champion, version, earlier, groups)


def _of_layer(measured: pd.DataFrame | None, layer: str, model: str) -> pd.DataFrame:
    if measured is None or measured.empty:
        return pd.DataFrame()
    part = measured[measured["layer"] == layer]
    if layer == "features":
        return part.assign(model_version="")
    # Scores that nobody knows the model of are measured again: one column costs nothing.
    return part[part["model_version"].astype(str) == model] if "model_version" in part.columns else part.iloc[:0]


def judge_features(
    history: pd.DataFrame, cutoff: date, frame: pd.DataFrame, predict: Predict | None, problem: Problem
) -> DriftVerdict:
    """Judge the features by their `history` (measure_drift).

    What moved but leaves the champion's scores as they were is "moved", no alarm; without a champion (`predict` None)
    everything that moved is an alarm.
    """
    verdict = judge_drift(history[history["layer"] == "features"], cutoff)
    if predict is None:
        return verdict
    rows = frame[[*problem.keys, *problem.features]]
    return weigh_drift(verdict, predict, rows, problem.entity, question=problem.question)


def judge_scores(
    history: pd.DataFrame, cutoff: date, frame: pd.DataFrame, predict: Predict, problem: Problem
) -> DriftVerdict:
    """Judge the champion's scores by their `history` (measure_drift); new customers alone are no alarm ("moved").

    `frame`: feature rows up to the cutoff; `predict` gives the champion's scores of such rows.
    """
    verdict = judge_drift(history, cutoff)
    if verdict.status != "fail":
        return verdict

    def fails(rows: pd.DataFrame) -> bool:
        again = rows[["cutoff_date"]].assign(**{SCORE: predict(rows)})
        days = [day for day in distinct_cutoffs(rows["cutoff_date"]) if day <= cutoff]
        return judge_drift(drift_statistics(again, days, [SCORE]), cutoff).status == "fail"

    reason = new_customers_alone(frame, problem.entity, cutoff, LEAST_WINDOWS, problem.question, fails)
    if not reason:
        return verdict
    return replace(verdict, status="moved", sentence=f"The scores moved at {cutoff}. {reason}.")
