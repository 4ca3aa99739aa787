"""Each measure within each value of a segment: the nulls of one store, the prices of one product group.

With many values some are odd every week, so what counts is the mass of rows in odd values.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.arithmetic import Array, nanmedian, rounded, share_floor, smaller, wrong_side
from ml_models.monitoring.data_quality.observation import Observation, Replay, Segment
from ml_models.monitoring.data_quality.thresholds import (
    DEVIATIONS,
    MINIMUM_ROWS,
    MINIMUM_WINDOWS,
    OUTAGE_VALUES,
    RECENT,
    SEGMENT_DEVIATIONS,
    SEGMENT_MASS,
    SEGMENT_ROWS,
    SEGMENT_RULES,
    Rule,
)
from ml_models.monitoring.data_quality.window import Window, typed
from ml_models.monitoring.types import AnomalyKind


@dataclass(frozen=True)
class _Series:
    """A measure within each value of one `segment` (weeks x values); `medians` stands beside a mean."""

    column: str
    segment: str
    measure: str
    values: Array
    medians: Array
    counts: Array

    @property
    def rule(self) -> Rule:
        return SEGMENT_RULES[self.measure]


@dataclass(frozen=True)
class _Off:
    """Which values of a segment are off, by what difference, and the bound of their mass."""

    places: npt.NDArray[np.int64]
    difference: Array
    bound: float


def judge_segments(window: Window) -> None:
    """Judge each measure within each value of each segment, by the mass of rows in values that are off."""
    history, table = window.history, window.table
    taken: set[tuple[AnomalyKind, str]] = set()
    for measure, rule in SEGMENT_RULES.items():
        values, counts, labels = history.series(
            "mean" if measure == "size" else measure, lambda name: "@" in name, "segments"
        )
        if not labels:
            continue
        middle = values
        if measure == "size":
            other, _, others = history.series("p50", lambda name: "@" in name, "segments")
            order = {label: place for place, label in enumerate(others)}
            middle = other[:, [order[label] for label in labels]]
        names = np.array([name for name, _ in labels], dtype=object)
        for name in dict.fromkeys(names):
            column, segment = str(name).split("@")
            if (rule.kind, column) in taken:
                continue
            if measure == "modal_share" and column in table.ids:
                continue  # in a small shop one customer may well be most of the rows
            chosen = np.flatnonzero(names == name)
            series = _Series(column, segment, measure, values[:, chosen], middle[:, chosen], counts[:, chosen])
            off = _off(window, series)
            if off is not None:
                taken.add((rule.kind, column))
                _record(window, series, off, Segment(segment, tuple(labels[chosen[i]][1] for i in off.places)))


def _off(window: Window, series: _Series) -> _Off | None:
    """Return what is off within a segment; None: nothing is."""
    position, rule, counts = window.position, series.rule, series.counts
    enough = counts >= SEGMENT_ROWS
    values, medians = (np.where(enough, these, np.nan) for these in (series.values, series.medians))
    present = enough[position] & (enough[window.healthy].sum(axis=0) >= MINIMUM_WINDOWS)
    if present.sum() < 2:
        return None

    def relative(these: Array) -> Array:
        if rule.scale == "log":
            with np.errstate(invalid="ignore", divide="ignore"):
                these = np.where(these > 0, np.log(np.abs(these)), np.nan)
        # Against the other values: what all of them do is judged on the whole table.
        apart: Array = these - nanmedian(np.where(present, these, np.nan).T)[:, None]
        return apart

    compared = relative(values)
    of = f"{window.table.time_column if rule.kind == 'hours' else series.column}@{series.segment}"
    still = window.goes_on(rule.kind, of)
    difference, centre, limit = window.compare(compared, rule.floor, SEGMENT_DEVIATIONS, rule.kind, (of,))
    if series.measure == "size":
        # Mean and median must agree: a mean alone moves with one large row, or with a new kind of product.
        between, middle, _ = window.compare(relative(medians), rule.floor, SEGMENT_DEVIATIONS)
        difference = smaller(difference, between)
        compared = np.stack([smaller(a, b) for a, b in zip(compared - centre, relative(medians) - middle, strict=True)])
        centre = np.zeros_like(centre)
    if rule.scale == "share" and series.measure != "hour_mean":
        usual = nanmedian(values[window.healthy])
        least = share_floor(rule.floor, usual, counts[position], np.zeros(values.shape[1], dtype=bool))
        limit = np.maximum(limit, still * least)
    off = wrong_side(difference, limit, rule.side) & present
    weights = counts[position] / max(counts[position][present].sum(), 1)
    mass = float(weights[off].sum())
    earlier = []
    for place in window.healthy:
        shares = counts[place] / max(counts[place].sum(), 1)
        with np.errstate(invalid="ignore"):
            earlier.append(
                float(shares[wrong_side(compared[place] - centre, limit / still, rule.side) & present].sum())
            )
    past = np.array(earlier)
    bound = still * max(float(past.mean() + DEVIATIONS * past.std(ddof=1)), SEGMENT_MASS)
    # One value alone only when it is far beyond its limit and has rows enough.
    far = (np.abs(difference) > 3 * limit) & (np.abs(difference) > 3 * rule.floor)
    alone = off & far & (counts[position] >= MINIMUM_ROWS)
    seen = Observation(mass, float(past.mean()), bound, counts[position].sum())
    violated = (mass > bound and off.sum() >= OUTAGE_VALUES) or alone.any()
    window.note(rule.kind, series.column, f"{series.measure} within segments", seen, violated, segment="segment")
    several = max(OUTAGE_VALUES, math.ceil(0.05 * present.sum()))
    if mass > bound and off.sum() >= several:
        # Among those that are off by chance only the ones that moved with the majority belong to it.
        lead = np.sign(np.nansum(np.where(off, np.sign(difference) * weights, 0)))
        places = np.flatnonzero(off & (np.sign(difference) == lead))
        together = len(places) >= several and weights[places].sum() > bound
        return _Off(places, difference, bound) if together else None
    return _Off(np.flatnonzero(alone), difference, bound) if alone.any() else None


def _record(window: Window, series: _Series, off: _Off, segment: Segment) -> None:
    """Add the anomaly of some values of a segment, in the place of one of the whole table that it explains."""
    kind, column = series.rule.kind, series.column
    n = series.counts[window.position, off.places]
    weights = np.maximum(n, 1)
    usual = nanmedian(np.where(series.counts >= SEGMENT_ROWS, series.values, np.nan)[window.healthy[-RECENT:]])
    seen = Observation(
        float(np.average(series.values[window.position, off.places], weights=weights)),
        float(np.average(usual[off.places], weights=weights)),
        off.bound,
        float(n.sum()),
    )
    window.anomalies[:] = [
        one
        for one in window.anomalies
        if (one.kind, one.column) != (kind, column)
        or one.segment_values
        or (one.observed > one.expected) != (seen.observed > seen.expected)
    ]
    effect = float(np.average(off.difference[off.places], weights=weights))
    sentence, rate, replay = _worded(window, series, segment, seen, effect)
    # Hours are those of the time, whatever column the measure is about.
    where = window.table.time_column if kind == "hours" else column
    window.anomaly(kind, where, sentence, seen, rate=rate, segment=segment, replay=replay)


def _worded(
    window: Window, series: _Series, segment: Segment, seen: Observation, effect: float
) -> tuple[str, float, Replay | None]:
    """Return the sentence of an anomaly, the share of rows that it hits, and how to make it again."""
    table, column, kind = window.table, series.column, series.rule.kind
    days = window.span(kind, column)
    if kind == "nulls":
        sentence = messages.segment_nulls(table.asset, column, segment, seen, days)
        return sentence, max(seen.rise, 0), Replay("null") if seen.rise > 0 else None
    if kind == "stuck":
        value = window.history.modal(column, window.position)
        sentence = messages.segment_stuck(table.asset, column, value, segment, seen, days)
        return sentence, seen.rise, Replay("set", typed(value, table.columns[column]))
    if kind == "range" and series.measure == "negative_share":
        sentence = messages.segment_negative(table.asset, column, segment, seen, days)
        return sentence, abs(seen.observed - seen.expected), Replay("negate")
    if kind == "range":
        factor = rounded(math.exp(effect))
        sentence = messages.segment_size(table.asset, column, segment, factor, series.measure, seen, days)
        return sentence, 1.0, Replay("scale", factor)
    if kind == "hours":
        hours = round(effect)
        sentence = messages.segment_shifted(table.asset, segment, hours, days)
        return sentence, 1.0, Replay("shift_time", hours) if hours else None
    ratio = math.exp(effect)
    sentence = messages.segment_group_rows(table.asset, segment, seen, days)
    return sentence, min(abs(1 - ratio), 1), Replay("drop" if ratio < 1 else "duplicate", column="")
