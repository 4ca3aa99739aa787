"""What a campaign is said to have changed is so as often as it is promised, and nothing is said where nothing is."""

import math
from datetime import date

import numpy as np
import pytest

from ml_models.campaigns.draw import CALL, FAULTY, HELD_OUT, chance_of_share, drawn, part_of
from ml_models.campaigns.effect import (
    KEEPS,
    LEAST,
    LOSES,
    ONCE,
    POWER,
    SAME,
    TOO_FEW,
    Arm,
    Difference,
    Week,
    at_every_look,
    customers_needed,
    gained,
    kept,
    verdict_of,
)

MONDAY = date(2024, 1, 1)


def arm(lapsed, spend):
    return Arm(len(lapsed), int(lapsed.sum()), float(spend.sum()), float((spend**2).sum()))


def week(rng, customers, share, base, keeps, gain=0.0):
    """One week as chance has it: who is held out lapses with probability `base`, who is called a share `keeps` less.

    Spend is as shops have it: nothing of those who lapse, and few who spend much.
    """
    held = rng.random(customers) < share
    lapsed = rng.random(customers) < np.where(held, base, base * (1 - keeps))
    spend = np.where(lapsed, 0.0, rng.lognormal(3.0, 1.0, customers) + np.where(held, 0.0, gain))
    return Week(arm(lapsed[~held], spend[~held]), arm(lapsed[held], spend[held]))


@pytest.mark.parametrize(
    ("customers", "share", "base", "keeps"), [(400, 0.1, 0.3, 0.2), (2000, 0.1, 0.1, 0.0), (300, 0.5, 0.5, 0.4)]
)
def test_an_interval_of_one_week_holds_the_truth_nineteen_times_in_twenty(customers, share, base, keeps):
    rng, truth = np.random.default_rng(1), base * keeps
    found = [kept([week(rng, customers, share, base, keeps)]) for _ in range(2000)]
    held = np.mean([one.low <= truth <= one.high for one in found])
    # Three standard errors of two thousand tries.
    assert 0.935 < held < 0.965 + 0.02


def test_an_interval_of_money_holds_the_truth_nineteen_times_in_twenty_although_few_spend_much():
    rng = np.random.default_rng(2)
    mean = 0.7 * math.exp(3.5)
    truth = (0.7 + 0.3 * 0.2) * (math.exp(3.5) + 5.0) - mean
    found = [gained([week(rng, 2000, 0.2, 0.3, 0.2, 5.0), week(rng, 1000, 0.2, 0.3, 0.2, 5.0)]) for _ in range(1500)]
    assert 0.93 < np.mean([one.low <= truth <= one.high for one in found]) < 0.97


def looks(rng, weeks, errors=at_every_look, **world):
    """What is said at each of a year's looks: all weeks so far, the newest counted with those before it."""
    so_far, said = [], []
    for _ in range(weeks):
        so_far.append(week(rng, **world))
        called, held = (sum(one[part].customers for one in so_far) for part in (0, 1))
        found = kept(so_far, errors(called + held))
        said.append((found, verdict_of(found, called, held, None)))
    return said


def claims(errors, years=150):
    """In how many of simulated years without an effect one was claimed at any look."""
    rng = np.random.default_rng(3)
    world = {"customers": 200, "share": 0.15, "base": 0.3, "keeps": 0.0}
    return np.mean(
        [any(verdict in (KEEPS, LOSES) for _, verdict in looks(rng, 52, errors, **world)) for _ in range(years)]
    )


def test_where_calls_change_nothing_a_year_of_weekly_looks_claims_nothing():
    assert claims(at_every_look) <= 0.05
    assert claims(lambda _: ONCE) > 0.25, "an interval for one look would claim an effect in three years of ten"


def test_an_effect_is_seen_by_the_customers_that_were_said_to_be_needed():
    rng = np.random.default_rng(4)
    needed = customers_needed(0.3, 0.25, 0.2)
    weeks = math.ceil(needed / 500)
    found = [looks(rng, weeks, customers=500, share=0.2, base=0.3, keeps=0.25)[-1] for _ in range(200)]
    seen = np.mean([verdict == KEEPS for _, verdict in found])
    assert POWER - 0.08 < seen < POWER + 0.12
    truth = 0.3 * 0.25
    assert np.mean([one.low <= truth <= one.high for one, _ in found]) >= 0.95


def test_a_week_in_which_more_lapse_and_another_share_held_out_are_no_effect():
    """Simpson's paradox: put into one pot, these weeks would tell of an effect of ten points that is not there."""
    easy, hard = Arm(900, 90), Arm(500, 250)
    weeks = [Week(easy, Arm(100, 10)), Week(hard, Arm(500, 250))]
    assert kept(weeks).value == pytest.approx(0)
    pot = 260 / 600 - 340 / 1400
    assert pot > 0.15


def test_one_week_is_newcombe_s_interval_as_he_printed_it():
    """Newcombe (1998), table II, method 10: of 56/70 - 48/80, of 9/10 - 3/10, and of nothing at all."""
    found = kept([Week(Arm(80, 48), Arm(70, 56))])
    assert [round(one, 4) for one in found] == [0.2, 0.0524, 0.3339]
    found = kept([Week(Arm(10, 3), Arm(10, 9))])
    assert [round(one, 4) for one in found] == [0.6, 0.1705, 0.8090]
    found = kept([Week(Arm(10, 0), Arm(10, 0))])
    assert found.value == 0
    assert -0.28 < found.low < 0 < found.high < 0.28


def test_of_two_alike_weeks_the_interval_is_that_of_one_week_with_all_customers():
    two = kept([Week(Arm(80, 48), Arm(70, 56))] * 2)
    assert two == pytest.approx(kept([Week(Arm(160, 96), Arm(140, 112))]))


def test_a_week_without_customers_in_one_part_says_nothing_and_takes_nothing_away():
    whole = Week(Arm(80, 48), Arm(70, 56))
    assert kept([whole, Week(Arm(30, 3), Arm(0, 0))]) == kept([whole])
    assert math.isnan(kept([Week(Arm(30, 3), Arm(0, 0))]).value)
    assert math.isnan(gained([]).low)


def test_money_of_one_customer_in_a_part_has_no_interval_and_no_spread_is_no_error():
    assert math.isnan(gained([Week(Arm(1, 0, 5.0, 25.0), Arm(1, 0, 3.0, 9.0))]).low)
    assert gained([Week(Arm(2, 0, 10.0, 50.0), Arm(2, 0, 6.0, 18.0))]) == Difference(2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("difference", "called", "held", "needed", "said"),
    [
        (Difference(0.1, 0.02, 0.18), 900, LEAST, 5000, KEEPS),
        (Difference(0.1, 0.02, 0.18), 900, LEAST - 1, 5000, TOO_FEW),
        (Difference(-0.1, -0.18, -0.02), 900, 100, 5000, LOSES),
        (Difference(0.01, -0.02, 0.04), 900, 100, 1001, TOO_FEW),
        (Difference(0.01, -0.02, 0.04), 900, 100, 1000, SAME),
        (Difference(0.0, 0.0, 0.0), 900, 100, None, TOO_FEW),
        (Difference(math.nan, math.nan, math.nan), 900, 100, 10, TOO_FEW),
    ],
)
def test_what_is_said(difference, called, held, needed, said):
    assert verdict_of(difference, called, held, needed) == said


def test_fewer_are_needed_for_a_larger_effect_and_none_can_be_named_where_nobody_lapses():
    assert customers_needed(0.3, 0.5, 0.1) < customers_needed(0.3, 0.2, 0.1)
    assert customers_needed(0.0, 0.2, 0.1) is None
    # A call that keeps everybody: still a number.
    assert customers_needed(0.3, 1.0, 0.1) > 0


def test_a_draw_is_one_s_own_the_same_again_and_another_at_another_cutoff_or_company():
    mine = drawn("shop/lapse", MONDAY, "c1")
    assert mine == drawn("shop/lapse", MONDAY, "c1") == pytest.approx(0.21027917314644284, abs=1e-15)
    others = {drawn("shop/lapse", date(2024, 1, 8), "c1"), drawn("other/lapse", MONDAY, "c1")}
    others.add(drawn("shop/lapse", MONDAY, "c2"))
    assert len({mine, *others}) == 4
    assert all(0 <= one < 1 for one in (mine, *others))


def test_draws_are_spread_evenly_and_know_nothing_of_each_other():
    draws = np.array([drawn("shop/lapse", MONDAY, f"c{number}") for number in range(20_000)])
    counts, _ = np.histogram(draws, bins=20, range=(0, 1))
    # Chi-squared with 19 degrees of freedom is below 43.8 in 999 of 1,000.
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8
    again = np.array([drawn("shop/lapse", date(2024, 1, 8), f"c{number}") for number in range(20_000)])
    assert abs(np.corrcoef(draws, again)[0, 1]) < 0.025


def test_the_share_held_out_is_what_was_asked_for_or_no_chance():
    parts = [part_of(drawn("shop/lapse", MONDAY, str(number)), 0.1) for number in range(5_000)]
    held = parts.count(HELD_OUT)
    assert set(parts) == {CALL, HELD_OUT}
    assert chance_of_share(held, [(5_000, 0.1)]) > 0.01
    # Some went missing, as if somebody had called them and taken them off the list.
    assert chance_of_share(held - 150, [(5_000, 0.1)]) < FAULTY
    assert chance_of_share(100, [(500, 0.1), (250, 0.2)]) == 1.0
    assert chance_of_share(0, []) == 1.0
