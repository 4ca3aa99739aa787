"""Has a column moved? Statistics against recent weeks, thresholds from the column's own past.

Fixed thresholds are wrong in both directions: Kolmogorov-Smirnov at p < .05 flags a fifth of these features every
natural week, while "PSI above .2" or "half of the columns" miss every single-column fault. So a statistic is compared
with its own past.

- *Statistic*: the two-sample Kolmogorov-Smirnov distance between the cutoff's rows and those of a reference cutoff,
  on non-null values; for a category the largest change of a share (L-infinity); null share by difference. The
  Jensen-Shannon and Wasserstein distances tell the magnitude.
- *Reference*: the cutoffs two to five steps back, each compared on its own; the second smallest distance counts, so
  that up to two odd weeks among the four do not turn the healthy weeks after them into an alarm. The nearest cutoff
  is left out because feature windows of 84 days overlap, and because a change then shows fully in its first two
  weeks, the two that the rule below needs. A longer lag mistakes the season for a fault (four to seven steps back: up
  to five false weeks).
- *Threshold*: mean + 4 standard deviations of the column's past windows, at least six; windows that were violated
  themselves do not count as past, or a lasting fault would excuse itself. Never below a distance of .06 (see FLOOR)
  nor below what chance shows with this many rows. Until there are six past windows only a gross change counts
  (SHORT_FLOOR), among the columns that Benjamini and Hochberg's rule keeps within the window.
- *Alarm*: the same column violated in two of the last three windows, the latest among them.
- *Jointly* (JOINT): can a classifier tell this cutoff's customers from a reference's? It sees what no single column
  shows, such as values dealt to the wrong customers (see `joint_distance`).
- *Segments*: the same within each value of a slice, with a chance floor that knows how many slices there are.
- *Harmless?* A movement that leaves what the model says as it was (`weigh_drift`) is recorded as "moved" and fails
  nothing: prices 20 % up move every amount for ever, and matter to no score.

Measured on the bundled year (58 features, 41 cutoffs, 30 of them judgeable): no natural week raises an alarm (one of
240 does on random halves and quarters of the customers). Amounts times 100 (of all customers, or of a third), a third
of the customers shopping 60 % less, a third of the stores missing, files cut at 14:00, 14 days replayed, 30 % null
products and a shifted clock are each found at the second cutoff after they begin, which is the earliest that the rule
allows.

The same functions serve a score as a single column; score the reference cutoffs with the *same* model, or a promotion
looks like drift. `moved_since` answers another question, without an alarm: how far has the world moved since the model
learned?
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import kolmogorov, ndtri

from ml_models.cutoffs import cutoff_dates
from ml_models.metrics import auc
from ml_models.monitoring.drift.new_customers import EXISTING_AFTER_CUTOFFS, existing_customers

Status = Literal["pass", "moved", "fail", "insufficient evidence"]

REFERENCE_STEPS = (2, 3, 4, 5)
MINIMUM_ROWS = 200
MINIMUM_WINDOWS = 6
# Reference windows, and as many past ones as a verdict needs.
LEAST_WINDOWS = max(REFERENCE_STEPS) + MINIMUM_WINDOWS
DEVIATIONS = 4.0
# Natural weeks raise no alarm from .05 on; at .07 a third of the customers shopping 60 % less drops out of sight again
# between the fifth and the tenth week.
FLOOR = 0.06
NULL_FLOOR = 0.02
# A joint distance below this is what two halves of one window show now and then.
JOINT_FLOOR = 0.10
# With no past to compare with, three times the floor: no natural week of the bundled year comes near it.
SHORT_FLOOR = 0.18
SHORT_NULL_FLOOR = 0.10
FALSE_DISCOVERY = 0.01
# p of the chance floor, shared by the segments of a window: chance alone rarely exceeds c * sqrt(1/n + 1/m).
_CHANCE = 0.01
# Share of the model's expected log-loss that a movement may cost and still be called harmless, whatever is usual: half
# of what a retraining must promise before a run is spent on it.
NEGLIGIBLE = 0.002
# Rows of a window that the effect on the scores is computed with.
EFFECT_ROWS = 20_000
# More rows than this sharpen no threshold: chance then moves a distance by .006 at most.
ROW_LIMIT = 100_000
JOINT = "all columns jointly"
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
    "wasserstein",
    "null_p_value",
    "segment",
]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DriftVerdict:
    """The judgement on one cutoff.

    `table` has one row a column and segment, alarms first, then by statistic over threshold: column_name, segment
    ("": all rows), statistic, threshold, js, null_share, null_change, null_threshold, past_windows, violated,
    violated_windows (of the last three), alarm, note. `columns` are the alarmed ones, `segments` where, when only a
    segment moved. `moved`: alarmed, but what the model says stayed as it was (see `weigh_drift`).
    """

    status: Status
    cutoff: date
    columns: tuple[str, ...]
    table: pd.DataFrame
    sentence: str
    segments: tuple[str, ...] = ()
    effect: "ScoreEffect | None" = None


@dataclass(frozen=True)
class ScoreEffect:
    """What a movement of some columns does to a model's scores.

    `loss`: the log-loss that the scores lose if the movement means nothing (the mean Kullback-Leibler divergence of the
    actual scores from those with the movement undone); `bar`: what natural weeks show; `score_change`: of the mean.
    """

    loss: float
    bar: float
    score_change: float

    @property
    def harmless(self) -> bool:
        """Whether nobody could tell the scores from those without the movement."""
        return self.loss <= self.bar


def reference_cutoffs(cutoffs: Iterable[object], cutoff: object) -> list[pd.Timestamp]:
    """Return the cutoffs two to five steps before `cutoff`, oldest first; [] with less history."""
    earlier = [day for day in sorted(cutoff_dates(cutoffs).unique()) if day < pd.Timestamp(str(cutoff))]
    if len(earlier) < max(REFERENCE_STEPS):
        return []
    return [earlier[-step] for step in reversed(REFERENCE_STEPS)]


def drift_statistics(
    frame: pd.DataFrame,
    cutoffs: Iterable[object],
    columns: Sequence[str],
    entity: str = "",
    segments: Mapping[str, pd.Series] | None = None,
) -> pd.DataFrame:
    """Return STATISTICS_COLUMNS for each asked cutoff and column; one row each, also where nothing can be said (nan).

    `frame` holds `cutoff_date` and `columns` for the asked cutoffs and for the five cutoffs before each; what else it
    holds does not change the result, so new weeks can be computed alone. Numbers and booleans are compared by
    Kolmogorov-Smirnov, everything else as categories. `statistic` is the second smallest distance (0 to 1) to the
    reference cutoffs, `p_value` its asymptotic p (Kolmogorov; chi-square for categories, pooled where fewer than five
    are expected; the same customers stand on both sides, so it only indicates), `js` the Jensen-Shannon distance in
    bits^½ (0 to 1) and `wasserstein` the mean move in standard deviations, to the same reference cutoff, `reference_n`
    that cutoff's rows, nulls included. `reference_null_share` is the second closest of the reference cutoffs' null
    shares, `null_p_value` the exact binomial p of the nulls under the references' mean share.

    With `entity` (its column), a row JOINT is added a cutoff: see `joint_distance`. With `segments` (name -> values
    aligned with the frame, null: none), each column is measured within each value as well, `segment` = "name=value".
    Windows of more than 100,000 rows are sampled by a hash of the entity, or of the row's position without one.
    """
    dates = cutoff_dates(frame["cutoff_date"])
    missing = [name for name in (*columns, *([entity] if entity else [])) if name not in frame.columns]
    if missing:
        raise ValueError(
            f"Expected {len(columns)} columns to compare, but {', '.join(missing)} is missing in the frame; "
            "measure the columns that the feature frame holds."
        )
    known = list(dates.unique())
    asked = sorted(cutoff_dates(cutoffs).unique())
    references = {stamp: reference_cutoffs(known, stamp) for stamp in asked}
    needed = {*asked, *(day for days in references.values() for day in days)}
    parts = {stamp: _sampled(frame, np.flatnonzero((dates == stamp).to_numpy()), entity) for stamp in needed}
    names = list(columns)
    windows = {stamp: _Window(frame.iloc[at], names) for stamp, at in parts.items()}
    rows: list[list[object]] = []
    for stamp in asked:
        olds = [windows[day] for day in references[stamp]]
        rows += [[stamp, name, *_compare(olds, windows[stamp], at), ""] for at, name in enumerate(names)]
    if entity and len(names) > 1:
        numbers = [name for name in names if _is_number(frame[name])]
        for stamp in asked:
            sides = [frame.iloc[parts[day]] for day in references[stamp][:: 2 if len(references[stamp]) > 2 else 1]]
            rows.append([stamp, JOINT, *_joint(sides, frame.iloc[parts[stamp]], numbers, entity), ""])
    for segment, named in (segments or {}).items():
        values = named.to_numpy(dtype=object)
        for value in sorted({str(one) for one in values if one is not None and one == one}):
            inside = np.array([str(one) == value for one in values])
            cut = {stamp: _Window(frame.iloc[at[inside[at]]], names) for stamp, at in parts.items()}
            for stamp in asked:
                olds = [cut[day] for day in references[stamp]]
                where = f"{segment}={value}"
                rows += [[stamp, name, *_compare(olds, cut[stamp], at), where] for at, name in enumerate(names)]
    result = pd.DataFrame(rows, columns=["cutoff_date", "column_name", *STATISTICS_COLUMNS[2:]])
    return result.astype({"n": "int64", "reference_n": "int64", "cutoff_date": "datetime64[us]"})


def _sampled(frame: pd.DataFrame, positions: npt.NDArray[np.int64], entity: str) -> npt.NDArray[np.int64]:
    """Return the positions, or about ROW_LIMIT of them: the same customers every week."""
    if len(positions) <= ROW_LIMIT:
        return positions
    keys = frame[entity].iloc[positions].astype(str) if entity else pd.Series(np.arange(len(positions)))
    hashed = pd.util.hash_pandas_object(keys, index=False).to_numpy()
    return positions[hashed <= np.uint64(int(ROW_LIMIT / len(positions) * (2**64 - 1)))]


def _is_number(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values))


class _Window:
    """The rows of one cutoff: each number column sorted, nulls cut off; each category's counts."""

    def __init__(self, rows: pd.DataFrame, names: Sequence[str]) -> None:
        self.n = len(rows)
        numbers = [name for name in names if _is_number(rows[name])]
        ordered = np.sort(rows[numbers].to_numpy(dtype="float64", na_value=np.nan), axis=0)  # nulls last
        present = (~np.isnan(ordered)).sum(axis=0)
        sorted_values = {name: ordered[: present[at], at] for at, name in enumerate(numbers)}
        self.columns: list[Array | pd.Series] = [
            sorted_values[name] if name in sorted_values else rows[name].astype(object).value_counts() for name in names
        ]

    def present(self, position: int) -> int:
        """Return how many rows hold a value."""
        column = self.columns[position]
        return int(column.sum()) if isinstance(column, pd.Series) else len(column)

    def null_share(self, position: int) -> float:
        return 1 - self.present(position) / self.n if self.n else math.nan


def judge_drift(history: pd.DataFrame, cutoff: object) -> DriftVerdict:
    """Judge one cutoff by the drift statistics of all cutoffs up to it (later ones are ignored).

    Fails when some column was violated in two of the last three windows, the latest among them; says "insufficient
    evidence" when no column of this cutoff can be judged: too few rows (200), too few reference cutoffs, fewer than
    six past windows (and no gross change).
    """
    stamp = cutoff_dates([cutoff]).iloc[0]
    known = history.assign(
        cutoff_date=cutoff_dates(history["cutoff_date"]),
        # Statistics that were measured before segments were.
        segment=history["segment"].fillna("") if "segment" in history.columns else "",
        wasserstein=history["wasserstein"] if "wasserstein" in history.columns else math.nan,
    )
    keys = ["column_name", "segment"]
    known = known[known["cutoff_date"] <= stamp].drop_duplicates(["cutoff_date", *keys], keep="last")
    latest = known[known["cutoff_date"] == stamp].set_index(keys)
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
    change = (known["null_share"] - known["reference_null_share"]).abs()
    wide = known.assign(
        statistic=known["statistic"].where(enough), change=change.where(enough), floor=_floors(known)
    ).pivot(index="cutoff_date", columns=keys, values=["statistic", "change", "floor", "p_value"])
    part = {name: wide[name][names].to_numpy(dtype="float64") for name in ("statistic", "change", "floor", "p_value")}
    moved, threshold, past = _violations(
        part["statistic"], part["floor"], np.maximum(SHORT_FLOOR, 2 * part["floor"]), _discoveries(part["p_value"])
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
        _note(int(n), int(reference_n), int(windows))
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
    critical = np.sqrt(-np.log(_CHANCE / tests / 2) / 2)
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
        first = table.iloc[0]
        sentence = (
            f"{len(columns)} of {count} columns drifted at {cutoff}: {', '.join(columns[:5])}"
            f"{', …' if len(columns) > 5 else ''}. First: {first['column_name']}"
            f"{' in ' + first['segment'] if first['segment'] else ''}, distance {first['statistic']:.3f} "
            f"(threshold {first['threshold']:.3f}), nulls {first['null_share']:.1%}, violated in "
            f"{first['violated_windows']} of the last {WINDOWS} windows."
        )
        return DriftVerdict("fail", cutoff, columns, table, sentence, segments)
    if not judged.any():
        sentence = f"Drift at {cutoff} cannot be judged yet: {table['note'].iloc[0]}."
        return DriftVerdict("insufficient evidence", cutoff, (), table, sentence)
    once = int(table["violated"].sum())
    sentence = (
        f"No drift at {cutoff}: {table.loc[judged, 'column_name'].nunique()} of {count} columns judged, "
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


def _violations(
    values: Array, floor: Array, short_floor: Array, significant: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], Array, npt.NDArray[np.int64]]:
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
        gross = (count < MINIMUM_WINDOWS) & (values[window] > short_floor[window]) & significant[window]
        violated[window] = (values[window] > thresholds[window]) | gross  # False where either is nan
    return violated, thresholds, past


def _compare(references: list[_Window], current: _Window, position: int) -> list[float]:
    """Return a column's statistic, p, js, null share, reference's null share, n, reference's n, wasserstein, null p."""
    share = current.null_share(position)
    if not references:
        return [math.nan, math.nan, math.nan, share, math.nan, current.n, 0, math.nan, math.nan]
    new = current.columns[position]
    shares = sorted((window.null_share(position) for window in references), key=lambda other: abs(other - share))
    null_p = _binomial(current.n - current.present(position), current.n, float(np.mean(shares)))
    distances = sorted(
        ((_distance(window.columns[position], new), number) for number, window in enumerate(references)),
        key=lambda pair: (math.isnan(pair[0]), pair),  # unknown distances last
    )
    distance, number = distances[_RANK]
    chosen = references[number]
    old = chosen.columns[position]
    if math.isnan(distance):
        return [math.nan, math.nan, math.nan, share, shares[_RANK], current.n, chosen.n, math.nan, null_p]
    if isinstance(old, pd.Series) or isinstance(new, pd.Series):
        p_value, js, wasserstein = _chi_square(old, new), _jensen_shannon_of(*_shares(old, new)), math.nan
    else:
        p_value = float(kolmogorov(distance * math.sqrt(len(old) * len(new) / (len(old) + len(new)))))
        js, wasserstein = _jensen_shannon(old, new), _wasserstein(old, new)
    return [distance, p_value, js, share, shares[_RANK], current.n, chosen.n, wasserstein, null_p]


def _binomial(count: int, n: int, share: float) -> float:
    """Return the exact two-sided binomial p of `count` of `n` at this share (twice the smaller tail)."""
    from scipy.special import bdtr, bdtrc

    if not n or math.isnan(share):
        return math.nan
    # A share of exactly 0 or 1 was estimated from few rows: half a row keeps it from being a certainty.
    share = min(max(share, 0.5 / (n + 1)), 1 - 0.5 / (n + 1))
    lower, upper = float(bdtr(count, n, share)), 1.0 if count == 0 else float(bdtrc(count - 1, n, share))
    return min(1.0, 2 * min(lower, upper))


def _shares(old: "Array | pd.Series", new: "Array | pd.Series") -> tuple[Array, Array]:
    """Return both windows' shares of each category; a column that was a number once has no category in common."""
    series = [part if isinstance(part, pd.Series) else pd.Series({"a number": len(part)}) for part in (old, new)]
    index = series[0].index.union(series[1].index, sort=False)
    counts = [part.reindex(index).fillna(0).to_numpy(dtype="float64") for part in series]
    return counts[0] / max(counts[0].sum(), 1), counts[1] / max(counts[1].sum(), 1)


def _chi_square(old: "Array | pd.Series", new: "Array | pd.Series") -> float:
    """Return the p of Pearson's chi-square, categories of which fewer than five are expected pooled into one."""
    from scipy.special import gammaincc

    sizes = [float(part.sum()) if isinstance(part, pd.Series) else float(len(part)) for part in (old, new)]
    counts = np.array([share * size for share, size in zip(_shares(old, new), sizes, strict=True)])
    expected = counts.sum(axis=0) * np.array(sizes)[:, None] / sum(sizes)
    rare = expected.min(axis=0) < 5
    if rare.any():
        counts = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
        expected = np.column_stack([expected[:, ~rare], expected[:, rare].sum(axis=1)])
    kept = expected.min(axis=0) > 0
    freedom = int(kept.sum()) - 1
    if freedom < 1:
        return 1.0
    statistic = float((((counts - expected) ** 2)[:, kept] / expected[:, kept]).sum())
    return float(gammaincc(freedom / 2, statistic / 2))


def _distance(old: "Array | pd.Series", new: "Array | pd.Series") -> float:
    """Return the Kolmogorov-Smirnov distance of sorted samples, or the largest change of a category's share.

    nan when either side is too small to say anything.
    """
    if isinstance(old, pd.Series) or isinstance(new, pd.Series):
        if min(int(old.sum()), int(new.sum())) < MINIMUM_ROWS:
            return math.nan
        before, after = _shares(old, new)
        return float(np.abs(before - after).max())
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
    return _jensen_shannon_of(shares[0], shares[1])


def _jensen_shannon_of(old: Array, new: Array) -> float:
    middle = (old + new) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = [np.where(share > 0, share * np.log2(share / middle), 0).sum() for share in (old, new)]
    return math.sqrt(max(0.0, float(sum(bits)) / 2))


def _wasserstein(old: Array, new: Array) -> float:
    """Return the mean distance of equal quantiles of two sorted samples, in standard deviations of the first."""
    spread = float(old.std())
    if not spread:
        return math.nan if new.size and (new != old[0]).any() else 0.0
    at = (np.arange(200) + 0.5) / 200
    quantiles = [part[np.minimum((at * len(part)).astype("int64"), len(part) - 1)] for part in (old, new)]
    return float(np.abs(quantiles[0] - quantiles[1]).mean()) / spread


# --- all columns at once ---------------------------------------------------------------------------------------------


def joint_distance(
    old: Array, new: Array, old_entities: npt.ArrayLike, new_entities: npt.ArrayLike, ridge: float = 0.05
) -> float:
    """Return 2 AUC - 1 of a classifier that tells two samples of rows, (n, columns) each, apart; about 0 to 1.

    The classifier is a ridge regression, cross-validated over five folds of entities, on three views of each column:
    its normal score, the square of that, and the square of what the other columns do not explain of it (the residual
    by the precision matrix). The last view is what shows values dealt to the wrong rows while every single column
    stays what it was; on the bundled year it finds them as boosted trees do, at a quarter of the time.
    Negative when the samples cannot be told apart at all.
    """
    values = np.concatenate([old, new])
    target = np.repeat([0.0, 1.0], [len(old), len(new)])
    empty = np.isnan(values)
    middle = np.nanmedian(np.where(empty.all(axis=0), 0.0, values), axis=0)
    filled = np.where(empty, middle, values)
    filled = filled[:, filled.min(axis=0) < filled.max(axis=0)]
    if not filled.shape[1]:
        return 0.0
    scores = ndtri((pd.DataFrame(filled).rank().to_numpy() - 0.5) / len(filled))
    scores = _standard(scores)
    precision = np.linalg.inv(scores.T @ scores / len(scores) + 0.02 * np.eye(scores.shape[1]))
    residual = _standard(scores @ precision)
    nulls = empty[:, empty.any(axis=0)].astype("float64")
    # Cut at three standard deviations: no single customer may decide.
    views = np.concatenate([scores, np.minimum(scores**2, 9), np.minimum(residual**2, 9), nulls], axis=1)
    views = _standard(views)
    keys = np.concatenate([np.asarray(old_entities, dtype=object), np.asarray(new_entities, dtype=object)])
    folds = pd.util.hash_pandas_object(pd.Series(keys).astype(str), index=False).to_numpy() % 5
    centred = target - target.mean()
    gram, cross = views.T @ views, views.T @ centred
    penalty = ridge * len(views) * np.eye(len(gram))
    found = []
    for fold in range(5):
        out = folds == fold
        if not 0 < target[out].sum() < out.sum():
            continue
        weights = np.linalg.solve(gram - views[out].T @ views[out] + penalty, cross - views[out].T @ centred[out])
        found.append((2 * auc(target[out], views[out] @ weights) - 1, int(out.sum())))
    return float(np.average([value for value, _ in found], weights=[n for _, n in found])) if found else math.nan


def _standard(values: Array) -> Array:
    spread = values.std(axis=0)
    return np.asarray((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0), dtype="float64")


def _joint(references: list[pd.DataFrame], current: pd.DataFrame, names: list[str], entity: str) -> list[float]:
    """Return the row of JOINT: the smaller distance of two reference cutoffs, so that one odd week is no alarm."""
    if not references or not names:
        return [math.nan, math.nan, math.nan, 0.0, math.nan, len(current), 0, math.nan, math.nan]
    distances = []
    for old in references:
        if min(len(old), len(current)) < MINIMUM_ROWS:
            continue
        before, after = (part[names].to_numpy(dtype="float64", na_value=np.nan) for part in (old, current))
        distance = joint_distance(before, after, old[entity].to_numpy(), current[entity].to_numpy())
        distances.append((distance, len(old)))
    if not distances:
        return [math.nan, math.nan, math.nan, 0.0, 0.0, len(current), len(references[0]), math.nan, math.nan]
    distance, n = min(distances)
    error = math.sqrt((1 / n + 1 / len(current)) / 3)
    p_value = math.erfc(max(distance, 0.0) / error / math.sqrt(2))
    return [max(distance, 0.0), p_value, math.nan, 0.0, 0.0, len(current), n, math.nan, math.nan]


# --- does it matter? -------------------------------------------------------------------------------------------------


def score_effect(
    predict: Callable[[pd.DataFrame], Array],
    frame: pd.DataFrame,
    cutoff: object,
    columns: Sequence[str],
    groups: pd.Series | None = None,
    past: int = 12,
) -> ScoreEffect:
    """Return what the movement of `columns` at `cutoff` does to the scores of `predict` (rows -> probabilities).

    The movement is undone by giving each value the value of equal rank in the pooled reference cutoffs, within each of
    `groups` (aligned with the frame) when given. The same is done in up to `past` earlier weeks: the bar is their
    median + 6 robust standard deviations (1.4826 median absolute deviations), so that odd weeks among them do not raise
    it, and at least NEGLIGIBLE of the expected log-loss. `frame` holds cutoff_date and all that `predict`
    needs; of more than 20,000 rows a window every k-th is taken.
    """
    dates = cutoff_dates(frame["cutoff_date"])
    stamp = cutoff_dates([cutoff]).iloc[0]
    days = [day for day in sorted(dates.unique()) if day <= stamp]
    rows = {}
    for day in days:
        at = np.flatnonzero((dates == day).to_numpy())
        at = at[:: max(1, math.ceil(len(at) / EFFECT_ROWS))]
        named = (
            None if groups is None else groups.iloc[at].astype(object).where(groups.iloc[at].notna(), "").astype(str)
        )
        rows[day] = (frame.iloc[at], named)
    oldest = (reference_cutoffs(days, stamp) or [stamp])[0]
    natural = [day for day in days if day <= oldest and len(reference_cutoffs(days, day))][-past:]
    effects = np.array([_undo(predict, rows, days, day, columns)[0] for day in natural])
    loss, change, entropy = _undo(predict, rows, days, stamp, columns)
    usual = 0.0
    if len(effects) >= MINIMUM_WINDOWS:
        middle = float(np.median(effects))
        usual = middle + 6 * 1.4826 * float(np.median(np.abs(effects - middle)))
    return ScoreEffect(loss, max(NEGLIGIBLE * entropy, usual), change)


_Rows = tuple[pd.DataFrame, "pd.Series | None"]


def _undo(
    predict: Callable[[pd.DataFrame], Array],
    rows: Mapping[pd.Timestamp, _Rows],
    days: Sequence[pd.Timestamp],
    cutoff: pd.Timestamp,
    columns: Sequence[str],
) -> tuple[float, float, float]:
    """Return loss, change of the mean score and expected log-loss of one cutoff."""
    current, named = rows[cutoff]
    references = [rows[day] for day in reference_cutoffs(days, cutoff)]
    if not references or not len(current):
        return math.nan, math.nan, math.nan
    pooled = pd.concat([part for part, _ in references])
    undone = _mapped_all(current, pooled, columns)
    if named is not None:
        places = pd.concat([place for _, place in references if place is not None])
        parts = []
        for value in named.unique():
            old = pooled[(places == value).to_numpy()]
            # A group without a past is undone as a part of the whole.
            here = (named == value).to_numpy()
            parts.append(_mapped_all(current[here], old, columns) if len(old) >= MINIMUM_ROWS else undone[here])
        undone = pd.concat(parts).reindex(current.index)
    actual, without = (
        np.clip(np.asarray(predict(part), dtype="float64"), 1e-9, 1 - 1e-9) for part in (current, undone)
    )
    loss = without * np.log(without / actual) + (1 - without) * np.log((1 - without) / (1 - actual))
    entropy = -(without * np.log(without) + (1 - without) * np.log(1 - without))
    return float(loss.mean()), float((actual - without).mean()), float(entropy.mean())


def _mapped_all(current: pd.DataFrame, reference: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    return current.assign(**{name: _mapped(current[name], reference[name]) for name in columns})


def _mapped(values: pd.Series, reference: pd.Series) -> pd.Series:
    """Return each value's counterpart of equal rank in the reference; nulls beyond the usual become its median.

    Categories have no rank: those unknown to the reference become its most frequent one.
    """
    if not _is_number(reference) or not _is_number(values):
        known = values.isin(reference.unique()) | values.isna()
        return values.where(known, reference.mode().iloc[0]) if len(reference.mode()) else values
    old = np.sort(reference.to_numpy(dtype="float64", na_value=np.nan))
    old = old[: int((~np.isnan(old)).sum())]
    if not len(old):
        return values
    new = values.to_numpy(dtype="float64", na_value=np.nan)
    ordered = np.sort(new)
    ordered = ordered[: int((~np.isnan(ordered)).sum())]
    # Equal values share the middle of their ranks.
    rank = np.searchsorted(ordered, new, side="left") + np.searchsorted(ordered, new, side="right")
    at = np.minimum((rank / max(2 * len(ordered), 1) * len(old)).astype("int64"), len(old) - 1)
    missing = np.isnan(new)
    mapped = np.where(missing, float(np.median(old)), old[at])
    if missing.any() and missing.mean() - float(reference.isna().mean()) <= NULL_FLOOR:
        mapped = np.where(missing, np.nan, mapped)
    return pd.Series(mapped, index=values.index)


def weigh_drift(
    verdict: DriftVerdict,
    predict: Callable[[pd.DataFrame], Array],
    frame: pd.DataFrame,
    entity: str = "",
    segments: Mapping[str, pd.Series] | None = None,
) -> DriftVerdict:
    """Return a failed verdict as "moved" when undoing the movement would change what the model says as little as usual.

    All columns are undone, not only those over their thresholds, because what moves one amount moves them all; within
    the segmentation that alarmed, if one did (`segments` as for `drift_statistics`; without it such an alarm stays).
    A joint alarm stays one, too, when customers can still be told apart by the columns that did not alarm, undone:
    then values were dealt otherwise, and no movement of a column explains it. Other verdicts come back as they are.
    """
    if verdict.status != "fail":
        return verdict
    names = [name for name in verdict.table["column_name"].unique() if name != JOINT and name in frame.columns]
    groups = None
    if verdict.segments:
        groups = (segments or {}).get(verdict.segments[0].split("=")[0])
        if groups is None:
            return verdict
    effect = score_effect(predict, frame, verdict.cutoff, names, groups)
    weighed = replace(verdict, effect=effect)
    if math.isnan(effect.loss):
        return weighed
    if not effect.harmless:
        return _without_new_customers(weighed, predict, frame, names, entity) if entity and groups is None else weighed
    if JOINT in verdict.columns:
        limit = float(verdict.table.loc[verdict.table["column_name"] == JOINT, "threshold"].iloc[0])
        others = [name for name in names if name not in verdict.columns]
        if not (entity and _joint_undone(frame, verdict.cutoff, others, entity) <= limit):
            return weighed
    moved = [name for name in verdict.columns if name != JOINT]
    sentence = (
        f"{len(moved)} columns moved at {verdict.cutoff}, and nothing that the model says did: "
        f"{', '.join(moved[:5])}{', …' if len(moved) > 5 else ''}. Undoing it would change the expected log-loss "
        f"by {effect.loss:.5f} (natural weeks: to {effect.bar:.5f}) and the mean score by {-effect.score_change:+.4f}."
    )
    return replace(weighed, status="moved", sentence=sentence)


def _without_new_customers(
    verdict: DriftVerdict,
    predict: Callable[[pd.DataFrame], Array],
    frame: pd.DataFrame,
    names: Sequence[str],
    entity: str,
) -> DriftVerdict:
    """Return the verdict as "moved" when only new customers moved it: growth is no drift of those who were there."""
    found = existing_customers(frame, entity, verdict.cutoff, LEAST_WINDOWS)
    if found is None:
        return verdict
    effect = score_effect(predict, found.rows, verdict.cutoff, names)
    if math.isnan(effect.loss) or not effect.harmless:
        return verdict
    sentence = (
        f"{len(verdict.columns)} columns moved at {verdict.cutoff}, by new customers: {found.new_now:.0%} of the "
        f"rows were not there {EXISTING_AFTER_CUTOFFS} windows ago. Among those who were, undoing it would change the "
        f"expected log-loss by {effect.loss:.5f} only (natural weeks: to {effect.bar:.5f})."
    )
    return replace(verdict, status="moved", sentence=sentence, effect=effect)


def _joint_undone(frame: pd.DataFrame, cutoff: object, names: Sequence[str], entity: str) -> float:
    dates, stamp = cutoff_dates(frame["cutoff_date"]), cutoff_dates([cutoff]).iloc[0]
    parts = [
        frame.iloc[_sampled(frame, np.flatnonzero((dates == day).to_numpy()), entity)]
        for day in (*reference_cutoffs(dates[dates <= stamp].unique(), stamp), stamp)
    ]
    numbers = [name for name in names if _is_number(frame[name])]
    undone = _mapped_all(parts[-1], pd.concat(parts[:-1]), numbers)
    return _joint(parts[:-1:2], undone, numbers, entity)[0]


def moved_since(learned: pd.DataFrame, current: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return how far each column is from what the model learned from, largest first; magnitudes, no alarm.

    `learned` holds the rows of the champion's training frame, `current` those of a cutoff. Columns: column_name,
    statistic, js, wasserstein, null_share, learned_null_share, n, learned_n.
    """
    names = list(columns)
    old, new = _Window(learned, names), _Window(current, names)
    rows: list[dict[str, object]] = []
    for at, name in enumerate(names):
        before, after = old.columns[at], new.columns[at]
        row: dict[str, object] = {"column_name": name, "statistic": _distance(before, after)}
        if isinstance(before, pd.Series) or isinstance(after, pd.Series):
            row |= {"js": _jensen_shannon_of(*_shares(before, after)), "wasserstein": math.nan}
        elif len(before) and len(after):
            row |= {"js": _jensen_shannon(before, after), "wasserstein": _wasserstein(before, after)}
        shares = {"null_share": new.null_share(at), "learned_null_share": old.null_share(at)}
        rows.append(row | shares | {"n": new.n, "learned_n": old.n})
    order = ["column_name", "statistic", "js", "wasserstein", "null_share", "learned_null_share", "n", "learned_n"]
    table = pd.DataFrame(rows).reindex(columns=order)
    return table.sort_values("statistic", ascending=False, kind="stable", ignore_index=True)
