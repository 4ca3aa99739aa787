"""Growth is no drift: what moves only because newcomers came says nothing about those who were there."""

from datetime import date

import pandas as pd

from ml_models.splits import cutoff_dates

# Windows after which an entity is no newcomer any more; with weekly cutoffs most of a feature window has filled.
ESTABLISHED = 10


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
