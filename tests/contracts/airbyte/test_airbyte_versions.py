"""Of two versions of a row the newer one stays: keys and cursors compare as what they are, however they are held."""

from typing import Any

import pytest
from airbyte_world import World, integer, status, stream, text

from resources.airbyte import SyncFailedError

BIG = text(airbyte_type="big_integer")
EITHER = {"type": ["null", "string", "integer", "number"]}
MAYBE_INSTANT = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
EXACT = 9_007_199_254_740_993
"""The first whole number that a double cannot hold."""


def land(world: World, entry: dict[str, Any], *rows: dict[str, Any]) -> list[Any]:
    world.says([entry], *(["orders", row] for row in rows), status("orders", "COMPLETE"))
    world.sync()
    return [row[0] for row in world.rows("select what from raw.orders order by what")]


@pytest.mark.parametrize(
    ("kind", "older", "newer"),
    [
        (BIG, "9", "10"),
        (BIG, "-10", "-9"),
        (BIG, str(EXACT), str(EXACT + 1)),
        (BIG, "9" * 30, "1" + "0" * 30),
        (text(airbyte_type="big_number"), "9.75", "10.5"),
        (text(), "9", "10"),
        (EITHER, 9, 10),
        (EITHER, "9", 10),
        (EITHER, 9.5, "10"),
        (EITHER, EXACT, EXACT + 1),
        ({"type": ["null", "integer"]}, EXACT, EXACT + 1),
        (text(), "2024-01-02T00:00:00Z", "2024-01-02T00:00:00.5Z"),
        (MAYBE_INSTANT, "2024-01-02T10:00:00+02:00", "2024-01-02T09:00:00Z"),
        (text(format="date-time"), "2024-01-02T10:00:00+02:00", "2024-01-02T09:00:00Z"),
        (text(), "alpha", "beta"),
    ],
)
def test_the_greater_cursor_wins(world: World, kind: dict[str, Any], older: Any, newer: Any) -> None:
    entry = stream("orders", {"id": integer(), "seen": kind, "what": text()}, key=["id"], cursor="seen")
    old, new = {"seen": older, "what": "older"}, {"seen": newer, "what": "newer"}
    # In one sync, whichever is sent first; and from one sync to the next, whichever comes first.
    assert land(world, entry, {"id": 1, **new}, {"id": 1, **old}, {"id": 2, **new}, {"id": 3, **old}) == [
        "newer",
        "newer",
        "older",
    ]
    assert land(world, entry, {"id": 2, **old}, {"id": 3, **new}) == ["newer", "newer", "newer"]


def test_a_cursor_inside_an_object_is_compared_as_a_number(world: World) -> None:
    entry = stream("orders", {"id": integer(), "at": {"type": "object"}, "what": text()}, key=["id"], cursor="at")
    entry["default_cursor_field"] = ["at", "version"]
    assert land(world, entry, {"id": 1, "at": {"version": 10}, "what": "newer"}) == ["newer"]
    assert land(world, entry, {"id": 1, "at": {"version": 9}, "what": "older"}) == ["newer"]


@pytest.mark.parametrize(
    ("kind", "one", "other", "rows"),
    [
        (EITHER, 7, "7", 1),
        (EITHER, 7, 7.0, 1),
        (EITHER, "007", 7, 2),
        (BIG, "7", "007", 1),
        (BIG, str(EXACT), str(EXACT - 1), 2),
        (text(), "7", "007", 2),
        ({"type": "integer"}, EXACT, EXACT - 1, 2),
        ({"type": "integer"}, EXACT, EXACT, 1),
    ],
)
def test_a_key_is_the_same_however_it_is_held(
    world: World, kind: dict[str, Any], one: Any, other: Any, rows: int
) -> None:
    entry = stream("orders", {"id": kind, "seen": integer(), "what": text()}, key=["id"], cursor="seen")
    # In one sync, and from one sync to the next.
    assert len(land(world, entry, {"id": one, "seen": 1}, {"id": other, "seen": 2})) == rows
    assert len(land(world, entry, {"id": one, "seen": 3})) == rows


def test_a_key_that_a_double_would_take_for_another_is_refused(world: World) -> None:
    entry = stream("orders", {"id": {"type": "number"}, "what": text()}, key=["id"], cursor="what")
    with pytest.raises(SyncFailedError, match=rf"its column id tells records apart.*{EXACT} is one that a double"):
        land(world, entry, {"id": EXACT, "what": "a"}, {"id": EXACT - 1, "what": "b"})


DELETED = "_ab_cdc_deleted_at"
CDC = {"id": integer(), "lsn": integer(), "what": text(), DELETED: text()}


def test_a_row_that_was_deleted_at_the_source_is_removed(world: World) -> None:
    entry = stream("orders", CDC, key=["id"], cursor="lsn")
    kept = {"id": 1, "lsn": 1, "what": "kept", DELETED: None}
    gone = {"id": 2, "lsn": 2, "what": "gone", DELETED: None}
    assert land(world, entry, kept, gone) == ["gone", "kept"]
    assert land(world, entry, {"id": 2, "lsn": 3, DELETED: "2024-01-02T00:00:00Z"}) == ["kept"]
    # What comes and goes between two syncs, and what comes again after it was deleted.
    flash = {"id": 3, "lsn": 4, "what": "flash"}
    deleted = {"id": 3, "lsn": 5, "what": "flash", DELETED: "2024-01-03T00:00:00Z"}
    again = {"id": 2, "lsn": 6, "what": "again"}
    assert land(world, entry, deleted, flash, again) == ["again", "kept"]


def test_a_deletion_that_is_older_than_the_row_removes_nothing(world: World) -> None:
    entry = stream("orders", CDC, key=["id"], cursor="lsn")
    land(world, entry, {"id": 1, "lsn": 5, "what": "kept"})
    assert land(world, entry, {"id": 1, "lsn": 4, DELETED: "2024-01-02T00:00:00Z"}) == ["kept"]


def test_appended_deletions_stay_as_the_records_that_they_are(world: World) -> None:
    entry = stream("orders", CDC, cursor="lsn")
    rows = [{"id": 1, "lsn": 1, "what": "a"}, {"id": 1, "lsn": 2, "what": "b", DELETED: "2024-01-02T00:00:00Z"}]
    assert land(world, entry, *rows) == ["a", "b"]


def test_a_state_is_given_back_with_every_digit(world: World) -> None:
    entry = stream("orders", {"id": integer()}, key=["id"], cursor="id")
    kept = '{"at": 12345678901234567890.12345678901234567890, "n": 98765432109876543210}'
    of = '{"type":"STREAM","stream":{"stream_descriptor":{"name":"orders"},"stream_state":'
    told = f'{{"type":"STATE","state":{of}{kept}}}}}}}'
    world.says([entry], ["orders", {"id": 1}], told, status("orders", "COMPLETE"))
    world.sync()
    assert world.rows("select state::varchar from raw._airbyte_state")[0][0].endswith(f'"stream_state": {kept}}}')
    world.executable.write_text(world.executable.read_text().splitlines()[0] + GIVEN_BACK)
    world.sync()
    assert f'"stream_state": {kept}' in (world.folder / "given").read_text()


GIVEN_BACK = """
import json, sys, pathlib

config = json.loads(pathlib.Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
state = pathlib.Path(sys.argv[sys.argv.index("--state") + 1]).read_text()
pathlib.Path(config["diary"]).with_name("given").write_text(state)
done = {"stream_descriptor": {"name": "orders"}, "status": "COMPLETE"}
print(json.dumps({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 0, "stream_status": done}}))
"""
