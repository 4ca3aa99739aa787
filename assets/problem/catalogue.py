"""The feature catalogue: what each feature is, of what, who uses it and how it does; and its history in SQL."""

from typing import Any

import dagster as dg

from assets.reporting import Materialized, table
from resources.dbt import DbtRunner
from resources.figures import figures
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse
from steps.catalogue import BUILT, Built, built_by, keep_catalogue
from steps.catalogue_columns import fed_by_the_frame
from steps.ownership import owner_of
from steps.tables import CATALOGUE, CUTOFFS, DRIFT, FEATURE_FRAME, described, tables_of

COMPLETE = "catalogue_complete"
HISTORY = "history_can_be_asked"

READ_FROM = {
    "cutoff_date": (FEATURE_FRAME, "cutoff_date"),
    "customers": (FEATURE_FRAME, "customer_id"),
    "delivered_through": (CUTOFFS, "watermark_date"),
    "drift": (DRIFT, "statistic"),
    "drift_bound": (DRIFT, "statistic"),
    "drift_measured_on": (DRIFT, "cutoff_date"),
}
"""The columns that are read from one column of another table."""


@dg.asset(
    key=CATALOGUE,
    deps=[
        BUILT,
        FEATURE_FRAME,
        CUTOFFS,
        DRIFT,
        *(tables_of(name).champion for name in fed_by_the_frame()),
    ],
    group_name="features",
    owners=[owner_of(CATALOGUE)],
    kinds={"duckdb"},
    check_specs=[
        dg.AssetCheckSpec(
            COMPLETE,
            asset=CATALOGUE,
            blocking=False,
            description=(
                "Each feature of the frame has words, an owner, the SQL that defines it and the raw tables behind it. "
                "Failed, it names the feature and what it lacks."
            ),
            metadata={"owner": owner_of(CATALOGUE)},
        ),
        dg.AssetCheckSpec(
            HISTORY,
            asset=CATALOGUE,
            blocking=False,
            description=(
                "The function `features.features_as_of(customer, instant)` is made of today's SQL, can be called, and "
                "has the columns of the features. Failed, nobody can ask what was known of a customer at a past "
                "instant; scores do not depend on it."
            ),
            metadata={"owner": owner_of(CATALOGUE)},
        ),
    ],
    description=(
        "One row a feature of the frame, as of the newest cutoff: what it is, its owner, the SQL that defines it, the "
        "raw tables behind it, through which day they are delivered, nulls, drift beside its bound, whose champion "
        "reads it and how far it moves that champion, and what it costs to build. With it the function "
        "`features.features_as_of(customer, instant)` is made: a customer's features at any past instant."
    ),
)
def catalogue(
    context: dg.AssetExecutionContext, warehouse: Warehouse, registry: ModelRegistry, dbt: DbtRunner
) -> Materialized:
    """Gather what is known of each feature, and make the function of their history."""
    done = keep_catalogue(warehouse, registry, dbt, _newest_build(context))
    for remark in done.remarks:
        context.log.warning(remark)
    metadata: dict[str, Any] = {**described(warehouse, CATALOGUE), "history": done.history.sentence}
    metadata["dagster/column_lineage"] = dg.TableColumnLineage(
        {name: [dg.TableColumnDep(key, column)] for name, (key, column) in READ_FROM.items()}
    )
    shown = "feature, description, null_share, drift, drift_bound, problems"
    metadata["features"] = table(warehouse.read(f"select {shown} from features.catalogue order by feature"))
    lacking = [f"{name} lacks {', '.join(columns)}" for name, columns in done.lacking.items()]
    complete = dg.AssetCheckResult(
        asset_key=CATALOGUE,
        check_name=COMPLETE,
        passed=not lacking,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(lacking) or f"All {done.features} features have words, an owner, SQL and inputs.",
        metadata=figures(len(lacking), 0, "features that lack something, at most"),
    )
    history = dg.AssetCheckResult(
        asset_key=CATALOGUE,
        check_name=HISTORY,
        passed=done.history.right,
        severity=dg.AssetCheckSeverity.WARN,
        description=done.history.sentence,
        metadata=figures(done.history.columns, 0, "columns that it and the features do not share, at most"),
    )
    return dg.MaterializeResult(metadata=metadata, check_results=[complete, history])


def _newest_build(context: dg.AssetExecutionContext) -> Built:
    """Return what dbt's newest build of the features cost; nothing where none is recorded."""
    event = context.instance.get_latest_materialization_event(BUILT)
    made = event.asset_materialization if event else None
    return built_by(made.metadata) if made else Built()
