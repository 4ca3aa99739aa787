"""The quality of what arrives: census, profile and anomalies, and the checks that show them on each monitored table.

A failing check stands on the page of the table where a repair starts.
"""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from assets.reporting import Materialized, table
from resources.airbyte import RawWorkspace
from resources.clock import Clock
from resources.dbt import DbtRunner
from resources.figures import figures
from resources.warehouse.contract import Warehouse
from steps.ownership import owner_of
from steps.profiling import MEASURED_ROWS, profile_new_weeks
from steps.quality import judge_arrivals, measures_of_newest_week, newest_anomalies
from steps.tables import ANOMALIES, CANONICAL, CENSUS, DELIVERIES, FEATURE_FRAME, OUTCOMES, PROFILE, described

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
    """Return census, profile, deliveries and anomalies, and the quality checks of everything that is monitored.

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
                (
                    DELIVERIES,
                    "One row a day or key of a raw table whenever it came, changed or went, with a digest of its rows: "
                    "what was there when a week was served. Tells which correction upstream restated served rows.",
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
    ) -> Iterator[Materialized]:
        weeks = profile_new_weeks(warehouse, airbyte, dbt, config.most_rows, log=context.log.info)
        yield dg.MaterializeResult(asset_key=CENSUS, metadata=described(warehouse, CENSUS))
        yield dg.MaterializeResult(
            asset_key=PROFILE, metadata={**described(warehouse, PROFILE), "weeks_measured": len(weeks)}
        )
        yield dg.MaterializeResult(asset_key=DELIVERIES, metadata=described(warehouse, DELIVERIES))

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
    ) -> Materialized:
        found, sentence = judge_arrivals(warehouse, airbyte, dbt, clock, log=context.log.info)
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
        found = newest_anomalies(warehouse)
        measures = measures_of_newest_week(warehouse)
        # A judged week has a row at least, its verdict.
        judged = len(found) > 0
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
                description=" ".join(failing["sentence"])
                or _nothing(measures.get(key.asset_key.to_user_string()), judged),
                metadata={
                    **figures(len(failing) if judged else None, 0, "observations outside their limits, at most"),
                    **(
                        {"anomalies": table(failing), "repair_starts_at": key.asset_key.to_user_string()}
                        if len(failing)
                        else {}
                    ),
                },
            )

    return [profile, anomalies, quality]


def _nothing(measures: int | None, judged: bool) -> str:
    """Say that a table has no anomaly; `measures` is how many numbers of its newest week are held against its past."""
    if not judged:
        return "Nothing was judged yet."
    counted = f" Its newest week has {measures:,} measures." if measures else ""
    return f"As its own past leads to expect.{counted}"
