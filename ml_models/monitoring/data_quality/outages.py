"""Segments that lose rows together while the others go on: silent ones, and ones that lost a part.

What is counted here is rows; what the rows hold within a segment is judged in `segments`.
"""

import math
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.arithmetic import Array, weighted_quantile
from ml_models.monitoring.data_quality.observation import Observation, Replay, Segment
from ml_models.monitoring.data_quality.thresholds import (
    DEVIATIONS,
    OUTAGE_VALUES,
    RECENT,
    SEGMENT_DEVIATIONS,
    SEGMENT_MASS,
    SILENT_DAY_ROWS,
    SILENT_MASS,
    SILENT_SHARE,
    SILENT_WEEK_ROWS,
    UNEVEN_FACTOR,
    UNEVEN_ROWS,
    WEEK,
)
from ml_models.monitoring.data_quality.window import Window


@dataclass(frozen=True)
class _Span:
    """A week or one of its days: the rows of each segment (weeks x segments), and from which usual rows they count."""

    name: str
    values: Array
    least: float
    first: date
    last: date

    def silence(self, place: int, before: npt.NDArray[np.int64]) -> tuple[float, npt.NDArray[np.int64]]:
        """Return the usual share of rows of the segments that are silent, and which these are."""
        recent = self.values[before[-RECENT:]]
        usual = np.median(recent, axis=0)
        steady = (recent[-4:] > 0).all(axis=0) & (usual >= self.least)
        gone = steady & (self.values[place] <= SILENT_SHARE * usual)
        return float(usual[gone].sum() / max(usual.sum(), 1)), np.flatnonzero(gone)


def judge_silence(window: Window) -> None:
    """Judge segments that fell silent together: one is a closing, many on the same day are an outage."""
    for column in window.table.segments:
        if column in window.table.categories or window.affected(column):
            continue
        daily, labels = window.history.segment_days(column)
        if not labels:
            continue
        week = _Span("week", daily.sum(axis=1), SILENT_WEEK_ROWS, window.since("volume"), window.end)
        _judge_span(window, column, labels, week, SILENT_MASS)
        for number in range(WEEK):
            # One outage is one anomaly: what was silent all week, or the day before, is not reported again.
            if _found(window, column):
                break
            if daily[window.position, number].sum() > 0:
                day = window.start + timedelta(days=number)
                # On a single day some segments sell nothing by chance, and more so on a quiet day.
                _judge_span(
                    window, column, labels, _Span("day", daily[:, number], SILENT_DAY_ROWS, day, day), 3 * SILENT_MASS
                )


def _found(window: Window, column: str) -> bool:
    return any(one.kind == "volume" and one.segment_column == column for one in window.anomalies)


def _judge_span(window: Window, column: str, labels: list[str], span: _Span, floor: float) -> None:
    past = np.array(
        [
            span.silence(int(place), window.healthy[:index])[0]
            for index, place in enumerate(window.healthy)
            if index >= 4
        ]
    )
    mass, gone = span.silence(window.position, window.healthy)
    limit = max(float(past.mean() + DEVIATIONS * past.std(ddof=1)) if len(past) > 1 else 0.2, floor)
    if span.name == "week":
        limit *= window.goes_on("volume", f"@{column}")
    wrong = mass > limit and len(gone) >= OUTAGE_VALUES
    n = int(span.values[window.position].sum())
    usual = Observation(mass, float(past.mean()) if len(past) else 0.0, limit, n)
    window.note("volume", "", f"silent_{span.name}", usual, wrong, segment=column)
    if not wrong:
        return
    if span.name == "week":
        window.drop_losses()
    segment = Segment(column, tuple(labels[i] for i in gone))
    window.anomaly(
        "volume",
        "",
        messages.silent_segments(window.table.asset, segment, span.first, span.last, mass),
        Observation(mass, 0.0, limit, n),
        segment=segment,
        days=(span.first, span.last),
        replay=Replay("drop"),
    )


def judge_unevenness(window: Window) -> None:
    """Judge segments that lost or gained rows together, more unevenly than customers ever make them."""
    history, table, position = window.history, window.table, window.position
    for column in table.segments:
        if column in table.categories or window.affected(column) or _found(window, column):
            continue
        counts, labels = history.values_of(column)
        if not labels:
            continue
        usual = np.median(counts[window.healthy[-RECENT:]], axis=0)
        big = (usual >= UNEVEN_ROWS) & (counts[window.healthy[-RECENT:]] > 0).all(axis=0)
        if big.sum() < 3 * OUTAGE_VALUES:
            continue
        logs = np.log(np.maximum(counts[:, big], 0.5))
        weights = usual[big] / usual[big].sum()
        # Relative to what the table as a whole does: a season moves all alike. The upper half shows what the clean do.
        level = np.array([weighted_quantile(row, weights, 0.65) for row in logs - np.log(usual[big])])
        relative = logs - level[:, None]
        difference, _, limit = window.compare(
            relative, math.log(UNEVEN_FACTOR), SEGMENT_DEVIATIONS, "volume", (f"@{column}",)
        )
        low = difference < -limit
        mass = float(weights[low].sum())
        centre = np.median(relative[window.healthy], axis=0)
        earlier = np.array([float(weights[(relative[place] - centre) < -limit].sum()) for place in window.healthy])
        bound = max(float(earlier.mean() + DEVIATIONS * earlier.std(ddof=1)), 2 * SEGMENT_MASS)
        bound *= window.goes_on("volume", f"@{column}")
        wrong = mass > bound and low.sum() >= OUTAGE_VALUES + 2
        seen = Observation(mass, float(earlier.mean()), bound, int(counts[position].sum()))
        window.note("volume", "", "uneven", seen, wrong, segment=column)
        if wrong:
            window.drop_losses()
            names = [label for label, kept in zip(labels, big, strict=True) if kept]
            segment = Segment(column, tuple(names[i] for i in np.flatnonzero(low)))
            rate = 1 - float(np.exp(np.average(difference[low], weights=weights[low])))
            window.anomaly(
                "volume",
                "",
                messages.uneven_segments(table.asset, segment, window.start, rate),
                seen,
                rate=rate,
                segment=segment,
                replay=Replay("drop", per=table.group),
            )
