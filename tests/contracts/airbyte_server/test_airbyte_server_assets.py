"""What the graph learns of a server's connections: tables, keys, plans, and whether a day has passed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import pytest
from contracts.airbyte_server.remote_world import ORDERS, PEOPLE, SHOP, Remote, renamed
from contracts.airbyte_server.server import Fault

from assets.company.airbyte import airbyte_assets
from resources.airbyte import AirbyteError


def test_what_lands_is_up_to_whoever_runs_the_server(serve: Callable[..., Remote]) -> None:
    landed: list[str] = []

    def land(connection: object) -> dict[str, int]:
        landed.append(connection.name)
        return {"people": 7, "orders": 8}

    outcome = serve(on_success=land).materialise()
    assert landed == ["shop"]
    assert outcome.metadata["people"]["airbyte/rows_landed"] == 7
    assert outcome.metadata["orders"]["airbyte/job_rows"] == 15


def test_a_prefix_is_part_of_the_key(serve: Callable[..., Remote]) -> None:
    remote = serve(renamed(SHOP, prefix="shop_"))
    assert set(remote.materialise().metadata) == {"shop_people", "shop_orders"}
    remote.server.configure(renamed(SHOP, prefix="other_"))
    assert "tables of shop to begin with 'shop_', but the connection's prefix is 'other_'" in (
        remote.materialise().sentence
    )


def test_names_of_any_letters_are_those_that_airbytes_destination_makes_of_them(serve: Callable[..., Remote]) -> None:
    schema = {"type": "object", "properties": {"Order-Nr.": {"type": "integer"}, "größe": {"type": "string"}}}
    orders = replace(ORDERS, name="crm/orders", json_schema=schema, primary_key=[["Order-Nr."]], cursor=["größe"])
    remote = serve(renamed(SHOP, streams=[orders]))
    assert set(remote.materialise().metadata) == {"crm_orders"}
    [plan] = remote.workspace.connections()["shop"].plans()
    assert list(plan.columns) == ["Order_Nr_", "gro_e"]
    assert (plan.primary_key, plan.cursor) == ((("Order_Nr_",),), ("gro_e",))
    [spec] = [spec for assets in airbyte_assets(remote.workspace) for spec in assets.specs]
    columns = spec.metadata["dagster/column_schema"].columns
    assert [column.name for column in columns][:2] == ["Order_Nr_", "gro_e"]


def test_a_sensor_learns_whether_a_day_has_passed_since_the_last_sync(serve: Callable[..., Remote]) -> None:
    remote = serve()
    assert remote.workspace.has_new_data("shop").reason == "shop was never synced"
    for day, status in ((1, "succeeded"), (2, "failed")):
        job = remote.server.begin(SHOP, [])
        job.status, job.created = status, datetime(2026, 3, day, 7, 30, tzinfo=UTC)
    news = remote.workspace.has_new_data("shop", wait_seconds=1)
    assert news.new
    assert news.reason == "shop was last read as of 2026-03-01 07:30, it is now 2026-03-02 08:00"
    job.status = "succeeded"
    assert not remote.workspace.has_new_data("shop").new
    remote.server.faults = [Fault("GET", "/jobs", times=9, status=503, body={})]
    remote.server.requests.clear()
    with pytest.raises(AirbyteError, match="503"):
        remote.workspace.has_new_data("shop", wait_seconds=1)
    assert remote.server.count("GET", "/jobs") == 1
    # Nor is a token waited for.
    remote.server.faults = [Fault("POST", "/token", times=9, status=503, body={})]
    fresh = type(remote.workspace)(**remote.settings())
    remote.server.requests.clear()
    with pytest.raises(AirbyteError, match="503"):
        fresh.has_new_data("shop", wait_seconds=1)
    assert [one.path.rpartition("/")[2] for one in remote.server.requests] == ["token"]


def test_plans_say_how_each_stream_is_landed(serve: Callable[..., Remote]) -> None:
    people, orders = serve().workspace.connections()["shop"].plans()
    assert (people.table, people.incremental, people.primary_key, people.cursor) == (PEOPLE.name, False, (), ())
    assert (orders.table, orders.incremental, orders.primary_key, orders.cursor) == (
        ORDERS.name,
        True,
        (("id",),),
        ("at",),
    )
    assert list(orders.columns) == ["id", "at"]


def test_asset_specs_are_those_of_dagster_airbyte(serve: Callable[..., Remote]) -> None:
    from assets.company.airbyte import airbyte_assets

    specs = {spec.key: spec for one in airbyte_assets(serve().workspace) for spec in one.specs}
    assert set(specs) == {dg.AssetKey(["raw", "people"]), dg.AssetKey(["raw", "orders"])}
    for spec in specs.values():
        assert spec.kinds == {"airbyte", "bigquery"}
        assert spec.group_name == "raw"
        assert list(spec.owners) == ["team:data-engineering"]
