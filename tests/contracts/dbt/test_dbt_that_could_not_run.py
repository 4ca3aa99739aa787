"""A dbt test that could not be run is told apart from one that found rows: memory that ran out is no fault of data."""

from pathlib import Path

import dagster as dg
import pytest

from assets.company.dbt import dbt_models
from assets.company.dbt_nodes import told_apart
from resources.dbt import DbtRunner
from resources.environment import variables
from resources.warehouse import DuckDBWarehouse

FAILED = dg.AssetCheckResult(passed=False, asset_key=dg.AssetKey(["marts", "orders"]), check_name="not_null_order_id")
COULD_NOT = "The test could not be run, so it says nothing of the data."


@pytest.mark.parametrize("status", ["error", "runtime error"])
def test_a_test_that_could_not_be_run_says_nothing_of_the_data(status: str) -> None:
    told = told_apart(FAILED, {"data": {"status": status}})
    assert not told.passed
    assert told.description is not None
    assert told.description.startswith(COULD_NOT)


def test_a_test_that_found_rows_is_left_as_it_is() -> None:
    assert told_apart(FAILED, {"data": {"status": "fail"}}) == FAILED


SHOP = {
    "dbt_project.yml": 'name: shop\nversion: "1.0"\nprofile: shop\nvars: {}\n',
    "profiles.yml": (
        "shop: {target: embedded, outputs: {embedded: {type: duckdb, path: \"{{ env_var('BATON_WAREHOUSE') }}\", "
        "schema: marts, settings: {memory_limit: \"{{ env_var('BATON_DUCKDB_MEMORY') }}\"}}}}\n"
    ),
    "models/orders.sql": "select range as order_id, case when range > 0 then 7 end as customer_id from range(3)",
    "models/at_risk.sql": "{{ config(tags=['serving']) }} select 1 as order_id",
    "models/orders.yml": (
        "models:\n  - name: orders\n    data_tests: [takes_much]\n    columns:\n"
        "      - {name: customer_id, data_tests: [not_null]}\n"
    ),
    # A list does not spill to disk.
    "tests/generic/takes_much.sql": (
        "{% test takes_much(model) %} select 1 from (select list(one.range) as all_of_them from "
        "range(40000000) as one, {{ model }}) where len(all_of_them) = 0 {% endtest %}"
    ),
}


def test_an_engine_that_runs_out_of_memory_in_a_test_is_no_fault_of_the_data_and_says_what_helps(
    tmp_path: Path,
) -> None:
    for name, text in SHOP.items():
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_text(text)
    path = str(tmp_path / "warehouse.duckdb")
    dbt = DbtRunner(project_dir=str(tmp_path / "project"), state_dir=str(tmp_path / "state"), warehouse_path=path)
    with variables({"BATON_WAREHOUSE": path, "BATON_DUCKDB_MEMORY": "100MB"}):
        build, _ = (one for one in dbt_models(dbt) if isinstance(one, dg.AssetsDefinition) and one.keys)
        result = dg.materialize(
            [build],
            resources={"dbt": dbt, "warehouse": DuckDBWarehouse(path=path), "airbyte": object()},
            raise_on_error=False,
        )
    checks = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert not checks["takes_much_orders_"].passed
    assert (checks["takes_much_orders_"].description or "").startswith(COULD_NOT)
    assert not checks["not_null_orders_customer_id"].passed
    assert COULD_NOT not in (checks["not_null_orders_customer_id"].description or ""), "this one found a row"
    [failure] = [one for one in result.all_events if one.is_step_failure]
    said = failure.step_failure_data.user_failure_data.description or ""
    assert "Out of Memory Error" in said
    assert "Raise BATON_DUCKDB_MEMORY, or lower `lines_at_once`." in said
