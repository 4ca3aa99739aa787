"""The proof that predictions held, and the first sign that the world moved."""

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.problem.frame import FEATURE_FRAME
from assets.problem.predictions import PREDICTIONS
from assets.problem.training import CHAMPION, HOLDOUT, OUTCOMES
from assets.reporting import picture, table
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse
from steps.as_of import early_until, frame_until, judged_share, newest_cutoff, outcomes_until
from steps.ownership import owner_of
from steps.tables import described, ensure, typed

if TYPE_CHECKING:
    import pandas as pd

ACCURACY_OVER_TIME = dg.AssetKey(["marts", "accuracy_over_time"])
PERFORMANCE = dg.AssetKey(["monitoring", "performance"])
DRIFT = dg.AssetKey(["monitoring", "drift"])

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
def performance(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    """Judge every matured live prediction, and each version's holdout."""
    import pandas as pd

    from ml_models.metrics import evaluate_slices, slices_of
    from ml_models.problems.lapse.problem import PROBLEM

    parts, share = [], judged_share(warehouse)
    for evidence, rows in (
        ("live", _live_rows(warehouse, PROBLEM.horizon_days, share)),
        ("holdout", _holdout_rows(warehouse, share)),
    ):
        for version, judged in rows.groupby("model_version"):
            slices = evaluate_slices(judged["lapsed"], judged["score"], slices_of(judged, PROBLEM))
            parts.append(slices.assign(evidence=evidence, model_version=int(str(version))))
    result = pd.concat(parts, ignore_index=True) if parts else _no_performance()
    warehouse.replace_table("monitoring", "performance", result)
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
        "One row a cutoff and column (58 features, all of them jointly, and the champion's score): how far it moved "
        "against the weeks before. Its own history sets its threshold in the checks `feature_drift` and `score_drift`."
    ),
)
def drift(context: dg.AssetExecutionContext, warehouse: Warehouse, registry: ModelRegistry) -> dg.MaterializeResult:
    """Measure the cutoffs that were not measured yet."""
    from ml_models.monitoring.drift.weekly import measure_drift
    from ml_models.problems.lapse.problem import PROBLEM

    ensure(warehouse, DRIFT)
    champion, kept = registry.by_alias(CHAMPION_ALIAS), drift_history(warehouse)
    cutoff = newest_cutoff(warehouse)
    new = 0
    if cutoff is not None:
        pipeline = registry.load(champion) if champion else None
        version = str(champion.version) if champion else ""
        frame = frame_until(warehouse, cutoff, judged_share(warehouse))
        whole = measure_drift(PROBLEM, frame, cutoff, pipeline, version, kept)
        new = whole["cutoff_date"].nunique() - kept["cutoff_date"].nunique()
        whole = typed(whole.sort_values(["cutoff_date", "layer", "column_name"]), DRIFT)
        warehouse.replace_table("monitoring", "drift", whole)
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
    from ml_models.cutoffs import MINIMUM_CUTOFFS
    from ml_models.monitoring.settings import SETTINGS

    champion = registry.by_alias(CHAMPION_ALIAS)
    through = champion.trained_through if champion else date.min
    counts = warehouse.read(
        "select count(distinct cutoff_date) as matured, "
        "count(distinct case when cutoff_date <= ? then cutoff_date end) as known from outcomes.customer_outcomes",
        [through],
    ).iloc[0]
    matured, known = int(counts["matured"]), int(counts["known"])
    enough = matured >= MINIMUM_CUTOFFS
    outgrown = enough and matured >= SETTINGS.growth * known
    if not enough:
        sentence = f"{matured} labelled cutoffs; at least {MINIMUM_CUTOFFS} are needed to train and to judge."
    elif champion is None:
        sentence = f"{matured} labelled cutoffs and no champion yet."
    else:
        sentence = f"{matured} labelled cutoffs; version {champion.version} learned from {known}."
    return dg.AssetCheckResult(
        passed=not outgrown,
        severity=dg.AssetCheckSeverity.WARN,
        description=sentence,
        metadata={"labelled_cutoffs": matured, "champion_knew": known},
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
    from ml_models.monitoring.performance.weekly import judge_predictions
    from ml_models.plots import performance_plot
    from ml_models.problems.lapse.problem import PROBLEM
    from ml_models.rows import scored

    champion, cutoff = registry.by_alias(CHAMPION_ALIAS), newest_cutoff(warehouse)
    if champion is None or cutoff is None:
        return _unjudged("there is no champion yet" if champion is None else "there is no cutoff yet")
    share = judged_share(warehouse)
    frame = frame_until(warehouse, cutoff, share)
    pipeline = registry.load(champion)
    history, verdict = judge_predictions(
        frame,
        lambda rows: scored(pipeline, rows, PROBLEM),
        outcomes_until(warehouse, cutoff, share),
        early_until(warehouse, cutoff, share),
        PROBLEM,
        champion.trained_through,
        cutoff,
    )
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


def _judge(warehouse: Warehouse, registry: ModelRegistry, layer: str) -> dg.AssetCheckResult:
    """Judge the newest measured cutoff of a layer; too little history passes, and says so."""
    from ml_models.monitoring.drift import judge_drift, weigh_drift
    from ml_models.monitoring.drift.weekly import judge_scores
    from ml_models.plots import drift_plot
    from ml_models.problems.lapse.problem import PROBLEM
    from ml_models.rows import scored

    history = drift_history(warehouse)
    history = history[history["layer"] == layer]
    if history.empty:
        return _unjudged(f"no {layer} were measured yet")
    verdict = judge_drift(history, history["cutoff_date"].max())
    champion = registry.by_alias(CHAMPION_ALIAS)
    if verdict.status == "fail" and champion is not None:
        # What moved and changes no score, or moved by new customers alone, is recorded and alarms nobody.
        frame = frame_until(warehouse, verdict.cutoff, judged_share(warehouse))
        pipeline = registry.load(champion)
        frame = frame[[*PROBLEM.keys, *PROBLEM.features]]

        def predict(rows: "pd.DataFrame") -> Any:
            return scored(pipeline, rows, PROBLEM)

        if layer == "features":
            verdict = weigh_drift(verdict, predict, frame, PROBLEM.entity)
        else:
            verdict = judge_scores(history, verdict.cutoff, frame, predict, PROBLEM.entity)
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


def drift_history(warehouse: Warehouse) -> "pd.DataFrame":
    """Return what was measured of drift so far."""
    ensure(warehouse, DRIFT)
    return warehouse.read("select * from monitoring.drift order by cutoff_date, layer, column_name, segment")


def _live_rows(warehouse: Warehouse, horizon_days: int, share: float) -> "pd.DataFrame":
    """Return matured predictions that their model could not have known, with the outcome and the slicing features."""
    rows = warehouse.read(
        "select p.customer_id, p.cutoff_date, p.score, p.model_version, p.trained_through, o.lapsed, "
        "f.active_days_84d "
        "from predictions.lapse_predictions p "
        "join outcomes.customer_outcomes o using (customer_id, cutoff_date) "
        "join features.feature_frame f using (customer_id, cutoff_date) "
        f"where {warehouse.sampled('p.customer_id', share)} order by p.cutoff_date, p.customer_id"
    )
    known = rows["cutoff_date"] < rows["trained_through"] + timedelta(days=horizon_days)
    return rows[~known].drop(columns="trained_through").reset_index(drop=True)


def _holdout_rows(warehouse: Warehouse, share: float) -> "pd.DataFrame":
    return warehouse.read(
        "select h.customer_id, h.cutoff_date, h.score, h.model_version, h.lapsed, f.active_days_84d "
        "from training.holdout_predictions h join features.feature_frame f using (customer_id, cutoff_date) "
        f"where {warehouse.sampled('h.customer_id', share)} order by h.model_version, h.cutoff_date, h.customer_id"
    )


def _no_performance() -> "pd.DataFrame":
    """Return an empty table with the columns of a full one."""
    from ml_models.metrics import evaluate_slices

    return evaluate_slices([], [], {}).assign(evidence="", model_version=0)


def _number(value: float) -> float | None:
    return None if value != value else round(float(value), 4)


MONITORING_ASSETS = [performance, drift, feature_drift, score_drift, predictions_hold, labels_outgrew_model]
