"""Judge the newest window of each kind of evidence, segment by segment, against the same segment's past.

*Threshold*: past mean ± z standard deviations, over at least six past windows whose outcomes were complete before the
judged one began and which were not half as odd themselves (a slow fault must not excuse itself); z = 4, or what a
Bonferroni correction over all segments asks for at .001, whichever is more. A standard deviation is never below what
chance gives a window of this size, and a segment's is drawn towards what segments show in common, because neighbouring
windows share customers and outcome days: thirty of them are worth ten where an outcome takes four weeks (see SHARED).

*Alarm*: violated in two of the last three windows, the latest among them; or the two newest together; or once at one
and a half times the threshold. And the gap must matter: knowing it would gain at least MATERIAL of the model's
log-loss. Windows that the model learned from are past, never alarms.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from ml_models.metrics import Array
from ml_models.monitoring.performance import messages
from ml_models.monitoring.performance.segments import FOUND, OVERALL
from ml_models.monitoring.performance.thresholds import (
    FAMILY_ERROR,
    MATERIAL,
    MINIMUM_EVENTS,
    MINIMUM_ROWS,
    PAST,
    PRIOR,
    PROMISED_RISE,
    REACH,
    SHARED,
    STRONG,
    TREE_DEPTH,
)
from ml_models.monitoring.thresholds import DEVIATIONS, MINIMUM_WINDOWS, VIOLATIONS, WINDOWS
from ml_models.problems.question import Question

Flags = npt.NDArray[np.bool_]

TABLE_COLUMNS = [
    "kind",
    "cutoff_date",
    "segment_column",
    "segment_value",
    "statistic",
    "value",
    "past",
    "deviations",
    "threshold",
    "harm",
    "n",
    "past_windows",
    "violated",
    "violated_windows",
    "alarm",
    "note",
]


class _Days(NamedTuple):
    """The windows (cutoffs) of one kind of evidence, oldest first: all of them, and those after training.

    `sharing`: how many neighbouring ones count as one independent window.
    """

    all: list[pd.Timestamp]
    live: list[pd.Timestamp]
    sharing: float


class _Statistic(NamedTuple):
    """What is compared with the past: on how many sides it may be odd, and the harm or change that it must reach."""

    name: str
    sides: int
    material: float = 0.0
    floor: float = 0.0


def sharing(question: Question) -> float:
    """Return how many neighbouring windows count as one independent window.

    >>> sharing(Question()), sharing(Question(horizon_days=56))
    (3.0, 6.0)
    """
    return max(1.0, SHARED * question.horizon_cutoffs)


def judge_kind(rows: pd.DataFrame, kind: str, question: Question) -> pd.DataFrame:
    """Return TABLE_COLUMNS for one kind's newest window: one row a segment and statistic.

    `rows`: HISTORY_COLUMNS of this kind alone, of the windows that may be read.
    """
    cutoffs = sorted(rows["cutoff_date"].unique())[-REACH:]
    if not cutoffs:
        return pd.DataFrame(columns=TABLE_COLUMNS)
    learned = set(rows.loc[rows["learned"].astype(bool), "cutoff_date"])
    live = [day for day in cutoffs if day not in learned]
    days = _Days(cutoffs, live, sharing(question))
    rows = rows[rows["cutoff_date"].isin(cutoffs)]
    if kind == "estimated":
        overall = rows.assign(gap=rows["expected_log_loss"], error=rows["log_loss_noise"])
        floor = PROMISED_RISE * float(rows["expected_log_loss"].median())
        parts = [_judge_segments(overall, days, kind, _Statistic("log_loss", 1, floor=floor))]
    else:
        plain = rows[rows["segment_column"] != FOUND]
        overall = plain[plain["segment_column"] == OVERALL]
        material = MATERIAL * float(overall["expected_log_loss"].median())
        gap = plain.assign(gap=plain["observed"] - plain["expected"], error=plain["noise"])
        area = overall.assign(gap=-overall["auc"], error=(overall["auc_high"] - overall["auc_low"]) / 3.92)
        loss = overall.assign(gap=overall["log_loss"], error=overall["log_loss_noise"])
        parts = [
            _judge_segments(gap, days, kind, _Statistic("calibration", 2, material=material)),
            _judge_segments(loss, days, kind, _Statistic("log_loss", 1)),
            _judge_segments(area, days, kind, _Statistic("auc", 1)),
            _judge_found(rows[rows["segment_column"] == FOUND], overall, days, kind, material),
        ]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=TABLE_COLUMNS)


def _judge_segments(rows: pd.DataFrame, days: _Days, kind: str, statistic: _Statistic) -> pd.DataFrame:
    """Judge `gap` with standard error `error` of every segment, window by window, against each segment's own past."""
    names, (gap, error, n, expected) = _by_day_and_segment(rows, days, ("gap", "error", "n", "expected"))
    calibration = statistic.name == "calibration"
    enough = n >= MINIMUM_ROWS
    if calibration:
        enough &= n * np.minimum(expected, 1 - expected) >= MINIMUM_EVENTS
    gap = np.where(enough, gap, math.nan)
    total = np.nanmax(n, axis=1, keepdims=True) if n.size else n
    threshold = _bonferroni(len(names), statistic.sides)
    violated, strong = np.zeros(gap.shape, dtype=bool), np.zeros(gap.shape, dtype=bool)
    doubtful = np.isnan(gap)
    distance, usual, harm = (np.full(gap.shape, math.nan) for _ in range(3))
    count = np.zeros(gap.shape, dtype="int64")
    for at, (day, ended) in enumerate(zip(days.all, _ended_before(rows, days), strict=True)):
        past = _Past.of(gap[:ended], error[:ended], ~doubtful[:ended], gap[at], error[at], days.sharing)
        count[at] = past.windows
        moved = gap[at] - past.mean
        with np.errstate(invalid="ignore", divide="ignore"):
            distance[at] = np.where(past.judgeable, moved / past.deviation, math.nan)
        usual[at] = np.where(past.judgeable, past.mean, math.nan)
        size = np.abs(distance[at]) if statistic.sides == 2 else distance[at]
        odd = (size > threshold) & (np.abs(moved) >= statistic.floor)
        if calibration:
            harm[at] = _harm(expected[at] + past.mean, expected[at] + gap[at], n[at] / total[at])
            odd &= harm[at] >= statistic.material
        violated[at] = odd
        doubtful[at] |= size > threshold / 2
        strong[at] = odd & (size > STRONG * threshold) & (day in days.live)
    after_training = bool(days.live) and days.live[-1] == days.all[-1]
    if not after_training:
        violated[-1:] = False
    # A window that the model learned from is fitted; it can be odd past, but it says nothing about today.
    counted = violated & np.array([day in days.live for day in days.all])[:, None]
    recent = counted[-WINDOWS:].sum(axis=0)
    together = _together(distance, days, statistic.sides, threshold, rows)
    if calibration:
        together &= harm[-1] >= statistic.material
    sign = -1.0 if statistic.name == "auc" else 1.0
    last = pd.DataFrame(
        {
            "kind": kind,
            "cutoff_date": days.all[-1],
            "segment_column": [name[0] for name in names],
            "segment_value": [name[1] for name in names],
            "statistic": statistic.name,
            "value": sign * gap[-1],
            "past": sign * usual[-1],
            "deviations": sign * distance[-1],
            "threshold": threshold,
            "harm": harm[-1],
            "n": np.nan_to_num(n[-1]).astype("int64"),
            "past_windows": count[-1],
            "violated": counted[-1],
            "violated_windows": recent,
            "alarm": (counted[-1] & ((recent >= VIOLATIONS) | strong[-1])) | together,
        }
    )
    last["note"] = [
        messages.too_little(int(rows), int(windows), bool(ok))
        if after_training
        else messages.NO_OUTCOMES_AFTER_TRAINING
        for rows, windows, ok in zip(last["n"], last["past_windows"], enough[-1], strict=True)
    ]
    return last


def _by_day_and_segment(
    rows: pd.DataFrame, days: _Days, columns: Sequence[str]
) -> tuple[list[tuple[str, str]], list[Array]]:
    """Return the segments in the order in which they come, and each column as (days, segments), nan without a row.

    Of rows of the same day and segment the last one counts.
    """
    grouped = rows.groupby(["segment_column", "segment_value"], sort=False)
    names, segment = list(grouped.size().index), grouped.ngroup().to_numpy()
    day = pd.DatetimeIndex(days.all).get_indexer(pd.DatetimeIndex(rows["cutoff_date"]))
    found = []
    for column in columns:
        # A segment's days lie side by side, as they are added up later: another order would be another last digit.
        values = np.full((len(days.all), len(names)), math.nan, order="F")
        values[day, segment] = rows[column].to_numpy(dtype="float64")
        found.append(values)
    return names, found


class _Past(NamedTuple):
    """What is usual in each segment, (segments,) each, and how much a window like the judged one deviates from it."""

    windows: npt.NDArray[np.int64]
    mean: Array
    deviation: Array
    judgeable: Flags

    @classmethod
    def of(
        cls, gap: Array, error: Array, usable: Flags, judged_gap: Array, judged_error: Array, sharing: float
    ) -> "_Past":
        """Summarise past windows (rows) of each segment (columns), the newest PAST usable ones of each."""
        usable = usable & (usable[::-1].cumsum(axis=0)[::-1] <= PAST)
        windows = usable.sum(axis=0)
        safe = np.maximum(windows, 1)
        mean = np.where(usable, gap, 0).sum(axis=0) / safe
        chance = np.where(usable, error**2, 0).sum(axis=0) / safe
        spread = np.where(usable, (np.where(usable, gap, 0) - mean) ** 2, 0).sum(axis=0) / np.maximum(windows - 1, 1)
        judgeable = (windows >= MINIMUM_WINDOWS) & ~np.isnan(judged_gap)
        ratio = np.divide(spread, chance, out=np.ones_like(spread), where=chance > 0)
        common = max(1.0, float(np.median(ratio[judgeable]))) if judgeable.any() else 1.0
        weight = safe / sharing
        shrunk = (PRIOR * common + weight * ratio) / (PRIOR + weight) * chance
        # Fewer rows than usual: more noise. More rows: what the weeks differ by is still there.
        scale = np.maximum(1.0, np.divide(judged_error**2, chance, out=np.ones_like(chance), where=chance > 0))
        deviation = np.sqrt(np.maximum(shrunk * scale, judged_error**2) * (1 + 1 / np.maximum(weight, 1)))
        return cls(windows, mean, deviation, judgeable)


def _ended_before(rows: pd.DataFrame, days: _Days) -> list[int]:
    """Return, for each day, how many of the days had their outcomes complete before it began.

    Windows that share outcome days with the judged one would tell it that its own beginning is usual.
    """
    length = (rows["known_on"] - rows["cutoff_date"]).max()
    complete = pd.DatetimeIndex(days.all) + length
    return [min(int((complete <= day).sum()), at) for at, day in enumerate(days.all)]


def _together(distance: Array, days: _Days, sides: int, threshold: float, rows: pd.DataFrame) -> Flags:
    """Return whether the two newest windows, both past half of the threshold on one side, are beyond it together.

    At a cutoff a week, outcomes of four weeks share three quarters of their days, so the sum of two such deviations
    has variance 2 (1 + 3/4): windows further apart than their outcomes are long would be independent.
    """
    if len(days.all) < 2 or days.all[-1] not in days.live or days.all[-2] not in days.live:
        return np.zeros(distance.shape[1], dtype=bool)
    length = max((rows["known_on"] - rows["cutoff_date"]).max() / pd.Timedelta(days=1), 1.0)
    shared = max(0.0, 1 - (days.all[-1] - days.all[-2]) / pd.Timedelta(days=1) / length)
    pair = np.nan_to_num(distance[-2:])
    if sides == 2:
        pair = pair * np.sign(pair[-1])
    beyond = pair.sum(axis=0) / math.sqrt(2 * (1 + shared)) > threshold
    return np.asarray(beyond & (pair.min(axis=0) > threshold / 2))


def _judge_found(rows: pd.DataFrame, overall: pd.DataFrame, days: _Days, kind: str, material: float) -> pd.DataFrame:
    """Judge the segments that the trees of the last three windows found, each against its own past."""
    recent = [day for day in days.all[-WINDOWS:] if day in days.live]
    rows = rows[rows["cutoff_date"].isin(recent) & (rows["n"] >= MINIMUM_ROWS)]
    if rows.empty or not recent or recent[-1] != days.all[-1]:
        return pd.DataFrame(columns=TABLE_COLUMNS)
    gap = rows["observed"] - rows["expected"]
    deviation = np.sqrt(
        np.maximum(rows["past_spread"] ** 2, rows["noise"] ** 2)
        + rows["past_spread"] ** 2 * days.sharing / rows["past_windows"]
    )
    distance = (gap - rows["past_gap"]) / deviation
    sizes = rows["cutoff_date"].map(overall.set_index("cutoff_date")["n"]).to_numpy(dtype="float64")
    # Only the confirming half was counted.
    share = 2 * rows["n"].to_numpy(dtype="float64") / sizes
    harm = _harm(
        (rows["expected"] + rows["past_gap"]).to_numpy(dtype="float64"),
        rows["observed"].to_numpy(dtype="float64"),
        share,
    )
    threshold = _bonferroni(2**TREE_DEPTH, 2)
    violated = (distance.abs() > threshold) & (harm >= material)
    windows = violated.groupby(rows["cutoff_date"]).any()
    strong = violated & (distance.abs() > STRONG * threshold)
    latest = (rows["cutoff_date"] == days.all[-1]).to_numpy()
    table = pd.DataFrame(
        {
            "kind": kind,
            "cutoff_date": rows["cutoff_date"],
            "segment_column": FOUND,
            "segment_value": rows["segment_value"],
            "statistic": "calibration",
            "value": gap,
            "past": rows["past_gap"],
            "deviations": distance,
            "threshold": threshold,
            "harm": harm,
            "n": rows["n"].astype("int64"),
            "past_windows": rows["past_windows"].astype("int64"),
            "violated": violated,
            "violated_windows": int(windows.sum()),
            "alarm": violated & ((windows.sum() >= VIOLATIONS) | strong),
            "note": "",
        }
    )
    return table[latest].reset_index(drop=True)


def _bonferroni(tests: int, sides: int) -> float:
    """Return the standard deviations beyond which any of `tests` is odd by chance with FAMILY_ERROR, at least 4."""
    return max(DEVIATIONS, float(-ndtri(FAMILY_ERROR / (sides * max(tests, 1)))))


def _harm(expected: Array, observed: Array, share: Array) -> Array:
    """Return the log-loss, over all rows, that replacing `expected` by `observed` in this share of rows would gain.

    The Kullback-Leibler divergence of two rates: a lower bound, reached when the segment is homogeneous.
    """
    e, o = np.clip(expected, 1e-6, 1 - 1e-6), np.clip(observed, 1e-6, 1 - 1e-6)
    return np.asarray(share * (o * np.log(o / e) + (1 - o) * np.log((1 - o) / (1 - e))), dtype="float64")
