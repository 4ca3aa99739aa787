"""The hour of the day: times that moved or lost their hour, and hours without a row."""

import math
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from ml_models.monitoring.data_quality.arithmetic import Array, Mask
from ml_models.monitoring.data_quality.profile_sql import WEEK
from ml_models.monitoring.data_quality.thresholds import DESIGN_EFFECT, DEVIATIONS, HOURS_FLOOR, RECENT, SILENT_HOURS
from ml_models.monitoring.data_quality.volume import made_up_for
from ml_models.monitoring.data_quality.window import Window


def judge_hours(window: Window) -> None:
    """Judge the histogram of the hour of the day, and hours that are empty on some day."""
    history, table, position = window.history, window.table, window.position
    by_day = history.hours()
    hours = by_day.sum(axis=1)
    total = hours.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = hours / total
    usual = np.nanmean(shares[window.healthy[-RECENT:]], axis=0)
    distance = (np.abs(shares - usual).sum(axis=1) / 2)[:, None]
    # Each healthy week against the weeks before it, as this one is: seasons move slowly.
    past = np.array(
        [
            np.abs(shares[place] - np.nanmean(shares[window.healthy[max(0, index - RECENT) : index]], axis=0)).sum() / 2
            for index, place in enumerate(window.healthy)
            if index >= 3
        ]
    )
    entities = max(float(history.daily("day_entities")[position].sum()), 1.0)
    chance = 2.5 * math.sqrt(24 / (2 * math.pi * entities)) * 0.5 * math.sqrt(DESIGN_EFFECT)
    limit = max(float(past.mean() + DEVIATIONS * past.std(ddof=1)), HOURS_FLOOR, chance)
    limit *= window.goes_on("hours", table.time_column)
    observed = float(distance[position, 0])
    n = float(total[position, 0])
    window.note("hours", "", "", "hour_histogram", observed, float(past.mean()), limit, int(n), observed > limit)
    made_up = made_up_for(window, history.daily("day_rows"))
    silent, empty = _silent_hours(by_day, position, window.healthy[-RECENT:], made_up)
    quiet = np.array([_silent_hours(by_day, place, window.healthy[-RECENT:])[0] for place in window.healthy])
    silent_limit = max(float(quiet.mean() + DEVIATIONS * quiet.std(ddof=1)), SILENT_HOURS)
    window.note(
        "hours", "", "", "silent_hours", silent, float(quiet.mean()), silent_limit, int(n), silent > silent_limit
    )
    column = table.time_column
    if observed > limit:
        shift, left = _best_shift(usual, shares[position])
        lost = [hour for hour in range(24) if usual[hour] > 0.005 and shares[position, hour] < 0.05 * usual[hour]]
        peak = int(np.argmax(shares[position]))
        if shift and left < 0.4 * observed:
            sentence = (
                f"Times of {table.asset} moved by {shift:+d} hours from "
                f"{window.since('hours', table.time_column)} on (distance of the hour histograms "
                f"{observed:.2f}, usually {past.mean():.2f})."
            )
            window.anomaly(
                "hours", column, sentence, observed, past.mean(), limit, n, operation="shift_time", value=shift
            )
        elif shares[position, peak] > 0.9:
            sentence = (
                f"Times of {table.asset} lost their hour: {shares[position, peak]:.0%} of the "
                f"rows are at {peak}:00, usually {usual[peak]:.0%}."
            )
            window.anomaly(
                "hours",
                column,
                sentence,
                observed,
                past.mean(),
                limit,
                n,
                operation="set",
                value={"sql": f"date_trunc('day', {column})"},
            )
        elif lost and sum(usual[hour] for hour in lost) > 0.03:
            _lost_hours(window, lost, observed, float(past.mean()), limit, n, float(usual[lost].sum()))
        else:
            sentence = (
                f"The hours of {table.asset} moved (distance of the histograms {observed:.2f}, "
                f"usually {past.mean():.2f}), by no whole shift."
            )
            window.anomaly(
                "hours",
                column,
                sentence,
                observed,
                past.mean(),
                limit,
                n,
                operation="shift_time" if shift else "",
                value=shift or None,
            )
    elif silent > silent_limit:
        for day, hours_lost in empty.items():
            on = window.start + timedelta(days=day)
            sentence = (
                f"{table.asset} has no row on {on} in hours {_spans(hours_lost)}, which usually "
                f"hold {silent * WEEK / max(len(empty), 1):.0%} of the day."
            )
            window.anomaly(
                "hours", column, sentence, silent, float(quiet.mean()), silent_limit, n, first=on, last=on,
                operation="drop",
                target="", where=f"extract(hour from {table.time_sql}) in ({', '.join(map(str, hours_lost))})",
            )  # fmt: skip


def _lost_hours(
    window: Window, lost: list[int], observed: float, expected: float, limit: float, n: float, share: float
) -> None:
    table = window.table
    sentence = (
        f"{table.asset} has no rows in hours {_spans(lost)} from "
        f"{window.since('hours', table.time_column)} on, which usually hold {share:.0%}: files are cut."
    )
    window.anomaly(
        "hours", table.time_column, sentence, observed, expected, limit, n, operation="drop", target="",
        where=f"extract(hour from {table.time_sql}) in ({', '.join(map(str, lost))})",
    )  # fmt: skip


def _spans(hours: Sequence[int]) -> str:
    return (
        f"{hours[0]} to {hours[-1]}"
        if len(hours) > 1 and hours[-1] - hours[0] + 1 == len(hours)
        else ", ".join(map(str, hours))
    )


def _silent_hours(
    by_day: Array, position: int, healthy: npt.NDArray[np.int64], made_up: Mask | None = None
) -> tuple[float, dict[int, list[int]]]:
    """Return the share of a usual day's rows that lies in three and more empty hours of a day that has rows."""
    usual = np.median(by_day[healthy], axis=0)
    total = usual.sum()
    mass, empty = 0.0, {}
    for day in range(WEEK):
        if by_day[position, day].sum() == 0 or (made_up is not None and made_up[day]):
            continue
        silent = (by_day[position, day] == 0) & (usual[day] >= 20)
        runs = np.flatnonzero(silent)
        if len(runs) >= 3:
            mass += float(usual[day][silent].sum())
            empty[day] = [int(hour) for hour in runs]
    # Of one day: a single cut file is a seventh of the week.
    return (mass * WEEK / total if total else 0.0), empty


def _best_shift(usual: Array, seen: Array) -> tuple[int, float]:
    """Return the whole hours by which the usual histogram fits best, and the distance that is left."""
    options = [(float(np.abs(np.roll(usual, shift) - seen).sum() / 2), abs(shift), shift) for shift in range(-12, 13)]
    left, _, shift = min(options)
    return shift, left
