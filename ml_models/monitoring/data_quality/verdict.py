"""The judgement on one cutoff: which weeks were healthy, what is judged of which table, and what it comes to.

The kinds of judgement are called from here in turn: a later one may take back what an earlier one found.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

import numpy as np
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.categories import judge_categories
from ml_models.monitoring.data_quality.closings import with_recurring
from ml_models.monitoring.data_quality.history import History
from ml_models.monitoring.data_quality.hours import judge_hours
from ml_models.monitoring.data_quality.identities import judge_identities
from ml_models.monitoring.data_quality.losses import judge_losses
from ml_models.monitoring.data_quality.missing import name_the_missing
from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable
from ml_models.monitoring.data_quality.newcomers import judge_newcomers
from ml_models.monitoring.data_quality.outages import judge_silence, judge_unevenness
from ml_models.monitoring.data_quality.parts import judge_parts
from ml_models.monitoring.data_quality.prices import judge_prices
from ml_models.monitoring.data_quality.scalars import judge_scalars
from ml_models.monitoring.data_quality.segments import judge_segments
from ml_models.monitoring.data_quality.source_counts import Counted
from ml_models.monitoring.data_quality.thresholds import (
    FEW_ROWS,
    FEW_RULES,
    HISTORY,
    KEPT_WEEKS,
    MINIMUM_ROWS,
    MINIMUM_WINDOWS,
    RULES,
    SEVERITY,
    SNAPSHOT_RULES,
    WEEK,
)
from ml_models.monitoring.data_quality.volume import judge_past_days, judge_volume
from ml_models.monitoring.data_quality.window import Window
from ml_models.monitoring.types import Anomaly

Status = Literal["pass", "fail", "insufficient evidence"]
BadWeeks = Mapping[str, Mapping[date, tuple[str, ...]]]

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

    `anomalies`: what fails now, most severe first. `table`: one row a judged measure of the whole table and one a
    finding in segments (TABLE_COLUMNS). `bad_weeks`: asset -> first day of each week that had an anomaly -> the kinds;
    hand it to next week's judgement, or the past is judged again.
    """

    status: Status
    cutoff: date
    anomalies: tuple[Anomaly, ...]
    table: pd.DataFrame
    sentence: str
    bad_weeks: Mapping[str, Mapping[date, tuple[str, ...]]] = field(default_factory=dict)


def judge_quality(
    profile: pd.DataFrame,
    tables: Sequence[MonitoredTable],
    cutoff: date,
    bad_weeks: BadWeeks | None = None,
    closed_days: Collection[date] = (),
    counted: Mapping[str, Counted] | None = None,
) -> QualityVerdict:
    """Judge the week before `cutoff` by the measures (MEASURE_COLUMNS) of all weeks up to it; later ones are ignored.

    `bad_weeks` is what the verdict of a week ago carried; without it the weeks of the past are judged first, one by
    one. On `closed_days`, if the business knows them, rows may be missing, and on days that lacked them each time they
    recurred. `counted`: by asset, what the source counts of this week. Says "insufficient evidence" when no table
    has six healthy weeks before this one, or none was measured in this week.
    """
    start = cutoff - timedelta(days=WEEK)
    histories = []
    days = cutoff_dates(profile["period_start"]).to_numpy().astype("datetime64[D]")
    number = (days - np.datetime64(cutoff)).astype("int64")
    inside = (number < 0) & (number >= -WEEK * KEPT_WEEKS)
    recent = profile[inside].assign(number=number[inside])
    by_asset = dict(list(recent.groupby("asset", observed=True, sort=False)))
    for table in tables:
        mine = by_asset.get(table.asset)
        history = History.of(mine, table, cutoff) if mine is not None else None
        if history is not None:
            histories.append(history)
    found_bad: dict[str, dict[date, tuple[str, ...]]] = {
        asset: dict(weeks) for asset, weeks in (bad_weeks or {}).items()
    }
    companions = [history for history in histories if history.table.of]
    if bad_weeks is None:
        for history in histories:
            closed = with_recurring(profile, history, closed_days, history.weeks[0])
            _judge_past(history, found_bad.setdefault(history.table.asset, {}), closed, companions)
    whole = [history for history in histories if history.weeks[-1] == start and _all_arrived(history, counted or {})]
    rows: list[list[object]] = []
    anomalies: list[Anomaly] = []
    judged = 0
    for history in histories:
        if history.weeks[-1] != start or len(history.weeks) <= MINIMUM_WINDOWS:
            continue
        judged += 1
        bad = found_bad.setdefault(history.table.asset, {})
        closed = with_recurring(profile, history, closed_days, start)
        found = _judge_week(history, len(history.weeks) - 1, bad, rows, closed, companions, whole)
        if found:
            bad[start] = _kinds(found)
        anomalies += found
    table_ = pd.DataFrame(rows, columns=TABLE_COLUMNS)
    if not judged:
        sentence = messages.too_little(cutoff, MINIMUM_WINDOWS)
        return QualityVerdict("insufficient evidence", cutoff, (), table_, sentence, found_bad)
    if anomalies:
        kinds = list(dict.fromkeys(f"{one.asset}: {one.kind}" for one in anomalies))
        sentence = messages.faults(cutoff, len(anomalies), kinds, anomalies[0].sentence)
        return QualityVerdict("fail", cutoff, tuple(anomalies), table_, sentence, found_bad)
    return QualityVerdict("pass", cutoff, (), table_, messages.clean(cutoff, judged, len(table_)), found_bad)


def _all_arrived(history: History, counted: Mapping[str, Counted]) -> bool:
    """Whether the source's own count proves that no row of the newest week was lost on the way.

    It must be of as many records as the week has rows: a source that counts a part of what it sends proves nothing.
    """
    count = counted.get(history.table.asset)
    return count is not None and count.said == count.came >= float(history.one("rows")[-1])


def _judge_past(
    history: History,
    bad: dict[date, tuple[str, ...]],
    closed_days: Collection[date],
    companions: Sequence[History],
) -> None:
    """Judge the weeks before the newest one in their order, and add those that had anomalies to `bad`."""
    for position in range(MINIMUM_WINDOWS, len(history.weeks) - 1):
        found = _judge_week(history, position, bad, None, closed_days, companions)
        if found:
            bad[history.weeks[position]] = _kinds(found)


def _kinds(anomalies: Sequence[Anomaly]) -> tuple[str, ...]:
    """Return what was wrong as `kind:column`, and in which segment as `kind:column@segment` beside it."""
    whole = [f"{one.kind}:{one.column}" for one in anomalies]
    within = [f"{one.kind}:{one.column}@{one.segment_column}" for one in anomalies if one.segment_column]
    return tuple(dict.fromkeys([*whole, *within]))


def _judge_week(
    history: History,
    position: int,
    bad: Mapping[date, tuple[str, ...]],
    rows: list[list[object]] | None,
    closed_days: Collection[date] = (),
    companions: Sequence[History] = (),
    whole: Sequence[History] = (),
) -> list[Anomaly]:
    """Return the anomalies of one week of one table."""
    healthy = np.array(
        [place for place in range(position) if history.weeks[place] not in bad][-HISTORY:], dtype="int64"
    )
    if len(healthy) < MINIMUM_WINDOWS:
        return []
    window = Window(history, position, healthy, bad, rows, closed_days, companions, whole=whole)
    if not history.table.time_sql:
        judge_scalars(window, SNAPSHOT_RULES)
        judge_categories(window)
        return _ordered(window.anomalies)
    rows_now = history.one("rows")[position]
    if history.table.of:
        if rows_now >= MINIMUM_ROWS:
            judge_scalars(window, {name: RULES[name] for name in ("null_share", "modal_share", "distinct")})
            judge_categories(window)
        return _ordered(window.anomalies)
    judge_volume(window)
    judge_past_days(window)
    if rows_now >= MINIMUM_ROWS:
        judge_scalars(window, RULES)
        judge_hours(window)
        judge_categories(window)
        judge_silence(window)
        judge_parts(window)
        judge_unevenness(window)
        judge_segments(window)
        judge_prices(window)
        judge_identities(window)
        judge_newcomers(window)
        judge_losses(window)
    elif rows_now >= FEW_ROWS:
        judge_scalars(window, FEW_RULES)
        judge_identities(window)
    name_the_missing(window)
    return _ordered(window.anomalies)


def _ordered(anomalies: list[Anomaly]) -> list[Anomaly]:
    return sorted(anomalies, key=lambda one: (SEVERITY.index(one.kind), -one.rate))
