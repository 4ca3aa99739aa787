"""Rows of the week, of each of its days, and of days that were delivered before."""

import math
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from ml_models.monitoring.data_quality.arithmetic import Array, Mask
from ml_models.monitoring.data_quality.profile_sql import WEEK
from ml_models.monitoring.data_quality.thresholds import MADE_UP, MINIMUM_ROWS, RECENT
from ml_models.monitoring.data_quality.window import Window
from ml_models.monitoring.types import AnomalyKind


def judge_volume(window: Window) -> None:
    """Judge the week's rows beyond a factor of two, and each day against its own weekday."""
    history, table, position = window.history, window.table, window.position
    weekly = history.one("rows")[:, None]
    expected_rows = float(np.nanmedian(weekly[window.healthy[-RECENT:]]))
    if expected_rows < MINIMUM_ROWS:
        return
    difference, _, limit = window.compare(np.log(np.maximum(weekly, 0.5)), math.log(2))
    limit = limit * window.goes_on("volume", "")
    observed = float(weekly[position, 0])
    window.note(
        "volume",
        "",
        "",
        "rows",
        observed,
        expected_rows,
        float(limit[0]),
        int(observed),
        bool(abs(difference[0]) > limit[0]),
    )
    days = history.daily("day_rows")
    logs = np.log(np.maximum(days, 0.5))
    made_up = made_up_for(window, days)
    change, centre, day_limit = window.compare(np.where(days > 0, logs, np.nan), math.log(2))
    usual = np.exp(centre)
    enough = usual >= 50
    gap = np.where(days[position] > 0, change, -np.inf)
    low = enough & (gap < -day_limit) & ~made_up
    high = enough & (gap > np.maximum(day_limit, math.log(2)))
    if observed < expected_rows and low.any():
        _missing_days(window, days[position], usual, np.flatnonzero(low))
    elif difference[0] < -limit[0]:
        share = 1 - observed / expected_rows
        sentence = (
            f"{table.asset} received {observed:,.0f} rows from {window.start} to {window.end}, "
            f"usually {expected_rows:,.0f}."
        )
        window.anomaly(
            "volume", "", sentence, observed, expected_rows, limit[0], observed, rate=share, operation="drop"
        )
    if difference[0] > limit[0] or high.sum() >= 1:
        chosen = np.flatnonzero(high) if high.any() else np.arange(WEEK)
        first, last = (window.start + timedelta(days=int(chosen[end])) for end in (0, -1))
        seen, wanted = float(days[position, chosen].sum()), float(usual[chosen].sum())
        sentence = f"{table.asset} received {seen:,.0f} rows from {first} to {last}, usually {wanted:,.0f}."
        window.anomaly(
            "volume", "", sentence, seen, wanted, float(day_limit[chosen].max()), seen,
            rate=min(seen / max(wanted, 1) - 1, 1), first=first, last=last, operation="duplicate", target=table.group,
        )  # fmt: skip


def made_up_for(window: Window, days: Array) -> Mask:
    """Whether the days before each day sold in advance what it lacks.

    People shop ahead of a closed day, and a lost file is announced to nobody.
    """
    history, position = window.history, window.position
    usual = np.median(days[window.healthy][-RECENT:], axis=0)
    follows = position and history.weeks[position] - history.weeks[position - 1] == timedelta(days=WEEK)
    line = np.concatenate([days[position - 1] if follows else usual, days[position]])
    extra = line - np.tile(usual, 2)
    ahead = [max(extra[WEEK + day - back : WEEK + day].sum() for back in (3, 4, 5)) for day in range(WEEK)]
    missing = -extra[WEEK:]
    closed = np.array([window.start + timedelta(days=day) in window.closed_days for day in range(WEEK)])
    return closed | (missing > 0) & (np.array(ahead) >= MADE_UP * missing)


def _missing_days(window: Window, seen: Array, usual: Array, low: npt.NDArray[np.int64]) -> None:
    table = window.table
    dates = [window.start + timedelta(days=int(day)) for day in low]
    got, wanted = float(seen[low].sum()), float(usual[low].sum())
    listed = ", ".join(f"{one} ({seen[day]:,.0f} of {usual[day]:,.0f})" for one, day in zip(dates, low, strict=True))
    newest = (
        int(low[-1]) == WEEK - 1
        and seen[WEEK - 1] == 0
        and all(seen[day] == 0 for day in low)
        and low[-1] - low[0] + 1 == len(low)
    )
    kind: AnomalyKind = "stale" if newest else "volume"
    what = "has not received its newest days" if newest else "lacks rows"
    sentence = f"{table.asset} {what}: {listed} rows as usual on these weekdays."
    if low[-1] - low[0] + 1 != len(low):
        # Days of the week, so that the anomaly can be re-enacted in another week.
        where = f"extract(isodow from {table.time_sql}) in ({', '.join(str(one.isoweekday()) for one in dates)})"
    else:
        where = ""
    window.anomaly(
        kind, "", sentence, got, wanted, 0.5, wanted, rate=1 - got / max(wanted, 1), first=dates[0], last=dates[-1],
        operation="drop", where=where,
    )  # fmt: skip


def judge_past_days(window: Window) -> None:
    """Judge days that were delivered before: what changes there may only come closer to what is usual."""
    history, table = window.history, window.table
    again = history.again(window.position)
    if not again:
        return
    days = history.daily("day_rows")
    usual = np.median(days[window.healthy][-RECENT:], axis=0)
    recorded: dict[int, float] = {}
    for place in range(window.position):
        offset = (history.weeks[place] - window.start).days
        for day in range(WEEK):
            recorded[offset + day] = float(days[place, day])
    for place in range(window.position):
        offset = (history.weeks[place] - window.start).days
        recorded |= {offset + back: rows for back, rows in history.again(place).items() if offset + back in recorded}
    grown: list[tuple[int, float, float]] = []
    for back, now in again.items():
        was, expected = recorded.get(back), usual[back % WEEK]
        if was is None or was < 50 or expected < 50:
            continue
        worse = abs(math.log(max(now, 0.5) / expected)) > abs(math.log(was / expected)) + math.log(1.2)
        if abs(math.log(max(now, 0.5) / was)) > math.log(1.25) and worse:
            grown.append((back, was, now))
    if not grown:
        return
    first, last = (window.start + timedelta(days=edge(back for back, _, _ in grown)) for edge in (min, max))
    was, now = sum(one[1] for one in grown), sum(one[2] for one in grown)
    more = now > was
    sentence = (
        f"Days of {table.asset} that were delivered before changed: {first} to {last} hold "
        f"{now:,.0f} rows, {was:,.0f} when they came."
    )
    window.anomaly(
        "replay" if more else "volume", table.group if more else "", sentence, now, was, 0.25, now,
        rate=min(abs(now / was - 1), 1), first=first, last=last, operation="duplicate" if more else "drop",
    )  # fmt: skip
