"""Which version serves: promotion, rollback, what stands against a challenger, and the record of every change."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ml_models.model_version import learned_from
from resources.registry import CHALLENGER, ModelRegistry, ModelVersion, RegistryError
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.warehouse.contract import Warehouse
from steps.errors import StepRefusedError
from steps.migrations import ensure
from steps.problem import asked_named
from steps.tables import LAPSE, SHADOW_PREDICTIONS, ProblemTables

if TYPE_CHECKING:
    from ml_models.training.champion_challenge import Champion

ROLLED_BACK = "rolled_back"
"""The tag of a version that was champion and had to go; it does not return by itself."""


POOL = "champion"
"""Where several runs may go at once: of what changes the champion and what scores with it, one at a time."""


def current_champion(registry: ModelRegistry) -> "Champion | None":
    """Return the serving version with what its evidence says it learned from, None before the first promotion."""
    from ml_models.training.champion_challenge import Champion

    version = registry.by_alias(CHAMPION_ALIAS)
    if version is None:
        return None
    evidence = registry.evidence(version)
    trained_from, excluded = training_span(evidence)
    return Champion(
        version=version.version,
        pipeline=registry.load(version),
        algorithm=version.algorithm,
        parameters=evidence["parameters"],
        trained_through=version.trained_through,
        trained_from=trained_from,
        excluded=excluded,
        seed=evidence["seed"],
    )


def promote_challenger(
    registry: ModelRegistry,
    warehouse: Warehouse,
    *,
    after_shadow: bool = False,
    reason: str,
    run_id: str,
    of: ProblemTables = LAPSE,
) -> str:
    """Make the challenger the champion unless something stands against it; return what happened, in words.

    `after_shadow`: only one that has scored a cutoff in `predictions.shadow_predictions`. `of`: the tables of the
    problem, whose `registry` it is.

    Raises:
        StepRefusedError: there is no challenger.
    """
    before, challenger = registry.by_alias(CHAMPION_ALIAS), registry.by_alias(CHALLENGER)
    if challenger is None:
        raise StepRefusedError(
            "Expected a challenger in the model registry and found none. Materialise "
            f"{of.candidate.to_user_string()} first."
        )
    obstacle = obstacle_of(registry, challenger, of)
    if not obstacle and after_shadow and not _scored_as_shadow(warehouse, challenger):
        obstacle = "it has not scored a cutoff as a shadow yet; the next weekly scoring does that"
    last = _last_recorded(warehouse, of)
    if before == challenger and last and last.version == challenger.version:
        return f"version {challenger.version} is the champion already"
    recorded = before is None or (last is not None and last.version == before.version)
    if before is not None and not recorded and (obstacle or before != challenger):
        # The record was lost with the table, or by a kill behind the alias. A way back needs it.
        again = "recorded again: it serves, and its record was lost"
        record_promotion(warehouse, before, None, reason=again, at=datetime.now(UTC), run_id=run_id, of=of)
    if obstacle:
        return f"version {challenger.version} is not promoted: {obstacle}"
    make_champion(registry, warehouse, challenger, reason=reason, run_id=run_id, of=of)
    return f"champion: {before.version if before else 'none'} -> {challenger.version}"


def roll_back(
    registry: ModelRegistry,
    warehouse: Warehouse,
    bad: tuple[date, date] | None,
    *,
    reason: str,
    run_id: str,
    retries: Collection[str] = (),
    of: ProblemTables = LAPSE,
) -> str:
    """Return to the champion before the present one, which then stays away; return what happened, in words.

    `of`: the tables of the problem, whose `registry` it is. `bad` are the first and last cutoff that the champion to
    return to must not have learned from. `retries`: runs that this one repeats, because they were killed; what they
    began is brought to its end, and never done twice.

    Raises:
        StepRefusedError: there is no champion to return to.
    """
    last, serving = _last_recorded(warehouse, of), registry.by_alias(CHAMPION_ALIAS)
    if last and serving and last.version == serving.version and last.run_id in retries:
        return f"rolled back to version {serving.version} already, by the run that this one repeats"
    begun = _served_before(registry, last, serving)
    cause = registry.tag(begun, ROLLED_BACK) if begun else ""
    if serving and begun and cause:
        make_champion(registry, warehouse, serving, reason=cause, run_id=run_id, of=of)
        return f"rolled back from version {begun.version} to version {serving.version}, as a killed run had begun to"
    before, target = serving, previous_champion(registry, warehouse, bad, of)
    if target is None or before is None:
        raise StepRefusedError(
            "Expected an earlier champion to return to and found none that did not fail itself"
            + (" and that learned from none of the bad cutoffs" if bad else "")
            + ". The present one goes on serving; train a sound candidate (job `retrain`), or name a version: "
            "`make promote VERSION=<number>`."
        )
    cause = f"rollback: {reason}"
    _prove(registry, target, of)
    # First: if the run is killed before the rest is done, this is what tells a later one which way to go.
    registry.set_tag(before, ROLLED_BACK, cause)
    make_champion(registry, warehouse, target, reason=cause, run_id=run_id, of=of)
    return f"rolled back from version {before.version} to version {target.version}"


def make_champion(
    registry: ModelRegistry,
    warehouse: Warehouse,
    version: ModelVersion,
    *,
    reason: str,
    run_id: str | None = None,
    of: ProblemTables = LAPSE,
) -> ModelVersion | None:
    """Point the champion's alias to a version and record it; return the version before.

    The one way in which a champion changes: a promotion, a rollback and a person's choice alike. The alias moves
    first, the record follows; the files are proved readable before anything points to them. Where a kill came between
    the two, the record that is missing is written with the version that served before.

    Raises:
        StepRefusedError: the version was fitted on a feature that there is no longer.
    """
    before = registry.by_alias(CHAMPION_ALIAS)
    _prove(registry, version, of)
    last = _last_recorded(warehouse, of)
    if before == version and (last is None or last.version != version.version):
        before = _served_before(registry, last, version)
    registry.set_alias(CHAMPION_ALIAS, version.version)
    if registry.tag(version, ROLLED_BACK):
        # Somebody wants it back: what it was sent away for is history.
        registry.set_tag(version, ROLLED_BACK, "")
    record_promotion(warehouse, version, before, reason=reason, at=datetime.now(UTC), run_id=run_id, of=of)
    return before


def _prove(registry: ModelRegistry, version: ModelVersion, of: ProblemTables) -> None:
    """Load a version, and refuse one that was fitted on a feature that there is no longer."""
    from ml_models.rows import MissingFeaturesError, require_features

    try:
        asked = asked_named(of.name)
        require_features(registry.load(version), asked.features, asked, f"version {version.version}")
    except MissingFeaturesError as error:
        raise StepRefusedError(f"{error} The champion stays.") from None


def previous_champion(
    registry: ModelRegistry, warehouse: Warehouse, bad: tuple[date, date] | None = None, of: ProblemTables = LAPSE
) -> ModelVersion | None:
    """Return the newest earlier champion to return to, or None.

    Versions that were rolled back themselves are passed over, and so are those that learned from cutoffs in `bad`, and
    those whose files are lost.
    """
    serving = registry.by_alias(CHAMPION_ALIAS)
    schema, table = of.champion.path
    if serving is None or not warehouse.exists(schema, table):
        return None
    history = warehouse.read(f"select model_version from {schema}.{table} order by promoted_at desc")["model_version"]
    for number in dict.fromkeys(int(version) for version in history):
        if number == serving.version:
            continue
        try:
            version = registry.version(number)
        except RegistryError:
            # Its registry was lost, and another one counts on.
            continue
        if registry.tag(version, ROLLED_BACK) or registry.lost(version):
            continue
        if not (bad and _learned_from(registry, version, bad)):
            return version
    return None


def obstacle_of(registry: ModelRegistry, challenger: ModelVersion, of: ProblemTables = LAPSE) -> str:
    """Return why a challenger must not be promoted, in words; empty when nothing speaks against it."""
    lost = registry.lost(challenger)
    if lost:
        return lost
    failed = [gate["name"] for gate in registry.evidence(challenger)["gates"] if not gate["passed"]]
    if failed:
        return f"it failed {', '.join(failed)}"
    sent_away = registry.tag(challenger, ROLLED_BACK)
    if sent_away:
        return f"it was rolled back ({sent_away})"
    from ml_models.rows import missing_features

    asked = asked_named(of.name)
    gone = missing_features(registry.load(challenger), asked.features, asked)
    return f"it was fitted on {', '.join(gone)}, which there is no longer" if gone else ""


def record_promotion(
    warehouse: Warehouse,
    version: ModelVersion,
    before: ModelVersion | None,
    *,
    reason: str,
    at: datetime,
    run_id: str | None,
    of: ProblemTables = LAPSE,
) -> None:
    """Append a row to the champions of a problem."""
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
    schema, table = of.champion.path
    warehouse.replace_partitions(schema, table, row, column="promoted_at", values=[pd.Timestamp(at)])


def training_span(evidence: Mapping[str, Any]) -> tuple[date | None, tuple[date, ...]]:
    """Return the first cutoff that a version learned from (None: not recorded), and the cutoffs that were kept out."""
    first = evidence.get("trained_from")
    excluded = tuple(date.fromisoformat(day) for day in evidence.get("excluded", ()))
    return date.fromisoformat(first) if first else None, excluded


def _learned_from(registry: ModelRegistry, version: ModelVersion, bad: tuple[date, date]) -> bool:
    """Tell whether a version learned from a cutoff (a Monday each week) inside `bad`."""
    from ml_models.cutoffs import cutoffs_between

    first, excluded = training_span(registry.evidence(version))
    days = cutoffs_between(*bad, in_step_with=version.trained_through)
    return bool(learned_from(days, version.trained_through, first, excluded))


def _scored_as_shadow(warehouse: Warehouse, version: ModelVersion) -> bool:
    ensure(warehouse, SHADOW_PREDICTIONS)
    found = warehouse.read(
        "select count(*) as n from predictions.shadow_predictions where model_version = ?", [version.version]
    )
    return bool(found["n"].iloc[0])


class _Recorded(NamedTuple):
    """What the newest row of `training.champion` says: which version serves, and the run that moved the alias."""

    version: int
    run_id: str | None


def _last_recorded(warehouse: Warehouse, of: ProblemTables) -> _Recorded | None:
    schema, table = of.champion.path
    if not warehouse.exists(schema, table):
        return None
    found = warehouse.read(f"select model_version, run_id from {schema}.{table} order by promoted_at desc limit 1")
    return _Recorded(int(found["model_version"].iloc[0]), found["run_id"].iloc[0]) if len(found) else None


def _served_before(
    registry: ModelRegistry, last: _Recorded | None, serving: ModelVersion | None
) -> ModelVersion | None:
    """Return the version that served before, where the alias moved on and a kill came before the record; else None."""
    if serving is None or last is None or last.version == serving.version:
        return None
    try:
        return registry.version(last.version)
    except RegistryError:
        # Its registry was lost, and another one counts on.
        return None
