"""Measure how far each column of a cutoff lies from its reference cutoffs: numbers without a judgement.

- *Statistic*: the two-sample Kolmogorov-Smirnov distance between the cutoff's rows and those of a reference cutoff,
  on non-null values; for a category the largest change of a share (L-infinity); null share by difference. The
  Jensen-Shannon and Wasserstein distances tell the magnitude.
- *Reference*: the cutoffs two to five steps back, each compared on its own; the second smallest distance counts
  (`thresholds` says why).
- *Jointly* (JOINT): can a classifier tell this cutoff's customers from a reference's? It sees what no single column
  shows, such as values dealt to the wrong customers.
- *Segments*: the same within each value of a slice.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.monitoring.drift.distances import (
    Column,
    binomial_p,
    distance,
    distance_p,
    jensen_shannon,
    joint_distance,
    wasserstein,
)
from ml_models.monitoring.drift.thresholds import MINIMUM_ROWS, REFERENCE_RANK, REFERENCE_STEPS, ROW_LIMIT

JOINT = "all columns jointly"
"""The `column_name` of the row that compares all columns at once."""


class Comparison(NamedTuple):
    """One column's statistics against its reference window, named as in STATISTICS_COLUMNS; nan: cannot be said."""

    null_share: float
    n: int
    statistic: float = math.nan
    p_value: float = math.nan
    js: float = math.nan
    reference_null_share: float = math.nan
    reference_n: int = 0
    wasserstein: float = math.nan
    null_p_value: float = math.nan


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
    Kolmogorov-Smirnov, everything else as categories.

    - `statistic`: the second smallest distance (0 to 1) to the reference cutoffs.
    - `p_value`: its asymptotic p (Kolmogorov; chi-square for categories, pooled where fewer than five are expected).
      The same customers stand on both sides, so it only indicates.
    - `js`, `wasserstein`: Jensen-Shannon distance in bits^½ (0 to 1) and mean move in standard deviations, to the same
      reference cutoff.
    - `n`, `reference_n`: rows of the cutoff and of that reference cutoff, nulls included.
    - `null_share`, `reference_null_share`: of the cutoff, and the second closest of the reference cutoffs' shares.
    - `null_p_value`: the exact binomial p of the nulls under the references' mean share.

    With `entity` (its column), a row JOINT is added a cutoff: see `joint_distance`. With `segments` (name -> values
    aligned with the frame, null: none), each column is measured within each value as well, `segment` = "name=value".
    Windows of more than 100,000 rows are sampled by a hash of the entity, or of the row's position without one.
    Raises ValueError when a column is missing.
    """
    dates = cutoff_dates(frame["cutoff_date"])
    missing = [name for name in (*columns, *([entity] if entity else [])) if name not in frame.columns]
    if missing:
        raise ValueError(
            f"Expected {len(columns)} columns to compare, but {', '.join(missing)} is missing in the frame; "
            "measure the columns that the feature frame holds."
        )
    present = list(dates.unique())
    asked = sorted(cutoff_dates(cutoffs).unique())
    references = {stamp: reference_cutoffs(present, stamp) for stamp in asked}
    needed = {*asked, *(day for days in references.values() for day in days)}
    parts = {stamp: sampled(frame, np.flatnonzero((dates == stamp).to_numpy()), entity) for stamp in needed}
    names = list(columns)
    windows = {stamp: _Window(frame.iloc[at], names) for stamp, at in parts.items()}
    rows: list[list[object]] = []
    for stamp in asked:
        olds = [windows[day] for day in references[stamp]]
        rows += [_row(stamp, name, _compare(olds, windows[stamp], at)) for at, name in enumerate(names)]
    if entity and len(names) > 1:
        numbers = [name for name in names if is_number(frame[name])]
        for stamp in asked:
            sides = [frame.iloc[parts[day]] for day in references[stamp][:: 2 if len(references[stamp]) > 2 else 1]]
            rows.append(_row(stamp, JOINT, compare_jointly(sides, frame.iloc[parts[stamp]], numbers, entity)))
    for segment, named in (segments or {}).items():
        values = named.to_numpy(dtype=object)
        for value in sorted({str(one) for one in values if one is not None and one == one}):
            inside = np.array([str(one) == value for one in values])
            cut = {stamp: _Window(frame.iloc[at[inside[at]]], names) for stamp, at in parts.items()}
            for stamp in asked:
                olds = [cut[day] for day in references[stamp]]
                where = f"{segment}={value}"
                rows += [_row(stamp, name, _compare(olds, cut[stamp], at), where) for at, name in enumerate(names)]
    result = pd.DataFrame(rows, columns=STATISTICS_COLUMNS)
    return result.astype({"n": "int64", "reference_n": "int64", "cutoff_date": "datetime64[us]"})


def _row(cutoff: pd.Timestamp, column: str, found: Comparison, segment: str = "") -> list[object]:
    return [cutoff, column, *(getattr(found, name) for name in STATISTICS_COLUMNS[2:-1]), segment]


def sampled(frame: pd.DataFrame, positions: npt.NDArray[np.int64], entity: str) -> npt.NDArray[np.int64]:
    """Return the positions, or about ROW_LIMIT of them: the same customers every week."""
    if len(positions) <= ROW_LIMIT:
        return positions
    keys = frame[entity].iloc[positions].astype(str) if entity else pd.Series(np.arange(len(positions)))
    hashed = pd.util.hash_pandas_object(keys, index=False).to_numpy()
    return np.asarray(positions[hashed <= np.uint64(int(ROW_LIMIT / len(positions) * (2**64 - 1)))])


def is_number(values: pd.Series) -> bool:
    """Return whether a column is compared as numbers; booleans are, everything else is a category."""
    return bool(pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values))


class _Window:
    """The rows of one cutoff: each number column sorted, nulls cut off; each category's counts."""

    def __init__(self, rows: pd.DataFrame, names: Sequence[str]) -> None:
        self.n = len(rows)
        numbers = [name for name in names if is_number(rows[name])]
        ordered = np.sort(rows[numbers].to_numpy(dtype="float64", na_value=np.nan), axis=0)  # nulls last
        present = (~np.isnan(ordered)).sum(axis=0)
        sorted_values = {name: ordered[: present[at], at] for at, name in enumerate(numbers)}
        self.columns: list[Column] = [
            sorted_values[name] if name in sorted_values else rows[name].astype(object).value_counts() for name in names
        ]

    def present(self, position: int) -> int:
        """Return how many rows hold a value."""
        column = self.columns[position]
        return int(column.sum()) if isinstance(column, pd.Series) else len(column)

    def null_share(self, position: int) -> float:
        return 1 - self.present(position) / self.n if self.n else math.nan


def _compare(references: list[_Window], current: _Window, position: int) -> Comparison:
    """Compare one column with each reference; the one of REFERENCE_RANK counts."""
    share = current.null_share(position)
    if not references:
        return Comparison(share, current.n)
    new = current.columns[position]
    shares = sorted((window.null_share(position) for window in references), key=lambda other: abs(other - share))
    null_p = binomial_p(current.n - current.present(position), current.n, float(np.mean(shares)))
    distances = sorted(
        ((distance(window.columns[position], new), number) for number, window in enumerate(references)),
        key=lambda pair: (math.isnan(pair[0]), pair),  # unknown distances last
    )
    statistic, number = distances[REFERENCE_RANK]
    chosen = references[number]
    found = Comparison(
        share, current.n, reference_null_share=shares[REFERENCE_RANK], reference_n=chosen.n, null_p_value=null_p
    )
    if math.isnan(statistic):
        return found
    old = chosen.columns[position]
    move = math.nan if isinstance(old, pd.Series) or isinstance(new, pd.Series) else wasserstein(old, new)
    return found._replace(
        statistic=statistic, p_value=distance_p(old, new, statistic), js=jensen_shannon(old, new), wasserstein=move
    )


def compare_jointly(references: list[pd.DataFrame], current: pd.DataFrame, names: list[str], entity: str) -> Comparison:
    """Compare all columns at once; the smaller distance of two reference cutoffs counts: one odd week is no alarm."""
    if not references or not names:
        return Comparison(0.0, len(current))
    distances = []
    for old in references:
        if min(len(old), len(current)) < MINIMUM_ROWS:
            continue
        before, after = (part[names].to_numpy(dtype="float64", na_value=np.nan) for part in (old, current))
        joint = joint_distance(before, after, old[entity].to_numpy(), current[entity].to_numpy())
        distances.append((joint, len(old)))
    if not distances:
        return Comparison(0.0, len(current), reference_null_share=0.0, reference_n=len(references[0]))
    joint, n = min(distances)
    # A Gini coefficient's standard error when both sides are alike.
    error = math.sqrt((1 / n + 1 / len(current)) / 3)
    p_value = math.erfc(max(joint, 0.0) / error / math.sqrt(2))
    return Comparison(0.0, len(current), max(joint, 0.0), p_value, reference_null_share=0.0, reference_n=n)
