"""A small year to drill on: some of the households, built by dbt."""

import pytest
from support.bundled import PROBLEM, RECORDING_ENDS
from support.sample import load_raw_sample

from drills.recording import record
from resources.airbyte import EmbeddedAirbyteWorkspace
from resources.clock import Clock
from resources.dbt import DbtRunner
from resources.sandbox import Sandbox
from resources.warehouse import DuckDBWarehouse
from steps.monitored_tables import monitored_tables, take_census
from tools.sample import bundled_data_dir, write_connections

CLOCK = Clock(reads=RECORDING_ENDS, override_variable="BATON_NOT_IN_TESTS")


@pytest.fixture(scope="session")
def make_year(tmp_path_factory):
    """Return a maker of (sandbox, recording) with every n-th household."""

    def make(modulo):
        folder = tmp_path_factory.mktemp("year")
        path = folder / "warehouse.duckdb"
        load_raw_sample(path, modulo=modulo)
        dbt = DbtRunner(state_dir=str(folder / "dbt"), warehouse_path=str(path))
        # A warehouse as a graph leaves it: what is monitored is what it holds.
        dbt.invoke(["run", "--select", "stg_order_lines", "stg_products", "order_lines"])
        write_connections(folder / "connections.json", bundled_data_dir())
        airbyte = EmbeddedAirbyteWorkspace(
            warehouse_path=str(path), clock=CLOCK, connections_file=str(folder / "connections.json")
        )
        plans = [plan for connection in airbyte.connections().values() for plan in connection.plans()]
        census = take_census(DuckDBWarehouse(path=str(path)).read, plans, dbt.variables())
        tables = monitored_tables(plans, dbt.variables(), census)
        times = {table.asset: table.time_sql for table in tables if table.time_sql and table.asset.startswith("raw/")}
        sandbox = Sandbox(dbt, str(path), times)
        return sandbox, record(sandbox, PROBLEM, tables)

    return make


@pytest.fixture(scope="session")
def year(make_year):
    """Every sixteenth household."""
    return make_year(16)
