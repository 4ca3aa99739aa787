"""From the feature frame to a judged candidate: training set, search, promotion gate."""

from collections.abc import Iterator

import dagster as dg

from assets.reporting import Materialized, column_schema, picture, table, without_retries
from ml_models.training.gates import COMPARISONS, GATES
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse
from steps.candidates import TRAINING_ROWS, find_candidate, make_training_set, span_of
from steps.ownership import owner_of
from steps.tables import CANDIDATE, FEATURE_FRAME, HOLDOUT, OUTCOMES, TRAINING_SET, described


class TrainingConfig(dg.Config):
    """What to learn from.

    `window`: "expanding" (all matured cutoffs) or "recent" (the newest RECENT_CUTOFFS of them, when the world changed).
    `exclude_from`, `exclude_to`: first and last cutoff (ISO dates, inclusive, both or neither) to be kept out beside
    those that the ledger of decisions holds to be bad. `repaired`: learn from the ledger's bad cutoffs too, because
    they were rebuilt since. `most_rows`: beyond it whole customers are left out. `reason`: why, for those who read the
    table's page.
    """

    window: str = "expanding"
    exclude_from: str = ""
    exclude_to: str = ""
    repaired: bool = False
    most_rows: int = TRAINING_ROWS
    reason: str = ""


@dg.asset(
    key=TRAINING_SET,
    deps=[FEATURE_FRAME, OUTCOMES],
    group_name="training",
    owners=[owner_of(TRAINING_SET)],
    kinds={"pandas", "duckdb"},
    description=(
        "Feature frame joined to matured outcomes, with a strict time split: `train`, a `gap` as long as the label's "
        "horizon, and `holdout`. No training label reaches into the holdout. Rows that nothing is learned from stay "
        "visible as `quarantined` (known bad) or `before window`. Used by the candidate only."
    ),
)
def training_set(context: dg.AssetExecutionContext, config: TrainingConfig, warehouse: Warehouse) -> Materialized:
    """Join, keep out what is known bad, split and fingerprint."""
    from ml_models.training.fingerprint import frame_fingerprint

    with without_retries():
        made = make_training_set(
            warehouse,
            window=config.window,
            exclude=span_of(config.exclude_from, config.exclude_to),
            repaired=config.repaired,
            most_rows=config.most_rows,
        )
    rows, split, bad = made.learned_from, made.split, made.quarantined
    context.log.info(
        f"training set: {len(rows):,} rows, train to {split.train[-1]}, holdout {split.holdout[0]} to "
        f"{split.holdout[-1]}; {len(bad)} cutoff(s) in quarantine"
    )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(made.frame),
            "dagster/table_name": "training.training_set",
            "dagster/column_schema": column_schema(made.frame),
            "fingerprint": frame_fingerprint(made.frame),
            "base_rate": round(float(rows["lapsed"].mean()), 4),
            "rows_learned_from": len(rows),
            "share_of_customers": made.share,
            "row_weight": 1 / made.share,
            "matured_cutoffs": int(made.frame["cutoff_date"].nunique()),
            "window": config.window,
            "quarantined_cutoffs": ", ".join(str(day) for day in bad) or "none",
            "reason": config.reason or context.run.tags.get("baton/cause", "none given"),
            "train": f"{split.train[0]} to {split.train[-1]}",
            "holdout": f"{split.holdout[0]} to {split.holdout[-1]}",
            **made.expected_cost,
            **warehouse.costs(),
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
            name,
            asset=CANDIDATE,
            blocking=name not in COMPARISONS,
            description=text,
            metadata={"owner": owner_of(CANDIDATE)},
        )
        for name, text in GATES.items()
    ],
)
def candidate(
    context: dg.AssetExecutionContext, warehouse: Warehouse, registry: ModelRegistry
) -> Iterator[Materialized | dg.AssetCheckResult]:
    """Search, evaluate, compare, fit, register; the same data and recipe are not judged twice against one champion."""
    import pandas as pd

    from ml_models.plots import reliability_plot

    version, fingerprint = find_candidate(warehouse, registry, log=context.log.info, run_id=context.run_id)
    evidence = registry.evidence(version)
    comparison, slices, trials, calibration = (
        pd.DataFrame(evidence[name]) for name in ("comparison", "slices", "trials", "calibration")
    )
    metrics = evidence["metrics"]
    yield dg.MaterializeResult(
        asset_key=CANDIDATE,
        metadata={
            **described(warehouse, CANDIDATE),
            "model_version": version.version,
            "algorithm": version.algorithm,
            "trained_from": evidence.get("trained_from", "not recorded"),
            "trained_through": version.trained_through.isoformat(),
            "window": evidence.get("window", "expanding"),
            "quarantined_cutoffs": ", ".join(evidence.get("excluded", [])) or "none",
            "fingerprint": fingerprint,
            **{name: round(metrics[name], 4) for name in ("auc", "pr_auc", "log_loss", "brier", "calibration_error")},
            "lift_at_10": round(metrics["lift_at_10"], 2),
            "models_on_the_holdout": table(comparison),
            "slices": table(slices[slices["slice_name"] != "cutoff"]),
            "search": table(trials),
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
            severity=dg.AssetCheckSeverity.WARN if gate["name"] in COMPARISONS else dg.AssetCheckSeverity.ERROR,
            description=gate["sentence"],
            metadata={"observed": gate["observed"], "bound": gate["bound"], "model_version": version.version},
        )


TRAINING_ASSETS = [training_set, candidate]
