"""Whatever people move of a customer, the row that the model is asked with could be some customer's."""

import math

import numpy as np
import pandas as pd
import pytest
from support.bundled import CATALOGUE, FEATURES, PROBLEM

from ml_models.problems.lapse.frame import frame_schema
from ml_models.validation import validate_frame

WHAT_IF = PROBLEM.what_if or pytest.fail("the bundled company's problem says what may be moved")
LEVERS = {lever.feature: lever.step for lever in WHAT_IF.levers}


@pytest.fixture(scope="module")
def rows(world):
    """Three hundred customers as they are."""
    return [
        {name: float(value) for name, value in row.items()}
        for row in world[FEATURES].iloc[:: len(world) // 300].astype("float64").to_dict("records")
    ]


def same(one, other):
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)


def changed(row, moved):
    new = WHAT_IF.follow(row, moved)
    return {name for name in FEATURES if not same(new[name], row[name])}


def test_whatever_is_moved_the_row_keeps_every_rule_of_the_frame(rows, world):
    """Up to three levers at a time, to values between the least and the most that there is."""
    draw = np.random.default_rng(0)
    least, most = world[FEATURES].min(), world[FEATURES].max()
    made = []
    for row in rows * 2:
        moved = {}
        for name in draw.choice(list(LEVERS), draw.integers(1, 4), replace=False):
            step = LEVERS[name]
            value = step * round(draw.uniform(least[name], most[name]) / step)
            low, high = CATALOGUE[name].low, CATALOGUE[name].high
            if not math.isnan(row[name]):
                moved[name] = min(max(value, low), math.inf if high is None else high)
        made.append(WHAT_IF.follow(row, moved))
    cutoff = pd.Timestamp("2024-01-01")
    frame = pd.DataFrame(made)[FEATURES].assign(customer_id=[str(n) for n in range(len(made))], cutoff_date=cutoff)
    whole = {name: "int64" for name in FEATURES if CATALOGUE[name].dtype == "int64"}
    report = validate_frame(frame.astype(whole), frame_schema(CATALOGUE, PROBLEM.question, [cutoff]))
    assert report.passed, report.sentence


def test_a_lever_that_stays_where_it_is_moves_nothing(rows):
    for row in rows[:60]:
        for name in LEVERS:
            if not math.isnan(row[name]):
                assert changed(row, {name: row[name]}) == set(), name


def test_a_visit_more_in_the_newest_week_is_one_in_every_window(rows):
    row = next(one for one in rows if one["active_days_week_1"] == 1 and one["trips_7d"] == 1)
    new = WHAT_IF.follow(row, {"active_days_week_1": 2.0})
    for name in ("trips_7d", "trips_14d", "trips_28d", "trips_84d", "active_days_28d", "active_days_84d"):
        assert new[name] == row[name] + 1, name
    assert new["spend_cents_84d"] == row["spend_cents_84d"] + row["spend_cents_7d"], "worth what the week's order was"
    # Least squares over twelve weeks: the newest has the weight 11 / 286.
    assert new["active_days_slope_84d"] == pytest.approx(row["active_days_slope_84d"] + 11 / 286)
    gaps = new["active_days_84d"] - 1
    span = new["days_since_first_seen_84d"] - new["recency_days"]
    assert new["gap_mean_days_84d"] == pytest.approx(span / gaps)
    assert new["recency_over_gap_mean"] == pytest.approx(new["recency_days"] * gaps / span)


def test_who_came_longer_ago_did_not_come_since(rows):
    row = next(one for one in rows if one["recency_days"] <= 3 and one["active_days_week_2"] > 0)
    new = WHAT_IF.follow(row, {"recency_days": 16.0})
    assert (new["active_days_week_1"], new["active_days_week_2"], new["trips_14d"]) == (0, 0, 0)
    assert new["active_days_week_3"] >= 1
    assert new["active_days_84d"] < row["active_days_84d"]


def test_who_comes_never_in_four_weeks_would_not_be_scored_so_one_visit_stays(rows):
    moved = dict.fromkeys(("active_days_week_1", "active_days_week_2", "active_days_week_3", "active_days_week_4"), 0.0)
    for row in rows[:40]:
        new = WHAT_IF.follow(row, moved)
        assert new["active_days_28d"] == 1
        assert 22 <= new["recency_days"] <= 28


def test_a_larger_basket_multiplies_all_spend_and_no_ratio(rows):
    row = next(one for one in rows if one["spend_cents_28d"] > 10_000)
    new = WHAT_IF.follow(row, {"mean_basket_cents_84d": 2 * row["mean_basket_cents_84d"]})
    for name in ("spend_cents_28d", "spend_cents_84d", "max_basket_cents_84d", "spend_slope_84d"):
        assert new[name] == pytest.approx(2 * row[name], rel=0.001), name
    for name in ("spend_ratio_28d_84d", "trips_84d", "gap_mean_days_84d", "spend_cv_84d"):
        assert new[name] == pytest.approx(row[name], rel=0.001, nan_ok=True), name


def test_shares_of_the_spend_are_never_more_than_all_of_it(rows):
    shares = [name for name in LEVERS if CATALOGUE[name].family == "mix" and name.endswith("_share_84d")]
    shares = [name for name in shares if "private_label" not in name]
    row = next(one for one in rows if all(one[name] > 0 for name in shares[:2]))
    new = WHAT_IF.follow(row, {shares[0]: 1.0})
    assert new[shares[0]] == 1
    assert sum(new[name] for name in shares) == pytest.approx(1)


def test_every_company_of_the_question_has_levers_of_its_own_features_only():
    from ml_models.problems.lapse.problem import lapse
    from ml_models.problems.question import Question

    for question in (Question(look_back_days=28), Question(84, 28, 84, 168, 28), Question(30, 15, 30, 336, 7)):
        least = lapse(question, parts=())
        levers = [lever.feature for lever in least.what_if.levers]
        assert {"recency_days", f"mean_basket_cents_{question.look_back_days}d"} < set(levers)
        assert set(levers) <= set(least.features)
