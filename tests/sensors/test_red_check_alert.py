"""A check that turns red without stopping its run reaches its owner: once, when it is news again, when it is over."""

import dagster as dg
import pytest
from alerting import Watch
from dagster_shared.record import replace
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import CRASH, FAIL, PASS, begin, evaluation, finish

from definitions import defs
from resources.environment import variables
from steps.tables import NO_ACTION_DUE

FRAME = dg.AssetKey(["features", "feature_frame"])
DRIFTS = dg.AssetCheckKey(FRAME, "drifts")
STALE = dg.AssetCheckKey(FRAME, "stale")
OWNER = "team:analytics-engineering"


@dg.asset(key=FRAME)
def frame():
    return None


def check_of(key, **metadata):
    @dg.asset_check(asset=key.asset_key, name=key.name, description="What it promises.", metadata=metadata)
    def check():
        raise NotImplementedError

    return check


@pytest.fixture(scope="module")
def location():
    return dg.Definitions(assets=[frame], asset_checks=[check_of(DRIFTS, owner=OWNER), check_of(STALE)])


@pytest.fixture
def watch(location, instance, tmp_path):
    return Watch(location, instance, tmp_path)


def report(watch, passed, check=DRIFTS, **metadata):
    watch.instance.report_runless_asset_event(evaluation(check, passed, **metadata))


def test_a_red_check_alerts_the_owner_that_its_spec_names(watch):
    assert watch.tick() == 0
    watch.instance.report_runless_asset_event(
        replace(evaluation(DRIFTS, passed=False), description="12 of 58 features moved.")
    )
    assert watch.tick() == 1
    [alert] = watch.sent()
    assert alert["owner"] == OWNER
    assert alert["title"] == "check drifts on features/feature_frame turned red"
    assert alert["body"] == "12 of 58 features moved."
    assert "page of features/feature_frame" in alert["next"]


def test_what_the_evaluation_says_of_owner_and_next_step_wins(watch):
    report(watch, False, owner="team:data-engineering", next_command="make rebuild FROM=2017-11-06")
    watch.tick()
    [alert] = watch.sent()
    assert alert["owner"] == "team:data-engineering"
    assert alert["next"].startswith("make rebuild FROM=2017-11-06 (Open check drifts")


def test_a_check_without_an_owner_falls_to_the_owner_of_its_table(watch):
    report(watch, False, STALE)
    watch.tick()
    [alert] = watch.sent()
    assert alert["owner"] == "team:ml-engineering"
    assert alert["body"] == "What it promises."


def test_a_check_that_stays_red_alerts_once_and_once_when_it_is_over(watch):
    report(watch, False)
    assert watch.tick() == 1
    report(watch, False)
    assert watch.tick() == 1
    report(watch, True)
    assert watch.tick() == 2
    report(watch, True)
    assert watch.tick() == 2
    began, ended = watch.sent()
    assert (began["state"], ended["state"]) == ("began", "ended")
    assert ended["title"] == "check drifts on features/feature_frame is green again"
    assert ended["owner"] == began["owner"]
    report(watch, False)
    assert watch.tick() == 3


def test_the_end_reaches_whom_the_beginning_reached(watch):
    report(watch, False, owner="team:data-engineering")
    watch.tick()
    report(watch, True)
    watch.tick()
    assert [alert["owner"] for alert in watch.sent()] == ["team:data-engineering"] * 2


def test_a_recovery_between_two_ticks_is_not_overlooked(watch):
    report(watch, False)
    assert watch.tick() == 1
    report(watch, True)
    report(watch, False)
    assert watch.tick() == 3
    assert [alert["state"] for alert in watch.sent()] == ["began", "ended", "began"]


def test_another_event_is_news_although_the_check_stays_red(watch):
    report(watch, False, event_id="volume-1")
    assert watch.tick() == 1
    report(watch, False, event_id="volume-1")
    assert watch.tick() == 1
    report(watch, False, event_id="concept-1")
    assert watch.tick() == 2


def test_a_check_that_stopped_its_run_is_told_by_the_run_s_alert(watch):
    stopping = replace(evaluation(DRIFTS, False), severity=dg.AssetCheckSeverity.ERROR, blocking=True)
    watch.instance.report_runless_asset_event(stopping)
    assert watch.tick() == 0


def test_a_decision_to_inspect_reaches_the_owner_of_the_first_bad_asset(instance, tmp_path):
    watch = Watch(defs, instance, tmp_path)
    report(
        watch,
        False,
        NO_ACTION_DUE,
        decision="inspect",
        owner="team:data-engineering",
        event_id="volume-1",
        cause="data quality",
        first_bad_asset="raw/transactions",
    )
    with variables({"BATON_UI": "https://baton.example.com"}):
        watch.tick()
    [alert] = watch.sent()
    assert alert["owner"] == "team:data-engineering"
    assert alert["cause"] == "data quality"
    assert alert["first_bad_asset"] == "raw/transactions"
    assert alert["link"] == (
        "https://baton.example.com/assets/monitoring/decisions?view=checks&checkDetail=no_action_due"
    )


verdicts = st.sampled_from([PASS, FAIL, FAIL, CRASH])
steps = st.one_of(
    st.tuples(st.just("evaluate"), st.tuples(st.sampled_from([DRIFTS, STALE]), verdicts)),
    st.tuples(st.just("tick"), st.none()),
    st.tuples(st.just("restart"), st.none()),  # the daemon starts again; the cursor is kept in the database
)


@settings(max_examples=60, deadline=None)
@given(history=st.lists(steps, max_size=16))
def test_one_alert_each_time_a_check_is_seen_to_have_turned(location, shared_instance, tmp_path_factory, history):
    shared_instance.wipe()
    watch = Watch(location, shared_instance, tmp_path_factory.mktemp("alerts"))
    since_told: dict = {}  # check -> what it came to since the alert that stands, None without such an alert
    newest: dict = {}
    expected = 0
    for step, detail in [*history, ("tick", None)]:
        if step == "evaluate":
            check, outcome = detail
            finish(shared_instance, begin(shared_instance, [check]), {check: outcome})
            if outcome != CRASH:
                newest[check] = outcome
                if check in since_told:
                    since_told[check].append(outcome)
        elif step == "restart":
            again = Watch(location, shared_instance, tmp_path_factory.mktemp("unused"))
            again.cursor, again.alerts = watch.cursor, watch.alerts
            watch = again
        else:
            for check, outcome in newest.items():
                since = since_told.pop(check, None)
                expected += since is not None and PASS in [*since, outcome]  # that it is over
                if outcome == FAIL:
                    expected += since is None or PASS in since
                    since_told[check] = []
            assert watch.tick() == expected
            # Bounded: an entry a red check.
            assert len(watch.remembered("checks")) == sum(outcome == FAIL for outcome in newest.values())
