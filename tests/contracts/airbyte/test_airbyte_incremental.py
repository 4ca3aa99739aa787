"""An incremental stream keeps its state with its data: nothing is lost, nothing comes twice."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
from airbyte_world import World, integer, state, status, stream, text, trace_error

from resources.airbyte import AirbyteError, Reporter, SyncFailedError

ORDERS = stream("orders", {"id": integer(), "seen": text(), "what": text()}, key=["id"], cursor="seen")


def order(number: int, seen: str, what: str = "-") -> list[Any]:
    return ["orders", {"id": number, "seen": seen, "what": what}]


def orders(world: World) -> list[tuple[Any, ...]]:
    return world.rows("select id, seen, what from raw.orders order by id, seen")


def drop_orders(world: World) -> None:
    """Let the table go as a person's hand would: its state stays."""
    with duckdb.connect(world.warehouse) as connection:
        connection.execute("drop table raw.orders")


def test_state_is_kept_with_the_data_and_given_back(world: World) -> None:
    world.says([ORDERS], order(1, "a"), state("orders", {"seen": "a"}), status("orders", "COMPLETE"))
    world.sync()
    world.says([ORDERS], order(2, "b"), state("orders", {"seen": "b"}), status("orders", "COMPLETE"))
    world.sync()
    assert orders(world) == [(1, "a", "-"), (2, "b", "-")]
    first, second = (seen["state"] for seen in world.diary())
    assert first == []
    assert [entry["stream"]["stream_state"] for entry in second] == [{"seen": "a"}]
    kept = world.rows("select state from raw._airbyte_state where stream = 'orders'")
    assert json.loads(kept[0][0])["stream_state"] == {"seen": "b"}
    assert world.rows("select distinct _airbyte_generation_id from raw.orders") == [(0,)]


def test_a_rerun_reads_only_what_is_new(world: World) -> None:
    rows = [{"id": number, "seen": f"{number:03}", "what": "-"} for number in range(50)]
    step = {"rows_since_state": {"stream": "orders", "cursor": "seen", "rows": rows[:40]}}
    world.says([ORDERS], step, status("orders", "COMPLETE"))
    assert world.sync().records == 40
    # The cursor is inclusive: the last row comes once more, and is not doubled.
    assert world.sync().records == 1
    step["rows_since_state"]["rows"] = rows
    world.says([ORDERS], step, status("orders", "COMPLETE"))
    assert world.sync().records == 11
    assert len(orders(world)) == 50


def test_the_newest_version_of_a_key_wins(world: World) -> None:
    world.says(
        [ORDERS],
        order(1, "b", "second"),
        order(1, "a", "first"),
        order(2, "a", "sent first"),
        order(2, "a", "sent last"),
        order(3, "c", "newest"),
        state("orders", {"seen": "c"}),
        status("orders", "COMPLETE"),
    )
    world.sync()
    assert orders(world) == [(1, "b", "second"), (2, "a", "sent last"), (3, "c", "newest")]

    world.says(
        [ORDERS],
        order(1, "c", "third"),
        order(2, "a", "sent later"),
        order(3, "b", "late and old"),
        state("orders", {"seen": "d"}),
        status("orders", "COMPLETE"),
    )
    world.sync()
    assert orders(world) == [(1, "c", "third"), (2, "a", "sent later"), (3, "c", "newest")]


def test_a_null_in_a_key_is_a_value_like_another(world: World) -> None:
    entry = stream("orders", {"id": integer(), "seen": text()}, key=["id"], cursor="seen")
    rows = [["orders", {"seen": "a"}], ["orders", {"id": None, "seen": "b"}]]
    for _ in range(2):
        world.says([entry], *rows, state("orders", {"seen": "b"}), status("orders", "COMPLETE"))
        world.sync()
    assert world.rows("select id, seen from raw.orders") == [(None, "b")]


def test_a_stream_without_key_is_appended(world: World) -> None:
    entry = stream("events", {"seen": text()}, cursor="seen")
    world.says([entry], ["events", {"seen": "a"}], state("events", {"seen": "a"}), status("events", "COMPLETE"))
    world.sync()
    world.sync()
    assert world.rows("select count(*) from raw.events") == [(2,)]


def test_a_failure_keeps_what_a_checkpoint_covers_and_nothing_else(world: World) -> None:
    world.says([ORDERS], order(1, "a"), state("orders", {"seen": "a"}), order(2, "b"), trace_error("the cable was cut"))
    with pytest.raises(SyncFailedError, match=r"orders is kept up to its last checkpoint \(1 rows\)"):
        world.sync()
    assert orders(world) == [(1, "a", "-")]

    world.says([ORDERS], order(2, "b"), order(3, "c"), state("orders", {"seen": "c"}), status("orders", "COMPLETE"))
    world.sync()
    assert [entry["stream"]["stream_state"] for entry in world.diary()[1]["state"]] == [{"seen": "a"}]
    assert orders(world) == [(1, "a", "-"), (2, "b", "-"), (3, "c", "-")]


def test_a_source_that_goes_back_to_its_checkpoint_doubles_nothing(world: World) -> None:
    world.says(
        [ORDERS],
        order(1, "a"),
        state("orders", {"seen": "a"}),
        order(2, "b"),
        status("orders", "RUNNING"),
        order(1, "a"),
        order(2, "b"),
        state("orders", {"seen": "b"}),
        status("orders", "COMPLETE"),
    )
    world.sync()
    assert orders(world) == [(1, "a", "-"), (2, "b", "-")]


def test_records_that_no_state_covers_wait_for_the_end(world: World) -> None:
    world.says([ORDERS], order(1, "a"), state("orders", {"seen": "a"}), order(2, "b"), status("orders", "COMPLETE"))
    world.sync()
    assert orders(world) == [(1, "a", "-"), (2, "b", "-")]


def test_a_record_that_does_not_fit_keeps_neither_it_nor_its_state(world: World) -> None:
    bad = ["orders", {"id": "many", "seen": "b"}]
    world.says([ORDERS], order(1, "a"), bad, state("orders", {"seen": "b"}), status("orders", "COMPLETE"))
    with pytest.raises(SyncFailedError, match="expected BIGINT in column id"):
        world.sync()
    assert world.rows("select count(*) from information_schema.tables where table_name = 'orders'") == [(0,)]
    assert world.rows("select count(*) from raw._airbyte_state") == [(0,)]


def test_a_stream_that_does_not_fit_does_not_take_another_ones_checkpoint_with_it(world: World) -> None:
    events = stream("events", {"seen": integer()}, cursor="seen")
    world.says(
        [ORDERS, events],
        order(1, "a"),
        state("orders", {"seen": "a"}),
        ["events", {"seen": "soon"}],
        state("events", {"seen": "soon"}),
        status("events", "COMPLETE"),
    )
    with pytest.raises(SyncFailedError, match="events is as it was"):
        world.sync()
    assert orders(world) == [(1, "a", "-")]


def test_appended_records_without_a_state_are_not_kept_by_a_sync_that_fails(world: World) -> None:
    events = stream("events", {"seen": text()}, cursor="seen")
    said = [["events", {"seen": "a"}], status("events", "COMPLETE")]
    world.says([ORDERS, events], *said, {"exit": 1})
    with pytest.raises(SyncFailedError):
        world.sync()
    world.says([ORDERS, events], *said, status("orders", "COMPLETE"))
    world.sync()
    assert world.rows("select count(*) from raw.events") == [(1,)], "the failed sync's copy would make it two"


GLOBAL = {"type": "STATE", "state": {"type": "GLOBAL", "global": {"shared_state": {"lsn": 7}, "stream_states": []}}}
LEGACY = {"type": "STATE", "state": {"data": {"orders": {"seen": "a"}}}}


@pytest.mark.parametrize(
    ("message", "given_back"),
    [
        (GLOBAL, [{"type": "GLOBAL", "global": {"shared_state": {"lsn": 7}, "stream_states": []}}]),
        (LEGACY, {"orders": {"seen": "a"}}),
    ],
    ids=["global", "legacy"],
)
def test_one_state_for_all_streams_is_kept_with_all_their_records(world: World, message: Any, given_back: Any) -> None:
    events = stream("events", {"seen": text()}, cursor="seen")
    world.says(
        [ORDERS, events],
        order(1, "a"),
        ["events", {"seen": "a"}],
        message,
        ["events", {"seen": "b"}],
        {"exit": 1},
    )
    with pytest.raises(SyncFailedError):
        world.sync()
    assert orders(world) == [(1, "a", "-")]
    assert world.rows("select seen from raw.events") == [("a",)]

    world.says([ORDERS, events], message, status("orders", "COMPLETE"), status("events", "COMPLETE"))
    world.sync()
    assert world.diary()[1]["state"] == given_back


def test_a_count_that_does_not_match_is_warned_about(world: World) -> None:
    world.says([ORDERS], order(1, "a"), state("orders", {"seen": "a"}, count=2), status("orders", "COMPLETE"))
    world.sync()
    assert [said for level, said in world.logged if level == "WARN"] == [
        "orders: the source counts 2 records since its last state, 1 arrived"
    ]
    assert world.rows("select status, message, counts from raw._airbyte_syncs") == [
        ("succeeded", "orders: the source counts 2 records, and 1 arrived.", '{"orders": [2, 1]}')
    ]


def test_counts_that_match_leave_no_remark(world: World) -> None:
    world.says([ORDERS], order(1, "a"), state("orders", {"seen": "a"}, count=1), status("orders", "COMPLETE"))
    world.sync()
    assert world.rows("select status, message, counts from raw._airbyte_syncs") == [
        ("succeeded", None, '{"orders": [1, 1]}')
    ]


def test_reset_reads_a_stream_from_the_start(world: World) -> None:
    world.says([ORDERS], order(1, "a"), state("orders", {"seen": "a"}), status("orders", "COMPLETE"))
    world.sync()
    world.workspace().reset("shop", "orders")
    assert world.rows("select count(*) from information_schema.tables where table_name = 'orders'") == [(0,)]
    world.sync()
    assert world.diary()[1]["state"] == []
    with pytest.raises(AirbyteError, match=r"Expected a stream of shop \(orders\); it is 'odors'"):
        world.workspace().reset("shop", "odors")


@pytest.mark.parametrize("lost", ["drop table raw._airbyte_state", "delete from raw._airbyte_state"])
def test_rows_without_a_key_whose_state_was_lost_are_not_read_twice_and_a_reset_heals(world: World, lost: str) -> None:
    events = stream("events", {"seen": text()}, cursor="seen")
    world.says(
        [events, ORDERS], ["events", {"seen": "a"}], order(1, "a"), state("events", {"seen": "a"}),
        state("orders", {"seen": "a"}), status("events", "COMPLETE"), status("orders", "COMPLETE"),
    )  # fmt: skip
    world.sync()
    with duckdb.connect(world.warehouse) as connection:
        connection.execute(lost)
    with pytest.raises(AirbyteError, match=r"up to where raw.events was read, and it is lost.*reset shop events"):
        world.sync()
    world.workspace().reset("shop", "events")
    world.sync()
    assert world.rows("select seen from raw.events") == [("a",)]
    assert orders(world) == [(1, "a", "-")], "rows with a key are read again, and are the same"


def test_a_stream_that_is_reset_while_it_is_synced_does_not_lose_its_older_rows(world: World) -> None:
    world.says([ORDERS], order(1, "a"), state("orders", {"seen": "a"}), status("orders", "COMPLETE"))
    world.sync()
    told = {"type": "LOG", "log": {"level": "INFO", "message": "in the midst of it"}}
    world.says([ORDERS], order(2, "b"), state("orders", {"seen": "b"}), told, status("orders", "COMPLETE"))
    resets = Reporter(log=lambda _level, said: world.workspace().reset("shop", "orders") if "midst" in said else None)
    with pytest.raises(AirbyteError, match=r"raw.orders to hold the rows that this sync reads on from"):
        world.workspace().sync_connection("shop", resets)
    world.says([ORDERS], order(1, "a"), order(2, "b"), state("orders", {"seen": "b"}), status("orders", "COMPLETE"))
    world.sync()
    assert world.diary()[-1]["state"] == []
    assert [key for key, *_ in orders(world)] == [1, 2]


def test_a_source_that_keeps_no_state_goes_on_appending(world: World) -> None:
    world.says(
        [stream("events", {"seen": text()}, cursor="seen")], ["events", {"seen": "a"}], status("events", "COMPLETE")
    )
    for _ in range(2):
        world.sync()
    assert world.rows("select seen from raw.events") == [("a",), ("a",)]


@pytest.mark.parametrize("lost", ["drop table raw.orders", "delete from raw.orders"])
def test_a_table_that_lost_its_rows_is_read_from_the_start_although_its_state_is_there(world: World, lost: str) -> None:
    events = stream("events", {"seen": text()}, cursor="seen")
    said = [order(1, "a"), state("orders", {"seen": "a"}), ["events", {"seen": "a"}], state("events", {"seen": "a"})]
    world.says([ORDERS, events], *said, status("orders", "COMPLETE"), status("events", "COMPLETE"))
    world.sync()
    with duckdb.connect(world.warehouse) as connection:
        connection.execute(lost)
    world.sync()
    assert [one["stream"]["stream_descriptor"]["name"] for one in world.diary()[1]["state"]] == ["events"]
    assert orders(world) == [(1, "a", "-")]


@pytest.mark.parametrize(
    ("message", "left"),
    [
        (
            {
                "type": "STATE",
                "state": {
                    "type": "GLOBAL",
                    "global": {
                        "shared_state": {"lsn": 7},
                        "stream_states": [
                            {"stream_descriptor": {"name": name}, "stream_state": {"lsn": 7}}
                            for name in ("orders", "events")
                        ],
                    },
                },
            },
            [
                {
                    "type": "GLOBAL",
                    "global": {
                        "shared_state": {"lsn": 7},
                        "stream_states": [{"stream_descriptor": {"name": "events"}, "stream_state": {"lsn": 7}}],
                    },
                }
            ],
        ),
        (
            {"type": "STATE", "state": {"data": {"orders": {"seen": "a"}, "events": {"seen": "a"}}}},
            {"events": {"seen": "a"}},
        ),
    ],
    ids=["global", "legacy"],
)
def test_of_one_state_for_all_streams_the_part_of_a_table_that_is_gone_is_left_out(
    world: World, message: Any, left: Any
) -> None:
    events = stream("events", {"seen": text()}, cursor="seen")
    said = [order(1, "a"), ["events", {"seen": "a"}], message]
    world.says([ORDERS, events], *said, status("orders", "COMPLETE"), status("events", "COMPLETE"))
    world.sync()
    drop_orders(world)
    world.sync()
    assert world.diary()[1]["state"] == left


LOADER = """
import json, sys
from pathlib import Path
from resources.airbyte.connections import load_connections
from resources.airbyte.sync import Job, sync

folder = Path(sys.argv[1])
connection = load_connections(str(folder / "connections.json"), str(folder / "connectors"))["shop"]
sync(Job("shop", connection.executable, dict(connection.config), connection.plans(), sys.argv[2], commit_bytes=1))
"""


def start_loader(world: World) -> "subprocess.Popen[bytes]":
    """Start a sync in a process of its own that commits at every checkpoint."""
    command = [sys.executable, "-c", LOADER, str(world.folder), world.warehouse]
    return subprocess.Popen(command, cwd=Path(__file__).parents[3], stderr=subprocess.PIPE)


def checkpoints(world: World) -> int:
    """Count the commits so far, by the rows that they left; the file may be held by the loader at the moment."""
    try:
        return world.rows("select count(*) from raw.orders")[0][0]
    except Exception:  # noqa: BLE001  Not there yet, or busy.
        return 0


def test_a_killed_sync_is_resumed_to_the_same_table(world: World) -> None:
    rows = [{"id": number % 90, "seen": f"{number:03}", "what": str(number)} for number in range(120)]
    step = {"stream": "orders", "cursor": "seen", "rows": rows, "checkpoint_every": 10, "seconds_a_row": 0.01}
    world.says([ORDERS], {"rows_since_state": step}, status("orders", "COMPLETE"))

    loader = start_loader(world)
    deadline = time.monotonic() + 30
    while checkpoints(world) < 20 and time.monotonic() < deadline:
        time.sleep(0.02)
    loader.send_signal(signal.SIGKILL)
    loader.wait()
    source = world.diary()[0]["pid"]
    while _alive(source) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(source), "the connector ends when nobody listens any more"
    reached = checkpoints(world)
    assert 20 <= reached < 90

    left_behind = list(Path(world.warehouse).parent.glob(".airbyte-sync-*"))
    assert left_behind, "the killed loader could not remove its folder"
    assert world.sync().records < len(rows)
    assert orders(world) == sorted({row["id"]: (row["id"], row["seen"], row["what"]) for row in rows}.values())
    assert not list(Path(world.warehouse).parent.glob(".airbyte-sync-*")), "the next sync removes it"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
