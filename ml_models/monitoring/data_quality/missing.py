"""Of what the missing rows are: the value of a column that explains most of them, told before all else.

A department that vanished makes baskets short, and short baskets are what is measured first. So wherever rows are
missing, each column's values are asked which of them lost its rows while the others kept theirs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.history import History
from ml_models.monitoring.data_quality.thresholds import APART, MOST_MISSING, RECENT, SAME_ROWS
from ml_models.monitoring.data_quality.window import Window


@dataclass(frozen=True)
class _Lost:
    """What a value lost: the share of all rows that are missing, and the share of its own."""

    column: str
    value: str
    of_missing: float
    of_own: float


def name_the_missing(window: Window) -> None:
    """Say of each anomaly of missing rows whose they are, where one value explains most of them."""
    missing = [
        place
        for place, one in enumerate(window.anomalies)
        if one.kind == "volume" and not one.segment_values and one.observed < one.expected
    ]
    if not missing:
        return
    found = max(_lost(window), key=lambda one: one.of_missing, default=None)
    if found is None:
        return
    lead = messages.mostly_missing(found.column, found.value, found.of_missing, found.of_own)
    for place in missing:
        one = window.anomalies[place]
        window.anomalies[place] = replace(one, sentence=f"{lead} {one.sentence}")


def _lost(window: Window) -> Iterator[_Lost]:
    """Yield the values that explain most of the missing rows, and lost clearly more of theirs than the others did."""
    for history in (window.history, *_with_columns(window)):
        for column in dict.fromkeys([*history.table.categories, *history.table.segments]):
            counts, labels = history.values_of(column)
            if len(labels) < 2:
                continue
            usual = np.median(counts[window.healthy[-RECENT:]], axis=0)
            gone = np.maximum(usual - counts[window.position], 0)
            if not gone.sum():
                continue
            first = int(gone.argmax())
            others = (gone.sum() - gone[first]) / max(usual.sum() - usual[first], 1)
            lost = _Lost(column, labels[first], float(gone[first] / gone.sum()), float(gone[first] / usual[first]))
            if lost.of_missing > MOST_MISSING and lost.of_own > APART * others:
                yield lost


def _with_columns(window: Window) -> Sequence[History]:
    """Return the tables that add columns to these rows."""
    mine = window.history.one("rows")[window.position]
    return [
        other
        for other in window.companions
        if other.weeks == window.history.weeks
        and abs(other.one("rows")[window.position] - mine) <= SAME_ROWS * max(mine, 1)
    ]
