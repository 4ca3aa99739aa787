"""Published scores survive what happens to a warehouse; the alias moves whole or not at all."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support.small_model import FEATURES, fitted

from ml_models.scoring_sql import CompiledScore, compile_pipeline
from resources.sql_functions import Published, move_alias, publish, published, withdraw_alias
from resources.warehouse import DuckDBWarehouse, WarehouseError

FRAME = pd.DataFrame({"customer_id": ["a", "b", "c"], "recency": [1.0, 9.0, np.nan], "trips": [8, 1, 3]})
CALL = "select scoring.lapse_champion(f) as score from features.feature_frame f order by f.customer_id"


def compiled(seed: int) -> CompiledScore:
    return compile_pipeline(fitted(seed), FEATURES, "duckdb")


def said_by(seed: int) -> list[float]:
    return pytest.approx(list(fitted(seed).predict_proba(FRAME[FEATURES])[:, 1]), abs=1e-9)


@pytest.fixture
def warehouse(tmp_path) -> DuckDBWarehouse:
    made = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"), wait_seconds=1)
    made.replace_table("features", "feature_frame", FRAME)
    return made


def champion_says(warehouse: DuckDBWarehouse) -> list[float]:
    return list(warehouse.read(CALL)["score"])


def test_a_promotion_publishes_and_a_rollback_moves_the_alias_back(warehouse) -> None:
    assert published(warehouse, "lapse") == Published((), None)
    assert publish(warehouse, "lapse", 1, compiled(1), alias=True) == Published((1,), 1)
    assert publish(warehouse, "lapse", 2, compiled(2)) == Published((1, 2), 1)
    assert champion_says(warehouse) == said_by(1)
    assert move_alias(warehouse, "lapse", 2) == Published((1, 2), 2)
    assert champion_says(warehouse) == said_by(2)
    assert move_alias(warehouse, "lapse", 1) == Published((1, 2), 1)
    assert champion_says(warehouse) == said_by(1)


def test_publishing_the_same_again_changes_nothing_and_another_model_under_the_number_is_refused(warehouse) -> None:
    first = publish(warehouse, "lapse", 1, compiled(1), alias=True)
    assert publish(warehouse, "lapse", 1, compiled(1), alias=True) == first
    with pytest.raises(WarehouseError, match="A version never changes"):
        publish(warehouse, "lapse", 1, compiled(2), alias=True)
    assert champion_says(warehouse) == said_by(1)


def test_functions_survive_the_replacement_of_their_table_and_a_new_column_in_it(warehouse) -> None:
    publish(warehouse, "lapse", 1, compiled(1), alias=True)
    warehouse.replace_table(
        "features", "feature_frame", FRAME.assign(extra="x")[["extra", "trips", *FRAME.columns[:2]]]
    )
    assert champion_says(warehouse) == said_by(1)


def test_an_alias_is_not_moved_to_what_is_not_there(warehouse) -> None:
    publish(warehouse, "lapse", 1, compiled(1), alias=True)
    with pytest.raises(WarehouseError, match=r"version 7 of lapse .* published are: 1\. Publish it first"):
        move_alias(warehouse, "lapse", 7)
    assert published(warehouse, "lapse").champion == 1


def test_a_publication_that_fails_half_way_leaves_the_champion_and_no_version(warehouse) -> None:
    publish(warehouse, "lapse", 1, compiled(1), alias=True)
    broken = replace(compiled(2), expression="1e0 +")
    with pytest.raises(Exception, match="(?i)parser|syntax"):
        publish(warehouse, "lapse", 2, broken, alias=True)
    assert published(warehouse, "lapse") == Published((1,), 1)
    assert champion_says(warehouse) == said_by(1)


def test_old_versions_go_and_the_champion_stays_however_old(warehouse) -> None:
    publish(warehouse, "lapse", 1, compiled(1), alias=True)
    for version in range(2, 7):
        publish(warehouse, "lapse", version, compiled(version), keep=3)
    assert published(warehouse, "lapse") == Published((1, 4, 5, 6), 1)
    # A rollback to a version that went publishes it again.
    assert publish(warehouse, "lapse", 2, compiled(2), alias=True, keep=3) == Published((2, 4, 5, 6), 2)


def test_a_champion_that_sql_cannot_compute_leaves_no_alias_behind(warehouse) -> None:
    publish(warehouse, "lapse", 1, compiled(1), alias=True)
    assert withdraw_alias(warehouse, "lapse") == Published((1,), None)
    assert withdraw_alias(warehouse, "lapse") == Published((1,), None)


def test_problems_do_not_share_functions(warehouse) -> None:
    publish(warehouse, "lapse", 1, compiled(1), alias=True)
    publish(warehouse, "lapse_b", 4, compiled(2), alias=True)
    assert published(warehouse, "lapse") == Published((1,), 1)
    assert published(warehouse, "lapse_b") == Published((4,), 4)


def test_a_score_in_the_other_dialect_is_refused(warehouse) -> None:
    assert warehouse.dialect == "duckdb"
    with pytest.raises(WarehouseError, match="compiled to duckdb for this warehouse, got googlesql"):
        publish(warehouse, "lapse", 1, compile_pipeline(fitted(1), FEATURES, "googlesql"))
    assert published(warehouse, "lapse") == Published((), None)


class ThirdEngine(DuckDBWarehouse):
    """An engine whose SQL nobody has described yet."""

    @property
    def dialect(self) -> str:
        return "snowflake"


def test_an_engine_with_a_dialect_of_its_own_is_not_spoken_to_in_another_one(warehouse) -> None:
    third = ThirdEngine(path=warehouse.path)
    with pytest.raises(ValueError, match="Expected a SQL dialect among duckdb, googlesql, got 'snowflake'"):
        compile_pipeline(fitted(1), FEATURES, third.dialect)
    with pytest.raises(WarehouseError, match="compiled to snowflake for this warehouse, got googlesql"):
        publish(third, "lapse", 1, compile_pipeline(fitted(1), FEATURES, "googlesql"))
    with pytest.raises(WarehouseError, match="whose SQL is one of duckdb, googlesql .*got snowflake"):
        published(third, "lapse")
