"""Published scores survive what happens to a DuckDB file. What holds on every engine has a suite of its own."""

from dataclasses import replace

import pytest
from support.published_scores import FRAME, champion_says, compiled, scores_of
from support.small_model import FEATURES, fitted

from ml_models.scoring_sql import compile_pipeline
from resources.sql_functions import Published, publish, published
from resources.warehouse import DuckDBWarehouse, WarehouseError


@pytest.fixture
def warehouse(tmp_path) -> DuckDBWarehouse:
    made = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"), wait_seconds=1)
    made.replace_table("features", "feature_frame", FRAME)
    return made


def test_functions_survive_the_replacement_of_their_table_and_a_new_column_in_it(warehouse) -> None:
    publish(warehouse, "lapse", 1, compiled(1, "duckdb"), alias=True)
    warehouse.replace_table(
        "features", "feature_frame", FRAME.assign(extra="x")[["extra", "trips", *FRAME.columns[:2]]]
    )
    assert champion_says(warehouse) == scores_of(1)


def test_a_publication_that_fails_half_way_leaves_the_champion_and_no_version(warehouse) -> None:
    publish(warehouse, "lapse", 1, compiled(1, "duckdb"), alias=True)
    broken = replace(compiled(2, "duckdb"), expression="1e0 +")
    with pytest.raises(Exception, match="(?i)parser|syntax"):
        publish(warehouse, "lapse", 2, broken, alias=True)
    assert published(warehouse, "lapse") == Published((1,), 1)
    assert champion_says(warehouse) == scores_of(1)


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
