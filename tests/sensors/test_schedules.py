"""What runs by itself, when, and that it is switched on."""

from datetime import date, datetime, timedelta
from itertools import takewhile

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from definitions import defs
from sensors.schedules import SCHEDULES

MONDAY = 0


@pytest.fixture(scope="module")
def repository():
    return defs.get_repository_def()


def ticks(schedule, start, end):
    """The local times at which a schedule ticks in [start, end)."""
    began = datetime.fromisoformat(start).timestamp()
    times = schedule_execution_time_iterator(began, schedule.cron_schedule, schedule.execution_timezone)
    return list(takewhile(lambda moment: moment.timestamp() < datetime.fromisoformat(end).timestamp(), times))


def named(name):
    return next(one for one in SCHEDULES if one.name == name)


# Clocks changed in the shops' time zone on 2017-03-12 and on 2017-11-05.
@pytest.mark.parametrize(
    ("start", "end", "offsets"),
    [
        ("2017-03-10T00:00:00-05:00", "2017-03-15T00:00:00-04:00", [-5, -5, -4, -4, -4]),
        ("2017-11-03T00:00:00-04:00", "2017-11-08T00:00:00-05:00", [-4, -4, -5, -5, -5]),
    ],
)
def test_every_morning_at_eight_where_the_shops_are_also_when_clocks_change(start, end, offsets):
    found = ticks(named("daily_ingest_and_build_schedule"), start, end)
    assert [(moment.hour, moment.minute) for moment in found] == [(8, 0)] * 5
    assert [moment.utcoffset() for moment in found] == [timedelta(hours=hours) for hours in offsets]
    first = date.fromisoformat(start[:10])
    assert [moment.date() for moment in found] == [first + timedelta(days=number) for number in range(5)]


def test_mondays_are_built_then_scored_then_judged():
    week = "2017-10-29T00:00:00-04:00", "2017-11-14T00:00:00-05:00"  # over the change of clocks
    built, scored, judged = (
        [moment for moment in ticks(named(name), *week) if moment.weekday() == MONDAY]
        for name in ("daily_ingest_and_build_schedule", "weekly_score_schedule", "weekly_judge_schedule")
    )
    assert [moment.day for moment in built] == [30, 6, 13]
    assert [moment.hour for moment in built] == [8, 8, 8]
    assert [moment.hour for moment in scored] == [9, 9, 9]
    assert [moment.hour for moment in judged] == [10, 10, 10]
    assert len(ticks(named("weekly_score_schedule"), *week)) == 3
    assert len(ticks(named("weekly_judge_schedule"), *week)) == 3


def test_a_tick_asks_for_the_schedule_s_job(repository):
    for schedule in SCHEDULES:
        with dg.build_schedule_context(
            scheduled_execution_time=datetime.fromisoformat("2017-10-02T08:00:00-04:00")
        ) as it:
            [request] = repository.get_schedule_def(schedule.name).evaluate_tick(it).run_requests
        dg.validate_run_config(defs.resolve_job_def(schedule.job_name), request.run_config)


def test_everything_runs_by_itself(repository):
    assert {one.name for one in repository.schedule_defs} == {
        "daily_ingest_and_build_schedule",
        "weekly_score_schedule",
        "weekly_judge_schedule",
    }
    assert {one.name for one in repository.sensor_defs} == {
        "alerts_sensor",
        "arrivals_sensor",
        "drift_sensor",
        "drift_sensor_next_product",
        "drift_sensor_spend",
        "late_sensor",
        "unit_tests_sensor",
    }
    for schedule in repository.schedule_defs:
        assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING, schedule.name
    for sensor in repository.sensor_defs:
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING, sensor.name


def test_what_they_ask_for_exists(repository):
    jobs = set(repository.job_names)
    asked = {one.job_name for one in repository.schedule_defs}
    asked |= {target.job_name for one in repository.sensor_defs for target in one.targets if target.job_name}
    assert asked == {
        *("ingest_and_build", "weekly_score", "weekly_judge", "retrain", "rollback", "unit_tests"),
        *("retrain_spend", "rollback_spend", "retrain_next_product", "rollback_next_product"),
    }
    assert asked <= jobs
