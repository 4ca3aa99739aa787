"""A policy, replayed week by week over a history: judge, decide, act, and what the deployed model came to.

Acting is what the graph does, made small: the champion's recipe is fitted again on the decided window less the
quarantine, held against the champion on matured rows that the champion does not know, and promoted from this cutoff
on (whose predictions are then made again), or refused. A rollback restores the predecessor the same way.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd

from ml_models.cutoffs import cutoff_dates, distinct_cutoffs
from ml_models.metrics import score_metrics
from ml_models.model_version import Deployed, ModelInfo
from ml_models.monitoring import WeekEvidence, WeekJudgement, judge_week
from ml_models.monitoring.data_quality import Audit
from ml_models.monitoring.data_quality.source_counts import Counted
from ml_models.monitoring.decision.events import WORTH_IT
from ml_models.monitoring.decision.ledger import append, empty_ledger, ledger_row, read_anomalies
from ml_models.monitoring.decision.quarantine import quarantined
from ml_models.monitoring.decision.remedies import newest_map
from ml_models.monitoring.decision.retraining_gain import retraining_gain, window_cutoffs
from ml_models.monitoring.settings import SETTINGS, Settings
from ml_models.monitoring.types import Action, Decision, Diagnosis, Perturbation, Reach, Window
from ml_models.problems.contract import Problem
from ml_models.recalibration import recalibrated
from ml_models.rows import labelled_rows, scored


class History(Protocol):
    """A history as it looked on each Monday morning. Every method answers as of that cutoff only.

    `frame`, `outcomes` and `early` are as delivered (faults included); `truth` is what really happened.
    """

    problem: Problem
    lineage: Mapping[str, Sequence[str]]
    owners: Mapping[str, str]

    def cutoffs(self) -> Sequence[date]:
        """Return all cutoffs, ascending."""
        ...

    def tables(self) -> Sequence[Any]:
        """Return the monitored tables."""
        ...

    def profile(self, cutoff: date) -> pd.DataFrame:
        """Return the measures of the monitored tables, up to this cutoff."""
        ...

    def frame(self, cutoff: date) -> pd.DataFrame:
        """Return the feature rows of all cutoffs up to this one, as served."""
        ...

    def audit(self, cutoff: date) -> Audit | None:
        """Return how recent feature rows come out when they are built again; None: no audit."""
        ...

    def outcomes(self, cutoff: date) -> pd.DataFrame:
        """Return customer_id, cutoff_date and label of the cutoffs matured by now."""
        ...

    def early(self, cutoff: date) -> pd.DataFrame:
        """Return keys and early label of cutoffs whose early days are over."""
        ...

    def truth(self, cutoff: date) -> pd.DataFrame:
        """Return customer_id, cutoff_date and the true label of this one cutoff, however late it became known."""
        ...

    def anomalies(self, cutoff: date) -> Sequence[Any]:
        """Return anomalies established outside of the profile (a contract broken, a source not delivered), or ()."""
        ...

    def counted(self, cutoff: date) -> Mapping[str, Counted]:
        """Return what the source counts of the week before this cutoff, by asset; empty: it counts nothing."""
        ...

    def measured(self, cutoff: date) -> tuple[pd.DataFrame | None, Any]:
        """Return `drift_history` and `bad_weeks` as judgements before this one found them; None: measure anew."""
        ...

    def rebuild(self, cutoff: date) -> Callable[[Sequence[Perturbation], date], pd.DataFrame] | None:
        """Return how to build a past cutoff's feature rows under perturbations, as of this morning; None: not here."""
        ...

    def reach(self, asset: str) -> Reach:
        """Return what is computed from a table."""
        ...


class Policy(Protocol):
    """What decides, each week.

    `looks`: whether it reads what arrived. For one that does not, tables, checks and audit of a week are not gathered,
    which cost more than the rest of it.
    """

    name: str
    looks: ClassVar[bool]

    def decide(self, evidence: WeekEvidence) -> tuple[Decision, WeekJudgement | None]:
        """Return the week's decision, and the judgement behind it if there was one."""
        ...


@dataclass(frozen=True)
class SimulationResult:
    """What a policy came to.

    `weeks`: one row a scored cutoff: cutoff_date, action, cause, event_id, scheduled, model_version, trained_through,
    window, promoted, remedy, rows, log_loss, auc, calibration_error, mean_score, base_rate, cost (money a row by the
    settings' prices; the deployed model on true labels; nan where the truth is not known, or no price). `judgements` by
    cutoff, for policies that judge. `ledger`: decision.ledger.LEDGER_COLUMNS. `predictions`: keys, score, model_version
    of the deployed model.
    """

    policy: str
    weeks: pd.DataFrame
    ledger: pd.DataFrame
    judgements: Mapping[date, WeekJudgement]
    models: Mapping[str, ModelInfo]
    predictions: pd.DataFrame

    @property
    def retrainings(self) -> int:
        """How many models were fitted."""
        return int((self.weeks["action"] == "improve").sum())

    @property
    def log_loss(self) -> float:
        """Mean log-loss over all rows whose truth is known."""
        return self._mean("log_loss")

    @property
    def auc(self) -> float:
        """Mean AUC over the cutoffs, weighted by their rows."""
        return self._mean("auc")

    @property
    def calibration_error(self) -> float:
        """Mean calibration error over the cutoffs, weighted by their rows."""
        return self._mean("calibration_error")

    def _mean(self, name: str) -> float:
        judged = self.weeks.dropna(subset=[name])
        return float(np.average(judged[name], weights=judged["rows"])) if len(judged) else math.nan


# --- policies --------------------------------------------------------------------------------------------------------


def plain(cutoff: date, action: Action, reason: str, window: Window = "expanding") -> Decision:
    """Return a decision that no diagnosis stands behind."""
    nothing = Diagnosis("none", math.nan, "", "", "", "", reason)
    return Decision(cutoff, "" if action == "continue" else f"policy-{cutoff}", action, nothing, reason, window)


@dataclass(frozen=True)
class Never:
    """The model of the first day, for ever."""

    name: str = "never"
    looks: ClassVar[bool] = False

    def decide(self, evidence: WeekEvidence) -> tuple[Decision, WeekJudgement | None]:
        """Return continue."""
        return plain(evidence.cutoff, "continue", "This policy never retrains."), None


@dataclass(frozen=True)
class Every:
    """Retrain every `weeks` weeks, look at nothing."""

    weeks: int = 4
    looks: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The policy's name in the table."""
        return f"every {self.weeks} weeks"

    def decide(self, evidence: WeekEvidence) -> tuple[Decision, WeekJudgement | None]:
        """Return improve when the champion is that old."""
        champion = evidence.champion
        due = champion is None or (evidence.cutoff - champion.info.promoted_on).days >= 7 * self.weeks
        return plain(evidence.cutoff, "improve" if due else "continue", "By the calendar."), None


@dataclass(frozen=True)
class AnyFeaturePsi:
    """Retrain when any feature's population stability index against the training frame is above `threshold`.

    The industry's rule of thumb: deciles of the champion's training rows, sum of (p - q) ln(p / q), alarm above .2.
    """

    threshold: float = 0.2
    name: str = "any feature's PSI > .2"
    looks: ClassVar[bool] = False

    def decide(self, evidence: WeekEvidence) -> tuple[Decision, WeekJudgement | None]:
        """Return improve when a feature is above the threshold, except when the champion is of this very week."""
        problem, champion = evidence.problem, evidence.champion
        days = cutoff_dates(evidence.frame[problem.cutoff])
        through = pd.Timestamp(champion.info.trained_through if champion else evidence.cutoff)
        now = evidence.frame[days == pd.Timestamp(evidence.cutoff)]
        index = psi(evidence.frame[days <= through], now, list(problem.features))
        worst = index.idxmax()
        action: Action = "improve" if index[worst] > self.threshold else "continue"
        return plain(evidence.cutoff, action, f"PSI of {worst} is {index[worst]:.2f}."), None


def psi(reference: pd.DataFrame, current: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Return the population stability index by column, on the reference's deciles; nulls are a bin of their own."""
    found = {}
    for name in columns:
        old, new = (part[name].to_numpy(dtype="float64", na_value=np.nan) for part in (reference, current))
        filled = old[~np.isnan(old)]
        edges = np.unique(np.quantile(filled, np.linspace(0, 1, 11)[1:-1])) if len(filled) else np.array([0.0])
        shares = []
        for part in (old, new):
            bins = np.where(np.isnan(part), len(edges) + 1, np.searchsorted(edges, np.nan_to_num(part)))
            count = np.bincount(bins, minlength=len(edges) + 2)
            shares.append(np.maximum(count / max(len(part), 1), 1e-4))
        found[name] = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    return pd.Series(found)


class Ours:
    """The judgement of this project; hands each week what the week before had measured."""

    name = "ours"
    looks: ClassVar[bool] = True

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.settings = settings
        self._drift: pd.DataFrame | None = None
        self._performance: pd.DataFrame | None = None
        self._bad_weeks: Any = None

    def decide(self, evidence: WeekEvidence) -> tuple[Decision, WeekJudgement | None]:
        """Return the judgement's decision."""
        judgement = judge_week(
            replace(
                evidence,
                drift_history=evidence.drift_history if self._drift is None else self._drift,
                performance_history=self._performance,
                bad_weeks=evidence.bad_weeks if self._bad_weeks is None else self._bad_weeks,
            ),
            self.settings,
        )
        return self.go_on(judgement)

    def go_on(self, judgement: WeekJudgement) -> tuple[Decision, WeekJudgement]:
        """Return a judgement and its decision, and keep what next week is to be handed of it."""
        self._drift, self._performance = judgement.drift_history, judgement.performance_history
        self._bad_weeks = judgement.quality.bad_weeks
        return judgement.decision, judgement


@dataclass(frozen=True)
class Oracle:
    """Does what somebody who knew the truth would do: these actions on these cutoffs, else nothing.

    `excluded`: cutoffs that it knows to be bad and keeps out of training.
    """

    actions: Mapping[date, tuple[Action, Window]]
    excluded: Sequence[date] = ()
    name: str = "oracle"
    looks: ClassVar[bool] = False

    def decide(self, evidence: WeekEvidence) -> tuple[Decision, WeekJudgement | None]:
        """Return the known right action."""
        action, window = self.actions.get(evidence.cutoff, ("continue", "expanding"))
        return plain(evidence.cutoff, action, "It knows the truth.", window), None


# --- the loop --------------------------------------------------------------------------------------------------------


def first_champion(history: History, cutoff: date, refit: Callable[[pd.DataFrame], Any]) -> Deployed | None:
    """Return the recipe fitted on all rows matured by `cutoff`; None when there are too few cutoffs."""
    rows = labelled_rows(history.frame(cutoff), history.outcomes(cutoff), history.problem)
    days = distinct_cutoffs(rows[history.problem.cutoff])
    if len(days) < SETTINGS.needed_cutoffs(history.problem.horizon_days):
        return None
    return Deployed(refit(rows), ModelInfo("1", days[-1], cutoff, days[0]))


def simulate(
    history: History,
    policy: Policy,
    start: date,
    end: date,
    refit: Callable[[pd.DataFrame], Any],
    settings: Settings = SETTINGS,
    gate: bool = True,
    forced: Mapping[date, Action] | None = None,
    log: Callable[[str], None] | None = None,
) -> SimulationResult:
    """Let a policy live through the cutoffs from `start` to `end`, both included.

    `first_champion` serves from `start` on. `gate=False` promotes every fit, as calendar policies in the wild do.
    `forced` overrides what a policy wants on some cutoffs (a person, or a mishap). Deterministic.
    """
    problem = history.problem
    first = first_champion(history, start, refit)
    # The last one serves; a rollback takes it away.
    stack = [first] if first is not None else []
    models = {one.info.version: one.info for one in stack}
    ledger = empty_ledger()
    weeks: list[dict[str, object]] = []
    judgements: dict[date, WeekJudgement] = {}
    served: list[pd.DataFrame] = []
    for cutoff in [day for day in history.cutoffs() if start <= day <= end]:
        frame = history.frame(cutoff)
        evidence = evidence_of(history, cutoff, frame, stack, ledger, refit, looks=policy.looks)
        decision, judgement = policy.decide(evidence)
        if judgement is not None:
            judgements[cutoff] = judgement
        wanted = (forced or {}).get(cutoff, decision.action)
        anomalies = read_anomalies(judgement.ledger_row["anomalies"]) if judgement is not None else []
        row = ledger_row(decision, anomalies, stack[-1].info.version if stack else "")
        if wanted != decision.action:
            row |= {"action": wanted, "override_of": decision.action}
        promoted: bool | None = None
        if wanted == "improve":
            excluded = list(getattr(policy, "excluded", ()))
            if judgement is not None and wanted == decision.action:
                # Who judges leaves out what is known to be bad; a calendar, a person and a mishap do not.
                days = distinct_cutoffs(frame[problem.cutoff])
                excluded += quarantined(ledger, days, problem.window_days, problem.horizon_days, anomalies)
            version = str(len(models) + 1)
            moved = row["remedy"] == "recalibrate" and wanted == decision.action
            if moved:
                candidate = _recalibrated(evidence, excluded, version, settings)
            else:
                candidate = _retrained(evidence, decision.window, excluded, version, settings)
            # A recalibration was held against the champion on these very rows when it was decided.
            free = not gate or not stack or moved
            promoted = candidate is not None and (free or _passes(evidence, candidate, settings))
            if candidate is not None and promoted:
                stack.append(candidate)
                models[candidate.info.version] = candidate.info
        elif wanted == "rollback" and len(stack) > 1:
            stack.pop()
        row["promoted"] = promoted
        ledger = append(ledger, row)
        weeks.append(_week(history, cutoff, frame, stack, row, decision, settings))
        if stack:
            served.append(_scores(frame, cutoff, stack[-1], problem))
        if log is not None:
            outcome = "" if promoted is None else " (promoted)" if promoted else " (refused)"
            log(f"{policy.name} {cutoff}: {wanted}{outcome}")
    return SimulationResult(policy.name, pd.DataFrame(weeks), ledger, judgements, models, _together(served, problem))


def evidence_of(
    history: History,
    cutoff: date,
    frame: pd.DataFrame,
    stack: Sequence[Deployed],
    ledger: pd.DataFrame,
    refit: Callable[[pd.DataFrame], Any],
    *,
    looks: bool,
) -> WeekEvidence:
    """Return what a policy may know; for one that does not look, what it may retrain on."""
    drift, bad_weeks = history.measured(cutoff)
    return WeekEvidence(
        cutoff=cutoff,
        problem=history.problem,
        profile=history.profile(cutoff) if looks else pd.DataFrame(),
        tables=history.tables(),
        frame=frame,
        outcomes=history.outcomes(cutoff),
        early=history.early(cutoff),
        champion=stack[-1] if stack else None,
        previous=stack[-2] if len(stack) > 1 else None,
        ledger=ledger,
        lineage=history.lineage,
        owners=history.owners,
        rebuild=history.rebuild(cutoff),
        refit=refit,
        audit=history.audit(cutoff) if looks else None,
        drift_history=drift,
        bad_weeks=bad_weeks,
        active_checks=tuple(history.anomalies(cutoff)) if looks else (),
        counted=history.counted(cutoff) if looks else {},
        reach=history.reach,
    )


def _retrained(
    evidence: WeekEvidence, window: Window, excluded: Sequence[date], version: str, settings: Settings
) -> Deployed | None:
    """Fit the recipe on the window less the excluded cutoffs; None when too few are left."""
    problem = evidence.problem
    rows = labelled_rows(evidence.frame, evidence.outcomes, problem)
    stamps = cutoff_dates(rows[problem.cutoff])
    days = distinct_cutoffs(stamps)
    learn = window_cutoffs(days, window, settings.recent_cutoffs, excluded)
    if len(learn) < settings.needed_cutoffs(problem.horizon_days):
        return None
    pipeline = evidence.refit(rows[stamps.isin([pd.Timestamp(day) for day in learn]).to_numpy()])
    left_out = tuple(day for day in days if learn[0] <= day <= learn[-1] and day not in set(learn))
    return Deployed(pipeline, ModelInfo(version, learn[-1], evidence.cutoff, learn[0], left_out))


def _recalibrated(
    evidence: WeekEvidence, excluded: Sequence[date], version: str, settings: Settings
) -> Deployed | None:
    """Move the champion's log-odds by the newest clean outcomes; None when they are too few."""
    problem, champion = evidence.problem, evidence.champion
    if champion is None:
        return None
    rows = labelled_rows(evidence.frame, evidence.outcomes, problem)
    found = newest_map(rows, champion, problem, excluded, settings)
    if found is None:
        return None
    moved, judged = found
    info, days = champion.info, distinct_cutoffs(rows[problem.cutoff])
    learned = {*info.learned_from(days), *judged}
    first = info.trained_from or days[0]
    left_out = tuple(day for day in days if first <= day <= judged[-1] and day not in learned)
    return Deployed(
        recalibrated(champion.pipeline, moved), ModelInfo(version, judged[-1], evidence.cutoff, first, left_out)
    )


def _passes(evidence: WeekEvidence, candidate: Deployed, settings: Settings) -> bool:
    """Hold the recipe against the champion on matured rows that neither fit knows: not worse beyond noise."""
    problem, champion = evidence.problem, evidence.champion
    if champion is None:
        return True
    rows = labelled_rows(evidence.frame, evidence.outcomes, problem)
    learned = candidate.info.learned_from(distinct_cutoffs(rows[problem.cutoff]))
    judged = [day for day in learned if day > champion.info.trained_through][-settings.judged_cutoffs :]
    if not judged:
        return True
    effect = retraining_gain(rows, champion.pipeline, evidence.refit, problem, learned, judged)
    return not effect.known or (effect.high > 0 and effect.value > -settings.minimum_harm)


def _week(
    history: History,
    cutoff: date,
    frame: pd.DataFrame,
    stack: Sequence[Deployed],
    row: Mapping[str, object],
    decision: Decision,
    settings: Settings,
) -> dict[str, object]:
    """Return the row of SimulationResult.weeks: the model deployed after the week's action, on true labels."""
    problem = history.problem
    found: dict[str, object] = {
        "cutoff_date": pd.Timestamp(cutoff),
        "action": row["action"],
        "cause": decision.diagnosis.cause,
        "event_id": decision.event_id,
        "scheduled": is_scheduled(str(decision.event_id)),
        "model_version": stack[-1].info.version if stack else "",
        "trained_through": pd.Timestamp(stack[-1].info.trained_through) if stack else pd.NaT,
        "window": decision.window,
        "promoted": row["promoted"],
        "remedy": row["remedy"],
        "rows": 0,
    }
    names = ("log_loss", "auc", "calibration_error", "mean_score", "base_rate", "cost")
    truth = history.truth(cutoff)
    if not stack or truth.empty:
        return found | dict.fromkeys(names, math.nan)
    now = frame[cutoff_dates(frame[problem.cutoff]) == pd.Timestamp(cutoff)]
    rows = labelled_rows(now, truth, problem)
    if rows.empty:
        return found | dict.fromkeys(names, math.nan)
    score = scored(stack[-1].pipeline, rows, problem)
    metrics = score_metrics(rows[problem.label], score)
    prices = settings.prices
    metrics["cost"] = math.nan if prices is None else float(prices.costs(rows[problem.label], score).mean())
    return found | {"rows": len(rows)} | {name: metrics[name] for name in names}


def is_scheduled(event_id: str) -> bool:
    """Return whether an event is maintenance (no champion yet, outgrown by labels, it pays) and not an alarm."""
    return event_id.startswith(("labels-", "no-champion-", "contaminated-", f"{WORTH_IT}-"))


def _scores(frame: pd.DataFrame, cutoff: date, model: Deployed, problem: Problem) -> pd.DataFrame:
    now = frame[cutoff_dates(frame[problem.cutoff]) == pd.Timestamp(cutoff)]
    return now[list(problem.keys)].assign(
        score=scored(model.pipeline, now, problem) if len(now) else np.array([]),
        model_version=model.info.version,
        trained_through=pd.Timestamp(model.info.trained_through),
    )


def _together(parts: Sequence[pd.DataFrame], problem: Problem) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame(columns=[*problem.keys, "score", "model_version", "trained_through"])
    return pd.concat(parts, ignore_index=True)
