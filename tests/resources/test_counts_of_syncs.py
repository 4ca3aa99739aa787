"""What is read of the record of syncs: the week's, of tables whose source counts."""

import json
from datetime import UTC, date, datetime

import pytest

from ml_models.monitoring.data_quality.source_counts import Counted
from resources.airbyte import landing
from resources.warehouse import DuckDBWarehouse
from steps.source_counts import source_counts

MONDAY = date(2024, 1, 8)


@pytest.fixture
def warehouse(tmp_path):
    return DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"))


def synced(warehouse, *lines):
    with warehouse.connect(read_only=False) as connection:
        landing.prepare(connection)
        for day, status, counts in lines:
            at = datetime(2024, 1, day, 9, tzinfo=UTC)
            landing.record_sync(connection, ["shop", at, at, at, 10, 100, 0.1, status, None, counts])


def test_a_week_s_syncs_are_added_up_by_table(warehouse):
    synced(
        warehouse,
        (1, "succeeded", {"orders": (5, 1)}),
        (2, "succeeded", {"orders": (10, 9), "products": (3, 3)}),
        (5, "failed", {"orders": (10, 0)}),
        (6, "succeeded", None),
        (8, "succeeded", {"orders": (20, 20)}),
        (9, "succeeded", {"orders": (7, 1)}),
    )
    assert source_counts(warehouse, MONDAY) == {"raw/orders": Counted(30, 29, 2), "raw/products": Counted(3, 3, 1)}


def test_without_counts_nothing_is_said(warehouse):
    assert source_counts(warehouse, MONDAY) == {}
    with warehouse.connect(read_only=False) as connection:
        connection.execute("create schema raw")
        connection.execute("create table raw._airbyte_syncs (as_of timestamptz, status varchar)")
    assert source_counts(warehouse, MONDAY) == {}


def test_the_record_of_an_earlier_release_gains_counts(warehouse):
    with warehouse.connect(read_only=False) as connection:
        connection.execute("create schema raw")
        connection.execute(
            "create table raw._airbyte_syncs (connection VARCHAR, started_at TIMESTAMPTZ, ended_at TIMESTAMPTZ, as_of "
            "TIMESTAMPTZ, records BIGINT, bytes BIGINT, cpu_seconds DOUBLE, status VARCHAR, message VARCHAR)"
        )
    synced(warehouse, (8, "succeeded", {"orders": (2, 1)}))
    [(text,)] = warehouse.read("select counts from raw._airbyte_syncs").itertuples(index=False, name=None)
    assert json.loads(text) == {"orders": [2, 1]}
    assert source_counts(warehouse, MONDAY) == {"raw/orders": Counted(2, 1, 1)}
