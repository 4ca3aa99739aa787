"""Failures and stale tables reach a person: one line, with an owner, what happened, and the next step."""

import errno
import json
import os
from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from definitions import defs
from resources.alerts import Alerts
from sensors.alerts import run_failure_alert, stale_table_alert

TRANSACTIONS = dg.AssetKey(["raw", "transactions"])
FEATURE_FRAME = dg.AssetKey(["features", "feature_frame"])
NOON = datetime(2018, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def alerts(tmp_path):
    return Alerts(path=str(tmp_path / "alerts.jsonl"))


def sent(alerts):
    with open(alerts.path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Watch:
    """The failure sensor of a code location, ticked as the daemon does: the cursor goes from tick to tick."""

    def __init__(self, location, instance, alerts):
        self.repository = location.get_repository_def()
        self.instance, self.alerts, self.cursor = instance, alerts, None
        self.tick()

    def tick(self):
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources={"alerts": self.alerts},
        ) as context:
            answer = run_failure_alert.evaluate_tick(context)
        self.cursor = answer.cursor
        return answer


def location_of(*assets, checks=()):
    return dg.Definitions(
        assets=assets, asset_checks=checks, jobs=[dg.define_asset_job("daily")], executor=dg.in_process_executor
    )


def run(location, instance):
    return location.resolve_job_def("daily").execute_in_process(instance=instance, raise_on_error=False)


@dg.asset(key=TRANSACTIONS)
def broken():
    raise dg.Failure("Expected seven streams, but the source offers six. Nothing was changed.", allow_retries=False)


@dg.asset(key=FEATURE_FRAME)
def frame():
    return None


def frame_check(name, severity, *, blocking, **metadata):
    @dg.asset_check(asset=FEATURE_FRAME, name=name, blocking=blocking, metadata=metadata)
    def check():
        return dg.AssetCheckResult(passed=False, severity=severity, description="12 rows have no customer.")

    return check


@dg.asset(deps=[FEATURE_FRAME], key=["training", "training_set"])
def later():
    raise ValueError("no rows")


def test_a_failed_step_alerts_the_owner_of_its_table(instance, alerts):
    location = location_of(broken)
    watch = Watch(location, instance, alerts)
    result = run(location, instance)
    watch.tick()
    [alert] = sent(alerts)
    assert alert["owner"] == "team:data-engineering"
    assert alert["title"] == "step raw__transactions failed"
    assert alert["body"] == "Expected seven streams, but the source offers six. Nothing was changed."
    assert result.run_id in alert["next"]
    assert "Re-execute from failure" in alert["next"]


def test_a_disk_that_was_full_is_said_as_such_whichever_library_met_it(instance, alerts):
    @dg.asset(key=TRANSACTIONS)
    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "mlartifacts/model.skops")

    location = location_of(full)
    watch = Watch(location, instance, alerts)
    run(location, instance)
    watch.tick()
    [alert] = sent(alerts)
    assert alert["body"] == (
        "The disk is full: [Errno 28] No space left on device: 'mlartifacts/model.skops'. Make room, and run again; "
        "nothing was half-written."
    )


def test_a_failed_run_alerts_once(instance, alerts):
    location = location_of(broken)
    watch = Watch(location, instance, alerts)
    for failures in (1, 2):
        run(location, instance)
        watch.tick()
        watch.tick()
        assert len(sent(alerts)) == failures


def test_a_failed_blocking_check_alerts_the_owner_that_the_check_names(instance, alerts):
    # The table belongs to ML engineering; who repairs a frame that is not valid is said by the check.
    owner = "team:analytics-engineering"
    check = frame_check("frame_is_valid", dg.AssetCheckSeverity.ERROR, blocking=True, owner=owner)
    location = location_of(frame, checks=[check])
    watch = Watch(location, instance, alerts)
    assert not run(location, instance).success
    watch.tick()
    [alert] = sent(alerts)
    assert alert["owner"] == owner
    assert alert["title"] == "check frame_is_valid on features/feature_frame failed"
    assert alert["body"] == "12 rows have no customer."


def test_the_real_check_of_the_frame_names_such_an_owner():
    graph = defs.resolve_asset_graph()
    spec = graph.get_check_spec(dg.AssetCheckKey(FEATURE_FRAME, "frame_is_valid"))
    assert spec.metadata["owner"] == "team:analytics-engineering"
    assert graph.get(FEATURE_FRAME).owners == ["team:ml-engineering"]


def test_a_failed_check_that_did_not_stop_the_run_is_not_what_failed(instance, alerts):
    checks = [
        frame_check("drifts", dg.AssetCheckSeverity.WARN, blocking=False),
        frame_check("warns", dg.AssetCheckSeverity.WARN, blocking=True),
    ]
    location = location_of(frame, later, checks=checks)
    watch = Watch(location, instance, alerts)
    assert not run(location, instance).success
    watch.tick()
    [alert] = sent(alerts)
    assert alert["title"] == "step training__training_set failed"
    assert alert["owner"] == "team:ml-engineering"
    assert alert["body"] == "no rows"


def test_a_run_that_succeeds_alerts_nobody(instance, alerts, tmp_path):
    location = location_of(frame, checks=[frame_check("drifts", dg.AssetCheckSeverity.WARN, blocking=False)])
    watch = Watch(location, instance, alerts)
    assert run(location, instance).success
    watch.tick()
    assert not (tmp_path / "alerts.jsonl").exists()


def test_a_run_whose_process_died_alerts_too(instance, alerts):
    location = location_of(frame)
    watch = Watch(location, instance, alerts)
    started = instance.create_run_for_job(location.resolve_job_def("daily"), status=dg.DagsterRunStatus.STARTED)
    instance.report_run_failed(started, "The process that executed this run is gone.")
    watch.tick()
    [alert] = sent(alerts)
    assert alert["title"] == "run of daily failed"
    assert alert["body"] == "The process that executed this run is gone."
    assert alert["owner"] == "team:ml-engineering"


def test_an_alert_about_a_table_that_nobody_owns_is_sent_all_the_same(instance, alerts):
    @dg.asset(key=["elsewhere", "orphan"])
    def orphan():
        raise ValueError("lost")

    location = location_of(orphan)
    watch = Watch(location, instance, alerts)
    run(location, instance)
    watch.tick()
    assert [alert["body"] for alert in sent(alerts)] == ["lost"]


def test_a_failure_alert_that_cannot_be_sent_is_in_the_log_and_does_not_raise(instance, tmp_path, capsys):
    (tmp_path / "alerts.jsonl").mkdir()
    location = location_of(broken)
    watch = Watch(location, instance, Alerts(path=str(tmp_path / "alerts.jsonl")))
    run(location, instance)
    [reaction] = watch.tick().dagster_run_reactions
    assert reaction.error is None
    log = capsys.readouterr().err
    assert "an alert could not be sent" in log
    assert "team:data-engineering: step raw__transactions failed: Expected seven streams" in log


def test_the_failure_sensor_can_be_tried_by_hand(instance, alerts):
    location = location_of(broken)
    result = run(location, instance)
    [failure] = result.filter_events(lambda event: event.event_type == dg.DagsterEventType.RUN_FAILURE)
    run_failure_alert(
        dg.build_run_status_sensor_context(
            sensor_name="run_failure_alert",
            dagster_event=failure,
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            resources={"alerts": alerts},
        ).for_run_failure()
    )
    assert [alert["owner"] for alert in sent(alerts)] == ["team:data-engineering"]


class Freshness:
    """The freshness daemon's records, and ticks of the sensor that reads them."""

    def __init__(self, instance, alerts):
        self.instance, self.alerts, self.cursor = instance, alerts, None

    def becomes(self, state, key=TRANSACTIONS, at=NOON):
        change = FreshnessStateChange(
            key=key, new_state=state, previous_state=FreshnessState.UNKNOWN, state_change_timestamp=at.timestamp()
        )
        self.instance._report_runless_asset_event(change)  # as Dagster's freshness daemon does

    def tick(self):
        """Tick, and return how many alerts have been sent in all."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"alerts": self.alerts},
            repository_def=defs.get_repository_def(),
        ) as context:
            answer = stale_table_alert.evaluate_tick(context)
        assert not answer.run_requests
        self.cursor = answer.cursor
        try:
            return len(sent(self.alerts))
        except OSError:
            return 0


@pytest.fixture
def freshness(instance, alerts):
    return Freshness(instance, alerts)


def test_a_stale_table_alerts_its_owner_once_while_it_stays_stale(freshness, alerts):
    assert freshness.tick() == 0
    freshness.becomes(FreshnessState.PASS)
    assert freshness.tick() == 0
    freshness.becomes(FreshnessState.WARN)
    assert freshness.tick() == 0
    freshness.becomes(FreshnessState.FAIL)
    assert freshness.tick() == 1
    assert freshness.tick() == 1
    [alert] = sent(alerts)
    assert alert["owner"] == "team:data-engineering"
    assert alert["title"] == "raw/transactions is stale"
    assert "since 2018-01-01 12:00 UTC" in alert["body"]
    assert "first stale table upstream" in alert["next"]


def test_a_table_that_recovers_and_becomes_stale_again_alerts_again(freshness):
    freshness.becomes(FreshnessState.FAIL)
    assert freshness.tick() == 1
    freshness.becomes(FreshnessState.PASS)
    assert freshness.tick() == 1
    freshness.becomes(FreshnessState.FAIL)
    assert freshness.tick() == 2


def test_each_stale_table_has_its_own_alert(freshness, alerts):
    freshness.becomes(FreshnessState.FAIL)
    assert freshness.tick() == 1
    freshness.becomes(FreshnessState.FAIL, FEATURE_FRAME)
    assert freshness.tick() == 2
    assert [alert["owner"] for alert in sent(alerts)] == ["team:data-engineering", "team:ml-engineering"]


def test_a_stale_alert_that_cannot_be_sent_is_tried_again(freshness, alerts, tmp_path):
    file = tmp_path / "alerts.jsonl"
    file.mkdir()
    freshness.becomes(FreshnessState.FAIL)
    assert freshness.tick() == 0
    file.rmdir()
    assert freshness.tick() == 1
    assert freshness.tick() == 1
