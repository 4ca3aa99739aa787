"""The week's one decision of a predicted amount: broken data veto, what no longer holds retrains, once."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from support.bundled import COMPANY

from ml_models.monitoring.amounts.judged import AmountVerdict, former_is_better, judged_amounts
from ml_models.monitoring.decision.further import FurtherWeek, decide, event_of
from ml_models.problems.spend.problem import spend

SPEND = spend(COMPANY.question.asked, COMPANY.parts, COMPANY.department_shares)
NOW = date(2017, 11, 6)
HOLDS = AmountVerdict("pass", "", "All is well.")
TOTALS = AmountVerdict("fail", "totals", "The total is off.")
ERROR = AmountVerdict("fail", "error", "A rule is nearer.")
BROKEN = {
    "action": "inspect",
    "reason": "Store 3 is missing.",
    "first_bad_asset": "raw/transactions",
    "owner": "team:data",
    "next_command": "make rebuild",
}


def past(*weeks):
    return pd.DataFrame(weeks, columns=["cutoff", "action", "cause", "event_id"]).assign(
        cutoff=lambda rows: pd.to_datetime(rows["cutoff"])
    )


def week(**known):
    first = {
        **{"cutoff": NOW, "shared": {**BROKEN, "action": "continue"}, "released": False, "version": "1"},
        **{"owner": "team:ml", "verdict": HOLDS, "former": "", "matured": 20, "learned": 15, "ledger": past()},
    }
    return FurtherWeek(**{**first, **known})


def decided(**known):
    return decide(week(**known), SPEND)


def test_a_healthy_week_goes_on():
    assert (decided().action, decided().cause) == ("continue", "none")


def test_before_the_first_model_nothing_is_due():
    assert decided(version=None, verdict=TOTALS).action == "continue"


def test_broken_data_veto_a_training_and_say_where_the_repair_starts():
    found = decided(shared=BROKEN, verdict=TOTALS, former="it was better")
    assert (found.action, found.cause, found.first_bad_asset, found.owner, found.next_command) == (
        "inspect",
        "data quality",
        "raw/transactions",
        "team:data",
        "make rebuild",
    )
    assert "Store 3 is missing." in found.reason


def test_a_week_that_a_person_released_is_judged_as_any_other():
    assert decided(shared=BROKEN, released=True, verdict=TOTALS).action == "improve"


def test_lapse_being_improved_does_not_retrain_spend():
    assert decided(shared={**BROKEN, "action": "improve"}).action == "continue"


@pytest.mark.parametrize(("verdict", "window"), [(TOTALS, "recent"), (ERROR, "expanding")])
def test_what_does_not_hold_is_trained_anew(verdict, window):
    found = decided(verdict=verdict)
    assert (found.action, found.cause, found.window) == ("improve", verdict.cause, window)
    assert found.next_command.endswith("retrain_spend")


def test_a_better_predecessor_returns_before_anything_is_trained():
    found = decided(verdict=TOTALS, former="larger by 5 %")
    assert found.action == "rollback"
    assert found.next_command.endswith("rollback_spend")


def test_labels_that_outgrew_the_model_ask_for_a_training_at_twice_as_many():
    assert decided(matured=29).action == "continue"
    assert (decided(matured=30).action, decided(matured=30).cause) == ("improve", "labels")


@pytest.mark.parametrize("verdict", [TOTALS, HOLDS])
@pytest.mark.parametrize(("day", "action"), [("2017-10-09", "continue"), ("2017-10-02", "improve")])
def test_after_an_improvement_nothing_is_trained_until_it_shows(verdict, day, action):
    """Five weeks: a horizon of 28 days, and one."""
    ledger = past((day, "improve", "totals", "e"))
    assert decided(verdict=verdict, ledger=ledger, matured=60).action == action


def test_too_few_clean_weeks_train_nothing():
    assert decided(verdict=TOTALS, matured=4, learned=4).action == "continue"


def test_an_event_keeps_its_name_while_its_cause_goes_on():
    before = past(("2017-10-30", "improve", "totals", "spend-2017-10-30-totals"))
    going_on = week(verdict=TOTALS, ledger=before)
    assert event_of(going_on, decide(going_on, SPEND), SPEND) == "spend-2017-10-30-totals"
    another = week(verdict=ERROR, ledger=before)
    assert event_of(another, decide(another, SPEND), SPEND) == "spend-2017-11-06-error"
    assert event_of(week(), decided(), SPEND) == ""


@pytest.fixture(scope="module")
def live(world):
    rows = world.assign(**{SPEND.label: (world["spend_cents_84d"] / 3).round()})
    noise = np.random.default_rng(1).normal(1, 0.05, size=len(rows))
    return rows.assign(predicted=rows[SPEND.label] * noise)


def test_predictions_that_come_true_hold(live):
    assert judged_amounts(live, SPEND).status == "pass"


def test_a_total_that_is_off_is_seen(live):
    found = judged_amounts(live.assign(predicted=live["predicted"] * 1.4), SPEND)
    assert (found.status, found.cause) == ("fail", "totals")


def test_that_a_plain_rule_is_nearer_is_seen(live):
    mixed = live.assign(predicted=live["predicted"].sample(frac=1, random_state=0).to_numpy())
    found = judged_amounts(mixed, SPEND)
    assert (found.status, found.cause) == ("fail", "error")
    assert found.error > found.rule_error


def test_few_rows_say_nothing(live):
    assert judged_amounts(live.head(50), SPEND).status == "insufficient evidence"


def test_the_version_before_is_better_only_beyond_noise(live):
    seen = live[SPEND.label].to_numpy("float64")
    assert "larger by" in former_is_better(live, seen, SPEND)
    assert former_is_better(live, live["predicted"].to_numpy(), SPEND) == ""
    assert former_is_better(live.head(20), seen[:20], SPEND) == ""
