"""The values of a category: new ones, vanished ones, and the shares of all."""

import math

import numpy as np
import numpy.typing as npt

from ml_models.monitoring.data_quality.profile_sql import kind_of
from ml_models.monitoring.data_quality.thresholds import CLUSTER, DEVIATIONS, MINIMUM_ROWS, RECENT, VALUES_MOVED
from ml_models.monitoring.data_quality.window import Window


def judge_categories(window: Window) -> None:
    """Judge which values a category has: new ones, vanished ones, and the shares of all."""
    table = window.table
    for column in table.categories or ():
        _category(window, column)
    for column in table.segments:
        if column not in table.categories:
            _category(window, column)


def _category(window: Window, column: str) -> None:
    history, table, position = window.history, window.table, window.position
    counts, labels = history.values_of(column)
    if not labels or counts[position].sum() < MINIMUM_ROWS:
        return
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = counts / totals
    usual = shares[window.healthy[-RECENT:]].mean(axis=0)

    def appeared(place: int, before: npt.NDArray[np.int64]) -> float:
        return float(shares[place][counts[before].sum(axis=0) == 0].sum()) if len(before) else 0.0

    def vanished(place: int, before: npt.NDArray[np.int64]) -> float:
        recent = before[-RECENT:]
        steady = (counts[recent] > 0).all(axis=0)
        return float(shares[recent].mean(axis=0)[steady & (counts[place] == 0)].sum()) if len(recent) else 0.0

    def moved(place: int, before: npt.NDArray[np.int64]) -> float:
        return float(np.abs(shares[place] - shares[before[-RECENT:]].mean(axis=0)).sum() / 2)

    n = float(counts[position].sum())
    found: dict[str, tuple[float, float, float]] = {}
    for name, measure, floor in (("new", appeared, 0.05), ("lost", vanished, 0.015), ("moved", moved, VALUES_MOVED)):
        past = np.array(
            [
                measure(int(place), window.healthy[:index])
                for index, place in enumerate(window.healthy)
                if index >= min(RECENT, len(window.healthy) - 3)
            ]
        )
        seen = measure(position, window.healthy)
        if name == "moved":
            # Half the sum of E|x - p| over values, for as many independent rows as there are baskets, not lines.
            scatter = np.sqrt(usual * (1 - usual)).sum()
            chance = 0.5 * math.sqrt(2 / math.pi * CLUSTER / n) * float(scatter)
            floor = max(floor, 2.5 * chance)
        limit = max(float(past.mean() + DEVIATIONS * past.std(ddof=1)) if len(past) > 1 else floor, floor)
        found[name] = (seen, float(past.mean()) if len(past) else 0.0, limit)
        window.note("categories", column, "", f"values_{name}", seen, found[name][1], limit, int(n), seen > limit)
    new_limit = found["new"][2]
    renamed = min(found["new"][0], found["lost"][0]) > 0.005 and found["new"][0] > found["new"][1] + 0.004
    segment = column in table.segments and column not in table.categories
    gone = [
        labels[i]
        for i in np.flatnonzero(
            (usual > 0) & (counts[position] == 0) & (counts[window.healthy[-RECENT:]] > 0).all(axis=0)
        )
    ]
    fresh = [labels[i] for i in np.flatnonzero((counts[position] > 0) & (counts[window.healthy].sum(axis=0) == 0))]
    days = f"from {window.since('categories', column)} to {window.end}"
    if found["new"][0] > new_limit or (renamed and not segment):
        rate = found["new"][0]
        sentence = (
            f"{table.asset}.{column} has {len(fresh)} values never seen before "
            f"({', '.join(fresh[:3])}{', …' if len(fresh) > 3 else ''}) in {rate:.1%} of the rows {days}"
        )
        sentence += (
            f"; {len(gone)} usual values are gone ({', '.join(gone[:3])}{', …' if len(gone) > 3 else ''})."
            if gone
            else "."
        )
        text = kind_of(table.columns[column]) == "text"
        window.anomaly(
            "categories", column, sentence, rate, found["new"][1], new_limit, n, segment=column, values=gone,
            rate=1.0 if gone else rate, operation="map_values" if text else "", value="unseen {}" if text else None,
        )  # fmt: skip
    elif found["lost"][0] > found["lost"][2] and not segment:
        rate = found["lost"][0]
        taken = shares[position] - usual
        replacement = int(np.argmax(taken))
        sentence = (
            f"Usual values of {table.asset}.{column} are gone {days}: "
            f"{', '.join(gone[:3])}{', …' if len(gone) > 3 else ''}, usually {rate:.1%} of the rows."
        )
        if taken[replacement] > 0.5 * rate and kind_of(table.columns[column]) == "text":
            sentence = (
                f"{sentence[:-1]}; {labels[replacement]} took their rows ({shares[position, replacement]:.1%}, "
                f"usually {usual[replacement]:.1%})."
            )
            window.anomaly(
                "categories",
                column,
                sentence,
                rate,
                found["lost"][1],
                found["lost"][2],
                n,
                segment=column,
                values=gone,
                operation="collapse",
                value=labels[replacement],
            )
        else:
            window.anomaly(
                "categories",
                column,
                sentence,
                rate,
                found["lost"][1],
                found["lost"][2],
                n,
                segment=column,
                values=gone,
                operation="drop",
                target="",
            )
    elif found["moved"][0] > found["moved"][2] and not segment:
        seen, mean, limit = found["moved"]
        change = shares[position] - usual
        top = int(np.argmax(np.abs(change)))
        sentence = (
            f"The values of {table.asset}.{column} moved {days} ({seen:.1%} of the rows changed "
            f"value, usually {mean:.1%}); most: {labels[top]}, {shares[position, top]:.1%}, usually {usual[top]:.1%}."
        )
        if change[top] > 0 and kind_of(table.columns[column]) == "text":
            window.anomaly(
                "categories", column, sentence, seen, mean, limit, n, rate=seen, operation="collapse", value=labels[top]
            )
        elif change[top] < 0:
            window.anomaly(
                "categories",
                column,
                sentence,
                seen,
                mean,
                limit,
                n,
                segment=column,
                values=[labels[top]],
                rate=min(1, -change[top] / max(usual[top], 1e-9)),
                operation="drop",
                target="",
            )
        else:
            window.anomaly("categories", column, sentence, seen, mean, limit, n, rate=seen, operation="")
