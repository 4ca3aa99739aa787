"""A history of any length becomes the feature frame, a piece at a time, and still all of it or nothing."""

import dagster as dg
import pandas as pd
import pytest
from support.simulated_shop import cutoffs_of, make_frame

from assets.problem.frame import feature_frame
from resources.clock import Clock
from resources.warehouse import DuckDBWarehouse

WORLD = make_frame(customers=150, cutoffs=5).drop(columns="lapsed")
A_CUTOFF = WORLD.groupby("cutoff_date").size().max()


@pytest.fixture
def warehouse(tmp_path) -> DuckDBWarehouse:
    made = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"), wait_seconds=1)
    made.replace_table("features", "customer_features", WORLD)
    made.replace_table("features", "cutoffs", pd.DataFrame({"cutoff_date": pd.to_datetime(cutoffs_of(5))}))
    return made


def materialized(warehouse, most_rows, **config):
    return dg.materialize(
        [feature_frame],
        resources={"warehouse": warehouse, "clock": Clock(reads="2018-01-01T09:00:00+00:00")},
        run_config={"ops": {"feature_frame": {"config": {"most_rows": int(most_rows), **config}}}},
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
    )


def frame_of(warehouse):
    return warehouse.read("select * from features.feature_frame order by cutoff_date, customer_id")


def test_pieces_make_the_frame_that_one_piece_makes(warehouse):
    assert materialized(warehouse, 1_000_000).success
    whole = frame_of(warehouse)
    warehouse.replace_table("features", "feature_frame", whole.iloc[:0])
    result = materialized(warehouse, 2 * A_CUTOFF)
    assert result.success
    pd.testing.assert_frame_equal(frame_of(warehouse), whole)
    [check] = result.get_asset_check_evaluations()
    assert check.passed
    assert check.metadata["rows_validated"].value == len(WORLD)
    assert check.metadata["cutoffs_validated"].value == 5


def test_a_row_that_is_wrong_in_the_last_piece_keeps_all_pieces_out(warehouse):
    bad = WORLD.copy()
    bad.loc[bad.index[-1], "recency_days"] = -3
    warehouse.replace_table("features", "customer_features", bad[bad["cutoff_date"] == bad["cutoff_date"].min()])
    assert materialized(warehouse, 1).success
    before = frame_of(warehouse)
    warehouse.replace_table("features", "customer_features", bad)
    result = materialized(warehouse, 1)
    assert not result.success
    [check] = result.get_asset_check_evaluations()
    assert not check.passed
    assert "recency_days" in check.description
    pd.testing.assert_frame_equal(frame_of(warehouse), before)


def test_a_cutoff_that_is_none_any_more_leaves_the_frame_with_a_rebuild_and_not_before(warehouse):
    first, *_, last = cutoffs_of(5)
    assert materialized(warehouse, 1_000_000).success
    warehouse.replace_table("features", "customer_features", WORLD[WORLD["cutoff_date"] != pd.Timestamp(last)])
    assert materialized(warehouse, 1_000_000).success
    assert pd.Timestamp(last) in set(frame_of(warehouse)["cutoff_date"])
    for rebuild_from in (last, first):
        assert materialized(warehouse, 1_000_000, rebuild_from=str(rebuild_from)).success
        assert len(frame_of(warehouse)) == len(WORLD[WORLD["cutoff_date"] != pd.Timestamp(last)])
