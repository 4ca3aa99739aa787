"""Whether the newest day came, on the morning it is needed; the profile of the week is not there yet."""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from ml_models.judgement.evidence import Alteration, Fact
from ml_models.judgement.measures import WEEK, WatchedTable


def judge_arrival(
    profile: pd.DataFrame, table: WatchedTable, cutoff: date, newest: date | None, allowed: int | None = None
) -> tuple[Fact, ...]:
    """Judge on the morning of `cutoff` whether the newest day with rows is as new as it used to be.

    `newest` is the last day that holds rows (None: no rows at all). `allowed` days may be missing; by default as many
    as ever were at the end of a week in the healthy past of the profile, at least one.
    """
    if not table.time_sql:
        return ()
    age = (cutoff - newest).days - 1 if newest else 10_000
    if allowed is None:
        mine = profile[(profile["asset"] == table.asset) & (profile["measure"] == "day_rows")]
        past = pd.to_datetime(mine["period_start"])
        past = past[past < pd.Timestamp(cutoff - timedelta(days=WEEK))]
        back = (pd.Timestamp(cutoff) - past).dt.days
        latest = back.groupby((back - 1) // WEEK).min() - 1
        allowed = int(max(1, np.median(latest % WEEK) if len(latest) else 1))
    if age <= allowed:
        return ()
    first = newest + timedelta(days=1) if newest else cutoff - timedelta(days=WEEK)
    sentence = (
        f"{table.asset} has nothing newer than {newest}: {age} days are missing on the morning of {cutoff}, "
        f"and no more than {allowed} ever were."
    )
    replay = Alteration(table.asset, "drop", first_day=first, last_day=cutoff - timedelta(days=1))
    return (
        Fact(
            "stale",
            table.asset,
            table.time_column,
            float(age),
            0.0,
            float(allowed),
            1,
            sentence,
            first,
            cutoff - timedelta(days=1),
            replay=replay,
        ),
    )
