"""The hand-over: customer features become the feature frame only when the schema holds, cutoff by cutoff."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.company.dbt import RebuildConfig
from assets.reporting import Materialized, column_schema, copied, table
from resources.clock import Clock
from resources.figures import figures
from resources.warehouse import Warehouse
from steps.frame import FRAME_ROWS, InvalidFrameError, extend_frame, newest_rows
from steps.ownership import owner_of
from steps.repairs import note_rebuild
from steps.shop_time import today
from steps.tables import CUSTOMER_FEATURES, CUTOFFS, FEATURE_FRAME, FEED

FRAME_IS_VALID = dg.AssetCheckKey(FEATURE_FRAME, "frame_is_valid")

OLDEST_DATA_DAYS = 3
"""A long weekend without a delivery is ordinary; a fourth day is a feed to look at."""


class FrameConfig(RebuildConfig):
    """`most_rows`: how many rows are validated together; more than that, cutoff by cutoff. See RebuildConfig, too."""

    most_rows: int = FRAME_ROWS


@dg.multi_asset(
    name="feature_frame",
    specs=[
        dg.AssetSpec(
            FEATURE_FRAME,
            deps=[CUSTOMER_FEATURES],
            group_name="features",
            owners=[owner_of(FEATURE_FRAME)],
            kinds={"pandera", "pandas", "duckdb"},
            description=(
                "What the model is fed: one row a customer and weekly cutoff, validated against the "
                "pandera schema in `ml_models/problems/lapse/features.py`. Only new cutoffs are validated and added; a "
                "cutoff that fails is not written, and the previous frame stays. Used by the training set, by "
                "scoring and by the drift checks."
            ),
        ),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            FRAME_IS_VALID.name,
            asset=FEATURE_FRAME,
            blocking=True,
            description="Types, ranges, nulls, unique keys, and no row later than its cutoff; all failures at once.",
            metadata={"owner": owner_of(CUSTOMER_FEATURES)},
        )
    ],
)
def feature_frame(
    context: dg.AssetExecutionContext, config: FrameConfig, warehouse: Warehouse, clock: Clock
) -> Iterator[Materialized | dg.AssetCheckResult]:
    """Validate the cutoffs that the frame lacks (or that are to be rebuilt) and add them; take out what is none."""
    try:
        made = extend_frame(warehouse, config.rebuild_from, config.most_rows)
    except InvalidFrameError as error:
        failures = {"failures": table(error.report.failures)}
        yield _verdict(len(error.report.failures), str(error), rows=error.rows, cutoffs=error.cutoffs, **failures)
        raise dg.Failure(
            f"{error} Nothing was written; the frame keeps its previous cutoffs. The table of failures is on the check "
            f"`{FRAME_IS_VALID.name}`.",
            metadata=failures,
            allow_retries=False,
        ) from None
    if config.rebuild_from:
        note_rebuild(warehouse, config.rebuild_from, clock.now())
    if made.added or made.removed:
        sentence = f"All checks passed on {made.rows:,} rows."
        context.log.info(f"feature frame: {made.rows:,} rows of {len(made.added)} cutoff(s) added")
    else:
        sentence = "Every cutoff is in the frame already; there was nothing to validate."
    if made.removed:
        went = len(made.removed)
        context.log.warning(f"feature frame: {went} cutoff(s) are none any more and were taken out: {made.removed}")
    yield _verdict(0, sentence, rows=made.rows, cutoffs=len(made.added))
    newest = newest_rows(warehouse, 5)
    yield dg.MaterializeResult(
        asset_key=FEATURE_FRAME,
        metadata={
            "dagster/row_count": warehouse.row_count("features", "feature_frame"),
            "dagster/table_name": "features.feature_frame",
            "dagster/column_schema": column_schema(newest),
            "dagster/column_lineage": copied(newest.columns, (CUSTOMER_FEATURES, newest.columns)),
            "cutoffs_added": len(made.added),
            "rows_added": made.rows,
            "newest_cutoff": str(newest["cutoff_date"].max())[:10] if len(newest) else "none",
            **warehouse.costs(),
        },
    )


def _verdict(
    failed: int, sentence: str, *, rows: int, cutoffs: int, **failures: dg.MetadataValue[Any]
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=FEATURE_FRAME,
        check_name=FRAME_IS_VALID.name,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=sentence,
        metadata={
            "rows_validated": rows,
            "cutoffs_validated": cutoffs,
            **figures(failed, 0, "kinds of failures among these rows, at most"),
            **failures,
        },
    )


@dg.asset_check(
    asset=CUTOFFS,
    name="data_is_recent",
    description=(
        "The newest day that ingestion delivered whole is at most three days behind the clock. Freshness policies "
        "measure when a table was written; only this notices a feed that delivers nothing new."
    ),
    metadata={"owner": owner_of(FEED)},
)
def data_is_recent(warehouse: Warehouse, clock: Clock) -> dg.AssetCheckResult:
    """Compare the watermark with the clock."""
    found = warehouse.read("select max(watermark_date) as watermark from features.cutoffs")["watermark"].iloc[0]
    now, unit = clock.now(), "days behind the clock, at most"
    if found != found:
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description=(
                "There is no cutoff yet, so nothing tells how recent the data is: a whole look-back of orders is "
                "needed, and fewer were delivered."
            ),
            metadata={"clock": now.isoformat(), **figures(None, OLDEST_DATA_DAYS, unit)},
        )
    watermark = found.date()
    # The watermark's day ended at the next midnight; the clock is compared with that, by calendar day.
    day = today(clock)
    age_days = (day - watermark).days - 1
    return dg.AssetCheckResult(
        passed=age_days <= OLDEST_DATA_DAYS,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"Data is whole through {watermark}, {age_days} day(s) behind the clock ({day}); at most "
            f"{OLDEST_DATA_DAYS} are expected."
        ),
        metadata={
            "watermark": str(watermark),
            "clock": now.isoformat(),
            **figures(age_days, OLDEST_DATA_DAYS, unit),
        },
    )


FEATURE_ASSETS = [feature_frame, data_is_recent]
