"""Each measure within each value of a segment: the nulls of one store, the prices of one product group.

With many values some are odd every week, so what counts is the mass of rows in odd values.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_models.monitoring.data_quality.arithmetic import Array, nanmedian, rounded, share_floor, smaller, wrong_side
from ml_models.monitoring.data_quality.profile_sql import SEGMENT_ROWS
from ml_models.monitoring.data_quality.thresholds import (
    DEVIATIONS,
    MINIMUM_ROWS,
    MINIMUM_WINDOWS,
    OUTAGE_VALUES,
    RECENT,
    SEGMENT_DEVIATIONS,
    SEGMENT_MASS,
    SEGMENT_RULES,
)
from ml_models.monitoring.data_quality.window import Window, typed
from ml_models.monitoring.types import AnomalyKind


def judge_segments(window: Window) -> None:
    """Judge each measure within each value of each segment, by the mass of rows in values that are off."""
    history, table, position = window.history, window.table, window.position
    taken: set[tuple[str, str]] = set()
    for measure, (kind, scale, floor, side) in SEGMENT_RULES.items():
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
            if (kind, column) in taken:
                continue
            if measure == "modal_share" and column in table.ids:
                continue  # in a small shop one customer may well be most of the rows
            chosen = np.flatnonzero(names == name)
            found = _segment(
                window, values[:, chosen], middle[:, chosen], counts[:, chosen], column, measure, scale, floor, side
            )
            if found is None:
                continue
            off, bound, effect, expected = found
            keys = [labels[chosen[i]][1] for i in off]
            weights = counts[position, chosen[off]]
            observed = float(np.average(values[position, chosen[off]], weights=np.maximum(weights, 1)))
            usual = float(np.average(expected[off], weights=np.maximum(weights, 1)))
            taken.add((kind, column))
            # What sits in some segments is told there, not as a change of the whole table.
            window.anomalies[:] = [
                one
                for one in window.anomalies
                if (one.kind, one.column) != (kind, column)
                or one.segment_values
                or (one.observed > one.expected) != (observed > usual)
            ]
            _segment_anomaly(
                window,
                kind,
                column,
                segment,
                measure,
                keys,
                bound,
                observed,
                usual,
                float(np.average(effect[off], weights=np.maximum(weights, 1))),
                float(weights.sum()),
            )


def _segment(
    window: Window, values: Array, medians: Array, counts: Array, column: str, measure: str, scale: str, floor: float,
    side: str,
) -> tuple[npt.NDArray[np.int64], float, Array, Array] | None:  # fmt: skip
    """Return which values of a segment are off, the bound of their mass, differences, usual values; None: none is."""
    position = window.position
    enough = counts >= SEGMENT_ROWS
    values, medians = np.where(enough, values, np.nan), np.where(enough, medians, np.nan)
    present = enough[position] & (enough[window.healthy].sum(axis=0) >= MINIMUM_WINDOWS)
    if present.sum() < 2:
        return None

    def relative(these: Array) -> Array:
        if scale == "log":
            with np.errstate(invalid="ignore", divide="ignore"):
                these = np.where(these > 0, np.log(np.abs(these)), np.nan)
        # Against the other values: what all of them do is judged on the whole table.
        return these - nanmedian(np.where(present, these, np.nan).T)[:, None]

    compared = relative(values)
    difference, centre, limit = window.compare(compared, floor, SEGMENT_DEVIATIONS)
    if measure == "size":
        # Mean and median must agree: a mean alone moves with one large row, or with a new kind of product.
        between, middle, _ = window.compare(relative(medians), floor, SEGMENT_DEVIATIONS)
        difference = smaller(difference, between)
        compared = np.stack([smaller(a, b) for a, b in zip(compared - centre, relative(medians) - middle, strict=True)])
        centre = np.zeros_like(centre)
    if scale == "share" and measure != "hour_mean":
        usual = nanmedian(values[window.healthy])
        least = share_floor(floor, usual, counts[position], np.zeros(values.shape[1], dtype=bool))
        limit = np.maximum(limit, least)
    off_mask = wrong_side(difference, limit, side) & present
    weights = counts[position] / max(counts[position][present].sum(), 1)
    mass = float(weights[off_mask].sum())
    earlier = []
    for place in window.healthy:
        shares = counts[place] / max(counts[place].sum(), 1)
        with np.errstate(invalid="ignore"):
            earlier.append(float(shares[wrong_side(compared[place] - centre, limit, side) & present].sum()))
    past = np.array(earlier)
    bound = max(float(past.mean() + DEVIATIONS * past.std(ddof=1)), SEGMENT_MASS)
    # One value alone only when it is far beyond its limit and has rows enough.
    alone = (
        off_mask
        & (np.abs(difference) > 3 * limit)
        & (np.abs(difference) > 3 * floor)
        & (counts[position] >= MINIMUM_ROWS)
    )
    window.note(
        SEGMENT_RULES[measure][0], column, "segment", f"{measure} within segments", mass, float(past.mean()), bound,
        int(counts[position].sum()), bool((mass > bound and off_mask.sum() >= OUTAGE_VALUES) or alone.any()),
    )  # fmt: skip
    several = max(OUTAGE_VALUES, math.ceil(0.05 * present.sum()))
    if mass > bound and off_mask.sum() >= several:
        # Among those that are off by chance only the ones that moved with the majority belong to it.
        lead = np.sign(np.nansum(np.where(off_mask, np.sign(difference) * weights, 0)))
        off = np.flatnonzero(off_mask & (np.sign(difference) == lead))
        if len(off) < several or weights[off].sum() <= bound:
            return None
    elif alone.any():
        off = np.flatnonzero(alone)
    else:
        return None
    return off, bound, difference, nanmedian(values[window.healthy[-RECENT:]])


def _segment_anomaly(
    window: Window, kind: AnomalyKind, column: str, segment: str, measure: str, keys: list[str],
    bound: float, observed: float, usual: float, effect: float, n: float,
) -> None:  # fmt: skip
    table = window.table
    listed = f"{', '.join(keys[:5])}{', …' if len(keys) > 5 else ''}"
    where = f"in {len(keys)} values of {segment} ({listed})"
    since = f"from {window.since(kind, column)} to {window.end}"
    common: dict[str, Any] = {"segment": segment, "values": keys}
    target = column
    if kind == "nulls":
        rate = (observed - usual) / max(1 - usual, 1e-9)
        sentence = f"{observed:.0%} of {table.asset}.{column} is null {where} {since}, usually {usual:.1%}."
        window.anomaly(
            kind,
            column,
            sentence,
            observed,
            usual,
            bound,
            n,
            rate=max(rate, 0),
            operation="null" if rate > 0 else "",
            **common,
        )
    elif kind == "stuck":
        value = window.history.modal(column, window.position)
        rate = (observed - usual) / max(1 - usual, 1e-9)
        sentence = f"{observed:.0%} of {table.asset}.{column} is {value} {where} {since}, usually {usual:.0%}."
        window.anomaly(
            kind,
            column,
            sentence,
            observed,
            usual,
            bound,
            n,
            rate=rate,
            operation="set",
            value=typed(value, table.columns[column]),
            **common,
        )
    elif kind == "range" and measure == "negative_share":
        sentence = f"{observed:.0%} of {table.asset}.{column} is negative {where} {since}, usually {usual:.1%}."
        window.anomaly(
            kind, column, sentence, observed, usual, bound, n, rate=abs(observed - usual), operation="negate", **common
        )
    elif kind == "range":
        factor = rounded(math.exp(effect))
        sentence = (
            f"{table.asset}.{column} is {factor:g} times as large {where} {since}, against the "
            f"other values of {segment} ({measure} {observed:,.4g}, usually {usual:,.4g})."
        )
        window.anomaly(kind, column, sentence, observed, usual, bound, n, operation="scale", value=factor, **common)
    elif kind == "hours":
        hours = round(effect)
        sentence = (
            f"Times of {table.asset} moved by {hours:+d} hours on average {where} {since}, "
            f"against the other values of {segment}."
        )
        target = table.time_column
        window.anomaly(
            kind,
            target,
            sentence,
            observed,
            usual,
            bound,
            n,
            operation="shift_time" if hours else "",
            value=hours,
            **common,
        )
    else:
        ratio = math.exp(effect)
        sentence = f"Groups of {table.asset} hold {observed:.1f} rows {where} {since}, usually {usual:.1f}."
        operation = "drop" if ratio < 1 else "duplicate"
        window.anomaly(
            kind,
            column,
            sentence,
            observed,
            usual,
            bound,
            n,
            rate=min(abs(1 - ratio), 1),
            operation=operation,
            target="",
            **common,
        )
