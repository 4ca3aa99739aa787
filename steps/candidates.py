"""Which rows are learned from, and what a search on them comes to: the training set and the candidate.

A candidate is a registered version with all its evidence; the same data and recipe are not judged twice.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from ml_models.training.gates import GATES
from resources.registry import CHALLENGER, REFERENCE, ModelRegistry, ModelVersion, RegistryError, refuse_untrusted
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.warehouse.contract import Warehouse, share_within
from steps.as_of import ledger
from steps.champions import current_champion
from steps.errors import StepRefusedError
from steps.migrations import ensure
from steps.problem import problem
from steps.rows_chosen import rows_to_learn_from
from steps.tables import CANDIDATE, CHAMPION, HOLDOUT, PREDICTIONS

if TYPE_CHECKING:
    import dagster as dg
    import pandas as pd

    from ml_models.problems.contract import Problem
    from ml_models.training.champion_challenge import Champion, Comparison
    from ml_models.training.gate import GateResult
    from ml_models.training.search import TrainingResult
    from ml_models.training.splits import TimeSplit

SEED = 0

IMPORTANCE = "importance.csv"
"""A version's text that says which families of features move its scores, and by how much."""

TRAINING_ROWS = 1_000_000
"""Beyond it whole customers are left out, always the same ones, and each row stands for `row_weight` of them.

All rows weigh the same then, so nothing that is estimated has to be weighted. The search holds the rows several times:
some 4 GB at a million."""

ROWS_OF_A_TRIAL = 100
"""Rows of each outcome that a candidate is fitted on to see of which types it consists."""

WINDOWS = ("expanding", "recent")

RETRAIN, RECALIBRATE = "retrain", "recalibrate"
REMEDIES = (RETRAIN, RECALIBRATE)
"""How a candidate comes about: by a search on the training set, or by moving the champion's log-odds."""


class TrainingSet(NamedTuple):
    """What was written: the rows (column `split` says what for), their split, and how they were chosen.

    `share` of the customers, 0 to 1; `quarantined` cutoffs, ascending; `expected_cost` is metadata.
    """

    frame: "pd.DataFrame"
    split: "TimeSplit"
    share: float
    quarantined: Sequence[date]
    expected_cost: dict[str, int]

    @property
    def learned_from(self) -> "pd.DataFrame":
        """The rows that something is learned from or judged on."""
        from ml_models.training.splits import KEPT_OUT

        return self.frame[~self.frame["split"].isin(KEPT_OUT)]


def make_training_set(
    warehouse: Warehouse,
    *,
    window: str = "expanding",
    exclude: tuple[date, date] | None = None,
    repaired: bool = False,
    most_rows: int = TRAINING_ROWS,
    late: Sequence[int] = (),
) -> TrainingSet:
    """Join features and matured outcomes, keep out what is known to be bad, split, and write `training.training_set`.

    `window` is one of WINDOWS. `exclude`: first and last cutoff to keep out beside those in quarantine. `repaired`:
    learn from the cutoffs in quarantine too. Of about `most_rows` labelled rows or more, a share of the customers.
    `late`: weeks by which features are made older (see `training.staleness.as_served`); empty: not at all.

    Raises:
        StepRefusedError: `window` or `most_rows` is none.
    """
    made = split_rows(
        warehouse, problem(), window=window, exclude=exclude, repaired=repaired, most_rows=most_rows, late=late
    )
    warehouse.replace_table("training", "training_set", made.frame)
    return made


def split_rows(
    warehouse: Warehouse,
    of: "Problem",
    *,
    window: str,
    exclude: tuple[date, date] | None,
    repaired: bool,
    most_rows: int,
    late: Sequence[int] = (),
) -> TrainingSet:
    """Return the frame joined to matured outcomes of a problem, with its `split`; see `make_training_set`.

    Raises:
        StepRefusedError: `window` or `most_rows` is none.
    """
    from ml_models.cutoffs import RECENT_CUTOFFS
    from ml_models.training.splits import split_training_set

    if window not in WINDOWS:
        raise StepRefusedError(
            f"Expected window to be one of {', '.join(WINDOWS)}; got {window!r}. Correct the run config."
        )
    if most_rows < 1:
        raise StepRefusedError(
            f"Expected most_rows to be a number of rows from 1 on; got {most_rows}. Correct the run config."
        )
    share = sampled_share(warehouse, most_rows)
    labelled_sql = (
        f"select f.*, o.{of.label} from features.feature_frame f join outcomes.customer_outcomes o "
        f"using (customer_id, cutoff_date) where {warehouse.sampled('f.customer_id', share)} "
        "order by f.cutoff_date, f.customer_id"
    )
    expected = warehouse.expected_cost(labelled_sql)
    labelled = warehouse.read(labelled_sql)
    if any(late):
        from ml_models.training.staleness import as_served

        labelled = as_served(labelled, late, of)
    cutoffs = [stamp.date() for stamp in labelled["cutoff_date"].unique()]
    bad = set() if repaired else set(quarantined_cutoffs(warehouse, cutoffs))
    bad |= {day for day in cutoffs if exclude and exclude[0] <= day <= exclude[1]}
    newest = RECENT_CUTOFFS if window == "recent" else None
    frame, split = split_training_set(labelled, of, newest=newest, quarantined=sorted(bad))
    return TrainingSet(frame, split, share, sorted(bad), expected)


def replayed_delays(warehouse: Warehouse) -> list[int]:
    """Return by how many whole weeks the newest served cutoffs were late, the newest first; empty: none is recorded."""
    from ml_models.training.staleness import REPLAYED_WEEKS, weeks_late

    ensure(warehouse, PREDICTIONS)
    schema, table = PREDICTIONS.path
    if "staleness_days" not in warehouse.shapes([schema])[schema, table].columns:
        # A former build's table, to which nothing was added yet.
        return []
    found = warehouse.read(
        "select cutoff_date, max(staleness_days) as days from predictions.lapse_predictions "
        f"where staleness_days is not null group by cutoff_date order by cutoff_date desc limit {REPLAYED_WEEKS}"
    )
    return weeks_late(found["days"].tolist())


def span_of(first: str, last: str) -> tuple[date, date] | None:
    """Return the dates of a span of cutoffs given as ISO text, None when both are empty.

    Raises:
        StepRefusedError: only one is given, one is no date, or they are in the wrong order.
    """
    if not first and not last:
        return None
    try:
        span = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        span = None
    if span is None or span[1] < span[0]:
        raise StepRefusedError(
            f"Expected exclude_from and exclude_to to be the first and last cutoff to keep out, as ISO dates such as "
            f"2024-09-02; got {first!r} and {last!r}. Correct the run config."
        )
    return span


def sampled_share(warehouse: Warehouse, most_rows: int) -> float:
    """Return the share of customers to learn from, so that about `most_rows` labelled rows leave the warehouse."""
    labelled = warehouse.read(
        "select count(*) as n from features.feature_frame join outcomes.customer_outcomes "
        "using (customer_id, cutoff_date)"
    )
    return share_within(int(labelled["n"].iloc[0]), most_rows)


def quarantined_cutoffs(warehouse: Warehouse, cutoffs: list[date]) -> list[date]:
    """Return those of the cutoffs whose features or labels the ledger of decisions excludes from training."""
    from ml_models.monitoring.decision.quarantine import quarantined

    return quarantined(ledger(warehouse), cutoffs, problem().window_days, problem().horizon_days)


def find_candidate(
    warehouse: Warehouse,
    registry: ModelRegistry,
    *,
    log: Callable[[str], None],
    run_id: str,
    remedy: str = RETRAIN,
    cause: str = "",
) -> tuple[ModelVersion, str]:
    """Search, evaluate, compare, fit, register; return the challenger and the fingerprint of its data and recipe.

    `remedy` is one of REMEDIES: "recalibrate" moves the champion's log-odds and searches nothing. `cause`: why, in
    words; it is kept with the version.

    Raises:
        StepRefusedError: `remedy` is none, or cannot be; or a candidate could not be stored. Nothing was trained.
    """
    if remedy not in REMEDIES:
        raise StepRefusedError(
            f"Expected remedy to be one of {', '.join(REMEDIES)}; got {remedy!r}. Correct the run config."
        )
    from ml_models.training.recipe import library_versions, recipe_fingerprint

    rows = rows_to_learn_from(warehouse)
    fingerprint = recipe_fingerprint(rows, problem(), seed=SEED, libraries=library_versions())
    if remedy == RECALIBRATE:
        fingerprint = _of_champion(registry, fingerprint)
    version = _judged_before(registry, fingerprint, log)
    if version is not None:
        registry.set_alias(CHALLENGER, version.version)
        log(f"version {version.version} was trained on exactly these data; nothing to register")
        if is_recorded(warehouse, version, CANDIDATE, HOLDOUT):
            return version, fingerprint
        log("its rows are not in the warehouse: fitted once more for them")
    result, compared, gates = _evaluated(rows, _to_beat(registry, log), remedy, log)
    if version is None:
        above = highest_recorded(warehouse, CANDIDATE, CHAMPION, PREDICTIONS)
        version = register(registry, result, compared, fingerprint, gates, run_id=run_id, above=above, cause=cause)
        log(f"registered as version {version.version}, challenger")
    record(warehouse, result, version)
    return version, fingerprint


def _of_champion(registry: ModelRegistry, fingerprint: str) -> str:
    """Return the fingerprint of a recalibration: of the rows, and of the version whose log-odds are moved.

    That is the champion; where it was itself recalibrated from these rows, it is the version before it: asked once
    more, the same comes out, and serves already.

    Raises:
        StepRefusedError: there is no champion.
    """
    serving = registry.by_alias(CHAMPION_ALIAS)
    if serving is None:
        raise StepRefusedError(
            "Expected a champion to recalibrate, and there is none yet. Train the first one: remedy: retrain."
        )

    def moving(version: ModelVersion) -> str:
        return hashlib.sha256(f"{RECALIBRATE}\x1f{version.fingerprint}\x1f{fingerprint}".encode()).hexdigest()

    if registry.tag(serving, "remedy") == RECALIBRATE:
        moved = registry.version(int(registry.tag(serving, "recalibrates")))
        if moving(moved) == serving.fingerprint:
            return serving.fingerprint
    return moving(serving)


def _evaluated(
    rows: "pd.DataFrame", champion: "Champion | None", remedy: str, log: Callable[[str], None]
) -> "tuple[TrainingResult, Comparison | None, Sequence[GateResult]]":
    """Search for a candidate, or move the champion's log-odds, and judge what came out."""
    from ml_models.training.gate import evaluate_candidate
    from ml_models.training.recalibrate import NothingToRecalibrateError, evaluate_recalibration

    if remedy == RECALIBRATE:
        if champion is None:
            raise StepRefusedError(
                "Expected the champion's files, to move its log-odds, and they are lost. Train anew: remedy: retrain."
            )
        try:
            return evaluate_recalibration(rows, problem(), champion, log=log)
        except NothingToRecalibrateError as error:
            raise StepRefusedError(f"{error} Nothing was trained.") from error
    refuse_what_cannot_be_stored(rows, problem())
    return evaluate_candidate(rows, problem(), champion, seed=SEED, log=log)


def refuse_what_cannot_be_stored(rows: "pd.DataFrame", asked: "Problem") -> None:
    """Fit each candidate on a few rows, and refuse those whose file could not be loaded again, before hours go by.

    Raises:
        StepRefusedError: a candidate holds a type that is not trusted; the sentence names both.
    """
    import numpy as np

    from ml_models.training.fitting import fitted

    few = rows.groupby(asked.label, group_keys=False).head(ROWS_OF_A_TRIAL)
    for candidate in asked.candidates:
        parameters = candidate.sample(np.random.default_rng(SEED), 1)[0]
        try:
            pipeline = fitted(candidate, parameters, SEED, few, asked)
        except (ValueError, ArithmeticError):
            # Too few rows for this one. The search fits it on all, and the registry looks again.
            continue
        try:
            refuse_untrusted(pipeline, f"candidate {candidate.name}")
        except RegistryError as error:
            raise StepRefusedError(f"{error} Nothing was trained.") from error


def _to_beat(registry: ModelRegistry, log: Callable[[str], None]) -> "Champion | None":
    """Return the champion; None before the first, and where its files are lost: retraining is what repairs that."""
    try:
        return current_champion(registry)
    except RegistryError as error:
        log(f"the candidate cannot be held against the champion: {error}")
        return None


def is_recorded(warehouse: Warehouse, version: ModelVersion, *keys: "dg.AssetKey") -> bool:
    """Tell whether each of these tables still has rows of a version, such as its own row and its holdout."""
    ensure(warehouse, *keys)
    counts = ", ".join(
        f"(select count(*) from {'.'.join(key.path)} where model_version = ?) as {key.path[-1]}" for key in keys
    )
    found = warehouse.read(f"select {counts}", [version.version] * len(keys))
    return bool(found.iloc[0].all())


def highest_recorded(warehouse: Warehouse, *keys: "dg.AssetKey") -> int:
    """Return the highest version that one of these tables names, which the registry may have lost; 0: none."""
    ensure(warehouse, *keys)
    union = " union all ".join(f"select model_version from {'.'.join(key.path)}" for key in keys)
    found = warehouse.read(f"select coalesce(max(model_version), 0) as highest from ({union}) as named")
    return int(found["highest"].iloc[0])


def register(
    registry: ModelRegistry,
    result: "TrainingResult",
    compared: "Comparison | None",
    fingerprint: str,
    gates: "Sequence[GateResult]",
    run_id: str,
    above: int = 0,
    cause: str = "",
) -> ModelVersion:
    """Log a training result with all its evidence and make it the challenger; its number is higher than `above`.

    `cause`: why it was trained, in words.
    """
    import pandas as pd

    from ml_models.plots import reliability_plot
    from ml_models.training.evidence import evidence_of

    evidence = evidence_of(result, compared, gates, problem(), cause)
    moved = result.recalibration
    numbers = {"intercept": moved.intercept, "slope": moved.slope} if moved else {}
    remedy = {"remedy": RECALIBRATE, "recalibrates": str(moved.version)} if moved else {"remedy": RETRAIN}
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
        parameters={**result.parameters, **numbers, "seed": result.seed, "selection": result.selection},
        metrics={**result.metrics, **baselines},
        files={
            "evidence.json": json.dumps(evidence, default=_plain),
            # What "typical" means in a reason belongs to the model that gives it.
            REFERENCE: result.reference.to_csv(),
            IMPORTANCE: pd.DataFrame(evidence["importance"]).to_csv(index=False),
            "calibration.png": reliability_plot(result.calibration, f"{result.candidate} on its holdout"),
        },
        example=result.holdout_rows[evidence["features"]].head(ROWS_OF_A_TRIAL),
        tags={"dagster.run_id": run_id, "data_fingerprint": result.fingerprint, "window": result.window, **remedy},
        above=above,
    )


def record(warehouse: Warehouse, result: "TrainingResult", version: ModelVersion) -> None:
    """Write a version's row and its holdout predictions."""
    row = _candidate_row(version, {"metrics": result.metrics, "parameters": result.parameters})
    holdout = result.holdout_predictions.assign(model_version=version.version)
    values = [version.version]
    warehouse.replace_partitions("training", "holdout_predictions", holdout, column="model_version", values=values)
    warehouse.replace_partitions("training", "candidate", row, column="model_version", values=values)


def _judged_before(registry: ModelRegistry, fingerprint: str, log: Callable[[str], None]) -> ModelVersion | None:
    """Return the version of exactly these data and recipe if its verdicts still hold, and its files are there.

    They do for the champion itself, and for a version that was held against the present champion by these gates. Where
    the champion's own files are lost nothing can be held against it: another has to take its place.
    """
    version = registry.by_fingerprint(fingerprint)
    lost = registry.lost(version) if version else ""
    if lost:
        log(f"trained once more: {lost}")
        return None
    serving = registry.by_alias(CHAMPION_ALIAS)
    if version is None or version == serving:
        return version
    if serving is not None and (gone := registry.lost(serving)):
        log(f"trained once more, to take the champion's place: {gone}")
        return None
    evidence = registry.evidence(version)
    same_rival = evidence.get("judged_against") == (serving.version if serving else None)
    return version if same_rival and [gate["name"] for gate in evidence["gates"]] == list(GATES) else None


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


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return value.item()
