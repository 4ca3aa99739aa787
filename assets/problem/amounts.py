"""The assets of a further problem that predicts an amount: keys, group, registered model and checks carry its name."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.problem.further import champion_of, decisions_of, model_card_of
from assets.problem.predictions import ScoreConfig
from assets.problem.training_set import TrainingConfig
from assets.reporting import Materialized, at_a_glance, in_mlflow, table, unjudged, without_retries
from ml_models.problems.about import About
from ml_models.training.amounts.gates import AMOUNT_COMPARISONS, AMOUNT_GATES
from resources.clock import Clock
from resources.figures import figures
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse
from steps.amounts.decisions import amount_evidence
from steps.amounts.monitoring import judge_amount_drift, judge_amounts, measure_amount_drift, measure_amounts
from steps.amounts.scoring import current, predict_due_cutoff
from steps.amounts.training import find_amount_candidate, make_amount_set
from steps.candidates import span_of
from steps.ownership import owner_of
from steps.problem import problem_named
from steps.tables import CUSTOMER_VALUE, FEATURE_FRAME, FEED, OUTCOMES, ProblemTables, described, tables_of

if TYPE_CHECKING:
    from ml_models.model_card.card import Card
    from ml_models.model_card.further import FurtherCardFacts

Asset = dg.AssetsDefinition | dg.AssetChecksDefinition


def amount_assets(about: About) -> list[Asset]:
    """Return the assets and checks of a problem that predicts an amount, in the order in which its data flows."""
    of = tables_of(about.name)
    return [
        _training_set(about, of),
        _candidate(about, of),
        champion_of(about, of),
        _predictions(about, of),
        *_performance(about, of),
        *_drift(about, of),
        decisions_of(about, of, amount_evidence),
        model_card_of(about, of, _card),
    ]


def _card(facts: "FurtherCardFacts") -> "Card":
    from ml_models.model_card.amounts import amount_card

    return amount_card(facts)


def _training_set(about: About, of: ProblemTables) -> dg.AssetsDefinition:
    @dg.asset(
        key=of.training_set,
        group_name=about.name,
        owners=[owner_of(of.training_set)],
        kinds={"pandas", "duckdb"},
        deps=[FEATURE_FRAME, OUTCOMES],
        description=(
            "Which rows of the feature frame are learned from, with what came of them: `train`, a `gap` as long as the "
            "label's horizon, `holdout`; `quarantined` and `before window` are kept out. The features stand in "
            "features/feature_frame, under the same customer and cutoff."
        ),
    )
    def training_set(context: dg.AssetExecutionContext, config: TrainingConfig, warehouse: Warehouse) -> Materialized:
        """Join, keep out what is known bad, split."""
        asked = problem_named(about.name)
        with without_retries():
            made = make_amount_set(
                warehouse,
                asked,
                of,
                window=config.window,
                exclude=span_of(config.exclude_from, config.exclude_to),
                repaired=config.repaired,
                most_rows=config.most_rows,
            )
        rows, split = made.learned_from, made.split
        return dg.MaterializeResult(
            metadata={
                **described(warehouse, of.training_set),
                "mean_outcome": round(float(rows[asked.label].mean()), 2),
                "rows_learned_from": len(rows),
                "share_of_customers": made.share,
                "window": config.window,
                "quarantined_cutoffs": ", ".join(str(day) for day in made.quarantined) or "none",
                "reason": config.reason or context.run.tags.get("baton/cause", "none given"),
                "train": f"{split.train[0]} to {split.train[-1]}",
                "holdout": f"{split.holdout[0]} to {split.holdout[-1]}",
                **made.expected_cost,
            }
        )

    return training_set


def _candidate(about: About, of: ProblemTables) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"{about.name}_candidate",
        specs=[
            dg.AssetSpec(
                key=of.candidate,
                group_name=about.name,
                owners=[owner_of(of.candidate)],
                kinds={"scikitlearn", "mlflow"},
                deps=[of.training_set, FEATURE_FRAME],
                description=(
                    "One row a registered version: the family of models that a small seeded search speaks for, its "
                    "errors and totals, its parameters and the fingerprint of its data. The version is in MLflow, "
                    f"model `{about.name}`, as `challenger`. The gate's checks decide on it."
                ),
            ),
            dg.AssetSpec(
                key=of.holdout,
                group_name=about.name,
                owners=[owner_of(of.holdout)],
                kinds={"scikitlearn", "duckdb"},
                deps=[of.training_set, FEATURE_FRAME],
                description="What each version predicted on the holdout, by the fit that had not seen it.",
            ),
        ],
        check_specs=[
            dg.AssetCheckSpec(
                name,
                asset=of.candidate,
                blocking=False,
                description=text,
                metadata={"owner": owner_of(of.candidate)},
            )
            for name, text in AMOUNT_GATES.items()
        ],
    )
    def candidate(
        context: dg.AssetExecutionContext, warehouse: Warehouse, registry: ModelRegistry
    ) -> Iterator[Materialized | dg.AssetCheckResult]:
        """Search, evaluate, compare, fit, register; the same data and recipe are not judged twice."""
        import pandas as pd

        ours = registry.of(about.name)
        with without_retries():
            version = find_amount_candidate(
                warehouse,
                ours,
                problem_named(about.name),
                of,
                log=context.log.info,
                run_id=context.run_id,
                cause=context.run.tags.get("baton/cause", ""),
            )
        evidence = ours.evidence(version)
        calibration, slices = pd.DataFrame(evidence["calibration"]), pd.DataFrame(evidence["slices"])
        yield dg.MaterializeResult(
            asset_key=of.candidate,
            metadata={
                **described(warehouse, of.candidate),
                "model_version": version.version,
                **in_mlflow(ours, version.version),
                "algorithm": version.algorithm,
                "selection": evidence["selection"],
                "trained_through": version.trained_through.isoformat(),
                **{name: round(value, 4) for name, value in evidence["metrics"].items()},
                "models_on_the_holdout": table(pd.DataFrame(evidence["comparison"])),
                "slices": table(slices[slices["slice_name"] != "cutoff"]),
                "search": table(pd.DataFrame(evidence["trials"])),
                "tenths": table(calibration),
                **at_a_glance(
                    [calibration["mean_predicted"], calibration["mean_seen"]],
                    "By tenths of the prediction: predicted, and in grey seen.",
                ),
            },
        )
        yield dg.MaterializeResult(asset_key=of.holdout, metadata=described(warehouse, of.holdout))
        for gate in evidence["gates"]:
            warn = gate["name"] in AMOUNT_COMPARISONS
            yield dg.AssetCheckResult(
                asset_key=of.candidate,
                check_name=gate["name"],
                passed=gate["passed"],
                severity=dg.AssetCheckSeverity.WARN if warn else dg.AssetCheckSeverity.ERROR,
                description=gate["sentence"],
                metadata={
                    **figures(gate["observed"], gate["bound"], "as the sentence says"),
                    "model_version": version.version,
                },
            )

    return candidate


def _predictions(about: About, of: ProblemTables) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=of.predictions.to_python_identifier(),
        pool=f"{about.name}_champion",
        specs=[
            dg.AssetSpec(
                key=of.predictions,
                group_name=about.name,
                owners=[owner_of(of.predictions)],
                kinds={"scikitlearn", "duckdb"},
                deps=[FEATURE_FRAME, of.champion],
                description=(
                    f"One row a customer and cutoff: {about.predicts}, in {about.unit}, with the model version that "
                    "said so. Written by the champion, a cutoff at a time and once."
                ),
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "scored_current_cutoff",
                asset=of.predictions,
                description="The newest cutoff that the clock allows is there and has predictions.",
                metadata={"owner": owner_of(FEED)},
            )
        ],
    )
    def predictions(
        context: dg.AssetExecutionContext,
        config: ScoreConfig,
        warehouse: Warehouse,
        registry: ModelRegistry,
        clock: Clock,
    ) -> Iterator[Materialized | dg.AssetCheckResult]:
        """Predict one cutoff by the champion; a cutoff that is already there stays as it is."""
        ours = registry.of(about.name)
        with without_retries():
            what = predict_due_cutoff(
                warehouse,
                ours,
                clock,
                problem_named(about.name),
                of,
                cutoff=config.cutoff,
                rescore=config.rescore,
            )
        context.log.info(what)
        newest = warehouse.read(
            "select cutoff_date, count(*) as n, max(model_version) as version, avg(predicted) as mean "
            f"from {'.'.join(of.predictions.path)} group by cutoff_date order by cutoff_date desc limit 1"
        )
        metadata: dict[str, Any] = {**described(warehouse, of.predictions), "what_happened": what}
        for row in newest.to_dict("records"):
            metadata |= {"newest_cutoff": f"{row['cutoff_date']:%Y-%m-%d}", "model_version": int(row["version"])}
            metadata |= {"mean_predicted": round(float(row["mean"]), 2), "customers": int(row["n"])}
        yield dg.MaterializeResult(asset_key=of.predictions, metadata=metadata)
        passed, sentence, day = current(warehouse, ours, clock, of)
        yield dg.AssetCheckResult(
            asset_key=of.predictions,
            check_name="scored_current_cutoff",
            passed=passed,
            severity=dg.AssetCheckSeverity.WARN,
            description=sentence,
            metadata={
                "newest_cutoff": str(day) if day else "none",
                "owner": owner_of(FEED),
                **figures(int(not passed), 0, "cutoffs that are due and not predicted, at most"),
            },
        )

    return predictions


def _performance(about: About, of: ProblemTables) -> list[Asset]:
    @dg.asset(
        key=of.performance,
        group_name=about.name,
        owners=[owner_of(of.performance)],
        kinds={"pandas", "duckdb"},
        deps=[of.predictions, OUTCOMES, FEATURE_FRAME, of.holdout, CUSTOMER_VALUE],
        description=(
            "Realised performance: each cutoff whose outcome is known, as a whole, by activity band and for new "
            "customers, beside the best plain rule. Only predictions made outside their model's training window count "
            "(`live`); `holdout` rows tell what the gate saw."
        ),
    )
    def performance(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Materialized:
        """Judge every matured live prediction, and each version's holdout."""
        result = measure_amounts(warehouse, problem_named(about.name), of)
        live = result[(result["slice_name"] == "cutoff") & (result["evidence"] == "live")]
        context.log.info(f"judged {len(live)} matured cutoff(s) of live predictions")
        return dg.MaterializeResult(
            metadata={
                **described(warehouse, of.performance),
                "live_cutoffs_judged": len(live),
                "by_slice": table(result[result["slice_name"] != "cutoff"]),
            }
        )

    @dg.asset_check(
        asset=of.predictions,
        name="amounts_hold",
        additional_deps=[of.performance],
        description=(
            "The newest matured predictions agree in their total with what was seen, and no plain rule has the smaller "
            "error. Evidence for the week's decision."
        ),
        metadata={"owner": owner_of(of.predictions)},
    )
    def amounts_hold(warehouse: Warehouse, registry: ModelRegistry) -> dg.AssetCheckResult:
        """Judge the champion by the newest outcomes."""
        verdict = judge_amounts(warehouse, registry.of(about.name), problem_named(about.name), of)
        if verdict.off is None:
            return unjudged(verdict.sentence)
        return dg.AssetCheckResult(
            passed=verdict.status != "fail",
            severity=dg.AssetCheckSeverity.WARN,
            description=verdict.sentence,
            metadata={
                "status": verdict.status,
                "cause": verdict.cause or "none",
                **figures(abs(verdict.off.value), verdict.room, "share by which the total is off, at most"),
            },
        )

    return [performance, amounts_hold]


def _drift(about: About, of: ProblemTables) -> list[Asset]:
    @dg.asset(
        key=of.drift,
        group_name=about.name,
        owners=[owner_of(of.drift)],
        kinds={"scipy", "duckdb"},
        deps=[FEATURE_FRAME, of.champion, of.predictions],
        description=(
            "One row a cutoff: how far the champion's predictions moved against the weeks before. How the features "
            "moved stands in monitoring/drift: they are shared."
        ),
    )
    def drift(context: dg.AssetExecutionContext, warehouse: Warehouse, registry: ModelRegistry) -> Materialized:
        """Measure the cutoffs that were not measured yet."""
        new = measure_amount_drift(warehouse, registry.of(about.name), problem_named(about.name), of)
        context.log.info(f"drift measured for {new} new cutoff(s)")
        return dg.MaterializeResult(metadata={**described(warehouse, of.drift), "cutoffs_measured": new})

    @dg.asset_check(
        asset=of.predictions,
        name="score_drift",
        additional_deps=[of.drift],
        description=(
            "The champion's predictions at the newest cutoff did not leave the range of their own past in two of the "
            "last three weeks."
        ),
        metadata={"owner": owner_of(of.predictions)},
    )
    def score_drift(warehouse: Warehouse, registry: ModelRegistry) -> dg.AssetCheckResult:
        """Judge the predictions of the newest cutoff."""
        verdict = judge_amount_drift(warehouse, registry.of(about.name), problem_named(about.name), of)
        if verdict is None:
            return unjudged("no predictions were measured yet")
        return dg.AssetCheckResult(
            passed=verdict.status != "fail",
            severity=dg.AssetCheckSeverity.WARN,
            description=verdict.sentence,
            metadata={
                "status": verdict.status,
                "cutoff": str(verdict.cutoff),
                **figures(len(verdict.columns), 0, "columns that left their own range in two of three weeks, at most"),
                "columns": table(verdict.table),
            },
        )

    return [drift, score_drift]
