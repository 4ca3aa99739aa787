"""What is bad is a table and its days or deliveries: it spoils what is computed from it, and only while it is bad."""

import math
from dataclasses import replace
from datetime import date, timedelta

import pandas as pd
import pytest
from support.bundled import PROBLEM
from support.simulated_shop import make_frame

from ml_models.cutoffs import distinct_cutoffs
from ml_models.model_version import ModelInfo
from ml_models.monitoring.bad_periods import bad_period
from ml_models.monitoring.decision import decide, ledger_row, quarantined
from ml_models.monitoring.decision.ledger import append, empty_ledger, read_anomalies, with_reach, write_anomalies
from ml_models.monitoring.decision.quarantine import bad_periods, contamination
from ml_models.monitoring.diagnosis.lineage import spoiling
from ml_models.monitoring.drift.weekly import against_clean, judge_features, measure_drift
from ml_models.monitoring.types import Anomaly, Diagnosis, Reach, Situation

MONDAY = date(2030, 3, 4)
WEEK = timedelta(days=7)
DAY = timedelta(days=1)
WINDOW, HORIZON = 28, 14
CUTOFFS = [MONDAY + number * WEEK for number in range(-20, 12)]

LIST = Reach(features=("kinds",), labels=False, dated=False)
"""A list of items: one feature is made of it, no label is, and each delivery replaces the one before."""

MEMBERS = Reach(features=("kinds", "visits"), labels=True, dated=False)
CONTACTS = Reach(features=(), labels=False)


def anomaly(asset="raw/items", kind="categories", first=MONDAY - WEEK, last=MONDAY - DAY, reach=LIST, **more):
    return Anomaly(kind, asset, "", 10.0, 100.0, 90.0, 1000, f"{asset} is wrong.", first, last, reach=reach, **more)


def ledger_of(*weeks):
    """Each week: cutoff and its anomalies."""
    ledger = empty_ledger()
    for cutoff, *anomalies in weeks:
        decision = decide(situation(cutoff=cutoff), empty_ledger())
        ledger = append(ledger, ledger_row(decision, anomalies, "1") | {"event_id": "e", "action": "inspect"})
    return ledger


def situation(**changes):
    given = {
        "cutoff": MONDAY,
        "diagnosis": Diagnosis("none", math.nan, "", "", "", "", "Nothing moved."),
        "anomalies": (),
        "alarm": False,
        "labelled": tuple(day for day in CUTOFFS if day <= MONDAY - timedelta(days=HORIZON)),
        "champion": None,
        "previous": None,
        "effect": None,
        "gain": lambda window: None,
        "window_days": WINDOW,
        "horizon_days": HORIZON,
    }
    return Situation(**{**given, **changes})


def spoilt(reach, first=MONDAY - WEEK, last=MONDAY - DAY, **more):
    return quarantined(empty_ledger(), CUTOFFS, WINDOW, HORIZON, [anomaly(first=first, last=last, reach=reach, **more)])


# --- a world with known truth ----------------------------------------------------------------------------------------


def rows_of(cutoff, broken, dated):
    """What a cutoff's row is made of, and whether that is wrong: feature of the window, feature of the list, label.

    `broken(morning)`: whether the table is wrong on that morning, or on that day where it is dated.
    """
    if dated:
        window = any(broken(cutoff - number * DAY) for number in range(1, WINDOW + 1))
        label = any(broken(cutoff + number * DAY) for number in range(HORIZON))
        return window, label
    return broken(cutoff), broken(cutoff + timedelta(days=HORIZON))


@pytest.mark.parametrize("dated", [True, False], ids=["rows have a time", "delivered as a whole"])
@pytest.mark.parametrize("weeks", [1, 3])
@pytest.mark.parametrize("labels", [True, False], ids=["labels read it", "labels do not"])
def test_exactly_the_rows_that_were_computed_from_it_are_kept_out(dated, weeks, labels):
    first, last = MONDAY - WEEK, MONDAY + (weeks - 1) * WEEK - DAY
    found = spoilt(Reach(labels=labels, dated=dated), first, last)
    # A delivery is seen on the Mondays that follow its week.
    began, ended = (first, last) if dated else (first + DAY, last + DAY)
    for cutoff in CUTOFFS:
        features, label = rows_of(cutoff, lambda day: began <= day <= ended, dated)
        assert (cutoff in found) == (features or (labels and label)), cutoff


def test_a_list_wrong_every_other_week_spoils_every_other_week():
    wrong = [MONDAY + number * WEEK for number in (0, 2, 4)]
    found = [(cutoff, anomaly(first=cutoff - WEEK, last=cutoff - DAY)) for cutoff in wrong]
    well = [(MONDAY + number * WEEK,) for number in (1, 3)]
    assert quarantined(ledger_of(*found, *well), CUTOFFS, WINDOW, HORIZON) == wrong
    # Of weeks that nobody judged, nobody knows that they were well.
    throughout = [MONDAY + number * WEEK for number in range(5)]
    assert quarantined(ledger_of(*found), CUTOFFS, WINDOW, HORIZON) == throughout
    assert quarantined(ledger_of(*found, well[0]), CUTOFFS, WINDOW, HORIZON) == [
        day for day in throughout if day != MONDAY + WEEK
    ]


def test_a_fault_that_lasts_is_one_period():
    cutoffs = [MONDAY + number * WEEK for number in range(4)]
    ledger = ledger_of(*((cutoff, anomaly(last=cutoff - DAY)) for cutoff in cutoffs))
    assert [(one.first_day, one.last_day) for one in bad_periods(ledger)] == [(MONDAY - WEEK, cutoffs[-1] - DAY)]


def test_what_no_feature_and_no_label_is_made_of_spoils_nothing():
    assert spoilt(CONTACTS) == []
    assert bad_period(anomaly(reach=CONTACTS)).affected_range(WINDOW, HORIZON) is None
    decision = decide(situation(anomalies=(anomaly(reach=CONTACTS),)), empty_ledger())
    assert (decision.action, decision.quarantine_from) == ("inspect", None)


def test_what_is_not_known_to_be_spared_is_taken_to_be_spoilt():
    """A former build wrote no reach: all is held, as it was then."""
    assert bad_period(anomaly(reach=Reach())).affects(MONDAY + 3 * WEEK, WINDOW, HORIZON)
    former = '[{"kind": "nulls", "asset": "raw/items", "column": "", "observed": 1, "expected": 0, "threshold": 0, '
    former += '"n": 9, "sentence": "s", "first_day": "2030-02-25", "last_day": "2030-03-03", "segment_column": "", '
    former += '"segment_values": [], "rate": 1.0, "replay": null}]'
    assert [one.reach for one in read_anomalies(former)] == [Reach()]
    # The next judgement writes down what the table reaches, once.
    ledger = with_reach(ledger_of((MONDAY,)).assign(anomalies=former), {"raw/items": LIST}.__getitem__)
    assert [one.reach for one in read_anomalies(ledger["anomalies"].iloc[0])] == [LIST]
    assert with_reach(ledger, {}.__getitem__) is ledger


def test_reach_and_rebuilding_survive_the_ledger():
    anomalies = [anomaly(), anomaly(reach=CONTACTS), anomaly(reach=Reach(), rebuilt_from=MONDAY)]
    assert read_anomalies(write_anomalies(anomalies)) == anomalies


LINEAGE = {
    "marts/lines": ("raw/lines", "raw/items"),
    "features/frame": ("marts/lines",),
    "outcomes/visits": ("marts/lines",),
    "raw/lines": (),
    "raw/items": (),
}


def test_what_is_made_of_a_bad_list_is_whole_with_it():
    """The lines joined to the list have a time; what is wrong with them is the list's doing, and ends with it."""
    echoes = [anomaly("marts/lines", reach=Reach()), anomaly("features/frame", "nulls", reach=Reach())]
    own = [anomaly("outcomes/visits", "labels", reach=Reach()), anomaly("features/frame", "future", reach=Reach())]
    found = spoiling([anomaly(), *echoes, *own], LINEAGE)
    spoil = [bad_period(one).affected_range(WINDOW, HORIZON) is not None for one in found]
    assert spoil == [True, False, False, True, True]
    assert quarantined(empty_ledger(), CUTOFFS, WINDOW, HORIZON, found[:3]) == [MONDAY]
    # Alone, they are nobody else's doing.
    assert spoiling(echoes[:1], LINEAGE) == echoes[:1]


# --- the champion ----------------------------------------------------------------------------------------------------

LEARNED = ModelInfo("1", MONDAY - 2 * WEEK, MONDAY, CUTOFFS[0], features=("visits", "kinds"))


@pytest.mark.parametrize(
    ("features", "reach", "accused"),
    [
        (("visits", "kinds"), LIST, True),
        (("visits",), LIST, False),
        (("visits",), MEMBERS, True),
        (None, LIST, True),
        (("visits", "kinds"), CONTACTS, False),
    ],
)
def test_a_champion_is_accused_only_of_what_its_features_or_labels_are_computed_from(features, reach, accused):
    weeks = [MONDAY - number * WEEK for number in (6, 5, 4)]
    past = [anomaly(first=cutoff - WEEK, last=cutoff - DAY, reach=reach) for cutoff in weeks]
    champion = replace(LEARNED, features=features)
    share = contamination(champion, situation(champion=champion), bad_periods(empty_ledger(), past))
    assert (share > 0) == accused, share


def test_a_clean_champion_goes_on_once_the_list_is_whole_again():
    """It learned before the list broke; two weeks after the repair nothing is inspected any more."""
    champion = ModelInfo("1", MONDAY - 4 * WEEK, MONDAY - 2 * WEEK, CUTOFFS[0], features=("visits", "kinds"))
    ledger = ledger_of((MONDAY, anomaly()), (MONDAY + WEEK, anomaly(last=MONDAY + WEEK - DAY)))
    for number in (2, 4, 8):
        cutoff = MONDAY + number * WEEK
        labelled = tuple(day for day in CUTOFFS if day <= cutoff - timedelta(days=HORIZON))
        now = situation(cutoff=cutoff, champion=champion, labelled=labelled)
        decision = decide(now, ledger)
        assert decision.action == "continue", decision.reason
        assert "bad" not in decision.reason


def test_who_learned_from_the_broken_list_is_accused():
    champion = ModelInfo("2", MONDAY + 2 * WEEK, MONDAY + 4 * WEEK, MONDAY - 2 * WEEK, features=("visits", "kinds"))
    before = ModelInfo("1", MONDAY - 4 * WEEK, MONDAY - 2 * WEEK, CUTOFFS[0], features=("visits", "kinds"))
    ledger = ledger_of((MONDAY, anomaly()), (MONDAY + WEEK, anomaly(last=MONDAY + WEEK - DAY)))
    cutoff = MONDAY + 5 * WEEK
    labelled = tuple(day for day in CUTOFFS if day <= cutoff - timedelta(days=HORIZON))
    decision = decide(situation(cutoff=cutoff, champion=champion, previous=before, labelled=labelled), ledger)
    assert decision.action == "rollback", decision.reason


# --- computed again --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reach", [Reach(), replace(LIST, labels=True)], ids=["dated", "delivered"])
def test_cutoffs_that_were_computed_again_are_free_and_earlier_ones_are_not(reach):
    whole = spoilt(reach)
    middle = whole[len(whole) // 2]
    assert spoilt(reach, rebuilt_from=middle) == [day for day in whole if day < middle]
    assert spoilt(reach, rebuilt_from=whole[0]) == []


# --- compared with clean weeks ---------------------------------------------------------------------------------------


def test_a_clean_week_is_compared_with_clean_weeks_and_a_spoilt_one_with_those_before():
    frame = make_frame(customers=600, cutoffs=17)
    days = distinct_cutoffs(frame["cutoff_date"])
    spoilt = days[12:16]
    wrong = frame["cutoff_date"].isin([pd.Timestamp(day) for day in spoilt])
    frame = frame.assign(categories_84d=frame["categories_84d"].where(~wrong, 1))

    def alarms(cutoff, known):
        rows = frame[frame["cutoff_date"] <= pd.Timestamp(cutoff)]
        history = measure_drift(PROBLEM, rows, cutoff, None, "")
        rows, judged = against_clean(PROBLEM, rows, history, cutoff, known, None, "")
        return judge_features(judged, cutoff, rows, None, PROBLEM).columns

    during, after = days[14], days[16]
    assert "categories_84d" in alarms(during, spoilt)
    # As if nobody knew: the first clean week looks like another world.
    assert "categories_84d" in alarms(after, [])
    assert "categories_84d" not in alarms(after, spoilt)
