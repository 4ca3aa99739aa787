"""Re-enact the observed anomalies on a healthy week, and measure what share of the observed change they reproduce.

- Once outcomes matured, the share of the rise in log-loss.
- Before, the share of the shift: 1 - d(current, replayed) / d(current, reference), with d as in `shift`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta

import pandas as pd

from ml_models.monitoring.bad_periods import bad_period
from ml_models.monitoring.diagnosis import messages
from ml_models.monitoring.diagnosis.case import Case, Rebuild, Replayed, among, cutoffs_of, row_losses, rows_at
from ml_models.monitoring.diagnosis.injection import injected
from ml_models.monitoring.diagnosis.lineage import on_frame, strength, without_echoes
from ml_models.monitoring.diagnosis.shift import Shift
from ml_models.monitoring.diagnosis.thresholds import ENOUGH, REFERENCE_CUTOFFS, SAME_RATE, SIGNIFICANT, SINGLES
from ml_models.monitoring.types import Anomaly, Perturbation
from ml_models.problems.contract import Problem
from ml_models.rows import labelled_rows


def replay(case: Case, anomalies: Sequence[Anomaly]) -> Replayed:
    """Return what share of the observed loss rise, else of the observed shift, these anomalies reproduce."""
    first = min(anomaly.first_day for anomaly in anomalies)
    excluded = set(case.excluded)
    clean = [
        day
        for day in cutoffs_of(case.frame, case.problem)
        if day <= first
        and day < case.cutoff
        and day not in excluded
        and not _affects_features(anomalies, day, case.problem)
    ]
    if not clean:
        return Replayed(math.nan, "none", None, messages.NO_HEALTHY_WEEK)
    if not _replayable(anomalies, case.rebuild):
        return Replayed(math.nan, "none", clean[-1], messages.not_replayable())
    try:
        chosen, by_shift = _best_shift(case, anomalies, clean)
        by_loss = _loss_share(case, chosen, first) if case.champion is not None else None
    except (RuntimeError, ValueError) as error:
        return Replayed(math.nan, "none", clean[-1], messages.not_replayable(str(error)))
    return by_loss or by_shift


def _affects_features(anomalies: Sequence[Anomaly], day: date, problem: Problem) -> bool:
    return any(bad_period(anomaly).touches_window(day, problem.window_days) for anomaly in anomalies)


def _replayable(anomalies: Sequence[Anomaly], rebuild: Rebuild | None) -> bool:
    if rebuild is not None and any(anomaly.replay is not None for anomaly in anomalies):
        return True
    return any(on_frame(anomaly) for anomaly in anomalies)


def _replayed_rows(case: Case, anomalies: Sequence[Anomaly], observed_at: date, reference: date) -> pd.DataFrame:
    """Return the reference cutoff's rows as they would be under the anomalies that were observed at `observed_at`."""
    days = (reference - observed_at).days
    perturbations = [
        one.moved(days) for one in _merged(anomaly.replay for anomaly in anomalies if anomaly.replay is not None)
    ]
    if case.rebuild is not None and perturbations:
        return case.rebuild(perturbations, reference)
    return injected(
        rows_at(case.frame, reference, case.problem), rows_at(case.frame, observed_at, case.problem), anomalies
    )


def _merged(perturbations: Iterable[Perturbation]) -> list[Perturbation]:
    """Return the perturbations, those made one that differ only in days that touch: each week finds a lasting fault."""
    kept: list[Perturbation] = []
    for one in sorted(perturbations, key=lambda it: (it.first_day is not None, it.first_day, -_length(it).days)):
        for at, other in enumerate(kept):
            if _touch(other, one):
                longer = max(other, one, key=_length)
                last = None if other.last_day is None or one.last_day is None else max(other.last_day, one.last_day)
                kept[at] = replace(longer, first_day=other.first_day, last_day=last)
                break
        else:
            kept.append(one)
    return kept


def _length(one: Perturbation) -> timedelta:
    return one.last_day - one.first_day if one.first_day and one.last_day else timedelta.max


def _touch(earlier: Perturbation, later: Perturbation) -> bool:
    """Return whether two perturbations are one that goes on."""
    alike = replace(earlier, first_day=None, last_day=None, rate=1.0) == replace(
        later, first_day=None, last_day=None, rate=1.0
    )
    if not alike or abs(earlier.rate - later.rate) > SAME_RATE:
        return False
    if earlier.first_day is None or later.first_day is None:
        return earlier.first_day == later.first_day and earlier.last_day == later.last_day
    return earlier.last_day is None or later.first_day <= earlier.last_day + timedelta(days=1)


def _loss_share(case: Case, anomalies: Sequence[Anomaly], first: date) -> Replayed | None:
    """Return the share of the loss rise; None before outcomes matured, or when there is no significant rise.

    `first`: the first bad day of any of the anomalies.
    """
    problem, horizon = case.problem, timedelta(days=case.problem.horizon_days)
    days = cutoffs_of(case.rows, problem)
    affected = [day for day in days if day >= first and any(_affects(anomaly, day, problem) for anomaly in anomalies)]
    healthy = [day for day in days if day + horizon <= first and day not in set(case.excluded)]
    if not affected or not healthy:
        return None
    newest, reference = affected[-1], healthy[-1]
    current = rows_at(case.rows, newest, problem)
    base = case.rows[among(case.rows, healthy[-REFERENCE_CUTOFFS:], problem)]
    loss, base_loss = row_losses(current, case), row_losses(base, case)
    rise = float(loss.mean() - base_loss.mean())
    error = math.hypot(loss.std() / math.sqrt(len(loss)), base_loss.std() / math.sqrt(len(base) / REFERENCE_CUTOFFS))
    if rise < SIGNIFICANT * error:
        return None
    touched = any(bad_period(anomaly).touches_label(newest, problem.horizon_days) for anomaly in anomalies)
    replayed = _replayed_rows(case, anomalies, newest, reference)
    if problem.label not in replayed.columns or replayed[problem.label].isna().all():
        if touched:
            return None  # the outcomes are affected too, and this rebuild does not make them: judge by the shift
        replayed = labelled_rows(replayed, case.rows, problem)
    if replayed.empty:
        return None  # other entities than those whose outcomes are there
    own = row_losses(rows_at(case.rows, reference, problem), case).mean()
    share = min(max(float((row_losses(replayed, case).mean() - own) / rise), 0.0), 1.0)
    return Replayed(share, "loss", reference, messages.share_of_loss(reference, share, rise, newest), rise)


def _affects(anomaly: Anomaly, day: date, problem: Problem) -> bool:
    return bad_period(anomaly).affects(day, problem.window_days, problem.horizon_days)


def _best_shift(case: Case, anomalies: Sequence[Anomaly], clean: Sequence[date]) -> tuple[Sequence[Anomaly], Replayed]:
    """Return the anomalies that together reproduce most of the shift, and what they reproduce.

    One fault shows in several anomalies (lines are missing, so baskets are short and a store is silent); re-enacting
    all of them would do the damage twice. So the strongest anomalies are tried alone, and all of the first bad tables
    together.
    """
    shift = Shift.of(case, clean)
    if not shift.visible:
        return anomalies, Replayed(math.nan, "none", shift.reference, messages.NOT_VISIBLE, shift.whole, shift.table())
    together = without_echoes(anomalies, case.lineage)
    alone = sorted(together, key=strength, reverse=True)[:SINGLES] if len(together) > 1 else []
    tried: list[tuple[Sequence[Anomaly], Replayed]] = []
    built: list[list[Perturbation]] = []
    for option in (together, *([anomaly] for anomaly in alone)):
        # Perturbations that come to the same need no second build.
        made = _merged(anomaly.replay for anomaly in option if anomaly.replay is not None) if case.rebuild else []
        if made and any(len(made) == len(other) == len(_merged([*other, *made])) for other in built):
            continue
        built.append(made)
        tried.append((option, shift.share(case, _replayed_rows(case, option, case.cutoff, shift.reference))))
        if tried[-1][1].share > ENOUGH:
            break
    return max(tried, key=lambda pair: pair[1].share)
