"""Rows of history that are gone are named before a run writes the tables anew."""

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from support.registered import fitted, log, registry_of

from commands.lost import DATABASES, lost_history, lost_models, lost_runs
from resources.warehouse import DuckDBWarehouse
from steps.tables import CANDIDATE, DECISIONS, WHY


@pytest.fixture
def warehouse(tmp_path):
    return DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"))


@pytest.fixture
def instance(warehouse):
    """An instance whose last run wrote two rows of history, which the warehouse has."""
    with dg.DagsterInstance.ephemeral() as made:
        for key in (DECISIONS, WHY):
            warehouse.replace_table(*key.path, pd.DataFrame({"x": [1, 2]}))
            made.report_runless_asset_event(dg.AssetMaterialization(key, metadata={"dagster/row_count": 2}))
        yield made


def test_where_nothing_is_gone_nothing_is_said(instance, warehouse):
    assert lost_history(instance, warehouse) == ""


@pytest.mark.parametrize("how", ["dropped", "emptied"])
def test_a_table_that_lost_its_rows_is_named_with_what_brings_them_back(instance, warehouse, how):
    if how == "dropped":
        warehouse.drop_table(*WHY.path)
    else:
        warehouse.replace_table(*WHY.path, pd.DataFrame({"x": [1]}).head(0))
    said = lost_history(instance, warehouse)
    assert said.startswith("note: monitoring.why (2 rows) held rows at the last run and are gone.")
    assert "make restore FROM=<folder>" in said


def test_of_a_warehouse_that_is_gone_every_table_is_named(instance, warehouse, tmp_path):
    (tmp_path / "warehouse.duckdb").unlink()
    assert "monitoring.decisions (2 rows), monitoring.why (2 rows)" in lost_history(instance, warehouse)


def test_a_first_run_has_lost_nothing(warehouse):
    with dg.DagsterInstance.ephemeral() as new:
        assert lost_history(new, warehouse) == ""


def test_a_registry_that_lost_its_versions_is_named_and_a_whole_or_a_first_one_is_not(warehouse, tmp_path):
    registry = registry_of(tmp_path)
    assert lost_models(warehouse, registry) == ""
    warehouse.replace_table(*CANDIDATE.path, pd.DataFrame({"model_version": [1, 2]}))
    said = lost_models(warehouse, registry)
    assert said.startswith("note: training.candidate names versions up to 2, and the registry holds none")
    assert "trains version 3" in said
    log(registry, fitted(1)[0])
    assert lost_models(warehouse, registry) == ""


@pytest.mark.parametrize("name", DATABASES)
@pytest.mark.parametrize("lose", [Path.unlink, lambda file: file.write_bytes(b"")], ids=["deleted", "cut to nothing"])
def test_a_database_of_dagster_that_is_made_anew_is_named_while_there_were_runs(tmp_path, name, lose):
    folder = tmp_path / "dagster"
    for one in (*DATABASES, "history/runs/d5cb5f84.db"):
        (folder / one).parent.mkdir(parents=True, exist_ok=True)
        (folder / one).write_bytes(b"SQLite format 3")
    assert lost_runs(tmp_path) == ""
    lose(folder / name)
    said = lost_runs(tmp_path)
    assert said.startswith(f"note: {name} (")
    assert "the history of 1 run(s) and is gone" in said
    (folder / "history/runs/d5cb5f84.db").unlink()
    assert lost_runs(tmp_path) == "", "a first run has lost nothing"
