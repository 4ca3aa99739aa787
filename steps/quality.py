"""Is what arrived right? Each week judged against its own past, before any model is asked; and what was said of it.

The judgement is in `ml_models/monitoring/data_quality`; here its evidence is read, and its anomalies are written with
one verdict a week.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from ml_models.monitoring.types import Anomaly
from resources.airbyte import RawWorkspace
from resources.clock import Clock
from resources.dbt import DbtRunner
from resources.warehouse.contract import LocalWarehouse, Warehouse
from resources.warehouse.local_copy import share_of
from steps.as_of import (
    audit_of,
    due_cutoff,
    early_until,
    frame_until,
    ledger,
    newest_cutoff,
    outcomes_until,
    profile_until,
)
from steps.closed_days import closed_days
from steps.migrations import ensure
from steps.monitored_tables import columns_of
from steps.ownership import owner_of
from steps.problem import problem
from steps.profiling import monitored_now
from steps.repairs import note_repairs
from steps.source_counts import source_counts
from steps.tables import ANOMALIES, TABLES, typed

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable

VERDICT = "verdict"
"""The kind of the one row a week that says what the judgement came to."""


def judge_arrivals(
    warehouse: Warehouse, airbyte: RawWorkspace, dbt: DbtRunner, clock: Clock, *, log: Callable[[str], None]
) -> "tuple[pd.DataFrame, str]":
    """Judge what arrived before the cutoff that is due, write its anomalies, and return them with the verdict.

    What was repaired and computed again since is freed before that, and `log` is told.
    """
    from ml_models.monitoring.data_quality import audited, judge_frame, judge_outcomes, judge_quality
    from ml_models.monitoring.data_quality.source_counts import with_source_counts

    ensure(warehouse, ANOMALIES)
    cutoff = due_cutoff(newest_cutoff(warehouse), clock)
    if cutoff is None:
        return warehouse.read("select * from monitoring.anomalies"), "Nothing to judge yet: there is no cutoff."
    local, tables, closed = warehouse.local(), monitored_now(warehouse, airbyte, dbt), closed_days(warehouse, cutoff)

    def known(at: date) -> dict[str, dict[date, tuple[str, ...]]] | None:
        return bad_weeks(warehouse, at, {at - timedelta(days=7)})

    for repaired in note_repairs(warehouse, local, tables, clock.now(), known, closed):
        log(repaired)
    # Not by an earlier judgement of this week: the past may have been repaired since.
    past = known(cutoff)
    profile = profile_until(warehouse, cutoff)
    counted = source_counts(warehouse, cutoff)
    verdict = judge_quality(profile, tables, cutoff, past, closed, counted)
    arrived = [
        *schema_anomalies(warehouse, local, cutoff),
        *arrival_anomalies(profile, local, tables, cutoff, closed),
        *verdict.anomalies,
    ]
    found = [*with_source_counts(arrived, counted, cutoff)]
    if not found:
        # What is made of rows that arrived wrong is wrong too, and that is said already.
        share = share_of(local)
        frame = frame_until(warehouse, cutoff, share)
        outcomes, early = outcomes_until(warehouse, cutoff, share), early_until(warehouse, cutoff, share)
        found += judge_frame(frame, problem(), cutoff)
        found += judge_outcomes(outcomes, problem(), cutoff, early=early)
        found += audited(frame, audit_of(dbt, warehouse, local, cutoff), problem().features, problem().entity)[0]
    sentence = verdict.sentence if verdict.anomalies or not found else found[0].sentence
    rows = _anomaly_rows(found, cutoff)
    whole, cutoffs = [rows, _verdict_row(sentence, cutoff)], {cutoff}
    if past is None:
        # The weeks of the past were judged just now; what was bad in them must be known next week too. Of a cutoff that
        # has a verdict, what was said then stands.
        stored, judged = _cutoffs_of_anomalies(warehouse)
        before = _past_rows(verdict.bad_weeks, cutoff)
        before = before[~before["cutoff_date"].dt.date.isin(judged)]
        whole.append(before)
        cutoffs |= {day for day in stored - judged if day < cutoff} | set(before["cutoff_date"].dt.date)
    warehouse.replace_partitions(
        "monitoring", "anomalies", _stacked(whole), column="cutoff_date", values=sorted(cutoffs)
    )
    return rows, sentence


def newest_anomalies(warehouse: Warehouse) -> "pd.DataFrame":
    """Return the rows of the newest judged cutoff, its verdict included: the columns of `monitoring.anomalies`."""
    ensure(warehouse, ANOMALIES)
    return warehouse.read(
        "select * from monitoring.anomalies where cutoff_date = (select max(cutoff_date) from monitoring.anomalies)"
    )


def measures_of_newest_week(warehouse: Warehouse) -> dict[str, int]:
    """Return how many measures the newest profiled week of each monitored table has, by asset (`schema/name`)."""
    if not warehouse.exists("monitoring", "profile"):
        return {}
    counted = warehouse.read(
        "select asset, count(*) as n from monitoring.profile p "
        "where period_start >= (select max(period_start) from monitoring.profile where measure = 'rows') "
        "group by asset"
    )
    return {str(asset): int(n) for asset, n in zip(counted["asset"], counted["n"], strict=True)}


def bad_weeks(
    warehouse: Warehouse, cutoff: date, judged_at: Collection[date]
) -> dict[str, dict[date, tuple[str, ...]]] | None:
    """Return the weeks before `cutoff` that had anomalies, by asset and first day; None if `judged_at` has no verdict.

    Whoever judges a week without knowing its past writes down that past too, so one judged cutoff is enough.
    """
    from ml_models.monitoring.decision.ledger import explained_by_closing, released_weeks, whole_again

    ensure(warehouse, ANOMALIES)
    anomalies = warehouse.read(
        "select distinct cutoff_date, asset, kind, column_name, first_day, last_day from monitoring.anomalies "
        "order by 1, 2, 3, 4, 5, 6"
    )
    judged = {stamp.date() for stamp in anomalies.loc[anomalies["kind"] == VERDICT, "cutoff_date"]}
    if not judged & set(judged_at):
        return None
    decisions, closed = ledger(warehouse), closed_days(warehouse, cutoff)
    free, whole = released_weeks(decisions), whole_again(decisions)
    found: dict[str, dict[date, tuple[str, ...]]] = {}
    for row in anomalies[(anomalies["kind"] != VERDICT) & (anomalies["cutoff_date"].dt.date < cutoff)].itertuples():
        if explained_by_closing(str(row.kind), row.first_day.date(), row.last_day.date(), closed):
            continue  # said to be right since
        if row.cutoff_date.date() in free or (row.cutoff_date.date(), str(row.asset)) in whole:
            continue
        weeks = found.setdefault(str(row.asset), {})
        week, kind = row.cutoff_date.date() - timedelta(days=7), f"{row.kind}:{row.column_name}"
        if kind not in weeks.get(week, ()):
            weeks[week] = (*weeks.get(week, ()), kind)
    return found


def arrival_anomalies(
    profile: "pd.DataFrame",
    local: LocalWarehouse,
    tables: "Sequence[MonitoredTable]",
    cutoff: date,
    closed: frozenset[date],
) -> tuple[Anomaly, ...]:
    """Return which tables lack whole days on the morning of a cutoff; `closed` days are missed by nobody.

    `profile` is `profile_until` that cutoff.
    """
    from ml_models.monitoring.data_quality import judge_arrival

    anomalies: list[Anomaly] = []
    for monitored in tables:
        if not monitored.time_sql or monitored.of:
            continue
        days = local.read(
            f"select max(cast({monitored.time_sql} as date)) as day from {monitored.relation} "
            f"where {monitored.time_sql} < cast(? as date)",
            [cutoff],
        )["day"].iloc[0]
        newest = None if days != days else days.date()
        anomalies += judge_arrival(profile, monitored, cutoff, newest, closed_days=closed)
    return tuple(anomalies)


def schema_anomalies(warehouse: Warehouse, local: LocalWarehouse, cutoff: date) -> tuple[Anomaly, ...]:
    """Return what is wrong with the columns as they are now, by the census taken on healthy history."""
    from ml_models.monitoring.data_quality import judge_schema

    if not warehouse.exists("monitoring", "census"):
        return ()
    census = warehouse.read("select asset, column_name, column_type from monitoring.census")
    now = columns_of(local.read)
    return tuple(
        anomaly
        for asset, rows in census.groupby("asset", sort=True)
        for anomaly in judge_schema(
            str(asset),
            dict(zip(rows["column_name"], rows["column_type"], strict=True)),
            now.get(str(asset), {}),
            cutoff,
        )
    )


def _cutoffs_of_anomalies(warehouse: Warehouse) -> tuple[set[date], set[date]]:
    """Return the cutoffs that have rows, and those of them that have a verdict of their own."""
    anomalies = warehouse.read("select distinct cutoff_date, kind from monitoring.anomalies")
    days = anomalies["cutoff_date"].dt.date
    return set(days), set(days[anomalies["kind"] == VERDICT])


def _anomaly_rows(anomalies: Sequence[Anomaly], cutoff: date) -> "pd.DataFrame":
    return _rows(
        {
            "cutoff_date": cutoff,
            "asset": anomaly.asset,
            "kind": anomaly.kind,
            "column_name": anomaly.column,
            "segment": f"{anomaly.segment_column} in ({', '.join(anomaly.segment_values[:8])})"
            if anomaly.segment_column
            else "",
            "first_day": anomaly.first_day,
            "last_day": anomaly.last_day,
            "rate": anomaly.rate,
            "observed": anomaly.observed,
            "expected": anomaly.expected,
            "threshold": anomaly.threshold,
            "n": anomaly.n,
            "owner": owner_of(dg.AssetKey(anomaly.asset.split("/"))),
            "sentence": anomaly.sentence,
        }
        for anomaly in anomalies
    )


def _past_rows(weeks: Mapping[str, Mapping[date, tuple[str, ...]]], cutoff: date) -> "pd.DataFrame":
    return _rows(
        {
            "cutoff_date": week + timedelta(days=7),
            "asset": asset,
            "kind": kind,
            "column_name": column,
            "first_day": week,
            "last_day": week + timedelta(days=6),
            "owner": owner_of(dg.AssetKey(asset.split("/"))),
            "sentence": "Found when the past was judged for the first time.",
        }
        for asset, bad in weeks.items()
        for week, kinds in bad.items()
        if week + timedelta(days=7) < cutoff
        for kind, _, column in (found.partition(":") for found in kinds)
    )


def _verdict_row(sentence: str, cutoff: date) -> "pd.DataFrame":
    return _rows([{"cutoff_date": cutoff, "asset": "", "kind": VERDICT, "column_name": "", "sentence": sentence}])


def _rows(records: Iterable[Mapping[str, object]]) -> "pd.DataFrame":
    import pandas as pd

    return typed(pd.DataFrame(list(records), columns=list(TABLES[("monitoring", "anomalies")])), ANOMALIES)


def _stacked(parts: "Sequence[pd.DataFrame]") -> "pd.DataFrame":
    import pandas as pd

    return pd.concat([part for part in parts if len(part)] or [parts[0]], ignore_index=True)
