"""With more customers than are judged, a share of them is measured, replayed and compared; everybody is scored."""

import pytest

from commands.session import first_failure
from resources.warehouse import DuckDBWarehouse, LocalCopy, share_of

pytestmark = pytest.mark.slow(minutes=2)

MOST = 200


def test_the_weekly_judgement_looks_at_a_share_and_everybody_is_scored(make_baton, tmp_path):
    home = tmp_path / "baton"
    warehouse = DuckDBWarehouse(
        path=str(home / "warehouse.duckdb"),
        local_copy=LocalCopy(str(home / "local_copy.duckdb"), ["customer_id", "household_id"], most_customers=MOST),
    )
    baton = make_baton(home, warehouse=warehouse)
    result = baton.run()
    assert result.success, first_failure(result)

    local = warehouse.local()
    share = share_of(local)
    [[there, newest]] = baton.read(
        "select count(*), max(cutoff_date) from features.feature_frame "
        "where cutoff_date = (select max(cutoff_date) from features.feature_frame)"
    )
    assert share < 1
    assert there * share <= MOST
    # What is measured: the same customers in raw tables, models and feature rows.
    [[judged]] = baton.read(
        f"select count(*) from features.feature_frame where cutoff_date = '{newest}' "
        f"and {warehouse.sampled('customer_id', share)}"
    )
    assert 0 < judged < there
    [[in_drift]] = baton.read(
        f"select max(n) from monitoring.drift where cutoff_date = '{newest}' and layer = 'scores'"
    )
    assert in_drift == judged
    raw = local.read("select distinct cast(household_id as varchar) as customer_id from raw.transactions")
    everybody = {row[0] for row in baton.read("select distinct cast(household_id as varchar) from raw.transactions")}
    assert set(raw["customer_id"]) == {
        row[0]
        for row in baton.read(
            "select distinct cast(household_id as varchar) from raw.transactions "
            f"where {warehouse.sampled('household_id', share)}"
        )
    }
    assert len(raw) < len(everybody)
    # The week was judged, by nothing but these.
    assert baton.read("select count(*) from monitoring.decisions") == [(1,)]
    assert baton.read("select distinct value from monitoring.profile where measure = 'share_of_customers'") == [
        (share,)
    ]
    # Nobody is left out of what customers are served.
    assert baton.read(f"select count(*) from predictions.lapse_predictions where cutoff_date = '{newest}'") == [
        (there,)
    ]
