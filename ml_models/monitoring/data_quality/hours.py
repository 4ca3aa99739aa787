"""The hour of the day: times that moved or lost their hour, and hours without a row."""

import math
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.arithmetic import Array, Mask
from ml_models.monitoring.data_quality.observation import Observation, Replay
from ml_models.monitoring.data_quality.thresholds import (
    DESIGN_EFFECT,
    DEVIATIONS,
    HOURS_FLOOR,
    ONE_HOUR,
    RECENT,
    SILENT_HOUR_ROWS,
    SILENT_HOURS,
    SILENT_HOURS_RUN,
    WEEK,
)
from ml_models.monitoring.data_quality.volume import closed_in, made_up_for
from ml_models.monitoring.data_quality.window import Window


def judge_hours(window: Window) -> None:
    """Judge the histogram of the hour of the day, and hours that are empty on some day."""
    history, table, position = window.history, window.table, window.position
    by_day = history.hours()
    # Other weekdays have other hours, so a week with closed days is compared by the days that were open.
    hours = by_day[:, ~closed_in(window)].sum(axis=1)
    total = hours.sum(axis=1, keepdims=True)
    if not total[position, 0]:
        return
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
    n = float(total[position, 0])
    seen = Observation(float(distance[position, 0]), float(past.mean()), limit, n)
    window.note("hours", "", "hour_histogram", seen, seen.observed > limit)
    made_up = made_up_for(window, history.daily("day_rows"))
    silent, empty = _silent_hours(by_day, position, window.healthy[-RECENT:], made_up)
    quiet = np.array([_silent_hours(by_day, place, window.healthy[-RECENT:])[0] for place in window.healthy])
    silent_limit = max(float(quiet.mean() + DEVIATIONS * quiet.std(ddof=1)), SILENT_HOURS)
    silent_limit *= window.goes_on("hours", table.time_column)
    silence = Observation(silent, float(quiet.mean()), silent_limit, n)
    window.note("hours", "", "silent_hours", silence, silent > silent_limit)
    if seen.observed > limit:
        _other_hours(window, shares[position], usual, seen)
    elif silent > silent_limit:
        for day, hours_lost in empty.items():
            on = window.start + timedelta(days=day)
            share = silent * WEEK / max(len(empty), 1)
            window.anomaly(
                "hours",
                table.time_column,
                messages.hours_silent(table.asset, on, hours_lost, share),
                silence,
                days=(on, on),
                replay=_without(window, hours_lost),
            )


def _other_hours(window: Window, shares: Array, usual: Array, seen: Observation) -> None:
    """Add the anomaly of another histogram: a shift, times without their hour, hours that are cut, or none of these."""
    asset, column = window.table.asset, window.table.time_column
    since = window.since("hours", column)
    shift, left = _best_shift(usual, shares)
    lost = [hour for hour in range(24) if usual[hour] > 0.005 and shares[hour] < 0.05 * usual[hour]]
    peak = int(np.argmax(shares))
    if shift and left < 0.4 * seen.observed:
        sentence = messages.shifted(asset, shift, since, seen)
        window.anomaly("hours", column, sentence, seen, replay=Replay("shift_time", shift))
    elif shares[peak] > ONE_HOUR:
        sentence = messages.hour_lost(asset, shares[peak], peak, usual[peak])
        replay = Replay("set", {"sql": f"date_trunc('day', {column})"})
        window.anomaly("hours", column, sentence, seen, replay=replay)
    elif lost and sum(usual[hour] for hour in lost) > 0.03:
        sentence = messages.hours_cut(asset, lost, since, float(usual[lost].sum()))
        window.anomaly("hours", column, sentence, seen, replay=_without(window, lost))
    else:
        replay_shift = Replay("shift_time", shift) if shift else None
        window.anomaly("hours", column, messages.hours_moved(asset, seen), seen, replay=replay_shift)


def _without(window: Window, hours: list[int]) -> Replay:
    listed = ", ".join(map(str, hours))
    return Replay("drop", column="", where=f"extract(hour from {window.table.time_sql}) in ({listed})")


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
        silent = (by_day[position, day] == 0) & (usual[day] >= SILENT_HOUR_ROWS)
        runs = np.flatnonzero(silent)
        if len(runs) >= SILENT_HOURS_RUN:
            mass += float(usual[day][silent].sum())
            empty[day] = [int(hour) for hour in runs]
    # Of one day: a single cut file is a seventh of the week.
    return (mass * WEEK / total if total else 0.0), empty


def _best_shift(usual: Array, seen: Array) -> tuple[int, float]:
    """Return the whole hours by which the usual histogram fits best, and the distance that is left."""
    options = [(float(np.abs(np.roll(usual, shift) - seen).sum() / 2), abs(shift), shift) for shift in range(-12, 13)]
    left, _, shift = min(options)
    return shift, left
