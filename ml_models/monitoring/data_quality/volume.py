"""Rows of the week, of each of its days, and of days that were delivered before."""

import math
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.arithmetic import Array, Mask
from ml_models.monitoring.data_quality.observation import Observation, Replay
from ml_models.monitoring.data_quality.thresholds import (
    BLOCK_WEEKS,
    DAY_ROWS,
    DEVIATIONS,
    FEW_ROWS,
    GROWN_FACTOR,
    GROWN_WORSE,
    MADE_UP,
    MINIMUM_ROWS,
    MINIMUM_WINDOWS,
    OVERLAP_FLOOR,
    RECENT,
    ROWS_WRONG,
    SILENT_SHARE,
    VOLUME_FACTOR,
    WEEK,
)
from ml_models.monitoring.data_quality.window import Window, rows_of_one
from ml_models.monitoring.thresholds import DEVIATION_OF_MAD
from ml_models.monitoring.types import AnomalyKind


def judge_volume(window: Window) -> None:
    """Judge the week's rows beyond a factor of two and beyond chance, and each day against its own weekday."""
    history, table, position = window.history, window.table, window.position
    weekly = history.one("rows")
    usual_rows = float(np.nanmedian(weekly[window.healthy[-RECENT:]]))
    if usual_rows < FEW_ROWS:
        return
    could = share_of_open_days(window)
    expected_rows, observed = usual_rows * could, float(weekly[position])
    difference, limit = _change_of_rows(window, weekly, could)
    seen = Observation(observed, expected_rows, limit, observed)
    only_new = difference < 0 and _only_new_customers_are_fewer(window)
    fewer = difference < -limit and not only_new
    window.note("volume", "", "rows", seen, fewer or difference > limit)
    days = history.daily("day_rows")
    logs = np.log(np.maximum(days, 0.5))
    made_up = made_up_for(window, days)
    # A day that lacks rows says nothing of the same weekday a week later.
    change, centre, day_limit = window.compare(np.where(days > 0, logs, np.nan), math.log(VOLUME_FACTOR))
    usual = np.exp(centre)
    enough = usual >= DAY_ROWS
    # Where only new customers are fewer, a day lacks rows that has fewer than the others of its week.
    gap = np.where(days[position] > 0, change - (difference if only_new else 0.0), -np.inf)
    low = enough & (gap < -day_limit) & ~made_up
    high = enough & (gap > np.maximum(day_limit, math.log(VOLUME_FACTOR)))
    more = difference > limit
    if (more or high.any()) and _own_customers_came(window, days, high):
        more, high = False, np.zeros_like(high)
    if observed < expected_rows and low.any():
        _missing_days(window, days[position], usual, np.flatnonzero(low))
    elif fewer:
        sentence = messages.rows_received(table.asset, window.start, window.end, observed, expected_rows)
        window.anomaly("volume", "", sentence, seen, rate=1 - observed / expected_rows, replay=Replay("drop"))
    if more or high.any():
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


def _change_of_rows(window: Window, weekly: Array, could: float) -> tuple[float, float]:
    """Return the logarithm of the week's rows over what is usual, and from which one on that is no chance.

    A table that grows or fades is held against where it has got to as well: the smaller change counts. In a small table
    chance moves more than a factor of two, and how much more is told by how the weeks before missed their own past.
    """
    logs = np.log(np.maximum(weekly, 0.5))
    change, _, limits = window.compare(logs[:, None], math.log(VOLUME_FACTOR), kind="volume")
    difference, limit = float(change[0]) - math.log(max(could, 1e-9)), float(limits[0])
    missed = window.forecast_errors(logs)
    known = len(missed) >= MINIMUM_WINDOWS
    if known:
        trend = float(np.median(missed[-RECENT:]))
        if difference * trend > 0:
            difference = math.copysign(max(abs(difference) - abs(trend), 0.0), difference)
    expected = math.exp(logs[window.position] - difference)
    if expected >= MINIMUM_ROWS:
        return difference, limit
    past, now = np.sqrt(np.maximum(weekly[window.healthy], 0)), math.sqrt(max(weekly[window.position], 0))
    together = math.sqrt(rows_of_one(window))
    if np.nanmin(past) - together <= now <= np.nanmax(past) + together:
        # Few rows that come in bursts, as redemptions of coupons do, were about as few and as many before.
        return difference, math.inf
    # The scatter of square roots is the same for few rows and for many, and from week to week it holds no trend, and a
    # step once only.
    steps = np.diff(past)
    scatter = DEVIATION_OF_MAD * float(np.median(np.abs(steps - np.median(steps)))) / math.sqrt(2)
    spread = max(scatter, together / 2)
    edge = math.sqrt(expected) + math.copysign(DEVIATIONS * spread * (1 + 2 / len(steps)), difference)
    # Where chance could leave nothing at all, fewer rows can never be told from it.
    rare = abs(2 * math.log(edge) - math.log(expected)) if edge > 0 else math.inf
    least = math.log(VOLUME_FACTOR) * window.goes_on("volume", "")
    return difference, max(least if known else limit, rare)


def _only_new_customers_are_fewer(window: Window) -> bool:
    """Whether those of the four weeks before came again as they usually do: then no rows of theirs were lost.

    Where a company wins customers in waves, the rows fall when a wave ends. A load that lost rows lost those of known
    customers as well.
    """
    history, position, name = window.history, window.position, window.table.entity
    if not name or position < BLOCK_WEEKS:
        return False
    before = [window.start - timedelta(days=WEEK * step) for step in range(1, BLOCK_WEEKS + 1)]
    if any(one.split(":")[0] in ROWS_WRONG for week in before for one in window.bad.get(week, ())):
        return False
    rows, known = history.one("rows"), history.one("known_share_1", name)
    places = {week: place for place, week in enumerate(history.weeks)}
    again = np.full((len(history.weeks), 1), np.nan)
    for place, week in enumerate(history.weeks):
        block = [places.get(week - timedelta(days=WEEK * step), -1) for step in range(1, BLOCK_WEEKS + 1)]
        if min(block) >= 0 and rows[block].sum() > 0:
            again[place] = math.log(max(known[place] * rows[place], 0.5) / rows[block].sum())
    change, _, _ = window.compare(again, 0.0)
    return bool(change[0] > -math.log(VOLUME_FACTOR))


def _own_customers_came(window: Window, days: Array, high: Mask) -> bool:
    """Whether more of the customers who are known came than usual: a crowd, as before a holiday.

    Each may buy more on such a day, but less so than there are more of them. Rows that came twice, or days that came
    again, make each customer's rows more. Rows that are not this company's come from customers whom nobody knows.
    """
    history, name = window.history, window.table.entity
    if not name:
        return False
    known = window.compare(history.one("known_share_1", name)[:, None], OVERLAP_FLOOR)
    each = window.compare(np.log(np.maximum(history.one("rows_per_entity", name)[:, None], 1e-9)), 0.0)
    if not (known[0][0] > -known[2][0] and each[0][0] < math.log(GROWN_FACTOR)):
        return False  # also where either cannot be said
    came = history.daily("day_entities")
    with np.errstate(invalid="ignore", divide="ignore"):
        more, _, _ = window.compare(np.log(np.where(came > 0, came, np.nan)), 0.0)
        of_each, _, _ = window.compare(np.log(days / came), 0.0)
    return bool((of_each[high] < np.minimum(more[high], math.log(VOLUME_FACTOR))).all())


def closed_in(window: Window) -> Mask:
    """Return which days of the week were closed."""
    return np.array([window.start + timedelta(days=day) in window.closed_days for day in range(WEEK)])


def share_of_open_days(window: Window) -> float:
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
        messages.missing_days(table.asset, listed, newest, empty=together and got <= SILENT_SHARE * wanted),
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
