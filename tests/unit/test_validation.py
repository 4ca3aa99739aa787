"""The hand-over to machine learning: whatever is wrong with the frame is told in a table, never in a traceback."""

from datetime import date
from functools import partial

import numpy as np
import pandas as pd
import pytest
from support.bundled import CATALOGUE, FEATURES
from support.simulated_shop import cutoffs_of, make_frame

from ml_models.problems.lapse.features import KEYS
from ml_models.problems.lapse.frame import frame_schema
from ml_models.problems.question import Question
from ml_models.validation import FrameReport, validate_frame

CUTOFFS = cutoffs_of(3)
schema = partial(frame_schema, CATALOGUE, Question())


@pytest.fixture(scope="module")
def valid() -> pd.DataFrame:
    return make_frame(customers=120, cutoffs=3).drop(columns="lapsed")


def judge(frame: pd.DataFrame) -> FrameReport:
    return validate_frame(frame, schema(CUTOFFS, required=CUTOFFS))


def failure(report: FrameReport, column: str, check: str) -> pd.Series:
    found = report.failures[(report.failures["column"] == column) & (report.failures["check"] == check)]
    assert len(found) == 1, report.sentence
    return found.iloc[0]


def test_the_catalogue_describes_each_feature_once() -> None:
    assert len(FEATURES) == len(set(FEATURES)) > 0
    assert all(feature.description.endswith(".") and "{value}" in feature.phrase for feature in CATALOGUE.values())


def test_a_valid_frame_passes_in_the_order_of_the_schema(valid: pd.DataFrame) -> None:
    report = judge(valid[valid.columns[::-1]])
    assert report.passed, report.sentence
    assert report.frame is not None
    assert list(report.frame.columns) == [*KEYS, *FEATURES]


def test_types_that_lose_nothing_are_no_failure(valid: pd.DataFrame) -> None:
    stored = valid.assign(
        trips_7d=valid["trips_7d"].astype("Int64"),
        gap_max_days_84d=valid["gap_max_days_84d"].astype("Int64"),
        trips_14d=valid["trips_14d"].astype("float64"),
        fuel_share_84d=0,
        cutoff_date=valid["cutoff_date"].dt.date,
        customer_id=valid["customer_id"].astype("string"),
    )
    report = judge(stored)
    assert report.passed, report.sentence
    assert report.frame is not None
    pd.testing.assert_frame_equal(report.frame.drop(columns="fuel_share_84d"), valid.drop(columns="fuel_share_84d"))


def test_no_new_cutoff_is_a_valid_empty_frame(valid: pd.DataFrame) -> None:
    assert validate_frame(valid.iloc[:0], schema(CUTOFFS)).passed


def test_all_failures_are_told_at_once_and_the_frame_is_withheld(valid: pd.DataFrame) -> None:
    broken = valid.assign(mean_hour_84d=99.0, top_store_share_84d=np.nan)
    report = judge(broken)
    assert not report.passed
    assert report.frame is None
    assert failure(report, "mean_hour_84d", "range")["failing_rows"] == len(valid)
    assert failure(report, "top_store_share_84d", "not null")["failing_rows"] == len(valid)
    assert "expected" in report.sentence


def test_text_in_a_numeric_column_is_shown_with_its_key(valid: pd.DataFrame) -> None:
    broken = valid.assign(spend_cents_7d=valid["spend_cents_7d"].astype(object))
    broken.loc[4, "spend_cents_7d"] = "12,50"
    row = failure(judge(broken), "spend_cents_7d", "type number")
    assert row["failing_rows"] == 1
    assert valid.loc[4, "customer_id"] in row["examples"]
    assert "12,50" in row["examples"]


def test_a_number_written_as_text_is_text(valid: pd.DataFrame) -> None:
    broken = valid.assign(trips_7d=valid["trips_7d"].astype(str))
    assert failure(judge(broken), "trips_7d", "type number")["failing_rows"] == len(valid)


def test_duplicate_keys_are_named(valid: pd.DataFrame) -> None:
    row = failure(judge(pd.concat([valid, valid.iloc[:1]])), "customer_id, cutoff_date", "keys unique")
    assert row["failing_rows"] == 2
    assert valid.loc[0, "customer_id"] in row["examples"]


def test_a_renamed_column_shows_as_missing_and_as_unknown(valid: pd.DataFrame) -> None:
    report = judge(valid.rename(columns={"stores_84d": "shops_84d"}))
    assert failure(report, "stores_84d", "column present")["failing_rows"] == len(valid)
    assert "renamed from stores_84d?" in failure(report, "shops_84d", "known column")["expected"]
    # Facts that need the missing column are not reported a second time.
    assert len(report.failures) == 2, report.sentence


@pytest.mark.parametrize("column", ["recency_z", "mean_basket_cents_84d", "spend_slope_84d"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinities_fail_also_where_no_bound_is_set(valid: pd.DataFrame, column: str, value: float) -> None:
    broken = valid.copy()
    broken.loc[2, column] = value
    assert failure(judge(broken), column, "range")["failing_rows"] == 1


def test_nulls_in_a_count_are_nulls_and_not_a_type(valid: pd.DataFrame) -> None:
    broken = valid.astype({"trips_7d": "Int64"})
    broken.loc[3, "trips_7d"] = pd.NA
    report = judge(broken)
    assert failure(report, "trips_7d", "not null")["failing_rows"] == 1
    assert set(report.failures["column"]) == {"trips_7d"}


@pytest.mark.parametrize(
    ("column", "value", "fact"),
    [
        ("trips_7d", 10_000, "trip windows nest"),
        ("spend_cents_7d", 10**9, "spend windows nest"),
        ("active_days_week_2", 0, "weeks add up"),
        ("days_since_first_seen_84d", 1, "recency agrees with trips"),
        ("max_basket_cents_28d", 10**9, "baskets nest"),
        ("categories_28d", 10**6, "categories nest"),
        ("gap_max_days_84d", 1.0, "gaps nest"),
        ("gap_mean_days_84d", np.nan, "gaps exist"),
        ("active_weeks_84d", 12, "shopping days nest"),
    ],
)
def test_a_fact_between_columns_is_checked(valid: pd.DataFrame, column: str, value: float, fact: str) -> None:
    candidates = (
        valid["active_days_week_2"].gt(0) & valid["recency_days"].gt(1) & valid["active_days_84d"].between(3, 11)
    )
    row = candidates & (valid["gap_mean_days_84d"] > 1)
    broken = valid.copy()
    broken.loc[row.idxmax(), column] = value
    assert failure(judge(broken), "(row)", fact)["failing_rows"] == 1


def test_no_row_may_be_later_than_the_newest_cutoff(valid: pd.DataFrame) -> None:
    late = valid.copy()
    late.loc[0, "cutoff_date"] = pd.Timestamp("2017-04-17")
    assert failure(judge(late), "cutoff_date", "no row later than the cutoff")["failing_rows"] == 1


def test_a_cutoff_without_rows_is_named(valid: pd.DataFrame) -> None:
    row = failure(judge(valid[valid["cutoff_date"] != "2017-04-03"]), "cutoff_date", "every cutoff has rows")
    assert "2017-04-03" in row["expected"]


def test_dates_that_are_none_are_told(valid: pd.DataFrame) -> None:
    broken = valid.assign(cutoff_date=valid["cutoff_date"].astype(str))
    broken.loc[1, "cutoff_date"] = "soon"
    assert failure(judge(broken), "cutoff_date", "type dates")["failing_rows"] == 1


def test_an_empty_table_without_columns_is_a_report() -> None:
    assert set(judge(pd.DataFrame()).failures["check"]) == {"column present"}


@pytest.mark.parametrize(("cutoffs", "words"), [([], "at least one cutoff"), ([date(2017, 3, 28)], "Mondays")])
def test_a_schema_without_sensible_cutoffs_is_refused(cutoffs: list[date], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        schema(cutoffs)
