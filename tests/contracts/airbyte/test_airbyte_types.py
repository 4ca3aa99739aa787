"""Values keep their meaning on the way into the warehouse, and what does not fit is named."""

import datetime as dt
from typing import Any

import pytest
from airbyte_world import World, integer, status, stream, text

from resources.airbyte import AirbyteError, SyncFailedError


def land(world: World, properties: dict[str, Any], *values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Sync one stream and return its columns."""
    records = [["things", value] for value in values]
    world.says([stream("things", properties)], *records, status("things", "COMPLETE"))
    world.sync()
    columns = ", ".join(f'"{name}"' for name in properties)
    return world.rows(f"select {columns} from raw.things order by rowid")


def test_every_type_lands_as_itself(world: World) -> None:
    properties = {
        "whole": integer(),
        "real": {"type": "number"},
        "yes": {"type": ["null", "boolean"]},
        "words": text(),
        "naive": text(format="date-time", airbyte_type="timestamp_without_timezone"),
        "zoned": text(format="date-time"),
        "day": text(format="date"),
        "nested": {"type": ["null", "object"], "properties": {"a": {"type": "integer"}}},
        "listed": {"type": "array", "items": {"type": "string"}},
        "either": {"type": ["string", "integer"]},
    }
    value = {
        "whole": 9_007_199_254_740_993,
        "real": 0.1,
        "yes": True,
        "words": 'quote " and \\ and ü',
        "naive": "2017-07-14T02:40:00",
        "zoned": "2017-07-14T02:40:00-04:00",
        "day": "2017-07-14",
        "nested": {"a": [1, {"b": None}]},
        "listed": ["x"],
        "either": "7",
    }
    first, second = land(world, properties, value, {})
    assert first == (
        9_007_199_254_740_993,
        0.1,
        True,
        'quote " and \\ and ü',
        dt.datetime(2017, 7, 14, 2, 40),
        dt.datetime(2017, 7, 14, 6, 40, tzinfo=dt.UTC),
        dt.date(2017, 7, 14),
        '{"a":[1,{"b":null}]}',
        '["x"]',
        '"7"',
    )
    assert second == (None,) * len(properties)


def test_airbytes_columns_are_those_of_its_own_destinations(world: World) -> None:
    land(world, {"a": integer()}, {"a": 1}, {"a": 1})
    rows = world.rows(
        "select count(distinct _airbyte_raw_id), any_value(_airbyte_extracted_at), any_value(_airbyte_meta) "
        "from raw.things"
    )
    assert rows == [(2, dt.datetime(2017, 7, 14, 2, 40, tzinfo=dt.UTC), '{"changes":[]}')]
    assert world.rows("select column_name, data_type from information_schema.columns where table_name = 'things'") == [
        ("a", "BIGINT"),
        ("_airbyte_raw_id", "VARCHAR"),
        ("_airbyte_extracted_at", "TIMESTAMP WITH TIME ZONE"),
        ("_airbyte_meta", "JSON"),
        ("_airbyte_generation_id", "BIGINT"),
    ]


def test_a_stream_without_properties_lands_as_one_json_column(world: World) -> None:
    world.says([stream("things", {})], ["things", {"any": 1}], status("things", "COMPLETE"))
    world.sync()
    assert world.rows("select _airbyte_data from raw.things") == [('{"any":1}',)]


@pytest.mark.parametrize(
    ("properties", "bad", "sentence"),
    [
        (
            {"n": integer()},
            "many",
            "expected BIGINT in column n, but 1 of its new records have something else, such as 'many'",
        ),
        (
            {"n": integer()},
            1.5,
            "expected BIGINT in column n, but 1 of its new records have something else, such as '1.5'",
        ),
        ({"n": integer()}, 10**20, "expected BIGINT in column n"),
        ({"n": {"type": "number"}}, "dear", "expected DOUBLE in column n"),
        ({"n": text(format="date")}, "tomorrow", "expected DATE in column n"),
        ({"n": text(format="date-time")}, "soon", "expected TIMESTAMP WITH TIME ZONE in column n"),
    ],
)
def test_a_value_that_does_not_fit_is_named(world: World, properties: dict[str, Any], bad: Any, sentence: str) -> None:
    with pytest.raises(SyncFailedError) as failure:
        land(world, properties, {"n": None}, {"n": bad})
    assert sentence in str(failure.value)
    assert "None of these records was kept" in str(failure.value)


def test_a_record_that_is_no_json_is_an_error(world: World) -> None:
    broken = '{"type":"RECORD","record":{"stream":"things","data":{"a":},"emitted_at":1}}'
    world.says([stream("things", {"a": integer()})], broken, status("things", "COMPLETE"))
    with pytest.raises(SyncFailedError, match="expected every RECORD message to be JSON"):
        world.sync()


def test_a_new_column_is_added_and_old_rows_have_none(world: World) -> None:
    entry = stream("orders", {"id": integer()}, key=["id"], cursor="id")
    world.says([entry], ["orders", {"id": 1}], status("orders", "COMPLETE"))
    world.sync()
    wider = stream("orders", {"id": integer(), "gift": {"type": "boolean"}}, key=["id"], cursor="id")
    world.says([wider], ["orders", {"id": 2, "gift": True}], status("orders", "COMPLETE"))
    world.sync()
    assert world.rows("select id, gift from raw.orders order by id") == [(1, None), (2, True)]


def test_a_column_that_the_source_dropped_stays_and_is_null(world: World) -> None:
    land(world, {"id": integer(), "old": text()}, {"id": 1, "old": "x"})
    land(world, {"id": integer()}, {"id": 2})
    assert world.rows("select id, old from raw.things") == [(2, None)]


def test_a_column_that_changes_its_type_is_named_before_anything_is_read(world: World) -> None:
    land(world, {"id": integer(), "size": integer()}, {"id": 1, "size": 2})
    with pytest.raises(AirbyteError) as failure:
        land(world, {"id": integer(), "size": text()}, {"id": 1, "size": "two"})
    assert "column size is BIGINT in raw.things, and the source now offers VARCHAR" in str(failure.value)
    assert "python -m resources.airbyte reset shop things" in str(failure.value)
    assert world.rows("select size from raw.things") == [(2,)]
    assert len(world.diary()) == 1, "the source was not even started"


def test_a_key_inside_a_nested_object_identifies_rows(world: World) -> None:
    entry = stream("orders", {"meta": {"type": "object"}, "seen": text()}, key=[["meta", "id"]], cursor="seen")
    rows = [["orders", {"meta": {"id": 1}, "seen": "a"}], ["orders", {"meta": {"id": 1}, "seen": "b"}]]
    for _ in range(2):
        world.says([entry], *rows, status("orders", "COMPLETE"))
        world.sync()
    assert world.rows("select seen from raw.orders") == [("b",)]


def test_a_namespace_is_kept_apart_from_the_name(world: World) -> None:
    entry = stream("things", {"a": integer()}, namespace="public")
    world.says([entry], ["things", {"a": 1}, "public"], status("things", "COMPLETE"))
    world.sync()
    assert world.rows("select a from raw.things") == [(1,)]
    twin = stream("things", {"a": integer()}, namespace="private")
    world.says([entry, twin], status("things", "COMPLETE"))
    with pytest.raises(AirbyteError, match="offers it in 2 namespaces, which would land in one table"):
        world.sync()


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (stream("things", {"a": integer(), "A": integer()}), "has columns a and A, which DuckDB cannot tell apart"),
        (stream("things", {"_airbyte_meta": text()}), "a name that Airbyte keeps for itself"),
        (stream("_airbyte_state", {"a": integer()}), "cannot land as raw._airbyte_state"),
        (stream("things", {"a": integer()}, key=["b"]), "b is not there"),
    ],
)
def test_a_stream_that_cannot_be_landed_is_refused(world: World, entry: dict[str, Any], sentence: str) -> None:
    world.says([entry])
    with pytest.raises(AirbyteError) as failure:
        world.sync()
    assert sentence in str(failure.value)


def test_odd_names_are_only_names(world: World) -> None:
    odd = "a \"b' c"
    world.says(
        [stream("select; drop", {odd: integer()})], ["select; drop", {odd: 1}], status("select; drop", "COMPLETE")
    )
    world.sync()
    assert world.rows("select * exclude (_airbyte_raw_id) from raw.select__drop")[0][0] == 1
