"""Rows of the week, of each of its days, and of days that were delivered before."""

import math
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.arithmetic import Array, Mask
from ml_models.monitoring.data_quality.observation import Observation, Replay
from ml_models.monitoring.data_quality.thresholds import (
    DAY_ROWS,
    GROWN_FACTOR,
    GROWN_WORSE,
    MADE_UP,
    MINIMUM_ROWS,
    RECENT,
    VOLUME_FACTOR,
    WEEK,
)
from ml_models.monitoring.data_quality.window import Window
from ml_models.monitoring.types import AnomalyKind


def judge_volume(window: Window) -> None:
    """Judge the week's rows beyond a factor of two, and each day against its own weekday."""
    history, table, position = window.history, window.table, window.position
    weekly = history.one("rows")[:, None]
    expected_rows = float(np.nanmedian(weekly[window.healthy[-RECENT:]]))
    if expected_rows < MINIMUM_ROWS:
        return
    difference, _, limit = window.compare(np.log(np.maximum(weekly, 0.5)), math.log(VOLUME_FACTOR))
    could = _share_of_open_days(window)
    expected_rows, difference = expected_rows * could, difference - math.log(max(could, 1e-9))
    limit = limit * window.goes_on("volume", "")
    observed = float(weekly[position, 0])
    seen = Observation(observed, expected_rows, float(limit[0]), observed)
    window.note("volume", "", "rows", seen, abs(difference[0]) > limit[0])
    days = history.daily("day_rows")
    logs = np.log(np.maximum(days, 0.5))
    made_up = made_up_for(window, days)
    change, centre, day_limit = window.compare(np.where(days > 0, logs, np.nan), math.log(VOLUME_FACTOR))
    usual = np.exp(centre)
    enough = usual >= DAY_ROWS
    gap = np.where(days[position] > 0, change, -np.inf)
    low = enough & (gap < -day_limit) & ~made_up
    high = enough & (gap > np.maximum(day_limit, math.log(VOLUME_FACTOR)))
    if observed < expected_rows and low.any():
        _missing_days(window, days[position], usual, np.flatnonzero(low))
    elif difference[0] < -limit[0]:
        sentence = messages.rows_received(table.asset, window.start, window.end, observed, expected_rows)
        window.anomaly("volume", "", sentence, seen, rate=1 - observed / expected_rows, replay=Replay("drop"))
    if difference[0] > limit[0] or high.sum() >= 1:
        chosen = np.flatnonzero(high) if high.any() else np.arange(WEEK)
        first, last = (window.start + timedelta(days=int(chosen[end])) for end in (0, -1))
        got, wanted = float(days[position, chosen].sum()), float(usual[chosen].sum())
        window.anomaly(
            "volume",
            "",
            messages.rows_received(table.asset, first, last, got, wanted),
            Observation(got, wanted, float(day_limit[chosen].max()), got),
            rate=min(got / max(wanted, 1) - 1, 1),
            days=(first, last),
            replay=Replay("duplicate", column=table.group),
        )


def closed_in(window: Window) -> Mask:
    """Return which days of the week were closed."""
    return np.array([window.start + timedelta(days=day) in window.closed_days for day in range(WEEK)])


def _share_of_open_days(window: Window) -> float:
    """Return the share of a usual week's rows that fall on this week's open days; 1 where nothing was closed."""
    closed = closed_in(window)
    if not closed.any():
        return 1.0
    usual = np.median(window.history.daily("day_rows")[window.healthy[-RECENT:]], axis=0)
    total = usual.sum()
    return float(usual[~closed].sum() / total) if total else 1.0


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
    return closed_in(window) | (missing > 0) & (np.array(ahead) >= MADE_UP * missing)


def _missing_days(window: Window, seen: Array, usual: Array, low: npt.NDArray[np.int64]) -> None:
    table = window.table
    dates = [window.start + timedelta(days=int(day)) for day in low]
    got, wanted = float(seen[low].sum()), float(usual[low].sum())
    together = low[-1] - low[0] + 1 == len(low)
    newest = bool(int(low[-1]) == WEEK - 1 and all(seen[day] == 0 for day in low) and together)
    kind: AnomalyKind = "stale" if newest else "volume"
    # Days of the week, so that the anomaly can be re-enacted in another week.
    weekdays = f"extract(isodow from {table.time_sql}) in ({', '.join(str(one.isoweekday()) for one in dates)})"
    listed = [(one, float(seen[day]), float(usual[day])) for one, day in zip(dates, low, strict=True)]
    window.anomaly(
        kind,
        "",
        messages.missing_days(table.asset, listed, newest),
        Observation(got, wanted, 1 / VOLUME_FACTOR, wanted),
        rate=1 - got / max(wanted, 1),
        days=(dates[0], dates[-1]),
        replay=Replay("drop", where="" if together else weekdays),
    )


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
        if was is None or was < DAY_ROWS or expected < DAY_ROWS:
            continue
        worse = abs(math.log(max(now, 0.5) / expected)) > abs(math.log(was / expected)) + math.log(GROWN_WORSE)
        if abs(math.log(max(now, 0.5) / was)) > math.log(GROWN_FACTOR) and worse:
            grown.append((back, was, now))
    if not grown:
        return
    first, last = (window.start + timedelta(days=edge(back for back, _, _ in grown)) for edge in (min, max))
    was, now = sum(one[1] for one in grown), sum(one[2] for one in grown)
    more = now > was
    window.anomaly(
        "replay" if more else "volume",
        table.group if more else "",
        messages.past_days(table.asset, first, last, now, was),
        Observation(now, was, GROWN_FACTOR - 1, now),
        rate=min(abs(now / was - 1), 1),
        days=(first, last),
        replay=Replay("duplicate" if more else "drop"),
    )
