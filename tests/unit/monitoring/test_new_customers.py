"""Growth is no alarm: who was there before is asked whether it stands without the new customers."""

from datetime import date, timedelta

import pandas as pd
import pytest

from ml_models.monitoring.new_customers import new_customers_alone
from ml_models.problems.question import Question

START = date(2031, 1, 6)
WEEKS = 30
NOW = START + timedelta(days=7 * (WEEKS - 1))


def shop(joined, value_of_old=0.1, value_of_new=0.9):
    """300 customers over 30 cutoffs, and new customers in the last three; `score` is what the alarm is about."""
    rows = []
    for week in range(WEEKS):
        day = pd.Timestamp(START + timedelta(days=7 * week))
        late = week >= WEEKS - 3
        rows += [(number, day, value_of_old if late else 0.1) for number in range(300)]
        if late:
            rows += [(1000 + number, day, value_of_new) for number in range(joined)]
    return pd.DataFrame(rows, columns=["customer_id", "cutoff_date", "score"])


def fails(rows):
    newest = rows[rows["cutoff_date"] == pd.Timestamp(NOW)]
    return newest["score"].mean() > 0.15


def test_an_alarm_that_only_new_customers_raise_is_growth():
    frame = shop(joined=60)
    assert fails(frame)
    assert new_customers_alone(frame, "customer_id", NOW, 11, Question(), fails).startswith(
        "Only among new customers, 17% of the rows (usually 0%)"
    )


def test_an_alarm_that_existing_customers_raise_too_stays_one():
    assert new_customers_alone(shop(joined=60, value_of_old=0.5), "customer_id", NOW, 11, Question(), fails) == ""


@pytest.mark.parametrize("joined", [0, 12])
def test_as_few_new_customers_as_always_are_no_excuse(joined):
    assert new_customers_alone(shop(joined, value_of_new=3.0), "customer_id", NOW, 11, Question(), fails) == ""


def test_when_everybody_is_new_there_is_nobody_to_ask():
    # As after all identifiers were given anew: nobody of the last weeks was there before.
    frame = shop(joined=60)
    late = frame["cutoff_date"] >= pd.Timestamp(NOW - timedelta(days=14))
    assert (
        new_customers_alone(frame[~late | (frame["customer_id"] >= 1000)], "customer_id", NOW, 11, Question(), fails)
        == ""
    )


def test_a_majority_of_new_customers_is_no_growth():
    assert new_customers_alone(shop(joined=400), "customer_id", NOW, 11, Question(), fails) == ""


def test_with_too_short_a_past_nobody_can_tell_who_is_new():
    frame = shop(joined=60)
    recent = frame[frame["cutoff_date"] >= pd.Timestamp(NOW - timedelta(days=7 * 15))]
    assert new_customers_alone(recent, "customer_id", NOW, 11, Question(), fails) == ""
