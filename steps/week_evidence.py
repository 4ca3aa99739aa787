"""Everything that the judgement of one week may know, read as of its cutoff."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from ml_models.model_version import Deployed, ModelInfo
from resources.airbyte import RawWorkspace
from resources.dbt import DbtRunner
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.registry import ModelRegistry, ModelVersion
from resources.sandbox import Sandbox
from resources.warehouse.contract import Warehouse
from resources.warehouse.local_copy import share_of
from steps.as_of import (
    audit_of,
    drift_history,
    early_until,
    frame_until,
    outcomes_until,
    profile_until,
    reaching,
    rebuilding,
)
from steps.candidates import SEED
from steps.champions import previous_champion, training_span
from steps.closed_days import closed_days
from steps.deliveries import changes_since
from steps.migrations import ensure
from steps.ownership import owner_of
from steps.problem import problem
from steps.profiling import monitored_now
from steps.quality import arrival_anomalies, bad_weeks, schema_anomalies
from steps.source_counts import source_counts
from steps.tables import CHAMPION

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from ml_models.monitoring.week import WeekEvidence

PYTHON_LINEAGE: Mapping[str, tuple[str, ...]] = {
    "features/feature_frame": ("features/customer_features",),
    "training/training_set": ("features/feature_frame", "outcomes/customer_outcomes"),
    "training/candidate": ("training/training_set",),
    "training/holdout_predictions": ("training/training_set",),
    "training/champion": ("training/candidate",),
    "predictions/lapse_predictions": ("features/feature_frame", "training/champion"),
}
"""What the tables that Python writes read; dbt's manifest knows the others."""


def lineage_and_owners(sandbox: Sandbox) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Return asset -> what it reads, and asset -> team, both keyed `schema/name`."""
    lineage = {**sandbox.lineage(), **PYTHON_LINEAGE}
    return lineage, {name: owner_of(dg.AssetKey(name.split("/"))) for name in lineage}


def week_evidence(
    warehouse: Warehouse,
    registry: ModelRegistry,
    airbyte: RawWorkspace,
    dbt: DbtRunner,
    cutoff: date,
    ledger: "pd.DataFrame",
) -> "WeekEvidence":
    """Read everything that the judgement of `cutoff` may know."""
    from ml_models.monitoring.week import WeekEvidence

    champion, previous = _models(warehouse, registry)
    local = warehouse.local()
    share = share_of(local)
    closed = closed_days(warehouse, cutoff)
    sandbox = Sandbox(dbt, local.path)
    lineage, owners = lineage_and_owners(sandbox)
    tables, profile = monitored_now(warehouse, airbyte, dbt), profile_until(warehouse, cutoff)
    return WeekEvidence(
        cutoff=cutoff,
        problem=problem(),
        profile=profile,
        tables=tables,
        frame=frame_until(warehouse, cutoff, share),
        outcomes=outcomes_until(warehouse, cutoff, share),
        early=early_until(warehouse, cutoff, share),
        champion=_deployed(warehouse, registry, champion),
        previous=_deployed(warehouse, registry, previous),
        ledger=ledger,
        lineage=lineage,
        owners=owners,
        share=share,
        rebuild=rebuilding(dbt, local, cutoff),
        refit=_refit(registry, champion),
        audit=audit_of(dbt, warehouse, local, cutoff),
        closed_days=closed,
        counted=source_counts(warehouse, cutoff),
        reach=reaching(sandbox, tables),
        changes_since=lambda served_on: changes_since(warehouse, served_on, cutoff),
        bad_weeks=bad_weeks(warehouse, cutoff, {cutoff, cutoff - timedelta(days=7)}),
        drift_history=drift_history(warehouse),
        active_checks=(
            *schema_anomalies(warehouse, local, cutoff),
            *arrival_anomalies(profile, local, tables, cutoff, closed),
        ),
    )


def _models(warehouse: Warehouse, registry: ModelRegistry) -> "tuple[ModelVersion | None, ModelVersion | None]":
    """Return the champion, and the champion to return to, if there was one before."""
    champion = registry.by_alias(CHAMPION_ALIAS)
    if champion is None:
        return None, None
    ensure(warehouse, CHAMPION)
    return champion, previous_champion(registry, warehouse)


def _deployed(warehouse: Warehouse, registry: ModelRegistry, version: ModelVersion | None) -> Deployed | None:
    """Return a version's pipeline and what the judgement must know about it."""
    if version is None:
        return None
    first = warehouse.read(
        "select min(cutoff_date) as first_scored, (select max(cutoff_date) from features.feature_frame) as newest "
        "from predictions.lapse_predictions where model_version = ?",
        [version.version],
    ).iloc[0]
    promoted = first["first_scored"] if first["first_scored"] == first["first_scored"] else first["newest"]
    trained_from, excluded = training_span(registry.evidence(version))
    info = ModelInfo(
        version=str(version.version),
        trained_through=version.trained_through,
        promoted_on=promoted.date(),
        trained_from=trained_from,
        excluded=excluded,
    )
    return Deployed(registry.load(version), info)


def _refit(registry: ModelRegistry, champion: ModelVersion | None) -> "Callable[[pd.DataFrame], Pipeline]":
    """Return the champion's recipe; before the first champion, the simplest candidate as it comes."""
    from ml_models.training.fitting import fitted
    from ml_models.training.search import simplest_recipe

    if champion is None:
        return simplest_recipe(problem())
    candidate = {one.name: one for one in problem().candidates}[champion.algorithm]
    parameters = registry.evidence(champion)["parameters"]

    def refit(rows: "pd.DataFrame") -> "Pipeline":
        return fitted(candidate, parameters, SEED, rows, problem())

    return refit
