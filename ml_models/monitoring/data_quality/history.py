"""The profile of one table as matrices of weeks by series: made once, as every kind of judgement reads it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.monitoring.data_quality.arithmetic import Array
from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable
from ml_models.monitoring.data_quality.thresholds import WEEK


class History:
    """The measures of one table, as matrices of weeks by series; weeks ascend, the last one is the newest."""

    def __init__(self, table: MonitoredTable, weeks: list[date], measures: Mapping[str, "_Rows"]) -> None:
        self.table, self.weeks, self._measures = table, weeks, measures
        self._cache: dict[object, tuple[Array, Array, list[tuple[str, str]]]] = {}
        self._keep: dict[object, object] = {}

    @classmethod
    def of(cls, mine: pd.DataFrame, table: MonitoredTable, cutoff: date) -> "History | None":
        """Take the rows of one asset, with `number`: days from the cutoff (negative)."""
        measure = mine["measure"].astype("category")
        number = mine["number"].to_numpy()
        n = mine["n"].to_numpy(dtype="float64", na_value=0)
        value = mine["value"].to_numpy(dtype="float64", na_value=np.nan)
        # Sorted, so that what is reported does not depend on the order in which a warehouse gives rows.
        column, columns = pd.factorize(mine["column_name"].to_numpy(dtype=object), sort=True)
        key, keys = pd.factorize(mine["value_key"].to_numpy(dtype=object), sort=True)
        if len(key) and key.min() < 0:
            # None is the empty key, which comes before all others.
            key, keys = np.where(key < 0, 0, key + ("" not in keys)), np.unique(np.append("", keys).astype(object))
        order = np.argsort(measure.cat.codes.to_numpy(), kind="stable")
        ends = np.cumsum(np.bincount(measure.cat.codes.to_numpy(), minlength=len(measure.cat.categories)))
        rows = {}
        for name, where in zip(measure.cat.categories, np.split(order, ends[:-1]), strict=True):
            used, codes = np.unique(column[where], return_inverse=True)
            used_keys, key_codes = np.unique(key[where], return_inverse=True)
            rows[str(name)] = _Rows(
                codes.astype("int64"),
                [str(columns[one]) for one in used],
                key_codes.astype("int64"),
                [str(keys[one]) for one in used_keys],
                number[where],
                number[where],
                n[where],
                value[where],
            )
        if "rows" not in rows:
            return None
        present = sorted({int(day) // WEEK for day in rows["rows"].day})
        weeks = [cutoff + timedelta(days=one * WEEK) for one in present]
        place = np.full(present[-1] - present[0] + 1, -1, dtype="int64")
        place[np.array(present) - present[0]] = np.arange(len(present))
        return cls(table, weeks, {name: one.placed(place, present[0]) for name, one in rows.items()})

    def series(
        self, measure: str, wanted: Callable[[str], bool] | None = None, tag: object = None
    ) -> tuple[Array, Array, list[tuple[str, str]]]:
        """Return values and n (weeks x series, nan where not measured) and (column, key) of each series.

        The key of a measure of the whole table tells about it (the most frequent value), and is no identity.
        """
        slot = (measure, tag)
        if slot not in self._cache:
            rows = self._measures.get(measure)
            if rows is None:
                return np.full((len(self.weeks), 0), np.nan), np.zeros((len(self.weeks), 0)), []
            names = rows.column_names
            kept = np.array([wanted is None or wanted(name) for name in names], dtype=bool)
            keyed = np.array([measure == "value_rows" or "@" in name for name in names], dtype=bool)
            inside = kept[rows.column]
            column = rows.column[inside]
            key = np.where(keyed[column], rows.key[inside], 0)
            codes, labels = pd.factorize(column.astype("int64") * (len(rows.keys) + 1) + key, sort=True)
            values = np.full((len(self.weeks), len(labels)), np.nan)
            counts = np.zeros((len(self.weeks), len(labels)))
            # Appended twice by a run that was repeated: the later one counts, as numpy assigns in order.
            values[rows.place[inside], codes] = rows.value[inside]
            counts[rows.place[inside], codes] = rows.n[inside]
            pairs = [divmod(int(label), len(rows.keys) + 1) for label in labels]
            self._cache[slot] = (
                values,
                counts,
                [(names[one], rows.keys[two] if keyed[one] else "") for one, two in pairs],
            )
        return self._cache[slot]

    def one(self, measure: str, column: str = "") -> Array:
        """Return one series of the whole table; nan where not measured."""
        values, _, labels = self.series(measure)
        for place, (name, _) in enumerate(labels):
            if name == column:
                return values[:, place]
        return np.full(len(self.weeks), np.nan)

    def counts(self, measure: str, column: str = "") -> Array:
        """Return the n behind `one`."""
        _, counts, labels = self.series(measure)
        for place, (name, _) in enumerate(labels):
            if name == column:
                return counts[:, place]
        return np.zeros(len(self.weeks))

    def modal(self, column: str, position: int) -> str:
        """Return the most frequent value of a column in a week."""
        rows = self._measures.get("modal_share")
        if rows is None or column not in rows.column_names:
            return ""
        found = np.flatnonzero((rows.column == rows.column_names.index(column)) & (rows.place == position))
        return rows.keys[rows.key[found[-1]]] if len(found) else ""

    def values_of(self, column: str) -> tuple[Array, list[str]]:
        """Return rows by value of a category (weeks x values, 0 where absent)."""
        values, _, labels = self.series("value_rows", lambda name: name == column, column)
        return np.nan_to_num(values), [key for _, key in labels]

    def daily(self, measure: str) -> Array:
        """Return a measure by week and weekday (0: the cutoff's own); 0 where the day has no row at all."""
        slot = ("daily", measure)
        if slot not in self._keep:
            values = np.zeros((len(self.weeks), WEEK))
            rows = self._measures.get(measure)
            if rows is not None:
                values[rows.place, rows.day % WEEK] = rows.value
            self._keep[slot] = values
        return self._keep[slot]  # type: ignore[return-value]

    def hours(self) -> Array:
        """Return rows by week, weekday and hour."""
        if "hours" not in self._keep:
            values = np.zeros((len(self.weeks), WEEK, 24))
            rows = self._measures.get("day_hour_rows")
            if rows is not None:
                hour = np.array([int(float(key)) for key in rows.keys] or [0])[rows.key]
                values[rows.place, rows.day % WEEK, hour] = rows.value
            self._keep["hours"] = values
        return self._keep["hours"]  # type: ignore[return-value]

    def segment_days(self, column: str) -> tuple[Array, list[str]]:
        """Return rows by week, weekday and value of a segment."""
        slot = ("segment_days", column)
        if slot not in self._keep:
            rows = self._measures.get("day_value_rows")
            if rows is None or column not in rows.column_names:
                return np.zeros((len(self.weeks), WEEK, 0)), []
            mine = rows.column == rows.column_names.index(column)
            codes, labels = pd.factorize(rows.key[mine], sort=True)
            values = np.zeros((len(self.weeks), WEEK, len(labels)))
            values[rows.place[mine], rows.day[mine] % WEEK, codes] = rows.value[mine]
            self._keep[slot] = (values, [rows.keys[label] for label in labels])
        return self._keep[slot]  # type: ignore[return-value]

    def again(self, position: int) -> dict[int, float]:
        """Return rows of earlier days as they stood at this week's cutoff: days before the week (negative) -> rows."""
        rows = self._measures.get("again_rows")
        if rows is None:
            return {}
        mine = rows.place == position
        start = self.weeks[position]
        return {
            (date.fromisoformat(rows.keys[key][:10]) - start).days: float(value)
            for key, value in zip(rows.key[mine], rows.value[mine], strict=True)
        }


@dataclass(frozen=True)
class _Rows:
    """The rows of one measure, as codes."""

    column: npt.NDArray[np.int64]
    column_names: list[str]
    key: npt.NDArray[np.int64]
    keys: list[str]
    day: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]
    n: Array
    value: Array

    def placed(self, place: npt.NDArray[np.int64], first: int) -> "_Rows":
        """Return the rows of weeks that were measured, with their week's place."""
        week = self.day // WEEK - first
        inside = (week >= 0) & (week < len(place))
        inside[inside] = place[week[inside]] >= 0
        return replace(
            self,
            column=self.column[inside],
            key=self.key[inside],
            day=self.day[inside],
            place=place[week[inside]],
            n=self.n[inside],
            value=self.value[inside],
        )
