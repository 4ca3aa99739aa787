"""Names that would meet in an engine are mapped or refused in a sentence, and the graph always loads."""

import json
from typing import Any

import dagster as dg
import duckdb
import pytest
from airbyte_world import World, integer, state, status, stream, text

from assets.company.airbyte import airbyte_assets
from resources.airbyte import AirbyteError


def keys(world: World) -> set[str]:
    """Load definitions of the connections as Dagster does, and return the keys of their assets."""
    workspace = world.workspace()
    assets = airbyte_assets(workspace)
    definitions = dg.Definitions(assets=assets, resources={"airbyte": workspace})
    dg.Definitions.validate_loadable(definitions)
    return {key.to_user_string() for one in assets for key in one.keys}


def two_connections(world: World, one: str, other: str, **more: Any) -> None:
    row = json.loads((world.folder / "connections.json").read_text())["shop"]
    (world.folder / "connections.json").write_text(json.dumps({one: row, other: {**row, **more}}))


def test_streams_that_differ_in_case_alone_are_refused_before_either_wipes_the_other(world: World) -> None:
    one, other = (stream(name, {"id": integer()}) for name in ("Orders", "orders"))
    world.says([one], ["Orders", {"id": 1}], status("Orders", "COMPLETE"))
    world.sync()
    world.says([one, other], ["Orders", {"id": 2}], ["orders", {"id": 3}], status("Orders", "COMPLETE"))
    assert keys(world) == {"raw/Orders", "raw/orders"}
    with pytest.raises(AirbyteError, match=r"stream Orders and stream orders would land in one, raw\.Orders"):
        world.sync()
    assert world.rows("select id from raw.Orders") == [(1,)]
    assert len(world.diary()) == 1, "the source was not even started"


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("crm/orders", "crm_orders"),
        ("crm.orders-2024 (new)", "crm_orders_2024__new_"),
        ("Größe", "Gro_e"),
        ("2024", "2024"),
        ("日本", "__"),
        ("a\nb", "a_b"),
    ],
)
def test_a_stream_lands_in_the_table_that_airbytes_destinations_make_of_its_name(
    world: World, name: str, table: str
) -> None:
    world.says([stream(name, {"id": integer()})], [name, {"id": 1}], status(name, "COMPLETE"))
    assert keys(world) == {f"raw/{table}"}
    workspace = world.workspace()
    result = dg.materialize(airbyte_assets(workspace), resources={"airbyte": workspace})
    assert [event.asset_key.path for event in result.get_asset_materialization_events() if event.asset_key] == [
        ["raw", table]
    ]
    assert world.rows(f'select id from raw."{table}"') == [(1,)]


def test_two_streams_that_become_one_name_are_refused(world: World) -> None:
    world.says([stream("crm/orders", {"id": integer()}), stream("crm_orders", {"id": integer()})])
    assert keys(world) == {"raw/crm_orders"}
    with pytest.raises(AirbyteError, match=r"stream crm/orders and stream crm_orders would land in one"):
        world.sync()


def test_two_connections_with_one_table_are_refused_whichever_is_synced(world: World) -> None:
    world.says([stream("orders", {"id": integer()})], ["orders", {"id": 1}], status("orders", "COMPLETE"))
    two_connections(world, "shop", "store")
    assert keys(world) == {"raw/orders"}
    for name in ("shop", "store"):
        with pytest.raises(AirbyteError, match=r"expected each table from one source.*connection s.*`prefix`"):
            world.workspace().sync_connection(name)
    two_connections(world, "shop", "store", prefix="store_")
    assert keys(world) == {"raw/orders", "raw/store_orders"}
    world.workspace().sync_connection("store")
    assert world.rows("select id from raw.store_orders") == [(1,)]


def test_any_name_may_be_a_connections(world: World) -> None:
    world.says([stream("orders", {"id": integer()})], ["orders", {"id": 1}], status("orders", "COMPLETE"))
    two_connections(world, "My Shop/EU", "my-shop.eu", prefix="eu_")
    assert keys(world) == {"raw/orders", "raw/eu_orders"}
    written = world.workspace().discover("My Shop/EU")
    assert written.parent == world.folder
    world.workspace().sync_connection("My Shop/EU")


def test_a_refused_stream_does_not_keep_the_graph_from_loading(world: World) -> None:
    bad = stream("people", {"id": integer(), "ID": integer()})
    world.says([stream("orders", {"id": integer()}), bad])
    assert keys(world) == {"raw/orders", "raw/people"}
    with pytest.raises(AirbyteError, match="columns id and ID"):
        world.sync()


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (stream("things", {"_AIRBYTE_META": text()}), "a name that Airbyte keeps for itself"),
        (stream("Ingestions", {"a": integer()}), "cannot land as raw.Ingestions"),
        (stream("things", {"": integer()}), "a column '', a name that no column can have"),
        ({"json_schema": {}}, "a name of each stream"),
        ("orders", "a name of each stream"),
    ],
)
def test_a_catalog_that_cannot_be_landed_is_a_sentence(world: World, entry: Any, sentence: str) -> None:
    world.says([entry])
    keys(world)
    with pytest.raises(AirbyteError) as failure:
        world.sync()
    assert sentence in str(failure.value)


@pytest.mark.parametrize("entry", [{"name": "things"}, {"name": "things", "json_schema": {"properties": {"a": True}}}])
def test_a_schema_that_says_nothing_lands_as_json(world: World, entry: dict[str, Any]) -> None:
    world.says([entry], ["things", {"a": [1]}], status("things", "COMPLETE"))
    assert keys(world) == {"raw/things"}
    world.sync()
    assert world.rows(
        "select * exclude (_airbyte_raw_id, _airbyte_extracted_at, _airbyte_meta, "
        "_airbyte_generation_id) from raw.things"
    )[0][0] in ('{"a":[1]}', "[1]")


def test_the_last_sent_wins_in_a_stream_whose_column_is_called_rowid(world: World) -> None:
    entry = stream("orders", {"id": integer(), "rowid": integer(), "seen": text()}, key=["id"], cursor="seen")
    rows = [["orders", {"id": 1, "rowid": number, "seen": "a"}] for number in (9, 3)]
    world.says([entry], *rows, status("orders", "COMPLETE"))
    world.sync()
    assert world.rows('select "rowid" from raw.orders') == [(3,)]


def test_a_key_inside_an_object_is_found_by_any_letters(world: World) -> None:
    entry = stream("orders", {"data": {"type": "object"}, "seen": text()}, key=[["data", 'größe "x"']], cursor="seen")
    rows = [["orders", {"data": {'größe "x"': number}, "seen": "a"}] for number in (1, 2)]
    world.says([entry], *rows, status("orders", "COMPLETE"))
    assert world.sync().streams["orders"].rows == 2


def test_a_table_that_is_gone_is_read_from_the_start_whatever_its_state_says(world: World) -> None:
    entry = stream("orders", {"id": integer()}, key=["id"], cursor="id")
    said = [["orders", {"id": 1}], state("orders", {"id": 1}), status("orders", "COMPLETE")]
    world.says([entry], *said)
    world.sync()
    with duckdb.connect(world.warehouse) as connection:
        connection.execute("drop table raw.orders")
    world.sync()
    assert [seen["state"] for seen in world.diary()] == [[], []]
    assert world.rows("select id from raw.orders") == [(1,)]


def test_a_column_that_changes_its_case_stays_the_same_column(world: World) -> None:
    for name, number in (("ID", 1), ("id", 2)):
        entry = stream("orders", {name: integer(), "seen": integer()}, key=[name], cursor="seen")
        world.says([entry], ["orders", {name: number, "seen": number}], status("orders", "COMPLETE"))
        world.sync()
    assert world.rows("select id from raw.orders order by id") == [(1,), (2,)]


def test_a_table_of_which_every_column_is_another_now_gets_the_new_ones(world: World) -> None:
    for name, number in (("old", 1), ("new", 2)):
        world.says([stream("orders", {name: integer()})], ["orders", {name: number}], status("orders", "COMPLETE"))
        world.sync()
    assert world.rows("select old, new from raw.orders") == [(None, 2)]
