"""The champion as a SQL function: `scoring.lapse_champion`, which any query and any dbt model can call."""

import dagster as dg

from resources.registry import ModelRegistry, ModelVersion
from resources.warehouse import Warehouse, WarehouseError

SQL_PARITY = dg.AssetCheckKey(dg.AssetKey(["training", "champion"]), "sql_parity")

PROVED_ON = 20_000
"""Rows of the newest cutoff on which SQL and scikit-learn are compared, beside those made to break it."""


def keep_published(warehouse: Warehouse, registry: ModelRegistry, champion: ModelVersion) -> tuple[bool, str]:
    """Make the alias call the champion, if its SQL says what scikit-learn says; return whether all is well, and why.

    Done already, it costs one look. A pipeline that cannot be written as SQL is no fault: then there is no alias,
    rather than one that calls an older version. SQL that differs is: it is not published. A warehouse that takes no
    function is one, too, and no reason to undo a promotion.
    """
    try:
        return _kept(warehouse, registry, champion)
    except WarehouseError as error:
        return False, f"Version {champion.version} serves, and could not be published as a SQL function. {error}"


def _kept(warehouse: Warehouse, registry: ModelRegistry, champion: ModelVersion) -> tuple[bool, str]:
    from ml_models.lapse.problem import PROBLEM
    from resources.scoring import dialect_of, publish, published, score_in_memory, withdraw_alias

    if published(warehouse, PROBLEM.name).champion == champion.version:
        return True, f"Version {champion.version} is published; it was proved equal to scikit-learn before."
    from ml_models.scoring_sql import UnsupportedPipelineError, compile_pipeline, function_name, parity

    pipeline, features = registry.load(champion), list(PROBLEM.features)
    try:
        local = compile_pipeline(pipeline, features, "duckdb")
        compiled = compile_pipeline(pipeline, features, dialect_of(warehouse))
    except UnsupportedPipelineError as error:
        withdraw_alias(warehouse, PROBLEM.name)
        return True, f"Version {champion.version} scores by scikit-learn only. {error}"
    rows = warehouse.read(
        "select * from features.feature_frame where cutoff_date = "
        f"(select max(cutoff_date) from features.feature_frame) order by customer_id limit {PROVED_ON}"
    )
    proof = parity(pipeline, local, rows[features], score_in_memory)
    if not proof.passed:
        withdraw_alias(warehouse, PROBLEM.name)
        return False, f"Version {champion.version} is not published. {proof.sentence}"
    publish(warehouse, PROBLEM.name, champion.version, compiled, alias=True)
    name = function_name(PROBLEM.name, "champion")
    return True, f"Published as {name}, {compiled.bytes:,} bytes of SQL. {proof.sentence}"
