"""Whether the newest day came, on the morning it is needed; the profile of the week is not there yet."""

import math
from collections.abc import Collection
from datetime import date, timedelta

import numpy as np
import pandas as pd

from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.closings import recurring_closings, rows_by_day
from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable
from ml_models.monitoring.data_quality.thresholds import SILENCE_CHANCE, WEEK
from ml_models.monitoring.types import Anomaly, Perturbation


def open_days(first: date, end: date, closed_days: Collection[date]) -> int:
    """Count the days from `first` to the day before `end` on which people could buy."""
    return sum(first + timedelta(days=number) not in closed_days for number in range((end - first).days))


def allowed_silence(
    profile: pd.DataFrame, table: MonitoredTable, cutoff: date, closed_days: Collection[date] = ()
) -> int:
    """Return how many days without rows in a row a table may show, by its own past weeks.

    With a share s of silent days, k in a row are expected with probability s^k; k is where that falls below
    SILENCE_CHANCE. s comes from the median week, so that weeks that came late themselves do not make lateness usual.
    """
    mine = profile[(profile["asset"] == table.asset) & (profile["measure"] == "day_rows") & (profile["value"] > 0)]
    past = pd.to_datetime(mine["period_start"])
    past = past[past < pd.Timestamp(cutoff - timedelta(days=WEEK))]
    if past.empty:
        return 1
    week = (pd.Timestamp(cutoff) - past).dt.days.sub(1) // WEEK
    days = past.groupby(week).nunique().reindex(range(1, int(week.max()) + 1), fill_value=0)
    weeks = days.index.to_numpy()
    could = np.array(
        [
            open_days(
                cutoff - timedelta(days=WEEK * (int(one) + 1)), cutoff - timedelta(days=WEEK * int(one)), closed_days
            )
            for one in weeks
        ]
    )
    silent = float(np.median(np.maximum(could - days.to_numpy(), 0))) / WEEK
    if silent <= 0:
        return 1
    return max(1, math.ceil(math.log(SILENCE_CHANCE) / math.log(min(silent, 0.95))))


def judge_arrival(
    profile: pd.DataFrame,
    table: MonitoredTable,
    cutoff: date,
    newest: date | None,
    allowed: int | None = None,
    closed_days: Collection[date] = (),
) -> tuple[Anomaly, ...]:
    """Judge on the morning of `cutoff` whether the newest day with rows is as new as it used to be.

    `newest` is the last day that holds rows (None: no rows at all). `allowed` days may be missing; by default as many
    as chance explains (see `allowed_silence`), at least one. `closed_days` are missed by nobody, and neither are those
    that lacked rows each time they recurred.
    """
    if not table.time_sql:
        return ()
    age = open_days(newest + timedelta(days=1), cutoff, closed_days) if newest else 10_000
    if allowed is None:
        allowed = allowed_silence(profile, table, cutoff, closed_days)
    if age > allowed and newest:
        # Only now it is worth asking which of them lacked rows each time they recurred.
        rows = rows_by_day(profile, table.asset, cutoff)
        known = frozenset(closed_days) | recurring_closings(rows, newest)
        age = open_days(newest + timedelta(days=1), cutoff, known)
    if age <= allowed:
        return ()
    first = newest + timedelta(days=1) if newest else cutoff - timedelta(days=WEEK)
    last = cutoff - timedelta(days=1)
    return (
        Anomaly(
            kind="stale",
            asset=table.asset,
            column=table.time_column,
            observed=float(age),
            expected=0.0,
            threshold=float(allowed),
            n=1,
            sentence=messages.stale(table.asset, newest, age, cutoff, allowed),
            first_day=first,
            last_day=last,
            replay=Perturbation(table.asset, "drop", first_day=first, last_day=last),
        ),
    )
