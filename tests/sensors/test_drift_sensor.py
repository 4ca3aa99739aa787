"""From decisions to requested runs: one each, whatever happens between."""

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import CRASH, FAIL, PASS, begin, evaluation, finish, report_old

from definitions import defs
from sensors.jobs import RETRAIN, ROLLBACK
from steps.tables import NO_ACTION_DUE

IMPROVE = {
    "decision": "improve",
    "event_id": "concept-2017-12-04",
    "window": "recent",
    "cutoff": "2018-01-01",
    "reason": "Log-loss rose by .02 [.01, .03] with clean data.",
}
BACK = {
    "decision": "rollback",
    "event_id": "contaminated-4",
    "cutoff": "2018-01-01",
    "quarantine_from": "2017-11-06",
    "quarantine_to": "2017-11-27",
    "reason": "Version 4 learned from cutoffs now known bad.",
}
INSPECT = {"decision": "inspect", "event_id": "volume-1", "cutoff": "2018-01-01", "reason": "Stores are missing."}


@pytest.fixture(scope="module")
def location():
    return defs.get_repository_def()


@pytest.fixture(scope="module")
def drift_sensor(location):
    return location.get_sensor_def("drift_sensor")


@pytest.fixture(scope="module")
def tick(drift_sensor, location):
    def evaluate(instance, cursor=None):
        with dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=location) as context:
            return drift_sensor.evaluate_tick(context)

    return evaluate


def report(instance, passed, **metadata):
    instance.report_runless_asset_event(evaluation(NO_ACTION_DUE, passed, **metadata))


def judge(instance, outcome, **metadata):
    """Run the check as a real run; return the run's id."""

    @dg.asset_check(asset=NO_ACTION_DUE.asset_key, name=NO_ACTION_DUE.name)
    def evaluate():
        if outcome == CRASH:
            raise RuntimeError("the judgement itself is broken")
        return dg.AssetCheckResult(passed=outcome == PASS, severity=dg.AssetCheckSeverity.WARN, metadata=metadata)

    job = dg.define_asset_job("weekly_judge", selection=dg.AssetSelection.all_asset_checks())
    judging = dg.Definitions(asset_checks=[evaluate], jobs=[job])
    return judging.resolve_job_def("weekly_judge").execute_in_process(instance=instance, raise_on_error=False).run_id


def test_nothing_is_asked_for_before_the_first_judgement(instance, tick):
    assert tick(instance).skip_message == "nothing was judged yet"


def test_nothing_is_asked_for_while_no_action_is_due(instance, tick):
    report(instance, passed=True, decision="continue")
    answer = tick(instance)
    assert not answer.run_requests
    assert "none of 1 judgement(s) asks for a run" in answer.skip_message


@pytest.mark.parametrize("remedy", ["retrain", "recalibrate", None])
def test_the_run_is_told_how_to_improve(instance, tick, remedy):
    """A judgement of a former build names no remedy: then it is a retraining."""
    report(instance, passed=False, **IMPROVE, **({"remedy": remedy} if remedy else {}))
    [request] = tick(instance).run_requests
    assert request.job_name == RETRAIN
    assert request.tags["baton/remedy"] == (remedy or "retrain")
    told = dg.validate_run_config(defs.resolve_job_def(RETRAIN), request.run_config)["ops"]
    assert told["candidate"]["config"] == {"remedy": remedy or "retrain"}


def test_improve_asks_once_for_a_retraining_and_says_why(instance, tick):
    run_id = judge(instance, FAIL, **IMPROVE)
    [request] = tick(instance).run_requests
    assert request.job_name == RETRAIN
    assert request.run_key == f"drift-{run_id}"
    assert request.tags["baton/cause"] == IMPROVE["reason"]
    assert request.tags["baton/evaluated_in_run"] == run_id
    assert request.tags["baton/event_id"] == IMPROVE["event_id"]
    assert request.tags["baton/cutoff"] == "2018-01-01"
    assert int(request.tags["baton/evaluation_id"]) > 0


def test_rollback_asks_once_for_a_rollback(instance, tick):
    run_id = judge(instance, FAIL, **BACK)
    [request] = tick(instance).run_requests
    assert (request.job_name, request.run_key) == (ROLLBACK, f"drift-{run_id}")


def test_inspect_and_continue_ask_for_nothing(instance, tick):
    judge(instance, FAIL, **INSPECT)
    judge(instance, PASS, decision="continue")
    assert not tick(instance).run_requests


def test_what_is_asked_for_are_runs_that_the_jobs_accept(instance, tick):
    judge(instance, FAIL, **IMPROVE)
    judge(instance, FAIL, **BACK)
    by_job = {request.job_name: request.run_config for request in tick(instance).run_requests}
    retrain, rollback = (
        dg.validate_run_config(defs.resolve_job_def(job), by_job[job])["ops"] for job in (RETRAIN, ROLLBACK)
    )
    for accepted in (retrain, rollback):
        scored = accepted["predictions__lapse_predictions"]["config"]
        assert (scored["cutoff"], scored["rescore"]) == ("", True)
    learned = retrain["training__training_set"]["config"]
    assert (learned["window"], learned["exclude_from"], learned["reason"]) == ("recent", "", IMPROVE["reason"])
    back = rollback["training__champion"]["config"]
    assert back["rollback"]
    assert (back["exclude_from"], back["exclude_to"]) == ("2017-11-06", "2017-11-27")
    assert back["reason"] == BACK["reason"]


def test_a_retraining_learns_from_nothing_that_the_decision_quarantines(instance, tick):
    judge(instance, FAIL, **{**BACK, "decision": "improve"})
    [request] = tick(instance).run_requests
    config = request.run_config["ops"]["training__training_set"]["config"]
    assert (config["exclude_from"], config["exclude_to"]) == ("2017-11-06", "2017-11-27")


def test_the_same_failure_keeps_its_run_key(instance, tick):
    report(instance, passed=False, decision="improve")
    [first] = tick(instance).run_requests
    [again] = tick(instance).run_requests
    assert first.run_key == again.run_key


def test_two_failed_judgements_are_two_events(instance, tick):
    runs = {judge(instance, FAIL, **IMPROVE), judge(instance, FAIL, **{**IMPROVE, "cutoff": "2018-01-08"})}
    assert {request.run_key for request in tick(instance).run_requests} == {f"drift-{run}" for run in runs}


def test_a_decision_that_is_only_shown_again_asks_no_second_time(instance, tick):
    """The weekly job ran twice; the decision of the week stands and its check fails again."""
    first = judge(instance, FAIL, **IMPROVE)
    [asked] = tick(instance).run_requests
    judge(instance, FAIL, **IMPROVE)
    [again] = tick(instance).run_requests
    assert asked.run_key == again.run_key == f"drift-{first}"


def test_a_person_who_decides_otherwise_on_the_same_week_is_heard(instance, tick):
    judge(instance, FAIL, **INSPECT)
    overridden = judge(instance, FAIL, **{**INSPECT, "decision": "improve"})
    [request] = tick(instance).run_requests
    assert request.run_key == f"drift-{overridden}"


def test_a_failure_is_not_forgotten_because_the_next_judgement_passed(instance, tick):
    failed = judge(instance, FAIL, **IMPROVE)
    judge(instance, PASS, decision="continue")
    assert [request.run_key for request in tick(instance).run_requests] == [f"drift-{failed}"]


def test_a_judgement_that_crashed_asks_for_nothing(instance, tick):
    judge(instance, CRASH)
    answer = tick(instance)
    assert not answer.run_requests
    assert answer.skip_message == "nothing was judged yet"


def test_a_crash_does_not_hide_the_decision_before_it(instance, tick):
    failed = judge(instance, FAIL, **IMPROVE)
    judge(instance, CRASH)
    assert [request.run_key for request in tick(instance).run_requests] == [f"drift-{failed}"]


@pytest.mark.parametrize(("days", "asked"), [(6.9, 1), (7.1, 0)])
def test_a_decision_of_more_than_a_week_ago_is_no_news(instance, tick, days, asked):
    report_old(instance, NO_ACTION_DUE, passed=False, days=days, decision="improve")
    assert len(tick(instance).run_requests or []) == asked


def test_the_old_triggers_trigger_no_more(instance, tick):
    for key in (["features", "feature_frame"], ["predictions", "lapse_predictions"]):
        for name in ("feature_drift", "score_drift"):
            check = dg.AssetCheckKey(dg.AssetKey(key), name)
            instance.report_runless_asset_event(evaluation(check, False, decision="improve"))
    assert not tick(instance).run_requests


decisions = st.sampled_from([{"decision": "improve"}, {"decision": "rollback"}, {"decision": "inspect"}])
weeks = st.one_of(
    st.none(),  # a judgement that names neither event nor week counts by itself
    st.sampled_from([{"event_id": event, "cutoff": week} for event in "ab" for week in ("2018-01-01", "2018-01-08")]),
)
outcomes = st.tuples(st.sampled_from([PASS, FAIL, FAIL, CRASH]), decisions, weeks)
steps = st.one_of(
    st.tuples(st.just("judge"), outcomes),
    # Judging runs may overlap: a check is planned early and evaluated late.
    st.tuples(st.just("begin"), outcomes),
    st.tuples(st.just("finish"), st.none()),
    st.tuples(st.just("tick"), st.none()),
    st.tuples(st.just("restart"), st.sampled_from(["cursor lost", "cursor kept"])),
)


@settings(max_examples=60, deadline=None)
@given(history=st.lists(steps, max_size=14))
def test_exactly_one_run_a_decision_in_any_history(shared_instance, tick, history):
    instance, cursor = shared_instance, None
    instance.wipe()
    open_runs: list = []
    due: dict[object, tuple[str, str]] = {}
    launched: dict[str, str] = {}

    def look():
        nonlocal cursor
        answer = tick(instance, cursor)
        cursor = answer.cursor
        keys = [request.run_key for request in answer.run_requests or []]
        assert len(keys) == len(set(keys)), "one tick asked twice for one decision"
        for request in answer.run_requests or []:
            # Dagster launches a run key once, so the distinct keys are the runs.
            assert launched.setdefault(request.run_key, request.job_name) == request.job_name

    def complete(run_id, outcome, decision, week):
        finish(instance, run_id, {NO_ACTION_DUE: outcome}, **decision, **(week or {}))
        job = {"improve": RETRAIN, "rollback": ROLLBACK}.get(decision["decision"])
        if outcome == FAIL and job:
            same = (decision["decision"], *week.values()) if week else run_id
            due.setdefault(same, (f"drift-{run_id}", job))

    for step, detail in history:
        if step == "judge":
            complete(begin(instance, [NO_ACTION_DUE]), *detail)
        elif step == "begin":
            open_runs.append((begin(instance, [NO_ACTION_DUE]), *detail))
        elif step == "finish" and open_runs:
            # The one planned last may finish first.
            complete(*open_runs.pop())
        elif step == "tick":
            look()
        elif step == "restart" and detail == "cursor lost":
            cursor = None
    look()

    assert launched == dict(due.values())
