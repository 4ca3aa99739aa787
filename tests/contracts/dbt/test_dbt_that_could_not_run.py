"""A dbt test that could not be run is told apart from one that found rows: memory that ran out is no fault of data."""

import dagster as dg
import pytest

from assets.company.dbt_nodes import told_apart

FAILED = dg.AssetCheckResult(passed=False, asset_key=dg.AssetKey(["marts", "orders"]), check_name="not_null_order_id")


@pytest.mark.parametrize("status", ["error", "runtime error"])
def test_a_test_that_could_not_be_run_says_nothing_of_the_data(status):
    told = told_apart(FAILED, {"data": {"status": status}})
    assert not told.passed
    assert told.description.startswith("The test could not be run, so it says nothing of the data.")


def test_a_test_that_found_rows_is_left_as_it_is():
    assert told_apart(FAILED, {"data": {"status": "fail"}}) == FAILED
