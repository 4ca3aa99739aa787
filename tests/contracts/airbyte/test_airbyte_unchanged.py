"""A full refresh that has nothing new sends nothing and its table stays; what was done to the table is noticed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from airbyte_world import STREAMS, Recording, World, integer, state, status, stream, text

from assets.company.airbyte import airbyte_assets
from resources.airbyte import AirbyteError, SyncFailedError, unchanged
from resources.airbyte.plans import plan_stream
from resources.forced import FORCE

PEOPLE = stream("people", {"id": integer(), "name": text()}, key=["id"])
ADA, BOB = ["people", {"id": 1, "name": "Ada"}], ["people", {"id": 2, "name": "Bob"}]
STARTED, COMPLETE = status("people", "STARTED"), status("people", "COMPLETE")
SENT = (STARTED, ADA, BOB, state("people", {"baton_digest": "d1"}), COMPLETE)
NOTHING_NEW = (STARTED, state("people", {"baton_digest": "d1", "baton_unchanged": True}), COMPLETE)
ASKED = [
    {
        "type": "STREAM",
        "stream": {
            "stream_descriptor": {"name": "people"},
            "stream_state": {"baton_digest": "d1", "baton_held": True},
        },
    }
]
ROWS = "select * from raw.people order by id"


def asked_with(world: World) -> Any:
    """What state the source was handed at the last sync."""
    return world.diary()[-1]["state"]


def do(world: World, sql: str) -> None:
    with duckdb.connect(world.warehouse) as connection:
        connection.execute(sql)


def test_a_table_whose_source_has_nothing_new_is_kept_as_it_is(world: World) -> None:
    world.says([PEOPLE], *SENT)
    world.sync()
    assert asked_with(world) == [], "at first nothing is held"
    before = world.rows(ROWS)

    world.says([PEOPLE], *NOTHING_NEW)
    for _ in range(2):
        result = world.sync().streams["people"]
        assert asked_with(world) == ASKED
        assert (result.kept, result.records, result.rows, result.committed) == (True, 0, 2, True)
        assert world.rows(ROWS) == before, "not even the identifiers that are drawn for each landed row"
    # It was read, as far as anybody asks who watches ages and counts.
    assert world.rows("select status, message, counts from raw._airbyte_syncs") == [("succeeded", None, None)] * 3
    assert world.rows("select count(*) from raw.ingestions where stream = 'people'") == [(1,)]
    assert not [said for level, said in world.logged if level == "WARN"], "nothing was emptied"


def test_a_source_that_has_other_rows_replaces_the_table(world: World) -> None:
    world.says([PEOPLE], *SENT)
    world.sync()
    world.says([PEOPLE], STARTED, BOB, state("people", {"baton_digest": "d2"}), COMPLETE)
    result = world.sync().streams["people"]
    assert asked_with(world) == ASKED
    assert (result.kept, result.records, result.rows) == (False, 1, 1)
    assert world.rows("select id, _airbyte_generation_id from raw.people") == [(2, 2)]
    world.sync()
    assert asked_with(world)[0]["stream"]["stream_state"] == {"baton_digest": "d2", "baton_held": True}


@pytest.mark.parametrize(
    "done",
    [
        "update raw.people set name = 'Eve' where id = 1",
        "delete from raw.people where id = 2",
        "delete from raw.people",
        "insert into raw.people select * from raw.people where id = 1",
        "drop table raw.people",
        "alter table raw.people add column age bigint",
        "alter table raw.people drop column name",
        "update raw.people set _airbyte_meta = '{}'::json where id = 1",
        "update raw.people set _airbyte_extracted_at = now()",
        "delete from raw._airbyte_state",
        "drop table raw._airbyte_state",
    ],
)
def test_whatever_was_done_to_the_table_its_source_is_asked_for_everything(world: World, done: str) -> None:
    world.says([PEOPLE], *SENT)
    world.sync()
    do(world, done)
    assert not world.sync().streams["people"].kept
    assert asked_with(world) == []
    assert world.rows("select id, name from raw.people order by id") == [(1, "Ada"), (2, "Bob")]


def test_a_restored_table_is_compared_with_what_was_sent_last(world: World, tmp_path: Path) -> None:
    world.says([PEOPLE], *SENT)
    world.sync()
    do(world, "create table raw.backup as from raw.people")
    world.says([PEOPLE], STARTED, BOB, state("people", {"baton_digest": "d2"}), COMPLETE)
    world.sync()
    do(world, "delete from raw.people; insert into raw.people from raw.backup")
    world.sync()
    assert asked_with(world) == []
    assert world.rows("select id from raw.people") == [(2,)]


def test_a_reset_forgets_what_was_held(world: World) -> None:
    world.says([PEOPLE], *SENT)
    world.sync()
    world.workspace().reset("shop", "people")
    world.sync()
    assert asked_with(world) == []
    assert world.rows("select count(*) from raw.people") == [(2,)]


def test_a_table_that_changes_while_its_source_is_asked_is_not_taken_for_what_it_was(world: World) -> None:
    world.says([PEOPLE], *SENT)
    world.sync()
    plan = plan_stream(PEOPLE)
    with duckdb.connect(world.warehouse) as connection:
        [one] = unchanged.held(connection, "shop", [plan], {}).values()
        assert unchanged.rows_kept(connection, plan, one) == 2
        connection.execute("delete from raw.people where id = 1")
        with pytest.raises(AirbyteError, match=r"Expected raw\.people to hold the rows .* sync again"):
            unchanged.rows_kept(connection, plan, one)
        assert unchanged.held(connection, "shop", [plan], {}) == {}


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ((STARTED, ADA, state("people", {"baton_digest": "d1"}), BOB, COMPLETE), "rows came after it"),
        ((STARTED, ADA, state("people", {"baton_digest": ""}), COMPLETE), "it is empty"),
        ((STARTED, ADA, state("people", {"__ab_full_refresh_sync_complete": True}), COMPLETE), "another kit's state"),
        (
            (STARTED, ["people", {"id": 1, "shoe": 9}], state("people", {"baton_digest": "d1"}), COMPLETE),
            "a new column",
        ),
        ((STARTED, ["people", {"id": "NaN"}], state("people", {"baton_digest": "d1"}), COMPLETE), "an odd value"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_digest_does_not_cover_is_sent_at_every_sync(world: World, script: tuple[Any, ...], why: str) -> None:
    world.says([PEOPLE], *script)
    world.sync()
    again = world.sync().streams["people"]
    assert asked_with(world) == [], why
    assert again.records > 0


def test_a_source_that_was_killed_half_way_is_asked_for_what_the_table_holds(world: World) -> None:
    world.says([PEOPLE], *SENT)
    world.sync()
    world.says([PEOPLE], STARTED, BOB, state("people", {"baton_digest": "d2"}), {"kill": True})
    with pytest.raises(SyncFailedError, match="people is as it was"):
        world.sync()
    world.says([PEOPLE], STARTED, state("people", {"baton_digest": "d1", "baton_unchanged": True}), {"kill": True})
    with pytest.raises(SyncFailedError, match="people is as it was"):
        world.sync()
    world.says([PEOPLE], *NOTHING_NEW)
    assert world.sync().streams["people"].kept
    assert world.rows("select id, name from raw.people order by id") == [(1, "Ada"), (2, "Bob")]


@pytest.mark.parametrize("before", [(), (ADA,)], ids=["nothing", "records"])
def test_nobody_says_unchanged_unasked_or_beside_records(world: World, before: tuple[Any, ...]) -> None:
    world.says([PEOPLE], *(SENT if before else SENT[:3]), *(() if before else (COMPLETE,)))
    world.sync()
    world.says([PEOPLE], STARTED, *before, *NOTHING_NEW[1:])
    with pytest.raises(SyncFailedError, match="to be told as unchanged only where"):
        world.sync()
    assert world.rows("select count(*) from raw.people") == [(2,)]


def test_records_after_unchanged_are_an_error(world: World) -> None:
    world.says([PEOPLE], *SENT)
    world.sync()
    world.says([PEOPLE], *NOTHING_NEW[:2], ADA, COMPLETE)
    with pytest.raises(SyncFailedError, match="after it was told as unchanged"):
        world.sync()


def test_what_a_full_refresh_left_is_no_place_to_read_on_from(world: World) -> None:
    world.says([PEOPLE], *SENT)
    world.sync()
    grown = stream("people", {"id": integer(), "name": text()}, key=["id"], cursor="id")
    world.says([grown], ADA, BOB, state("people", {"id": 2}), COMPLETE)
    world.sync()
    assert asked_with(world) == []
    world.sync()
    assert asked_with(world)[0]["stream"]["stream_state"] == {"id": 2}
    world.says([PEOPLE], *SENT)
    world.sync()
    assert asked_with(world) == [], "nor does a cursor say what a table holds"


def test_a_forced_run_has_everything_sent_and_any_other_says_why_nothing_was(world: World) -> None:
    world.says([PEOPLE], *SENT)
    world.sync()
    workspace, assets = world.workspace(), airbyte_assets(world.workspace())

    def told(**tags: str) -> tuple[Any, Any]:
        ran = dg.materialize(assets, resources={"airbyte": workspace}, tags=tags)
        [event] = ran.get_asset_materialization_events()
        made = event.step_materialization_data.materialization
        return made.metadata, (made.tags or {})["dagster/data_version"]

    metadata, version = told(**{FORCE: "true"})
    assert asked_with(world) == []
    assert "airbyte/unchanged" not in metadata
    assert metadata["airbyte/rows_read"].value == 2

    world.says([PEOPLE], *NOTHING_NEW)
    kept, same = told()
    assert asked_with(world) == ASKED
    assert "none was sent again" in kept["airbyte/unchanged"].value
    assert (kept["dagster/row_count"].value, kept["airbyte/rows_read"].value, same) == (2, 0, version)


WHOLE = {"products", "demographics", "campaigns", "campaign_descriptions", "coupons"}


def held_by(recording: Recording) -> dict[str, list[tuple[Any, ...]]]:
    """Every cell of every table, but for what is drawn or timed anew at each landing."""
    own = "_airbyte_raw_id, _airbyte_extracted_at, _airbyte_generation_id"
    return {name: recording.rows(f"select * exclude ({own}) from raw.{name} order by all") for name in STREAMS}


def edit(recording: Recording, sql: str) -> None:
    with duckdb.connect(recording.warehouse) as connection:
        connection.execute(sql)


def rename_a_product(recording: Recording) -> None:
    file, new = recording.data / "products.parquet", recording.data / "new.parquet"
    first = f"product_id = (select min(product_id) from '{file}')"
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select * replace (if({first}, 'RENAMED', department) as department) from '{file}') to '{new}'"
        )
    new.rename(file)


def test_all_tables_are_cell_by_cell_what_the_slow_way_makes_of_them(
    damaged: Callable[[], Recording], tmp_path: Path
) -> None:
    fast = damaged()
    fast.sync()
    for number, (happens, sent) in enumerate(
        [
            (lambda: None, set()),
            (lambda: rename_a_product(fast), {"products"}),
            (lambda: edit(fast, "update raw.coupons set campaign_id = campaign_id + 1"), {"coupons"}),
            (lambda: edit(fast, "drop table raw.demographics"), {"demographics"}),
            (lambda: edit(fast, "delete from raw.campaigns where household_id % 2 = 1"), {"campaigns"}),
            (lambda: None, set()),
        ]
    ):
        happens()
        synced = fast.sync().streams
        assert {name for name in WHOLE if not synced[name].kept} == sent
        slow = Recording(tmp_path / f"slow_{number}", fast.data)
        slow.sync()
        assert held_by(fast) == held_by(slow)
        assert all(synced[name].rows == len(rows) for name, rows in held_by(slow).items())


def test_playing_on_sends_only_the_streams_that_have_something_new(recording: Recording, tmp_path: Path) -> None:
    recording.sync("2017-05-22T08:00:00-04:00")
    synced = recording.sync("2017-06-05T08:00:00-04:00").streams
    at_once = Recording(tmp_path / "at_once", recording.data)
    at_once.sync("2017-06-05T08:00:00-04:00")
    assert held_by(recording) == held_by(at_once)
    assert synced["products"].kept
    assert synced["demographics"].kept
    assert not synced["campaign_descriptions"].kept, "a campaign has started since"
