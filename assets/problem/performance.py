"""The proof that predictions held: each matured cutoff judged, and the champion against its own past."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.reporting import Materialized, at_a_glance, picture, table, unjudged
from resources.company import company
from resources.figures import figures
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse
from steps.monitoring import judge_champion, measure_performance
from steps.ownership import owner_of
from steps.tables import (
    ACCURACY_OVER_TIME,
    CUSTOMER_VALUE,
    FEATURE_FRAME,
    HOLDOUT,
    OUTCOMES,
    PERFORMANCE,
    PREDICTIONS,
    described,
)

if TYPE_CHECKING:
    import pandas as pd


@dg.asset(
    key=PERFORMANCE,
    deps=[PREDICTIONS, OUTCOMES, FEATURE_FRAME, HOLDOUT, ACCURACY_OVER_TIME, CUSTOMER_VALUE],
    group_name="monitoring",
    owners=[owner_of(PERFORMANCE)],
    kinds={"scikitlearn", "duckdb"},
    description=(
        "Realised performance: each cutoff whose outcome is known, judged as a whole, by activity band and for new "
        "customers. Only predictions made for cutoffs outside their model's training window count (`live`); `holdout` "
        "rows tell what the gate saw. The recency rule stands beside it in marts.accuracy_over_time."
    ),
)
def performance(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Materialized:
    """Judge every matured live prediction, and each version's holdout."""
    result = measure_performance(warehouse)
    cutoffs = result[(result["slice_name"] == "cutoff") & (result["evidence"] == "live")]
    context.log.info(f"judged {len(cutoffs)} matured cutoff(s) of live predictions")
    metadata: dict[str, Any] = {
        **described(warehouse, PERFORMANCE),
        "live_cutoffs_judged": len(cutoffs),
        "by_slice": table(result[result["slice_name"] != "cutoff"]),
    }
    if len(cutoffs):
        newest = cutoffs.sort_values("slice_value").iloc[-1]
        metadata |= {"newest_judged_cutoff": newest["slice_value"], "auc": _number(newest["auc"])}
        metadata |= {"log_loss": _number(newest["log_loss"]), "base_rate": _number(newest["base_rate"])}
    over_time = warehouse.read("select * from marts.accuracy_over_time order by cutoff_date")
    if len(over_time):
        from ml_models.plots import accuracy_over_time_plot

        metadata |= _over_time_inline(over_time[over_time["evidence"] == "live"])
        metadata["accuracy_over_time"] = picture(accuracy_over_time_plot(over_time), "accuracy over time")
    return dg.MaterializeResult(metadata=metadata)


@dg.asset_check(
    asset=PREDICTIONS,
    name="predictions_hold",
    additional_deps=[PERFORMANCE],
    description=(
        "Customers lapse as often as the champion said, as a whole and in segments that the data suggest: by outcomes "
        f"where they are known, by the {company().question.asked.early_days}-day proxy before. Judged "
        "against the same model's own past."
    ),
    metadata={"owner": owner_of(PREDICTIONS)},
)
def predictions_hold(warehouse: Warehouse, registry: ModelRegistry) -> dg.AssetCheckResult:
    """Judge the champion by the newest outcomes and early labels."""
    from ml_models.plots import performance_plot

    history, verdict = judge_champion(warehouse, registry)
    if history is None or isinstance(verdict, str):
        return unjudged(str(verdict))
    return dg.AssetCheckResult(
        passed=verdict.status != "fail",
        severity=dg.AssetCheckSeverity.WARN,
        description=verdict.sentence,
        metadata={
            "status": verdict.status,
            "decided_by": verdict.kind,
            **figures(len(verdict.segments), 0, "segments in which customers lapse otherwise than predicted, at most"),
            "over_time": picture(performance_plot(history, verdict), "observed against predicted"),
            "newest": table(verdict.table),
        },
    )


def _over_time_inline(live: "pd.DataFrame") -> dict[str, dg.MarkdownMetadataValue]:
    """Return the AUC of the weeks that were served, in short; nothing before one has a known outcome."""
    known = live["auc"].dropna()
    if known.empty:
        return {}
    words = (
        f"AUC {known.min():.2f} to {known.max():.2f} over {len(known)} served cutoffs, newest {known.iloc[-1]:.3f}. "
        "Grey: the recency rule."
    )
    return at_a_glance([live["auc"], live["recency_rule_auc"]], words)


def _number(value: float) -> float | None:
    return None if value != value else round(float(value), 4)


PERFORMANCE_ASSETS = [performance, predictions_hold]
