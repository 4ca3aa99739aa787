"""From the feature frame to the champion: training set, candidate, promotion gate, promotion."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.features import FEATURE_FRAME
from assets.ownership import owner_of
from assets.reporting import column_schema, picture, table
from assets.tables import described
from resources.registry import CHALLENGER, ModelRegistry, ModelVersion
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.warehouse import DuckDBWarehouse

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.training import TrainingResult

OUTCOMES = dg.AssetKey(["outcomes", "customer_outcomes"])
TRAINING_SET = dg.AssetKey(["training", "training_set"])
CANDIDATE = dg.AssetKey(["training", "candidate"])
HOLDOUT = dg.AssetKey(["training", "holdout_predictions"])
CHAMPION = dg.AssetKey(["training", "champion"])

SEED = 0

GATES = {
    "enough_evidence": "The holdout is large enough to judge on.",
    "beats_base_rate": "Lower log-loss on the holdout than always predicting the base rate, beyond noise.",
    "beats_recency_rule": "Lower log-loss and higher AUC than the rule `the longer away, the likelier gone`.",
    "beats_rfm_logistic": "Lower log-loss than a logistic regression on recency, frequency and money.",
    "calibration": "Predicted probabilities agree with observed rates.",
    "negative_control": "The same recipe on shuffled labels beats no baseline: the evaluation does not leak.",
}
"""The promotion gate's checks, each blocking: what fails is not promoted and the champion stays."""


@dg.asset(
    key=TRAINING_SET,
    deps=[FEATURE_FRAME, OUTCOMES],
    group_name="training",
    owners=[owner_of(TRAINING_SET)],
    kinds={"pandas", "duckdb"},
    description=(
        "Feature frame joined to matured outcomes, with a strict time split: `train`, a `gap` as long as the label's "
        "horizon, and `holdout`. No training label reaches into the holdout. Used by the candidate only."
    ),
)
def training_set(context: dg.AssetExecutionContext, warehouse: DuckDBWarehouse) -> dg.MaterializeResult:
    """Join, split and fingerprint."""
    from ml_models.fingerprint import frame_fingerprint
    from ml_models.lapse.problem import PROBLEM
    from ml_models.splits import split_training_set

    labelled = warehouse.read(
        "select f.*, o.lapsed from features.feature_frame f join outcomes.customer_outcomes o "
        "using (customer_id, cutoff_date) order by f.cutoff_date, f.customer_id"
    )
    frame, split = split_training_set(labelled, PROBLEM)
    rows = warehouse.replace_table("training", "training_set", frame)
    context.log.info(
        f"training set: {rows:,} rows, train to {split.train[-1]}, holdout {split.holdout[0]} to {split.holdout[-1]}"
    )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows,
            "dagster/table_name": "training.training_set",
            "dagster/column_schema": column_schema(frame),
            "fingerprint": frame_fingerprint(frame),
            "base_rate": round(float(frame["lapsed"].mean()), 4),
            "matured_cutoffs": int(frame["cutoff_date"].nunique()),
            "train": f"{split.train[0]} to {split.train[-1]}",
            "holdout": f"{split.holdout[0]} to {split.holdout[-1]}",
        }
    )


@dg.multi_asset(
    name="candidate",
    specs=[
        dg.AssetSpec(
            CANDIDATE,
            deps=[TRAINING_SET],
            group_name="training",
            owners=[owner_of(CANDIDATE)],
            kinds={"scikitlearn", "mlflow"},
            description=(
                "One row a registered version: what won a small seeded search (regularised logistic regression against "
                "histogram gradient boosting), its metrics beside the baselines of the same run, its parameters and "
                "the fingerprint of its data. The version is in MLflow as `challenger`. The gate's checks decide on it."
            ),
        ),
        dg.AssetSpec(
            HOLDOUT,
            deps=[TRAINING_SET],
            group_name="training",
            owners=[owner_of(HOLDOUT)],
            kinds={"scikitlearn", "duckdb"},
            description=(
                "Each version's scores on the holdout, by the fit that had not seen it, beside the recency rule's. "
                "What the gate judged, kept so that anybody can judge again in SQL."
            ),
        ),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            name, asset=CANDIDATE, blocking=True, description=text, metadata={"owner": owner_of(CANDIDATE)}
        )
        for name, text in GATES.items()
    ],
)
def candidate(
    context: dg.AssetExecutionContext, warehouse: DuckDBWarehouse, registry: ModelRegistry
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Search, evaluate, fit, register; the same data and recipe are not fitted twice."""
    from ml_models.gate import judge
    from ml_models.lapse.problem import PROBLEM
    from ml_models.plots import reliability_plot
    from ml_models.training import train

    rows = warehouse.read("select * from training.training_set order by cutoff_date, customer_id")
    fingerprint = recipe_fingerprint(rows)
    version = registry.by_fingerprint(fingerprint)
    if version is None:
        result = train(rows, PROBLEM, seed=SEED, log=context.log.info)
        gates = judge(result, PROBLEM)
        version = register(registry, result, fingerprint, gates, run_id=context.run_id)
        record(warehouse, result, version)
        context.log.info(f"registered as version {version.version}, challenger")
    else:
        registry.set_alias(CHALLENGER, version.version)
        context.log.info(f"version {version.version} was trained on exactly these data; nothing to fit")
    evidence = registry.evidence(version)
    comparison, slices, calibration = (_frame(evidence[name]) for name in ("comparison", "slices", "calibration"))
    metrics = evidence["metrics"]
    yield dg.MaterializeResult(
        asset_key=CANDIDATE,
        metadata={
            **described(warehouse, CANDIDATE),
            "model_version": version.version,
            "algorithm": version.algorithm,
            "trained_through": version.trained_through.isoformat(),
            "fingerprint": fingerprint,
            **{name: round(metrics[name], 4) for name in ("auc", "pr_auc", "log_loss", "brier", "calibration_error")},
            "lift_at_10": round(metrics["lift_at_10"], 2),
            "models_on_the_holdout": table(comparison),
            "slices": table(slices[slices["slice_name"] != "cutoff"]),
            "search": table(_frame(evidence["trials"])),
            "calibration": picture(
                reliability_plot(calibration, f"Version {version.version} on its holdout"), "predicted against observed"
            ),
        },
    )
    yield dg.MaterializeResult(asset_key=HOLDOUT, metadata=described(warehouse, HOLDOUT))
    for gate in evidence["gates"]:
        yield dg.AssetCheckResult(
            asset_key=CANDIDATE,
            check_name=gate["name"],
            passed=gate["passed"],
            severity=dg.AssetCheckSeverity.ERROR,
            description=gate["sentence"],
            metadata={"observed": gate["observed"], "bound": gate["bound"], "model_version": version.version},
        )


@dg.asset(
    key=CHAMPION,
    deps=[CANDIDATE],
    group_name="training",
    owners=[owner_of(CHAMPION)],
    kinds={"mlflow"},
    description=(
        "One row a promotion: which version serves from when, through which cutoff it was trained, and why. The newest "
        "row is what MLflow's alias `champion` points to. `make promote VERSION=n` goes back to an older one."
    ),
)
def champion(
    context: dg.AssetExecutionContext, warehouse: DuckDBWarehouse, registry: ModelRegistry
) -> dg.MaterializeResult:
    """Promote the challenger, which has passed the gate by now; the alias moves first, the record follows."""
    challenger = registry.by_alias(CHALLENGER)
    if challenger is None:
        raise dg.Failure(
            "Expected a challenger in the model registry and found none. Materialise training/candidate first.",
            allow_retries=False,
        )
    before = registry.by_alias(CHAMPION_ALIAS)
    if before == challenger and _last_recorded(warehouse) == challenger.version:
        context.log.info(f"version {challenger.version} is the champion already")
    else:
        registry.set_alias(CHAMPION_ALIAS, challenger.version)
        cause = context.run.tags.get("baton/cause", "passed the gate")
        record_promotion(warehouse, challenger, reason=cause, at=datetime.now(UTC))
        context.log.info(f"champion: {before.version if before else 'none'} -> {challenger.version}")
    return dg.MaterializeResult(
        metadata={
            **described(warehouse, CHAMPION),
            "model_version": challenger.version,
            "algorithm": challenger.algorithm,
            "trained_through": challenger.trained_through.isoformat(),
            "previous_version": before.version if before else "none",
        }
    )


def recipe_fingerprint(rows: "pd.DataFrame") -> str:
    """Identify a training set together with the recipe (code, seed, library): same digits, same model."""
    import hashlib
    import inspect

    import sklearn

    import ml_models.lapse.problem
    import ml_models.training
    from ml_models.fingerprint import frame_fingerprint

    parts = (
        frame_fingerprint(rows),
        str(SEED),
        sklearn.__version__,
        inspect.getsource(ml_models.lapse.problem),
        inspect.getsource(ml_models.training),
    )
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def register(
    registry: ModelRegistry, result: "TrainingResult", fingerprint: str, gates: list, run_id: str
) -> ModelVersion:
    """Log a training result with all its evidence and make it the challenger."""
    from dataclasses import asdict

    from ml_models.plots import reliability_plot

    evidence = {
        "algorithm": result.candidate,
        "parameters": result.parameters,
        "selection": result.selection,
        "inner_split": result.inner,
        "seed": result.seed,
        "rows": result.rows,
        "train": [str(day) for day in result.split.train],
        "holdout": [str(day) for day in result.split.holdout],
        "metrics": result.metrics,
        "intervals": {name: asdict(interval) for name, interval in result.intervals.items()},
        "gates": [asdict(gate) for gate in gates],
        **{
            name: getattr(result, name).to_dict("records") for name in ("comparison", "slices", "trials", "calibration")
        },
    }
    baselines = {
        f"{row['model']}_{name}": row[name]
        for row in evidence["comparison"]
        for name in ("auc", "log_loss", "brier")
        if row["model"] != result.candidate
    }
    return registry.log_version(
        result.pipeline,
        algorithm=result.candidate,
        trained_through=result.trained_through,
        fingerprint=fingerprint,
        parameters={**result.parameters, "seed": result.seed, "selection": result.selection},
        metrics={**result.metrics, **baselines},
        texts={
            "evidence.json": json.dumps(evidence, default=_plain),
            # What "typical" means in a reason belongs to the model that gives it.
            "reference.csv": result.reference.to_csv(),
        },
        images={"calibration.png": reliability_plot(result.calibration, f"{result.candidate} on its holdout")},
        tags={"dagster.run_id": run_id, "data_fingerprint": result.fingerprint},
    )


def record(warehouse: DuckDBWarehouse, result: "TrainingResult", version: ModelVersion) -> None:
    """Write a version's row and its holdout predictions."""
    row = _candidate_row(version, {"metrics": result.metrics, "parameters": result.parameters})
    holdout = result.holdout_predictions.assign(model_version=version.version)
    values = [version.version]
    warehouse.replace_partitions("training", "holdout_predictions", holdout, column="model_version", values=values)
    warehouse.replace_partitions("training", "candidate", row, column="model_version", values=values)


def record_promotion(warehouse: DuckDBWarehouse, version: ModelVersion, *, reason: str, at: datetime) -> None:
    """Append a row to `training.champion`."""
    import pandas as pd

    row = pd.DataFrame(
        {
            "model_name": [version.name],
            "model_version": [version.version],
            "algorithm": [version.algorithm],
            "trained_through": [pd.Timestamp(version.trained_through)],
            "promoted_at": [pd.Timestamp(at)],
            "reason": [reason],
        }
    )
    warehouse.replace_partitions("training", "champion", row, column="promoted_at", values=[pd.Timestamp(at)])


def _candidate_row(version: ModelVersion, evidence: dict[str, Any]) -> "pd.DataFrame":
    import pandas as pd

    row = {
        "model_name": version.name,
        "model_version": version.version,
        "algorithm": version.algorithm,
        "trained_through": pd.Timestamp(version.trained_through),
        **evidence["metrics"],
        "parameters": json.dumps(evidence["parameters"], default=_plain),
        "fingerprint": version.fingerprint,
        "mlflow_run_id": version.run_id,
    }
    return pd.DataFrame([row])


def _last_recorded(warehouse: DuckDBWarehouse) -> int | None:
    if not warehouse.exists("training", "champion"):
        return None
    found = warehouse.read("select model_version from training.champion order by promoted_at desc limit 1")
    return int(found["model_version"].iloc[0]) if len(found) else None


def _frame(records: list[dict[str, Any]]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(records)


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return value.item()


TRAINING_ASSETS = [training_set, candidate, champion]
