"""One decision a week: situations and what must be done in them, and what must hold over every sequence of weeks."""

import math
import re
from dataclasses import replace
from datetime import date, timedelta
from typing import get_args

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_models.model_version import RETRAIN_COMMAND, ModelInfo
from ml_models.monitoring.bad_periods import bad_period
from ml_models.monitoring.decision import decide, grade, ledger_row, quarantined
from ml_models.monitoring.decision.grading import promotion_effects
from ml_models.monitoring.decision.ledger import (
    anomalies_by_event,
    append,
    empty_ledger,
    past_anomalies,
    read_anomalies,
    release,
    write_anomalies,
)
from ml_models.monitoring.decision.quarantine import bad_periods
from ml_models.monitoring.settings import SETTINGS
from ml_models.monitoring.types import Action, Anomaly, Cause, Diagnosis, Effect, Perturbation, Situation
from ml_models.problems.question import Question

MONDAY = date(2030, 3, 4)
QUESTION = Question()
WINDOW, HORIZON = QUESTION.look_back_days, QUESTION.horizon_days
WEEK = timedelta(days=7)

HELPS = Effect(0.02, 0.012, 0.028, 8000, (MONDAY,))
USELESS = Effect(0.0004, -0.0006, 0.0014, 8000, (MONDAY,))
HARM = Effect(-0.01, -0.015, -0.005, 4000, (MONDAY,))
BETTER = Effect(0.01, 0.005, 0.015, 4000, (MONDAY,))
UNKNOWN = Effect(math.nan, math.nan, math.nan, 0, (), "too few rows")

OLD = ModelInfo("1", MONDAY - 30 * WEEK, MONDAY - 26 * WEEK, MONDAY - 60 * WEEK)
CHAMPION = ModelInfo("2", MONDAY - 20 * WEEK, MONDAY - 16 * WEEK, MONDAY - 60 * WEEK)


def weeks_before(cutoff, first, last):
    return tuple(cutoff - number * WEEK for number in range(first, last, -1))


LABELLED = weeks_before(MONDAY, 60, 3)


def anomaly(kind="volume", asset="raw/visits", first=MONDAY - WEEK, last=MONDAY - timedelta(days=1), **more):
    return Anomaly(kind, asset, "", 10.0, 100.0, 90.0, 1000, f"{asset} holds too few rows.", first, last, **more)


def diagnosis(cause="none", asset=""):
    return Diagnosis(cause, math.nan, asset, "team", "check", "command", f"It was {cause}.")


def situation(**changes):
    given_ = {
        "cutoff": MONDAY,
        "diagnosis": diagnosis(),
        "anomalies": (),
        "alarm": False,
        "labelled": LABELLED,
        "champion": CHAMPION,
        "previous": None,
        "effect": None,
        "gain": lambda window: UNKNOWN,
        "window_days": WINDOW,
        "horizon_days": HORIZON,
    }
    return Situation(**{**given_, **changes})


def ledger_of(*rows):
    """Each row: cutoff, action, cause, event, anomalies."""
    ledger = empty_ledger()
    for cutoff, action, cause, event, anomalies in rows:
        decision = decide(situation(cutoff=cutoff), empty_ledger())
        row = ledger_row(decision, anomalies, "2") | {"action": action, "cause": cause, "event_id": event}
        ledger = append(ledger, row)
    return ledger


def shift(cause="concept", gain=HELPS, **changes):
    return situation(diagnosis=diagnosis(cause), alarm=True, gain=lambda window: gain, **changes)


OUTAGE = anomaly(first=MONDAY - 5 * WEEK, last=MONDAY - 2 * WEEK)
PAST_OUTAGE = ledger_of((MONDAY - 2 * WEEK, "inspect", "data quality", "data-raw/visits-x", [OUTAGE]))
IMPROVED = ledger_of((MONDAY - 2 * WEEK, "improve", "concept", "shift-2030-02-18", []))
ROLLED_BACK = ledger_of((MONDAY - WEEK, "rollback", "pipeline", "champion-3-x", []))
YOUNG = ModelInfo("3", MONDAY - 5 * WEEK, MONDAY - WEEK, MONDAY - 60 * WEEK)
RECENT = ModelInfo("3", MONDAY - 12 * WEEK, MONDAY - 8 * WEEK, MONDAY - 60 * WEEK)
DURING = ModelInfo("3", MONDAY - 3 * WEEK, MONDAY - WEEK, MONDAY - 12 * WEEK)
MASKED = ModelInfo("3", MONDAY - 3 * WEEK, MONDAY - WEEK, MONDAY - 30 * WEEK, weeks_before(MONDAY, 30, 2))
STARTED = ModelInfo("1", LABELLED[9], MONDAY - 26 * WEEK, LABELLED[0])

SITUATIONS = {
    "a quiet week": (situation(), None, "continue"),
    "bad data": (situation(anomalies=(anomaly(),), diagnosis=diagnosis("data quality", "raw/visits")), None, "inspect"),
    "bad data while everything drifts and a retraining would help": (
        shift("data quality", anomalies=(anomaly(),)),
        None,
        "inspect",
    ),
    "a leak in our own code": (
        situation(anomalies=(anomaly("future", "features/frame"),), diagnosis=diagnosis("pipeline", "features/frame")),
        None,
        "inspect",
    ),
    "concept moved, a retraining helps": (shift("concept"), None, "improve"),
    "customers changed, a retraining helps": (shift("covariate"), None, "improve"),
    "customers changed, a retraining would gain nothing": (shift("covariate", USELESS), None, "continue"),
    "concept moved, labels are not there yet": (shift("concept", UNKNOWN), None, "continue"),
    "an alarm that nothing explains": (shift("insufficient evidence"), None, "continue"),
    "concept moved, bad days still in the windows": (shift("concept"), PAST_OUTAGE, "inspect"),
    "quiet, bad days still in the windows": (situation(), PAST_OUTAGE, "continue"),
    "concept goes on after it was acted on": (shift("concept"), IMPROVED, "continue"),
    "a shift in the weeks after a rollback": (shift("covariate"), ROLLED_BACK, "continue"),
    "a shift in the weeks after a promotion": (shift("concept", champion=YOUNG), None, "continue"),
    "no champion yet": (situation(champion=None), None, "improve"),
    "no champion and few labels": (situation(champion=None, labelled=LABELLED[:3]), None, "continue"),
    "no champion while data are bad": (situation(champion=None, anomalies=(anomaly(),)), None, "inspect"),
    "no champion, bad days in the windows": (situation(champion=None), PAST_OUTAGE, "continue"),
    "labels outgrew the champion": (situation(champion=STARTED), None, "improve"),
    "labels outgrew the champion, bad days in the windows": (situation(champion=STARTED), PAST_OUTAGE, "continue"),
    "a promotion did harm": (situation(champion=RECENT, previous=OLD, effect=HARM), None, "rollback"),
    "a promotion did harm and data are bad since": (
        situation(champion=RECENT, previous=OLD, effect=HARM, anomalies=(anomaly(),)),
        None,
        "rollback",
    ),
    "a promotion did good": (situation(champion=RECENT, previous=OLD, effect=BETTER), None, "continue"),
    "harm, but no predecessor": (situation(champion=RECENT, effect=HARM), None, "continue"),
    "harm long after the promotion": (situation(champion=CHAMPION, previous=OLD, effect=HARM), None, "continue"),
    "trained on bad rows": (situation(champion=DURING, previous=OLD), PAST_OUTAGE, "rollback"),
    "trained beside the bad rows": (situation(champion=MASKED, previous=OLD), PAST_OUTAGE, "continue"),
    "trained on bad rows, no predecessor": (situation(champion=DURING), PAST_OUTAGE, "inspect"),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_situation_has_one_decision(name):
    given_, ledger, action = SITUATIONS[name]
    decision = decide(given_, empty_ledger() if ledger is None else ledger)
    assert decision.action == action, decision.reason
    assert decision.reason


def test_a_rollback_says_whether_the_predecessor_learned_from_none_or_from_fewer_bad_rows():
    decision = decide(situation(champion=DURING, previous=OLD), PAST_OUTAGE)
    assert decision.reason.endswith("; version 1 did not.")
    # Its newest labels end inside the outage.
    touched = ModelInfo("1", MONDAY - 8 * WEEK, MONDAY - 4 * WEEK, MONDAY - 60 * WEEK)
    decision = decide(situation(champion=DURING, previous=touched), PAST_OUTAGE)
    assert decision.action == "rollback"
    assert re.search(r"; version 1 learned from fewer \(0\.\d%\)\.$", decision.reason), decision.reason


def test_the_better_of_two_windows_is_chosen_when_concept_moved():
    gains = {"recent": HELPS, "expanding": USELESS}
    decision = decide(situation(diagnosis=diagnosis("concept"), alarm=True, gain=gains.__getitem__), empty_ledger())
    assert (decision.action, decision.window, decision.helps) == ("improve", "recent", HELPS.value)
    decision = decide(situation(diagnosis=diagnosis("covariate"), alarm=True, gain=gains.__getitem__), empty_ledger())
    assert (decision.action, decision.window, decision.helps) == ("continue", "expanding", USELESS.value)


def test_what_a_retraining_would_bring_is_measured_only_when_asked():
    def gain(window):
        raise AssertionError("not to be computed")

    for anomalies in ((), (anomaly(),)):
        decide(situation(gain=gain, anomalies=anomalies), empty_ledger())
    decide(situation(gain=gain, alarm=True, diagnosis=diagnosis("concept")), IMPROVED)


def test_a_small_gain_that_still_grows_is_waited_for():
    def live(gains):
        ledger, actions = empty_ledger(), []
        for number, value in enumerate(gains):
            seen = Effect(value, value / 2, value * 1.5, 8000, (MONDAY,))
            decision = decide(shift("concept", seen, cutoff=MONDAY + number * WEEK), ledger)
            ledger = append(ledger, ledger_row(decision, [], "2"))
            actions.append(decision.action)
        return actions

    assert live([0.02]) == ["improve"]
    assert live([0.003, 0.003]) == ["continue", "improve"]
    assert live([0.002, 0.004, 0.008]) == ["continue", "continue", "improve"]
    assert live([0.003, 0.015]) == ["continue", "improve"]


def test_an_override_is_recorded_with_what_it_replaced():
    decision = decide(situation(anomalies=(anomaly(),)), empty_ledger(), override="continue")
    assert (decision.action, decision.override_of) == ("continue", "inspect")
    assert "A person asked for continue instead of inspect" in decision.reason
    same = decide(situation(anomalies=(anomaly(),)), empty_ledger(), override="inspect")
    assert same.override_of is None


def test_anomalies_that_a_person_overruled_veto_nothing_later():
    decision = decide(situation(cutoff=MONDAY - WEEK, anomalies=(anomaly(),)), empty_ledger(), override="continue")
    ledger = append(empty_ledger(), ledger_row(decision, [anomaly()], "2"))
    assert bad_periods(ledger) == []
    assert decide(shift("concept"), ledger).action == "improve"


def test_an_event_keeps_its_id_while_one_cause_goes_on():
    ledger, events = empty_ledger(), []
    for number in range(6):
        cutoff = MONDAY + number * WEEK
        seen = (anomaly(first=MONDAY - WEEK, last=cutoff - timedelta(days=1)),) if number < 3 else ()
        decision = decide(
            situation(cutoff=cutoff, anomalies=seen, alarm=True, diagnosis=diagnosis("data quality", "raw/visits")),
            ledger,
        )
        events.append(decision.event_id)
        ledger = append(ledger, ledger_row(decision, seen, "2"))
    assert set(events) == {f"data-raw/visits-{MONDAY}"}
    assert list(ledger["action"]) == ["inspect"] * 6


def test_judging_a_week_again_gives_the_same_answer():
    decision = decide(shift("concept"), empty_ledger())
    ledger = append(empty_ledger(), ledger_row(decision, [], "2"))
    assert decide(shift("concept"), ledger) == decision


def test_quarantine_covers_windows_and_labels_of_the_outage():
    cutoffs = [MONDAY + number * WEEK for number in range(-30, 20)]
    outage = anomaly(first=MONDAY, last=MONDAY + timedelta(days=13))
    bad = quarantined(empty_ledger(), cutoffs, WINDOW, HORIZON, [outage])
    for cutoff in cutoffs:
        window_touched = cutoff - timedelta(days=WINDOW) <= outage.last_day and cutoff > outage.first_day
        label_touched = cutoff <= outage.last_day and cutoff + timedelta(days=HORIZON) > outage.first_day
        assert (cutoff in bad) == (window_touched or label_touched), cutoff
    decision = decide(situation(cutoff=MONDAY + 2 * WEEK, anomalies=(outage,)), empty_ledger())
    assert (decision.quarantine_from, decision.quarantine_to) == (
        MONDAY - timedelta(days=HORIZON - 1),
        outage.last_day + timedelta(days=WINDOW),
    )


@pytest.mark.parametrize(
    ("kind", "asset", "first_spoiled", "last_spoiled"),
    [
        ("labels", "outcomes/visits", MONDAY, MONDAY),
        ("future", "features/frame", MONDAY, MONDAY),
        ("stale", "raw/visits", MONDAY - timedelta(days=21), MONDAY + WEEK),
    ],
)
def test_what_heals_is_not_held_against_later_cutoffs(kind, asset, first_spoiled, last_spoiled):
    period = bad_period(anomaly(kind, asset, first=MONDAY, last=MONDAY))
    cutoffs = [MONDAY + number * WEEK for number in range(-10, 10)]
    spoiled = [cutoff for cutoff in cutoffs if period.affects(cutoff, WINDOW, HORIZON)]
    assert (spoiled[0], spoiled[-1]) == (first_spoiled, last_spoiled)


def test_anomalies_survive_the_ledger():
    replay = Perturbation("raw/visits", "drop", where="store = 3", first_day=MONDAY, last_day=None, value=[1, 2])
    anomalies = [anomaly(replay=replay, segment_column="store", segment_values=("3",)), anomaly("nulls")]
    assert read_anomalies(write_anomalies(anomalies)) == anomalies
    ledger = ledger_of((MONDAY, "inspect", "data quality", "e", anomalies))
    assert past_anomalies(ledger) == anomalies


def test_a_day_that_a_person_called_closed_is_released_and_may_be_held_again():
    day = MONDAY - timedelta(days=3)
    holiday = replace(anomaly("volume"), first_day=day, last_day=day)
    ledger = ledger_of((MONDAY, "inspect", "data quality", "e", [holiday, anomaly("nulls")]))
    released = release(ledger, {day: "ana on 2017-09-04: bank holiday"})
    assert [one.kind for _, one in anomalies_by_event(ledger)] == ["volume", "nulls"]
    assert [one.kind for _, one in anomalies_by_event(released)] == ["nulls"]
    assert "ana on 2017-09-04: bank holiday" in released["released"].iloc[0]
    assert [one.kind for _, one in anomalies_by_event(release(released, {}))] == ["volume", "nulls"]


def test_grades_come_when_outcomes_are_known():
    start = MONDAY - 20 * WEEK
    late = anomaly(first=start - 3 * WEEK, last=start + WEEK)
    ledger = ledger_of(
        (start, "continue", "none", "", []),
        (start + WEEK, "inspect", "data quality", "e", [late]),
        (start + 2 * WEEK, "inspect", "data quality", "e", [late]),
        (start + 4 * WEEK, "inspect", "data quality", "f", []),
        (start + 6 * WEEK, "improve", "concept", "s", []),
        (start + 12 * WEEK, "rollback", "pipeline", "c", []),
        (MONDAY - WEEK, "continue", "none", "", []),
    )
    effects = {start + 6 * WEEK: HARM, start + 12 * WEEK: BETTER}
    graded = list(grade(ledger, MONDAY, effects, QUESTION)["grade"])
    assert graded[0].startswith("late: raw/visits was bad since")
    assert graded[1] == "right: confirmed"
    assert graded[2] == "right: confirmed"
    assert graded[3] == "unconfirmed: seen once"
    assert graded[4].startswith("wrong")
    assert graded[5].startswith("right")
    assert pd.isna(graded[6])


def test_a_promotion_is_graded_when_enough_cutoffs_have_matured_since():
    ledger = ledger_of((MONDAY - 8 * WEEK, "improve", "concept", "s", []), (MONDAY - WEEK, "continue", "none", "", []))
    cutoffs = tuple(MONDAY - number * WEEK for number in (7, 6, 5, 4))
    assert promotion_effects(ledger, replace(HARM, cutoffs=cutoffs), QUESTION) == {}, "nothing was promoted"
    # As the warehouse keeps it.
    ledger["promoted"] = ["true", None]
    assert promotion_effects(ledger, replace(HARM, cutoffs=cutoffs[:3]), QUESTION) == {}
    effects = promotion_effects(ledger, replace(HARM, cutoffs=cutoffs), QUESTION)
    assert grade(ledger, MONDAY, effects, QUESTION)["grade"][0].startswith("wrong")
    ledger["promoted"] = ["false", None]
    assert grade(ledger, MONDAY, {}, QUESTION)["grade"][0] == "no promotion: the gate kept the champion"


# --- over every sequence of weeks ------------------------------------------------------------------------------------

week = st.fixed_dictionaries(
    {
        "bad": st.sampled_from([(), (), (), ("raw/visits",), ("raw/shops", "staging/visits")]),
        "alarm": st.booleans(),
        "cause": st.sampled_from(["covariate", "concept", "mixed", "insufficient evidence"]),
        "gain": st.sampled_from([HELPS, HELPS, USELESS, UNKNOWN]),
        "effect": st.sampled_from([None, None, None, HARM, BETTER]),
        "promoted": st.booleans(),
    }
)


def live(weeks, has_champion):
    """Act on every decision as the graph would; yield what was decided, in which world."""
    ledger = empty_ledger()
    stack = [ModelInfo("1", MONDAY - 5 * WEEK, MONDAY - WEEK, MONDAY - 30 * WEEK)] if has_champion else []
    told = []
    for number, seen in enumerate(weeks):
        cutoff = MONDAY + number * WEEK
        anomalies = tuple(
            anomaly(asset=asset, first=cutoff - WEEK, last=cutoff - timedelta(days=1)) for asset in seen["bad"]
        )
        cause = "data quality" if anomalies else seen["cause"] if seen["alarm"] else "none"
        now = situation(
            cutoff=cutoff,
            diagnosis=diagnosis(cause, seen["bad"][0] if anomalies else ""),
            anomalies=anomalies,
            alarm=seen["alarm"],
            labelled=weeks_before(cutoff, 40, 3),
            champion=stack[-1] if stack else None,
            previous=stack[-2] if len(stack) > 1 else None,
            effect=seen["effect"] if len(stack) > 1 else None,
            gain=lambda window, seen=seen: seen["gain"],
        )
        decision = decide(now, ledger)
        told.append((now, decision, ledger))
        row = ledger_row(decision, anomalies, stack[-1].version if stack else "")
        if decision.action == "improve":
            row["promoted"] = seen["promoted"]
            if seen["promoted"]:
                bad = tuple(quarantined(ledger, now.labelled, WINDOW, HORIZON))
                stack.append(ModelInfo(str(number + 2), cutoff - 4 * WEEK, cutoff, now.labelled[0], bad))
        elif decision.action == "rollback":
            stack.pop()
        ledger = append(ledger, row)
    return told, ledger


@settings(max_examples=30)
@given(st.lists(week, min_size=1, max_size=20), st.booleans())
def test_whatever_happens(weeks, has_champion):
    told, ledger = live(weeks, has_champion)

    # exactly one decision a week
    assert len(ledger) == len(weeks)
    assert ledger["cutoff"].is_unique
    for now, decision, past in told:
        assert decision.action in ("continue", "improve", "inspect", "rollback")
        assert decision.cutoff == now.cutoff
        assert decision.reason
        # bad data are never met by anything but an inspection or a rollback
        assert not now.anomalies or decision.action in ("inspect", "rollback")
        # nothing is trained while bad days are inside the feature windows
        periods = [*bad_periods(past), *(bad_period(one) for one in now.anomalies)]
        if any(period.touches_window(now.cutoff, WINDOW) for period in periods):
            assert decision.action != "improve"

    # an event is improved once at most, and a cool-down follows every action
    improved = ledger["action"] == "improve"
    assert ledger.loc[improved, "event_id"].is_unique
    acted = ledger[ledger["action"].isin(["improve", "rollback"])]
    gaps = acted["cutoff"].diff().dt.days[acted["action"] == "improve"]
    assert (gaps.dropna() >= SETTINGS.cooldown_days(HORIZON)).all()


@pytest.mark.parametrize("action", get_args(Action))
@pytest.mark.parametrize("cause", get_args(Cause))
def test_the_command_fits_the_decision_whatever_the_cause(action: Action, cause: Cause) -> None:
    repair = RETRAIN_COMMAND if cause in ("covariate", "concept", "mixed") else "load raw/visits again"
    found = decide(
        situation(diagnosis=replace(diagnosis(cause), next_command=repair), alarm=True, previous=RECENT),
        empty_ledger(),
        override=action,
    )
    command = found.diagnosis.next_command
    if action == "continue":
        assert command == ""
    elif action == "improve":
        assert command == RETRAIN_COMMAND
    elif action == "rollback":
        assert command == f"make promote VERSION={RECENT.version}"
    else:
        assert "retrain" not in command
        assert command == ("" if repair == RETRAIN_COMMAND else repair)
