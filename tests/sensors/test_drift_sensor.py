"""From failed drift evaluations to requested retrainings: one each, whatever happens between."""

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import CRASH, FAIL, PASS, begin, evaluation, finish, report_old

from definitions import defs
from sensors.drift import WATCHED, drift_sensor
from sensors.jobs import RETRAIN

FEATURES, SCORES, LABELS = WATCHED


@pytest.fixture(scope="module")
def shared_instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def instance(shared_instance):
    shared_instance.wipe()
    return shared_instance


def tick(instance, cursor=None):
    with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
        return drift_sensor.evaluate_tick(context)


def report(instance, passed, check=FEATURES, **metadata):
    instance.report_runless_asset_event(evaluation(check, passed, **metadata))


def judge(instance, **outcomes):
    """Run the watched checks as a real run: `judge(instance, feature_drift=FAIL)`."""

    def one(check):
        @dg.asset_check(asset=check.asset_key, name=check.name)
        def evaluate():
            if outcomes[check.name] == CRASH:
                raise RuntimeError("the check itself is broken")
            return dg.AssetCheckResult(
                passed=outcomes[check.name] == PASS,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"worst_column": "recency_days", "cutoff": "2018-01-01"},
            )

        return evaluate

    checks = [one(check) for check in WATCHED if check.name in outcomes]
    job = dg.define_asset_job("weekly_judge", selection=dg.AssetSelection.all_asset_checks())
    location = dg.Definitions(asset_checks=checks, jobs=[job])
    return location.resolve_job_def("weekly_judge").execute_in_process(instance=instance, raise_on_error=False).run_id


def test_nothing_is_asked_for_before_the_first_evaluation(instance):
    assert tick(instance).skip_message == "no drift check was evaluated yet"


def test_nothing_is_asked_for_while_the_checks_pass(instance):
    report(instance, passed=True)
    answer = tick(instance)
    assert not answer.run_requests
    assert "none of 1 completed drift evaluation(s)" in answer.skip_message


def test_a_failure_asks_once_and_says_why(instance):
    run_id = judge(instance, feature_drift=FAIL, score_drift=PASS)
    [request] = tick(instance).run_requests
    assert request.run_key == f"drift-{run_id}"
    assert request.tags["baton/cause"] == "feature_drift on features/feature_frame failed"
    assert request.tags["baton/evaluated_in_run"] == run_id
    assert request.tags["baton/worst_column"] == "recency_days"
    assert request.tags["baton/cutoff"] == "2018-01-01"
    assert int(request.tags["baton/evaluation_id"]) > 0


def test_what_is_asked_for_is_a_run_that_the_job_accepts(instance):
    judge(instance, feature_drift=FAIL)
    [request] = tick(instance).run_requests
    assert drift_sensor.job_name == RETRAIN
    accepted = dg.validate_run_config(defs.resolve_job_def(RETRAIN), request.run_config)
    assert accepted["ops"]["predictions__lapse_predictions"]["config"] == {"cutoff": "", "rescore": True}


def test_the_same_failure_keeps_its_run_key(instance):
    report(instance, passed=False)
    [first] = tick(instance).run_requests
    [again] = tick(instance).run_requests
    assert first.run_key == again.run_key


def test_checks_that_fail_in_one_judgement_are_one_event(instance):
    run_id = judge(instance, feature_drift=FAIL, score_drift=FAIL, labels_outgrew_model=FAIL)
    assert [request.run_key for request in tick(instance).run_requests] == [f"drift-{run_id}"]


def test_checks_that_fail_in_two_judgements_are_two_events(instance):
    runs = {judge(instance, feature_drift=FAIL), judge(instance, score_drift=FAIL)}
    assert {request.run_key for request in tick(instance).run_requests} == {f"drift-{run}" for run in runs}


def test_a_failure_on_new_data_is_a_new_event(instance):
    report(instance, passed=False)
    [old] = tick(instance).run_requests
    report(instance, passed=False)
    keys = [request.run_key for request in tick(instance).run_requests]
    assert len(keys) == 2
    assert old.run_key in keys


def test_a_failure_is_not_forgotten_because_the_next_evaluation_passed(instance):
    failed = judge(instance, feature_drift=FAIL)
    judge(instance, feature_drift=PASS)
    assert [request.run_key for request in tick(instance).run_requests] == [f"drift-{failed}"]


def test_a_check_that_crashed_asks_for_nothing(instance):
    judge(instance, feature_drift=CRASH)
    answer = tick(instance)
    assert not answer.run_requests
    assert answer.skip_message == "no drift check was evaluated yet"


def test_a_crash_does_not_hide_the_failure_before_it(instance):
    failed = judge(instance, feature_drift=FAIL)
    judge(instance, feature_drift=CRASH)
    assert [request.run_key for request in tick(instance).run_requests] == [f"drift-{failed}"]


@pytest.mark.parametrize(("days", "asked"), [(6.9, 1), (7.1, 0)])
def test_a_failure_of_more_than_a_week_ago_is_no_news(instance, days, asked):
    report_old(instance, FEATURES, passed=False, days=days)
    assert len(tick(instance).run_requests or []) == asked


outcomes = st.dictionaries(st.sampled_from(WATCHED), st.sampled_from([PASS, FAIL, CRASH]), min_size=1)
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
def test_as_many_retrainings_as_failed_judgements_in_any_history(shared_instance, history):
    instance, cursor = shared_instance, None
    instance.wipe()
    open_runs: list = []
    failed: set[str] = set()
    asked: dict[str, set[str]] = {}

    def look():
        nonlocal cursor
        answer = tick(instance, cursor)
        cursor = answer.cursor
        keys = [request.run_key for request in answer.run_requests or []]
        assert len(keys) == len(set(keys)), "one tick asked twice for one event"
        for request in answer.run_requests or []:
            asked.setdefault(request.run_key, set()).add(request.tags["baton/evaluated_in_run"])

    def complete(run_id, results):
        finish(instance, run_id, results)
        if FAIL in results.values():
            failed.add(run_id)

    for step, detail in history:
        if step == "judge":
            complete(begin(instance, detail), detail)
        elif step == "begin":
            open_runs.append((begin(instance, detail), detail))
        elif step == "finish" and open_runs:
            complete(*open_runs.pop(0))
        elif step == "tick":
            look()
        elif step == "restart" and detail == "cursor lost":
            cursor = None
    look()

    # Dagster launches a run key once, so the distinct keys are the runs.
    assert asked == {f"drift-{run_id}": {run_id} for run_id in failed}
