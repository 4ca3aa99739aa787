"""Evidence that may be looked at every week: its false alarms are bounded, and a real move is seen."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from support.bundled import PROBLEM

from ml_models.model_version import ModelInfo
from ml_models.monitoring.anytime_evidence import ALPHA, EPOCH_WEEKS, NOTHING, TOLERATED, capital, since_promotion

WORLDS, ROWS = 200, 60
PROMOTED = date(2030, 3, 4)


def logistic(odds):
    return 1 / (1 + np.exp(-odds))


def world(generator, shift):
    """Return an epoch of weeks: scores, and outcomes whose log-odds lie `shift(week)` above them."""
    weeks = []
    for week in range(EPOCH_WEEKS):
        odds = generator.normal(-1.4, 1.0, size=ROWS)
        seen = (generator.random(ROWS) < logistic(odds + shift(week))).astype("float64")
        high = odds >= np.median(odds)
        expected = logistic(odds)
        weeks.append([(expected, seen), (expected[high], seen[high]), (expected[~high], seen[~high])])
    return weeks


@pytest.mark.parametrize(
    "shift",
    [
        lambda generator: lambda week: 0.0,
        lambda generator: lambda week: TOLERATED,
        lambda generator: lambda week: -TOLERATED,
        lambda generator: lambda week: generator.uniform(-TOLERATED, TOLERATED),
        lambda generator: lambda week: TOLERATED * (1 if week % 2 else -1),
    ],
    ids=["nothing moves", "at the upper edge", "at the lower edge", "weeks wobble", "weeks swing from edge to edge"],
)
def test_within_the_tolerance_the_bound_is_ever_reached_in_at_most_one_epoch_of_twenty(shift):
    generator = np.random.default_rng(7)
    ever = sum(capital(world(generator, shift(generator))).max() >= 1 / ALPHA for _ in range(WORLDS))
    # Five of a hundred, and what chance adds to a count of so many.
    assert ever <= WORLDS * ALPHA + 2 * np.sqrt(WORLDS * ALPHA * (1 - ALPHA))


def test_at_the_edge_the_expected_capital_is_one_and_within_it_less():
    generator = np.random.default_rng(3)
    single = [capital(world(generator, lambda week: TOLERATED)[:1])[0] for _ in range(1000)]
    within = [capital(world(generator, lambda week: 0.0)[:1])[0] for _ in range(1000)]
    assert np.mean(single) < 1 + 3 * np.std(single) / np.sqrt(len(single))
    assert np.mean(within) < 0.5


@pytest.mark.parametrize("sign", [1, -1])
def test_a_move_well_beyond_the_tolerance_is_seen_in_most_epochs(sign):
    generator = np.random.default_rng(11)
    seen = [capital(world(generator, lambda week: sign * (TOLERATED + 0.6))).max() >= 1 / ALPHA for _ in range(60)]
    assert np.mean(seen) > 0.9


def shop(weeks, shift, customers=3000):
    """Return feature rows and outcomes of a shop whose one feature is the log-odds of lapsing, and its champion."""
    generator = np.random.default_rng(5)
    name = PROBLEM.features[0]
    days = [PROMOTED + timedelta(days=7 * week) for week in range(-12, weeks)]
    odds = generator.normal(-1.4, 0.9, size=customers)
    frames, labels = [], []
    for day in days:
        keys = {"customer_id": [f"c{n}" for n in range(customers)], "cutoff_date": pd.Timestamp(day)}
        moved = shift(day)
        frames.append(pd.DataFrame({**keys, name: odds + generator.normal(0, 0.2, size=customers) + moved[1]}))
        lapsed = generator.random(customers) < logistic(frames[-1][name] + moved[0])
        labels.append(pd.DataFrame({**keys, "lapsed": lapsed.astype(int)}))
    info = ModelInfo("1", PROMOTED - timedelta(days=28), PROMOTED)
    return pd.concat(frames, ignore_index=True), pd.concat(labels, ignore_index=True), info


def judged(parts, weeks, excluded=()):
    frame, outcomes, champion = parts
    cutoff = PROMOTED + timedelta(days=7 * (weeks - 1))
    known = outcomes[outcomes["cutoff_date"] + pd.Timedelta(days=28) <= pd.Timestamp(cutoff)]
    predict = lambda rows: logistic(rows[PROBLEM.features[0]].to_numpy())  # noqa: E731
    return since_promotion(champion, frame, known, cutoff, PROBLEM, predict, excluded)


def test_a_base_rate_that_moves_speaks_against_calibration_and_not_against_the_scores():
    found = judged(shop(14, lambda day: (1.2 if day >= PROMOTED else 0.0, 0.0)), 14)
    assert found.calibration.alarm
    assert not found.scores.alarm
    assert "at most 5%" in found.sentence


def test_customers_who_change_speak_against_the_scores_and_not_against_calibration():
    found = judged(shop(14, lambda day: (0.0, 1.2 if day >= PROMOTED else 0.0)), 14)
    assert found.scores.alarm
    assert not found.calibration.alarm


def test_where_nothing_moves_nothing_speaks_against_the_champion():
    found = judged(shop(20, lambda day: (0.0, 0.0)), 20)
    assert found.calibration.peak < 3
    assert found.scores.peak < 3


def test_each_customer_speaks_once_in_an_epoch_and_the_next_epoch_begins_anew():
    parts = shop(EPOCH_WEEKS + 1, lambda day: (0.0, 0.0))
    found = judged(parts, EPOCH_WEEKS)
    assert found.scores.weeks == EPOCH_WEEKS
    assert found.scores.rows == 3000
    assert judged(parts, EPOCH_WEEKS + 1).scores.weeks == 1


def test_excluded_cutoffs_say_nothing():
    parts = shop(3, lambda day: (0.0, 5.0 if day == PROMOTED else 0.0))
    assert judged(parts, 3).scores.peak > 20
    assert judged(parts, 3, excluded=[PROMOTED]).scores.peak < 3


def test_before_the_first_scored_cutoff_nothing_speaks_against_the_champion():
    frame, outcomes, champion = shop(1, lambda day: (0.0, 0.0))
    before = since_promotion(champion, frame.iloc[:0], outcomes, PROMOTED, PROBLEM, lambda rows: rows)
    assert before.calibration == before.scores == NOTHING
