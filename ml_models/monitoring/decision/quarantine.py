"""What must not be learned from: what is known to be bad, the cutoffs it affects, and models that learned from them.

A `BadPeriod` (monitoring/bad_periods.py) tells which rows it affects; the ledger's anomalies are where they come from.
"""

from collections.abc import Sequence, Set
from dataclasses import replace
from datetime import date, timedelta

import pandas as pd

from ml_models.model_version import ModelInfo
from ml_models.monitoring.bad_periods import BadPeriod, bad_period
from ml_models.monitoring.data_quality.thresholds import WEEK
from ml_models.monitoring.decision.ledger import anomalies_by_event
from ml_models.monitoring.types import Anomaly, Situation


def bad_periods(ledger: pd.DataFrame, anomalies: Sequence[Anomaly] = ()) -> list[BadPeriod]:
    """Return what the ledger holds to be bad, and after it `anomalies`.

    Days of one event, asset and kind that touch are one period. Between days that do not, all was well, unless nobody
    judged a week between them: a machine that was off knows nothing of it.
    """
    found: list[BadPeriod] = []
    judged = {pd.Timestamp(day).date() for day in ledger["cutoff"]} if len(ledger) else set()
    for event, anomaly in anomalies_by_event(ledger):
        period = bad_period(anomaly, event)
        for place, earlier in enumerate(found):
            if _goes_on(earlier, period, judged):
                first, last = min(earlier.first_day, period.first_day), max(earlier.last_day, period.last_day)
                found[place] = replace(period, first_day=first, last_day=last)
                break
        else:
            found.append(period)
    return [*found, *(bad_period(anomaly) for anomaly in anomalies)]


def _goes_on(one: BadPeriod, other: BadPeriod, judged: Set[date]) -> bool:
    """Return whether two periods are one: alike in all but their days, which touch or have unjudged weeks between."""
    if replace(one, first_day=other.first_day, last_day=other.last_day) != other:
        return False
    earlier, later = sorted((one, other), key=lambda period: period.first_day)
    between = (later.first_day - earlier.last_day).days - 1
    if between <= 0:
        return True
    # The cutoffs whose week lies between them as a whole.
    whole = [earlier.last_day + timedelta(days=number) for number in range(WEEK + 1, between + 2)]
    weekday = min(judged, default=later.first_day).weekday()
    asked = [day for day in whole if day.weekday() == weekday]
    return bool(asked) and judged.isdisjoint(asked)


def affected_windows(periods: Sequence[BadPeriod], cutoffs: Sequence[date], window_days: int) -> list[date]:
    """Return the cutoffs whose features are made of bad days."""
    return [day for day in cutoffs if any(period.touches_window(day, window_days) for period in periods)]


def quarantined(
    ledger: pd.DataFrame,
    cutoffs: Sequence[date],
    window_days: int,
    horizon_days: int,
    anomalies: Sequence[Anomaly] = (),
) -> list[date]:
    """Return the cutoffs that must be kept out of training, by all anomalies of the ledger and by `anomalies`."""
    periods = bad_periods(ledger, anomalies)
    return [day for day in cutoffs if any(period.affects(day, window_days, horizon_days) for period in periods)]


def clean_cutoffs(situation: Situation, periods: Sequence[BadPeriod]) -> list[date]:
    """Return the labelled cutoffs whose rows no bad day touches."""
    return [
        day
        for day in situation.labelled
        if not any(period.affects(day, situation.window_days, situation.horizon_days) for period in periods)
    ]


def quarantine_range(periods: Sequence[BadPeriod], situation: Situation, event: str) -> tuple[date | None, date | None]:
    """Return the first and last cutoff that this event's bad days affect; (None, None) without any."""
    found = [
        period.affected_range(situation.window_days, situation.horizon_days)
        for period in periods
        if period.event_id in ("", event)
    ]
    ranges = [one for one in found if one is not None]
    if not ranges:
        return None, None
    return min(first for first, _ in ranges), max(last for _, last in ranges)


def contamination(model: ModelInfo, situation: Situation, periods: Sequence[BadPeriod]) -> float:
    """Return the share, 0 to 1, of a model's training days that are known to be bad.

    Averaged over the labelled cutoffs it learned from: bad days of window and label over all days of both. What none
    of its features and no label is computed from does not count.
    """
    learned = model.learned_from(situation.labelled)
    periods = [period.reaching(model.features) for period in periods]
    if not learned or not periods:
        return 0.0
    return sum(_share_of_bad_days(day, situation, periods) for day in learned) / len(learned)


def _share_of_bad_days(cutoff: date, situation: Situation, periods: Sequence[BadPeriod]) -> float:
    """Return the share of a cutoff's window and label days that are bad; a row that is bad as such counts whole."""
    bad: set[int] = set()
    for period in periods:
        if not period.affects(cutoff, situation.window_days, situation.horizon_days):
            continue
        if period.whole_rows:
            return 1.0
        low = -situation.window_days if period.affects_features else 0
        high = situation.horizon_days if period.affects_labels else 0
        first, last = (period.first_day - cutoff).days, (period.last_day - cutoff).days
        bad.update(range(max(first, low), min(last, high - 1) + 1))
    return len(bad) / (situation.window_days + situation.horizon_days)
