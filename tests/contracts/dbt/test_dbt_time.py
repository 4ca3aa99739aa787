"""What was known at a cutoff stays what was known: no future, no silent rewriting, only new cutoffs."""

from pathlib import Path

import pandas as pd
import pytest
from dbt_workshop import BEFORE_THE_MODEL, StartFrom, Warehouse
from support.bundled import COMPANY

from resources.company.choice import BUNDLED, folder_of
from resources.company.dbt_project import prepare
from resources.dbt import DbtError


def test_an_earlier_build_has_the_same_rows_for_the_cutoffs_in_common(
    june: Path, whole_year: Path, start_from: StartFrom
) -> None:
    then = start_from(june).table("features.customer_features")
    now = start_from(whole_year).table("features.customer_features")
    assert then["cutoff_date"].max() == pd.Timestamp("2017-06-19")
    in_common = now[now["cutoff_date"] <= "2017-06-19"].reset_index(drop=True)
    pd.testing.assert_frame_equal(then, in_common, check_exact=True)


def test_a_second_run_with_nothing_new_changes_nothing(june: Path, start_from: StartFrom) -> None:
    warehouse = start_from(june)
    tables = ["features.customer_features", "outcomes.customer_outcomes"]
    before = {table: warehouse.table(table) for table in tables}
    lines = warehouse.read("select count(*) as n, sum(amount_cents) as cents from staging.stg_order_lines")
    warehouse.models()
    for table in tables:
        pd.testing.assert_frame_equal(before[table], warehouse.table(table), check_exact=True)
    pd.testing.assert_frame_equal(
        lines, warehouse.read("select count(*) as n, sum(amount_cents) as cents from staging.stg_order_lines")
    )


def test_a_later_sync_adds_only_the_new_cutoffs_and_those_that_matured(june: Path, start_from: StartFrom) -> None:
    warehouse = start_from(june)
    before = warehouse.table("features.customer_features")
    warehouse.load("2017-07-03T08:00:00-04:00")
    warehouse.models()
    after = warehouse.table("features.customer_features")
    new = after[after["cutoff_date"] > "2017-06-19"]
    assert sorted(new["cutoff_date"].dt.date.astype(str).unique()) == ["2017-06-26", "2017-07-03"]
    pd.testing.assert_frame_equal(before, after[after["cutoff_date"] <= "2017-06-19"].reset_index(drop=True))
    outcomes = warehouse.table("outcomes.customer_outcomes")
    assert outcomes["cutoff_date"].max() == pd.Timestamp("2017-06-05")
    # Added week by week or built at once, the lines are the same.
    stored = warehouse.read("select count(*) as n, sum(amount_cents) as cents from staging.stg_order_lines")
    raw = warehouse.read(
        "select count(*) as n, sum(cast(round(sales_value * 100) as bigint)) as cents from raw.transactions"
    )
    pd.testing.assert_frame_equal(stored, raw)


def test_a_late_order_changes_no_served_cutoff_until_somebody_rebuilds(june: Path, start_from: StartFrom) -> None:
    warehouse = start_from(june)
    before = warehouse.table("features.customer_features")
    lapsed = warehouse.read(
        "select customer_id from outcomes.customer_outcomes "
        "where cutoff_date = date '2017-05-08' and lapsed = 1 order by customer_id limit 1"
    )["customer_id"][0]
    # An order of 10 May that arrives six weeks later, in the sync of 26 June.
    warehouse.load("2017-06-26T08:00:00-04:00")
    warehouse.execute(
        "insert into raw.transactions select * replace (1 as basket_id, cast(? as bigint) as household_id, "
        "timestamp '2017-05-10 16:00:00' as transaction_timestamp, "
        "timestamptz '2017-06-26 08:00:00-04:00' as _airbyte_extracted_at) from raw.transactions limit 1",
        [lapsed],
    )

    warehouse.models()
    assert warehouse.read(
        f"select orders from marts.customer_days where customer_id = '{lapsed}' and ordered_on = date '2017-05-10'"
    )["orders"].tolist() == [1], "the marts show what is known by now"
    after = warehouse.table("features.customer_features")
    served = after[after["cutoff_date"] <= "2017-06-19"].reset_index(drop=True)
    pd.testing.assert_frame_equal(before, served, check_exact=True)
    assert _lapsed(warehouse, lapsed, "2017-05-08") == 1

    warehouse.models(rebuild_from="2017-05-08")
    rebuilt = warehouse.table("features.customer_features")
    assert _lapsed(warehouse, lapsed, "2017-05-08") == 0
    old = rebuilt["cutoff_date"] < "2017-05-15"
    pd.testing.assert_frame_equal(
        before[before["cutoff_date"] < "2017-05-15"].reset_index(drop=True), rebuilt[old].reset_index(drop=True)
    )
    changed = rebuilt[(rebuilt["customer_id"] == lapsed) & (rebuilt["cutoff_date"] == "2017-05-15")]
    assert changed["recency_days"].tolist() == [5], "the rebuilt cutoff knows the order of 10 May"
    others = rebuilt["customer_id"] != lapsed
    pd.testing.assert_frame_equal(
        after[after["customer_id"] != lapsed].reset_index(drop=True), rebuilt[others].reset_index(drop=True)
    )


def _lapsed(warehouse: Warehouse, customer: str, cutoff: str) -> int:
    return int(
        warehouse.read(
            f"select lapsed from outcomes.customer_outcomes where customer_id = '{customer}' "
            f"and cutoff_date = date '{cutoff}'"
        )["lapsed"][0]
    )


def test_a_rebuild_from_something_that_is_no_date_is_refused(june: Path, start_from: StartFrom) -> None:
    with pytest.raises(DbtError, match="BATON_REBUILD_FROM must be a date as in 2024-09-02"):
        start_from(june).models(rebuild_from="last week")


def test_before_any_cutoff_matured_outcomes_are_an_empty_table(start_from: StartFrom) -> None:
    warehouse = start_from(None)
    warehouse.load("2017-04-03T08:00:00-04:00")
    warehouse.dbt("build", *BEFORE_THE_MODEL)
    assert warehouse.read("select distinct cutoff_date from features.customer_features order by 1")[
        "cutoff_date"
    ].dt.date.astype(str).tolist() == ["2017-03-27", "2017-04-03"]
    outcomes = warehouse.table("outcomes.customer_outcomes")
    assert outcomes.empty
    assert list(outcomes.columns) == [
        "customer_id",
        "cutoff_date",
        "lapsed",
        "active_days_next_28d",
        "spend_cents_next_28d",
        "matured_on",
    ]


@pytest.mark.parametrize("relation", ["customer_days", "orders", "spans"])
def test_the_audit_finds_a_query_that_looks_a_week_ahead(
    relation: str, june: Path, start_from: StartFrom, tmp_path: Path
) -> None:
    honest = start_from(june)
    audit = ("--select", "customer_features", "features_know_nothing_of_the_future", "--full-refresh")
    project = prepare(COMPANY, folder_of(BUNDLED), tmp_path / "project")
    query = project / "models" / "features" / "customer_features.sql"
    ahead = f"{relation}.ordered_on < {{{{ add_days('cutoffs.cutoff_date', 7) }}}}"
    text = query.read_text()
    leaking = text.replace(f"{relation}.ordered_on < cutoffs.cutoff_date", ahead).replace(
        # What all cutoffs together may see has to reach as far, or nothing can leak.
        "max(cutoff_date) as end_day",
        "max(cutoff_date) + 7 as end_day",
    )
    if relation == "spans":
        leaking = leaking.replace("spans.next_on >= cutoffs.cutoff_date", "spans.next_on >= cutoffs.cutoff_date + 7")
    assert leaking.count(ahead) == 1
    query.write_text(leaking)
    warehouse = Warehouse(path=honest.path, state=tmp_path / "state", project=project)
    with pytest.raises(DbtError, match="features_know_nothing_of_the_future"):
        warehouse.dbt("build", *audit, "--exclude-resource-type", "unit_test")
