"""Failures, stale tables and judged weeks reach a person: one alert, with owner, cause and next step; and their end."""

import errno
import json
import os
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from alerting import Watch
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from support.receivers import web_server

from definitions import defs
from resources.environment import variables
from sensors.failed_runs import AT_ONCE
from steps.tables import WHY

TRANSACTIONS = dg.AssetKey(["raw", "transactions"])
FEATURE_FRAME = dg.AssetKey(["features", "feature_frame"])
NOON = datetime(2018, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def watch_of(instance, tmp_path):
    """Return a maker of watches that have ticked once: what failed before is no news."""

    def made(location):
        watch = Watch(location, instance, tmp_path)
        watch.tick()
        return watch

    return made


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


def failing(reason):
    """A location whose run fails for the first reason of a list, which a test may change or empty."""

    @dg.asset(key=TRANSACTIONS)
    def now_and_then():
        if reason:
            raise ValueError(reason[0])

    return location_of(now_and_then)


def test_a_failed_step_alerts_the_owner_of_its_table(instance, watch_of):
    location = location_of(broken)
    watch = watch_of(location)
    result = run(location, instance)
    with variables({"BATON_UI": "https://baton.example.com"}):
        watch.tick()
    [alert] = watch.sent()
    assert alert["owner"] == "team:data-engineering"
    assert alert["title"] == "step raw__transactions failed"
    assert alert["body"] == f"It ended run {result.run_id} of daily."
    assert alert["cause"] == "Expected seven streams, but the source offers six. Nothing was changed."
    assert alert["first_bad_asset"] == "raw/transactions"
    assert result.run_id in alert["next"]
    assert "Re-execute from failure" in alert["next"]
    assert alert["link"] == f"https://baton.example.com/runs/{result.run_id}"


def test_a_disk_that_was_full_is_said_as_such_whichever_library_met_it(instance, watch_of):
    @dg.asset(key=TRANSACTIONS)
    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "mlartifacts/model.skops")

    location = location_of(full)
    watch = watch_of(location)
    run(location, instance)
    watch.tick()
    [alert] = watch.sent()
    assert alert["cause"] == (
        "The disk is full: [Errno 28] No space left on device: 'mlartifacts/model.skops'. Make room, and run again; "
        "nothing was half-written."
    )


def test_what_failed_before_anybody_watched_is_no_news(instance, watch_of):
    location = location_of(broken)
    run(location, instance)
    assert watch_of(location).tick() == 0


def test_a_job_that_fails_again_for_the_same_reason_alerts_once_and_once_when_it_succeeds(instance, watch_of):
    reason = ["12 of 300 rows have no customer."]
    location = failing(reason)
    watch = watch_of(location)
    run(location, instance)
    assert watch.tick() == 1
    reason[0] = "13 of 301 rows have no customer."
    run(location, instance)
    assert watch.tick() == 1
    reason[0] = "The source is away."
    run(location, instance)
    assert watch.tick() == 2
    reason[0] = "12 of 300 rows have no customer."
    run(location, instance)
    assert watch.tick() == 2
    reason.clear()
    result = run(location, instance)
    assert watch.tick() == 3
    run(location, instance)
    assert watch.tick() == 3
    ended = watch.sent()[-1]
    assert (ended["state"], ended["title"]) == ("ended", "daily succeeds again")
    assert ended["body"] == f"Run {result.run_id} succeeded. 2 reason(s) of failure were told before."
    reason.append("The source is away.")
    run(location, instance)
    assert watch.tick() == 4


def test_all_that_failed_and_succeeded_between_two_ticks_is_told_in_its_order(instance, watch_of):
    reason = ["The source is away."]
    location = failing(reason)
    watch = watch_of(location)
    run(location, instance)
    reason.clear()
    run(location, instance)
    reason.append("The source is away.")
    run(location, instance)
    watch.tick()
    assert [alert["state"] for alert in watch.sent()] == ["began", "ended", "began"]


def test_more_runs_than_a_tick_looks_at_are_told_by_the_next_ones(instance, watch_of):
    location = failing(["lost"])
    watch = watch_of(location)
    job = location.resolve_job_def("daily")
    for number in range(AT_ONCE + 5):
        # Letters: numbers make no new reason.
        gone = "x" * number
        instance.report_run_failed(instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED), gone)
    assert watch.tick() == AT_ONCE
    assert watch.tick() == AT_ONCE + 5


def test_assets_that_a_person_runs_are_told_apart_by_their_step(instance, watch_of):
    reason = ["The source is away."]
    location = failing(reason)
    by_hand = location.get_repository_def().get_implicit_global_asset_job_def()
    watch = watch_of(location)
    by_hand.execute_in_process(instance=instance, raise_on_error=False)
    by_hand.execute_in_process(instance=instance, raise_on_error=False)
    assert watch.tick() == 1
    reason.clear()
    by_hand.execute_in_process(instance=instance)
    watch.tick()
    assert watch.titles()[1:] == ["step raw__transactions succeeds again"]


def test_a_failed_blocking_check_alerts_the_owner_that_the_check_names(instance, watch_of):
    # The table belongs to ML engineering; who repairs a frame that is not valid is said by the check.
    owner = "team:analytics-engineering"
    check = frame_check("frame_is_valid", dg.AssetCheckSeverity.ERROR, blocking=True, owner=owner)
    location = location_of(frame, checks=[check])
    watch = watch_of(location)
    assert not run(location, instance).success
    watch.tick()
    [alert] = watch.sent()
    assert alert["owner"] == owner
    assert alert["title"] == "check frame_is_valid on features/feature_frame failed"
    assert alert["cause"] == "12 rows have no customer."
    assert alert["first_bad_asset"] == "features/feature_frame"


def test_the_real_check_of_the_frame_names_such_an_owner():
    graph = defs.resolve_asset_graph()
    spec = graph.get_check_spec(dg.AssetCheckKey(FEATURE_FRAME, "frame_is_valid"))
    assert spec.metadata["owner"] == "team:analytics-engineering"
    assert graph.get(FEATURE_FRAME).owners == ["team:ml-engineering"]


def test_a_failed_check_that_did_not_stop_the_run_is_not_what_failed(instance, watch_of):
    checks = [
        frame_check("drifts", dg.AssetCheckSeverity.WARN, blocking=False),
        frame_check("warns", dg.AssetCheckSeverity.WARN, blocking=True),
    ]
    location = location_of(frame, later, checks=checks)
    watch = watch_of(location)
    assert not run(location, instance).success
    watch.tick()
    [alert] = [one for one in watch.sent() if one["id"].startswith("run:")]
    assert alert["title"] == "step training__training_set failed"
    assert alert["owner"] == "team:ml-engineering"
    assert alert["cause"] == "no rows"


def test_a_run_that_succeeds_alerts_nobody(instance, watch_of):
    location = location_of(frame)
    watch = watch_of(location)
    assert run(location, instance).success
    assert watch.tick() == 0


def test_a_run_whose_process_died_alerts_too(instance, watch_of):
    location = location_of(frame)
    watch = watch_of(location)
    started = instance.create_run_for_job(location.resolve_job_def("daily"), status=dg.DagsterRunStatus.STARTED)
    instance.report_run_failed(started, "The process that executed this run is gone.")
    watch.tick()
    [alert] = watch.sent()
    assert alert["title"] == "run of daily failed"
    assert alert["cause"] == "The process that executed this run is gone."
    assert alert["owner"] == "team:ml-engineering"


def test_an_alert_about_a_table_that_nobody_owns_is_sent_all_the_same(instance, watch_of):
    @dg.asset(key=["elsewhere", "orphan"])
    def orphan():
        raise ValueError("lost")

    location = location_of(orphan)
    watch = watch_of(location)
    run(location, instance)
    watch.tick()
    assert [alert["cause"] for alert in watch.sent()] == ["lost"]


class Freshness(Watch):
    """The freshness daemon's records, and ticks of the sensor that reads them."""

    def becomes(self, state, key=TRANSACTIONS, at=NOON):
        change = FreshnessStateChange(
            key=key, new_state=state, previous_state=FreshnessState.UNKNOWN, state_change_timestamp=at.timestamp()
        )
        self.instance._report_runless_asset_event(change)  # as Dagster's freshness daemon does


@pytest.fixture
def freshness(instance, tmp_path):
    return Freshness(defs, instance, tmp_path)


def test_a_stale_table_alerts_its_owner_once_while_it_stays_stale_and_once_when_it_is_over(freshness):
    assert freshness.tick() == 0
    freshness.becomes(FreshnessState.PASS)
    assert freshness.tick() == 0
    freshness.becomes(FreshnessState.WARN)
    assert freshness.tick() == 0
    freshness.becomes(FreshnessState.FAIL)
    assert freshness.tick() == 1
    assert freshness.tick() == 1
    freshness.becomes(FreshnessState.PASS)
    assert freshness.tick() == 2
    assert freshness.tick() == 2
    began, ended = freshness.sent()
    assert began["owner"] == ended["owner"] == "team:data-engineering"
    assert began["title"] == "raw/transactions is stale"
    assert "since 2018-01-01 12:00 UTC" in began["body"]
    assert began["cause"] == "Nothing upstream of it is stale."
    assert began["next"] == "Open the asset page of raw/transactions, and materialise it."
    assert ended["title"] == "raw/transactions is no longer stale"


def test_a_table_that_recovers_and_becomes_stale_again_alerts_again(freshness):
    for hour, state in enumerate((FreshnessState.FAIL, FreshnessState.PASS, FreshnessState.FAIL)):
        freshness.becomes(state, at=NOON + timedelta(hours=hour))
        freshness.tick()
    assert [alert["state"] for alert in freshness.sent()] == ["began", "ended", "began"]


def test_each_stale_table_has_its_own_alert_and_names_where_it_begins(freshness):
    freshness.becomes(FreshnessState.FAIL)
    assert freshness.tick() == 1
    freshness.becomes(FreshnessState.FAIL, FEATURE_FRAME)
    assert freshness.tick() == 2
    first, second = freshness.sent()
    assert (first["owner"], second["owner"]) == ("team:data-engineering", "team:ml-engineering")
    assert second["first_bad_asset"] == "raw/transactions"
    assert second["cause"] == "raw/transactions upstream is stale as well."


def judged(instance, **said):
    metadata = {"digest": dg.MetadataValue.md("2 week(s) judged."), **said}
    instance.report_runless_asset_event(dg.AssetMaterialization(WHY, metadata=metadata))


def test_each_judged_week_is_told_once_with_its_remedy(instance, watch_of):
    watch = watch_of(defs)
    said = {"cause": "concept shift", "first_bad_asset": "training/champion", "next_command": "make promote"}
    judged(instance, cutoff="2017-12-04", decision="improve (recalibrate)", **said)
    assert watch.tick() == 1
    judged(instance, cutoff="2017-12-04", decision="improve (recalibrate)", **said)
    assert watch.tick() == 1
    judged(instance, cutoff="2017-12-11", decision="continue")
    assert watch.tick() == 2
    improve, calm = watch.sent()
    assert improve["state"] == "digest"
    assert improve["title"] == "week 2017-12-04: improve (recalibrate)"
    assert improve["body"] == "2 week(s) judged."
    assert (improve["cause"], improve["next"]) == ("concept shift", "make promote")
    assert improve["owner"] == "team:ml-engineering"
    assert calm["next"] == "Nothing has to be done."


def test_a_week_is_told_when_its_run_is_over_as_the_report_is_written_last(instance, watch_of):
    meanwhile = []

    @dg.asset(key=WHY)
    def why():
        return dg.MaterializeResult(metadata={"cutoff": "2017-12-04", "decision": "continue", "digest": "one"})

    @dg.asset(deps=[WHY])
    def published():
        watch.tick()
        meanwhile.extend(watch.titles())

    location = location_of(why, published)
    watch = watch_of(location)
    run(location, instance)
    assert "week 2017-12-04: continue" not in meanwhile
    watch.tick()
    assert watch.titles() == ["week 2017-12-04: continue"]


def test_a_week_that_a_former_build_judged_is_not_told(instance, watch_of):
    watch = watch_of(defs)
    judged(instance)
    assert watch.tick() == 0


def test_what_one_tick_cannot_look_at_silences_nothing_else_and_is_looked_at_again(instance, watch_of, capsys):
    location = location_of(broken)
    watch = watch_of(location)
    whole = watch.remembered("checks")
    cursor = json.loads(watch.cursor)
    # As by a future build: not what this one understands.
    watch.cursor = json.dumps(cursor | {"tables": 7})
    run(location, instance)
    assert watch.tick() == 1
    assert "tables could not be looked at" in capsys.readouterr().err
    assert watch.remembered("tables") == 7
    assert watch.remembered("checks") == whole


def test_a_restart_at_any_point_loses_nothing_and_files_nothing_twice(instance, watch_of):
    """Slack is away, then the tick dies before Dagster keeps its cursor; then it is back."""
    location = location_of(broken)
    watch = watch_of(location)
    run(location, instance)
    with web_server() as web, variables({"BATON_ALERT_SLACK": web.address}):
        web.status = 500
        before = watch.cursor
        watch.tick()
        watch.cursor = before
        watch.tick()
        assert web.taken == []
        [waits] = [one for one in watch.remembered("outbox")["waiting"] if one["alert"]["id"].startswith("run:")]
        assert waits["tries"] == {"Slack": 1}
        web.status = 200
        # As if a minute had passed.
        kept = json.loads(watch.cursor)
        kept["outbox"]["away"]["Slack"]["again"] = 0.0
        watch.cursor = json.dumps(kept)
        watch.tick()
        watch.tick()
    assert ["step raw__transactions" in one["text"] for one in web.taken] == [True]
    assert watch.titles().count("step raw__transactions failed") == 1
    assert watch.titles()[-1] == "alerts reach Slack again"
