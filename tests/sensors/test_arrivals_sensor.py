"""A sync is asked for when a source has news, once a day and source, and never at the price of a blocked tick."""

import json
import time
from datetime import datetime

import dagster as dg
import duckdb
import pytest
from support.processes import holding

from resources.airbyte import EmbeddedAirbyteWorkspace, landing
from resources.clock import Clock
from resources.company import company
from sensors.arrivals import build_arrivals_sensor

MORNING = "2017-09-04T08:00:00-04:00"


@pytest.fixture
def warehouse(tmp_path):
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def tick(tmp_path, warehouse):
    """Evaluate the sensor at an instant: `tick(now)`."""
    connections = {name: {"source": f"source-{name}", "config": {"as_of": "${clock}"}} for name in ("shops", "web")}
    (tmp_path / "connections.json").write_text(json.dumps(connections))

    def evaluate(now):
        workspace = EmbeddedAirbyteWorkspace(
            warehouse_path=str(warehouse),
            clock=Clock(reads=now, override_variable="BATON_NOT_IN_TESTS"),
            connections_file=str(tmp_path / "connections.json"),
        )
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_sensor_context(instance=instance, resources={"airbyte": workspace}) as context,
        ):
            return build_arrivals_sensor(company(), tmp_path).evaluate_tick(context)

    return evaluate


def synced(warehouse, name, as_of, status="succeeded"):
    instant = datetime.fromisoformat(as_of)
    with duckdb.connect(str(warehouse)) as connection:
        landing.prepare(connection)
        landing.record_sync(connection, [name, instant, instant, instant, 10, 1000, 0.1, status, None, None])


def test_a_source_that_was_never_synced_is_news(tick):
    [request] = tick(MORNING).run_requests
    assert request.run_key == "arrival-shops-2017-09-04"
    assert request.tags["baton/cause"] == "shops was never synced"


def test_a_new_day_is_news_and_the_key_tells_source_and_day(tick, warehouse):
    synced(warehouse, "shops", MORNING)
    synced(warehouse, "web", "2017-09-03T08:00:00-04:00")
    [request] = tick(MORNING).run_requests
    assert request.run_key == "arrival-web-2017-09-04"
    [again] = tick("2017-09-04T23:00:00-04:00").run_requests
    assert again.run_key == request.run_key
    [tomorrow] = tick("2017-09-05T00:05:00-04:00").run_requests
    assert tomorrow.run_key != request.run_key


def test_no_news_asks_for_nothing_and_says_why(tick, warehouse):
    synced(warehouse, "shops", MORNING)
    synced(warehouse, "web", MORNING)
    answer = tick("2017-09-04T20:00:00-04:00")
    assert not answer.run_requests
    assert "shops was read as of 2017-09-04 08:00 already" in answer.skip_message
    assert "web was read as of" in answer.skip_message


def test_a_failed_sync_does_not_count_as_read(tick, warehouse):
    synced(warehouse, "shops", "2017-09-03T08:00:00-04:00")
    synced(warehouse, "shops", MORNING, status="failed")
    assert tick(MORNING).run_requests


def test_a_run_that_holds_the_warehouse_neither_fails_nor_blocks_the_tick(tick, warehouse):
    synced(warehouse, "shops", "2017-09-03T08:00:00-04:00")
    with holding(warehouse) as pid:
        began = time.monotonic()
        answer = tick(MORNING)
        assert time.monotonic() - began < 10
    assert not answer.run_requests
    assert answer.skip_message.startswith("the warehouse is busy, the next tick looks again")
    assert str(pid) in answer.skip_message
    assert tick(MORNING).run_requests
