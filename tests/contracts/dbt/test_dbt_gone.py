"""What is no longer in raw is nowhere: no line of a day that went away stays in a table, nor its cutoffs."""

from pathlib import Path

import pandas as pd
import pytest
from dbt_workshop import BEFORE_THE_MODEL, MODELS_ONLY, StartFrom, Warehouse

from resources.dbt import DbtError

LOCAL_DAY = "cast(timezone('America/New_York', timezone('UTC', transaction_timestamp)) as date)"

A_DAY_DELETED = f"delete from raw.transactions where {LOCAL_DAY} = date '2017-05-10'"

A_DAY_MOVED = (
    "update raw.transactions set transaction_timestamp = transaction_timestamp + interval 2 day "
    f"where {LOCAL_DAY} = date '2017-05-10'"
)

THE_NEWEST_DAYS_DELETED = f"delete from raw.transactions where {LOCAL_DAY} >= date '2017-06-10'"

EVERYTHING_DELETED = "delete from raw.transactions"


def tables(warehouse: Warehouse, *schemas: str) -> dict[str, pd.DataFrame]:
    """Return the tables and views of these schemas by name, in an order that does not depend on how they were made."""
    names = warehouse.read(
        "select table_schema || '.' || table_name as name from information_schema.tables "
        f"where table_schema in ({', '.join(repr(schema) for schema in schemas)}) order by name"
    )["name"]
    return {name: warehouse.read(f"select columns(lambda c: true) from {name} order by all") for name in names}


def assert_equal(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> None:
    assert one.keys() == other.keys()
    for name, frame in one.items():
        pd.testing.assert_frame_equal(frame, other[name], check_exact=True, obj=name)


@pytest.mark.parametrize("change", [A_DAY_DELETED, A_DAY_MOVED, THE_NEWEST_DAYS_DELETED])
def test_what_went_away_from_raw_is_gone_as_after_a_full_refresh(
    change: str, june: Path, start_from: StartFrom
) -> None:
    warehouse = start_from(june)
    before = tables(warehouse, "staging", "marts")
    served = tables(warehouse, "features", "outcomes")
    warehouse.execute(change)

    warehouse.models()
    after = tables(warehouse, "staging", "marts")
    kept = tables(warehouse, "features", "outcomes")
    warehouse.dbt("run", "--select", "staging", "marts", "--exclude", "tag:serving", "--full-refresh")
    assert_equal(after, tables(warehouse, "staging", "marts"))
    # Equal because it is gone, not because nothing was there.
    changed = {name for name, frame in after.items() if not frame.equals(before[name])}
    assert {"staging.stg_order_lines", "marts.orders", "marts.order_lines", "marts.customer_days"} <= changed
    for name in served.keys() - {"features.cutoffs"}:
        pd.testing.assert_frame_equal(kept[name], served[name], check_exact=True, obj=f"{name}, served once")


def test_a_rebuild_takes_away_the_cutoffs_that_are_none_any_more(june: Path, start_from: StartFrom) -> None:
    warehouse = start_from(june)
    before = warehouse.table("features.customer_features")
    warehouse.execute(THE_NEWEST_DAYS_DELETED)

    warehouse.models(rebuild_from="2017-06-19")
    after = warehouse.table("features.customer_features")
    earlier = before[before["cutoff_date"] < "2017-06-19"].reset_index(drop=True)
    pd.testing.assert_frame_equal(earlier, after, check_exact=True)

    # Since 10 June is not there, 12 June is no cutoff, and those from 15 May on have no outcome yet.
    warehouse.models(rebuild_from="2017-05-15")
    rebuilt = tables(warehouse, "features", "outcomes")
    warehouse.dbt("build", *BEFORE_THE_MODEL, *MODELS_ONLY, "--full-refresh")
    assert_equal(rebuilt, tables(warehouse, "features", "outcomes"))


def test_a_source_that_was_not_loaded_takes_nothing_away(june: Path, start_from: StartFrom) -> None:
    warehouse = start_from(june)
    before = tables(warehouse, "staging", "marts", "features", "outcomes")
    warehouse.execute(EVERYTHING_DELETED)
    warehouse.models()
    assert_equal(before, tables(warehouse, "staging", "marts", "features", "outcomes"))


def test_a_day_is_replaced_whole_or_not_at_all(june: Path, start_from: StartFrom) -> None:
    warehouse = start_from(june)
    before = tables(warehouse, "staging")
    # The moved lines are refused, after the day that they came from was deleted.
    warehouse.execute("alter table staging.stg_order_lines alter store_id set not null")
    warehouse.execute(A_DAY_MOVED)
    warehouse.execute("update raw.transactions set store_id = null where household_id % 2 = 0")
    with pytest.raises(DbtError, match=r"stg_order_lines.*NOT NULL constraint failed"):
        warehouse.models()
    assert_equal(
        {"x": before["staging.stg_order_lines"]}, {"x": tables(warehouse, "staging")["staging.stg_order_lines"]}
    )
