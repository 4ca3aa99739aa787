"""The hand-over: customer features become the feature frame only when the schema holds, cutoff by cutoff."""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from assets.company.dbt import RebuildConfig
from assets.reporting import column_schema, table
from resources.clock import Clock
from resources.warehouse import Warehouse
from steps.ownership import owner_of
from steps.shop_time import today

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.validation import FrameReport

FEATURE_FRAME = dg.AssetKey(["features", "feature_frame"])
CUSTOMER_FEATURES = dg.AssetKey(["features", "customer_features"])
CUTOFFS = dg.AssetKey(["features", "cutoffs"])

OLDEST_DATA_DAYS = 3
"""A long weekend without a delivery is ordinary; a fourth day is a feed to look at."""


FRAME_ROWS = 500_000
"""Rows that are validated together: with what pandera copies of them, some 1 GB. A history may have any number."""


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
                "What the model is fed: one row a customer and weekly cutoff, 58 features, validated against the "
                "pandera schema in `ml_models/problems/lapse/features.py`. Only new cutoffs are validated and added; a "
                "cutoff that fails is not written, and the previous frame stays. Used by the training set, by "
                "scoring and by the drift checks."
            ),
        ),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            "frame_is_valid",
            asset=FEATURE_FRAME,
            blocking=True,
            description="Types, ranges, nulls, unique keys, and no row later than its cutoff; all failures at once.",
            metadata={"owner": owner_of(CUSTOMER_FEATURES)},
        )
    ],
)
def feature_frame(
    context: dg.AssetExecutionContext, config: FrameConfig, warehouse: Warehouse
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Validate the cutoffs that the frame lacks (or that are to be rebuilt) and add them; take out what is none."""
    cutoffs = _cutoffs_to_add(warehouse, config.rebuild_from)
    gone = _cutoffs_that_went(warehouse, config.rebuild_from)
    if not cutoffs and not gone:
        if not warehouse.exists("features", "feature_frame"):
            # Less than twelve weeks were delivered yet. What reads the frame finds no cutoff then, instead of no table.
            empty = warehouse.read("select * from features.customer_features limit 0")
            warehouse.replace_table("features", "feature_frame", empty)
        yield _verdict(True, "Every cutoff is in the frame already; there was nothing to validate.", rows=0, cutoffs=0)
        yield _report(warehouse, cutoffs_added=0, rows_added=0)
        return

    # pandera takes seconds to load; a day without a new cutoff does not need it.
    from ml_models.problems.lapse.features import frame_schema
    from ml_models.validation import validate_frame

    known, rows = _known_cutoffs(warehouse), 0

    def validated() -> "Iterator[pd.DataFrame]":
        nonlocal rows
        for some in _groups(warehouse, cutoffs, config.most_rows):
            marks = ", ".join("?" for _ in some)
            features = warehouse.read(
                f"select * from features.customer_features where cutoff_date in ({marks}) "
                "order by cutoff_date, customer_id",
                some,
            )
            report = validate_frame(features, frame_schema(known, required=some))
            rows += len(features)
            if report.frame is None:
                raise _InvalidFrameError(report)
            yield report.frame

    try:
        values = [*cutoffs, *gone]
        warehouse.replace_partitions_by("features", "feature_frame", validated(), column="cutoff_date", values=values)
    except _InvalidFrameError as error:
        failures = {"failures": table(error.report.failures)}
        yield _verdict(False, error.report.sentence, rows=rows, cutoffs=len(cutoffs), **failures)
        raise dg.Failure(
            f"{error.report.sentence} Nothing was written; the frame keeps its previous cutoffs. The table of failures "
            "is on the check `frame_is_valid`.",
            metadata=failures,
            allow_retries=False,
        ) from None
    yield _verdict(True, f"All checks passed on {rows:,} rows.", rows=rows, cutoffs=len(cutoffs))
    context.log.info(f"feature frame: {rows:,} rows of {len(cutoffs)} cutoff(s) added")
    if gone:
        context.log.warning(f"feature frame: {len(gone)} cutoff(s) are none any more and were taken out: {gone}")
    yield _report(warehouse, cutoffs_added=len(cutoffs), rows_added=rows)


class _InvalidFrameError(Exception):
    def __init__(self, report: "FrameReport") -> None:
        super().__init__(report.sentence)
        self.report = report


def _groups(warehouse: Warehouse, cutoffs: list[date], most_rows: int) -> Iterator[list[date]]:
    """Yield the cutoffs in groups that are validated together: `most_rows` rows or less, or one cutoff."""
    if not cutoffs:
        return
    marks = ", ".join("?" for _ in cutoffs)
    counted = warehouse.read(
        "select cutoff_date, count(*) as n from features.customer_features "
        f"where cutoff_date in ({marks}) group by cutoff_date order by cutoff_date",
        cutoffs,
    )
    group: list[date] = []
    held = 0
    for cutoff, rows in zip(counted["cutoff_date"], counted["n"], strict=True):
        if group and held + rows > most_rows:
            yield group
            group, held = [], 0
        group.append(cutoff.date())
        held += rows
    if group:
        yield group


def _verdict(
    passed: bool, sentence: str, *, rows: int, cutoffs: int, **failures: dg.MetadataValue
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=FEATURE_FRAME,
        check_name="frame_is_valid",
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=sentence,
        metadata={"rows_validated": rows, "cutoffs_validated": cutoffs, **failures},
    )


def _report(warehouse: Warehouse, *, cutoffs_added: int, rows_added: int) -> dg.MaterializeResult:
    # Named, not sorted for: a warehouse that is partitioned by cutoff reads one.
    there = warehouse.read("select max(cutoff_date) as newest from features.feature_frame")["newest"].dropna()
    shown = "where cutoff_date = ? order by customer_id limit 5" if len(there) else "limit 0"
    newest = warehouse.read(f"select * from features.feature_frame {shown}", [one.date() for one in there])
    return dg.MaterializeResult(
        asset_key=FEATURE_FRAME,
        metadata={
            "dagster/row_count": warehouse.row_count("features", "feature_frame"),
            "dagster/table_name": "features.feature_frame",
            "dagster/column_schema": column_schema(newest),
            "cutoffs_added": cutoffs_added,
            "rows_added": rows_added,
            "newest_cutoff": str(newest["cutoff_date"].max())[:10] if len(newest) else "none",
            **warehouse.costs(),
        },
    )


def _cutoffs_to_add(warehouse: Warehouse, rebuild_from: str) -> list[date]:
    """Return the cutoffs that have features but no frame yet, and all from `rebuild_from` (ISO date) on."""
    having = "select distinct cutoff_date from features.customer_features"
    if warehouse.exists("features", "feature_frame"):
        missing = f"{having} where cutoff_date not in (select distinct cutoff_date from features.feature_frame)"
        again = f" or cutoff_date >= date '{date.fromisoformat(rebuild_from)}'" if rebuild_from else ""
        having = missing + again
    return [found.date() for found in warehouse.read(f"{having} order by 1")["cutoff_date"]]


def _cutoffs_that_went(warehouse: Warehouse, rebuild_from: str) -> list[date]:
    """Return the frame's cutoffs from `rebuild_from` (ISO date) on that have no features any more.

    A rebuild takes them out of the features, where the days that made them went away from the source.
    """
    if not rebuild_from or not warehouse.exists("features", "feature_frame"):
        return []
    found = warehouse.read(
        "select distinct cutoff_date from features.feature_frame "
        f"where cutoff_date >= date '{date.fromisoformat(rebuild_from)}' "
        "and cutoff_date not in (select distinct cutoff_date from features.customer_features) order by 1"
    )
    return [one.date() for one in found["cutoff_date"]]


def _known_cutoffs(warehouse: Warehouse) -> list[date]:
    return [
        found.date() for found in warehouse.read("select cutoff_date from features.cutoffs order by 1")["cutoff_date"]
    ]


@dg.asset_check(
    asset=CUTOFFS,
    name="data_is_recent",
    description=(
        "The newest day that ingestion delivered whole is at most three days behind the clock. Freshness policies "
        "measure when a table was written; only this notices a feed that delivers nothing new."
    ),
    metadata={"owner": owner_of(dg.AssetKey(["raw", "transactions"]))},
)
def data_is_recent(warehouse: Warehouse, clock: Clock) -> dg.AssetCheckResult:
    """Compare the watermark with the clock."""
    found = warehouse.read("select max(watermark_date) as watermark from features.cutoffs")["watermark"].iloc[0]
    now = clock.now()
    if found != found:
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description=(
                "There is no cutoff yet, so nothing tells how recent the data is: twelve whole weeks of transactions "
                "are needed, and fewer were delivered."
            ),
            metadata={"clock": now.isoformat()},
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
        metadata={"watermark": str(watermark), "clock": now.isoformat(), "age_days": age_days},
    )


FEATURE_ASSETS = [feature_frame, data_is_recent]
