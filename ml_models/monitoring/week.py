"""One week, judged: `judge_week` calls quality, drift, performance, diagnosis and decision in turn.

What goes in is WeekEvidence, what comes out WeekJudgement. How each layer judges stands in its package. Here stands who
is asked what, in which order, and what one layer hands to the next.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from ml_models.cutoffs import cutoff_dates, distinct_cutoffs
from ml_models.model_version import Deployed
from ml_models.monitoring.anytime_evidence import SincePromotion, since_promotion
from ml_models.monitoring.bad_periods import bad_period
from ml_models.monitoring.data_quality import (
    Audit,
    QualityVerdict,
    Restatement,
    audited,
    judge_frame,
    judge_outcomes,
    judge_quality,
)
from ml_models.monitoring.data_quality.source_counts import Counted, with_source_counts
from ml_models.monitoring.decision.grading import grade, promotion_effects
from ml_models.monitoring.decision.ledger import (
    before,
    ledger_row,
    past_anomalies,
    released_weeks,
    with_its_reach,
    with_reach,
)
from ml_models.monitoring.decision.policy import decide
from ml_models.monitoring.decision.quarantine import affected_windows, bad_periods, quarantined
from ml_models.monitoring.decision.remedies import Remedies
from ml_models.monitoring.decision.retraining_gain import effect_since_promotion
from ml_models.monitoring.decision.rollback import champion_fault
from ml_models.monitoring.diagnosis import Case, champion_diagnosis, diagnose
from ml_models.monitoring.diagnosis.lineage import spoiling
from ml_models.monitoring.drift import DriftVerdict
from ml_models.monitoring.drift.weekly import against_clean, judge_features, judge_scores, measure_drift
from ml_models.monitoring.performance import PerformanceVerdict
from ml_models.monitoring.performance.weekly import judge_predictions
from ml_models.monitoring.report import why_row
from ml_models.monitoring.settings import SETTINGS, Settings
from ml_models.monitoring.types import (
    Action,
    Anomaly,
    Decision,
    Diagnosis,
    Effect,
    InputChange,
    Perturbation,
    Reach,
    Situation,
)
from ml_models.problems.contract import Problem
from ml_models.rows import Scorer, features_of, labelled_rows, missing_features, require_features


@dataclass(frozen=True)
class WeekEvidence:
    """Everything that one judgement may know, on the morning of `cutoff` (a Monday).

    Rows before the cutoff are delivered, and the cutoff itself has just been scored. Frames hold `cutoff_date` as
    datetime64[us] at midnight.

    - `profile`: measures of the monitored tables up to this cutoff (data_quality.profile_sql.MEASURE_COLUMNS);
      `tables`: MonitoredTable.
    - `frame`: feature rows of all cutoffs up to this one, as served. `audit`: some of them, built again today (None:
      no audit this week).
    - `outcomes`: customer_id, cutoff_date, label; matured at the cutoff only. `early`: customer_id, cutoff_date,
      the early label of cutoffs whose early days are over.
    - `champion`, `previous`: the model that serves and the one before it; None where there is none yet.
    - `ledger`: past decisions (decision.ledger.LEDGER_COLUMNS), oldest first.
    - `lineage`: asset -> the assets it reads; `owners`: asset -> team; both keyed `schema/name`.
    - `rebuild(perturbations, cutoff)`: feature rows of one past cutoff as they would be under these perturbations; None
      where the sandbox is not at hand.
    - `refit(rows)`: the champion's recipe (or the default one), fitted on rows with features and label.
    - `drift_history`, `performance_history`, `bad_weeks`: what last week's judgement returned under these names
      (`bad_weeks` in its quality verdict; None: measured anew), so that a week costs the same however long the history.
    - `active_checks`: anomalies that others established (schema contracts, source freshness, labels), beside the
      profile's.
    - `reach(asset)`: which features, and whether labels, are computed from a table; None: any may be from each.
    - `closed_days`: days on which nobody could buy; what is missing on them is no fault.
    - `changes_since(cutoff)`: which raw tables hold other rows than when this cutoff was served; None: not known.
    - `counted`: by asset, how many records the source says it sent in the week's syncs, and how many arrived.
    - `groups`: columns of `frame` beside the features that hold categories, to slice by.
    - `share`: of the customers, 0 to 1, those whose rows `frame` holds.
    """

    cutoff: date
    problem: Problem
    profile: pd.DataFrame
    tables: Sequence[Any]
    frame: pd.DataFrame
    outcomes: pd.DataFrame
    early: pd.DataFrame
    champion: Deployed | None
    previous: Deployed | None
    ledger: pd.DataFrame
    lineage: Mapping[str, Sequence[str]]
    owners: Mapping[str, str]
    rebuild: Callable[[Sequence[Perturbation], date], pd.DataFrame] | None
    refit: Callable[[pd.DataFrame], Any]
    audit: Audit | None = None
    drift_history: pd.DataFrame | None = None
    performance_history: pd.DataFrame | None = None
    bad_weeks: Mapping[str, Mapping[date, tuple[str, ...]]] | None = None
    active_checks: Sequence[Anomaly] = field(default_factory=tuple)
    reach: Callable[[str], Reach] | None = None
    closed_days: Collection[date] = ()
    changes_since: Callable[[date], tuple[InputChange, ...]] | None = None
    counted: Mapping[str, Counted] = field(default_factory=dict)
    groups: Sequence[str] = field(default_factory=tuple)
    share: float = 1.0

    @property
    def version(self) -> str:
        """The champion's version; empty when there is none."""
        return self.champion.info.version if self.champion else ""


@dataclass(frozen=True)
class WeekJudgement:
    """The week's verdicts, what explains them, and the decision.

    `score_drift` and `performance` are None while there is no champion. `restated`: served rows whose inputs were
    corrected since, None where there are none. `shadow`: anytime-valid evidence against the champion, recorded and not
    acted on, None without a champion. `why` is one row (report.why_row).
    `graded` is the ledger with the grades that are known by now, `ledger_row` what to append to it
    (decision.ledger.LEDGER_COLUMNS), before anything is launched. `drift_history` and `performance_history` are to be
    handed to next week's judgement.
    """

    cutoff: date
    quality: QualityVerdict
    drift: DriftVerdict
    score_drift: DriftVerdict | None
    performance: PerformanceVerdict | None
    restated: Restatement | None
    shadow: SincePromotion | None
    diagnosis: Diagnosis
    decision: Decision
    why: dict[str, object]
    ledger_row: dict[str, object]
    graded: pd.DataFrame
    drift_history: pd.DataFrame
    performance_history: pd.DataFrame | None = None


def judge_week(evidence: WeekEvidence, settings: Settings = SETTINGS, override: Action | None = None) -> WeekJudgement:
    """Judge one week: quality first, then drift, then performance; what explains them; exactly one decision.

    A function of its arguments alone: judging a week again gives the same answer. `override`: what a person wants done
    instead of what the judgement asks for; it is recorded.

    Raises:
        MissingFeaturesError: the champion was fitted on a feature that the frame does not have.
    """
    # Its matrices have a hundred columns: more threads would cost more than they bring, and the last digit would depend
    # on how many cores a machine has.
    with threadpool_limits(limits=1, user_api="blas"):
        return _judged(evidence, settings, override)


def _judged(evidence: WeekEvidence, settings: Settings, override: Action | None) -> WeekJudgement:
    evidence = _askable(evidence)
    problem, cutoff = evidence.problem, evidence.cutoff
    past = before(evidence.ledger, cutoff)
    rows = labelled_rows(evidence.frame, evidence.outcomes, problem)

    quality, found, restated = _quality(evidence, past)
    # What a person looked at and released is no reason for anything, also where the week is judged again.
    anomalies = () if cutoff in released_weeks(evidence.ledger) else found
    cutoffs = distinct_cutoffs(evidence.frame[problem.cutoff])
    excluded = quarantined(past, cutoffs, problem.window_days, problem.horizon_days, anomalies)
    spoilt = affected_windows(bad_periods(past, anomalies), cutoffs, problem.window_days)
    drift_history, drift, score_drift = _drift(evidence, spoilt)
    performance_history, performance = _performance(evidence, excluded)

    shadow = _shadow(evidence, excluded)
    case = _case(evidence, past, rows, quality, anomalies, (drift, score_drift), performance)
    effect = _effect(evidence, rows, excluded, settings)
    remedies = Remedies(rows, evidence.champion, evidence.refit, problem, excluded, settings)
    situation = Situation(
        cutoff=cutoff,
        diagnosis=diagnose(case),
        anomalies=anomalies,
        alarm=case.alarm,
        labelled=tuple(distinct_cutoffs(rows[problem.cutoff])),
        champion=evidence.champion.info if evidence.champion else None,
        previous=evidence.previous.info if evidence.previous else None,
        effect=effect,
        gain=remedies.gain,
        recalibration=remedies.recalibration,
        window_days=problem.window_days,
        horizon_days=problem.horizon_days,
        customers=_customers(evidence),
    )
    fault = champion_fault(situation, bad_periods(past, anomalies), settings)
    if fault is not None and (fault.return_to is not None or not anomalies):
        # The champion is what is wrong; what made it so (the diagnosis until here) becomes the background.
        diagnosis = champion_diagnosis(case, fault.reason, fault.return_to, situation.diagnosis)
        situation = replace(situation, diagnosis=diagnosis)
    decision = decide(situation, evidence.ledger, settings, override)
    return WeekJudgement(
        cutoff=cutoff,
        quality=quality,
        drift=drift,
        score_drift=score_drift,
        performance=performance,
        restated=restated,
        shadow=shadow,
        diagnosis=decision.diagnosis,
        decision=decision,
        why=why_row(decision, quality, drift, performance, found, restated, shadow),
        ledger_row=ledger_row(decision, found, evidence.version),
        graded=grade(evidence.ledger, cutoff, promotion_effects(past, effect, problem.question), problem.question),
        drift_history=drift_history,
        performance_history=performance_history,
    )


def _customers(evidence: WeekEvidence) -> int:
    """Return how many customers are scored at the cutoff, those beyond the judged share included."""
    days = cutoff_dates(evidence.frame[evidence.problem.cutoff])
    return round(int((days == pd.Timestamp(evidence.cutoff)).sum()) / evidence.share)


def _askable(evidence: WeekEvidence) -> WeekEvidence:
    """Return the evidence with models that can score the frame; a predecessor that cannot is none to return to.

    What a former build wrote into the ledger knows afterwards what it spoils.
    """
    champion, previous, columns = evidence.champion, evidence.previous, evidence.frame.columns
    if champion is not None:
        require_features(champion.pipeline, columns, evidence.problem, f"version {champion.info.version}")
    if previous is not None and missing_features(previous.pipeline, columns, evidence.problem):
        previous = None
    asked_with = [_with_features(model, evidence.problem) for model in (champion, previous)]
    ledger = evidence.ledger if evidence.reach is None else with_reach(evidence.ledger, evidence.reach)
    return replace(evidence, champion=asked_with[0], previous=asked_with[1], ledger=ledger)


def _with_features(model: Deployed | None, problem: Problem) -> Deployed | None:
    """Return the model with the features it was fitted on: what they are not computed from did not spoil it."""
    if model is None:
        return None
    return replace(model, info=replace(model.info, features=tuple(features_of(model.pipeline, problem))))


def _quality(
    evidence: WeekEvidence, past: pd.DataFrame
) -> tuple[QualityVerdict, tuple[Anomaly, ...], Restatement | None]:
    """Return the verdict on what arrived, all anomalies of it and of what was made of it, and what was restated."""
    problem = evidence.problem
    if evidence.profile.empty:
        nothing = "Nothing that arrived has been measured, so its quality cannot be judged."
        verdict = QualityVerdict("insufficient evidence", evidence.cutoff, (), pd.DataFrame(), nothing)
    else:
        verdict = judge_quality(
            evidence.profile,
            evidence.tables,
            evidence.cutoff,
            evidence.bad_weeks,
            evidence.closed_days,
            evidence.counted,
        )
    arrived = with_source_counts((*verdict.anomalies, *evidence.active_checks), evidence.counted, evidence.cutoff)
    if evidence.reach is not None:
        arrived = tuple(with_its_reach(one, evidence.reach) for one in arrived)
    arrived = tuple(spoiling(arrived, evidence.lineage))
    leaks, restated = audited(evidence.frame, evidence.audit, problem.features, problem.entity, evidence.changes_since)
    found = spoiling([*arrived, *_made_of_it(evidence, past, arrived), *leaks], evidence.lineage)
    # An anomaly that two checks found counts once.
    return verdict, tuple(one for place, one in enumerate(found) if one not in found[:place]), restated


def _made_of_it(evidence: WeekEvidence, past: pd.DataFrame, arrived: Sequence[Anomaly]) -> list[Anomaly]:
    """Judge feature rows and outcomes, leaving out the cutoffs that are known to be bad."""
    problem, cutoff = evidence.problem, evidence.cutoff
    bad = affected_windows(
        bad_periods(past, arrived), distinct_cutoffs(evidence.frame[problem.cutoff]), problem.window_days
    )
    anomalies = [*judge_frame(evidence.frame, problem, cutoff, excluded=[day for day in bad if day != cutoff])]
    return [*anomalies, *judge_outcomes(evidence.outcomes, problem, cutoff, early=evidence.early)]


def _predict(evidence: WeekEvidence, champion: Deployed) -> Callable[[pd.DataFrame], Any]:
    return Scorer(champion.pipeline, evidence.problem)


def _drift(evidence: WeekEvidence, spoilt: Sequence[date]) -> tuple[pd.DataFrame, DriftVerdict, DriftVerdict | None]:
    """Measure what is not measured yet, and judge features and scores; `spoilt` cutoffs are no past to compare with."""
    problem, cutoff, champion = evidence.problem, evidence.cutoff, evidence.champion
    pipeline = champion.pipeline if champion else None
    history = measure_drift(
        problem, evidence.frame, cutoff, pipeline, evidence.version, evidence.drift_history, evidence.groups
    )
    predict = _predict(evidence, champion) if champion else None
    frame, judged = against_clean(
        problem, evidence.frame, history, cutoff, spoilt, pipeline, evidence.version, evidence.groups
    )
    features = judge_features(judged, cutoff, frame, predict, problem)
    scores = judged[judged["layer"] == "scores"]
    if scores.empty or predict is None:
        return history, features, None
    return history, features, judge_scores(scores, cutoff, frame, predict, problem)


def _performance(
    evidence: WeekEvidence, excluded: Sequence[date]
) -> tuple[pd.DataFrame | None, PerformanceVerdict | None]:
    """Judge the champion on every cutoff of the frame, as if it had always served: one model, one past."""
    champion, measured = evidence.champion, evidence.performance_history
    if champion is None or evidence.frame.empty:
        return None, None
    if measured is not None:
        measured = measured[measured["model_version"].astype(str) == evidence.version].drop(columns="model_version")
    history, verdict = judge_predictions(
        evidence.frame,
        _predict(evidence, champion),
        evidence.outcomes,
        evidence.early,
        evidence.problem,
        champion.info.trained_through,
        evidence.cutoff,
        excluded,
        groups=evidence.groups,
        measured=measured if measured is not None and len(measured) else None,
    )
    return history.assign(model_version=evidence.version), verdict


def _shadow(evidence: WeekEvidence, excluded: Sequence[date]) -> SincePromotion | None:
    """Return what speaks against the champion since its promotion, by rows whose days are not known to be bad."""
    champion = evidence.champion
    if champion is None:
        return None
    return since_promotion(
        champion.info,
        evidence.frame,
        evidence.outcomes,
        evidence.cutoff,
        evidence.problem,
        _predict(evidence, champion),
        excluded,
    )


def _case(
    evidence: WeekEvidence,
    past: pd.DataFrame,
    rows: pd.DataFrame,
    quality: QualityVerdict,
    anomalies: tuple[Anomaly, ...],
    drift: tuple[DriftVerdict, DriftVerdict | None],
    performance: PerformanceVerdict | None,
) -> Case:
    """Return what is to be explained: this week's anomalies and alarms, and what a replay of them needs."""
    problem, cutoff, champion = evidence.problem, evidence.cutoff, evidence.champion
    window = problem.window_days
    failed = [verdict for verdict in drift if verdict is not None and verdict.status == "fail"]
    bad = affected_windows(bad_periods(past), distinct_cutoffs(evidence.frame[problem.cutoff]), window)
    return Case(
        cutoff=cutoff,
        problem=problem,
        anomalies=anomalies,
        still_in_window=tuple(one for one in past_anomalies(past) if bad_period(one).touches_window(cutoff, window)),
        frame=evidence.frame,
        rows=rows,
        early=evidence.early,
        champion=champion.pipeline if champion else None,
        champion_info=champion.info if champion else None,
        drifted=tuple(name for verdict in failed for name in verdict.columns),
        drift_alarm=bool(failed),
        performance_alarm=performance is not None and performance.status == "fail",
        performance_kind=performance.kind if performance is not None else "",
        segments=performance.segments if performance is not None else (),
        explains=performance.explains if performance is not None else "",
        lineage=evidence.lineage,
        owners=evidence.owners,
        rebuild=evidence.rebuild,
        excluded=tuple(bad),
        insufficient=quality.status == drift[0].status == "insufficient evidence" and not anomalies,
    )


def _effect(evidence: WeekEvidence, rows: pd.DataFrame, excluded: Sequence[date], settings: Settings) -> Effect | None:
    """Compare champion and predecessor, for as long after the promotion as the policy wants to know it."""
    champion, previous = evidence.champion, evidence.previous
    if champion is None or previous is None:
        return None
    if (evidence.cutoff - champion.info.promoted_on).days > settings.comparison_days(evidence.problem.horizon_days):
        return None
    return effect_since_promotion(
        champion, previous, evidence.frame, rows, evidence.early, evidence.problem, excluded, settings
    )
