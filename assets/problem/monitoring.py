"""The proof that predictions held, and the first sign that customers changed."""

from typing import Any

import dagster as dg

from assets.reporting import Materialized, picture, table
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse
from steps.monitoring import (
    Layer,
    compare_labels,
    judge_champion,
    judge_newest_drift,
    measure_new_drift,
    measure_performance,
)
from steps.ownership import owner_of
from steps.tables import (
    ACCURACY_OVER_TIME,
    CHAMPION,
    DRIFT,
    FEATURE_FRAME,
    HOLDOUT,
    OUTCOMES,
    PERFORMANCE,
    PREDICTIONS,
    described,
)

FEATURE_DRIFT = dg.AssetCheckKey(FEATURE_FRAME, "feature_drift")
SCORE_DRIFT = dg.AssetCheckKey(PREDICTIONS, "score_drift")
PREDICTIONS_HOLD = dg.AssetCheckKey(PREDICTIONS, "predictions_hold")
LABELS_OUTGREW_MODEL = dg.AssetCheckKey(CHAMPION, "labels_outgrew_model")


@dg.asset(
    key=PERFORMANCE,
    deps=[PREDICTIONS, OUTCOMES, FEATURE_FRAME, HOLDOUT, ACCURACY_OVER_TIME],
    group_name="monitoring",
    owners=[owner_of(PERFORMANCE)],
    kinds={"scikitlearn", "duckdb"},
    description=(
        "Realised performance: each cutoff whose outcome is known, judged as a whole and by activity band. Only "
        "predictions made for cutoffs outside their model's training window count (`live`); `holdout` rows tell what "
        "the gate saw. The recency rule stands beside it in marts.accuracy_over_time."
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

        metadata["accuracy_over_time"] = picture(accuracy_over_time_plot(over_time), "accuracy over time")
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    key=DRIFT,
    deps=[FEATURE_FRAME, CHAMPION, PREDICTIONS],
    group_name="monitoring",
    owners=[owner_of(DRIFT)],
    kinds={"scipy", "duckdb"},
    description=(
        "One row a cutoff and column (each feature, all of them jointly, and the champion's score): how far it moved "
        "against the weeks before. Its own history sets its threshold in the checks `feature_drift` and `score_drift`."
    ),
)
def drift(context: dg.AssetExecutionContext, warehouse: Warehouse, registry: ModelRegistry) -> Materialized:
    """Measure the cutoffs that were not measured yet."""
    new = measure_new_drift(warehouse, registry)
    context.log.info(f"drift measured for {new} new cutoff(s)")
    return dg.MaterializeResult(metadata={**described(warehouse, DRIFT), "cutoffs_measured": new})


@dg.asset_check(
    asset=FEATURE_FRAME,
    name=FEATURE_DRIFT.name,
    additional_deps=[DRIFT],
    description=(
        "No feature of the newest cutoff left the range of its own past in two of the last three weeks. Evidence for "
        "monitoring/decisions, which tells whether anything follows from it."
    ),
    metadata={"owner": owner_of(FEATURE_FRAME)},
)
def feature_drift(warehouse: Warehouse, registry: ModelRegistry) -> dg.AssetCheckResult:
    """Judge the features of the newest cutoff."""
    return _judge(warehouse, registry, "features")


@dg.asset_check(
    asset=PREDICTIONS,
    name=SCORE_DRIFT.name,
    additional_deps=[DRIFT],
    description=(
        "The champion's scores at the newest cutoff did not leave the range of their own past in two of the last three "
        "weeks. Evidence for monitoring/decisions, which tells whether anything follows from it."
    ),
    metadata={"owner": owner_of(PREDICTIONS)},
)
def score_drift(warehouse: Warehouse, registry: ModelRegistry) -> dg.AssetCheckResult:
    """Judge the scores of the newest cutoff."""
    return _judge(warehouse, registry, "scores")


@dg.asset_check(
    asset=CHAMPION,
    name=LABELS_OUTGREW_MODEL.name,
    additional_deps=[DRIFT],
    description=(
        "There are fewer than twice the labelled cutoffs that the champion learned from. A failure is a reason for "
        "monitoring/decisions to ask for a retraining: a young model gains from every week of labels, an old one not."
    ),
    metadata={"owner": owner_of(CHAMPION)},
)
def labels_outgrew_model(warehouse: Warehouse, registry: ModelRegistry) -> dg.AssetCheckResult:
    """Compare the labelled cutoffs with those that the champion knew."""
    found = compare_labels(warehouse, registry)
    return dg.AssetCheckResult(
        passed=not found.outgrown,
        severity=dg.AssetCheckSeverity.WARN,
        description=found.sentence,
        metadata={"labelled_cutoffs": found.matured, "champion_knew": found.learned_from},
    )


@dg.asset_check(
    asset=PREDICTIONS,
    name=PREDICTIONS_HOLD.name,
    additional_deps=[PERFORMANCE],
    description=(
        "Customers lapse as often as the champion said, as a whole and in segments that the data suggest: by outcomes "
        "where they are known, by the 14-day proxy before. Judged against the same model's own past."
    ),
    metadata={"owner": owner_of(PREDICTIONS)},
)
def predictions_hold(warehouse: Warehouse, registry: ModelRegistry) -> dg.AssetCheckResult:
    """Judge the champion by the newest outcomes and early labels."""
    from ml_models.plots import performance_plot

    history, verdict = judge_champion(warehouse, registry)
    if history is None or isinstance(verdict, str):
        return _unjudged(str(verdict))
    return dg.AssetCheckResult(
        passed=verdict.status != "fail",
        severity=dg.AssetCheckSeverity.WARN,
        description=verdict.sentence,
        metadata={
            "status": verdict.status,
            "decided_by": verdict.kind,
            "over_time": picture(performance_plot(history, verdict), "observed against predicted"),
            "newest": table(verdict.table),
        },
    )


def _judge(warehouse: Warehouse, registry: ModelRegistry, layer: Layer) -> dg.AssetCheckResult:
    """Show the verdict on the newest measured cutoff of a layer."""
    from ml_models.plots import drift_plot

    verdict = judge_newest_drift(warehouse, registry, layer)
    if verdict is None:
        return _unjudged(f"no {layer} were measured yet")
    return dg.AssetCheckResult(
        passed=verdict.status != "fail",
        severity=dg.AssetCheckSeverity.WARN,
        description=verdict.sentence,
        metadata={
            "status": verdict.status,
            "cutoff": str(verdict.cutoff),
            "worst_column": verdict.columns[0] if verdict.columns else "none",
            "columns_drifted": len(verdict.columns),
            "at_a_glance": picture(drift_plot(verdict), "distance of each column against its own threshold"),
            "columns": table(verdict.table),
        },
    )


def _unjudged(why: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=True,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"insufficient evidence: {why}",
        metadata={"status": "insufficient evidence"},
    )


def _number(value: float) -> float | None:
    return None if value != value else round(float(value), 4)


MONITORING_ASSETS = [performance, drift, feature_drift, score_drift, predictions_hold, labels_outgrew_model]
