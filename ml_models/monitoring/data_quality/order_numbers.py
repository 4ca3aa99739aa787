"""Gaps in the numbers of orders: a witness of what was lost, besides how many rows came.

Where orders are numbered one after another, a number that is missing was given to an order that did not arrive. Gaps
alone are no proof: a source that starts anew skips a thousand numbers, and carts that nobody paid may take some. So
they speak only together with fewer rows. Where rows are clearly fewer, as many gaps prove the loss, and none its
absence. Where rows are fewer by what chance may do, they prove it only if there were hardly any gaps before.
"""

import math
from dataclasses import dataclass

import numpy as np

from ml_models.monitoring.data_quality.thresholds import (
    DEVIATIONS,
    GAPLESS,
    GAPS,
    MINIMUM_WINDOWS,
    NUMBERED,
    NUMBERS_APART,
)
from ml_models.monitoring.data_quality.window import Window


@dataclass(frozen=True)
class Numbers:
    """The numbers between this week's first and last order: how many there are, and how many came with no order.

    `usual` is the share that is missing in healthy weeks; `grown` the logarithm by which orders are fewer than then for
    as many numbers; `scatter` the standard deviation of that logarithm.
    """

    between: int
    missing: int
    usual: float
    grown: float
    scatter: float

    def explain(self, difference: float) -> bool:
        """Whether they are missing to the extent that rows are, whose `difference` is a logarithm below 0."""
        return self.grown > -difference / 2

    def prove(self, difference: float) -> bool:
        """Whether orders were lost, also where rows are fewer by what chance alone may do."""
        clear = self.grown > max(DEVIATIONS * self.scatter, GAPS)
        return self.usual < GAPLESS and clear and -difference > self.grown / 2


def numbers_of(window: Window) -> Numbers | None:
    """Return what orders' numbers tell of this week; None: they are not given one after another."""
    history, group = window.history, window.table.group
    span = history.one("number_span", group) if group else np.array([])
    past = span[window.healthy] if len(span) else span
    past = past[np.isfinite(past)]
    if len(past) < MINIMUM_WINDOWS or not np.isfinite(span[window.position]):
        return None
    logs = np.log(np.maximum(past, 1.0))
    scatter = float(logs.std(ddof=1))
    # Numbers that are given in another order lie a history apart within one week, be it ever so stable.
    if scatter > NUMBERED or np.median(logs) > math.log(NUMBERS_APART):
        return None
    orders = float(history.counts("number_span", group)[window.position])
    now, usual = max(float(span[window.position]), 1.0), float(np.median(logs))
    between = round(orders * now)
    missing = between - round(orders)
    return Numbers(between, missing, 1 - math.exp(-usual), math.log(now) - usual, scatter)
