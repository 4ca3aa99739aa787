"""Rows lost on the way without any structure: orders here and there, or lines out of all orders.

A step of many deviations of the series' own noise (`course`) that is equal within chance among customers, and among
what they buy, is a feed's signature: a change of the world is uneven there, as customers differ. So only what is
clearly uneven along them is left to drift and performance. What is undecided is inspected, and nothing learns from it.
Unevenness along stores, days and hours is a feed's as well, and is told.

*Unevenness.* Of those who came in the four weeks before, it is the sum of (n - r b)^2 over the sum of n: n orders now,
b then, r the share of all. Where each order is lost with the same probability, which leaves the share p of them, the
variance of a count beyond its mean, over that mean, is p times what it was. So (unevenness - 1) / r does not change
when orders are lost at random. It rises where some customers stay away and others come as ever. By departments, stores,
days and hours rows are counted: those of one order are lost together, which only lowers the unevenness of rows, so that
it is compared as it is.

*The source's count.* Where the source counts what it sends, and all of it arrived, nothing was lost on the way: what is
fewer everywhere alike happened less, and is left to drift and performance.

*Orders' numbers.* Where orders are numbered one after another, numbers that are missing are the proof, either way
(`order_numbers`).
"""

import math
from collections.abc import Iterator

import numpy as np

from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.arithmetic import Array, Mask
from ml_models.monitoring.data_quality.course import Course, course_of
from ml_models.monitoring.data_quality.history import History
from ml_models.monitoring.data_quality.observation import Observation, Replay
from ml_models.monitoring.data_quality.order_numbers import numbers_of
from ml_models.monitoring.data_quality.thresholds import (
    CREPT,
    DEVIATIONS,
    MADE_UP,
    MINIMUM_ROWS,
    MINIMUM_WINDOWS,
    RECENT,
    ROWS_WRONG,
    SAME_ROWS,
    SEGMENT_DEVIATIONS,
    WEEK,
)
from ml_models.monitoring.data_quality.volume import share_of_open_days
from ml_models.monitoring.data_quality.window import Window, rows_of_one
from ml_models.monitoring.types import Anomaly


def judge_losses(window: Window) -> None:
    """Judge whether lines were lost out of orders, or whole orders, where nothing found before explains fewer rows."""
    closed = share_of_open_days(window) < 1
    if closed or any(_explains(window, one) for one in window.anomalies if one.kind in ROWS_WRONG | {"hours"}):
        return
    if window.history.one("rows")[window.position] >= MINIMUM_ROWS and not _lines(window):
        _orders(window)


def _explains(window: Window, one: Anomaly) -> bool:
    """Whether it says where rows are missing: in some values of a segment, another way, or mostly on some days."""
    if one.kind != "volume" or one.column or one.segment_values:
        return True
    rows = window.history.one("rows")
    lacks = float(np.median(rows[window.healthy[-RECENT:]])) - float(rows[window.position])
    some_days = (one.last_day - one.first_day).days + 1 < WEEK
    return some_days and one.expected - one.observed > MADE_UP * lacks


def _lines(window: Window) -> bool:
    """Judge the rows of an order, for a step and for a slope; return whether some are missing."""
    history, group = window.history, window.table.group
    if not group:
        return False
    sizes, orders = history.one("rows_per_group", group), history.counts("rows_per_group", group)
    n = float(orders[window.position])
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(np.where(sizes > 0, sizes, np.nan))
    key, chance = f"volume:{group}", 1 / math.sqrt(max(n, 1))
    course = course_of(window, logs, chance, key)
    if course is None:
        return False
    still = window.goes_on("volume", group)
    limit = still * DEVIATIONS * course.noise

    def lacks(it: Course) -> float:
        """Return what is missing, as a logarithm: at once, or little by little; 0: nothing."""
        if it.difference < -limit and (it.step < -limit / 2 or still < 1):
            return -it.difference
        # Baskets shrink and grow by themselves over the months: the last weeks too must know a higher level.
        slope = it.crept > still * CREPT and it.difference < -still * it.noise
        return -it.slope if slope and it.slope < it.difference else 0.0

    lost = 0.0 if window.all_arrived else lacks(course)
    if lost:
        # Only now it is worth asking which weeks were uneven; what they brought was the world's.
        uneven = _any(window, _of_tastes(window))
        course = course_of(window, logs, chance, key, uneven) or course
        lost = 0.0 if uneven[window.position] else lacks(course)
    usual = math.exp(float(logs[window.position]) + lost)
    seen = Observation(float(sizes[window.position]), usual, limit, n)
    window.note("volume", group, "rows of an order", seen, lost > 0)
    if lost:
        window.drop_losses()
        sentence = messages.lines_lost(window.table.asset, group, seen, window.span("volume", group))
        rate = 1 - seen.observed / seen.expected
        window.anomaly("volume", group, sentence, seen, rate=rate, replay=Replay("drop", column=""))
    return lost > 0


def _orders(window: Window) -> None:
    """Judge the week's rows for a step that no part of the company explains."""
    history, table = window.history, window.table
    rows = history.one("rows")
    now = float(rows[window.position])
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(np.where(rows > 0, rows, np.nan))
    course = course_of(window, logs, math.sqrt(rows_of_one(window) / now), "volume:")
    if course is None:
        return
    limit = window.goes_on("volume", "") * DEVIATIONS * course.noise
    # What the world does lasts: once it came unevenly, the weeks after it are even among themselves.
    step = course.difference < -limit and course.step < -limit / 2
    numbers = numbers_of(window)
    if numbers is None:
        wrong = step and not window.all_arrived and not _of_the_world(window)
    else:
        wrong = numbers.explain(course.difference) if step else numbers.prove(course.difference)
    usual = now * math.exp(-course.difference)
    seen = Observation(now, usual, limit, now)
    window.note("volume", "", "rows beyond their own noise", seen, wrong)
    if wrong:
        window.drop_losses()
        times = -course.difference / course.noise
        where = [name for name, uneven in _of_the_feed(window) if uneven[window.position]]
        sentence = messages.orders_lost(table.asset, seen, window.span("volume"), times, where, numbers)
        replay = Replay("drop", column="", per=table.group)
        window.anomaly("volume", "", sentence, seen, rate=1 - now / usual, replay=replay)


def _of_the_world(window: Window) -> bool:
    """Whether this week's rows are clearly fewer of some customers, or of some of what they buy."""
    if window.customers_changed:
        return True
    name, found = window.table.entity, _any(window, _of_tastes(window))
    if name:
        with np.errstate(invalid="ignore", divide="ignore"):
            again = window.history.one("again_of_visits", name)
            kept = float(again[window.position] / np.nanmedian(again[window.healthy[-RECENT:]]))
            strays = (window.history.one("spread_of_visits", name) - 1) / again
            found = found | _uneven(window, name, strays, kept)
    return bool(found[window.position])


def _of_tastes(window: Window) -> Iterator[tuple[str, Mask]]:
    """Yield in which weeks rows were uneven among the categories of what is bought."""
    history = window.history
    for other in [history, *(one for one in window.companions if _same_rows(history, one))]:
        for column in other.table.categories:
            if not window.affected(column):
                yield column, _uneven(window, column, _spread(window, other.values_of(column)[0]))


def _of_the_feed(window: Window) -> Iterator[tuple[str, Mask]]:
    """Yield in which weeks rows were uneven along the dimensions of a feed."""
    history, table = window.history, window.table
    yield "days", _uneven(window, "days", _spread(window, history.daily("day_rows")))
    yield "hours", _uneven(window, "hours", _spread(window, history.hours().sum(axis=1)))
    for column in table.segments:
        if column not in table.categories:
            yield column, _uneven(window, column, _spread(window, history.values_of(column)[0]))


def _any(window: Window, found: Iterator[tuple[str, Mask]]) -> Mask:
    """Return in which weeks any of these was uneven."""
    uneven = np.zeros(len(window.history.weeks), dtype=bool)
    for _, weeks in found:
        uneven |= weeks
    return uneven


def _uneven(window: Window, name: str, strays: Array, kept: float = 1.0) -> Mask:
    """Return in which weeks what is fewer, or more, is clearly so with some and not with others.

    A number that is divided by the share that is `kept` scatters more by as much.
    """
    past = strays[window.healthy]
    past = past[np.isfinite(past)]
    if len(past) < MINIMUM_WINDOWS:
        return np.zeros(len(strays), dtype=bool)
    limit = SEGMENT_DEVIATIONS * float(past.std(ddof=1)) * (1 + 2 / len(past)) / min(kept, 1.0)
    now, usual = float(strays[window.position]), float(past.mean())
    seen = Observation(now, usual, limit, float(window.history.one("rows")[window.position]))
    window.note("volume", "", f"uneven among {name}", seen, now - usual > limit)
    with np.errstate(invalid="ignore"):
        uneven: Mask = strays - usual > limit
    return uneven


def _same_rows(history: History, other: History) -> bool:
    """Whether another table holds the rows of this one, with more columns."""
    mine, theirs = history.one("rows"), other.one("rows")
    if history.weeks != other.weeks or not theirs[-1]:
        return False
    return bool(np.nanmax(np.abs(np.log(np.maximum(theirs, 0.5) / np.maximum(mine, 0.5)))) < SAME_ROWS)


def _spread(window: Window, counts: Array) -> Array:
    """Return, by week, the logarithm of the spread of rows by value against the healthy weeks before it.

    The spread is sum (n - r b)^2 / sum n. It is a variance of few values: its logarithm scatters to both sides alike.
    """
    found = np.full(len(counts), np.nan)
    if counts.shape[1] < 2:
        return found
    places = [*window.healthy, window.position]
    for index, place in enumerate(places):
        before = counts[places[max(index - RECENT, 0) : index]].mean(axis=0) if index >= 4 else np.zeros(0)
        total = counts[place].sum()
        if len(before) and before.sum() and total:
            squares = ((counts[place] - before * total / before.sum()) ** 2).sum()
            found[place] = math.log(max(float(squares / total), 1e-3))
    return found
