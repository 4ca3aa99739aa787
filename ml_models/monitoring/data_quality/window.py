"""One week of one table under judgement: how it compares with its healthy past, and how its anomalies are written.

All kinds of judgement compare and tell through it, so that thresholds, first days and re-enactments are made one way.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from ml_models.monitoring.data_quality.arithmetic import Array, nanmedian
from ml_models.monitoring.data_quality.history import History
from ml_models.monitoring.data_quality.profile_sql import WEEK, MonitoredTable, kind_of
from ml_models.monitoring.data_quality.thresholds import DEVIATIONS, MINIMUM_WINDOWS, RECENT, STILL
from ml_models.monitoring.types import Anomaly, AnomalyKind, Perturbation


@dataclass
class Window:
    """One week of one table under judgement: the week itself, and which weeks before it were healthy."""

    history: History
    position: int
    healthy: npt.NDArray[np.int64]
    bad: Mapping[date, tuple[str, ...]]
    rows: list[list[object]] | None
    closed_days: Collection[date] = ()
    anomalies: list[Anomaly] = field(default_factory=list)

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

    def since(self, kind: str, column: str = "") -> date:
        """Return the first day of the weeks in a row that had an anomaly of this kind and column, this one included."""
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
                centre = np.where(known, nanmedian(filled), np.nan)
                mean = np.nansum(past, axis=0) / np.maximum(count, 1)
                squares = np.nansum((past - mean) ** 2, axis=0) / np.maximum(count - 1, 1)
                spread = np.sqrt(squares)
            # Few windows know their own spread badly.
            limit = np.maximum(deviations * spread * (1 + 2 / np.maximum(count, 1)), floor)
            return values[self.position] - centre, centre, np.where(known, limit, np.nan)

    def goes_on(self, kind: str, column: str) -> float:
        """Return what a limit is multiplied by: less than 1 where the week before had this anomaly.

        What was wrong a week ago needs less to be still wrong, or a fault at the limit would flicker.
        """
        return STILL if f"{kind}:{column}" in self.bad.get(self.start - timedelta(days=WEEK), ()) else 1.0

    def spoilt(self, column: str) -> bool:
        """Whether the column's own values are wrong this week, so that nothing can be told by them."""
        return any(
            one.column == column and one.kind in ("nulls", "stuck", "categories", "ids") for one in self.anomalies
        )

    def drop_losses(self) -> None:
        """Take back anomalies of rows lost by the table as a whole, when it is known which segments lost them."""
        self.anomalies[:] = [
            one
            for one in self.anomalies
            if one.kind != "volume" or one.segment_values or one.column or one.observed > one.expected
        ]

    def note(self, *row: object) -> None:
        """Keep a row of the verdict's table; weeks of the past keep none."""
        if self.rows is not None:
            self.rows.append([self.table.asset, *row])

    def anomaly(
        self,
        kind: AnomalyKind,
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
        """Add an anomaly; `operation` "" cannot be re-enacted. `rate` is capped to what a perturbation can say."""
        segment_values = tuple(values)
        begin = first or self.since(kind, column)
        replay = None
        if operation:
            clause = where or (_among(segment, segment_values) if segment_values else "")
            replay = Perturbation(
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
        self.anomalies.append(
            Anomaly(
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


def _among(column: str, values: Sequence[str]) -> str:
    listed = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"cast({column} as varchar) in ({listed})"


def typed(value: str, column_type: str) -> object:
    """Return a value of the profile (text) as its column holds it, for a perturbation that sets it."""
    kind = kind_of(column_type)
    if kind == "number":
        number = float(value)
        return int(number) if number == int(number) else number
    if kind == "flag":
        return value.lower() in ("true", "1", "t")
    return value
