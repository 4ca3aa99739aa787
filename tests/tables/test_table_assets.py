"""Declared tables are assets like streams: owned, fresh, watched, asked for when they have news."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from table_shop import MONDAY, Shop

from assets.company.quality import quality_assets
from assets.company.tables import table_assets
from resources.airbyte import EmbeddedAirbyteWorkspace
from resources.clock import Clock
from resources.company import Company
from sensors.arrivals import build_arrivals_sensor
from steps.monitored_tables import declared_sources

RAW_ORDERS = dg.AssetKey(["raw", "orders"])
CSV = "csv:orders.csv"


def clock(now: str = MONDAY) -> Clock:
    return Clock(reads=now, override_variable="BATON_NOT_IN_TESTS")


def materialised(shop: Shop, company: Company, now: str = MONDAY) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        table_assets(company, shop.folder, "duckdb"),
        resources={"warehouse": shop.warehouse, "clock": clock(now)},
        raise_on_error=False,
    )


@pytest.fixture
def company(shop: Shop) -> Company:
    shop.write("customer,day,amount\n7,2024-01-01,1\n8,2024-02-01,1\n")
    shop.write("product\n1\n", "products.csv")
    return shop.company(
        orders={"source": CSV, "description": "One row an order."}, products={"source": "csv:products.csv"}
    )


def test_a_table_is_one_asset_with_owner_group_and_where_it_comes_from(shop: Shop, company: Company) -> None:
    [orders, products] = [spec for one in table_assets(company, shop.folder, "duckdb") for spec in one.specs]
    assert orders.key == RAW_ORDERS
    assert products.key == dg.AssetKey(["raw", "products"])
    assert orders.group_name == "raw"
    assert list(orders.owners) == ["team:data-engineering"]
    assert orders.kinds == {"csv", "duckdb"}
    assert orders.metadata["source"] == CSV
    assert (orders.description or "").startswith("One row an order.")


def test_a_load_reports_rows_columns_and_until_when_it_read(shop: Shop, company: Company) -> None:
    result = materialised(shop, company)
    assert result.success
    [event] = [one for one in result.get_asset_materialization_events() if one.asset_key == RAW_ORDERS]
    metadata = {name: one.value for name, one in event.step_materialization_data.materialization.metadata.items()}
    columns: Any = metadata.pop("dagster/column_schema")
    assert [(one.name, one.type) for one in columns.columns][-1] == ("_loaded_at", "TIMESTAMP WITH TIME ZONE")
    assert metadata == {
        "dagster/row_count": 1,
        "dagster/table_name": "raw.orders",
        "source": CSV,
        "read_as_of": MONDAY,
        "newest_row": "2024-01-01 00:00:00",
        "rows_came": 1,
        "rows_went": 0,
        "rows_after_the_clock": 1,
        "unreadable_times": 0,
    }


def test_a_refused_load_fails_with_its_sentence_alone(shop: Shop, company: Company) -> None:
    shop.write("customer,day,amount\n7,2024-01-01\n")
    result = materialised(shop, company)
    [failed] = [event for event in result.all_events if event.is_step_failure]
    data = failed.step_failure_data.user_failure_data
    assert data is not None
    assert (data.description or "").startswith("Table orders: expected 3 fields")
    # The other table is there all the same.
    assert shop.rows("select stream from raw.ingestions") == [("products",)]


def test_each_table_has_the_checks_of_a_stream(shop: Shop, company: Company) -> None:
    keys = [key for one in table_assets(company, shop.folder, "duckdb") for key in one.keys]
    checks = {key.name for one in quality_assets(keys) for key in one.check_keys if key.asset_key == RAW_ORDERS}
    assert checks == {"schema_holds", "arrives_as_usual", "values_as_usual", "keys_hold", "entities_as_usual"}


@pytest.mark.parametrize(
    ("kind", "time", "expected"),
    [
        ("DATE", "day", "2024-01-02 00:00:00"),
        # Without a zone it was written by the shops' clock; with one it is brought there.
        ("TIMESTAMP", "day", "2024-01-02 00:00:00"),
        ("TIMESTAMP WITH TIME ZONE", "day", "2024-01-02 01:00:00"),
        ("VARCHAR", {"column": "day", "format": "%Y-%m-%d"}, "2024-01-02 00:00:00"),
    ],
)
def test_it_is_watched_by_its_own_time_and_keys(shop: Shop, kind: str, time: Any, expected: str) -> None:
    company = shop.company(time, orders={"source": CSV, "keys": ["Receipt"]}, later={"source": CSV})
    columns = {"receipt": "VARCHAR", "day": kind, "_loaded_at": "TIMESTAMP WITH TIME ZONE"}
    [watched] = declared_sources(company, {"raw/orders": columns})
    assert watched.keys == ("receipt",)
    assert watched.time_column == "day"
    value = "2024-01-02 00:00:00Z" if "ZONE" in kind else "2024-01-02"
    shop.folder.joinpath("home").mkdir()
    [[local]] = shop.rows(f"select cast({watched.time_sql} as varchar) from (select cast('{value}' as {kind}) as day)")
    assert local == expected


def test_who_acts_and_what_bundles_rows_is_what_the_companys_file_says(shop: Shop) -> None:
    company = shop.company("day", orders={"source": CSV}, later={"source": CSV})
    lines = company.order_lines
    columns = {lines.customer.column.lower(): "BIGINT", "day": "DATE", "total": "DOUBLE"}
    [orders, later] = declared_sources(company, {"raw/orders": columns, "raw/later": columns})
    # A number, by its type and its name no identifier.
    assert orders.entity == lines.customer.column.lower()
    assert later.entity == ""
    [without] = declared_sources(company, {"raw/orders": {"day": "DATE"}})
    assert without.entity == ""


def tick(shop: Shop, company: Company, now: str, folder: Path) -> dg.SensorResult | dg.SkipReason:
    (folder / "none.json").write_text("{}")
    workspace = EmbeddedAirbyteWorkspace(
        warehouse_path=shop.warehouse.path, clock=clock(now), connections_file=str(folder / "none.json")
    )
    resources = {"airbyte": workspace, "warehouse": shop.warehouse, "clock": clock(now)}
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, resources=resources) as context,
    ):
        return build_arrivals_sensor(company, shop.folder).evaluate_tick(context)  # type: ignore[return-value]


def test_the_sensor_asks_for_a_table_once_a_day(shop: Shop, company: Company, tmp_path: Path) -> None:
    first = tick(shop, company, MONDAY, tmp_path)
    assert [request.run_key for request in first.run_requests] == ["arrival-orders-2024-01-08"]  # type: ignore[union-attr]
    materialised(shop, company)
    again = tick(shop, company, MONDAY, tmp_path)
    assert "orders was read as of 2024-01-08 08:00 already" in str(again.skip_message)  # type: ignore[union-attr]
    [tomorrow] = tick(shop, company, "2024-01-09T08:00:00+01:00", tmp_path).run_requests  # type: ignore[union-attr,misc]
    assert tomorrow.run_key == "arrival-orders-2024-01-09"
