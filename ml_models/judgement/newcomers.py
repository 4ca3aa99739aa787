"""Growth is no drift: what moves only because newcomers came says nothing about those who were there."""

from collections.abc import Callable
from datetime import date

import pandas as pd

from ml_models.splits import cutoff_dates

# Windows after which an entity is no newcomer any more; with weekly cutoffs most of a feature window has filled.
ESTABLISHED = 10
# Newcomers beyond their usual share from which they may be what an alarm is about; fewer cannot carry one.
SURGE = 0.05


def established(frame: pd.DataFrame, entity: str, cutoff: date, windows: int) -> tuple[pd.DataFrame, float] | None:
    """Return the rows of those who were there ESTABLISHED cutoffs before each row's own, and the newcomers' share.

    Every window up to `cutoff` is cut down in the same way, so that those who stayed are compared with those who
    stayed. The share, 0 to 1, is that of the rows at `cutoff` that are left out. None when fewer than `windows` windows
    would remain.
    """
    dates = cutoff_dates(frame["cutoff_date"])
    days = sorted(dates[dates <= pd.Timestamp(cutoff)].unique())
    if len(days) < ESTABLISHED + windows:
        return None
    first = dates.groupby(frame[entity]).transform("min")
    before = {day: days[max(0, number - ESTABLISHED)] for number, day in enumerate(days)}
    stayed = (first <= dates.map(before)).to_numpy()
    now = (dates == pd.Timestamp(cutoff)).to_numpy()
    if not now.any():
        return None
    return frame[stayed & (dates >= days[ESTABLISHED]).to_numpy()], float(1 - stayed[now].mean())


def newcomers_alone(
    frame: pd.DataFrame, entity: str, cutoff: date, windows: int, fails: Callable[[pd.DataFrame], bool]
) -> str:
    """Return in words that an alarm comes from a surge of newcomers alone; "" where it does not, or cannot be told.

    `fails(rows)`: does the alarm stand among these rows? It is asked about those who were there before. A model cannot
    know newcomers until their outcomes are in, and one that is right about everybody else is not to be replaced.
    """
    dates = cutoff_dates(frame["cutoff_date"])
    days = sorted(dates[dates <= pd.Timestamp(cutoff)].unique())
    found = established(frame, entity, cutoff, windows)
    if found is None:
        return ""
    stayed, new = found
    all_rows, kept = dates.value_counts(), cutoff_dates(stayed["cutoff_date"]).value_counts()
    usual = (1 - kept / all_rows).loc[days[ESTABLISHED:-1]].median()
    if not new >= usual + SURGE or fails(stayed):
        return ""
    return (
        f"Only among newcomers, {new:.0%} of the rows (usually {usual:.0%}): they were not there {ESTABLISHED} windows "
        "ago. Those who were are within range"
    )
