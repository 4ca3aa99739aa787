"""The first sign that customers changed: how far features and scores moved, and whether labels outgrew the model."""

import math
from typing import TYPE_CHECKING

import dagster as dg

from assets.reporting import Materialized, picture, table, unjudged
from resources.figures import figures
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse
from steps.monitoring import Layer, compare_labels, judge_newest_drift, measure_new_drift
from steps.ownership import owner_of
from steps.tables import CHAMPION, DRIFT, FEATURE_FRAME, PREDICTIONS, described

if TYPE_CHECKING:
    import pandas as pd


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
    name="feature_drift",
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
    name="score_drift",
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
    name="labels_outgrew_model",
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
        metadata={
            "champion_knew": found.learned_from,
            **figures(found.matured, found.bound, "labelled cutoffs, fewer than"),
        },
    )


def _judge(warehouse: Warehouse, registry: ModelRegistry, layer: Layer) -> dg.AssetCheckResult:
    """Show the verdict on the newest measured cutoff of a layer."""
    from ml_models.plots import drift_plot

    verdict = judge_newest_drift(warehouse, registry, layer)
    if verdict is None:
        return unjudged(f"no {layer} were measured yet")
    return dg.AssetCheckResult(
        passed=verdict.status != "fail",
        severity=dg.AssetCheckSeverity.WARN,
        description=verdict.sentence,
        metadata={
            "status": verdict.status,
            "cutoff": str(verdict.cutoff),
            "worst_column": verdict.columns[0] if verdict.columns else "none",
            **figures(len(verdict.columns), 0, "columns that left their own range in two of three weeks, at most"),
            **_furthest(verdict.table),
            "at_a_glance": picture(drift_plot(verdict), "distance of each column against its own threshold"),
            "columns": table(verdict.table),
        },
    )


def _furthest(judged: "pd.DataFrame") -> dict[str, float]:
    """Return distance and threshold of the column that came furthest; `judged` is the table of a verdict."""
    if judged.empty:
        return {}
    first = judged.iloc[0]
    told = {"furthest_distance": float(first["statistic"]), "its_threshold": float(first["threshold"])}
    return {name: round(number, 4) for name, number in told.items() if math.isfinite(number)}


DRIFT_ASSETS = [drift, feature_drift, score_drift, labels_outgrew_model]
