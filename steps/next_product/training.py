"""Training of next product: the training set and the candidate."""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from ml_models.problems.next_product.gates import GATES
from resources.registry import CHALLENGER, REFERENCE, ModelRegistry, ModelVersion, RegistryError
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.warehouse.contract import Warehouse, share_within
from steps.candidates import WINDOWS, highest_recorded, is_recorded, quarantined_cutoffs
from steps.errors import StepRefusedError
from steps.migrations import ensure
from steps.next_product.keys import CANDIDATE, CHAMPION, DRIFT, HOLDOUT_LISTS, NAME, PREDICTIONS
from steps.problem import problem
from steps.tables import store_part

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.problems.next_product.training import Trained

SEED = 0

TRAINING_PAIRS = 800_000
"""About so many labelled pairs are learned from and judged on; beyond it, of half of the customers, or a quarter, …"""

_LEARNED = (
    "from next_product.candidates c join features.cutoffs k on k.cutoff_date = c.cutoff_date "
    "where k.matured_on <= (select max(matured_on) from next_product.outcomes)"
)


class TrainingSet(NamedTuple):
    """The labelled pairs with their `split`, the share of customers that they are of; or why there are none yet.

    `quarantined`: the cutoffs that were kept out.
    """

    rows: "pd.DataFrame | None"
    share: float
    why_none: str = ""
    quarantined: Sequence[date] = ()


def make_training_set(
    warehouse: Warehouse,
    *,
    window: str = "expanding",
    exclude: tuple[date, date] | None = None,
    repaired: bool = False,
    most_pairs: int = TRAINING_PAIRS,
) -> TrainingSet:
    """Join candidates and matured outcomes, split by time, and write `next_product.training_set`.

    Only cutoffs a horizon apart: see `is_learned_cutoff` of the dbt project. Kept out are those that the ledger of
    decisions holds to be bad, and those whose product types were renamed or lost, until they are built again; unless
    `repaired`. Before enough labels are known the table is left as it is.

    Raises:
        StepRefusedError: `window` or `most_pairs` is none.
    """
    from ml_models.cutoffs import RECENT_CUTOFFS
    from ml_models.problems.next_product.training import TooFewPairsError, split

    if window not in WINDOWS:
        raise StepRefusedError(
            f"Expected window to be one of {', '.join(WINDOWS)}; got {window!r}. Correct the run config."
        )
    if most_pairs < 1:
        raise StepRefusedError(
            f"Expected most_pairs to be a number of pairs from 1 on; got {most_pairs}. Correct the run config."
        )
    cutoffs = _labelled_cutoffs(warehouse)
    bad = set() if repaired else {*quarantined_cutoffs(warehouse, cutoffs), *_broken(warehouse)}
    bad |= {day for day in cutoffs if exclude and exclude[0] <= day <= exclude[1]}
    clean = [day for day in cutoffs if day not in bad]
    out = sorted(bad.intersection(cutoffs))
    learned = [day for day in (clean[-RECENT_CUTOFFS:] if window == "recent" else clean) if is_learned(day)]
    if not learned:
        return TrainingSet(None, 1.0, "no cutoff that is learned from has a known outcome yet", out)
    marks = ", ".join("?" for _ in learned)
    counted = warehouse.read(
        f"select count(*) as n from next_product.candidates where cutoff_date in ({marks})", learned
    )
    share = share_within(int(counted["n"].iloc[0]), most_pairs)
    rows = warehouse.read(
        "select c.*, case when o.customer_id is null then 0 else 1 end as bought from next_product.candidates c "
        "left join next_product.outcomes o on o.customer_id = c.customer_id and o.cutoff_date = c.cutoff_date "
        f"and o.product_type = c.product_type where c.cutoff_date in ({marks}) "
        f"and {warehouse.sampled('c.customer_id', share)} order by c.cutoff_date, c.customer_id, c.product_type",
        learned,
    )
    try:
        rows["split"] = split(rows["cutoff_date"], problem().horizon_days)
    except TooFewPairsError as error:
        return TrainingSet(None, share, str(error), out)
    warehouse.replace_table(NAME, "training_set", rows)
    return TrainingSet(rows, share, quarantined=out)


def _labelled_cutoffs(warehouse: Warehouse) -> list[date]:
    """Return the cutoffs that have pairs and whose outcome is known, ascending."""
    known = warehouse.read(f"select distinct c.cutoff_date {_LEARNED} order by 1")["cutoff_date"]
    return [stamp.date() for stamp in known]


def _broken(warehouse: Warehouse) -> set[date]:
    """Return the cutoffs whose product types are to be looked at, as far as was measured."""
    ensure(warehouse, DRIFT)
    found = warehouse.read(f"select cutoff_date from {NAME}.drift where decision = 'inspect'")
    return {stamp.date() for stamp in found["cutoff_date"]}


def is_learned(cutoff: date) -> bool:
    """Tell whether a cutoff is one to learn from; the same as the dbt macro `is_learned_cutoff` says."""
    question = problem().question
    return (cutoff - date(1900, 1, 1)).days // question.cadence_days % question.horizon_cutoffs == 0


class Found(NamedTuple):
    """The candidate with its evidence; None where there is nothing to learn from yet, and why."""

    version: ModelVersion | None
    evidence: dict[str, Any]
    why_none: str = ""


def find_candidate(warehouse: Warehouse, registry: ModelRegistry, *, log: Callable[[str], None], run_id: str) -> Found:
    """Fit, judge and register; the same rows and recipe are not judged twice against one champion."""
    from ml_models.problems.next_product.pairs import FEATURES
    from ml_models.problems.next_product.training import TooFewPairsError, train

    ensure(warehouse, CANDIDATE, HOLDOUT_LISTS)
    if not warehouse.exists(NAME, "training_set"):
        return Found(None, {}, "there is no training set yet: too few labels are known")
    own = registry.of(NAME)
    rows = warehouse.read(f"select * from {NAME}.training_set order by cutoff_date, customer_id, product_type")
    absent = [name for name in FEATURES if name not in rows]
    if absent:
        raise StepRefusedError(
            f"Expected next_product.training_set with {', '.join(absent)}, which this release learns from; got one "
            "that an earlier release made. Build next_product.candidates and make the training set again: `make run`."
        )
    fingerprint = _fingerprint(rows)
    serving = own.by_alias(CHAMPION_ALIAS)
    before = own.by_fingerprint(fingerprint)
    if before is not None and not own.lost(before):
        evidence = own.evidence(before)
        judged = before == serving or _same_rival(own, before, serving)
        same_gates = [gate["name"] for gate in evidence["gates"]] == list(GATES)
        if judged and same_gates and is_recorded(warehouse, before, CANDIDATE, HOLDOUT_LISTS):
            own.set_alias(CHALLENGER, before.version)
            log(f"next product: version {before.version} was trained on exactly these data; nothing to register")
            return Found(before, evidence)
    try:
        result = train(rows, _held_outcomes(warehouse, rows), _recipe(own, serving, log), seed=SEED, log=log)
    except TooFewPairsError as error:
        return Found(None, {}, str(error))
    evidence = _evidence(result, serving, _kept_out(warehouse, rows))
    if before is None or own.lost(before) or not (before == serving or _same_rival(own, before, serving)):
        above = highest_recorded(warehouse, CANDIDATE, CHAMPION, PREDICTIONS)
        before = _register(own, result, evidence, fingerprint, run_id, above)
        log(f"next product: registered as version {before.version}, challenger")
    _record(warehouse, result, evidence, before)
    return Found(before, evidence)


def _same_rival(own: ModelRegistry, version: ModelVersion, serving: ModelVersion | None) -> bool:
    """Tell whether a version was held against the present champion."""
    return bool(own.evidence(version).get("judged_against") == (serving.version if serving else None))


def _recipe(own: ModelRegistry, serving: ModelVersion | None, log: Callable[[str], None]) -> Any:
    """Return the parameters of the version that serves; None before the first, and where its evidence is lost."""
    if serving is None:
        return None
    try:
        return own.evidence(serving)["parameters"]
    except RegistryError as error:
        log(f"the candidate cannot be held against the champion: {error}")
        return None


def _held_outcomes(warehouse: Warehouse, rows: "pd.DataFrame") -> "pd.DataFrame":
    """Return what was bought at the holdout's cutoffs by the customers of the training set."""
    held = rows.loc[rows["split"] == "holdout", ["customer_id", "cutoff_date"]].drop_duplicates()
    days = sorted({stamp.date() for stamp in held["cutoff_date"]})
    marks = ", ".join("?" for _ in days)
    bought = warehouse.read(
        "select customer_id, cutoff_date, product_type, is_repeat from next_product.outcomes "
        f"where cutoff_date in ({marks}) and customer_id in (select customer_id from {NAME}.training_set)",
        days,
    )
    return bought.merge(held, on=["customer_id", "cutoff_date"])


def _fingerprint(rows: "pd.DataFrame") -> str:
    from ml_models.problems.next_product.training import CANDIDATES, RECIPE_VERSION
    from ml_models.training.fingerprint import frame_fingerprint
    from ml_models.training.recipe import library_versions

    recipe = {
        "problem": NAME,
        "recipe_version": RECIPE_VERSION,
        "seed": SEED,
        "libraries": library_versions(),
        "candidates": {name: dict(values) for name, values in CANDIDATES.items()},
    }
    parts = (frame_fingerprint(rows), json.dumps(recipe, sort_keys=True))
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _kept_out(warehouse: Warehouse, rows: "pd.DataFrame") -> list[str]:
    """Return the cutoffs that would be learned from, lie between those of `rows`, and are not among them."""
    there = {stamp.date() for stamp in rows["cutoff_date"].unique()}
    days = _labelled_cutoffs(warehouse)
    return [str(day) for day in days if is_learned(day) and min(there) < day < max(there) and day not in there]


def _evidence(result: "Trained", serving: ModelVersion | None, excluded: list[str]) -> dict[str, Any]:
    return {
        "metrics": dict(result.metrics),
        "comparison": result.comparison.to_dict("records"),
        "slices": result.slices.to_dict("records"),
        "gates": [
            {
                "name": gate.name,
                "passed": bool(gate.passed),
                "observed": float(gate.observed),
                "bound": float(gate.bound),
                "sentence": gate.sentence,
            }
            for gate in result.gates
        ],
        "gained": result.gained,
        "trained_from": result.trained_from.isoformat(),
        "trained_through": result.trained_through.isoformat(),
        "excluded": excluded,
        "judged_against": serving.version if serving else None,
        "parameters": dict(result.parameters),
        "seed": SEED,
    }


def _register(
    own: ModelRegistry, result: "Trained", evidence: dict[str, Any], fingerprint: str, run_id: str, above: int
) -> ModelVersion:
    from ml_models.problems.next_product.pairs import FEATURES

    return own.log_version(
        result.pipeline,
        algorithm=result.name,
        trained_through=result.trained_through,
        fingerprint=fingerprint,
        parameters={**result.parameters, "seed": SEED},
        metrics=result.metrics,
        files={
            "evidence.json": json.dumps(evidence),
            # A version is whole with what is typical beside it: here of the listed pairs.
            REFERENCE: result.holdout_lists[list(FEATURES)].median().to_csv(),
        },
        example=result.holdout_lists[list(FEATURES)].astype("float64").head(200),
        tags={"dagster.run_id": run_id, "remedy": "retrain"},
        above=above,
    )


def _record(warehouse: Warehouse, result: "Trained", evidence: dict[str, Any], version: ModelVersion) -> None:
    import pandas as pd

    row = {
        "model_name": version.name,
        "model_version": version.version,
        "algorithm": version.algorithm,
        "trained_through": pd.Timestamp(version.trained_through),
        **result.metrics,
        "gained": result.gained["ndcg"],
        "failed": ", ".join(gate["name"] for gate in evidence["gates"] if not gate["passed"]),
        "fingerprint": version.fingerprint,
        "mlflow_run_id": version.run_id,
    }
    lists = result.holdout_lists.assign(model_version=version.version)
    store_part(warehouse, HOLDOUT_LISTS, lists, "model_version", version.version)
    store_part(warehouse, CANDIDATE, pd.DataFrame([row]), "model_version", version.version)
