"""Days without rows that recur: a bank holiday looks like a load that is missing, but for its coming back.

A day that lacks rows is explained where it lacked them before as well, each time: on the same date a year ago, as many
days from Easter, or on the same weekday of the month, a year ago or in each of three months. Only days that stand alone
count, or a few together: an outage of a week is no holiday. Weeks repeat too often to be learned from: a file that is
missing each Sunday would explain itself, so a new closed weekday is said by people.
"""

import calendar
from collections.abc import Collection, Iterator, Mapping
from datetime import date, timedelta

import numpy as np
import pandas as pd

from ml_models.monitoring.data_quality.history import History
from ml_models.monitoring.data_quality.thresholds import (
    CLOSED_DAYS_TOGETHER,
    CLOSED_MONTHS,
    DAY_ROWS,
    EASTER_REACH,
    VOLUME_FACTOR,
    WEEK,
)

_AROUND = [step * WEEK for step in (-4, -3, -2, -1, 1, 2, 3, 4)]


def with_recurring(
    profile: pd.DataFrame, history: History, closed_days: Collection[date], since: date
) -> Collection[date]:
    """Return the days that are known to be closed, and those from `since` on that lack rows as they did before."""
    days = history.daily("day_rows")
    usual = np.median(days, axis=0)
    newest = [place for place, week in enumerate(history.weeks) if week >= since]
    if not (days[newest] < usual / VOLUME_FACTOR)[:, usual >= DAY_ROWS].any():
        return closed_days
    rows = rows_by_day(profile, history.table.asset, history.weeks[-1] + timedelta(days=WEEK))
    return frozenset(closed_days) | recurring_closings(rows, since)


def rows_by_day(profile: pd.DataFrame, asset: str, cutoff: date) -> dict[date, float]:
    """Return a table's rows of each day before `cutoff` as they were last measured, 0 where there was none."""
    mine = profile[(profile["asset"] == asset) & (profile["period_start"] < pd.Timestamp(cutoff))]
    weeks = mine.loc[mine["measure"] == "rows", "period_start"]
    rows = {week.date() + timedelta(days=number): 0.0 for week in weeks for number in range(WEEK)}
    first = mine[mine["measure"] == "day_rows"]
    again = mine[mine["measure"] == "again_rows"].sort_values("period_start")
    rows |= {day.date(): float(value) for day, value in zip(first["period_start"], first["value"], strict=True)}
    for key, value in zip(again["value_key"], again["value"], strict=True):
        day = date.fromisoformat(str(key)[:10])
        if day in rows:
            rows[day] = float(value)
    return {day: value for day, value in rows.items() if day < cutoff}


def recurring_closings(rows: Mapping[date, float], since: date) -> frozenset[date]:
    """Return the days from `since` on that lack rows as they did whenever they recurred before.

    `rows` are those of each day, 0 included. Nothing is said of days whose weekday usually has less than DAY_ROWS.
    """
    kept = {day: share for day, share in _kept(rows).items() if share < 1 / VOLUME_FACTOR}
    low = {day for day in kept if _together(day, kept) <= CLOSED_DAYS_TOGETHER}
    found = set()
    for day in sorted(low):
        if day >= since and any(_recurs(before, needed, kept, low, day) for before, needed in _rules(day, rows, low)):
            found.add(day)
    return frozenset(found)


def _recurs(before: list[date], needed: int, kept: Mapping[date, float], low: set[date], day: date) -> bool:
    """Whether all earlier occasions, and enough of them, lacked rows, and no fewer were left than now by far."""
    if len(before) < needed or not all(one in low for one in before):
        return False
    return kept[day] >= min(kept[one] for one in before) / VOLUME_FACTOR


def _kept(rows: Mapping[date, float]) -> dict[date, float]:
    """Return which share of the usual rows of its weekday each day has: those of four weeks to either side."""
    shares = {}
    for day, value in rows.items():
        around = [rows[one] for one in (day + timedelta(days=step) for step in _AROUND) if one in rows]
        usual = float(np.median(around)) if around else 0.0
        if usual >= DAY_ROWS:
            shares[day] = value / usual
    return shares


def _together(day: date, kept: Mapping[date, float]) -> int:
    """Count the days in a row that lack rows, this one included."""
    count = 1
    for direction in (-1, 1):
        other = day + timedelta(days=direction)
        while other in kept:
            count += 1
            other += timedelta(days=direction)
    return count


def _rules(day: date, rows: Mapping[date, float], low: set[date]) -> Iterator[tuple[list[date], int]]:
    """Yield the earlier days in `rows` that each rule calls the same occasion, and how many a rule needs."""
    first = min(rows)
    years = range(day.year - 1, first.year - 1, -1)
    dated = [date(year, day.month, day.day) for year in years if (day.month, day.day) != (2, 29)]
    yield [one for one in dated if one in rows], 1
    offset = (day - _easter(day.year)).days
    if abs(offset) <= EASTER_REACH:
        moved = [_easter(year) + timedelta(days=offset) for year in years]
        yield [one for one in moved if one in rows], 1
    if any(day + timedelta(days=step) in low for step in (-1, 1)):
        return  # what is closed by weekday is closed alone
    last = calendar.monthrange(day.year, day.month)[1]
    places = [(day.day - 1) // WEEK, *([-1] if day.day + WEEK > last else [])]
    for place in places:
        same = [_weekday_of(year, day.month, day.weekday(), place) for year in years]
        yield [one for one in same if one and one in rows], 1
        months = [divmod(day.year * 12 + day.month - 1 - back, 12) for back in range(1, CLOSED_MONTHS + 1)]
        each = [_weekday_of(year, month + 1, day.weekday(), place) for year, month in months]
        yield [one for one in each if one and one in rows], CLOSED_MONTHS


def _easter(year: int) -> date:
    day: pd.Timestamp = pd.Timestamp(year, 1, 1) + pd.offsets.Easter()
    return day.date()


def _weekday_of(year: int, month: int, weekday: int, place: int) -> date | None:
    """Return the weekday of a month at a place (0: the first, -1: the last one); None: the month has none there."""
    days = [week[weekday] for week in calendar.monthcalendar(year, month) if week[weekday]]
    return date(year, month, days[place]) if place < len(days) else None
