"""One week of one table under judgement: how it compares with its healthy past, and how its anomalies are recorded.

All kinds of judgement compare and record through it, so that limits, first days and replays are made one way.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml_models.monitoring.data_quality.arithmetic import Array, nanmedian
from ml_models.monitoring.data_quality.history import History
from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable, kind_of
from ml_models.monitoring.data_quality.observation import WHOLE_TABLE, Observation, Replay, Segment
from ml_models.monitoring.data_quality.thresholds import (
    DEVIATIONS,
    MINIMUM_WINDOWS,
    RECENT,
    SHARE_OF_FEED,
    STILL,
    WEEK,
)
from ml_models.monitoring.types import Anomaly, AnomalyKind, Perturbation


@dataclass
class Window:
    """One week of one table under judgement: the week itself, and which weeks before it were healthy.

    `bad` holds the anomalies of earlier weeks as `kind:column`. `rows` collects the verdict's table (None: not wanted).
    `companions` are tables that add columns to another one's rows: in them rows have departments. `customers_changed`:
    where some values of a segment lost orders, it was found to be their customers who changed. `whole`: the raw
    tables of which the source's own count proves that no row of this week was lost on the way.
    """

    history: History
    position: int
    healthy: npt.NDArray[np.int64]
    bad: Mapping[date, tuple[str, ...]]
    rows: list[list[object]] | None
    closed_days: Collection[date] = ()
    companions: Sequence[History] = ()
    anomalies: list[Anomaly] = field(default_factory=list)
    customers_changed: bool = False
    whole: Sequence[History] = ()

    @property
    def table(self) -> MonitoredTable:
        """The table under judgement."""
        return self.history.table

    @property
    def start(self) -> date:
        """The first day of the week."""
        return self.history.weeks[self.position]

    @property
    def end(self) -> date:
        """The last day of the week."""
        return self.start + timedelta(days=WEEK - 1)

    @property
    def all_arrived(self) -> bool:
        """Whether no row of this week was lost on the way: it is a table that is `whole`, or holds the rows of one.

        That it holds them shows in its share of them, which is the same each week. Of another table, of which as many
        rows come by chance, it proves nothing.
        """
        return any(self._holds_as_ever(feed) for feed in self.whole)

    def _holds_as_ever(self, feed: History) -> bool:
        of_feed = dict(zip(feed.weeks, feed.one("rows"), strict=True))
        theirs = np.array([of_feed.get(week, np.nan) for week in self.history.weeks], dtype="float64")
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = np.log(self.history.one("rows") / theirs)
        change, _, scatter = self.compare(np.where(np.isfinite(shares), shares, np.nan)[:, None], 0.0)
        return bool(scatter[0] <= SHARE_OF_FEED and change[0] >= -SHARE_OF_FEED)

    def since(self, kind: str, column: str = "") -> date:
        """Return the first day of the weeks in a row that had an anomaly of this kind and column, this one included."""
        start = self.start
        while f"{kind}:{column}" in self.bad.get(start - timedelta(days=WEEK), ()):
            start -= timedelta(days=WEEK)
        return start

    def compare(
        self,
        values: Array,
        floor: Array | float,
        deviations: float = DEVIATIONS,
        kind: AnomalyKind | Literal[""] = "",
        columns: Sequence[str] = ("",),
    ) -> tuple[Array, Array, Array]:
        """Compare this week's values with the healthy past; return difference, centre, limit (nan: cannot be judged).

        `values` is weeks x series, on a scale where differences mean the same everywhere. `kind` is what a series
        beyond its limit would be, of which of `columns` (one for all, or one each): where it was so a week ago, the
        limit is lower. "": the comparison alone decides nothing.
        """
        past = values[self.healthy]
        count = (~np.isnan(past)).sum(axis=0)
        recent = past[-RECENT:]
        enough = count >= MINIMUM_WINDOWS
        with np.errstate(invalid="ignore", divide="ignore"):
            centre = np.full(values.shape[1:], np.nan)
            spread = np.full(values.shape[1:], np.nan)
            if enough.any():
                few = (~np.isnan(recent)).sum(axis=0) == 0
                filled = np.where(few[None], past[-1:], recent) if few.any() else recent
                centre = np.where(enough, nanmedian(filled), np.nan)
                mean = np.nansum(past, axis=0) / np.maximum(count, 1)
                squares = np.nansum((past - mean) ** 2, axis=0) / np.maximum(count - 1, 1)
                spread = np.sqrt(squares)
            # Few windows know their own spread badly.
            limit = np.maximum(deviations * spread * (1 + 2 / np.maximum(count, 1)), floor)
            limit = limit * np.array([self.goes_on(kind, column) if kind else 1.0 for column in columns])
            return values[self.position] - centre, centre, np.where(enough, limit, np.nan)

    def forecast_errors(self, values: Array) -> Array:
        """Return by how much each healthy week missed the median of the RECENT healthy ones before it, oldest first.

        `values` is one series. The first RECENT weeks have too few before them and are left out.
        """
        past = values[self.healthy]
        errors = [past[place] - np.nanmedian(past[place - RECENT : place]) for place in range(RECENT, len(past))]
        return np.array([error for error in errors if np.isfinite(error)])

    def span(self, kind: str, column: str = "") -> str:
        """Return the days of an anomaly of this kind, as a sentence names them."""
        return f"from {self.since(kind, column)} to {self.end}"

    def goes_on(self, kind: str, column: str) -> float:
        """Return what a limit is multiplied by: less than 1 where the week before had this anomaly.

        What was wrong a week ago needs less to be still wrong, or a fault at the limit would flicker.
        """
        return STILL if f"{kind}:{column}" in self.bad.get(self.start - timedelta(days=WEEK), ()) else 1.0

    def affected(self, column: str) -> bool:
        """Whether the column's own values are wrong this week, so that nothing can be concluded from them."""
        return any(
            one.column == column and one.kind in ("nulls", "stuck", "categories", "ids") for one in self.anomalies
        )

    def drop_losses(self) -> None:
        """Take back anomalies of rows lost by the table as a whole, once the segments that lost them are found."""
        self.anomalies[:] = [
            one
            for one in self.anomalies
            if one.kind != "volume" or one.segment_values or one.column or one.observed > one.expected
        ]

    def note(
        self,
        kind: AnomalyKind,
        column: str,
        measure: str,
        seen: Observation,
        violated: bool | np.bool_,
        segment: str = "",
    ) -> None:
        """Keep a row of the verdict's table; weeks of the past keep none."""
        if self.rows is not None:
            self.rows.append(
                [
                    self.table.asset,
                    kind,
                    column,
                    segment,
                    measure,
                    seen.observed,
                    seen.expected,
                    seen.threshold,
                    int(seen.n),
                    bool(violated),
                ]
            )

    def anomaly(
        self,
        kind: AnomalyKind,
        column: str,
        sentence: str,
        seen: Observation,
        *,
        rate: float = 1.0,
        segment: Segment = WHOLE_TABLE,
        days: tuple[date, date] | None = None,
        replay: Replay | None = None,
    ) -> None:
        """Record an anomaly.

        `rate` is the share of rows hit, capped to what a perturbation can express. `days` are the first and last day;
        by default from when it began to the end of the week. `replay` None: it cannot be made again.
        """
        first, last = days or (self.since(kind, column), self.end)
        share = float(min(max(rate, 0.0), 1.0))
        perturbation = None
        if replay is not None:
            perturbation = Perturbation(
                table=self.table.asset,
                operation=replay.operation,
                column=column if replay.column is None else replay.column,
                where=replay.where or segment.sql(),
                rate=share,
                per=replay.per,
                first_day=first,
                last_day=last,
                value=replay.value,
            )
        self.anomalies.append(
            Anomaly(
                kind=kind,
                asset=self.table.asset,
                column=column,
                observed=float(seen.observed),
                expected=float(seen.expected),
                threshold=float(seen.threshold),
                n=int(seen.n),
                sentence=sentence,
                first_day=first,
                last_day=last,
                segment_column=segment.column if segment.values else "",
                segment_values=segment.values,
                rate=share,
                replay=perturbation,
            )
        )


def rows_of_one(window: Window) -> float:
    """Return how many rows usually come together because one customer makes them; at least 1."""
    rows = window.history.one("rows_per_entity", window.table.entity)[window.healthy[-RECENT:]]
    return max(float(nanmedian(rows[:, None])[0]), 1.0) if np.isfinite(rows).any() else 1.0


def typed(value: str, column_type: str) -> object:
    """Return a value of the profile (text) as its column holds it, for a perturbation that sets it."""
    kind = kind_of(column_type)
    if kind == "number":
        number = float(value)
        return int(number) if number == int(number) else number
    if kind == "flag":
        return value.lower() in ("true", "1", "t")
    return value
