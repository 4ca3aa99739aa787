"""Is what arrived right? Facts from the profile of each watched asset, judged against its own healthy past.

*Threshold.* A measure is compared with the median of its last eight healthy windows; it is violated beyond 4 standard
deviations of its last 26 healthy windows (at least six), and never below a floor. The floor is what chance shows with
this many rows, and what no one would act on. Weeks in which an asset has a fact are no example of what is natural: a
lasting fault does not become normal, and the return from it is no change.

*Structure.* A feed breaks along its own dimensions: stores, hours, days, columns, products, lines within baskets.
Customers who shop less, quit or change their rhythm break along customers. So the number of rows alone is a fact only
beyond a factor of two; its structure is a fact much earlier: many segments silent at once while the others go on, hours
that are empty, a day that is missing and was not made up for on the days around it, baskets that lost lines, known
customers who vanished while those present go on as before.

*Segments.* Each measure is taken within each value of a segment. With many values some are odd every week, so what
counts is the mass of rows in odd values, against the mass that was odd in healthy weeks.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.judgement.evidence import Alteration, Fact, FactKind
from ml_models.judgement.measures import BLOCKS, SEGMENT_ROWS, WEEK, WatchedTable, kind_of

Status = Literal["pass", "fail", "insufficient evidence"]
Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

DEVIATIONS = 4.0
MINIMUM_WINDOWS = 6
HISTORY, RECENT = 26, 8
# Twenty-six healthy weeks, some that were bad, and the twelve that identities look back.
KEPT_WEEKS = 40
# Rows below which a week's shares and sizes say nothing.
MINIMUM_ROWS = 200
# Rows of one customer resemble each other: shares scatter as if there were a third of the rows.
DESIGN_EFFECT = 3.0
# What is bought together resembles itself even more.
CLUSTER = 7.0

# How a measure is compared: "share" by difference, "log" by ratio (see _scaled); the least difference that counts; and
# which side is wrong. Floors of ratios lie above what prices, seasons and promotions do in a week.
Rule = tuple[FactKind, Literal["share", "log"], float, Literal["up", "down", "both"]]
RULES: Mapping[str, Rule] = {
    "null_share": ("nulls", "share", 0.01, "both"),
    "orphan_share": ("orphans", "share", 0.004, "up"),
    "modal_share": ("stuck", "share", 0.1, "up"),
    "distinct": ("stuck", "log", math.log(2), "down"),
    "negative_share": ("range", "share", 0.004, "both"),
    "zero_share": ("range", "share", 0.1, "both"),
    "fraction_share": ("range", "share", 0.1, "down"),
    "mean": ("range", "log", math.log(1.5), "both"),
    "p25": ("range", "log", math.log(1.5), "both"),
    "p50": ("range", "log", math.log(1.5), "both"),
    "p75": ("range", "log", math.log(1.5), "both"),
    "p95": ("range", "log", math.log(1.6), "both"),
    "p99": ("range", "log", math.log(3), "both"),
    "max": ("range", "log", math.log(20), "up"),
    "rows_per_group": ("volume", "log", 0.2, "both"),
    "duplicate_share": ("keys", "share", 0.001, "up"),
    "null_key_share": ("keys", "share", 0.001, "up"),
    "twin_share": ("replay", "share", 0.005, "up"),
    "replayed_share": ("replay", "share", 0.02, "up"),
}
STILL = 0.6
SIZES = ("mean", "p25", "p50", "p75", "p95", "p99", "max")
# Within segments: what a single value must deviate by.
SEGMENT_RULES: Mapping[str, Rule] = {
    "null_share": ("nulls", "share", 0.05, "both"),
    "modal_share": ("stuck", "share", 0.2, "up"),
    "negative_share": ("range", "share", 0.05, "both"),
    "size": ("range", "log", 0.2, "both"),
    "rows_per_group": ("volume", "log", 0.3, "down"),
    "hour_mean": ("hours", "share", 2.0, "both"),
}
# Of a table that is replaced as a whole.
SNAPSHOT_RULES: Mapping[str, Rule] = {
    **{name: RULES[name] for name in ("null_share", "negative_share", "mean", "p50", "orphan_share")},
    "duplicate_share": RULES["duplicate_share"],
    "null_key_share": RULES["null_key_share"],
    "distinct": RULES["distinct"],
    "rows": ("volume", "log", 0.1, "down"),
}
SEGMENT_DEVIATIONS = 2.5
SEGMENT_MASS = 0.08
OUTAGE_VALUES = 3
SILENT_MASS = 0.06
HOURS_FLOOR = 0.08
SILENT_HOURS = 0.08
VALUES_MOVED = 0.05
OVERLAP_FLOOR = 0.06
# The share of what a day lacks that the days before it must have sold more than usual.
MADE_UP = 0.65

TABLE_COLUMNS = [
    "asset",
    "kind",
    "column_name",
    "segment_column",
    "measure",
    "observed",
    "expected",
    "threshold",
    "n",
    "violated",
]


@dataclass(frozen=True)
class QualityVerdict:
    """The judgement on one cutoff.

    `facts`: what fails now, gravest first. `table`: one row a judged measure of the whole table and one a finding in
    segments (TABLE_COLUMNS). `bad_weeks`: asset -> first day of each week that had a fact -> the kinds; hand it to next
    week's judgement, or the past is judged again.
    """

    status: Status
    cutoff: date
    facts: tuple[Fact, ...]
    table: pd.DataFrame
    sentence: str
    bad_weeks: Mapping[str, Mapping[date, tuple[str, ...]]] = field(default_factory=dict)


BadWeeks = Mapping[str, Mapping[date, tuple[str, ...]]]


def judge_quality(
    profile: pd.DataFrame,
    tables: Sequence[WatchedTable],
    cutoff: date,
    bad_weeks: BadWeeks | None = None,
    closed_days: Collection[date] = (),
) -> QualityVerdict:
    """Judge the week before `cutoff` by the measures (MEASURE_COLUMNS) of all weeks up to it; later ones are ignored.

    `bad_weeks` is what the verdict of a week ago carried; without it the weeks of the past are judged first, one by
    one. On `closed_days`, if the business knows them, rows may be missing. Says "insufficient evidence" when no table
    has six healthy weeks before this one, or none was measured in this week.
    """
    start = cutoff - timedelta(days=WEEK)
    histories = []
    days = pd.to_datetime(profile["period_start"]).to_numpy().astype("datetime64[D]")
    number = (days - np.datetime64(cutoff)).astype("int64")
    inside = (number < 0) & (number >= -WEEK * KEPT_WEEKS)
    recent = profile[inside].assign(number=number[inside])
    by_asset = dict(list(recent.groupby("asset", observed=True, sort=False)))
    for table in tables:
        mine = by_asset.get(table.asset)
        history = _History.of(mine, table, cutoff) if mine is not None else None
        if history is not None:
            histories.append(history)
    known: dict[str, dict[date, tuple[str, ...]]] = {asset: dict(weeks) for asset, weeks in (bad_weeks or {}).items()}
    for history in histories:
        asset = history.table.asset
        if bad_weeks is None:
            for position in range(MINIMUM_WINDOWS, len(history.weeks) - 1):
                found = _judge(history, position, known.setdefault(asset, {}), None, closed_days)
                if found:
                    known[asset][history.weeks[position]] = tuple(
                        dict.fromkeys(f"{one.kind}:{one.column}" for one in found)
                    )
    rows: list[list[object]] = []
    facts: list[Fact] = []
    judged = 0
    for history in histories:
        if history.weeks[-1] != start or len(history.weeks) <= MINIMUM_WINDOWS:
            continue
        judged += 1
        asset = history.table.asset
        found = _judge(history, len(history.weeks) - 1, known.setdefault(asset, {}), rows, closed_days)
        if found:
            known[asset][start] = tuple(dict.fromkeys(f"{one.kind}:{one.column}" for one in found))
        facts += found
    table_ = pd.DataFrame(rows, columns=TABLE_COLUMNS)
    if not judged:
        sentence = (
            f"Quality at {cutoff} cannot be judged yet: no table was measured in the week before and in at least "
            f"{MINIMUM_WINDOWS} weeks before that."
        )
        return QualityVerdict("insufficient evidence", cutoff, (), table_, sentence, known)
    if facts:
        kinds = ", ".join(dict.fromkeys(f"{one.asset}: {one.kind}" for one in facts))
        sentence = f"{len(facts)} faults in what arrived before {cutoff} ({kinds}). First: {facts[0].sentence}"
        return QualityVerdict("fail", cutoff, tuple(facts), table_, sentence, known)
    sentence = f"What arrived before {cutoff} is sound: {judged} tables, {len(table_)} measures within their own past."
    return QualityVerdict("pass", cutoff, (), table_, sentence, known)


class _History:
    """The measures of one table, as matrices of weeks by series; weeks ascend, the last one is the newest."""

    def __init__(self, table: WatchedTable, weeks: list[date], measures: Mapping[str, "_Rows"]) -> None:
        self.table, self.weeks, self._measures = table, weeks, measures
        self._cache: dict[object, tuple[Array, Array, list[tuple[str, str]]]] = {}
        self._keep: dict[object, object] = {}

    @classmethod
    def of(cls, mine: pd.DataFrame, table: WatchedTable, cutoff: date) -> "_History | None":
        """Take the rows of one asset, with `number`: days from the cutoff (negative)."""
        measure = mine["measure"].astype("category")
        number = mine["number"].to_numpy()
        rows = {
            str(name): _Rows.of(mine, np.flatnonzero(measure.cat.codes.to_numpy() == code), number)
            for code, name in enumerate(measure.cat.categories)
        }
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
            codes, labels = pd.factorize(column.astype("int64") * (len(rows.keys) + 1) + key)
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
            codes, labels = pd.factorize(rows.key[mine])
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

    @classmethod
    def of(cls, frame: pd.DataFrame, where: npt.NDArray[np.int64], number: npt.NDArray[np.int64]) -> "_Rows":
        column, names = pd.factorize(frame["column_name"].to_numpy(dtype=object)[where])
        text = frame["value_key"].to_numpy(dtype=object)[where]
        key, keys = pd.factorize(np.where(pd.isna(text), "", text))
        return cls(
            column.astype("int64"),
            [str(name) for name in names],
            key.astype("int64"),
            [str(one) for one in keys],
            number[where],
            number[where],
            frame["n"].to_numpy(dtype="float64", na_value=0)[where],
            frame["value"].to_numpy(dtype="float64", na_value=np.nan)[where],
        )

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


@dataclass
class _Window:
    """One week of one table under judgement: the week itself, and which weeks before it were healthy."""

    history: _History
    position: int
    healthy: npt.NDArray[np.int64]
    bad: Mapping[date, tuple[str, ...]]
    rows: list[list[object]] | None
    closed_days: Collection[date] = ()
    facts: list[Fact] = field(default_factory=list)

    @property
    def table(self) -> WatchedTable:
        return self.history.table

    @property
    def start(self) -> date:
        return self.history.weeks[self.position]

    @property
    def end(self) -> date:
        return self.start + timedelta(days=WEEK - 1)

    def since(self, kind: str, column: str = "") -> date:
        """Return the first day of the weeks in a row that had a fact of this kind and column, this one included."""
        start = self.start
        while f"{kind}:{column}" in self.bad.get(start - timedelta(days=WEEK), ()):
            start -= timedelta(days=WEEK)
        return start

    def compare(
        self, values: Array, floor: Array | float, deviations: float = DEVIATIONS
    ) -> tuple[Array, Array, Array]:
        """Compare this week's values with the healthy past; return difference, centre, limit (nan: cannot be judged).

        `values` is weeks x series, on a scale where differences mean the same everywhere.
        """
        past = values[self.healthy]
        count = (~np.isnan(past)).sum(axis=0)
        recent = past[-RECENT:]
        known = count >= MINIMUM_WINDOWS
        with np.errstate(invalid="ignore", divide="ignore"):
            centre = np.full(values.shape[1:], np.nan)
            spread = np.full(values.shape[1:], np.nan)
            if known.any():
                few = (~np.isnan(recent)).sum(axis=0) == 0
                filled = np.where(few[None], past[-1:], recent) if few.any() else recent
                centre = np.where(known, _nanmedian(filled), np.nan)
                mean = np.nansum(past, axis=0) / np.maximum(count, 1)
                squares = np.nansum((past - mean) ** 2, axis=0) / np.maximum(count - 1, 1)
                spread = np.sqrt(squares)
            # Few windows know their own spread badly.
            limit = np.maximum(deviations * spread * (1 + 2 / np.maximum(count, 1)), floor)
            return values[self.position] - centre, centre, np.where(known, limit, np.nan)

    def goes_on(self, kind: str, column: str) -> float:
        """Return what a limit is multiplied by: less than 1 where the week before had this fact.

        What was wrong a week ago needs less to be still wrong, or a fault at the limit would flicker.
        """
        return STILL if f"{kind}:{column}" in self.bad.get(self.start - timedelta(days=WEEK), ()) else 1.0

    def spoilt(self, column: str) -> bool:
        """Whether the column's own values are wrong this week, so that nothing can be told by them."""
        return any(one.column == column and one.kind in ("nulls", "stuck", "categories", "ids") for one in self.facts)

    def drop_losses(self) -> None:
        """Take back facts of rows lost by the table as a whole, when it is known which segments lost them."""
        self.facts[:] = [
            one
            for one in self.facts
            if one.kind != "volume" or one.segment_values or one.column or one.observed > one.expected
        ]

    def note(self, *row: object) -> None:
        if self.rows is not None:
            self.rows.append([self.table.asset, *row])

    def add(self, fact: Fact) -> None:
        self.facts.append(fact)

    def fact(
        self,
        kind: FactKind,
        column: str,
        sentence: str,
        observed: float,
        expected: float,
        threshold: float,
        n: float,
        *,
        rate: float = 1.0,
        segment: str = "",
        values: Iterable[str] = (),
        first: date | None = None,
        last: date | None = None,
        operation: str = "",
        value: object = None,
        where: str = "",
        per: str = "",
        target: str | None = None,
    ) -> None:
        """Add a fact; `operation` "" cannot be re-enacted. `rate` is capped to what an alteration can say."""
        segment_values = tuple(values)
        begin = first or self.since(kind, column)
        replay = None
        if operation:
            clause = where or (_among(segment, segment_values) if segment_values else "")
            replay = Alteration(
                table=self.table.asset,
                operation=operation,
                column=column if target is None else target,
                where=clause,
                rate=float(min(max(rate, 0.0), 1.0)),
                per=per,
                first_day=begin,
                last_day=last or self.end,
                value=value,
            )
        self.add(
            Fact(
                kind=kind,
                asset=self.table.asset,
                column=column,
                observed=float(observed),
                expected=float(expected),
                threshold=float(threshold),
                n=int(n),
                sentence=sentence,
                first_day=begin,
                last_day=last or self.end,
                segment_column=segment if segment_values else "",
                segment_values=segment_values,
                rate=float(min(max(rate, 0.0), 1.0)),
                replay=replay,
            )
        )


def _judge(
    history: _History,
    position: int,
    bad: Mapping[date, tuple[str, ...]],
    rows: list[list[object]] | None,
    closed_days: Collection[date] = (),
) -> list[Fact]:
    """Return the facts of one week of one table."""
    healthy = np.array(
        [place for place in range(position) if history.weeks[place] not in bad][-HISTORY:], dtype="int64"
    )
    if len(healthy) < MINIMUM_WINDOWS:
        return []
    window = _Window(history, position, healthy, bad, rows, closed_days)
    if not history.table.time_sql:
        _scalars(window, SNAPSHOT_RULES)
        _categories(window)
        return _ordered(window.facts)
    rows_now = history.one("rows")[position]
    if history.table.of:
        if rows_now >= MINIMUM_ROWS:
            _scalars(window, {name: RULES[name] for name in ("null_share", "modal_share", "distinct")})
            _categories(window)
        return _ordered(window.facts)
    _volume(window)
    _past_days(window)
    if rows_now >= MINIMUM_ROWS:
        _scalars(window, RULES)
        _hours(window)
        _categories(window)
        _silent(window)
        _uneven(window)
        _segments(window)
        _entities(window)
    return _ordered(window.facts)


GRAVITY: Sequence[FactKind] = (
    "schema", "keys", "stale", "replay", "volume", "hours", "ids", "range", "nulls", "stuck", "categories", "orphans",
    "future", "labels",
)  # fmt: skip


def _ordered(facts: list[Fact]) -> list[Fact]:
    return sorted(facts, key=lambda one: (GRAVITY.index(one.kind), -one.rate))


def _scaled(values: Array, reference: float) -> Array:
    """Return values on a scale where equal steps are equal ratios, also around zero and below it.

    asinh(x / s) is log(2x / s) for x >> s; s is a twentieth of the column's usual mean.
    """
    return np.arcsinh(values / max(abs(reference) / 20, 1e-9))


def _scale_of(window: _Window, column: str) -> float:
    mean = window.history.one("mean", column)[window.healthy]
    return float(np.nanmedian(np.abs(mean))) if np.isfinite(mean).any() else 1.0


def _share_floor(floor: float, centre: Array, count: Array, quiet: Array) -> Array:
    """Return the least difference of a share that counts: beyond chance; what never happened before counts earlier."""
    with np.errstate(invalid="ignore", divide="ignore"):
        safe = np.clip(centre, 1 / np.maximum(count, 1), 0.5)
        chance = DEVIATIONS * np.sqrt(DESIGN_EFFECT * safe * (1 - safe) / np.maximum(count, 1))
    return np.where(quiet, np.maximum(floor / 4, 5 / np.maximum(count, 1)), np.maximum(floor, chance))


def _wrong(difference: Array, limit: Array, side: str) -> Mask:
    with np.errstate(invalid="ignore"):
        up, down = difference > limit, difference < -limit
    return up if side == "up" else down if side == "down" else up | down


# --- the whole table -------------------------------------------------------------------------------------------------


def _scalars(window: _Window, rules: Mapping[str, Rule]) -> None:
    """Judge each column's measures of the whole table; one fact a column and kind, the clearest."""
    found: dict[tuple[str, FactKind], list[tuple[float, str, float, float, float, float, float]]] = {}
    for measure, (kind, scale, floor, side) in rules.items():
        values, counts, labels = window.history.series(measure, lambda name: "@" not in name, "whole")
        if not labels:
            continue
        if scale == "log":
            reference = np.array([_scale_of(window, name) for name, _ in labels])
            if measure in ("distinct", "rows_per_group", "rows"):
                with np.errstate(divide="ignore"):
                    compared = np.log(np.maximum(values, 0.5))
            else:
                compared = np.column_stack([_scaled(values[:, i], reference[i]) for i in range(len(labels))])
            least: Array = np.full(len(labels), floor)
        else:
            compared = values
            past = values[window.healthy]
            centre = _nanmedian(past)
            quiet = np.nanmax(np.where(np.isnan(past), 0, past), axis=0) <= 0
            least = _share_floor(floor, centre, counts[window.position], quiet)
        difference, centre, limit = window.compare(compared, least)
        if measure == "distinct" and window.table.time_sql:
            # Fewer rows hold fewer values.
            fall, _, _ = window.compare(np.log(np.maximum(window.history.one("rows")[:, None], 0.5)), 0.0)
            difference = difference + max(0.0, -float(np.nan_to_num(fall[0])))
        limit = limit * np.array([window.goes_on(kind, name) for name, _ in labels])
        wrong = _wrong(difference, limit, side)
        enough = counts[window.position] >= (MINIMUM_ROWS if measure != "rows" else 0)
        if measure in ("null_share", "null_key_share", "duplicate_share"):
            enough = counts[window.position] >= min(MINIMUM_ROWS, 20 if not window.table.time_sql else MINIMUM_ROWS)
        for place, (column, _) in enumerate(labels):
            if not enough[place] or np.isnan(limit[place]):
                continue
            past = values[window.healthy, place]
            expected = float(np.nanmedian(past[-RECENT:])) if np.isfinite(past[-RECENT:]).any() else float("nan")
            observed = float(values[window.position, place])
            window.note(
                kind,
                column,
                "",
                measure,
                observed,
                expected,
                float(limit[place]),
                int(counts[window.position, place]),
                bool(wrong[place]),
            )
            if wrong[place]:
                excess = abs(difference[place]) / max(limit[place], 1e-12)
                found.setdefault((column, kind), []).append(
                    (
                        excess,
                        measure,
                        observed,
                        expected,
                        float(limit[place]),
                        counts[window.position, place],
                        float(difference[place]),
                    )
                )
    for (column, kind), hits in found.items():
        sizes = [hit for hit in hits if hit[1] in SIZES]
        if kind == "range" and len(sizes) == len(hits) and not _agree(sizes):
            continue
        _scalar_fact(window, column, kind, sorted(hits, reverse=True))


def _agree(sizes: Sequence[tuple[float, str, float, float, float, float, float]]) -> bool:
    """Whether two measures of size moved to one side: one quantile alone may sit between two crowds of values."""
    return max(sum(hit[6] > 0 for hit in sizes), sum(hit[6] < 0 for hit in sizes)) >= 2


def _scalar_fact(
    window: _Window, column: str, kind: FactKind, hits: list[tuple[float, str, float, float, float, float, float]]
) -> None:
    _, measure, observed, expected, limit, n, difference = hits[0]
    asset, table = window.table.asset, window.table
    measures = {name: (seen, usual) for _, name, seen, usual, *_ in hits}
    common = (observed, expected, limit, n)
    days = (
        f"from {window.since(kind, column)} to {window.end}"
        if table.time_sql
        else f"as delivered before {window.end + timedelta(days=1)}"
    )
    if kind == "nulls":
        rate = (observed - expected) / max(1 - expected, 1e-9)
        sentence = f"{observed:.1%} of {asset}.{column} is null {days}, usually {expected:.1%}."
        window.fact("nulls", column, sentence, *common, rate=max(rate, 0), operation="null" if rate > 0 else "")
    elif kind == "orphans":
        rate = (observed - expected) / max(1 - expected, 1e-9)
        sentence = (
            f"{observed:.2%} of {asset}.{column} have no partner in the table they refer to "
            f"{days}, usually {expected:.2%}."
        )
        window.fact(
            "orphans",
            column,
            sentence,
            *common,
            rate=rate,
            operation="map_values",
            value="unknown {}" if kind_of(table.columns[column]) == "text" else None,
        ) if kind_of(table.columns[column]) == "text" else window.fact(
            "orphans", column, sentence, *common, rate=rate, operation="rekey", per=""
        )
    elif kind == "stuck" and measure == "modal_share":
        value = window.history.modal(column, window.position)
        rate = (observed - expected) / max(1 - expected, 1e-9)
        sentence = (
            f"{observed:.1%} of {asset}.{column} is {value} {days}; the most frequent value "
            f"usually holds {expected:.1%}."
        )
        window.fact(
            "stuck", column, sentence, *common, rate=rate, operation="set", value=_typed(value, table.columns[column])
        )
    elif kind == "stuck":
        sentence = f"{asset}.{column} has {observed:.0f} different values {days}, usually {expected:.0f}."
        window.fact("stuck", column, sentence, *common, operation="")
    elif kind == "range" and ("negative_share" in measures):
        seen, usual = measures["negative_share"]
        rate = abs(seen - usual)
        sentence = f"{seen:.1%} of {asset}.{column} is negative {days}, usually {usual:.1%}."
        window.fact("range", column, sentence, seen, usual, limit, n, rate=rate, operation="negate")
    elif kind == "range":
        _scale_fact(window, column, hits, days)
    elif kind == "volume" and measure == "rows":
        sentence = f"{asset} holds {observed:,.0f} rows {days}, {expected:,.0f} before."
        window.fact("volume", "", sentence, *common, rate=1 - observed / max(expected, 1), operation="drop", target="")
    elif kind == "volume":
        ratio = observed / max(expected, 1e-9)
        what = "lost" if ratio < 1 else "gained"
        sentence = f"Groups of {asset} ({column}) {what} rows: {observed:.1f} rows each {days}, usually {expected:.1f}."
        if ratio < 1:
            window.fact("volume", column, sentence, *common, rate=1 - ratio, operation="drop", target="")
        else:
            window.fact("volume", column, sentence, *common, rate=min(ratio - 1, 1), operation="duplicate", target="")
    elif kind == "keys" and measure == "null_key_share":
        sentence = f"{observed:.1%} of the rows of {asset} have no key ({column}) {days}, usually {expected:.1%}."
        window.fact("keys", column, sentence, *common, rate=observed, operation="")
    elif kind == "keys":
        sentence = f"{observed:.1%} of the rows of {asset} repeat a key ({column}) {days}, usually {expected:.1%}."
        window.fact(
            "keys",
            column,
            sentence,
            *common,
            rate=min(observed / max(1 - observed, 1e-9), 1),
            operation="duplicate",
            target="",
        )
    elif kind == "replay" and measure == "twin_share":
        sentence = (
            f"{observed:.1%} of the rows of {asset} equal another row in all but the key "
            f"{table.group} {days}, usually {expected:.1%}."
        )
        window.fact(
            "replay",
            table.group,
            sentence,
            *common,
            rate=min(observed / max(1 - observed, 1e-9), 1),
            operation="duplicate",
        )
    else:
        history, position = window.history, window.position
        lag = history.one("replayed_lag", table.group)[position]
        again = round(float(lag)) if np.isfinite(lag) else 0
        sentence = (
            f"{observed:.0%} of the {table.group}s of {asset} {days} repeat the content of others"
            f"{f', {again} days older' if again else ' of the same day'}, under new keys; usually {expected:.1%}."
        )
        if again:
            first = window.start
            window.fact(
                "replay",
                table.group,
                sentence,
                *common,
                rate=observed,
                first=first,
                operation="replay_days",
                value={"days": again, "shift": again},
            )
        else:
            window.fact(
                "replay",
                table.group,
                sentence,
                *common,
                rate=min(observed / max(1 - observed, 1e-9), 1),
                operation="duplicate",
            )
    del difference


def _scale_fact(
    window: _Window, column: str, hits: list[tuple[float, str, float, float, float, float, float]], days: str
) -> None:
    """Tell a change of all values (a unit) from one of a few (a share of the rows), by which quantiles moved alike."""
    asset = window.table.asset
    measures = {name: (seen, usual) for _, name, seen, usual, *_ in hits}
    _, measure, observed, expected, limit, n, _ = hits[0]
    ratios = {name: seen / usual for name, (seen, usual) in measures.items() if usual > 0 and seen > 0}
    middle = [ratios[name] for name in ("p25", "p50", "p75") if name in ratios]
    if measure in ("zero_share", "fraction_share") and not middle:
        word = "zero" if measure == "zero_share" else "not whole"
        sentence = f"{observed:.1%} of {asset}.{column} is {word} {days}, usually {expected:.1%}."
        rate = (observed - expected) / max(1 - expected, 1e-9)
        if measure == "zero_share" and rate > 0:
            window.fact("range", column, sentence, observed, expected, limit, n, rate=rate, operation="set", value=0)
        else:
            window.fact("range", column, sentence, observed, expected, limit, n, rate=abs(rate), operation="")
        return
    sentence = (
        f"{asset}.{column} left its range {days}: "
        + "; ".join(f"{name} {seen:,.4g}, usually {usual:,.4g}" for name, (seen, usual) in list(measures.items())[:3])
        + "."
    )
    if middle:
        factor = float(np.median(middle))
        window.fact("range", column, sentence, observed, expected, limit, n, operation="scale", value=_round(factor))
        return
    mean = ratios.get("mean")
    top = max((ratios.get(name, 1.0) for name in ("p99", "max")), default=1.0)
    if mean and top > mean > 1:
        factor = _round(top)
        window.fact(
            "range",
            column,
            sentence,
            observed,
            expected,
            limit,
            n,
            rate=(mean - 1) / (factor - 1),
            operation="scale",
            value=factor,
        )
    elif mean:
        window.fact("range", column, sentence, observed, expected, limit, n, operation="scale", value=_round(mean))
    else:
        window.fact("range", column, sentence, observed, expected, limit, n, operation="")


def _round(factor: float) -> float:
    """Return the power of ten that a factor nearly is (units are off by powers of ten), else three digits of it."""
    power = round(math.log10(factor)) if factor > 0 else 0
    near = power != 0 and abs(math.log10(factor) - power) < 0.15
    return float(10.0**power) if near else float(f"{factor:.3g}")


def _typed(value: str, column_type: str) -> object:
    kind = kind_of(column_type)
    if kind == "number":
        number = float(value)
        return int(number) if number == int(number) else number
    if kind == "flag":
        return value.lower() in ("true", "1", "t")
    return value


def _among(column: str, values: Sequence[str]) -> str:
    listed = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"cast({column} as varchar) in ({listed})"


# --- rows by day -----------------------------------------------------------------------------------------------------


def _volume(window: _Window) -> None:
    """Judge the week's rows beyond a factor of two, and each day against its own weekday."""
    history, table, position = window.history, window.table, window.position
    weekly = history.one("rows")[:, None]
    expected_rows = float(np.nanmedian(weekly[window.healthy[-RECENT:]]))
    if expected_rows < MINIMUM_ROWS:
        return
    difference, _, limit = window.compare(np.log(np.maximum(weekly, 0.5)), math.log(2))
    limit = limit * window.goes_on("volume", "")
    observed = float(weekly[position, 0])
    window.note(
        "volume",
        "",
        "",
        "rows",
        observed,
        expected_rows,
        float(limit[0]),
        int(observed),
        bool(abs(difference[0]) > limit[0]),
    )
    days = history.daily("day_rows")
    logs = np.log(np.maximum(days, 0.5))
    made_up = _made_up(window, days)
    change, centre, day_limit = window.compare(np.where(days > 0, logs, np.nan), math.log(2))
    usual = np.exp(centre)
    enough = usual >= 50
    gap = np.where(days[position] > 0, change, -np.inf)
    low = enough & (gap < -day_limit) & ~made_up
    high = enough & (gap > np.maximum(day_limit, math.log(2)))
    if observed < expected_rows and low.any():
        _missing_days(window, days[position], usual, np.flatnonzero(low))
    elif difference[0] < -limit[0]:
        share = 1 - observed / expected_rows
        sentence = (
            f"{table.asset} received {observed:,.0f} rows from {window.start} to {window.end}, "
            f"usually {expected_rows:,.0f}."
        )
        window.fact("volume", "", sentence, observed, expected_rows, limit[0], observed, rate=share, operation="drop")
    if difference[0] > limit[0] or high.sum() >= 1:
        chosen = np.flatnonzero(high) if high.any() else np.arange(WEEK)
        first, last = (window.start + timedelta(days=int(chosen[end])) for end in (0, -1))
        seen, wanted = float(days[position, chosen].sum()), float(usual[chosen].sum())
        sentence = f"{table.asset} received {seen:,.0f} rows from {first} to {last}, usually {wanted:,.0f}."
        window.fact(
            "volume", "", sentence, seen, wanted, float(day_limit[chosen].max()), seen,
            rate=min(seen / max(wanted, 1) - 1, 1), first=first, last=last, operation="duplicate", target=table.group,
        )  # fmt: skip


def _made_up(window: _Window, days: Array) -> Mask:
    """Whether the days before each day sold in advance what it lacks.

    People shop ahead of a closed day, and a lost file is announced to nobody.
    """
    history, position = window.history, window.position
    usual = np.median(days[window.healthy][-RECENT:], axis=0)
    follows = position and history.weeks[position] - history.weeks[position - 1] == timedelta(days=WEEK)
    line = np.concatenate([days[position - 1] if follows else usual, days[position]])
    extra = line - np.tile(usual, 2)
    ahead = [max(extra[WEEK + day - back : WEEK + day].sum() for back in (3, 4, 5)) for day in range(WEEK)]
    missing = -extra[WEEK:]
    closed = np.array([window.start + timedelta(days=day) in window.closed_days for day in range(WEEK)])
    return closed | (missing > 0) & (np.array(ahead) >= MADE_UP * missing)


def _missing_days(window: _Window, seen: Array, usual: Array, low: npt.NDArray[np.int64]) -> None:
    table = window.table
    dates = [window.start + timedelta(days=int(day)) for day in low]
    got, wanted = float(seen[low].sum()), float(usual[low].sum())
    listed = ", ".join(f"{one} ({seen[day]:,.0f} of {usual[day]:,.0f})" for one, day in zip(dates, low, strict=True))
    newest = (
        int(low[-1]) == WEEK - 1
        and seen[WEEK - 1] == 0
        and all(seen[day] == 0 for day in low)
        and low[-1] - low[0] + 1 == len(low)
    )
    kind: FactKind = "stale" if newest else "volume"
    what = "has not received its newest days" if newest else "lacks rows"
    sentence = f"{table.asset} {what}: {listed} rows as usual on these weekdays."
    if low[-1] - low[0] + 1 != len(low):
        # Days of the week, so that the fact can be re-enacted in another week.
        where = f"extract(isodow from {table.time_sql}) in ({', '.join(str(one.isoweekday()) for one in dates)})"
    else:
        where = ""
    window.fact(
        kind, "", sentence, got, wanted, 0.5, wanted, rate=1 - got / max(wanted, 1), first=dates[0], last=dates[-1],
        operation="drop", where=where,
    )  # fmt: skip


def _past_days(window: _Window) -> None:
    """Judge days that were delivered before: what changes there may only come closer to what is usual."""
    history, table = window.history, window.table
    again = history.again(window.position)
    if not again:
        return
    days = history.daily("day_rows")
    usual = np.median(days[window.healthy][-RECENT:], axis=0)
    recorded: dict[int, float] = {}
    for place in range(window.position):
        offset = (history.weeks[place] - window.start).days
        for day in range(WEEK):
            recorded[offset + day] = float(days[place, day])
    for place in range(window.position):
        offset = (history.weeks[place] - window.start).days
        recorded |= {offset + back: rows for back, rows in history.again(place).items() if offset + back in recorded}
    grown: list[tuple[int, float, float]] = []
    for back, now in again.items():
        was, expected = recorded.get(back), usual[back % WEEK]
        if was is None or was < 50 or expected < 50:
            continue
        worse = abs(math.log(max(now, 0.5) / expected)) > abs(math.log(was / expected)) + math.log(1.2)
        if abs(math.log(max(now, 0.5) / was)) > math.log(1.25) and worse:
            grown.append((back, was, now))
    if not grown:
        return
    first, last = (window.start + timedelta(days=edge(back for back, _, _ in grown)) for edge in (min, max))
    was, now = sum(one[1] for one in grown), sum(one[2] for one in grown)
    more = now > was
    sentence = (
        f"Days of {table.asset} that were delivered before changed: {first} to {last} hold "
        f"{now:,.0f} rows, {was:,.0f} when they came."
    )
    window.fact(
        "replay" if more else "volume", table.group if more else "", sentence, now, was, 0.25, now,
        rate=min(abs(now / was - 1), 1), first=first, last=last, operation="duplicate" if more else "drop",
    )  # fmt: skip


# --- hours -----------------------------------------------------------------------------------------------------------


def _hours(window: _Window) -> None:
    """Judge the histogram of the hour of the day, and hours that are empty on some day."""
    history, table, position = window.history, window.table, window.position
    by_day = history.hours()
    hours = by_day.sum(axis=1)
    total = hours.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = hours / total
    usual = np.nanmean(shares[window.healthy[-RECENT:]], axis=0)
    distance = (np.abs(shares - usual).sum(axis=1) / 2)[:, None]
    # Each healthy week against the weeks before it, as this one is: seasons move slowly.
    past = np.array(
        [
            np.abs(shares[place] - np.nanmean(shares[window.healthy[max(0, index - RECENT) : index]], axis=0)).sum() / 2
            for index, place in enumerate(window.healthy)
            if index >= 3
        ]
    )
    entities = max(float(history.daily("day_entities")[position].sum()), 1.0)
    chance = 2.5 * math.sqrt(24 / (2 * math.pi * entities)) * 0.5 * math.sqrt(DESIGN_EFFECT)
    limit = max(float(past.mean() + DEVIATIONS * past.std(ddof=1)), HOURS_FLOOR, chance)
    limit *= window.goes_on("hours", table.time_column)
    observed = float(distance[position, 0])
    n = float(total[position, 0])
    window.note("hours", "", "", "hour_histogram", observed, float(past.mean()), limit, int(n), observed > limit)
    made_up = _made_up(window, history.daily("day_rows"))
    silent, empty = _silent_hours(by_day, position, window.healthy[-RECENT:], made_up)
    quiet = np.array([_silent_hours(by_day, place, window.healthy[-RECENT:])[0] for place in window.healthy])
    silent_limit = max(float(quiet.mean() + DEVIATIONS * quiet.std(ddof=1)), SILENT_HOURS)
    window.note(
        "hours", "", "", "silent_hours", silent, float(quiet.mean()), silent_limit, int(n), silent > silent_limit
    )
    column = table.time_column
    if observed > limit:
        shift, left = _best_shift(usual, shares[position])
        lost = [hour for hour in range(24) if usual[hour] > 0.005 and shares[position, hour] < 0.05 * usual[hour]]
        peak = int(np.argmax(shares[position]))
        if shift and left < 0.4 * observed:
            sentence = (
                f"Times of {table.asset} moved by {shift:+d} hours from "
                f"{window.since('hours', table.time_column)} on (distance of the hour histograms "
                f"{observed:.2f}, usually {past.mean():.2f})."
            )
            window.fact("hours", column, sentence, observed, past.mean(), limit, n, operation="shift_time", value=shift)
        elif shares[position, peak] > 0.9:
            sentence = (
                f"Times of {table.asset} lost their hour: {shares[position, peak]:.0%} of the "
                f"rows are at {peak}:00, usually {usual[peak]:.0%}."
            )
            window.fact(
                "hours",
                column,
                sentence,
                observed,
                past.mean(),
                limit,
                n,
                operation="set",
                value={"sql": f"date_trunc('day', {column})"},
            )
        elif lost and sum(usual[hour] for hour in lost) > 0.03:
            _lost_hours(window, lost, observed, float(past.mean()), limit, n, float(usual[lost].sum()))
        else:
            sentence = (
                f"The hours of {table.asset} moved (distance of the histograms {observed:.2f}, "
                f"usually {past.mean():.2f}), by no whole shift."
            )
            window.fact(
                "hours",
                column,
                sentence,
                observed,
                past.mean(),
                limit,
                n,
                operation="shift_time" if shift else "",
                value=shift or None,
            )
    elif silent > silent_limit:
        for day, hours_lost in empty.items():
            on = window.start + timedelta(days=day)
            sentence = (
                f"{table.asset} has no row on {on} in hours {_spans(hours_lost)}, which usually "
                f"hold {silent * WEEK / max(len(empty), 1):.0%} of the day."
            )
            window.fact(
                "hours", column, sentence, silent, float(quiet.mean()), silent_limit, n, first=on, last=on,
                operation="drop",
                target="", where=f"extract(hour from {table.time_sql}) in ({', '.join(map(str, hours_lost))})",
            )  # fmt: skip


def _lost_hours(
    window: _Window, lost: list[int], observed: float, expected: float, limit: float, n: float, share: float
) -> None:
    table = window.table
    sentence = (
        f"{table.asset} has no rows in hours {_spans(lost)} from "
        f"{window.since('hours', table.time_column)} on, which usually hold {share:.0%}: files are cut."
    )
    window.fact(
        "hours", table.time_column, sentence, observed, expected, limit, n, operation="drop", target="",
        where=f"extract(hour from {table.time_sql}) in ({', '.join(map(str, lost))})",
    )  # fmt: skip


def _spans(hours: Sequence[int]) -> str:
    return (
        f"{hours[0]} to {hours[-1]}"
        if len(hours) > 1 and hours[-1] - hours[0] + 1 == len(hours)
        else ", ".join(map(str, hours))
    )


def _silent_hours(
    by_day: Array, position: int, healthy: npt.NDArray[np.int64], made_up: Mask | None = None
) -> tuple[float, dict[int, list[int]]]:
    """Return the share of a usual day's rows that lies in three and more empty hours of a day that has rows."""
    usual = np.median(by_day[healthy], axis=0)
    total = usual.sum()
    mass, empty = 0.0, {}
    for day in range(WEEK):
        if by_day[position, day].sum() == 0 or (made_up is not None and made_up[day]):
            continue
        silent = (by_day[position, day] == 0) & (usual[day] >= 20)
        runs = np.flatnonzero(silent)
        if len(runs) >= 3:
            mass += float(usual[day][silent].sum())
            empty[day] = [int(hour) for hour in runs]
    # Of one day: a single cut file is a seventh of the week.
    return (mass * WEEK / total if total else 0.0), empty


def _best_shift(usual: Array, seen: Array) -> tuple[int, float]:
    """Return the whole hours by which the usual histogram fits best, and the distance that is left."""
    options = [(float(np.abs(np.roll(usual, shift) - seen).sum() / 2), abs(shift), shift) for shift in range(-12, 13)]
    left, _, shift = min(options)
    return shift, left


# --- values of categories --------------------------------------------------------------------------------------------


def _categories(window: _Window) -> None:
    """Judge which values a category has: new ones, vanished ones, and the shares of all."""
    history, table, position = window.history, window.table, window.position
    for column in table.categories or ():
        _category(window, column)
    for column in table.segments:
        if column not in table.categories:
            _category(window, column)
    del history, position


def _category(window: _Window, column: str) -> None:
    history, table, position = window.history, window.table, window.position
    counts, labels = history.values_of(column)
    if not labels or counts[position].sum() < MINIMUM_ROWS:
        return
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = counts / totals
    usual = shares[window.healthy[-RECENT:]].mean(axis=0)

    def appeared(place: int, before: npt.NDArray[np.int64]) -> float:
        return float(shares[place][counts[before].sum(axis=0) == 0].sum()) if len(before) else 0.0

    def vanished(place: int, before: npt.NDArray[np.int64]) -> float:
        recent = before[-RECENT:]
        steady = (counts[recent] > 0).all(axis=0)
        return float(shares[recent].mean(axis=0)[steady & (counts[place] == 0)].sum()) if len(recent) else 0.0

    def moved(place: int, before: npt.NDArray[np.int64]) -> float:
        return float(np.abs(shares[place] - shares[before[-RECENT:]].mean(axis=0)).sum() / 2)

    n = float(counts[position].sum())
    found: dict[str, tuple[float, float, float]] = {}
    for name, measure, floor in (("new", appeared, 0.05), ("lost", vanished, 0.015), ("moved", moved, VALUES_MOVED)):
        past = np.array(
            [
                measure(int(place), window.healthy[:index])
                for index, place in enumerate(window.healthy)
                if index >= min(RECENT, len(window.healthy) - 3)
            ]
        )
        seen = measure(position, window.healthy)
        if name == "moved":
            # Half the sum of E|x - p| over values, for as many independent rows as there are baskets, not lines.
            scatter = np.sqrt(usual * (1 - usual)).sum()
            chance = 0.5 * math.sqrt(2 / math.pi * CLUSTER / n) * float(scatter)
            floor = max(floor, 2.5 * chance)
        limit = max(float(past.mean() + DEVIATIONS * past.std(ddof=1)) if len(past) > 1 else floor, floor)
        found[name] = (seen, float(past.mean()) if len(past) else 0.0, limit)
        window.note("categories", column, "", f"values_{name}", seen, found[name][1], limit, int(n), seen > limit)
    new_limit = found["new"][2]
    renamed = min(found["new"][0], found["lost"][0]) > 0.005 and found["new"][0] > found["new"][1] + 0.004
    segment = column in table.segments and column not in table.categories
    gone = [
        labels[i]
        for i in np.flatnonzero(
            (usual > 0) & (counts[position] == 0) & (counts[window.healthy[-RECENT:]] > 0).all(axis=0)
        )
    ]
    fresh = [labels[i] for i in np.flatnonzero((counts[position] > 0) & (counts[window.healthy].sum(axis=0) == 0))]
    days = f"from {window.since('categories', column)} to {window.end}"
    if found["new"][0] > new_limit or (renamed and not segment):
        rate = found["new"][0]
        sentence = (
            f"{table.asset}.{column} has {len(fresh)} values never seen before "
            f"({', '.join(fresh[:3])}{', …' if len(fresh) > 3 else ''}) in {rate:.1%} of the rows {days}"
        )
        sentence += (
            f"; {len(gone)} usual values are gone ({', '.join(gone[:3])}{', …' if len(gone) > 3 else ''})."
            if gone
            else "."
        )
        text = kind_of(table.columns[column]) == "text"
        window.fact(
            "categories", column, sentence, rate, found["new"][1], new_limit, n, segment=column, values=gone,
            rate=1.0 if gone else rate, operation="map_values" if text else "", value="unseen {}" if text else None,
        )  # fmt: skip
    elif found["lost"][0] > found["lost"][2] and not segment:
        rate = found["lost"][0]
        taken = shares[position] - usual
        heir = int(np.argmax(taken))
        sentence = (
            f"Usual values of {table.asset}.{column} are gone {days}: "
            f"{', '.join(gone[:3])}{', …' if len(gone) > 3 else ''}, usually {rate:.1%} of the rows."
        )
        if taken[heir] > 0.5 * rate and kind_of(table.columns[column]) == "text":
            sentence = (
                f"{sentence[:-1]}; {labels[heir]} took their rows ({shares[position, heir]:.1%}, "
                f"usually {usual[heir]:.1%})."
            )
            window.fact(
                "categories",
                column,
                sentence,
                rate,
                found["lost"][1],
                found["lost"][2],
                n,
                segment=column,
                values=gone,
                operation="collapse",
                value=labels[heir],
            )
        else:
            window.fact(
                "categories",
                column,
                sentence,
                rate,
                found["lost"][1],
                found["lost"][2],
                n,
                segment=column,
                values=gone,
                operation="drop",
                target="",
            )
    elif found["moved"][0] > found["moved"][2] and not segment:
        seen, mean, limit = found["moved"]
        change = shares[position] - usual
        top = int(np.argmax(np.abs(change)))
        sentence = (
            f"The values of {table.asset}.{column} moved {days} ({seen:.1%} of the rows changed "
            f"value, usually {mean:.1%}); most: {labels[top]}, {shares[position, top]:.1%}, usually {usual[top]:.1%}."
        )
        if change[top] > 0 and kind_of(table.columns[column]) == "text":
            window.fact(
                "categories", column, sentence, seen, mean, limit, n, rate=seen, operation="collapse", value=labels[top]
            )
        elif change[top] < 0:
            window.fact(
                "categories",
                column,
                sentence,
                seen,
                mean,
                limit,
                n,
                segment=column,
                values=[labels[top]],
                rate=min(1, -change[top] / max(usual[top], 1e-9)),
                operation="drop",
                target="",
            )
        else:
            window.fact("categories", column, sentence, seen, mean, limit, n, rate=seen, operation="")


# --- segments --------------------------------------------------------------------------------------------------------


def _silent(window: _Window) -> None:
    """Judge segments that fell silent together: one is a closing, many on the same day are an outage."""
    history, table, position = window.history, window.table, window.position
    for column in table.segments:
        if column in table.categories or window.spoilt(column):
            continue
        daily, labels = history.segment_days(column)
        if not labels:
            continue
        weekly = daily.sum(axis=1)

        def silence(
            place: int, before: npt.NDArray[np.int64], values: Array, least: float
        ) -> tuple[float, npt.NDArray[np.int64]]:
            recent = values[before[-RECENT:]]
            usual = np.median(recent, axis=0)
            steady = (recent[-4:] > 0).all(axis=0) & (usual >= least)
            gone = steady & (values[place] <= 0.02 * usual)
            return float(usual[gone].sum() / max(usual.sum(), 1)), np.flatnonzero(gone)

        spans: list[tuple[str, Array, float, date, date]] = [("week", weekly, 20.0, window.since("volume"), window.end)]
        spans += [
            (f"day {day}", daily[:, day], 40.0, window.start + timedelta(days=day), window.start + timedelta(days=day))
            for day in range(WEEK)
            if daily[position, day].sum() > 0
        ]
        past: dict[str, Array] = {}
        silent_days: list[int] = []
        for name, values, least, first, last in spans:
            if (
                name != "week"
                and window.facts
                and any(one.kind == "volume" and one.segment_column == column for one in window.facts)
            ):
                break
            past[name] = np.array(
                [
                    silence(int(place), window.healthy[:index], values, least)[0]
                    for index, place in enumerate(window.healthy)
                    if index >= 4
                ]
            )
            mass, gone = silence(position, window.healthy, values, least)
            # On a single day some segments sell nothing by chance, and more so on a quiet day.
            floor = SILENT_MASS if name == "week" else 3 * SILENT_MASS
            limit = max(
                float(past[name].mean() + DEVIATIONS * past[name].std(ddof=1)) if len(past[name]) > 1 else 0.2, floor
            )
            wrong = mass > limit and len(gone) >= OUTAGE_VALUES
            window.note(
                "volume",
                "",
                column,
                f"silent_{name.split()[0]}",
                mass,
                float(past[name].mean()) if len(past[name]) else 0.0,
                limit,
                int(values[position].sum()),
                wrong,
            )
            if wrong:
                if name == "week":
                    window.drop_losses()
                silent_days.append(0)
                chosen = [labels[i] for i in gone]
                sentence = (
                    f"{len(chosen)} values of {column} in {table.asset} fell silent at once from {first} to {last} "
                    f"({', '.join(chosen[:5])}{', …' if len(chosen) > 5 else ''}), usually {mass:.0%} of "
                    "the rows; the others go on."
                )
                window.fact(
                    "volume",
                    "",
                    sentence,
                    mass,
                    0.0,
                    limit,
                    values[position].sum(),
                    segment=column,
                    values=chosen,
                    first=first,
                    last=last,
                    operation="drop",
                )


def _uneven(window: _Window) -> None:
    """Judge segments that lost or gained rows together, more unevenly than customers ever make them."""
    history, table, position = window.history, window.table, window.position
    for column in table.segments:
        if column in table.categories or window.spoilt(column):
            continue
        if any(one.kind == "volume" and one.segment_column == column for one in window.facts):
            continue
        counts, labels = history.values_of(column)
        if not labels:
            continue
        usual = np.median(counts[window.healthy[-RECENT:]], axis=0)
        big = (usual >= 100) & (counts[window.healthy[-RECENT:]] > 0).all(axis=0)
        if big.sum() < 3 * OUTAGE_VALUES:
            continue
        logs = np.log(np.maximum(counts[:, big], 0.5))
        weights = usual[big] / usual[big].sum()
        # Relative to what the table as a whole does: a season moves all alike. The upper half shows what the sound do.
        level = np.array([_weighted_quantile(row, weights, 0.65) for row in logs - np.log(usual[big])])
        relative = logs - level[:, None]
        difference, _, limit = window.compare(relative, math.log(1.6), SEGMENT_DEVIATIONS)
        low = difference < -limit
        mass = float(weights[low].sum())
        centre = np.median(relative[window.healthy], axis=0)
        earlier = np.array([float(weights[(relative[place] - centre) < -limit].sum()) for place in window.healthy])
        bound = max(float(earlier.mean() + DEVIATIONS * earlier.std(ddof=1)), 2 * SEGMENT_MASS)
        bound *= window.goes_on("volume", "")
        wrong = mass > bound and low.sum() >= OUTAGE_VALUES + 2
        window.note(
            "volume", "", column, "uneven", mass, float(earlier.mean()), bound, int(counts[position].sum()), wrong
        )
        if wrong:
            window.drop_losses()
            names = [label for label, kept in zip(labels, big, strict=True) if kept]
            chosen = [names[i] for i in np.flatnonzero(low)]
            rate = 1 - float(np.exp(np.average(difference[low], weights=weights[low])))
            sentence = (
                f"{len(chosen)} values of {column} in {table.asset} "
                f"({', '.join(chosen[:5])}{', …' if len(chosen) > 5 else ''}) "
                f"lost {rate:.0%} of their rows in the week from {window.start} while the others go on."
            )
            window.fact(
                "volume",
                "",
                sentence,
                mass,
                earlier.mean(),
                bound,
                counts[position].sum(),
                segment=column,
                values=chosen,
                rate=rate,
                operation="drop",
                per=table.group,
            )


def _weighted_quantile(values: Array, weights: Array, share: float) -> float:
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(cumulated, share * cumulated[-1])), len(values) - 1)])


def _segments(window: _Window) -> None:
    """Judge each measure within each value of each segment, by the mass of rows in values that are off."""
    history, table, position = window.history, window.table, window.position
    taken: set[tuple[str, str]] = set()
    for measure, (kind, scale, floor, side) in SEGMENT_RULES.items():
        values, counts, labels = history.series(
            "mean" if measure == "size" else measure, lambda name: "@" in name, "segments"
        )
        if not labels:
            continue
        middle = values
        if measure == "size":
            other, _, others = history.series("p50", lambda name: "@" in name, "segments")
            order = {label: place for place, label in enumerate(others)}
            middle = other[:, [order[label] for label in labels]]
        names = np.array([name for name, _ in labels], dtype=object)
        for name in dict.fromkeys(names):
            column, segment = str(name).split("@")
            if (kind, column) in taken:
                continue
            if measure == "modal_share" and column in table.ids:
                continue  # in a small shop one customer may well be most of the rows
            chosen = np.flatnonzero(names == name)
            found = _segment(
                window, values[:, chosen], middle[:, chosen], counts[:, chosen], column, measure, scale, floor, side
            )
            if found is None:
                continue
            off, mass, bound, effect, limit, expected = found
            keys = [labels[chosen[i]][1] for i in off]
            weights = counts[position, chosen[off]]
            observed = float(np.average(values[position, chosen[off]], weights=np.maximum(weights, 1)))
            usual = float(np.average(expected[off], weights=np.maximum(weights, 1)))
            taken.add((kind, column))
            # What sits in some segments is told there, not as a change of the whole table.
            window.facts[:] = [
                one
                for one in window.facts
                if (one.kind, one.column) != (kind, column)
                or one.segment_values
                or (one.observed > one.expected) != (observed > usual)
            ]
            _segment_fact(
                window,
                kind,
                column,
                segment,
                measure,
                keys,
                mass,
                bound,
                observed,
                usual,
                float(np.average(effect[off], weights=np.maximum(weights, 1))),
                float(weights.sum()),
            )
            del limit


def _segment(
    window: _Window, values: Array, medians: Array, counts: Array, column: str, measure: str, scale: str, floor: float,
    side: str,
) -> tuple[npt.NDArray[np.int64], float, float, Array, Array, Array] | None:  # fmt: skip
    """Return which values of a segment are off, their mass, its bound, the differences; None: nothing is."""
    position = window.position
    enough = counts >= SEGMENT_ROWS
    values, medians = np.where(enough, values, np.nan), np.where(enough, medians, np.nan)
    present = enough[position] & (enough[window.healthy].sum(axis=0) >= MINIMUM_WINDOWS)
    if present.sum() < 2:
        return None

    def relative(these: Array) -> Array:
        if scale == "log":
            with np.errstate(invalid="ignore", divide="ignore"):
                these = np.where(these > 0, np.log(np.abs(these)), np.nan)
        # Against the other values: what all of them do is judged on the whole table.
        return these - _nanmedian(np.where(present, these, np.nan).T)[:, None]

    compared = relative(values)
    difference, centre, limit = window.compare(compared, floor, SEGMENT_DEVIATIONS)
    if measure == "size":
        # Mean and median must agree: a mean alone moves with one large row, or with a new kind of product.
        between, middle, _ = window.compare(relative(medians), floor, SEGMENT_DEVIATIONS)
        difference = _smaller(difference, between)
        compared = np.stack(
            [_smaller(a, b) for a, b in zip(compared - centre, relative(medians) - middle, strict=True)]
        )
        centre = np.zeros_like(centre)
    if scale == "share" and measure != "hour_mean":
        usual = _nanmedian(values[window.healthy])
        least = _share_floor(floor, usual, counts[position], np.zeros(values.shape[1], dtype=bool))
        limit = np.maximum(limit, least)
    off_mask = _wrong(difference, limit, side) & present
    weights = counts[position] / max(counts[position][present].sum(), 1)
    mass = float(weights[off_mask].sum())
    earlier = []
    for place in window.healthy:
        shares = counts[place] / max(counts[place].sum(), 1)
        with np.errstate(invalid="ignore"):
            earlier.append(float(shares[_wrong(compared[place] - centre, limit, side) & present].sum()))
    past = np.array(earlier)
    bound = max(float(past.mean() + DEVIATIONS * past.std(ddof=1)), SEGMENT_MASS)
    # One value alone only when it is far beyond its limit and has rows enough.
    alone = (
        off_mask
        & (np.abs(difference) > 3 * limit)
        & (np.abs(difference) > 3 * floor)
        & (counts[position] >= MINIMUM_ROWS)
    )
    window.note(
        SEGMENT_RULES[measure][0], column, "segment", f"{measure} within segments", mass, float(past.mean()), bound,
        int(counts[position].sum()), bool((mass > bound and off_mask.sum() >= OUTAGE_VALUES) or alone.any()),
    )  # fmt: skip
    several = max(OUTAGE_VALUES, math.ceil(0.05 * present.sum()))
    if mass > bound and off_mask.sum() >= several:
        # Among those that are off by chance only the ones that moved with the majority belong to it.
        lead = np.sign(np.nansum(np.where(off_mask, np.sign(difference) * weights, 0)))
        off = np.flatnonzero(off_mask & (np.sign(difference) == lead))
        if len(off) < several or weights[off].sum() <= bound:
            return None
    elif alone.any():
        off = np.flatnonzero(alone)
    else:
        return None
    return off, mass, bound, difference, limit, _nanmedian(values[window.healthy[-RECENT:]])


def _segment_fact(
    window: _Window, kind: FactKind, column: str, segment: str, measure: str, keys: list[str], mass: float,
    bound: float, observed: float, usual: float, effect: float, n: float,
) -> None:  # fmt: skip
    table = window.table
    listed = f"{', '.join(keys[:5])}{', …' if len(keys) > 5 else ''}"
    where = f"in {len(keys)} values of {segment} ({listed})"
    since = f"from {window.since(kind, column)} to {window.end}"
    common: dict[str, Any] = {"segment": segment, "values": keys}
    target = column
    if kind == "nulls":
        rate = (observed - usual) / max(1 - usual, 1e-9)
        sentence = f"{observed:.0%} of {table.asset}.{column} is null {where} {since}, usually {usual:.1%}."
        window.fact(
            kind,
            column,
            sentence,
            observed,
            usual,
            bound,
            n,
            rate=max(rate, 0),
            operation="null" if rate > 0 else "",
            **common,
        )
    elif kind == "stuck":
        value = window.history.modal(column, window.position)
        rate = (observed - usual) / max(1 - usual, 1e-9)
        sentence = f"{observed:.0%} of {table.asset}.{column} is {value} {where} {since}, usually {usual:.0%}."
        window.fact(
            kind,
            column,
            sentence,
            observed,
            usual,
            bound,
            n,
            rate=rate,
            operation="set",
            value=_typed(value, table.columns[column]),
            **common,
        )
    elif kind == "range" and measure == "negative_share":
        sentence = f"{observed:.0%} of {table.asset}.{column} is negative {where} {since}, usually {usual:.1%}."
        window.fact(
            kind, column, sentence, observed, usual, bound, n, rate=abs(observed - usual), operation="negate", **common
        )
    elif kind == "range":
        factor = _round(math.exp(effect))
        sentence = (
            f"{table.asset}.{column} is {factor:g} times as large {where} {since}, against the "
            f"other values of {segment} ({measure} {observed:,.4g}, usually {usual:,.4g})."
        )
        window.fact(kind, column, sentence, observed, usual, bound, n, operation="scale", value=factor, **common)
    elif kind == "hours":
        hours = round(effect)
        sentence = (
            f"Times of {table.asset} moved by {hours:+d} hours on average {where} {since}, "
            f"against the other values of {segment}."
        )
        target = table.time_column
        window.fact(
            kind,
            target,
            sentence,
            observed,
            usual,
            bound,
            n,
            operation="shift_time" if hours else "",
            value=hours,
            **common,
        )
    else:
        ratio = math.exp(effect)
        sentence = f"Groups of {table.asset} hold {observed:.1f} rows {where} {since}, usually {usual:.1f}."
        operation = "drop" if ratio < 1 else "duplicate"
        window.fact(
            kind,
            column,
            sentence,
            observed,
            usual,
            bound,
            n,
            rate=min(abs(1 - ratio), 1),
            operation=operation,
            target="",
            **common,
        )
    del mass


# --- identities ------------------------------------------------------------------------------------------------------


def _entities(window: _Window) -> None:
    """Judge whether those who act, and what they refer to, are those of before."""
    table = window.table
    for column in table.ids:
        if column in table.segments:
            continue
        _identity(window, column, column == table.entity)


def _moved_from_all(
    window: _Window, measure: str, column: str, floor: float
) -> tuple[float, float, float, float] | None:
    """Return the smallest change against each block of earlier weeks that is healthy as a whole; None: none is."""
    history = window.history
    found = []
    for block in range(1, BLOCKS + 1):
        weeks = [window.start - timedelta(days=WEEK * (4 * (block - 1) + step)) for step in (1, 2, 3, 4)]
        if any(week in window.bad or week < history.weeks[0] for week in weeks):
            continue
        values = history.one(f"{measure}_{block}", column)[:, None].copy()
        # A block that reaches before the data compares with nothing.
        for place, week in enumerate(history.weeks):
            reach = week - timedelta(days=WEEK * 4 * block)
            if reach < history.weeks[0] or any(
                week - timedelta(days=WEEK * (4 * (block - 1) + step)) in window.bad for step in (1, 2, 3, 4)
            ):
                values[place] = np.nan
        difference, centre, limit = window.compare(values, floor)
        if np.isnan(limit[0]) or np.isnan(difference[0]):
            continue
        found.append((float(difference[0]), float(centre[0]), float(limit[0]), float(values[window.position, 0])))
    return min(found, key=lambda one: abs(one[0]) / one[2]) if found else None


def _identity(window: _Window, column: str, entity: bool) -> None:
    history, table, position = window.history, window.table, window.position
    n = float(history.counts("known_share_1", column)[position])
    if n < MINIMUM_ROWS:
        return
    known = _moved_from_all(window, "known_share", column, OVERLAP_FLOOR)
    again = _moved_from_all(window, "steady_again" if entity else "again_weight", column, OVERLAP_FLOOR)
    if known is None or again is None:
        return
    fewer_known, fewer_again = known[0] < -known[2], again[0] < -again[2]
    window.note("ids", column, "", "known", known[3], known[1], known[2], int(n), fewer_known)
    window.note("ids", column, "", "seen again", again[3], again[1], again[2], int(n), fewer_again)
    since = f"from {window.since('ids', column)} to {window.end}"
    if fewer_known and fewer_again:
        rate = min(1 - known[3] / max(known[1], 1e-9), 1.0)
        sentence = (
            f"{1 - known[3]:.0%} of the rows of {table.asset} {since} have a {column} not seen "
            f"before (usually {1 - known[1]:.0%}), and known ones are gone: identifiers changed."
        )
        window.fact("ids", column, sentence, known[3], known[1], known[2], n, rate=rate, operation="rekey")
        return
    if not entity:
        return
    pairs = [name for name in table.segments if name in table.ids and name != column]
    strangers = [
        (name, found)
        for name in pairs
        if not window.spoilt(name)
        and (found := _moved_from_all(window, "known_share", f"{column}+{name}", OVERLAP_FLOOR)) is not None
    ]
    for name, found in strangers:
        strange = found[0] < -found[2]
        window.note("ids", f"{column}+{name}", "", "known", found[3], found[1], found[2], int(n), strange)
        # Many new pairs of known values: identifiers folded together, or dealt to others.
        if strange and (fewer_again or found[0] < -3 * OVERLAP_FLOOR) and not (fewer_known and not fewer_again):
            rate = (
                min(2 * (1 - again[3] / max(again[1], 1e-9)), 1.0) if fewer_again else min(1 - found[3] / found[1], 1.0)
            )
            what = (
                "some are gone, others act where they never did: identifiers were merged"
                if fewer_again
                else "they act where they never did: identifiers were mixed up"
            )
            sentence = (
                f"{1 - found[3]:.0%} of the rows of {table.asset} {since} pair a {column} with a "
                f"{name} it was never seen with (usually {1 - found[1]:.0%}); {what}."
            )
            window.fact(
                "ids",
                column,
                sentence,
                found[3],
                found[1],
                found[2],
                n,
                rate=rate,
                operation="merge" if fewer_again else "shuffle",
            )
            return
    if fewer_again:
        _vanished(window, column, again, since, n)


def _vanished(window: _Window, column: str, again: tuple[float, float, float, float], since: str, n: float) -> None:
    """Add a fact when a part of the known entities is gone while those present go on as before.

    Customers who shop less make both numbers fall; customers who shop in blocks make those present shop more.
    """
    history, table, position = window.history, window.table, window.position
    gone = 1 - again[3] / max(again[1], 1e-9)
    per_group = history.one("groups_per_entity", column)[:, None]
    if np.isnan(per_group[position, 0]):
        per_group = history.one("rows_per_entity", column)[:, None]
    rows = history.one("rows")[:, None]
    change, _, _ = window.compare(np.log(np.maximum(per_group, 1e-9)), 0.0)
    fall, _, _ = window.compare(np.log(np.maximum(rows, 0.5)), 0.0)
    same = abs(change[0]) < 0.3 * gone + 0.03
    lost = 1 - math.exp(fall[0])
    wrong = gone > 2 * OVERLAP_FLOOR and same and lost > 0.5 * gone
    window.note("ids", column, "", "vanished", gone, 0.0, 2 * OVERLAP_FLOOR, int(n), wrong)
    if wrong:
        sentence = (
            f"{gone:.0%} of those {column}s of {table.asset} that come every week are gone at "
            f"once {since}, with {lost:.0%} of the rows; the others go on as before: a part of the feed is missing."
        )
        window.fact(
            "ids", column, sentence, again[3], again[1], again[2], n, rate=gone, operation="drop", per=column, target=""
        )


def _smaller(one: Array, other: Array) -> Array:
    """Return the difference closer to zero where both have the same sign, else 0."""
    with np.errstate(invalid="ignore"):
        return np.where(one * other > 0, np.where(np.abs(one) < np.abs(other), one, other), 0.0)


def _nanmedian(values: Array) -> Array:
    """Return the median along the first axis, nan (without a warning) where there is no value."""
    empty = np.isnan(values).all(axis=0)
    return np.where(empty, np.nan, np.nanmedian(np.where(empty, 0.0, values), axis=0))


# --- schema and arrival ----------------------------------------------------------------------------------------------


def judge_schema(asset: str, previous: Mapping[str, str], columns: Mapping[str, str], cutoff: date) -> tuple[Fact, ...]:
    """Compare a table's columns (name -> the warehouse's type) with those of the last healthy week.

    A column that is gone or has another kind of type is a fact; a new one is not, nor is a wider type of its kind.
    """
    facts = []
    new = [name for name in columns if name not in previous]
    for name, was in previous.items():
        now = columns.get(name)
        if now is not None and kind_of(now) == kind_of(was):
            continue
        if now is not None:
            what = f"{asset}.{name} has the type {now}, and had {was}; what reads it will fail or misread it."
        else:
            alike = [one for one in new if kind_of(columns[one]) == kind_of(was)]
            hint = f"; {alike[0]} is new and may be its new name" if len(alike) == 1 else ""
            what = f"{asset} has no column {name} any more ({was}){hint}."
        start = cutoff - timedelta(days=WEEK)
        facts.append(Fact("schema", asset, name, 1.0, 0.0, 0.0, 1, what, start, cutoff - timedelta(days=1)))
    return tuple(facts)


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
