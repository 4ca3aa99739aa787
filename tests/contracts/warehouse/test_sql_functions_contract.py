"""Published scores, on every engine alike: the alias moves whole or not at all, and a version never changes.

What only one engine does is tested with that engine (`tests/resources`, `tests/contracts/bigquery`).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from contracts.bigquery.functions_service import LOCATION, FunctionsService, serving
from environments.analyzer import GoogleSQL, googlesql
from support.published_scores import FRAME, champion_says, compiled, scores_of

from resources.sql_functions import Published, move_alias, publish, published, withdraw_alias
from resources.warehouse import DuckDBWarehouse, Warehouse, WarehouseError
from resources.warehouse.bigquery import BigQueryWarehouse

COLUMNS = {"customer_id": "STRING", "recency": "FLOAT64", "trips": "INT64"}
ROWS = FRAME.astype(object).where(FRAME.notna(), None).to_numpy().tolist()


@pytest.fixture
def duckdb_engine(tmp_path: Path) -> DuckDBWarehouse:
    made = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"), wait_seconds=1)
    made.replace_table("features", "feature_frame", FRAME)
    return made


@pytest.fixture(scope="module")
def language() -> Iterator[GoogleSQL]:
    with googlesql() as running:
        yield running


@pytest.fixture
def bigquery_engine(language: GoogleSQL) -> Iterator[BigQueryWarehouse]:
    made = FunctionsService(language, "shop", {"features.feature_frame": COLUMNS}, {"features.feature_frame": ROWS})
    with serving(made):
        yield BigQueryWarehouse(project="shop", location=LOCATION, wait_seconds=5, job_seconds=5)
    assert made.invalid == []


ENGINES = [
    pytest.param("duckdb_engine", id="duckdb"),
    pytest.param("bigquery_engine", id="bigquery", marks=pytest.mark.slow),
]


@pytest.fixture(params=ENGINES)
def warehouse(request) -> Warehouse:
    return request.getfixturevalue(request.param)


def published_first(warehouse: Warehouse) -> Published:
    return publish(warehouse, "lapse", 1, compiled(1, warehouse.dialect), alias=True)


def test_a_promotion_publishes_and_a_rollback_moves_the_alias_back(warehouse) -> None:
    assert published(warehouse, "lapse") == Published((), None)
    assert published_first(warehouse) == Published((1,), 1)
    assert publish(warehouse, "lapse", 2, compiled(2, warehouse.dialect)) == Published((1, 2), 1)
    assert champion_says(warehouse) == scores_of(1)
    assert move_alias(warehouse, "lapse", 2) == Published((1, 2), 2)
    assert champion_says(warehouse) == scores_of(2)
    assert move_alias(warehouse, "lapse", 1) == Published((1, 2), 1)
    assert champion_says(warehouse) == scores_of(1)


def test_publishing_the_same_again_changes_nothing_and_another_model_under_the_number_is_refused(warehouse) -> None:
    first = published_first(warehouse)
    assert published_first(warehouse) == first
    with pytest.raises(WarehouseError, match="A version never changes"):
        publish(warehouse, "lapse", 1, compiled(2, warehouse.dialect), alias=True)
    assert champion_says(warehouse) == scores_of(1)


def test_an_alias_is_not_moved_to_what_is_not_there(warehouse) -> None:
    published_first(warehouse)
    with pytest.raises(WarehouseError, match=r"version 7 of lapse .* published are: 1\. Publish it first"):
        move_alias(warehouse, "lapse", 7)
    assert published(warehouse, "lapse").champion == 1


def test_old_versions_go_and_the_champion_stays_however_old(warehouse) -> None:
    published_first(warehouse)
    for version in range(2, 7):
        publish(warehouse, "lapse", version, compiled(version, warehouse.dialect), keep=3)
    assert published(warehouse, "lapse") == Published((1, 4, 5, 6), 1)
    # A rollback to a version that went publishes it again.
    again = publish(warehouse, "lapse", 2, compiled(2, warehouse.dialect), alias=True, keep=3)
    assert again == Published((2, 4, 5, 6), 2)
    assert champion_says(warehouse) == scores_of(2)


def test_a_champion_that_sql_cannot_compute_leaves_no_alias_behind(warehouse) -> None:
    published_first(warehouse)
    assert withdraw_alias(warehouse, "lapse") == Published((1,), None)
    assert withdraw_alias(warehouse, "lapse") == Published((1,), None)


def test_problems_do_not_share_functions(warehouse) -> None:
    published_first(warehouse)
    publish(warehouse, "lapse_b", 4, compiled(2, warehouse.dialect), alias=True)
    assert published(warehouse, "lapse") == Published((1,), 1)
    assert published(warehouse, "lapse_b") == Published((4,), 4)
