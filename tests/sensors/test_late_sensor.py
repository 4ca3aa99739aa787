"""What arrives after Monday's schedules is scored and judged once, without waiting for the next Monday."""

from datetime import date, datetime

import dagster as dg
import duckdb
import pytest
from judged import evaluation
from support.processes import holding

from definitions import defs
from resources.clock import Clock
from resources.warehouse import DuckDBWarehouse
from sensors.late import due
from steps.tables import NO_ACTION_DUE

MONDAY = date(2017, 12, 18)


def at(text):
    return datetime.fromisoformat(f"2017-12-{text}:00-05:00")


@pytest.mark.parametrize(
    ("now", "scored", "judged", "job"),
    [
        ("18T11:59", False, False, None),  # the schedules have their turn first
        ("18T12:00", False, False, "weekly_score"),
        ("18T12:00", True, False, "weekly_judge"),
        ("20T03:00", True, True, None),
        ("20T03:00", False, True, "weekly_score"),
        ("24T23:59", False, False, "weekly_score"),
        ("25T12:00", False, False, "weekly_judge"),  # the next cutoff is due: this one is history
        ("25T12:00", False, True, None),
    ],
)
def test_what_a_cutoff_still_needs(now, scored, judged, job):
    assert due(MONDAY, at(now), scored=scored, judged=judged) == job


@pytest.fixture(scope="module")
def location():
    return defs.get_repository_def()


@pytest.fixture
def warehouse(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema features; create schema training; create schema predictions")
        connection.execute(f"create table features.feature_frame as select date '{MONDAY}' as cutoff_date")
        connection.execute("create table training.champion as select 1 as model_version")
        connection.execute("create table predictions.lapse_predictions (cutoff_date date)")
    return DuckDBWarehouse(path=str(path))


@pytest.fixture
def tick(location, instance, warehouse):
    def evaluate(now):
        with dg.build_sensor_context(
            instance=instance,
            repository_def=location,
            resources={"warehouse": warehouse, "clock": Clock(reads=now, override_variable="BATON_NOT_IN_TESTS")},
        ) as context:
            return location.get_sensor_def("late_sensor").evaluate_tick(context)

    return evaluate


TUESDAY = "2017-12-19T10:00:00-05:00"


def scored(warehouse):
    with warehouse.connect(read_only=False) as connection:
        connection.execute(f"insert into predictions.lapse_predictions values (date '{MONDAY}')")


def test_a_cutoff_that_came_late_is_scored_then_judged_each_once(tick, instance, warehouse):
    [request] = tick(TUESDAY).run_requests
    assert (request.job_name, request.run_key) == ("weekly_score", f"late-weekly_score-{MONDAY}")
    [again] = tick(TUESDAY).run_requests
    assert again.run_key == request.run_key

    scored(warehouse)
    [request] = tick(TUESDAY).run_requests
    assert (request.job_name, request.run_key) == ("weekly_judge", f"late-weekly_judge-{MONDAY}")
    assert request.tags["baton/cause"] == f"cutoff {MONDAY} arrived after the schedules"

    instance.report_runless_asset_event(evaluation(NO_ACTION_DUE, True, decision="continue", cutoff=str(MONDAY)))
    assert tick(TUESDAY).skip_message == f"cutoff {MONDAY} waits for nobody"


def test_labels_that_come_late_are_judged_even_without_a_model(tick, warehouse):
    with warehouse.connect(read_only=False) as connection:
        connection.execute("delete from training.champion")
    [request] = tick(TUESDAY).run_requests
    assert request.job_name == "weekly_judge"


def test_a_judgement_of_an_older_cutoff_does_not_count(tick, instance, warehouse):
    scored(warehouse)
    instance.report_runless_asset_event(evaluation(NO_ACTION_DUE, True, decision="continue", cutoff="2017-12-11"))
    assert tick(TUESDAY).run_requests


def test_a_busy_warehouse_neither_fails_nor_blocks_the_tick(tick, warehouse):
    with holding(warehouse.path):
        assert tick(TUESDAY).skip_message.startswith("the warehouse is busy")


def test_before_the_first_cutoff_nobody_is_late(tick, warehouse):
    with warehouse.connect(read_only=False) as connection:
        connection.execute("delete from features.feature_frame")
    assert tick(TUESDAY).skip_message == "there is no cutoff yet"
