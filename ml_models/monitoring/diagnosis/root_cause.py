"""Find what explains the evidence: bad data, our own pipeline, other customers, or customers who behave otherwise.

Splitting a loss change by distributions calls broken data a covariate shift. What tells them apart is a replay: the
observed quality anomalies are re-enacted on a healthy week, at their rate and in their segment. What they reproduce of
what was observed is their share, and `shares` says what follows from it.
"""

import math
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.model_version import RETRAIN_COMMAND, ModelInfo, promote_command
from ml_models.monitoring.bad_periods import BadPeriod, bad_period
from ml_models.monitoring.diagnosis import messages
from ml_models.monitoring.diagnosis.case import Case, Replayed, among, cutoffs_of, row_losses
from ml_models.monitoring.diagnosis.lineage import first_bad, on_frame
from ml_models.monitoring.diagnosis.loss_split import LossSplit, split_loss_change
from ml_models.monitoring.diagnosis.replay import replay
from ml_models.monitoring.diagnosis.shares import verdict_of
from ml_models.monitoring.diagnosis.shift import moves_elsewhere
from ml_models.monitoring.diagnosis.thresholds import REFERENCE_CUTOFFS, SIGNIFICANT
from ml_models.monitoring.types import Anomaly, Cause, Diagnosis
from ml_models.problems.contract import Problem
from ml_models.rows import features_of

CHAMPION_ASSET = "training/champion"


def diagnose(case: Case) -> Diagnosis:
    """Return what explains this week's evidence: anomalies first, then the model's world for what they leave."""
    anomalies = case.anomalies or (case.still_in_window if case.alarm else ())
    if not anomalies:
        return _model_diagnosis(case, None, "")
    seen = {(anomaly.asset, anomaly.kind) for anomaly in anomalies}
    replayed = replay(
        case, [*anomalies, *(anomaly for anomaly in case.still_in_window if (anomaly.asset, anomaly.kind) not in seen)]
    )
    asset, anomaly = first_bad(anomalies, case.lineage)
    source = not case.lineage.get(asset)
    cause: Cause = "data quality" if source else "pipeline"
    message = anomaly.sentence if case.anomalies else messages.still_in_window(anomaly.sentence)
    message = f"{message} {replayed.sentence}"
    verdict = verdict_of(
        replayed.basis,
        replayed.share,
        alarm=case.alarm,
        this_week=bool(case.anomalies),
        all_replayed=all(one.replay is not None or on_frame(one) for one in anomalies),
        moves_elsewhere=replayed.basis == "shift" and moves_elsewhere(replayed),
    )
    if verdict == "world":
        return _model_diagnosis(case, replayed, message)
    if verdict == "mixed":
        cause = "mixed"
    others = sorted({one.check for one in anomalies} - {anomaly.check})
    return Diagnosis(
        cause=cause,
        explained=replayed.share,
        first_bad_asset=asset,
        owner=case.owners.get(asset, ""),
        failing_check=anomaly.check,
        next_command=command_for(asset, source, anomalies, case.problem),
        sentence=message.strip(),
        evidence={
            "anomalies": len(anomalies),
            "other_failing_checks": others,
            "replay": replayed.sentence,
            "basis": replayed.basis,
            "reference": str(replayed.reference or ""),
        },
    )


def champion_diagnosis(
    case: Case, reason: str, previous: ModelInfo | None, behind: Diagnosis | None = None
) -> Diagnosis:
    """Return the diagnosis of a champion that should not serve: our own state is bad, whatever the data are.

    `reason`: the sentence that says why. `previous`: the version to go back to, None: train anew. `behind`: what
    explains the week's evidence beside it.
    """
    command = promote_command(previous.version) if previous else RETRAIN_COMMAND
    return Diagnosis(
        cause="pipeline",
        explained=math.nan,
        first_bad_asset=CHAMPION_ASSET,
        owner=case.owners.get(CHAMPION_ASSET, ""),
        failing_check=f"{CHAMPION_ASSET}:promotion",
        next_command=command,
        sentence=reason,
        evidence={"behind_it": behind.sentence if behind is not None and behind.cause != "none" else ""},
    )


def command_for(asset: str, source: bool, anomalies: Sequence[Anomaly], problem: Problem) -> str:
    """Return the command that the owner runs when the cause is repaired: load again, or compute again."""
    if source:
        return messages.load_again(asset)
    first = min(bad_first_cutoff(bad_period(anomaly), problem) for anomaly in anomalies)
    return messages.rebuild_from(first)


def bad_first_cutoff(period: BadPeriod, problem: Problem) -> date:
    """Return the first Monday whose features or labels this period affects."""
    back = problem.horizon_days - 1 if period.affects_labels and not period.by_cutoff else 0
    day = period.first_day - timedelta(days=back)
    return day + timedelta(days=-day.weekday() % 7)


def _model_diagnosis(case: Case, replayed: Replayed | None, preface: str) -> Diagnosis:
    """Return the diagnosis of what bad data does not explain; `preface` tells of the bad data beside it, if any."""
    explained = replayed.share if replayed is not None else math.nan
    if not case.alarm:
        cause: Cause = "insufficient evidence" if case.insufficient else "none"
        message = messages.TOO_LITTLE_HISTORY if case.insufficient else messages.NOTHING_MOVED
        return _plain(case, cause, math.nan, message)
    split = split_of(case) if case.performance_alarm else None
    if split is not None and split.verdict in ("covariate", "concept", "mixed"):
        # Both parts count: the larger one names the cause, the evidence holds both. "Mixed" is kept for bad data beside
        # a world that moved, because somebody must repair the one and the model learn the other.
        cause, message = "covariate" if split.covariate > split.concept else "concept", split.sentence
    elif case.performance_alarm:
        # Observed and promised rates part, and the loss alone cannot say why: among customers with the same scores that
        # is concept, unless it is the customers who measurably changed and nothing else did.
        others = split is not None and _counts(split.covariate, split.covariate_error)
        same = split is not None and _counts(split.concept, split.concept_error)
        cause = "covariate" if others and not same and case.drift_alarm else "concept"
        message = messages.outcomes_disagree(case.performance_kind)
    else:
        cause, message = "covariate", messages.customers_changed(", ".join(case.drifted[:3]) or "scores")
    return _plain(case, cause, explained, " ".join(filter(None, (preface, message, case.explains))), split)


def _counts(part: float, error: float) -> bool:
    """Return whether a part of the rise names a cause by itself."""
    return part > SIGNIFICANT * error


def _plain(case: Case, cause: Cause, explained: float, sentence: str, split: LossSplit | None = None) -> Diagnosis:
    model = cause in ("covariate", "concept")
    check = ""
    if model:
        check = (
            "monitoring/performance:" + case.performance_kind if case.performance_alarm else "monitoring/drift:features"
        )
    evidence: dict[str, object] = {}
    if split is not None:
        evidence = {"loss_change": split.change, "covariate": split.covariate, "concept": split.concept}
        evidence |= {"overlap": split.overlap}
    return Diagnosis(
        cause=cause,
        explained=explained,
        first_bad_asset="",
        owner=case.owners.get(CHAMPION_ASSET, "") if model else "",
        failing_check=check,
        next_command=RETRAIN_COMMAND if model else "",
        sentence=sentence,
        evidence=evidence,
    )


def split_of(case: Case) -> LossSplit | None:
    """Split the loss change between the newest judged rows and rows well before them; None without both.

    Realised outcomes when those alarmed, else the early label on both sides. The reference lies behind the newest
    rows by two horizons, so that a slow change stands out against it.
    """
    if case.champion is None:
        return None
    problem, label = case.problem, case.problem.label
    rows = case.rows
    if case.performance_kind == "proxy":
        keys = list(problem.keys)
        early = case.early.assign(**{problem.cutoff: cutoff_dates(case.early[problem.cutoff])})
        rows = case.frame.merge(early[[*keys, problem.early_label]], on=keys).rename(
            columns={problem.early_label: label}
        )
    rows = _alarmed(rows, case)
    days = cutoffs_of(rows, problem)
    if len(days) < 3:
        return None
    current = days[-2:]
    gap = timedelta(days=2 * problem.horizon_days)
    old = [day for day in days if day + gap <= current[-1]][-REFERENCE_CUTOFFS:] or days[:1]
    through = case.champion_info.trained_through if case.champion_info else date.min
    unseen = [day for day in old if day > through]
    old = unseen or old
    now, then = (rows[among(rows, part, problem)].reset_index(drop=True) for part in (current, old))
    # The loss depends on what the champion sees; a feature that it never learned could only blur the windows.
    names = features_of(case.champion, problem)
    return split_loss_change(
        then[names],
        row_losses(then, case),
        now[names],
        row_losses(now, case),
        then[problem.entity],
        now[problem.entity],
    )


def _alarmed(rows: pd.DataFrame, case: Case) -> pd.DataFrame:
    """Return the rows of the alarmed segments, when only segments alarmed and the rows can tell them."""
    named = [(column, value) for column, value in case.segments if column in rows.columns]
    if not named or len(named) < len(case.segments):
        return rows
    inside = np.zeros(len(rows), dtype=bool)
    for column, value in named:
        inside |= (rows[column].astype(str) == value).to_numpy()
    return rows[inside]
