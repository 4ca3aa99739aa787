"""Features and outcomes are what their definitions say, on real data."""

import random
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from slow_features import features, lines_of, outcome, population
from support.bundled import CATALOGUE, FEATURES

from ml_models.problems.lapse.features import KEYS

PAIRS = 60


@pytest.fixture(scope="module")
def lines(whole_year: Path) -> pd.DataFrame:
    return lines_of(str(whole_year))


@pytest.fixture(scope="module")
def built(whole_year: Path) -> pd.DataFrame:
    return _read(whole_year, "features.customer_features")


def _read(path: Path, table: str) -> pd.DataFrame:
    with duckdb.connect(str(path), read_only=True) as connection:
        frame = connection.execute(f"select * from {table} order by customer_id, cutoff_date").fetchdf()
    frame["cutoff_date"] = frame["cutoff_date"].dt.date
    return frame


def test_features_equal_their_independent_definitions_for_random_customers_and_cutoffs(
    built: pd.DataFrame, lines: pd.DataFrame
) -> None:
    """A new feature may come without a definition in `slow_features`; a definition without a feature may not stay."""
    chosen = random.Random(20170327).sample(range(len(built)), PAIRS)
    # Where undefined values live: the customers with the fewest shopping days.
    chosen += list(built.sort_values(["active_days_84d", "customer_id"], kind="stable").index[:10])
    differences = []
    for row in built.iloc[chosen].itertuples():
        expected = features(lines, row.customer_id, row.cutoff_date)
        assert set(expected) <= set(FEATURES), "slow_features defines what is no feature: take the definition out."
        for name, value in expected.items():
            actual = float(getattr(row, name)) if not pd.isna(getattr(row, name)) else float("nan")
            if not np.isclose(actual, value, rtol=1e-9, atol=1e-9, equal_nan=True):
                differences.append(
                    f"{name} of {row.customer_id} at {row.cutoff_date}: SQL {actual}, definition {value}"
                )
    assert not differences, "\n".join(differences[:20])


def test_columns_come_in_the_agreed_order_and_with_the_agreed_types(built: pd.DataFrame, lines: pd.DataFrame) -> None:
    assert list(built.columns) == [*KEYS, *FEATURES]
    expected = features(lines, built.iloc[0].customer_id, built.iloc[0].cutoff_date)
    assert list(expected) == [name for name in FEATURES if name in expected]
    whole_numbers = {name for name in expected if built[name].dtype == "int64"}
    counts = (
        "recency_days",
        "trips_",
        "active_",
        "days_since",
        "spend_cents",
        "max_basket",
        "categories_",
        "departments_",
    )
    other = {"active_days_slope_84d", "categories_ratio_28d_84d", "trips_ratio_28d_84d", "trips_ratio_14d_28d"}
    assert whole_numbers == {name for name in expected if name.startswith((*counts, "stores_", "coupon_cents"))} - other
    assert all(built[name].dtype == "float64" for name in set(expected) - whole_numbers)
    assert {name: str(built[name].dtype) for name in FEATURES} == {name: CATALOGUE[name].dtype for name in FEATURES}


@pytest.mark.parametrize("cutoff", [date(2017, 3, 27), date(2017, 9, 4), date(2018, 1, 1)])
def test_the_population_is_who_shopped_in_the_28_days_before(
    built: pd.DataFrame, lines: pd.DataFrame, cutoff: date
) -> None:
    assert set(built.loc[built["cutoff_date"] == cutoff, "customer_id"]) == population(lines, cutoff)


def test_cutoffs_are_the_mondays_from_the_first_full_window_to_the_day_after_the_watermark(built: pd.DataFrame) -> None:
    expected = [day.date() for day in pd.date_range("2017-03-27", "2018-01-01", freq="W-MON")]
    assert sorted(built["cutoff_date"].unique()) == expected


def test_outcomes_equal_their_definition_and_exist_for_every_mature_cutoff(
    whole_year: Path, built: pd.DataFrame, lines: pd.DataFrame
) -> None:
    outcomes = _read(whole_year, "outcomes.customer_outcomes")
    # The watermark is 31 December: 4 December is the newest cutoff whose 28 days are over.
    mature = built.loc[built["cutoff_date"] <= date(2017, 12, 4), ["customer_id", "cutoff_date"]]
    pd.testing.assert_frame_equal(outcomes[["customer_id", "cutoff_date"]], mature.reset_index(drop=True))
    some = random.Random(7).sample(range(len(outcomes)), PAIRS)
    lapses = list(outcomes.index[outcomes["lapsed"] == 1][:PAIRS])
    for row in outcomes.iloc[some + lapses].itertuples():
        assert {
            "lapsed": row.lapsed,
            "active_days_next_28d": row.active_days_next_28d,
            "spend_cents_next_28d": row.spend_cents_next_28d,
        } == outcome(lines, row.customer_id, row.cutoff_date)
