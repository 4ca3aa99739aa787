"""Segments that lose rows together while the others go on: silent ones, and ones that lost a part.

What is counted here is rows; what the rows say within a segment is judged in `segments`.
"""

import math
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from ml_models.monitoring.data_quality.arithmetic import Array, weighted_quantile
from ml_models.monitoring.data_quality.profile_sql import WEEK
from ml_models.monitoring.data_quality.thresholds import (
    DEVIATIONS,
    OUTAGE_VALUES,
    RECENT,
    SEGMENT_DEVIATIONS,
    SEGMENT_MASS,
    SILENT_MASS,
)
from ml_models.monitoring.data_quality.window import Window


def judge_silence(window: Window) -> None:
    """Judge segments that fell silent together: one is a closing, many on the same day are an outage."""
    history, table, position = window.history, window.table, window.position
    for column in table.segments:
        if column in table.categories or window.spoilt(column):
            continue
        daily, labels = history.segment_days(column)
        if not labels:
            continue
        weekly = daily.sum(axis=1)

        def silence(
            place: int, before: npt.NDArray[np.int64], values: Array, least: float
        ) -> tuple[float, npt.NDArray[np.int64]]:
            recent = values[before[-RECENT:]]
            usual = np.median(recent, axis=0)
            steady = (recent[-4:] > 0).all(axis=0) & (usual >= least)
            gone = steady & (values[place] <= 0.02 * usual)
            return float(usual[gone].sum() / max(usual.sum(), 1)), np.flatnonzero(gone)

        spans: list[tuple[str, Array, float, date, date]] = [("week", weekly, 20.0, window.since("volume"), window.end)]
        spans += [
            (f"day {day}", daily[:, day], 40.0, window.start + timedelta(days=day), window.start + timedelta(days=day))
            for day in range(WEEK)
            if daily[position, day].sum() > 0
        ]
        past: dict[str, Array] = {}
        silent_days: list[int] = []
        for name, values, least, first, last in spans:
            if (
                name != "week"
                and window.anomalies
                and any(one.kind == "volume" and one.segment_column == column for one in window.anomalies)
            ):
                break
            past[name] = np.array(
                [
                    silence(int(place), window.healthy[:index], values, least)[0]
                    for index, place in enumerate(window.healthy)
                    if index >= 4
                ]
            )
            mass, gone = silence(position, window.healthy, values, least)
            # On a single day some segments sell nothing by chance, and more so on a quiet day.
            floor = SILENT_MASS if name == "week" else 3 * SILENT_MASS
            limit = max(
                float(past[name].mean() + DEVIATIONS * past[name].std(ddof=1)) if len(past[name]) > 1 else 0.2, floor
            )
            wrong = mass > limit and len(gone) >= OUTAGE_VALUES
            window.note(
                "volume",
                "",
                column,
                f"silent_{name.split()[0]}",
                mass,
                float(past[name].mean()) if len(past[name]) else 0.0,
                limit,
                int(values[position].sum()),
                wrong,
            )
            if wrong:
                if name == "week":
                    window.drop_losses()
                silent_days.append(0)
                chosen = [labels[i] for i in gone]
                sentence = (
                    f"{len(chosen)} values of {column} in {table.asset} fell silent at once from {first} to {last} "
                    f"({', '.join(chosen[:5])}{', …' if len(chosen) > 5 else ''}), usually {mass:.0%} of "
                    "the rows; the others go on."
                )
                window.anomaly(
                    "volume",
                    "",
                    sentence,
                    mass,
                    0.0,
                    limit,
                    values[position].sum(),
                    segment=column,
                    values=chosen,
                    first=first,
                    last=last,
                    operation="drop",
                )


def judge_unevenness(window: Window) -> None:
    """Judge segments that lost or gained rows together, more unevenly than customers ever make them."""
    history, table, position = window.history, window.table, window.position
    for column in table.segments:
        if column in table.categories or window.spoilt(column):
            continue
        if any(one.kind == "volume" and one.segment_column == column for one in window.anomalies):
            continue
        counts, labels = history.values_of(column)
        if not labels:
            continue
        usual = np.median(counts[window.healthy[-RECENT:]], axis=0)
        big = (usual >= 100) & (counts[window.healthy[-RECENT:]] > 0).all(axis=0)
        if big.sum() < 3 * OUTAGE_VALUES:
            continue
        logs = np.log(np.maximum(counts[:, big], 0.5))
        weights = usual[big] / usual[big].sum()
        # Relative to what the table as a whole does: a season moves all alike. The upper half shows what the sound do.
        level = np.array([weighted_quantile(row, weights, 0.65) for row in logs - np.log(usual[big])])
        relative = logs - level[:, None]
        difference, _, limit = window.compare(relative, math.log(1.6), SEGMENT_DEVIATIONS)
        low = difference < -limit
        mass = float(weights[low].sum())
        centre = np.median(relative[window.healthy], axis=0)
        earlier = np.array([float(weights[(relative[place] - centre) < -limit].sum()) for place in window.healthy])
        bound = max(float(earlier.mean() + DEVIATIONS * earlier.std(ddof=1)), 2 * SEGMENT_MASS)
        bound *= window.goes_on("volume", "")
        wrong = mass > bound and low.sum() >= OUTAGE_VALUES + 2
        window.note(
            "volume", "", column, "uneven", mass, float(earlier.mean()), bound, int(counts[position].sum()), wrong
        )
        if wrong:
            window.drop_losses()
            names = [label for label, kept in zip(labels, big, strict=True) if kept]
            chosen = [names[i] for i in np.flatnonzero(low)]
            rate = 1 - float(np.exp(np.average(difference[low], weights=weights[low])))
            sentence = (
                f"{len(chosen)} values of {column} in {table.asset} "
                f"({', '.join(chosen[:5])}{', …' if len(chosen) > 5 else ''}) "
                f"lost {rate:.0%} of their rows in the week from {window.start} while the others go on."
            )
            window.anomaly(
                "volume",
                "",
                sentence,
                mass,
                earlier.mean(),
                bound,
                counts[position].sum(),
                segment=column,
                values=chosen,
                rate=rate,
                operation="drop",
                per=table.group,
            )
