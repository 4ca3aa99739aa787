"""The champion as a SQL function that any query may call: published only when it says what scikit-learn says."""

from typing import Any, NamedTuple

import dagster as dg

from resources.registry import ModelRegistry, ModelVersion
from resources.sql_functions import (
    SCHEMA,
    move_alias,
    publish,
    published,
    score_in_memory,
    withdraw,
    withdraw_alias,
)
from resources.warehouse.contract import Warehouse, WarehouseError
from steps.frame import newest_rows
from steps.problem import problem
from steps.scoring import CHECKED_ROWS, SQL_SCORE, SqlDiffersError, largest_difference, predicted, scores_of_sql
from steps.tables import CHAMPION

SQL_PARITY = dg.AssetCheckKey(CHAMPION, "sql_parity")

PROVED_ON = 20_000
"""Rows of the newest cutoff on which SQL and scikit-learn are compared, beside those made to break it."""


class Publication(NamedTuple):
    """Whether SQL's champion is right or rightly absent, why, and how bad it is if not.

    `differs_by`: the largest difference of a score from scikit-learn's, None where nothing was compared just now;
    `bound`: from which difference on it is not published.
    """

    passed: bool
    sentence: str
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN
    differs_by: float | None = None
    bound: float | None = None


def keep_published(warehouse: Warehouse, registry: ModelRegistry, champion: ModelVersion) -> Publication:
    """Make the alias call the champion, if its SQL says what scikit-learn says.

    Done already, it costs one look. A pipeline that cannot be written as SQL is no fault: then there is no alias,
    rather than one that calls an older version. SQL that differs is: it is not published. A warehouse that takes no
    function is one, too, and no reason to undo a promotion.
    """
    try:
        return _kept(warehouse, registry, champion)
    except WarehouseError as error:
        return _unpublished(warehouse, champion, error)


def _unpublished(warehouse: Warehouse, champion: ModelVersion, error: WarehouseError) -> Publication:
    """Withdraw the alias: the version that it calls may be the one that was rolled back."""
    failed = f"Version {champion.version} serves, and could not be published as a SQL function. {error}"
    try:
        withdraw_alias(warehouse, problem().name)
    except WarehouseError as second:
        return Publication(
            False,
            f"{failed} Nor could the alias be withdrawn: it may call a version that no longer serves. {second}",
            dg.AssetCheckSeverity.ERROR,
        )
    return Publication(False, f"{failed} The alias was withdrawn after that, so that it calls no older version.")


def _kept(warehouse: Warehouse, registry: ModelRegistry, champion: ModelVersion) -> Publication:

    if published(warehouse, problem().name).champion == champion.version:
        return Publication(
            True, f"Version {champion.version} is published; it was proved equal to scikit-learn before."
        )
    from ml_models.rows import MissingFeaturesError, features_of, require_features
    from ml_models.scoring_sql import UnsupportedPipelineError, compile_pipeline, function_name, parity
    from ml_models.scoring_sql.parity import TOLERANCE

    pipeline = registry.load(champion)
    features = features_of(pipeline, problem())
    try:
        local = compile_pipeline(pipeline, features, "duckdb")
        compiled = compile_pipeline(pipeline, features, warehouse.dialect)
    except UnsupportedPipelineError as error:
        withdraw_alias(warehouse, problem().name)
        return Publication(True, f"Version {champion.version} scores by scikit-learn only. {error}")
    rows = newest_rows(warehouse, PROVED_ON)
    try:
        require_features(pipeline, rows.columns, problem(), f"version {champion.version}")
    except MissingFeaturesError as error:
        withdraw_alias(warehouse, problem().name)
        return Publication(False, f"Version {champion.version} is not published. {error}")
    proof = parity(pipeline, local, rows[features], score_in_memory)
    if not proof.passed:
        withdraw_alias(warehouse, problem().name)
        return Publication(
            False,
            f"Version {champion.version} is not published. {proof.sentence}",
            differs_by=proof.max_difference,
            bound=TOLERANCE,
        )
    publish(warehouse, problem().name, champion.version, compiled)
    called = ""
    if compiled.dialect != local.dialect:
        # Proved was the same model in DuckDB's words: what the warehouse makes of its own is asked before the alias.
        try:
            called = _proved_there(warehouse, pipeline, champion)
        except SqlDiffersError as error:
            withdraw(warehouse, problem().name, champion.version)
            return Publication(False, f"Version {champion.version} is not published: called in the warehouse, {error}.")
    move_alias(warehouse, problem().name, champion.version)
    name = function_name(problem().name, "champion")
    return Publication(
        True,
        f"Published as {name}, {compiled.bytes:,} bytes of SQL. {proof.sentence}{called}",
        differs_by=proof.max_difference,
        bound=TOLERANCE,
    )


def _proved_there(warehouse: Warehouse, pipeline: Any, champion: ModelVersion) -> str:
    """Compare what a published version says in the warehouse with what scikit-learn says, and return a sentence on it.

    Raises:
        SqlDiffersError: they do not say the same.
    """
    from ml_models.scoring_sql import function_name

    function = f"{SCHEMA}.{function_name(problem().name, champion.version)}"
    rows = newest_rows(warehouse, CHECKED_ROWS, f", {function}(f) as {SQL_SCORE}")
    difference = largest_difference(scores_of_sql(rows), predicted(pipeline, champion, rows)) if len(rows) else 0.0
    return f" Called in the warehouse on {len(rows):,} rows it differs by {difference:.1e} at most."
