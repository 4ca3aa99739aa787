"""What a source says is kept: odd records land right, with what was changed in `_airbyte_meta`, or are named."""

import datetime as dt
import json
from typing import Any

import pytest
from airbyte_world import World, integer, status, stream, text

from resources.airbyte import SyncFailedError
from resources.airbyte.odd_records import SAMPLE_BYTES

NUMBER = {"type": ["null", "number"]}
NULLED = {"change": "NULLED", "reason": "DESTINATION_TYPECAST_ERROR"}


def line(data: str, **more: Any) -> str:
    """Return a RECORD line whose data is exactly this text."""
    rest = "".join(f",{json.dumps(name)}:{json.dumps(value)}" for name, value in more.items())
    return f'{{"type":"RECORD","record":{{"stream":"things","data":{data},"emitted_at":1500000000000{rest}}}}}'


def land(world: World, properties: dict[str, Any], *said: Any) -> list[tuple[Any, ...]]:
    """Sync a stream and return its columns and its changes."""
    world.says([stream("things", properties)], *said, status("things", "COMPLETE"))
    world.sync()
    columns = ", ".join(f'"{name}"' for name in properties)
    found = world.rows(f"select {columns}, _airbyte_meta from raw.things order by rowid")
    return [(*values, json.loads(meta)["changes"]) for *values, meta in found]


def warned(world: World) -> list[str]:
    return [said for level, said in world.logged if level == "WARN"]


def test_changes_that_the_source_made_reach_the_meta_column(world: World) -> None:
    change = {"field": "note", "change": "TRUNCATED", "reason": "SOURCE_FIELD_SIZE_LIMITATION"}
    told = line('{"id":2}', meta={"changes": [change], "sync_id": 5})
    assert land(world, {"id": integer()}, line('{"id":1}'), told, line('{"id":3}', meta=None)) == [
        (1, []),
        (2, [change]),
        (3, []),
    ]
    assert not warned(world)


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "-Infinity", '"NaN"', "1e400"])
def test_what_is_no_number_lands_as_null_and_is_noted_and_counted(world: World, odd: str) -> None:
    properties = {"id": integer(), "spent": NUMBER, "visits": integer(), "more": {"type": "object"}}
    change = {"field": "note", "change": "NULLED", "reason": "SOURCE_RETRIEVAL_ERROR"}
    landed = land(
        world,
        properties,
        line('{"id":1,"spent":1.5,"visits":2}'),
        line(f'{{"id":2,"spent":{odd},"visits":1}}', meta={"changes": [change]}),
        line(f'{{"id":3,"spent":2.5,"visits":{odd},"more":{{"a":[1]}}}}'),
    )
    assert landed == [
        (1, 1.5, 2, None, []),
        (2, None, 1, None, [change, {"field": "spent", **NULLED}]),
        (3, 2.5, None, '{"a":[1]}', [{"field": "visits", **NULLED}]),
    ]
    assert warned(world) == [
        f"things: 1 new records have NaN or an infinity in {column}, which is no number; it landed as null"
        for column in ("spent", "visits")
    ]
    assert world.rows("select sum(spent) from raw.things") == [(4.0,)]


def test_a_number_that_a_double_cannot_hold_is_noted(world: World) -> None:
    [(value, changes)] = land(world, {"n": NUMBER}, line('{"n":9007199254740993}'))
    assert value == 9007199254740992
    assert changes == [{"field": "n", "change": "TRUNCATED", "reason": "DESTINATION_FIELD_SIZE_LIMITATION"}]
    assert land(world, {"n": NUMBER}, line('{"n":1e300}'), line('{"n":9007199254740994}')) == [
        (1e300, []),
        (9007199254740994, []),
    ]


@pytest.mark.parametrize("properties", [{"more": {"type": "object"}}, {}], ids=["column", "schemaless"])
def test_what_is_no_number_inside_of_an_object_lands_as_null(world: World, properties: dict[str, Any]) -> None:
    world.says([stream("things", properties)], line('{"more":{"a":[NaN],"b":"NaN"}}'), status("things", "COMPLETE"))
    world.sync()
    [(landed, meta)] = world.rows(f"select {'more' if properties else '_airbyte_data'}, _airbyte_meta from raw.things")
    assert json.loads(landed) in ({"a": [None], "b": "NaN"}, {"more": {"a": [None], "b": "NaN"}})
    assert json.loads(meta)["changes"] == [{"field": "more", **NULLED}]


def test_a_whole_number_that_only_a_double_would_call_so_is_named(world: World) -> None:
    with pytest.raises(SyncFailedError, match=r"expected BIGINT in column i.*9007199254740993.5"):
        land(world, {"i": integer()}, line('{"i":9007199254740993.5}'), line('{"i":"x"}'))


def test_numbers_in_text_land_as_numbers_with_or_without_spaces(world: World) -> None:
    said = [line('{"n":"12.50 ","i":" 7"}'), line('{"n":" 1e3","i":"8.0"}')]
    assert land(world, {"n": NUMBER, "i": integer()}, *said) == [(12.5, 7, []), (1000.0, 8, [])]


@pytest.mark.parametrize("bad", ["12,50", "", "9007199254740993.5"])
def test_text_that_is_no_number_is_named_with_its_place(world: World, bad: str) -> None:
    with pytest.raises(SyncFailedError) as failure:
        land(world, {"i": integer()}, line('{"i":1}'), line(json.dumps({"i": bad})))
    said = str(failure.value)
    assert "expected BIGINT in column i, but 1 of its new records have something else" in said
    assert f"such as {bad!r} (new record 2)" in said


def test_half_a_character_lands_as_a_replacement_and_is_noted(world: World) -> None:
    [(name, tags, changes)] = land(
        world, {"name": text(), "tags": {"type": "array"}}, line('{"name":"a\\ud800b","tags":["\\udfff"]}')
    )
    assert (name, tags) == ("a\N{REPLACEMENT CHARACTER}b", '["\N{REPLACEMENT CHARACTER}"]')
    assert [one["field"] for one in changes] == ["name", "tags"]
    assert warned(world)[0] == (
        "things: 1 new records have half a character in name; it landed as \N{REPLACEMENT CHARACTER}"
    )


def test_a_record_above_16_mib_lands_whole(world: World) -> None:
    [(name, _)] = land(world, {"name": text()}, line(json.dumps({"name": "x" * (17 << 20)})))
    assert len(name) == 17 << 20


@pytest.mark.parametrize(
    ("odd", "sentence"),
    [
        (line("null"), "expected an object as the data of every record, but new record 2 has null"),
        (line("[1]"), "expected an object as the data of every record, but new record 2 has [1]"),
        ('{"type":"RECORD","record":{"stream":"things","data":{"a":},"emitted_at":1}}', "new record 2 is not"),
        (
            '{"type":"RECORD","record":{"stream":"things","data":{"a":1},"emitted_at":"soon"}}',
            'expected emitted_at in milliseconds in every record, but new record 2 has "soon"',
        ),
        (
            '{"type":"RECORD","record":{"stream":"things","data":{"a":1},"emitted_at":1e30}}',
            "expected emitted_at in milliseconds in every record, but new record 2 has 1e+30",
        ),
        ('{"type":"RECORD","record":null}', "Expected a RECORD message of the Airbyte protocol"),
    ],
)
@pytest.mark.parametrize("properties", [{"a": integer()}, {}], ids=["columns", "schemaless"])
def test_a_record_that_is_none_is_named(world: World, properties: dict[str, Any], odd: str, sentence: str) -> None:
    with pytest.raises(SyncFailedError) as failure:
        land(world, properties, line('{"a":1}'), odd)
    assert sentence in str(failure.value)


def test_a_record_without_its_time_gets_the_syncs(world: World) -> None:
    land(world, {"a": integer()}, '{"type":"RECORD","record":{"stream":"things","data":{"a":1}}}')
    [(at,)] = world.rows("select _airbyte_extracted_at from raw.things")
    assert dt.datetime.now(dt.UTC) - at < dt.timedelta(minutes=5)


def test_a_time_with_an_offset_keeps_its_instant_in_a_column_without_a_zone(world: World) -> None:
    naive = text(format="date-time", airbyte_type="timestamp_without_timezone")
    said = [line('{"at":"2024-01-02T10:00:00+02:00"}'), line('{"at":"2024-01-02T10:00:00.25"}')]
    assert [row[0] for row in land(world, {"at": naive}, *said)] == [
        dt.datetime(2024, 1, 2, 8),
        dt.datetime(2024, 1, 2, 10, 0, 0, 250_000),
    ]


@pytest.mark.parametrize("odd", [2, -1, 2.5, 1e400, 10**20])
def test_a_number_that_is_no_yes_or_no_lands_as_null_and_is_noted(world: World, odd: float) -> None:
    said = [True, False, None, 1, 0, 1.0, odd, "true", "false", "yes"]
    properties = {"id": integer(), "member": {"type": ["null", "boolean"]}}
    landed = land(world, properties, *(["things", {"id": n, "member": one}] for n, one in enumerate(said)))
    truths = [True, False, None, True, False, True, None, True, False, True]
    changed = [{"field": "member", **NULLED}]
    assert landed == [(n, one, changed if n == 6 else []) for n, one in enumerate(truths)]
    assert warned(world) == [
        "things: 1 new records have a number in member that is neither 0 nor 1, and so no yes or no; it landed as null"
    ]


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        (integer(), 2.5),
        (integer(), "2.5"),
        (integer(), {"a": 1}),
        (NUMBER, "1,5"),
        (NUMBER, [1]),
        ({"type": "boolean"}, "2"),
        ({"type": "boolean"}, {"a": 1}),
        (text(format="date"), "2017-13-40"),
        (text(format="date"), "2017-02-30"),
        (text(format="date"), 1488700000),
        (text(format="date-time"), "2017-13-40T10:00:00Z"),
        (text(format="date-time"), 1488700000),
    ],
)
def test_what_a_column_cannot_hold_is_named_and_never_rounded_or_guessed(
    world: World, kind: dict[str, Any], bad: Any
) -> None:
    with pytest.raises(SyncFailedError, match=r"column odd, but 1 of its new records have .* \(new record 2\)"):
        land(world, {"odd": kind}, ["things", {}], ["things", {"odd": bad}])
    assert world.rows("select count(*) from information_schema.tables where table_name = 'things'") == [(0,)]


def test_text_keeps_an_object_as_the_json_that_it_is(world: World) -> None:
    said = [{"a": [1, 2.50]}, [1], True, 2.5, 10**20]
    landed = land(world, {"note": text()}, *(["things", {"note": one}] for one in said))
    assert [json.loads(note) for note, _ in landed] == said


def test_a_time_of_day_in_a_column_of_days_is_noted(world: World) -> None:
    said = [line(f'{{"on":"2024-01-02{rest}"}}') for rest in ("", "T00:00:00Z", " 00:00", "T10:30:00+02:00")]
    day = dt.date(2024, 1, 2)
    cut = {"field": "on", "change": "TRUNCATED", "reason": "DESTINATION_TYPECAST_ERROR"}
    assert land(world, {"on": text(format="date")}, *said) == [(day, []), (day, []), (day, []), (day, [cut])]
    assert warned(world) == ["things: 1 new records have a time of day in on, which holds days; the day landed"]


def test_columns_that_the_catalog_lacks_are_counted_and_told(world: World) -> None:
    said = [line('{"id":1}'), line('{"id":2,"gift":true}'), line('{"id":3,"gift":false,"colour":"red"}')]
    assert land(world, {"id": integer()}, *said) == [(1, []), (2, []), (3, [])]
    assert sorted(warned(world)) == [
        f"things: {count} new records have a column {column}, which the connection's catalog lacks; it was not "
        "landed. To land it, discover the catalog anew."
        for column, count in (("colour", 1), ("gift", 2))
    ]


def test_in_a_large_sync_such_columns_are_counted_to_the_last(world: World) -> None:
    records = 3 * SAMPLE_BYTES // 1000
    said = [
        line(json.dumps({"id": number, "note": "x" * 900, **({"gift": 1} if number % 7 else {})}))
        for number in range(records)
    ]
    world.says([stream("things", {"id": integer(), "note": text()})], *said, status("things", "COMPLETE"))
    assert world.sync().streams["things"].unlisted == {"gift": records - len(range(0, records, 7))}
