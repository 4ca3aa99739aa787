"""Has a column moved? Statistics against recent weeks, thresholds from the column's own past.

Fixed thresholds are wrong in both directions: Kolmogorov-Smirnov at p < .05 flags a fifth of these features every
natural week, while "PSI above .2" or "half of the columns" miss every single-column fault. So a statistic is compared
with its own past.

- *Statistic*: the two-sample Kolmogorov-Smirnov distance between the cutoff's rows and those of a reference cutoff,
  on non-null values; null share by difference. The Jensen-Shannon distance on reference deciles tells the magnitude.
- *Reference*: the cutoffs two to five steps back, each compared on its own; the second smallest distance counts, so
  that up to two odd weeks among the four do not turn the healthy weeks after them into an alarm. The nearest cutoff
  is left out because feature windows of 84 days overlap, and because a change then shows fully in its first two
  weeks, the two that the rule below needs. A longer lag mistakes the season for a fault (four to seven steps back: up
  to five false weeks).
- *Threshold*: mean + 4 standard deviations of the column's past windows, at least six; windows that were violated
  themselves do not count as past, or a lasting fault would excuse itself. Never below a distance of .06 (see FLOOR)
  nor below what chance shows with this many rows.
- *Alarm*: the same column violated in two of the last three windows, the latest among them.

Measured on the bundled year (58 features, 41 cutoffs, 30 of them judgeable): no natural week raises an alarm (one of
240 does on random halves and quarters of the customers). Amounts times 100 (of all customers, or of a third), a third
of the customers shopping 60 % less, a third of the stores missing, files cut at 14:00, 14 days replayed, 30 % null
products and a shifted clock are each found at the second cutoff after they begin, which is the earliest that the rule
allows; prices + 20 %, which should not matter, do raise an alarm from the fourth week on.

The same functions serve a score as a single column; score the reference cutoffs with the *same* model, or a promotion
looks like drift.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import kolmogorov

from ml_models.splits import cutoff_dates

Status = Literal["pass", "fail", "insufficient evidence"]

REFERENCE_STEPS = (2, 3, 4, 5)
MINIMUM_ROWS = 200
MINIMUM_WINDOWS = 6
DEVIATIONS = 4.0
# Natural weeks raise no alarm from .05 on; at .07 a third of the customers shopping 60 % less drops out of sight again
# between the fifth and the tenth week.
FLOOR = 0.06
NULL_FLOOR = 0.02
# Two-sample Kolmogorov-Smirnov critical value at p = .01: chance alone rarely exceeds c * sqrt(1/n + 1/m).
_CRITICAL = 1.628
# Which of the four reference cutoffs counts, counted from the closest: the second.
_RANK = 1
WINDOWS, VIOLATIONS = 3, 2
_BINS = 10

STATISTICS_COLUMNS = [
    "cutoff_date",
    "column_name",
    "statistic",
    "p_value",
    "js",
    "null_share",
    "reference_null_share",
    "n",
    "reference_n",
]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DriftVerdict:
    """The judgement on one cutoff.

    `table` has one row a column, alarms first, then by statistic over threshold: column_name, statistic, threshold, js,
    null_share, null_change, null_threshold, past_windows, violated, violated_windows (of the last three), alarm, note.
    """

    status: Status
    cutoff: date
    columns: tuple[str, ...]
    table: pd.DataFrame
    sentence: str


def reference_cutoffs(cutoffs: Iterable[object], cutoff: object) -> list[pd.Timestamp]:
    """Return the cutoffs two to five steps before `cutoff`, oldest first; [] with less history."""
    earlier = [day for day in sorted(cutoff_dates(cutoffs).unique()) if day < pd.Timestamp(str(cutoff))]
    if len(earlier) < max(REFERENCE_STEPS):
        return []
    return [earlier[-step] for step in reversed(REFERENCE_STEPS)]


def drift_statistics(frame: pd.DataFrame, cutoffs: Iterable[object], columns: Sequence[str]) -> pd.DataFrame:
    """Return STATISTICS_COLUMNS for each asked cutoff and column; one row each, also where nothing can be said (nan).

    `frame` holds `cutoff_date` and numeric `columns` for the asked cutoffs and for the five cutoffs before each; what
    else it holds does not change the result, so new weeks can be computed alone. `statistic` is the second smallest
    Kolmogorov-Smirnov distance (0 to 1) to the reference cutoffs, `p_value` its asymptotic p (the same customers
    stand on both sides, so it only indicates), `js` the Jensen-Shannon distance in bits^½ (0 to 1) to the same
    reference cutoff, `reference_n` that cutoff's rows, nulls included. `reference_null_share` is the second closest
    of the reference cutoffs' null shares.
    """
    dates = cutoff_dates(frame["cutoff_date"])
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise ValueError(
            f"Expected {len(columns)} columns to compare, but {', '.join(missing)} is missing in the frame; "
            "measure the columns that the feature frame holds."
        )
    known = list(dates.unique())
    asked = sorted(cutoff_dates(cutoffs).unique())
    references = {stamp: reference_cutoffs(known, stamp) for stamp in asked}
    needed = {*asked, *(day for days in references.values() for day in days)}
    values = frame[list(columns)].to_numpy(dtype="float64", na_value=np.nan)
    windows = {stamp: _Window(values[(dates == stamp).to_numpy()]) for stamp in needed}
    rows = [
        [stamp, name, *_compare([windows[day] for day in references[stamp]], windows[stamp], position)]
        for stamp in asked
        for position, name in enumerate(columns)
    ]
    result = pd.DataFrame(rows, columns=STATISTICS_COLUMNS)
    return result.astype({"n": "int64", "reference_n": "int64", "cutoff_date": "datetime64[us]"})


class _Window:
    """The rows of one cutoff: each column sorted, nulls cut off."""

    def __init__(self, values: Array) -> None:
        self.n = len(values)
        ordered = np.sort(values, axis=0)  # nulls last
        present = (~np.isnan(ordered)).sum(axis=0)
        self.columns = [ordered[: present[position], position] for position in range(values.shape[1])]

    def null_share(self, position: int) -> float:
        return 1 - len(self.columns[position]) / self.n if self.n else math.nan


def judge_drift(history: pd.DataFrame, cutoff: object) -> DriftVerdict:
    """Judge one cutoff by the drift statistics of all cutoffs up to it (later ones are ignored).

    Fails when some column was violated in two of the last three windows, the latest among them; says "insufficient
    evidence" when no column of this cutoff can be judged: too few rows (200), too few reference cutoffs, fewer than
    six past windows.
    """
    stamp = cutoff_dates([cutoff]).iloc[0]
    known = history.assign(cutoff_date=cutoff_dates(history["cutoff_date"]))
    known = known[known["cutoff_date"] <= stamp].drop_duplicates(["cutoff_date", "column_name"], keep="last")
    latest = known[known["cutoff_date"] == stamp].set_index("column_name")
    names = list(latest.index)
    if not names:
        return DriftVerdict(
            "insufficient evidence",
            stamp.date(),
            (),
            pd.DataFrame(columns=_TABLE_COLUMNS),
            f"No drift statistics for {stamp.date()}; compute them before judging.",
        )
    enough = (known["n"] >= MINIMUM_ROWS) & (known["reference_n"] >= MINIMUM_ROWS)
    floor = np.maximum(
        FLOOR, _CRITICAL * np.sqrt(1 / known["n"].clip(lower=1) + 1 / known["reference_n"].clip(lower=1))
    )
    change = (known["null_share"] - known["reference_null_share"]).abs()
    wide = known.assign(statistic=known["statistic"].where(enough), change=change.where(enough), floor=floor).pivot(
        index="cutoff_date", columns="column_name", values=["statistic", "change", "floor"]
    )
    moved, threshold, past = _violations(wide["statistic"][names].to_numpy(), wide["floor"][names].to_numpy())
    emptied, null_threshold, null_past = _violations(wide["change"][names].to_numpy(), np.full(moved.shape, NULL_FLOOR))
    violated = moved | emptied
    recent = violated[-WINDOWS:].sum(axis=0)
    table = pd.DataFrame(
        {
            "column_name": names,
            "statistic": latest["statistic"].to_numpy(),
            "threshold": threshold[-1],
            "js": latest["js"].to_numpy(),
            "null_share": latest["null_share"].to_numpy(),
            "null_change": wide["change"][names].to_numpy()[-1],
            "null_threshold": null_threshold[-1],
            "past_windows": np.maximum(past[-1], null_past[-1]),
            "violated": violated[-1],
            "violated_windows": recent,
            "alarm": violated[-1] & (recent >= VIOLATIONS),
        }
    )
    table["note"] = [
        _note(int(n), int(reference_n), int(windows))
        for n, reference_n, windows in zip(latest["n"], latest["reference_n"], table["past_windows"], strict=True)
    ]
    excess = (table["statistic"] / table["threshold"]).fillna(-1)
    table = table.assign(_excess=excess).sort_values(["alarm", "_excess"], ascending=False, kind="stable")
    return _verdict(stamp.date(), table.drop(columns="_excess").reset_index(drop=True))


_TABLE_COLUMNS = [
    "column_name",
    "statistic",
    "threshold",
    "js",
    "null_share",
    "null_change",
    "null_threshold",
    "past_windows",
    "violated",
    "violated_windows",
    "alarm",
    "note",
]


def _verdict(cutoff: date, table: pd.DataFrame) -> DriftVerdict:
    judged = table["note"] == ""
    alarmed = tuple(table.loc[table["alarm"], "column_name"])
    if alarmed:
        first = table.iloc[0]
        sentence = (
            f"{len(alarmed)} of {len(table)} columns drifted at {cutoff}: {', '.join(alarmed[:5])}"
            f"{', …' if len(alarmed) > 5 else ''}. First: {first['column_name']}, distance {first['statistic']:.3f} "
            f"(threshold {first['threshold']:.3f}), nulls {first['null_share']:.1%}, violated in "
            f"{first['violated_windows']} of the last {WINDOWS} windows."
        )
        return DriftVerdict("fail", cutoff, alarmed, table, sentence)
    if not judged.any():
        sentence = f"Drift at {cutoff} cannot be judged yet: {table['note'].iloc[0]}."
        return DriftVerdict("insufficient evidence", cutoff, (), table, sentence)
    once = int(table["violated"].sum())
    sentence = (
        f"No drift at {cutoff}: {int(judged.sum())} of {len(table)} columns judged, "
        f"{once} above the threshold in this window only."
    )
    return DriftVerdict("pass", cutoff, (), table, sentence)


def _note(n: int, reference_n: int, windows: int) -> str:
    if n < MINIMUM_ROWS:
        return f"insufficient evidence: {n} rows, at least {MINIMUM_ROWS} are needed"
    if reference_n < MINIMUM_ROWS:
        return f"insufficient evidence: {reference_n} reference rows, {max(REFERENCE_STEPS)} earlier cutoffs are needed"
    if windows < MINIMUM_WINDOWS:
        return f"insufficient evidence: {windows} past windows, at least {MINIMUM_WINDOWS} are needed"
    return ""


def _violations(values: Array, floor: Array) -> tuple[npt.NDArray[np.bool_], Array, npt.NDArray[np.int64]]:
    """Walk the windows in time order; return violated, threshold (nan: none yet), past windows; shapes as `values`."""
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
        thresholds[window] = np.where((count >= MINIMUM_WINDOWS), limit, math.nan)
        violated[window] = values[window] > thresholds[window]  # False where either is nan
    return violated, thresholds, past


def _compare(references: list[_Window], current: _Window, position: int) -> list[float]:
    """Return statistic, p_value, js, null_share, reference_null_share, n, reference_n of one column."""
    share = current.null_share(position)
    if not references:
        return [math.nan, math.nan, math.nan, share, math.nan, current.n, 0]
    new = current.columns[position]
    shares = sorted((window.null_share(position) for window in references), key=lambda other: abs(other - share))
    distances = sorted(
        ((_distance(window.columns[position], new), number) for number, window in enumerate(references)),
        key=lambda pair: (math.isnan(pair[0]), pair),  # unknown distances last
    )
    distance, number = distances[_RANK]
    chosen = references[number]
    old = chosen.columns[position]
    if math.isnan(distance):
        return [math.nan, math.nan, math.nan, share, shares[_RANK], current.n, chosen.n]
    p_value = float(kolmogorov(distance * math.sqrt(len(old) * len(new) / (len(old) + len(new)))))
    return [distance, p_value, _jensen_shannon(old, new), share, shares[_RANK], current.n, chosen.n]


def _distance(old: Array, new: Array) -> float:
    """Return the Kolmogorov-Smirnov distance of two sorted samples; nan when either is too small to say anything."""
    if min(len(old), len(new)) < MINIMUM_ROWS:
        return math.nan
    points = np.concatenate([old, new])
    shares = [np.searchsorted(part, points, side="right") / len(part) for part in (old, new)]
    return float(np.abs(shares[0] - shares[1]).max())


def _jensen_shannon(old: Array, new: Array) -> float:
    """Return the Jensen-Shannon distance (base 2, 0 to 1) of two sorted samples on the deciles of the first."""
    edges = np.unique(old[(np.arange(1, _BINS) * len(old)) // _BINS])
    shares = [
        np.diff(np.concatenate([[0], np.searchsorted(part, edges, side="right"), [len(part)]])) / len(part)
        for part in (old, new)
    ]
    middle = (shares[0] + shares[1]) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = [np.where(share > 0, share * np.log2(share / middle), 0).sum() for share in shares]
    return math.sqrt(max(0.0, float(sum(bits)) / 2))
