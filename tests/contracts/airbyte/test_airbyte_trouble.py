"""What can go wrong around a sync ends in a sentence, and leaves the previous tables."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from airbyte_world import World, integer, status, stream

from resources.airbyte import AirbyteError, SyncFailedError
from resources.airbyte.protocol import Connector, SyncTimeoutError
from resources.warehouse import WarehouseBusyError

PEOPLE = stream("people", {"id": integer()})
ADA, BOB, DONE = ["people", {"id": 1}], ["people", {"id": 2}], status("people", "COMPLETE")


def people(world: World) -> list[tuple[int]]:
    return world.rows("select id from raw.people order by id")


def test_noise_on_standard_output_is_logged_and_harmless(world: World) -> None:
    world.says([PEOPLE], "downloading…", ADA, "warning: slow", BOB, "", DONE, "bye")
    world.sync()
    assert people(world) == [(1,), (2,)]
    assert [said for level, said in world.logged if level == "DEBUG"] == [
        "not a message: downloading…",
        "not a message: warning: slow",
        "not a message: bye",
    ]


def test_what_the_connector_logs_is_passed_on(world: World) -> None:
    world.says([PEOPLE], {"type": "LOG", "log": {"level": "WARN", "message": "deprecated"}}, ADA, DONE)
    world.sync()
    assert ("WARN", "deprecated") in world.logged


def test_progress_is_told_while_the_source_is_silent(world: World) -> None:
    estimate = {"name": "people", "type": "STREAM", "row_estimate": 2}
    told = {"type": "TRACE", "trace": {"type": "ESTIMATE", "emitted_at": 0, "estimate": estimate}}
    world.says([PEOPLE], told, ADA, {"sleep": 3.5}, BOB, DONE)
    world.sync()
    assert world.progress[0].startswith("shop: people 1 of 2 records; 1 records")
    assert world.progress[-1] == "shop: people complete, 2 records read, 2 rows in raw.people"


def test_a_missing_executable_is_named(world: World) -> None:
    world.says([PEOPLE], ADA, DONE)
    world.executable.unlink()
    with pytest.raises(AirbyteError, match=r"Expected the connector's executable at .*source-scripted.*make setup"):
        world.sync()


def test_a_file_that_cannot_be_run_is_named(world: World) -> None:
    world.says([PEOPLE], ADA, DONE)
    world.executable.chmod(0o644)
    with pytest.raises(
        AirbyteError, match="to be an executable connector, but it cannot be started: Permission denied"
    ):
        world.sync()


def test_a_program_that_is_no_connector_lands_nothing(world: World) -> None:
    world.says([PEOPLE], ADA, DONE)
    world.executable.write_text("#!/bin/sh\necho hello\n")
    with pytest.raises(AirbyteError, match="without saying COMPLETE for people"):
        world.sync()
    with pytest.raises(AirbyteError, match="answer `discover` with a catalog, but it sent none"):
        world.workspace().discover("shop")


def test_an_unasked_stream_is_an_error(world: World) -> None:
    world.says([PEOPLE], ["pets", {"id": 1}], DONE)
    with pytest.raises(AirbyteError, match="Expected records of people, but source-scripted sent some of 'pets'"):
        world.sync()


def test_a_malformed_message_is_shown(world: World) -> None:
    world.says([PEOPLE], {"type": "STATE", "state": {"type": "STREAM"}}, DONE)
    with pytest.raises(
        AirbyteError, match="Expected a STATE message of the Airbyte protocol, but source-scripted sent"
    ):
        world.sync()


def test_a_sync_that_takes_too_long_is_ended(world: World) -> None:
    world.says([PEOPLE], ADA, {"sleep": 60}, DONE)
    started = time.monotonic()
    with pytest.raises(SyncFailedError, match="to finish within 1 s, but it had not; it was ended") as failure:
        world.sync(sync_time_limit=1.0)
    assert isinstance(failure.value.__cause__, SyncTimeoutError)
    assert time.monotonic() - started < 20


HEEDS = """
import json, signal

heeds = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
print(json.dumps({"type": "CATALOG", "catalog": {"heeds": heeds}}))
"""


@pytest.mark.parametrize("here", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_connector_can_be_told_to_end_whatever_this_process_ignores(here: signal.Handlers, tmp_path: Path) -> None:
    """As a job in a shell's background: a source with a pool of processes would wait for them for ever."""
    source = tmp_path / "source-heeding"
    source.write_text(f"#!{sys.executable} -S{HEEDS}")
    source.chmod(0o755)
    before = signal.signal(signal.SIGTERM, here)
    try:
        found = Connector(source, {}, tmp_path).discover(lambda *_: None)
        assert signal.getsignal(signal.SIGTERM) == here
    finally:
        signal.signal(signal.SIGTERM, before)
    assert found == {"heeds": True}


def test_a_stream_that_the_source_does_not_offer_is_named(world: World) -> None:
    world.says([PEOPLE], ADA, DONE)
    world.connect({"script": []}, streams=["pets"])
    with pytest.raises(AirbyteError, match="cannot sync stream pets: the source offers only people"):
        world.sync()


def test_a_missing_catalog_says_how_to_make_it_and_discover_makes_it(world: World) -> None:
    world.says([PEOPLE], ADA, DONE)
    (world.executable.parents[2] / "catalog.json").unlink()
    with pytest.raises(AirbyteError, match=r"python -m resources\.airbyte discover shop"):
        world.sync()
    assert world.workspace().discover("shop") == world.folder / "shop.catalog.json"
    world.sync()
    assert people(world) == [(1,)]


def test_an_unknown_connection_is_named(world: World) -> None:
    world.says([PEOPLE], ADA, DONE)
    with pytest.raises(AirbyteError, match="Expected one of the connections shop; it is 'shoe'"):
        world.workspace().sync_connection("shoe")


def test_the_configuration_is_private_and_gone_afterwards(world: World) -> None:
    world.says([PEOPLE], ADA, DONE)
    world.sync()
    seen = world.diary()[0]
    assert seen["mode"] == "0o600"
    assert not Path(seen["config_file"]).exists()
    assert not list(Path(world.warehouse).parent.glob(".airbyte-sync-*"))


def test_secrets_and_the_clock_are_filled_in_when_a_sync_begins(world: World) -> None:
    world.says([PEOPLE], ADA, DONE, nested={"token": ["Bearer ${env:PATH}"]}, as_of="${clock}")
    world.sync()
    config = world.diary()[0]["config"]
    assert config["nested"] == {"token": ["Bearer " + os.environ["PATH"]]}
    assert config["as_of"] == "2017-07-14T12:00:00+00:00"

    world.says([PEOPLE], ADA, DONE, token="${env:BATON_NO_SUCH_SECRET}")
    with pytest.raises(AirbyteError, match="expected the environment variable BATON_NO_SUCH_SECRET"):
        world.sync()


def test_a_warehouse_that_another_process_holds_is_left_alone(world: World) -> None:
    world.says([PEOPLE], ADA, DONE)
    world.sync()
    hold = f"import duckdb, sys; c = duckdb.connect({world.warehouse!r}); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        world.says([PEOPLE], BOB, DONE)
        with pytest.raises(WarehouseBusyError, match="another process holds it"):
            world.sync(wait_seconds=0.3)
    finally:
        holder.communicate()
    assert people(world) == [(1,)]


SMALL_DISK = """
import resource, sys
from resources.airbyte import EmbeddedAirbyteWorkspace
from resources.clock import Clock
from resources.warehouse import WarehouseError

folder, warehouse = sys.argv[1:]
# A limit on the size of files stands in for a disk that is full: writing fails half-way, as it would there.
resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))
workspace = EmbeddedAirbyteWorkspace(warehouse_path=warehouse, clock=Clock(reads="2017-07-14T12:00:00+00:00"),
    connections_file=folder + "/connections.json", connectors_dir=folder + "/connectors")
try:
    workspace.sync_connection("shop")
except WarehouseError as error:
    sys.exit(str(error))
"""


def test_a_full_disk_is_told_and_leaves_the_tables(world: World) -> None:
    wide = stream("people", {"id": integer(), "name": {"type": "string"}})
    world.says([wide], ADA, DONE)
    world.sync()
    world.says([wide], *[["people", {"id": number, "name": "x" * 9000}] for number in range(1000)], DONE)
    command = [sys.executable, "-c", SMALL_DISK, str(world.folder), world.warehouse]
    ended = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "has no room for the records of shop" in ended.stderr
    assert "the previous tables are intact" in ended.stderr
    assert people(world) == [(1,)]


def test_news_comes_with_a_new_day_of_the_clock(world: World) -> None:
    from resources.clock import Clock

    def news(instant: str) -> bool:
        clock = Clock(reads=instant, override_variable="BATON_NOW_OF_THIS_TEST")
        return world.workspace(clock=clock).has_new_data("shop").new

    world.says([PEOPLE], ADA, DONE, as_of="${clock}")
    assert news("2017-07-14T08:00:00-04:00"), "never synced"
    world.sync()
    assert not news("2017-07-14T23:59:00-04:00"), "the same day"
    assert not news("2017-07-01T08:00:00-04:00"), "the clock was set back"
    assert news("2017-07-15T00:01:00-04:00"), "the next day"

    world.says([PEOPLE], ADA, {"exit": 1}, as_of="${clock}")
    with pytest.raises(SyncFailedError):
        world.sync()
    assert news("2017-07-15T00:01:00-04:00"), "a sync that failed does not count"
