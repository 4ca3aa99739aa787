"""The values of a category: new ones, vanished ones, and the shares of all."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.arithmetic import Array
from ml_models.monitoring.data_quality.monitored_tables import kind_of
from ml_models.monitoring.data_quality.observation import Observation, Replay, Segment
from ml_models.monitoring.data_quality.thresholds import (
    CLUSTER,
    DEVIATIONS,
    MINIMUM_ROWS,
    RECENT,
    VALUES_LOST,
    VALUES_MOVED,
    VALUES_NEW,
)
from ml_models.monitoring.data_quality.window import Window


def judge_categories(window: Window) -> None:
    """Judge which values a category has: new ones, vanished ones, and the shares of all."""
    table = window.table
    for column in table.categories or ():
        _judge(window, column)
    for column in table.segments:
        if column not in table.categories:
            _judge(window, column)


@dataclass(frozen=True)
class _Values:
    """Rows and shares of the values of one column, weeks x values."""

    window: Window
    column: str
    labels: list[str]
    counts: Array
    shares: Array

    @property
    def usual(self) -> Array:
        """The usual share of each value."""
        recent: Array = self.shares[self.window.healthy[-RECENT:]]
        mean: Array = recent.mean(axis=0)
        return mean

    def new(self, place: int, before: npt.NDArray[np.int64]) -> float:
        """Return the share of rows with values that no week of `before` had."""
        return float(self.shares[place][self.counts[before].sum(axis=0) == 0].sum()) if len(before) else 0.0

    def lost(self, place: int, before: npt.NDArray[np.int64]) -> float:
        """Return the usual share of values that each recent week had and this one has not."""
        recent = before[-RECENT:]
        steady = (self.counts[recent] > 0).all(axis=0)
        gone = steady & (self.counts[place] == 0)
        return float(self.shares[recent].mean(axis=0)[gone].sum()) if len(recent) else 0.0

    def moved(self, place: int, before: npt.NDArray[np.int64]) -> float:
        """Return half the sum of the differences of all shares: the share of rows that changed their value."""
        return float(np.abs(self.shares[place] - self.shares[before[-RECENT:]].mean(axis=0)).sum() / 2)

    def chance(self) -> float:
        """Return what `moved` is by chance: half the sum of E|x - p| over values.

        For as many independent rows as there are baskets, not lines.
        """
        n = float(self.counts[self.window.position].sum())
        scatter = np.sqrt(self.usual * (1 - self.usual)).sum()
        return 0.5 * math.sqrt(2 / math.pi * CLUSTER / n) * float(scatter)

    def observed(self, name: str, floor: float) -> Observation:
        """Return one of the measures above beside its healthy past."""
        measure = getattr(self, name)
        healthy = self.window.healthy
        past = np.array(
            [
                measure(int(place), healthy[:index])
                for index, place in enumerate(healthy)
                if index >= min(RECENT, len(healthy) - 3)
            ]
        )
        limit = max(float(past.mean() + DEVIATIONS * past.std(ddof=1)) if len(past) > 1 else floor, floor)
        limit *= self.window.goes_on("categories", self.column)
        return Observation(
            measure(self.window.position, healthy),
            float(past.mean()) if len(past) else 0.0,
            limit,
            float(self.counts[self.window.position].sum()),
        )

    def gone(self) -> tuple[str, ...]:
        """Return the usual values that are not there."""
        recent = (self.counts[self.window.healthy[-RECENT:]] > 0).all(axis=0)
        missing = (self.usual > 0) & (self.counts[self.window.position] == 0) & recent
        return tuple(self.labels[i] for i in np.flatnonzero(missing))

    def fresh(self) -> list[str]:
        """Return the values that were never seen before."""
        unseen = self.counts[self.window.healthy].sum(axis=0) == 0
        return [self.labels[i] for i in np.flatnonzero((self.counts[self.window.position] > 0) & unseen)]


def _judge(window: Window, column: str) -> None:
    table = window.table
    counts, labels = window.history.values_of(column)
    if not labels or counts[window.position].sum() < MINIMUM_ROWS:
        return
    values = _Values(window, column, labels, counts, counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    new = values.observed("new", VALUES_NEW)
    lost = values.observed("lost", VALUES_LOST)
    moved = values.observed("moved", max(VALUES_MOVED, 2.5 * values.chance()))
    for name, seen in (("new", new), ("lost", lost), ("moved", moved)):
        window.note("categories", column, f"values_{name}", seen, seen.observed > seen.threshold)
    renamed = min(new.observed, lost.observed) > 0.005 and new.observed > new.expected + 0.004
    # Of a segment only new values count: that one closes or grows is for the judgement of segments.
    segment = column in table.segments and column not in table.categories
    if new.observed > new.threshold or (renamed and not segment):
        _new_values(values, new)
    elif lost.observed > lost.threshold and not segment:
        _lost_values(values, lost)
    elif moved.observed > moved.threshold and not segment:
        _moved_values(values, moved)


def _is_text(values: _Values) -> bool:
    return kind_of(values.window.table.columns[values.column]) == "text"


def _new_values(values: _Values, seen: Observation) -> None:
    window, column, gone = values.window, values.column, values.gone()
    days = window.span("categories", column)
    window.anomaly(
        "categories",
        column,
        messages.values_new(window.table.asset, column, values.fresh(), gone, seen.observed, days),
        seen,
        rate=1.0 if gone else seen.observed,
        segment=Segment(column, gone),
        replay=Replay("map_values", "unseen {}") if _is_text(values) else None,
    )


def _lost_values(values: _Values, seen: Observation) -> None:
    window, column, gone = values.window, values.column, values.gone()
    share, usual = values.shares[window.position], values.usual
    replacement = int(np.argmax(share - usual))
    sentence = messages.values_lost(window.table.asset, column, gone, seen.observed, window.span("categories", column))
    replay = Replay("drop", column="")
    if share[replacement] - usual[replacement] > 0.5 * seen.observed and _is_text(values):
        label = values.labels[replacement]
        sentence = messages.values_replaced(sentence, label, share[replacement], usual[replacement])
        replay = Replay("collapse", label)
    window.anomaly("categories", column, sentence, seen, segment=Segment(column, gone), replay=replay)


def _moved_values(values: _Values, seen: Observation) -> None:
    window, column = values.window, values.column
    share, usual = values.shares[window.position], values.usual
    change = share - usual
    top = int(np.argmax(np.abs(change)))
    label = values.labels[top]
    sentence = messages.values_moved(
        window.table.asset, column, seen, (label, share[top], usual[top]), window.span("categories", column)
    )
    if change[top] > 0 and _is_text(values):
        replay = Replay("collapse", label)
        window.anomaly("categories", column, sentence, seen, rate=seen.observed, replay=replay)
    elif change[top] < 0:
        window.anomaly(
            "categories",
            column,
            sentence,
            seen,
            rate=min(1, -change[top] / max(usual[top], 1e-9)),
            segment=Segment(column, (label,)),
            replay=Replay("drop", column=""),
        )
    else:
        window.anomaly("categories", column, sentence, seen, rate=seen.observed)
