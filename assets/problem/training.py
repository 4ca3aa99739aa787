"""From the feature frame to the champion: training set, candidate, promotion gate, promotion."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.problem.frame import FEATURE_FRAME
from assets.reporting import column_schema, picture, table
from resources.registry import CHALLENGER, ModelRegistry, ModelVersion
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.warehouse.duckdb import Warehouse, share_within
from steps.ownership import owner_of
from steps.scoring import SQL_PARITY, Publication, keep_published
from steps.tables import described, ensure

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.training.champion_challenge import Champion, Comparison
    from ml_models.training.search import TrainingResult

OUTCOMES = dg.AssetKey(["outcomes", "customer_outcomes"])
TRAINING_SET = dg.AssetKey(["training", "training_set"])
CANDIDATE = dg.AssetKey(["training", "candidate"])
HOLDOUT = dg.AssetKey(["training", "holdout_predictions"])
CHAMPION = dg.AssetKey(["training", "champion"])

SEED = 0

TRAINING_ROWS = 1_000_000
"""Beyond it whole customers are left out, always the same ones, and each row stands for `row_weight` of them.

All rows weigh the same then, so nothing that is estimated has to be weighted. The search holds the rows several times:
some 4 GB at a million."""

POOL = "champion"
"""Where several runs may go at once: of what changes the champion and what scores with it, one at a time."""

GATES = {
    "enough_evidence": "The judged rows are enough to judge on.",
    "beats_base_rate": "Lower log-loss than always predicting the base rate, beyond noise.",
    "beats_recency_rule": "Lower log-loss and higher AUC than the rule `the longer away, the likelier gone`.",
    "beats_rfm_logistic": "Log-loss as low as that of a logistic regression on recency, frequency and money.",
    "calibration": "Predicted probabilities agree with observed rates.",
    "negative_control": "The same recipe on shuffled labels beats no baseline: the evaluation does not leak.",
    "simpler_is_worse": "No simpler family of models does as well.",
    "beats_champion": (
        "Lower log-loss than the champion on the same matured rows, beyond noise; no higher where the champion learned "
        "from bad rows, is too old, or is outgrown by labels."
    ),
    "no_slice_worse": "No slice of customers fares worse than under the champion by more than its margin.",
    "invariance": "What must not matter does not: row order, company, ids, the level of prices.",
    "directions": "What a person would call more risk raises the score: away for longer, fewer visits, less bought.",
    "extremes": "The worst customer scores high, the best one low, and nulls are scored like everybody.",
}
"""The promotion gate's checks: what fails one is not promoted and the champion stays."""

COMPARISONS = ("beats_champion", "no_slice_worse")
"""Gates that do not stop the run: a candidate that is no better than the champion is an ordinary week."""

WINDOWS = ("expanding", "recent")

ROLLED_BACK = "rolled_back"
"""The tag of a version that was champion and had to go; it does not return by itself."""


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


class PromotionConfig(dg.Config):
    """How the champion changes.

    `rollback`: instead of promoting the challenger, return to the champion before the present one, which then stays
    away. `exclude_from`, `exclude_to`: cutoffs known bad; a rollback passes over versions that learned from them.
    `after_shadow`: promote only a challenger that has scored a cutoff in predictions/shadow_predictions. `reason`: why.
    """

    rollback: bool = False
    exclude_from: str = ""
    exclude_to: str = ""
    after_shadow: bool = False
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
def training_set(
    context: dg.AssetExecutionContext, config: TrainingConfig, warehouse: Warehouse
) -> dg.MaterializeResult:
    """Join, keep out what is known bad, split and fingerprint."""
    from ml_models.problems.lapse.problem import PROBLEM
    from ml_models.training.fingerprint import frame_fingerprint
    from ml_models.training.splits import KEPT_OUT, RECENT_CUTOFFS, split_training_set

    if config.window not in WINDOWS:
        raise dg.Failure(
            f"Expected window to be one of {', '.join(WINDOWS)}; got {config.window!r}. Correct the run config.",
            allow_retries=False,
        )
    if config.most_rows < 1:
        raise dg.Failure(
            f"Expected most_rows to be a number of rows from 1 on; got {config.most_rows}. Correct the run config.",
            allow_retries=False,
        )
    span = span_of(config.exclude_from, config.exclude_to)

    share = sampled_share(warehouse, config.most_rows)
    rows_to_learn_from = (
        "select f.*, o.lapsed from features.feature_frame f join outcomes.customer_outcomes o "
        f"using (customer_id, cutoff_date) where {warehouse.sampled('f.customer_id', share)} "
        "order by f.cutoff_date, f.customer_id"
    )
    expected = warehouse.expected_cost(rows_to_learn_from)
    labelled = warehouse.read(rows_to_learn_from)
    cutoffs = [stamp.date() for stamp in labelled["cutoff_date"].unique()]
    bad = [] if config.repaired else known_bad(warehouse, cutoffs)
    bad = sorted({*bad, *(day for day in cutoffs if span and span[0] <= day <= span[1])})
    newest = RECENT_CUTOFFS if config.window == "recent" else None
    frame, split = split_training_set(labelled, PROBLEM, newest=newest, quarantined=bad)
    used = frame[~frame["split"].isin(KEPT_OUT)]
    rows = warehouse.replace_table("training", "training_set", frame)
    context.log.info(
        f"training set: {len(used):,} rows, train to {split.train[-1]}, holdout {split.holdout[0]} to "
        f"{split.holdout[-1]}; {len(bad)} cutoff(s) in quarantine"
    )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows,
            "dagster/table_name": "training.training_set",
            "dagster/column_schema": column_schema(frame),
            "fingerprint": frame_fingerprint(frame),
            "base_rate": round(float(used["lapsed"].mean()), 4),
            "rows_learned_from": len(used),
            "share_of_customers": share,
            "row_weight": 1 / share,
            "matured_cutoffs": int(frame["cutoff_date"].nunique()),
            "window": config.window,
            "quarantined_cutoffs": ", ".join(str(day) for day in bad) or "none",
            "reason": config.reason or context.run.tags.get("baton/cause", "none given"),
            "train": f"{split.train[0]} to {split.train[-1]}",
            "holdout": f"{split.holdout[0]} to {split.holdout[-1]}",
            **expected,
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
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Search, evaluate, compare, fit, register; the same data and recipe are not judged twice against one champion."""
    from ml_models.plots import reliability_plot
    from ml_models.problems.lapse.problem import PROBLEM
    from ml_models.training.gate import evaluate_candidate
    from ml_models.training.recipe import library_versions, recipe_fingerprint

    rows = warehouse.read("select * from training.training_set order by cutoff_date, customer_id")
    fingerprint = recipe_fingerprint(rows, PROBLEM, seed=SEED, libraries=library_versions())
    version = _judged_before(registry, fingerprint)
    if version is None:
        serving = champion_known(registry)
        result, compared, gates = evaluate_candidate(rows, PROBLEM, serving, seed=SEED, log=context.log.info)
        version = register(registry, result, compared, fingerprint, gates, run_id=context.run_id)
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
            "trained_from": evidence.get("trained_from", "not recorded"),
            "trained_through": version.trained_through.isoformat(),
            "window": evidence.get("window", "expanding"),
            "quarantined_cutoffs": ", ".join(evidence.get("excluded", [])) or "none",
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
            severity=dg.AssetCheckSeverity.WARN if gate["name"] in COMPARISONS else dg.AssetCheckSeverity.ERROR,
            description=gate["sentence"],
            metadata={"observed": gate["observed"], "bound": gate["bound"], "model_version": version.version},
        )


@dg.asset(
    key=CHAMPION,
    deps=[CANDIDATE],
    group_name="training",
    owners=[owner_of(CHAMPION)],
    kinds={"mlflow"},
    pool=POOL,
    check_specs=[
        dg.AssetCheckSpec(
            SQL_PARITY.name,
            asset=CHAMPION,
            description=(
                "The champion's SQL function says what scikit-learn says, to 1e-9, on the newest rows and on rows made "
                "to break it. Failed, it is not published, and the alias calls no older version either."
            ),
            metadata={"owner": owner_of(CHAMPION)},
        )
    ],
    description=(
        "One row a promotion: which version serves from when, through which cutoff it was trained, and why. The newest "
        "row is what MLflow's alias `champion` points to. A challenger that failed a gate is not promoted. The job "
        "`rollback` and `make promote VERSION=n` go back to an older one."
    ),
)
def champion(
    context: dg.AssetExecutionContext, config: PromotionConfig, warehouse: Warehouse, registry: ModelRegistry
) -> dg.MaterializeResult:
    """Promote the challenger if its gates passed, or return to the champion before."""
    before = registry.by_alias(CHAMPION_ALIAS)
    cause = config.reason or context.run.tags.get("baton/cause", "")
    if config.rollback:
        target = previous_champion(registry, warehouse, span_of(config.exclude_from, config.exclude_to))
        if target is None or before is None:
            raise dg.Failure(
                "Expected an earlier champion to return to and found none that did not fail itself"
                + (" and that learned from none of the bad cutoffs" if config.exclude_from else "")
                + ". The present one goes on serving; train a sound candidate (job `retrain`), or name a version: "
                "`make promote VERSION=<number>`.",
                allow_retries=False,
            )
        cause = f"rollback: {cause or 'a person asked for it'}"
        make_champion(registry, warehouse, target, reason=cause, run_id=context.run_id)
        registry.set_tag(before, ROLLED_BACK, cause)
        what = f"rolled back from version {before.version} to version {target.version}"
    else:
        challenger = registry.by_alias(CHALLENGER)
        if challenger is None:
            raise dg.Failure(
                "Expected a challenger in the model registry and found none. Materialise training/candidate first.",
                allow_retries=False,
            )
        obstacle = obstacle_of(registry, challenger)
        if not obstacle and config.after_shadow and not _scored_as_shadow(warehouse, challenger):
            obstacle = "it has not scored a cutoff as a shadow yet; the next weekly scoring does that"
        if before == challenger and _last_recorded(warehouse) == challenger.version:
            what = f"version {challenger.version} is the champion already"
        elif obstacle:
            what = f"version {challenger.version} is not promoted: {obstacle}"
        else:
            make_champion(registry, warehouse, challenger, reason=cause or "passed the gate", run_id=context.run_id)
            what = f"champion: {before.version if before else 'none'} -> {challenger.version}"
    context.log.info(what)
    ensure(warehouse, CHAMPION)
    serving = registry.by_alias(CHAMPION_ALIAS)
    metadata: dict[str, Any] = {**described(warehouse, CHAMPION), "what_happened": what}
    metadata["previous_version"] = before.version if before else "none"
    if serving is not None:
        metadata |= {
            "model_version": serving.version,
            "algorithm": serving.algorithm,
            "trained_through": serving.trained_through.isoformat(),
        }
    return dg.MaterializeResult(metadata=metadata, check_results=[_callable_in_sql(warehouse, registry, serving)])


def sampled_share(warehouse: Warehouse, most_rows: int) -> float:
    """Return the share of customers to learn from, so that about `most_rows` labelled rows leave the warehouse."""
    labelled = warehouse.read(
        "select count(*) as n from features.feature_frame join outcomes.customer_outcomes "
        "using (customer_id, cutoff_date)"
    )
    return share_within(int(labelled["n"].iloc[0]), most_rows)


def _callable_in_sql(
    warehouse: Warehouse, registry: ModelRegistry, serving: ModelVersion | None
) -> dg.AssetCheckResult:
    """Publish what serves, whatever made it serve."""
    done = Publication(True, "There is no champion yet.")
    if serving is not None:
        done = keep_published(warehouse, registry, serving)
    return dg.AssetCheckResult(
        asset_key=CHAMPION,
        check_name=SQL_PARITY.name,
        passed=done.passed,
        severity=done.severity,
        description=done.sentence,
    )


def span_of(first: str, last: str) -> tuple[date, date] | None:
    """Return the dates of a span of cutoffs given as ISO text, None when both are empty.

    Raises:
        dg.Failure: only one is given, one is no date, or they are in the wrong order.
    """
    if not first and not last:
        return None
    try:
        span = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        span = None
    if span is None or span[1] < span[0]:
        raise dg.Failure(
            f"Expected exclude_from and exclude_to to be the first and last cutoff to keep out, as ISO dates such as "
            f"2017-09-04; got {first!r} and {last!r}. Correct the run config.",
            allow_retries=False,
        )
    return span


def known_bad(warehouse: Warehouse, cutoffs: list[date]) -> list[date]:
    """Return those of the cutoffs whose features or labels the ledger of decisions holds to be bad."""
    from ml_models.monitoring.decision.decide import quarantined
    from ml_models.problems.lapse.problem import PROBLEM

    if not warehouse.exists("monitoring", "decisions"):
        return []
    ledger = warehouse.read("select * from monitoring.decisions order by cutoff")
    return quarantined(ledger, cutoffs, PROBLEM.window_days, PROBLEM.horizon_days)


def champion_known(registry: ModelRegistry) -> "Champion | None":
    """Return the serving version with what its evidence says it learned from, None before the first promotion."""
    from ml_models.training.champion_challenge import Champion

    version = registry.by_alias(CHAMPION_ALIAS)
    if version is None:
        return None
    evidence = registry.evidence(version)
    return Champion(
        version=version.version,
        pipeline=registry.load(version),
        algorithm=version.algorithm,
        parameters=evidence["parameters"],
        trained_through=version.trained_through,
        trained_from=date.fromisoformat(evidence["trained_from"]) if "trained_from" in evidence else None,
        excluded=tuple(date.fromisoformat(day) for day in evidence.get("excluded", [])),
        seed=evidence["seed"],
    )


def make_champion(
    registry: ModelRegistry,
    warehouse: Warehouse,
    version: ModelVersion,
    *,
    reason: str,
    run_id: str | None = None,
) -> ModelVersion | None:
    """Point the champion's alias to a version and record it; return the version before.

    The one way in which a champion changes: a promotion, a rollback and a person's choice alike. The alias moves
    first, the record follows; the files are proved readable before anything points to them.
    """
    before = registry.by_alias(CHAMPION_ALIAS)
    registry.load(version)
    registry.set_alias(CHAMPION_ALIAS, version.version)
    if registry.tag(version, ROLLED_BACK):
        # Somebody wants it back: what it was sent away for is history.
        registry.set_tag(version, ROLLED_BACK, "")
    record_promotion(warehouse, version, before, reason=reason, at=datetime.now(UTC), run_id=run_id)
    return before


def previous_champion(
    registry: ModelRegistry, warehouse: Warehouse, bad: tuple[date, date] | None = None
) -> ModelVersion | None:
    """Return the newest earlier champion to return to, or None.

    Versions that were rolled back themselves are passed over, and so are those that learned from cutoffs in `bad`.
    """
    serving = registry.by_alias(CHAMPION_ALIAS)
    if serving is None or not warehouse.exists("training", "champion"):
        return None
    history = warehouse.read("select model_version from training.champion order by promoted_at desc")["model_version"]
    for number in dict.fromkeys(int(version) for version in history):
        if number == serving.version:
            continue
        version = registry.version(number)
        if not registry.tag(version, ROLLED_BACK) and not (bad and _learned_from(registry, version, bad)):
            return version
    return None


def _learned_from(registry: ModelRegistry, version: ModelVersion, bad: tuple[date, date]) -> bool:
    """Tell whether a version learned from a cutoff (a Monday each week) inside `bad`."""
    from ml_models.training.champion_challenge import learned_from

    evidence = registry.evidence(version)
    first = date.fromisoformat(evidence["trained_from"]) if "trained_from" in evidence else None
    excluded = [date.fromisoformat(day) for day in evidence.get("excluded", [])]
    days = [bad[0] + timedelta(days=number) for number in range((bad[1] - bad[0]).days + 1)]
    return any(
        learned_from(day, first, version.trained_through, excluded) for day in days if _is_cutoff_of(day, version)
    )


def _is_cutoff_of(day: date, version: ModelVersion) -> bool:
    return (version.trained_through - day).days % 7 == 0


def obstacle_of(registry: ModelRegistry, challenger: ModelVersion) -> str:
    """Return why a challenger must not be promoted, in words; empty when nothing speaks against it."""
    failed = [gate["name"] for gate in registry.evidence(challenger)["gates"] if not gate["passed"]]
    if failed:
        return f"it failed {', '.join(failed)}"
    sent_away = registry.tag(challenger, ROLLED_BACK)
    return f"it was rolled back ({sent_away})" if sent_away else ""


def _scored_as_shadow(warehouse: Warehouse, version: ModelVersion) -> bool:
    if not warehouse.exists("predictions", "shadow_predictions"):
        return False
    found = warehouse.read(
        "select count(*) as n from predictions.shadow_predictions where model_version = ?", [version.version]
    )
    return bool(found["n"].iloc[0])


def _judged_before(registry: ModelRegistry, fingerprint: str) -> ModelVersion | None:
    """Return the version of exactly these data and recipe if its verdicts still hold.

    They do for the champion itself, and for a version that was held against the present champion by these gates.
    """
    version = registry.by_fingerprint(fingerprint)
    serving = registry.by_alias(CHAMPION_ALIAS)
    if version is None or version == serving:
        return version
    evidence = registry.evidence(version)
    same_rival = evidence.get("judged_against") == (serving.version if serving else None)
    return version if same_rival and [gate["name"] for gate in evidence["gates"]] == list(GATES) else None


def register(
    registry: ModelRegistry,
    result: "TrainingResult",
    compared: "Comparison | None",
    fingerprint: str,
    gates: list,
    run_id: str,
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
        "window": result.window,
        "trained_from": str(result.trained_from),
        "trained_through": str(result.trained_through),
        "excluded": [str(day) for day in result.excluded],
        "judged_against": compared.version if compared else None,
        "comparison_with_champion": compared.how if compared else "",
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
        tags={"dagster.run_id": run_id, "data_fingerprint": result.fingerprint, "window": result.window},
    )


def record(warehouse: Warehouse, result: "TrainingResult", version: ModelVersion) -> None:
    """Write a version's row and its holdout predictions."""
    row = _candidate_row(version, {"metrics": result.metrics, "parameters": result.parameters})
    holdout = result.holdout_predictions.assign(model_version=version.version)
    values = [version.version]
    warehouse.replace_partitions("training", "holdout_predictions", holdout, column="model_version", values=values)
    warehouse.replace_partitions("training", "candidate", row, column="model_version", values=values)


def record_promotion(
    warehouse: Warehouse,
    version: ModelVersion,
    before: ModelVersion | None,
    *,
    reason: str,
    at: datetime,
    run_id: str | None,
) -> None:
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
            "previous_version": pd.array([before.version if before else None], dtype="Int64"),
            "run_id": pd.Series([run_id], dtype=object),
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


def _last_recorded(warehouse: Warehouse) -> int | None:
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
