"""No training label overlaps the holdout, whatever the history looks like."""

from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.bundled import PROBLEM
from support.simulated_shop import cutoffs_of

from ml_models.training.splits import assign_split, inner_split, split_cutoffs, split_training_set

HORIZON = PROBLEM.horizon_days


def test_a_year_of_cutoffs_splits_as_the_published_baselines_do() -> None:
    split = split_cutoffs(cutoffs_of(37), HORIZON)
    assert (split.train[0], split.train[-1]) == (date(2017, 3, 27), date(2017, 7, 3))
    assert split.gap == (date(2017, 7, 10), date(2017, 7, 17), date(2017, 7, 24))
    assert (split.holdout[0], split.holdout[-1]) == (date(2017, 7, 31), date(2017, 12, 4))


@given(st.sets(st.integers(0, 60), min_size=5).filter(lambda weeks: max(weeks) - min(weeks) >= 4))
def test_every_split_keeps_its_promises(weeks: set[int]) -> None:
    cutoffs = [date(2017, 3, 27) + timedelta(weeks=week) for week in weeks]
    split = split_cutoffs(reversed(cutoffs), HORIZON)
    assert sorted(cutoffs) == [*split.train, *split.gap, *split.holdout]
    assert split.train
    assert 1 <= len(split.holdout) <= (len(cutoffs) + 1) // 2
    assert split.train[-1] + timedelta(days=HORIZON) <= split.holdout[0]
    assert all(cutoff + timedelta(days=HORIZON) > split.holdout[0] for cutoff in split.gap)


def test_five_cutoffs_are_the_least_and_leave_one_for_each_side() -> None:
    split = split_cutoffs(cutoffs_of(5), HORIZON)
    assert (len(split.train), len(split.gap), len(split.holdout)) == (1, 3, 1)
    with pytest.raises(ValueError, match=r"at least 5 matured cutoffs .* got 4 .*2017-04-17.*sync more history"):
        split_cutoffs(cutoffs_of(4), HORIZON)


def test_cutoffs_closer_together_than_the_horizon_are_refused() -> None:
    with pytest.raises(ValueError, match="span more than the horizon of 28 days"):
        split_cutoffs([date(2017, 3, 27) + timedelta(days=day) for day in range(10)], HORIZON)


def test_rows_are_named_by_their_cutoff_and_sorted(world: pd.DataFrame) -> None:
    frame, split = split_training_set(world.sample(frac=1, random_state=1), PROBLEM)
    again, _ = split_training_set(world, PROBLEM)
    pd.testing.assert_frame_equal(frame, again)
    held_out = frame.loc[frame["split"] == "holdout", "cutoff_date"].dt.date
    assert set(held_out) == set(split.holdout)
    assert set(frame["split"]) == {"train", "gap", "holdout"}


def test_a_row_without_an_outcome_is_refused(world: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="label in every row, got 1 null lapsed"):
        split_training_set(world.assign(lapsed=world["lapsed"].where(world.index > 0)), PROBLEM)


def test_a_missing_feature_is_named(world: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="trips_7d is missing"):
        split_training_set(world.drop(columns="trips_7d"), PROBLEM)


def test_the_inner_split_keeps_the_maturity_gap_when_history_allows() -> None:
    weeks = cutoffs_of(15)
    rows = pd.DataFrame({"customer_id": "c", "cutoff_date": pd.to_datetime(weeks)})
    part, how = inner_split(rows, PROBLEM)
    fit, validate = (rows.loc[part == name, "cutoff_date"] for name in ("fit", "validate"))
    assert fit.max() + pd.Timedelta(days=HORIZON) <= validate.min()
    assert how.startswith("time: fit 2017-03-27")


def test_with_too_few_cutoffs_the_inner_split_separates_customers(training_set: pd.DataFrame) -> None:
    rows = training_set[training_set["cutoff_date"] <= "2017-04-10"]
    part, how = inner_split(rows, PROBLEM)
    sides = rows.assign(part=part).groupby("customer_id")["part"].nunique()
    assert (sides == 1).all()
    assert 0.25 < (part == "validate").mean() < 0.42
    assert how.startswith("customers: 3 training cutoff(s)")


def test_split_names_follow_any_date_type() -> None:
    split = split_cutoffs(cutoffs_of(6), HORIZON)
    as_dates, as_stamps = pd.Series(cutoffs_of(6)), pd.Series(pd.to_datetime(cutoffs_of(6)))
    assert assign_split(as_dates, split).tolist() == assign_split(as_stamps, split).tolist()
    assert assign_split(as_dates, split).tolist() == ["train", "gap", "gap", "gap", "holdout", "holdout"]
