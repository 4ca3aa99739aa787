"""One week, judged: what arrived, what moved, how the predictions held, what explains it, and what to do."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Literal

import pandas as pd
from sklearn.pipeline import Pipeline

from ml_models.monitoring.data_quality import QualityVerdict, judge_as_of, judge_frame, judge_outcomes, judge_quality
from ml_models.monitoring.decision.decide import (
    SETTINGS,
    ModelInfo,
    Settings,
    Situation,
    bad_period,
    bad_periods,
    before,
    decide,
    grade,
    known_anomalies,
    ledger_row,
    quarantined,
    rollback_reason,
    settled_effects,
)
from ml_models.monitoring.decision.retraining_gain import (
    Effect,
    early_rows,
    labelled_rows,
    promotion_effect,
    retraining_gain,
    scored,
    unknown,
    window_cutoffs,
)
from ml_models.monitoring.diagnosis import Case, champion_diagnosis, diagnose
from ml_models.monitoring.drift import DriftVerdict, drift_statistics, judge_drift, weigh_drift
from ml_models.monitoring.drift.new_customers import new_customers_alone
from ml_models.monitoring.drift.thresholds import LEAST_WINDOWS
from ml_models.monitoring.performance import PerformanceVerdict, judge_performance, performance_history
from ml_models.monitoring.types import Action, Anomaly, Decision, Diagnosis, Perturbation
from ml_models.problems.contract import Problem
from ml_models.training.splits import cutoff_dates

EARLY_LABEL = "lapsed_14d"
SCORE = "score"


@dataclass(frozen=True)
class WeekEvidence:
    """Everything that one judgement may know, on the morning of `cutoff` (a Monday).

    Rows before the cutoff are delivered, and the cutoff itself has just been scored. Frames hold `cutoff_date` as
    datetime64[us] at midnight.

    - `profile`: measures of the monitored tables up to this cutoff (measures.MEASURE_COLUMNS); `tables`:
    MonitoredTable.
    - `frame`: feature rows of all cutoffs up to this one, as served. `audit`: rows of some recent cutoffs, built
      again from the days before them only (None: no audit this week).
    - `outcomes`: customer_id, cutoff_date, label; matured at the cutoff only. `early`: customer_id, cutoff_date,
      lapsed_14d of cutoffs at least 14 days old.
    - `champion`, `previous`: fitted pipelines with `predict_proba`, None when there is none yet; their `_info`.
    - `ledger`: past decisions (decision.LEDGER_COLUMNS), oldest first.
    - `lineage`: asset -> the assets it reads; `owners`: asset -> team; both keyed `schema/name`.
    - `rebuild(perturbations, cutoff)`: feature rows of one past cutoff as they would be under these perturbations; None
      where the sandbox is not at hand.
    - `refit(rows)`: the champion's recipe (or the default one), fitted on rows with features and label.
    - `drift_history`, `performance_known`, `bad_weeks`: what last week's judgement returned under these names
      (`bad_weeks` in its quality verdict; None: measured anew), so that a week costs the same however long the history.
    - `active_checks`: anomalies that others established (schema contracts, source freshness, labels), beside the
    profile's.
    - `groups`: columns of `frame` beside the features that hold categories, to slice by.
    """

    cutoff: date
    problem: Problem
    profile: pd.DataFrame
    tables: Sequence[Any]
    frame: pd.DataFrame
    outcomes: pd.DataFrame
    early: pd.DataFrame
    champion: Pipeline | None
    champion_info: ModelInfo | None
    previous: Pipeline | None
    previous_info: ModelInfo | None
    ledger: pd.DataFrame
    lineage: Mapping[str, Sequence[str]]
    owners: Mapping[str, str]
    rebuild: Callable[[Sequence[Perturbation], date], pd.DataFrame] | None
    refit: Callable[[pd.DataFrame], Pipeline]
    audit: pd.DataFrame | None = None
    drift_history: pd.DataFrame | None = None
    performance_known: pd.DataFrame | None = None
    bad_weeks: Mapping[str, Mapping[date, tuple[str, ...]]] | None = None
    active_checks: Sequence[Anomaly] = field(default_factory=tuple)
    groups: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class WeekJudgement:
    """The week's three verdicts, what explains them, and the decision.

    `score_drift` and `performance` are None while there is no champion. `why` is one row, by WHY_COLUMNS.
    `graded` is the ledger with the grades that are known by now, `ledger_row` what to append to it
    (decision.LEDGER_COLUMNS), before anything is launched.
    `drift_history` and `performance_known` are to be handed to next week's judgement.
    """

    cutoff: date
    quality: QualityVerdict
    drift: DriftVerdict
    score_drift: DriftVerdict | None
    performance: PerformanceVerdict | None
    diagnosis: Diagnosis
    decision: Decision
    why: dict[str, object]
    ledger_row: dict[str, object]
    graded: pd.DataFrame
    drift_history: pd.DataFrame
    performance_known: pd.DataFrame | None = None


WHY_COLUMNS = (
    "cutoff",
    "what_happened",
    "cause",
    "percent_explained",
    "first_bad_asset",
    "owner",
    "failing_check",
    "decision",
    "reason",
    "next_command",
    "event_id",
)


def judge_week(evidence: WeekEvidence, settings: Settings = SETTINGS, override: Action | None = None) -> WeekJudgement:
    """Judge one week: quality first, then drift, then performance; what explains them; exactly one decision.

    A function of its arguments alone: judging a week again gives the same answer. `override`: what a person wants done
    instead of what the judgement asks for; it is recorded.
    """
    problem, cutoff = evidence.problem, evidence.cutoff
    past = before(evidence.ledger, cutoff)
    rows = labelled_rows(evidence.frame, evidence.outcomes, problem)
    quality = _quality(evidence)
    anomalies = _distinct(
        [*quality.anomalies, *evidence.active_checks, *_rows_anomalies(evidence, past, quality.anomalies)]
    )
    still_in_window = tuple(
        anomaly for anomaly in known_anomalies(past) if bad_period(anomaly).touches_window(cutoff, problem.window_days)
    )
    days = [stamp.date() for stamp in cutoff_dates(evidence.frame[problem.cutoff].unique())]
    excluded = quarantined(past, days, problem.window_days, problem.horizon_days, anomalies)

    known_bad = bad_periods(past)
    history = _drift_history(evidence)
    drift, score_drift = _judge_drift(evidence, history)
    known, performance = _performance(evidence, excluded)
    failed = [verdict for verdict in (drift, score_drift) if verdict is not None and verdict.status == "fail"]
    drifted = [name for verdict in failed for name in verdict.columns]
    drift_alarm = bool(failed)
    performance_alarm = performance is not None and performance.status == "fail"
    case = Case(
        cutoff=cutoff,
        problem=problem,
        anomalies=anomalies,
        still_in_window=still_in_window,
        frame=evidence.frame,
        rows=rows,
        early=evidence.early,
        champion=evidence.champion,
        champion_info=evidence.champion_info,
        drifted=tuple(drifted),
        drift_alarm=drift_alarm,
        performance_alarm=performance_alarm,
        performance_kind=performance.kind if performance is not None else "",
        segments=performance.segments if performance is not None else (),
        lineage=evidence.lineage,
        owners=evidence.owners,
        rebuild=evidence.rebuild,
        excluded=tuple(day for day in days if any(one.touches_window(day, problem.window_days) for one in known_bad)),
        insufficient=quality.status == drift.status == "insufficient evidence" and not anomalies,
    )
    diagnosis = diagnose(case)
    effect = _effect(evidence, rows, excluded, settings)
    labelled = tuple(sorted({stamp.date() for stamp in cutoff_dates(rows[problem.cutoff].unique())}))
    situation = Situation(
        cutoff=cutoff,
        diagnosis=diagnosis,
        anomalies=anomalies,
        alarm=case.alarm,
        labelled=labelled,
        champion=evidence.champion_info,
        previous=evidence.previous_info,
        effect=effect,
        gain=lambda window: _gain(evidence, rows, labelled, excluded, window, settings),
        window_days=problem.window_days,
        horizon_days=problem.horizon_days,
    )
    periods = [*known_bad, *(bad_period(anomaly) for anomaly in anomalies)]
    found = rollback_reason(situation, periods, settings)
    if found is not None and (found[1] is not None or not anomalies):
        reason, previous = found
        situation = replace(situation, diagnosis=champion_diagnosis(case, reason, previous, diagnosis))
    decision = decide(situation, evidence.ledger, settings, override)
    version = evidence.champion_info.version if evidence.champion_info else ""
    return WeekJudgement(
        cutoff=cutoff,
        quality=quality,
        drift=drift,
        score_drift=score_drift,
        performance=performance,
        diagnosis=decision.diagnosis,
        decision=decision,
        why=why_row(decision, quality, drift, performance, anomalies),
        ledger_row=ledger_row(decision, anomalies, version),
        graded=grade(evidence.ledger, cutoff, settled_effects(past, effect)),
        drift_history=history,
        performance_known=known,
    )


def _quality(evidence: WeekEvidence) -> QualityVerdict:
    if evidence.profile.empty:
        nothing = "Nothing that arrived has been measured, so its quality cannot be judged."
        return QualityVerdict("insufficient evidence", evidence.cutoff, (), pd.DataFrame(), nothing)
    return judge_quality(evidence.profile, evidence.tables, evidence.cutoff, evidence.bad_weeks)


def _rows_anomalies(evidence: WeekEvidence, past: pd.DataFrame, found: Sequence[Anomaly]) -> list[Anomaly]:
    """Judge feature rows, outcomes and the as-of audit, leaving out the cutoffs that are known to be bad."""
    problem, cutoff = evidence.problem, evidence.cutoff
    periods = [*bad_periods(past), *(bad_period(anomaly) for anomaly in (*found, *evidence.active_checks))]
    stamps = cutoff_dates(evidence.frame[problem.cutoff].unique())
    bad = [day.date() for day in stamps if any(one.touches_window(day.date(), problem.window_days) for one in periods)]
    anomalies = [*judge_frame(evidence.frame, problem, cutoff, excluded=[day for day in bad if day != cutoff])]
    anomalies += judge_outcomes(evidence.outcomes, cutoff, problem.entity, problem.label, early=evidence.early)
    if evidence.audit is not None:
        # Days that came late make old cutoffs differ from what can be built today, and nobody saw the future.
        days = cutoff_dates(evidence.audit[problem.cutoff])
        sound = evidence.audit[~days.isin([pd.Timestamp(day) for day in bad])]
        if len(sound):
            anomalies += judge_as_of(evidence.frame, sound, problem.features, problem.entity)
    return anomalies


def _distinct(anomalies: Sequence[Anomaly]) -> tuple[Anomaly, ...]:
    kept: list[Anomaly] = []
    for anomaly in anomalies:
        if anomaly not in kept:
            kept.append(anomaly)
    return tuple(kept)


def measure_drift(
    problem: Problem,
    frame: pd.DataFrame,
    cutoff: date,
    champion: Pipeline | None,
    version: str,
    held: pd.DataFrame | None = None,
    groups: Sequence[str] = (),
) -> pd.DataFrame:
    """Return `held` (an earlier answer of this function) and what it lacks: STATISTICS_COLUMNS, layer, model_version.

    Features are measured once. Scores are measured by one model for all weeks, so a promotion measures them again:
    a window and its reference must be scored by the same model, or every promotion would look like drift. `groups`
    are columns of `frame` that hold categories, in which a movement may hide.
    """
    days = [stamp.date() for stamp in cutoff_dates(frame[problem.cutoff].unique()) if stamp.date() <= cutoff]
    parts = []
    for layer, model in (("features", ""), ("scores", version)):
        if layer == "scores" and champion is None:
            continue
        kept = _of_layer(held, layer, model)
        done = {stamp.date() for stamp in cutoff_dates(kept["cutoff_date"])} if len(kept) else set()
        missing = [day for day in sorted(days) if day not in done]
        if len(kept):
            parts.append(kept)
        if not missing:
            continue
        if layer == "features":
            segments = {name: frame[name] for name in groups if name in frame.columns}
            new = drift_statistics(frame, missing, list(problem.features), entity=problem.entity, segments=segments)
        else:
            measured = frame[[problem.cutoff]].assign(**{SCORE: scored(champion, frame, problem)})
            new = drift_statistics(measured, missing, [SCORE])
        parts.append(new.assign(layer=layer, model_version=model))
    return pd.concat(parts, ignore_index=True)


def _drift_history(evidence: WeekEvidence) -> pd.DataFrame:
    version = evidence.champion_info.version if evidence.champion_info else ""
    return measure_drift(
        evidence.problem,
        evidence.frame,
        evidence.cutoff,
        evidence.champion,
        version,
        evidence.drift_history,
        evidence.groups,
    )


def _of_layer(held: pd.DataFrame | None, layer: str, model: str) -> pd.DataFrame:
    if held is None or held.empty:
        return pd.DataFrame()
    part = held[held["layer"] == layer]
    if layer == "features":
        return part.assign(model_version="")
    # Scores that nobody knows the model of are measured again: one column costs nothing.
    return part[part["model_version"].astype(str) == model] if "model_version" in part.columns else part.iloc[:0]


def _judge_drift(evidence: WeekEvidence, history: pd.DataFrame) -> tuple[DriftVerdict, DriftVerdict | None]:
    """Judge features and scores; what moved and leaves the champion's scores as they were is "moved", no alarm."""
    features, scores = (history[history["layer"] == layer] for layer in ("features", "scores"))
    drift = judge_drift(features, evidence.cutoff)
    if evidence.champion is not None:
        columns = [*evidence.problem.keys, *evidence.problem.features]
        drift = weigh_drift(drift, _predict(evidence), evidence.frame[columns], evidence.problem.entity)
    if scores.empty:
        return drift, None
    return drift, judge_scores(scores, evidence.cutoff, evidence.frame, _predict(evidence), evidence.problem.entity)


def judge_scores(
    history: pd.DataFrame, cutoff: date, frame: pd.DataFrame, predict: Callable[[pd.DataFrame], Any], entity: str
) -> DriftVerdict:
    """Judge the champion's scores by their `history` (measure_drift); new customers alone are no alarm ("moved").

    `frame`: feature rows up to the cutoff; `predict` gives the champion's scores of such rows.
    """
    verdict = judge_drift(history, cutoff)
    if verdict.status != "fail":
        return verdict

    def fails(rows: pd.DataFrame) -> bool:
        again = rows[["cutoff_date"]].assign(**{SCORE: predict(rows)})
        days = [stamp.date() for stamp in cutoff_dates(rows["cutoff_date"].unique()) if stamp.date() <= cutoff]
        return judge_drift(drift_statistics(again, days, [SCORE]), cutoff).status == "fail"

    said = new_customers_alone(frame, entity, cutoff, LEAST_WINDOWS, fails)
    return replace(verdict, status="moved", sentence=f"The scores moved at {cutoff}. {said}.") if said else verdict


def _predict(evidence: WeekEvidence) -> Callable[[pd.DataFrame], Any]:
    return lambda rows: scored(evidence.champion, rows, evidence.problem)


def _performance(
    evidence: WeekEvidence, excluded: Sequence[date]
) -> tuple[pd.DataFrame | None, PerformanceVerdict | None]:
    """Judge the champion on every cutoff of the frame, as if it had always served: one model, one past."""
    if evidence.champion is None or evidence.champion_info is None or evidence.frame.empty:
        return None, None
    problem, info = evidence.problem, evidence.champion_info
    known = evidence.performance_known
    if known is not None:
        known = known[known["model_version"].astype(str) == info.version].drop(columns="model_version")
    history, verdict = judge_predictions(
        evidence.frame,
        _predict(evidence),
        evidence.outcomes,
        evidence.early,
        problem,
        info.trained_through,
        evidence.cutoff,
        excluded,
        groups=evidence.groups,
        known=known if known is not None and len(known) else None,
    )
    return history.assign(model_version=info.version), verdict


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
    known: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, PerformanceVerdict]:
    """Judge by outcomes whether a model's predictions hold; return the history that it is judged by, and the verdict.

    Frames as in WeekEvidence; `predict` gives the model's scores of feature rows; `excluded` cutoffs are left out. What
    fails among new customers alone is "moved", no alarm.
    """

    def judged(rows: pd.DataFrame, before: pd.DataFrame | None) -> tuple[pd.DataFrame, PerformanceVerdict]:
        history = performance_history(
            rows,
            predict(rows),
            outcomes,
            early,
            problem,
            trained_through,
            groups=groups,
            exclude=excluded,
            known=before,
        )
        return history, judge_performance(history, cutoff, excluded)

    history, verdict = judged(frame, known)
    if verdict.status == "fail":
        columns = [*problem.keys, *problem.features, *(name for name in groups if name in frame.columns)]
        said = new_customers_alone(
            frame[columns], problem.entity, cutoff, LEAST_WINDOWS, lambda rows: judged(rows, None)[1].status == "fail"
        )
        if said:
            verdict = replace(verdict, status="moved", sentence=f"{verdict.sentence} {said}.")
    return history, verdict


def _effect(evidence: WeekEvidence, rows: pd.DataFrame, excluded: Sequence[date], settings: Settings) -> Effect | None:
    """Compare champion and predecessor on sound rows since the promotion: realised, else by the early label."""
    problem, info = evidence.problem, evidence.champion_info
    if evidence.champion is None or evidence.previous is None or info is None or evidence.previous_info is None:
        return None
    if (evidence.cutoff - info.promoted_on).days > settings.watch_days:
        return None
    settled = max(info.trained_through, evidence.previous_info.trained_through) + timedelta(days=problem.horizon_days)
    first = pd.Timestamp(max(info.promoted_on, settled))
    bad = [pd.Timestamp(day) for day in excluded]

    def since(part: pd.DataFrame) -> pd.DataFrame:
        days = cutoff_dates(part[problem.cutoff])
        return part[(days >= first) & ~days.isin(bad)]

    matured = since(rows)
    if len(matured):
        return promotion_effect(matured, evidence.champion, evidence.previous, problem)
    if evidence.early.empty or rows.empty:
        return None
    early = evidence.early.assign(**{problem.cutoff: cutoff_dates(evidence.early[problem.cutoff])})
    keys = list(problem.keys)
    settled_rows = rows.merge(early[[*keys, EARLY_LABEL]], on=keys)
    newest = sorted(settled_rows[problem.cutoff].unique())[-settings.recent_cutoffs :]
    settled_rows = settled_rows[settled_rows[problem.cutoff].isin(newest)]
    open_rows = early_rows(since(evidence.frame), early, settled_rows, evidence.champion, evidence.previous, problem)
    return promotion_effect(open_rows, evidence.champion, evidence.previous, problem) if len(open_rows) else None


def _gain(
    evidence: WeekEvidence,
    rows: pd.DataFrame,
    labelled: Sequence[date],
    excluded: Sequence[date],
    window: Literal["expanding", "recent"],
    settings: Settings,
) -> Effect:
    """Measure what a retraining on this window would have brought on the newest rows the champion does not know."""
    info = evidence.champion_info
    if evidence.champion is None or info is None:
        return unknown("there is no champion to compare with")
    sound = [day for day in labelled if day not in set(excluded)]
    judged = [day for day in sound if day > info.trained_through][-settings.judged_cutoffs :]
    if not judged:
        return unknown("no outcome has matured that the champion does not know")
    learn = window_cutoffs(sound, window, settings.recent_cutoffs)
    return retraining_gain(rows, evidence.champion, evidence.refit, evidence.problem, learn, judged)


def why_row(
    decision: Decision,
    quality: QualityVerdict,
    drift: DriftVerdict,
    performance: PerformanceVerdict | None,
    anomalies: Sequence[Anomaly] = (),
) -> dict[str, object]:
    """Return the one row that explains a week, by WHY_COLUMNS: plain words, readable in SQL without Python."""
    diagnosis = decision.diagnosis
    return {
        "cutoff": pd.Timestamp(decision.cutoff),
        "what_happened": what_happened(quality, drift, performance, anomalies),
        "cause": diagnosis.cause,
        "percent_explained": None if math.isnan(diagnosis.explained) else round(100 * diagnosis.explained, 1),
        "first_bad_asset": diagnosis.first_bad_asset,
        "owner": diagnosis.owner,
        "failing_check": diagnosis.failing_check,
        "decision": decision.action,
        "reason": decision.reason,
        "next_command": diagnosis.next_command,
        "event_id": decision.event_id,
    }


def what_happened(
    quality: QualityVerdict,
    drift: DriftVerdict,
    performance: PerformanceVerdict | None,
    anomalies: Sequence[Anomaly] = (),
) -> str:
    """Return what the three layers saw, those that failed in their own words, the others in a few."""
    layers: list[tuple[str, str, str]] = [
        ("quality", quality.status, quality.sentence),
        ("drift", drift.status, drift.sentence),
    ]
    if performance is not None:
        layers.append(("performance", performance.status, performance.sentence))
    failed = [sentence for _, status, sentence in layers if status in ("fail", "warn", "moved")]
    beside = [anomaly for anomaly in anomalies if anomaly not in quality.anomalies]
    if beside:
        # What arrived is told first: rows made of it are wrong because of it.
        place = 1 if quality.status == "fail" else 0
        also = f"{len(beside)} more in what was made of it" if place else f"{len(beside)} fault(s)"
        failed.insert(place, f"{also}. First: {beside[0].sentence}")
    calm = [name for name, status, _ in layers if status == "pass"]
    unsure = [name for name, status, _ in layers if status == "insufficient evidence"]
    said = list(failed)
    if calm:
        said.append(f"Within range: {', '.join(calm)}.")
    if unsure:
        said.append(f"Not enough evidence yet: {', '.join(unsure)}.")
    return " ".join(said)


def digest(why: pd.DataFrame) -> str:
    """Return several weeks (WHY_COLUMNS) in words, newest event first: what a reader needs on a Monday morning."""
    if why.empty:
        return "No week has been judged yet."
    rows = why.assign(cutoff=pd.to_datetime(why["cutoff"])).sort_values("cutoff")
    first, last = rows["cutoff"].iloc[0], rows["cutoff"].iloc[-1]
    counts = rows["decision"].value_counts()
    named = ", ".join(
        f"{counts[name]} {name}" for name in ("continue", "improve", "inspect", "rollback") if name in counts
    )
    lines = [f"{len(rows)} week(s) judged, {first:%Y-%m-%d} to {last:%Y-%m-%d}: {named}."]
    events = rows[rows["event_id"].fillna("") != ""]
    for event in reversed(list(dict.fromkeys(events["event_id"]))):
        part = events[events["event_id"] == event]
        newest = part.iloc[-1]
        span = f"{part['cutoff'].iloc[0]:%Y-%m-%d}" + (f" to {newest['cutoff']:%Y-%m-%d}" if len(part) > 1 else "")
        acts = ", then ".join(dict.fromkeys(part["decision"]))
        share = newest["percent_explained"]
        told = "" if share is None or share != share else f", {share:.0f} % explained by the anomalies found"
        where = (
            f" First bad asset: {newest['first_bad_asset']} ({newest['owner']})." if newest["first_bad_asset"] else ""
        )
        command = f" Next: {newest['next_command']}" if newest["next_command"] else ""
        lines.append(f"{span}: {newest['cause']}{told}; {acts}.{where} {newest['reason']}{command}")
    quiet = len(rows) - len(events)
    if quiet:
        lines.append(f"{quiet} week(s) without an event.")
    return "\n".join(lines)
