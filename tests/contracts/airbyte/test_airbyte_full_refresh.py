"""A full refresh replaces its table as a whole, or not at all."""

from pathlib import Path

import pytest
from airbyte_world import World, integer, status, stream, text, trace_error

from resources.airbyte import SyncFailedError

PEOPLE = stream("people", {"id": integer(), "name": text()}, key=["id"])
ADA, BOB, CYN = ["people", {"id": 1, "name": "Ada"}], ["people", {"id": 2, "name": "Bob"}], ["people", {"id": 3}]


def names(world: World) -> list[tuple[int, str | None]]:
    return [(row[0], row[1]) for row in world.rows("select id, name from raw.people order by id")]


def test_a_full_refresh_replaces_the_table_and_counts_generations(world: World) -> None:
    world.says([PEOPLE], ADA, BOB, status("people", "COMPLETE"))
    world.sync()
    assert world.rows("select distinct _airbyte_generation_id from raw.people") == [(1,)]

    world.says([PEOPLE], BOB, CYN, status("people", "COMPLETE"))
    result = world.sync()
    assert names(world) == [(2, "Bob"), (3, None)]
    assert (result.streams["people"].records, result.streams["people"].rows) == (2, 2)
    assert world.rows("select distinct _airbyte_generation_id from raw.people") == [(2,)]


def test_an_empty_full_refresh_empties_the_table(world: World) -> None:
    world.says([PEOPLE], ADA, status("people", "COMPLETE"))
    world.sync()
    world.says([PEOPLE], status("people", "STARTED"), status("people", "COMPLETE"))
    world.sync()
    assert names(world) == []


def test_repeated_rows_of_a_stream_without_key_are_all_kept(world: World) -> None:
    world.says([stream("visits", {"id": integer()})], *[["visits", {"id": 1}]] * 3, status("visits", "COMPLETE"))
    world.sync()
    assert world.rows("select count(*) from raw.visits") == [(3,)]


@pytest.mark.parametrize(
    ("ending", "sentence"),
    [
        ([], "without saying COMPLETE for people"),
        ([status("people", "INCOMPLETE")], "without saying COMPLETE for people"),
        ([trace_error("the cable was cut")], "reported a system error: the cable was cut"),
        ([{"exit": 3}], "ended with exit code 3"),
        ([{"stderr": "Traceback: no memory"}, {"exit": 1}], "Traceback: no memory"),
        ([{"kill": True}], "was ended by SIGKILL"),
        ([{"half_line": '{"type":"RECORD","record":{"stream":"peo'}, {"exit": 1}], "exit code 1"),
    ],
    ids=["silent end", "incomplete", "reported error", "exit code", "last words", "killed", "half a line"],
)
def test_a_refresh_that_is_cut_short_replaces_nothing(world: World, ending: list[object], sentence: str) -> None:
    world.says([PEOPLE], ADA, BOB, status("people", "COMPLETE"))
    world.sync()
    world.says([PEOPLE], status("people", "STARTED"), CYN, *ending)
    with pytest.raises(SyncFailedError, match="people is as it was") as failure:
        world.sync()
    assert sentence in str(failure.value)
    assert names(world) == [(1, "Ada"), (2, "Bob")]
    assert world.rows("select status, message is not null from raw._airbyte_syncs order by started_at") == [
        ("succeeded", False),
        ("failed", True),
    ]


def test_a_stream_that_was_complete_before_another_failed_is_kept(world: World) -> None:
    pets = stream("pets", {"id": integer()})
    world.says([PEOPLE, pets], ADA, status("people", "COMPLETE"), ["pets", {"id": 1}], {"exit": 1})
    with pytest.raises(SyncFailedError, match="Not complete: pets is as it was"):
        world.sync()
    assert names(world) == [(1, "Ada")]
    assert world.rows("select count(*) from information_schema.tables where table_name = 'pets'") == [(0,)]


def test_records_after_complete_are_an_error(world: World) -> None:
    world.says([PEOPLE], ADA, status("people", "COMPLETE"), BOB)
    with pytest.raises(SyncFailedError, match="after it was COMPLETE"):
        world.sync()


def test_many_refreshes_do_not_make_the_warehouse_grow(world: World) -> None:
    rows = [["people", {"id": number, "name": "x" * 50}] for number in range(3000)]
    world.says([PEOPLE], *rows, status("people", "COMPLETE"))
    sizes = []
    for _ in range(6):
        world.sync()
        sizes.append(Path(world.warehouse).stat().st_size)
    assert sizes[-1] <= sizes[2] * 1.5
