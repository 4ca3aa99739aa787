"""Is what arrived right? Each week measured as it stood, judged against its own past, before any model is asked.

The measures and the judgement are in `ml_models/judgement`; here is where they run, what they become in the warehouse,
and which checks show them on the page of the table where a repair starts.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from assets.problem.frame import FEATURE_FRAME
from assets.problem.predictions import due_cutoff
from assets.problem.training import OUTCOMES
from assets.reporting import table
from resources.airbyte import RawWorkspace
from resources.clock import Clock
from resources.dbt import DbtRunner
from resources.warehouse import POPULATION, LocalWarehouse, Warehouse, share_of
from steps.as_of import audited, early_until, frame_until, newest_cutoff, outcomes_until, profile_until
from steps.monitored_tables import columns_of, monitored_tables, take_census
from steps.ownership import owner_of
from steps.tables import TABLES, described, ensure, typed

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable
    from ml_models.monitoring.types import Anomaly

CENSUS = dg.AssetKey(["monitoring", "census"])
PROFILE = dg.AssetKey(["monitoring", "profile"])
ANOMALIES = dg.AssetKey(["monitoring", "anomalies"])

CANONICAL = tuple(
    dg.AssetKey(path.split("/")) for path in ("staging/stg_order_lines", "staging/stg_products", "marts/order_lines")
)

FAMILIES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "schema_holds": (("schema",), "Every column is there with the type that it had; a new column is welcome."),
    "arrives_as_usual": (
        ("stale", "volume", "hours"),
        "Whole days arrive on time, with the rows, shops and hours that this weekday and these weeks usually have.",
    ),
    "values_as_usual": (
        ("nulls", "stuck", "categories", "range"),
        "Nulls, modal values, categories and ranges are those of the table's own past, as a whole and by segment.",
    ),
    "keys_hold": (
        ("keys", "orphans", "replay"),
        "Keys are unique, find their partner, and no content comes again under new keys.",
    ),
    "entities_as_usual": (("ids",), "Those who act this week are those of the weeks before, give or take the usual."),
    "knows_no_future": (
        ("future",),
        "Built again from the days before the cutoff only, the stored features come out the same.",
    ),
    "labels_hold": (("labels",), "No outcome contradicts the orders that it is made of, none is closed early."),
}
"""Checks of quality: the kinds of anomalies that each shows, and what it promises."""

_EVENTS = ("schema_holds", "arrives_as_usual", "values_as_usual", "keys_hold", "entities_as_usual")
_SNAPSHOT = ("schema_holds", "arrives_as_usual", "values_as_usual", "keys_hold")


MEASURED_ROWS = 2_000_000
"""Rows of a table that are measured together: with what grouping them takes some 1 GB."""


class MeasureConfig(dg.Config):
    """`most_rows`: how many rows of a table are measured together; of a longer history, a few weeks at a time."""

    most_rows: int = MEASURED_ROWS


def checks_of(raw: Sequence[dg.AssetKey]) -> list[dg.AssetCheckKey]:
    """Return the quality checks: which families each monitored asset has."""
    wanted: dict[dg.AssetKey, tuple[str, ...]] = dict.fromkeys(raw, _EVENTS)
    wanted |= {key: _EVENTS if key.path[-1] == "stg_order_lines" else _SNAPSHOT for key in CANONICAL}
    wanted[FEATURE_FRAME] = ("values_as_usual", "knows_no_future")
    wanted[OUTCOMES] = ("labels_hold",)
    return [dg.AssetCheckKey(key, family) for key, families in wanted.items() for family in families]


def quality_assets(raw: Sequence[dg.AssetKey]) -> list[dg.AssetsDefinition]:
    """Return census, profile and anomalies, and the quality checks of everything that is monitored.

    `raw` are the keys of the streams that the connections land.
    """

    @dg.multi_asset(
        name="profile",
        specs=[
            dg.AssetSpec(
                key,
                deps=[*raw, *CANONICAL],
                group_name="monitoring",
                owners=[owner_of(key)],
                kinds={"duckdb"},
                description=text,
            )
            for key, text in (
                (
                    CENSUS,
                    "One row a monitored column: how many values it has and how long they live. Taken once, on healthy "
                    "history; what is an identifier, a category or a number follows from it and does not flip later.",
                ),
                (
                    PROFILE,
                    "One row a week and measure of every monitored table, as it stood then: rows by day, hour and "
                    "segment, nulls, modal values, quantiles, categories, keys, overlap with the weeks before. Never "
                    "measured again, so a judgement of the past stays what it was. Read by monitoring/anomalies.",
                ),
            )
        ],
    )
    def profile(
        context: dg.AssetExecutionContext,
        config: MeasureConfig,
        warehouse: Warehouse,
        airbyte: RawWorkspace,
        dbt: DbtRunner,
    ) -> Iterator[dg.MaterializeResult]:
        ensure(warehouse, CENSUS, PROFILE)
        weeks = _weeks_to_measure(warehouse)
        if weeks:
            # Not before the first cutoff: what an identifier is shows only in weeks of data, and the census stays.
            local = warehouse.local()
            share = share_of(local)
            if share != _share_measured(warehouse):
                # Rows of other customers cannot be compared: all weeks that are there are measured of these.
                weeks = _weeks_to_measure(warehouse, again=True)
            _measure(context, warehouse, local, share, _census(warehouse, local, airbyte, dbt), weeks, config.most_rows)
        yield dg.MaterializeResult(asset_key=CENSUS, metadata=described(warehouse, CENSUS))
        yield dg.MaterializeResult(
            asset_key=PROFILE, metadata={**described(warehouse, PROFILE), "weeks_measured": len(weeks)}
        )

    @dg.asset(
        key=ANOMALIES,
        deps=[PROFILE, FEATURE_FRAME, OUTCOMES],
        group_name="monitoring",
        owners=[owner_of(ANOMALIES)],
        kinds={"pandas", "duckdb"},
        description=(
            "One row a failing observation: what was seen, what was expected, in which segment and days, and who "
            "starts the repair where; and one row a week with the verdict. Each also fails a check on its table."
        ),
    )
    def anomalies(
        context: dg.AssetExecutionContext,
        warehouse: Warehouse,
        airbyte: RawWorkspace,
        dbt: DbtRunner,
        clock: Clock,
    ) -> dg.MaterializeResult:
        found, sentence = judge_arrivals(warehouse, airbyte, dbt, clock)
        context.log.info(sentence)
        return dg.MaterializeResult(
            metadata={**described(warehouse, ANOMALIES), "verdict": sentence, "anomalies": table(found)}
        )

    keys = checks_of(raw)

    @dg.multi_asset_check(
        name="quality",
        specs=[
            dg.AssetCheckSpec(
                key.name,
                asset=key.asset_key,
                additional_deps=[ANOMALIES],
                description=FAMILIES[key.name][1],
                metadata={"owner": owner_of(key.asset_key)},
            )
            for key in keys
        ],
        can_subset=True,
    )
    def quality(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> Iterator[dg.AssetCheckResult]:
        """Show the newest anomalies on the tables that they are about."""
        found = warehouse.read(
            "select * from monitoring.anomalies where cutoff_date = (select max(cutoff_date) from monitoring.anomalies)"
        )
        for key in keys:
            if key not in context.selected_asset_check_keys:
                continue
            kinds = FAMILIES[key.name][0]
            failing = found[(found["asset"] == key.asset_key.to_user_string()) & found["kind"].isin(kinds)]
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=failing.empty,
                severity=dg.AssetCheckSeverity.WARN,
                description=" ".join(failing["sentence"]) or "As its own past leads to expect.",
                metadata={"anomalies": table(failing), "repair_starts_at": key.asset_key.to_user_string()}
                if len(failing)
                else {},
            )

    return [profile, anomalies, quality]


def monitored_now(warehouse: Warehouse, airbyte: RawWorkspace, dbt: DbtRunner) -> "tuple[MonitoredTable, ...]":
    """Return the monitored tables by the census taken so far."""
    census = warehouse.read("select * from monitoring.census")
    return monitored_tables(airbyte.plans(), dbt.variables(), census)


def _census(
    warehouse: Warehouse, local: LocalWarehouse, airbyte: RawWorkspace, dbt: DbtRunner
) -> "tuple[MonitoredTable, ...]":
    """Count what was not counted yet, and return what is monitored."""
    known = warehouse.read("select * from monitoring.census")
    census = take_census(local.read, airbyte.plans(), dbt.variables(), known)
    if len(census) > len(known):
        warehouse.replace_table("monitoring", "census", census)
    return monitored_tables(airbyte.plans(), dbt.variables(), census)


def _measure(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    local: LocalWarehouse,
    share: float,
    tables: "Sequence[MonitoredTable]",
    weeks: "Sequence[date]",
    most_rows: int,
) -> None:
    """Measure these weeks (their first days) of every monitored table, and add them to the profile."""
    from ml_models.monitoring.data_quality.monitored_tables import fitted
    from ml_models.monitoring.data_quality.profile_sql import as_profile, measure_sql
    from ml_models.monitoring.data_quality.thresholds import WEEK

    columns = columns_of(local.read)
    first, last = weeks[0], weeks[-1] + timedelta(days=WEEK - 1)
    parts = []
    with local.connect() as connection:
        for monitored in tables:
            present = fitted(monitored, columns.get(monitored.asset, {}))
            # A snapshot is only known as it stands: it is measured for the newest week.
            spans = [(weeks[-1], last)]
            if monitored.time_sql and present.columns:
                [rows] = connection.execute(f"select count(*) from {present.relation}").fetchone() or [0]
                spans = _spans(weeks, rows, most_rows)
            statements = [one for begin, end in spans for one in measure_sql(present, begin, end)]
            parts += [connection.execute(statement).fetchdf() for statement in statements]
    measured = as_profile([*parts, _share_rows(share, weeks)])
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    warehouse.replace_partitions("monitoring", "profile", measured, column="period_start", values=days)
    context.log.info(f"profile: {len(measured):,} measures of {len(weeks)} week(s), {len(tables)} tables")


def _spans(weeks: "Sequence[date]", rows: int, most_rows: int) -> list[tuple[date, date]]:
    """Return the first and last days between which weeks are measured together: some `most_rows` of a table's rows.

    At the first time the table is as long as its weeks; later one week is measured anyway.
    """
    together = max(most_rows * len(weeks) // max(rows, 1), 1)
    return [
        (weeks[start], weeks[min(start + together, len(weeks)) - 1] + timedelta(days=6))
        for start in range(0, len(weeks), together)
    ]


SHARE = "share_of_customers"
"""The measure that says of which share of customers a week was measured; without it, of all."""


def _share_rows(share: float, weeks: "Sequence[date]") -> "pd.DataFrame":
    """Return the rows of the profile that say of which share of customers these weeks were measured."""
    import pandas as pd

    from ml_models.monitoring.data_quality.profile_sql import MEASURE_COLUMNS

    schema, table_name = POPULATION
    rows = [(f"{schema}/{table_name}", "", SHARE, "", week, 0, share) for week in weeks if share < 1]
    return pd.DataFrame(rows, columns=MEASURE_COLUMNS)


def _share_measured(warehouse: Warehouse) -> float:
    """Return of which share of customers the newest week was measured; 1 before the first."""
    found = warehouse.read(
        "select min(value) as share from monitoring.profile where measure = ? and period_start = "
        "(select max(period_start) from monitoring.profile where measure = 'rows')",
        [SHARE],
    )["share"].iloc[0]
    return 1.0 if found != found else float(found)


def _weeks_to_measure(warehouse: Warehouse, *, again: bool = False) -> list[date]:
    """Return the first days of whole weeks that are delivered, ascending, without holes: `again` all, else new ones."""
    found = warehouse.read(
        "select (select max(cutoff_date) from features.cutoffs) as newest, "
        "(select min(ordered_on) from staging.stg_order_lines) as first_day, "
        "(select max(period_start) from monitoring.profile where measure = 'rows') as measured"
    ).iloc[0]
    if found["newest"] != found["newest"] or found["first_day"] != found["first_day"]:
        return []
    newest = found["newest"].date()
    if again or found["measured"] != found["measured"]:
        weeks = (newest - found["first_day"].date()).days // 7
        begin = newest - timedelta(days=7 * weeks)
    else:
        begin = found["measured"].date() + timedelta(days=7)
    return [begin + timedelta(days=7 * number) for number in range(max((newest - begin).days // 7, 0))]


def arrival_anomalies(
    warehouse: Warehouse, local: LocalWarehouse, tables: "Sequence[MonitoredTable]", cutoff: date
) -> "tuple[Anomaly, ...]":
    """Return which tables lack whole days on the morning of a cutoff."""
    from ml_models.monitoring.data_quality import judge_arrival

    profile = profile_until(warehouse, cutoff)
    anomalies: list[Anomaly] = []
    for monitored in tables:
        if not monitored.time_sql or monitored.of:
            continue
        days = local.read(
            f"select max(cast({monitored.time_sql} as date)) as day from {monitored.relation} "
            f"where {monitored.time_sql} < cast(? as date)",
            [cutoff],
        )["day"].iloc[0]
        anomalies += judge_arrival(profile, monitored, cutoff, None if days != days else days.date())
    return tuple(anomalies)


def schema_anomalies(warehouse: Warehouse, local: LocalWarehouse, cutoff: date) -> "tuple[Anomaly, ...]":
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


def judge_arrivals(
    warehouse: Warehouse, airbyte: RawWorkspace, dbt: DbtRunner, clock: Clock
) -> "tuple[pd.DataFrame, str]":
    """Judge what arrived before the cutoff that is due, write its anomalies, and return them with the verdict."""
    from ml_models.monitoring.data_quality import judge_as_of, judge_frame, judge_outcomes, judge_quality
    from ml_models.problems.lapse.problem import PROBLEM

    ensure(warehouse, ANOMALIES)
    cutoff = due_cutoff(newest_cutoff(warehouse), clock)
    if cutoff is None:
        return warehouse.read("select * from monitoring.anomalies"), "Nothing to judge yet: there is no cutoff."
    local = warehouse.local()
    # Not by an earlier judgement of this week: the past may have been repaired since.
    past, tables = bad_weeks(warehouse, cutoff, {cutoff - timedelta(days=7)}), monitored_now(warehouse, airbyte, dbt)
    verdict = judge_quality(profile_until(warehouse, cutoff), tables, cutoff, past)
    found = [
        *schema_anomalies(warehouse, local, cutoff),
        *arrival_anomalies(warehouse, local, tables, cutoff),
        *verdict.anomalies,
    ]
    if not found:
        # What is made of rows that arrived wrong is wrong too, and that is said already.
        share = share_of(local)
        frame = frame_until(warehouse, cutoff, share)
        outcomes, early = outcomes_until(warehouse, cutoff, share), early_until(warehouse, cutoff, share)
        found += judge_frame(frame, PROBLEM, cutoff)
        found += judge_outcomes(outcomes, cutoff, PROBLEM.entity, PROBLEM.label, early=early)
        rebuilt = audited(dbt, warehouse, local, cutoff - timedelta(days=PROBLEM.horizon_days))
        if rebuilt is not None:
            found += judge_as_of(frame, rebuilt, PROBLEM.features, PROBLEM.entity)
    sentence = verdict.sentence if verdict.anomalies or not found else found[0].sentence
    rows = _anomaly_rows(found, cutoff)
    whole, cutoffs = [rows, _verdict_row(sentence, cutoff)], {cutoff}
    if past is None:
        # The weeks of the past were judged just now; what was bad in them must be known next week too. Of a cutoff that
        # has a verdict, what was said then stands.
        known, judged = _cutoffs_of_anomalies(warehouse)
        before = _past_rows(verdict.bad_weeks, cutoff)
        before = before[~before["cutoff_date"].dt.date.isin(judged)]
        whole.append(before)
        cutoffs |= {day for day in known - judged if day < cutoff} | set(before["cutoff_date"].dt.date)
    warehouse.replace_partitions(
        "monitoring", "anomalies", _stacked(whole), column="cutoff_date", values=sorted(cutoffs)
    )
    return rows, sentence


VERDICT = "verdict"


def bad_weeks(
    warehouse: Warehouse, cutoff: date, judged_at: Collection[date]
) -> dict[str, dict[date, tuple[str, ...]]] | None:
    """Return the weeks before `cutoff` that had anomalies, by asset and first day; None if `judged_at` has no verdict.

    Whoever judges a week without knowing its past writes down that past too, so one judged cutoff is enough.
    """
    ensure(warehouse, ANOMALIES)
    anomalies = warehouse.read(
        "select distinct cutoff_date, asset, kind, column_name from monitoring.anomalies order by 1, 2, 3, 4"
    )
    judged = {stamp.date() for stamp in anomalies.loc[anomalies["kind"] == VERDICT, "cutoff_date"]}
    if not judged & set(judged_at):
        return None
    found: dict[str, dict[date, tuple[str, ...]]] = {}
    for row in anomalies[(anomalies["kind"] != VERDICT) & (anomalies["cutoff_date"].dt.date < cutoff)].itertuples():
        weeks = found.setdefault(str(row.asset), {})
        week = row.cutoff_date.date() - timedelta(days=7)
        weeks[week] = (*weeks.get(week, ()), f"{row.kind}:{row.column_name}")
    return found


def _cutoffs_of_anomalies(warehouse: Warehouse) -> tuple[set[date], set[date]]:
    """Return the cutoffs that have rows, and those of them that have a verdict of their own."""
    anomalies = warehouse.read("select distinct cutoff_date, kind from monitoring.anomalies")
    days = anomalies["cutoff_date"].dt.date
    return set(days), set(days[anomalies["kind"] == VERDICT])


def _anomaly_rows(anomalies: "Sequence[Anomaly]", cutoff: date) -> "pd.DataFrame":
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


def _past_rows(weeks: "Mapping[str, Mapping[date, tuple[str, ...]]]", cutoff: date) -> "pd.DataFrame":
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


def _rows(records: "Iterable[Mapping[str, object]]") -> "pd.DataFrame":
    import pandas as pd

    return typed(pd.DataFrame(list(records), columns=list(TABLES[("monitoring", "anomalies")])), ANOMALIES)


def _stacked(parts: "Sequence[pd.DataFrame]") -> "pd.DataFrame":
    import pandas as pd

    return pd.concat([part for part in parts if len(part)] or [parts[0]], ignore_index=True)
