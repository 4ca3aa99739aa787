"""The catalog is the connection's: what one connection discovers changes nothing for another of the same connector."""

import json
from typing import Any

import dagster as dg
import pytest
from airbyte_world import World, integer, status, stream, text

from assets.company.airbyte import airbyte_assets, airbyte_checks


def test_discovering_one_connection_leaves_the_other_ones_table(world: World) -> None:
    eu = [stream("orders", {"id": integer()})]
    world.says(eu, ["orders", {"id": 1}], ["orders", {"id": 2}], status("orders", "COMPLETE"))
    file = world.folder / "connections.json"
    first = json.loads(file.read_text())["shop"]
    us = {"streams": [stream("orders", {"number": text()}, key=["number"], cursor="number")]}
    second = {**first, "prefix": "us_", "config": {**first["config"], "catalog": us}}
    file.write_text(json.dumps({"shop": first, "us": second}))

    world.sync()
    found = world.workspace().discover("us")
    assert json.loads(found.read_text()) == us
    assert world.sync().streams["orders"].rows == 2
    assert world.rows("select id from raw.orders order by id") == [(1,), (2,)]
    assert list(world.workspace().connections()["us"].plans()[0].columns) == ["number"]


def test_a_connection_without_a_catalog_of_its_own_has_the_connectors(world: World) -> None:
    world.says([stream("orders", {"id": integer()})], ["orders", {"id": 1}], status("orders", "COMPLETE"))
    published = world.executable.parents[2] / "catalog.json"
    assert world.workspace().connections()["shop"].catalog_file == published
    before = published.read_bytes()
    world.workspace().discover("shop")
    assert published.read_bytes() == before
    assert world.workspace().connections()["shop"].catalog_file == world.folder / "shop.catalog.json"


def test_a_new_column_at_the_source_shows_as_a_difference(world: World) -> None:
    said = [["orders", {"id": 1, "gift": True}], ["orders", {"id": 2}], status("orders", "COMPLETE")]
    world.says([stream("orders", {"id": integer()})], *said)
    workspace = world.workspace()
    result = dg.materialize(airbyte_assets(workspace), resources={"airbyte": workspace})
    [event] = result.get_asset_materialization_events()
    assert event.materialization.metadata["airbyte/new_columns"].value == "New in orders: gift (1 records)."
    assert world.rows("select status, message from raw._airbyte_syncs") == [
        ("succeeded", "New in orders: gift (1 records).")
    ]


def test_what_the_source_offers_now_is_compared_as_a_servers_is(world: World) -> None:
    people = stream("people", {"id": integer()})
    world.says([stream("orders", {"id": integer(), "size": integer()}, key=["id"]), people])
    now = [stream("orders", {"id": integer(), "size": text(), "gift": text()}, key=["gift"]), stream("pets", {})]
    world.connect({"script": [], "catalog": {"streams": now}})
    before = (world.executable.parents[2] / "catalog.json").read_bytes()
    workspace = world.workspace()
    assert [(one.sentence, one.breaking) for one in workspace.differences("shop", workspace.asked("shop"))] == [
        ("Column orders.size was a whole number and is now text.", True),
        ("New in orders: gift.", False),
        ("The key of orders was id and is now gift.", True),
        ("Stream people of shop is no longer in the source's catalog: it cannot be synced.", True),
        ("Stream pets of shop is new.", False),
    ]
    assert (world.executable.parents[2] / "catalog.json").read_bytes() == before
    assert not (world.folder / "shop.catalog.json").exists()


def test_a_table_that_a_sync_empties_is_told(world: World) -> None:
    world.says([stream("orders", {"id": integer()})], ["orders", {"id": 1}], status("orders", "COMPLETE"))
    world.sync()
    world.says([stream("orders", {"id": integer()})], status("orders", "COMPLETE"))
    world.sync()
    assert [said for level, said in world.logged if level == "WARN"] == [
        "orders: the source sent no record, so raw.orders is empty now; it had 1 rows before"
    ]


def checked(world: World, now: list[dict[str, Any]]) -> dict[str, dg.AssetCheckResult]:
    """Run the checks of a connection whose source offers these streams now; return what they say, by table."""
    file = world.folder / "connections.json"
    row = json.loads(file.read_text())
    row["shop"]["config"]["catalog"] = {"streams": now}
    file.write_text(json.dumps(row))
    workspace = world.workspace()
    result = dg.materialize(
        [*airbyte_assets(workspace), *airbyte_checks(workspace)], resources={"airbyte": workspace}, raise_on_error=False
    )
    assert result.success, "such a difference stops nothing"
    return {one.asset_key.path[-1]: one for one in result.get_asset_check_evaluations()}


OFFERED = stream("orders", {"id": integer(), "total": {"type": "number"}, "note": text()}, key=["id"])


@pytest.mark.parametrize(
    ("now", "passed", "said"),
    [
        ([OFFERED], True, "As in the catalog."),
        (
            [stream("orders", {"id": integer(), "total": {"type": "number"}}, key=["id"])],
            False,
            "orders.note is no longer",
        ),
        (
            [stream("orders", {"id": integer(), "total": text(), "note": text()}, key=["id"])],
            False,
            "Column orders.total was a number and is now text.",
        ),
        ([], False, "Stream orders of shop is no longer in the source's catalog"),
    ],
)
def test_a_column_that_the_source_changed_or_took_away_fails_its_tables_check(
    world: World, now: list[dict[str, Any]], passed: bool, said: str
) -> None:
    world.says([OFFERED], ["orders", {"id": 1}], status("orders", "COMPLETE"))
    check = checked(world, now)["orders"]
    assert check.check_name == "as_in_catalog"
    assert check.passed is passed
    assert said in (check.description or "")
    assert ("python -m resources.airbyte discover shop" in (check.description or "")) is not passed


def test_a_new_column_at_the_source_is_told_by_its_tables_check(world: World) -> None:
    world.says([OFFERED], ["orders", {"id": 1}], status("orders", "COMPLETE"))
    more = stream("orders", {"id": integer(), "total": {"type": "number"}, "note": text(), "gift": text()}, key=["id"])
    check = checked(world, [more, stream("gifts", {"id": integer()})])["orders"]
    assert check.passed
    assert check.metadata["new"].value == "New in orders: gift."


def test_a_source_that_does_not_answer_is_no_difference(world: World) -> None:
    world.says([OFFERED], ["orders", {"id": 1}], status("orders", "COMPLETE"))
    workspace = world.workspace()
    world.executable.unlink()
    result = dg.materialize(
        [*airbyte_assets(workspace), *airbyte_checks(workspace)],
        selection=dg.AssetSelection.all_asset_checks(),
        resources={"airbyte": workspace},
    )
    [check] = result.get_asset_check_evaluations()
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert check.description is not None
    assert check.description.startswith("Could not be compared. ")
