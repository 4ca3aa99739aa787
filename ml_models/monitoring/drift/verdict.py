"""Judge one cutoff's drift statistics against each column's own past.

- *Threshold*: mean + DEVIATIONS standard deviations of the column's past windows, at least MINIMUM_WINDOWS of them.
  Windows that were violated themselves do not count as past, or a lasting fault would excuse itself. The threshold is
  never below FLOOR, nor below what chance shows with this many rows.
- *No past yet*: until there are MINIMUM_WINDOWS past windows only a gross change counts (SHORT_FLOOR), among the
  columns that Benjamini and Hochberg's rule keeps within the window.
- *Segments*: the same within each value of a slice, with a chance floor that knows how many slices there are.
- *Alarm*: the same column violated in two of the last three windows, the latest among them.
"""

import math
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.metrics import Array
from ml_models.monitoring.drift import messages
from ml_models.monitoring.drift.result import DriftVerdict
from ml_models.monitoring.drift.statistics import JOINT
from ml_models.monitoring.drift.thresholds import (
    CHANCE,
    FALSE_DISCOVERY,
    FLOOR,
    JOINT_FLOOR,
    MINIMUM_ROWS,
    NULL_FLOOR,
    SHORT_FLOOR,
    SHORT_FLOORS,
    SHORT_NULL_FLOOR,
)
from ml_models.monitoring.thresholds import DEVIATIONS, MINIMUM_WINDOWS, VIOLATIONS, WINDOWS

_TABLE_COLUMNS = [
    "column_name",
    "segment",
    "statistic",
    "threshold",
    "js",
    "wasserstein",
    "null_share",
    "null_change",
    "null_threshold",
    "past_windows",
    "violated",
    "violated_windows",
    "alarm",
    "note",
]


def judge_drift(history: pd.DataFrame, cutoff: object) -> DriftVerdict:
    """Judge one cutoff by the drift statistics of all cutoffs up to it (later ones are ignored).

    Fails when some column was violated in two of the last three windows, the latest among them; says "insufficient
    evidence" when no column of this cutoff can be judged: too few rows (200), too few reference cutoffs, fewer than
    six past windows (and no gross change).
    """
    stamp = cutoff_dates([cutoff]).iloc[0]
    measured = history.assign(
        cutoff_date=cutoff_dates(history["cutoff_date"]),
        # Statistics that were measured before segments were.
        segment=history["segment"].fillna("") if "segment" in history.columns else "",
        wasserstein=history["wasserstein"] if "wasserstein" in history.columns else math.nan,
    )
    keys = ["column_name", "segment"]
    measured = measured[measured["cutoff_date"] <= stamp].drop_duplicates(["cutoff_date", *keys], keep="last")
    latest = measured[measured["cutoff_date"] == stamp].set_index(keys)
    names = list(latest.index)
    if not names:
        return DriftVerdict(
            "insufficient evidence",
            stamp.date(),
            (),
            pd.DataFrame(columns=_TABLE_COLUMNS),
            messages.not_measured(stamp.date()),
        )
    enough = (measured["n"] >= MINIMUM_ROWS) & (measured["reference_n"] >= MINIMUM_ROWS)
    change = (measured["null_share"] - measured["reference_null_share"]).abs()
    wide = measured.assign(
        statistic=measured["statistic"].where(enough), change=change.where(enough), floor=_floors(measured)
    ).pivot(index="cutoff_date", columns=keys, values=["statistic", "change", "floor", "p_value"])
    part = {name: wide[name][names].to_numpy(dtype="float64") for name in ("statistic", "change", "floor", "p_value")}
    moved, threshold, past = _violations(
        part["statistic"],
        part["floor"],
        np.maximum(SHORT_FLOOR, SHORT_FLOORS * part["floor"]),
        _discoveries(part["p_value"]),
    )
    null_floor = np.full(moved.shape, NULL_FLOOR)
    emptied, null_threshold, null_past = _violations(
        part["change"], null_floor, np.full(moved.shape, SHORT_NULL_FLOOR), np.ones(moved.shape, dtype=bool)
    )
    violated = moved | emptied
    recent = violated[-WINDOWS:].sum(axis=0)
    table = pd.DataFrame(
        {
            "column_name": [name for name, _ in names],
            "segment": [segment for _, segment in names],
            "statistic": latest["statistic"].to_numpy(),
            "threshold": threshold[-1],
            "js": latest["js"].to_numpy(),
            "wasserstein": latest["wasserstein"].to_numpy(),
            "null_share": latest["null_share"].to_numpy(),
            "null_change": part["change"][-1],
            "null_threshold": null_threshold[-1],
            "past_windows": np.maximum(past[-1], null_past[-1]),
            "violated": violated[-1],
            "violated_windows": recent,
            "alarm": violated[-1] & (recent >= VIOLATIONS),
        }
    )
    table["note"] = [
        messages.too_little(int(n), int(reference_n), int(windows))
        for n, reference_n, windows in zip(latest["n"], latest["reference_n"], table["past_windows"], strict=True)
    ]
    excess = (table["statistic"] / table["threshold"]).fillna(-1)
    table = table.assign(_excess=excess).sort_values(["alarm", "_excess"], ascending=False, kind="stable")
    return _verdict(stamp.date(), table.drop(columns="_excess").reset_index(drop=True))


def _floors(rows: pd.DataFrame) -> pd.Series:
    """Return the least distance that may count: FLOOR, and what chance shows given rows and number of segments."""
    inside = rows["segment"] != ""
    count = max(1, rows.loc[inside, "segment"].nunique())
    tests = np.where(inside, count, 1)
    critical = np.sqrt(-np.log(CHANCE / tests / 2) / 2)
    noise = np.sqrt(1 / rows["n"].clip(lower=1) + 1 / rows["reference_n"].clip(lower=1))
    joint = rows["column_name"] == JOINT
    # A Gini coefficient's standard error under the null is sqrt((1/n + 1/m) / 3).
    return pd.Series(
        np.where(
            joint, np.maximum(JOINT_FLOOR, DEVIATIONS * noise / math.sqrt(3)), np.maximum(FLOOR, critical * noise)
        ),
        index=rows.index,
    )


def _discoveries(p_values: Array) -> npt.NDArray[np.bool_]:
    """Return, for each window (row), the columns that Benjamini and Hochberg's rule keeps (1995); nan: none."""
    filled = np.where(np.isnan(p_values), 1.0, p_values)
    order = np.sort(filled, axis=1)
    limits = FALSE_DISCOVERY * np.arange(1, filled.shape[1] + 1) / filled.shape[1]
    cut = np.where(order <= limits, order, -1.0).max(axis=1, initial=-1.0)
    return np.asarray(filled <= cut[:, None])


def _violations(
    values: Array, floor: Array, short_floor: Array, significant: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], Array, npt.NDArray[np.int64]]:
    """Walk the windows in time order; return violated, threshold, past windows; shapes as `values`."""
    violated = np.zeros(values.shape, dtype=bool)
    thresholds = np.full(values.shape, math.nan)
    past = np.zeros(values.shape, dtype="int64")
    for window in range(len(values)):
        # A violated window is no example of what is natural.
        natural = np.where(violated[:window], math.nan, values[:window])
        known = ~np.isnan(natural)
        count = known.sum(axis=0)
        past[window] = count
        safe = np.maximum(count, 2)
        mean = np.where(known, natural, 0).sum(axis=0) / safe
        spread = np.sqrt((np.where(known, natural - mean, 0) ** 2).sum(axis=0) / (safe - 1))
        limit = np.maximum(mean + DEVIATIONS * spread, floor[window])
        enough = count >= MINIMUM_WINDOWS
        thresholds[window] = np.where(enough, limit, short_floor[window])
        with np.errstate(invalid="ignore"):
            violated[window] = (values[window] > thresholds[window]) & (enough | significant[window])
    return violated, thresholds, past


def _verdict(cutoff: date, table: pd.DataFrame) -> DriftVerdict:
    judged = table["note"] == ""
    alarmed = table[table["alarm"].astype(bool)]
    columns = tuple(dict.fromkeys(alarmed["column_name"]))
    # A segment is news only where the whole did not move.
    whole = set(alarmed.loc[alarmed["segment"] == "", "column_name"])
    apart = alarmed[(alarmed["segment"] != "") & ~alarmed["column_name"].isin(whole)]
    segments = tuple(dict.fromkeys(apart["segment"]))
    count = table["column_name"].nunique()
    if columns:
        sentence = messages.drifted(cutoff, columns, count, table.iloc[0])
        return DriftVerdict("fail", cutoff, columns, table, sentence, segments)
    if not judged.any():
        sentence = messages.not_judgeable(cutoff, table["note"].iloc[0])
        return DriftVerdict("insufficient evidence", cutoff, (), table, sentence)
    judged_columns = table.loc[judged, "column_name"].nunique()
    sentence = messages.no_drift(cutoff, judged_columns, count, int(table["violated"].sum()))
    return DriftVerdict("pass", cutoff, (), table, sentence)
