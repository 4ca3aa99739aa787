"""From frame and outcomes to a judged candidate of a problem that predicts an amount."""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

from resources.registry import CHALLENGER, REFERENCE, ModelRegistry, ModelVersion, RegistryError
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.warehouse import Warehouse
from steps.candidates import (
    ROWS_OF_A_TRIAL,
    SEED,
    TrainingSet,
    highest_recorded,
    is_recorded,
    refuse_what_cannot_be_stored,
    split_rows,
)
from steps.champions import current_champion
from steps.tables import ProblemTables, store, store_part

if TYPE_CHECKING:
    from ml_models.problems.contract import Problem
    from ml_models.training.amounts.gate import AmountComparison
    from ml_models.training.amounts.search import AmountResult
    from ml_models.training.gate import GateResult

EVIDENCE_FORMAT = 1


def make_amount_set(
    warehouse: Warehouse,
    problem: "Problem",
    of: ProblemTables,
    *,
    window: str = "expanding",
    exclude: tuple[date, date] | None = None,
    repaired: bool = False,
    most_rows: int,
) -> TrainingSet:
    """Join matured outcomes to the frame, keep out what is known to be bad, split, and write which rows those are.

    The features stay in the frame: the table holds keys, outcome and split. The ledger of decisions keeps out the same
    cutoffs as for every other problem, because the data are the same. Parameters as of `steps.candidates`.

    Raises:
        StepRefusedError: `window` or `most_rows` is none.
    """
    made = split_rows(warehouse, problem, window=window, exclude=exclude, repaired=repaired, most_rows=most_rows)
    store(warehouse, of.training_set, made.frame)
    return made


def find_amount_candidate(
    warehouse: Warehouse,
    registry: ModelRegistry,
    problem: "Problem",
    of: ProblemTables,
    *,
    log: Callable[[str], None],
    run_id: str,
    cause: str = "",
) -> ModelVersion:
    """Search, evaluate, compare, fit, register; the same data and recipe are not judged twice against one champion.

    Raises:
        StepRefusedError: a candidate could not be stored. Nothing was trained.
    """
    from ml_models.explain import reference_values
    from ml_models.training.amounts.gate import evaluate_amounts
    from ml_models.training.recipe import library_versions, recipe_fingerprint

    rows = warehouse.read(
        f"select f.*, t.{problem.label}, t.split from {'.'.join(of.training_set.path)} t "
        "join features.feature_frame f using (customer_id, cutoff_date) order by f.cutoff_date, f.customer_id"
    )
    fingerprint = recipe_fingerprint(rows, problem, seed=SEED, libraries=library_versions())
    version = _judged_before(registry, fingerprint, log)
    if version is not None:
        registry.set_alias(CHALLENGER, version.version)
        log(f"version {version.version} was trained on exactly these data; nothing to register")
        if is_recorded(warehouse, version, of.candidate, of.holdout):
            return version
        log("its rows are not in the warehouse: fitted once more for them")
    # Few rows from all weeks: of an amount nearly every row is an outcome of its own.
    refuse_what_cannot_be_stored(rows.iloc[:: max(1, len(rows) // (2 * ROWS_OF_A_TRIAL))], problem)
    try:
        champion = current_champion(registry)
    except RegistryError as error:
        # Retraining is what repairs lost files.
        log(f"the candidate cannot be held against the champion: {error}")
        champion = None
    result, compared, gates = evaluate_amounts(rows, problem, champion, seed=SEED, log=log)
    if version is None:
        evidence = _evidence(result, compared, gates, problem, cause)
        version = registry.log_version(
            result.pipeline,
            algorithm=result.candidate,
            trained_through=result.trained_through,
            fingerprint=fingerprint,
            parameters={**result.parameters, "seed": result.seed, "selection": result.selection},
            metrics=result.metrics,
            files={
                "evidence.json": json.dumps(evidence, default=_plain),
                REFERENCE: reference_values(result.used[list(problem.features)], problem).to_csv(),
            },
            example=result.holdout[evidence["features"]].head(ROWS_OF_A_TRIAL),
            tags={"dagster.run_id": run_id, "window": result.window},
            above=highest_recorded(warehouse, of.candidate, of.champion, of.predictions),
        )
        log(f"registered as version {version.version}, challenger")
    _record(warehouse, result, version, problem, of)
    return version


def _judged_before(registry: ModelRegistry, fingerprint: str, log: Callable[[str], None]) -> ModelVersion | None:
    """Return the version of exactly these data and recipe if its verdicts still hold, and its files are there."""
    from ml_models.training.amounts.gates import AMOUNT_GATES

    version, serving = registry.by_fingerprint(fingerprint), registry.by_alias(CHAMPION_ALIAS)
    if version is None:
        return None
    for one in (version, serving):
        if one is not None and (lost := registry.lost(one)):
            log(f"trained once more: {lost}")
            return None
    if version == serving:
        return version
    evidence = registry.evidence(version)
    same_rival = evidence.get("judged_against") == (serving.version if serving else None)
    return version if same_rival and [gate["name"] for gate in evidence["gates"]] == list(AMOUNT_GATES) else None


def _record(
    warehouse: Warehouse, result: "AmountResult", version: ModelVersion, problem: "Problem", of: ProblemTables
) -> None:
    """Write a version's row and its holdout predictions."""
    import pandas as pd

    row = {
        "model_name": version.name,
        "model_version": version.version,
        "algorithm": version.algorithm,
        "trained_through": pd.Timestamp(version.trained_through),
        **result.metrics,
        "parameters": json.dumps(result.parameters, default=_plain),
        "fingerprint": version.fingerprint,
        "mlflow_run_id": version.run_id,
    }
    holdout = result.holdout[[*problem.keys, problem.label]].assign(
        predicted=result.predictions[result.candidate], model_version=version.version
    )
    store_part(warehouse, of.holdout, holdout, "model_version", version.version)
    store_part(warehouse, of.candidate, pd.DataFrame([row]), "model_version", version.version)


def _evidence(
    result: "AmountResult",
    compared: "AmountComparison | None",
    gates: "list[GateResult]",
    problem: "Problem",
    cause: str,
) -> dict[str, Any]:
    """Return everything that was measured, as JSON can hold it."""
    from ml_models.rows import features_of

    return {
        "format": EVIDENCE_FORMAT,
        "problem": problem.name,
        "candidate": result.candidate,
        "parameters": result.parameters,
        "seed": result.seed,
        "selection": result.selection,
        "features": features_of(result.pipeline, problem),
        "left_out": result.left_out,
        "trained_from": result.trained_from,
        "trained_through": result.trained_through,
        "window": result.window,
        "excluded": [str(day) for day in result.excluded],
        "rows": len(result.used),
        "split": {name: [str(days[0]), str(days[-1])] for name, days in result.split.__dict__.items() if days},
        "cause": cause,
        "judged_against": compared.version if compared else None,
        "compared": compared.how if compared else "",
        "metrics": result.metrics,
        "gates": [asdict(gate) for gate in gates],
        **{
            name: getattr(result, name).to_dict("records") for name in ("comparison", "slices", "trials", "calibration")
        },
    }


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value.item()
