"""The course of one weekly number: how far this week lies from what was to be expected, by the number's own noise.

What a month's rhythm explains is no noise: wages make baskets larger in a month's first week. The rhythm is the mean
deviation of each week of the month from the level around it, drawn towards none where few weeks tell of it.

A step shows at once. What goes on in small steps shows in a sum (Page 1954): each week adds what it lacks, in standard
deviations, less an allowance, and the sum never falls below zero. As long as it stands above zero nothing is confirmed,
so the level that later weeks are held against stays the one of the block before the sum began to rise. A window that
slides along would learn the fault. Both together see steps and slopes (Lucas 1982).
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from ml_models.monitoring.data_quality.arithmetic import Array, Mask
from ml_models.monitoring.data_quality.thresholds import CREEP_ALLOWANCE, CREPT, MINIMUM_WINDOWS, RECENT, WEEK
from ml_models.monitoring.data_quality.window import Window


@dataclass(frozen=True)
class Course:
    """One week of a series of logarithms, without the month's rhythm.

    `difference` from the level of the recent healthy weeks, `step` from the last healthy week alone, `slope` from the
    last confirmed block. `noise` is the standard deviation with which healthy weeks missed their level, widened for few
    of them. `crept` is the sum of what the weeks up to this one lack, in such deviations.
    """

    difference: float
    step: float
    slope: float
    noise: float
    crept: float


def course_of(window: Window, logs: Array, chance: float, key: str, explained: Mask | None = None) -> Course | None:
    """Return the course of a series of logarithms by week; None: too few healthy weeks know it.

    `chance` is the standard deviation that counting alone gives it: noise is never less. Weeks that were bad by `key`
    (`kind:column`) add to the sum, and to no level. At weeks that are `explained` a new level begins.
    """
    healthy = [place for place in window.healthy if np.isfinite(logs[place])]
    if len(healthy) < MINIMUM_WINDOWS + RECENT or not np.isfinite(logs[window.position]):
        return None
    lacking = [
        place
        for place in range(healthy[0], window.position)
        if key in window.bad.get(window.history.weeks[place], ()) and np.isfinite(logs[place])
    ]
    places = [*sorted({*healthy, *lacking}), window.position]
    usual = np.isin(places, healthy)
    values = logs[places] - _rhythm(window, places, logs[places], usual)
    calm = values[usual]
    errors = [calm[place] - float(np.median(calm[max(place - RECENT, 0) : place])) for place in range(4, len(calm))]
    noise = max(float(np.std(errors)) * (1 + 2 / len(errors)), chance)
    if noise <= 0:
        return None
    crept, level = _sum_of_lacks(places, values, usual, noise, explained)
    recent = float(np.median(calm[-RECENT:]))
    last = float(values[-1])
    return Course(last - recent, last - float(calm[-1]), last - level, noise, crept)


def _sum_of_lacks(
    places: list[int], values: Array, usual: Mask, noise: float, explained: Mask | None
) -> tuple[float, float]:
    """Return the sum at the last value, and the level of the block that was confirmed before it began to rise."""
    crept, block = 0.0, list(values[usual][:RECENT])
    for place in range(int(np.flatnonzero(usual)[RECENT - 1]) + 1, len(values)):
        lack = (float(np.median(block)) - values[place]) / noise
        crept = min(max(0.0, crept + lack - CREEP_ALLOWANCE), 2 * CREPT)
        if explained is not None and explained[places[place]] and place < len(values) - 1:
            crept, block = 0.0, [values[place]]
        elif crept == 0 and usual[place]:
            block = [*block, values[place]][-RECENT:]
    return crept, float(np.median(block))


def _rhythm(window: Window, places: list[int], values: Array, usual: Mask) -> Array:
    """Return what the week of the month adds to each value, by the weeks of `usual` alone."""
    middle = timedelta(days=WEEK // 2)
    of_month = np.array([(window.history.weeks[place] + middle).day - 1 for place in places]) // WEEK
    past, when = values[usual], of_month[usual]
    apart = past - np.array([np.median(past[max(place - 4, 0) : place + 4]) for place in range(len(past))])
    effect = np.zeros(len(values))
    for week in np.unique(of_month):
        mine = when == week
        effect[of_month == week] = apart[mine].sum() / (mine.sum() + 1)
    return effect
