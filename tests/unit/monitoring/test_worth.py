"""Money decides where a company names prices: what is saved, whether it pays, and that no price changes nothing."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_models.model_version import ModelInfo
from ml_models.monitoring.decision.ledger import append, empty_ledger, ledger_row
from ml_models.monitoring.decision.policy import decide
from ml_models.monitoring.prices import Prices, saving_of, worth_of
from ml_models.monitoring.settings import SETTINGS, Settings
from ml_models.monitoring.types import Decision, Diagnosis, Effect, Saving, Situation
from ml_models.problems.question import Question

MONDAY, WEEK = date(2030, 3, 4), timedelta(days=7)
QUESTION = Question()
PRICES = Prices(retraining=200, contact=2, missed_customer=40, currency="EUR")
CHAMPION = ModelInfo("2", MONDAY - 20 * WEEK, MONDAY - 16 * WEEK, MONDAY - 60 * WEEK)
LABELLED = tuple(MONDAY - number * WEEK for number in range(60, 3, -1))
OUTGROWN = ModelInfo("1", LABELLED[9], MONDAY - 26 * WEEK, LABELLED[0])


def priced(retraining: float) -> Settings:
    return replace(SETTINGS, prices=replace(PRICES, retraining=retraining))


def effect(value: float = 0.02, low: float = 0.012, saved: float = 0.1) -> Effect:
    return Effect(value, low, 2 * value - low, 8000, (MONDAY,), saving=Saving(saved, saved - 0.05, saved + 0.05))


def week(gain: Effect, alarm: bool = True, champion: ModelInfo = CHAMPION) -> Situation:
    cause = "concept" if alarm else "none"
    return Situation(
        cutoff=MONDAY,
        diagnosis=Diagnosis(cause, np.nan, "", "team", "", "", f"It was {cause}."),
        anomalies=(),
        alarm=alarm,
        labelled=LABELLED,
        champion=champion,
        previous=None,
        effect=None,
        gain=lambda _window: gain,
        window_days=QUESTION.look_back_days,
        horizon_days=QUESTION.horizon_days,
        customers=2_000,
    )


def after(*weeks: tuple[int, Decision]) -> pd.DataFrame:
    ledger = empty_ledger()
    for ago, decision in weeks:
        ledger = append(ledger, ledger_row(replace(decision, cutoff=MONDAY - ago * WEEK), [], "2"))
    return ledger


# .1 EUR a customer and round, 2,000 customers, 35 days of 28: 250 EUR.


@pytest.mark.parametrize("alarm", [True, False])
@pytest.mark.parametrize(("price", "action"), [(249, "improve"), (250, "continue"), (251, "continue")])
def test_an_improvement_is_made_where_it_saves_more_than_it_costs(alarm: bool, price: float, action: str) -> None:
    decision = decide(week(effect(), alarm), empty_ledger(), priced(price))
    assert decision.action == action
    assert decision.saves == pytest.approx(250)
    assert (
        "Contacting customers from 5.0% on, that would save EUR 250 (95 % interval 125 to 375) on 2,000 customers in "
        f"1.2 rounds, until the next improvement is possible; it costs EUR {price}" in decision.reason
    )


def test_a_gain_within_noise_is_never_bought_however_cheap() -> None:
    for alarm in (True, False):
        assert decide(week(effect(low=-0.001), alarm), empty_ledger(), priced(0)).action == "continue"


def test_a_gain_below_the_usual_minimum_is_bought_where_it_pays() -> None:
    small = effect(value=0.0005, low=0.0001)
    assert decide(week(small), empty_ledger()).action == "continue"
    # Small gains are waited for, while they grow.
    first = decide(week(small), empty_ledger(), priced(100))
    assert first.action == "continue"
    assert "it waits" in first.reason
    assert decide(week(small), after((1, first)), priced(100)).action == "improve"


def test_a_quiet_week_in_which_it_pays_is_an_event_of_its_own_and_no_alarm() -> None:
    decision = decide(week(effect(), alarm=False), empty_ledger(), priced(100))
    assert (decision.action, decision.remedy) == ("improve", "retrain")
    assert decision.event_id == f"worth-{MONDAY}"
    assert decision.reason.startswith(
        "Nothing is out of its range. A retraining would have changed log-loss by -0.0200"
    )
    young = decide(week(effect(), alarm=False), after((3, decision)), priced(100))
    assert young.action == "continue"
    assert decide(week(effect(), alarm=False), after((6, decision)), priced(100)).action == "improve"


def test_with_prices_labels_that_doubled_are_no_reason_by_themselves() -> None:
    assert decide(week(effect(), alarm=False, champion=OUTGROWN), empty_ledger()).action == "improve"
    dear = decide(week(effect(), alarm=False, champion=OUTGROWN), empty_ledger(), priced(10_000))
    assert dear.action == "continue"
    assert ": not worth its price. Contacting" in dear.reason


def test_where_money_cannot_be_measured_labels_that_doubled_are_a_reason_again() -> None:
    unknown = Effect(np.nan, np.nan, np.nan, 0, (), "too few rows")
    decision = decide(week(unknown, alarm=False, champion=OUTGROWN), empty_ledger(), priced(10_000))
    assert (decision.action, decision.event_id) == ("improve", f"labels-{MONDAY}")


@given(
    st.floats(-0.01, 0.05), st.floats(-0.02, 0.05), st.booleans(), st.sampled_from([CHAMPION, OUTGROWN]), st.booleans()
)
def test_without_prices_money_changes_nothing(
    value: float, low: float, alarm: bool, champion: ModelInfo, measured: bool
) -> None:
    plain = Effect(value, min(low, value), max(value, 0.06), 8000, (MONDAY,))
    in_money = replace(plain, saving=Saving(1.0, 0.5, 1.5)) if measured else plain
    one, other = (decide(week(gain, alarm, champion), empty_ledger()) for gain in (plain, in_money))
    assert (one.action, one.reason, one.event_id) == (other.action, other.reason, other.event_id)
    assert np.isnan(other.saves)


def test_what_better_scores_save_is_what_the_world_says() -> None:
    """A champion that says .04 to everybody contacts nobody from .05 on; who knows the rates contacts half."""
    generator = np.random.default_rng(0)
    customers = 40_000
    rate = np.where(np.arange(customers) % 2 == 0, 0.01, 0.2)
    outcome = (generator.random(customers) < rate).astype("float64")
    found = saving_of(PRICES, outcome, rate, np.full(customers, 0.04), np.arange(customers))
    # Half of the customers cost 2 each instead of .2 * 40.
    assert found.low < 0.5 * (0.2 * 40 - 2) < found.high
    assert found.value == pytest.approx(3.0, abs=0.1)
    same = saving_of(PRICES, outcome, rate, rate, np.arange(customers))
    assert (same.value, same.low, same.high) == (0, 0, 0)


@given(st.floats(0.1, 10), st.floats(0.01, 0.99), st.integers(0, 1_000))
def test_no_other_threshold_costs_less_for_who_knows_the_rates(contact: float, share: float, seed: int) -> None:
    prices = Prices(0, contact, contact / share)
    rate = np.random.default_rng(seed).random(2_000)
    best = prices.costs(rate, rate).mean()
    for other in (0.0, 0.25, 0.5, 0.75, 1.01):
        at_other = np.where(rate >= other, contact, prices.missed_customer * rate).mean()
        assert best <= at_other + 1e-9


def test_what_was_not_measured_in_money_is_worth_nothing_that_could_be_said() -> None:
    assert worth_of(Effect(0.02, 0.01, 0.03, 8000, (MONDAY,)), PRICES, 2_000, 1.25) is None


def test_another_price_changes_the_retraining_only() -> None:
    assert PRICES.times(10) == Prices(2_000, 2, 40, "EUR")
    assert PRICES.times(10).threshold == PRICES.threshold == 0.05
