"""From the training set to a judged candidate: search, and the checks of the promotion gate."""

from collections.abc import Iterator

import dagster as dg

from assets.reporting import Materialized, at_a_glance, in_mlflow, picture, table
from ml_models.training.gates import COMPARISONS, GATES
from resources.figures import figures
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse
from steps.candidates import RETRAIN, find_candidate
from steps.ownership import owner_of
from steps.tables import CANDIDATE, HOLDOUT, ROWS_CHOSEN, TRAINING_SET, described


class CandidateConfig(dg.Config):
    """How the candidate comes about.

    `remedy`: "retrain" (search, fit) or "recalibrate" (the champion with its log-odds moved by the newest outcomes,
    where only the base rate changed).
    """

    remedy: str = RETRAIN


@dg.multi_asset(
    name="candidate",
    specs=[
        dg.AssetSpec(
            CANDIDATE,
            deps=[TRAINING_SET, ROWS_CHOSEN],
            group_name="training",
            owners=[owner_of(CANDIDATE)],
            kinds={"scikitlearn", "mlflow"},
            description=(
                "One row a registered version: of a small seeded search (recency rule, RFM regression, regularised "
                "logistic regression, histogram gradient boosting) the simplest that nothing beats, its metrics beside "
                "the baselines of the same run, its parameters and the fingerprint of its data. The version is in "
                "MLflow as `challenger`. The gate's checks decide on it."
            ),
        ),
        dg.AssetSpec(
            HOLDOUT,
            deps=[TRAINING_SET, ROWS_CHOSEN],
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
            # A refused candidate is not promoted; it stops nothing that the champion does.
            blocking=False,
            description=text,
            metadata={"owner": owner_of(CANDIDATE)},
        )
        for name, text in GATES.items()
    ],
)
def candidate(
    context: dg.AssetExecutionContext, config: CandidateConfig, warehouse: Warehouse, registry: ModelRegistry
) -> Iterator[Materialized | dg.AssetCheckResult]:
    """Search, evaluate, compare, fit, register; the same data and recipe are not judged twice against one champion."""
    import pandas as pd

    from ml_models.plots import reliability_plot

    version, fingerprint = find_candidate(
        warehouse,
        registry,
        log=context.log.info,
        run_id=context.run_id,
        remedy=config.remedy,
        cause=context.run.tags.get("baton/cause", ""),
    )
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
            **in_mlflow(registry, version.version),
            "algorithm": version.algorithm,
            "selection": evidence["selection"],
            "trained_from": evidence.get("trained_from", "not recorded"),
            "trained_through": version.trained_through.isoformat(),
            "window": evidence.get("window", "expanding"),
            "quarantined_cutoffs": ", ".join(evidence.get("excluded", [])) or "none",
            "features_left_out": "; ".join(f"{name}: {why}" for name, why in evidence.get("left_out", {}).items())
            or "none",
            "fingerprint": fingerprint,
            **{name: round(metrics[name], 4) for name in ("auc", "pr_auc", "log_loss", "brier", "calibration_error")},
            "lift_at_10": round(metrics["lift_at_10"], 2),
            "models_on_the_holdout": table(comparison),
            "slices": table(slices[slices["slice_name"] != "cutoff"]),
            "search": table(trials),
            **at_a_glance(
                [calibration["mean_score"], calibration["observed_rate"]],
                "By tenths of the score: predicted, and in grey observed.",
            ),
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
            metadata={
                **figures(gate["observed"], gate["bound"], "as the sentence says"),
                "model_version": version.version,
            },
        )
