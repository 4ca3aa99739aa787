"""What was repaired and computed again is held against earlier cutoffs alone; what is still wrong stays held."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pytest
from support.simulated_feed import FAULTY_WEEK, FIRST, WEEKS, make_shop, measure, sources, watch

from ml_models.monitoring.data_quality import judge_quality
from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable
from ml_models.monitoring.decision import quarantined
from ml_models.monitoring.decision.ledger import LEDGER_COLUMNS, read_anomalies, whole_again, write_anomalies
from resources.warehouse import DuckDBWarehouse
from steps.as_of import ledger
from steps.repairs import note_rebuild, note_repairs
from steps.tables import DECISIONS, typed

WEEK = timedelta(days=7)
CUTOFF = FAULTY_WEEK + WEEK
NEWEST = FIRST + WEEKS * WEEK
REBUILT = CUTOFF - 2 * WEEK
CUTOFFS = [CUTOFF + number * WEEK for number in range(-4, 9)]
NOW = datetime(2021, 6, 28, 9, tzinfo=UTC)
LOST = "delete from feed.sales where sold_at >= ? and sold_at < ? and receipt % 5 < 3"
FAULT = [pd.Timestamp(FAULTY_WEEK), pd.Timestamp(CUTOFF)]


@pytest.fixture
def world(tmp_path: Path) -> tuple[DuckDBWarehouse, tuple[MonitoredTable, ...]]:
    """A shop that lost three in five of a week's receipts, measured and judged as it stood."""
    warehouse = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"))
    with warehouse.connect(read_only=False) as connection:
        make_shop(connection)
        tables = tuple(table for table in watch(connection, sources()) if table.time_sql)
        connection.execute("create table feed.whole as select * from feed.sales")
        connection.execute(LOST, FAULT)
        profile = measure(connection, tables, FIRST, WEEKS)
    found = judge_quality(profile, tables, CUTOFF).anomalies
    assert found
    row = dict.fromkeys(LEDGER_COLUMNS) | {"cutoff": pd.Timestamp(CUTOFF), "action": "inspect", "event_id": "e"}
    row |= {"anomalies": write_anomalies(found)}
    warehouse.replace_table("monitoring", "decisions", typed(pd.DataFrame([row]), DECISIONS))
    warehouse.replace_table("monitoring", "profile", profile)
    frame = pd.DataFrame({"cutoff_date": pd.to_datetime([NEWEST]).astype("datetime64[us]")})
    warehouse.replace_table("features", "feature_frame", frame)
    return warehouse, tables


def judged(world: tuple[DuckDBWarehouse, tuple[MonitoredTable, ...]], at: datetime = NOW) -> list[str]:
    """Look for what was repaired, as the morning's judgement does."""
    warehouse, tables = world
    known = {"feed/sales": {FAULTY_WEEK: ("volume:",)}}

    def bad_weeks(cutoff: date) -> dict[str, dict[date, tuple[str, ...]]]:
        return {
            asset: {week: kinds for week, kinds in weeks.items() if week < cutoff - WEEK}
            for asset, weeks in known.items()
        }

    return note_repairs(warehouse, warehouse.local(), tables, at, bad_weeks, frozenset())


def held(warehouse: DuckDBWarehouse) -> list[date]:
    """Return the cutoffs that must not be learned from."""
    return quarantined(ledger(warehouse), CUTOFFS, 28, 14)


def repair(warehouse: DuckDBWarehouse) -> None:
    """Let what was lost arrive after all."""
    with warehouse.connect(read_only=False) as connection:
        connection.execute("create or replace table feed.sales as select * from feed.whole")


def test_repaired_and_computed_again_only_what_was_served_before_stays_held(world) -> None:
    warehouse, _ = world
    before = held(warehouse)
    repair(warehouse)
    note_rebuild(warehouse, str(REBUILT + WEEK), NOW)
    told = judged(world)
    assert [f"feed/sales is whole in the week before {CUTOFF}" in sentence for sentence in told] == [True]
    assert held(warehouse) == [day for day in before if day < REBUILT + WEEK] != []
    assert whole_again(ledger(warehouse)) == {(CUTOFF, "feed/sales")}
    # A rebuild from further back frees those too.
    note_rebuild(warehouse, str(before[0]), NOW)
    assert judged(world)
    assert held(warehouse) == []


def test_the_repaired_week_is_a_healthy_past_from_then_on(world) -> None:
    warehouse, tables = world
    repair(warehouse)
    note_rebuild(warehouse, str(REBUILT), NOW)
    judged(world)
    rows = "select value from monitoring.profile where asset = 'feed/sales' and measure = 'rows' and period_start = ?"
    with warehouse.connect(read_only=True) as connection:
        whole = measure(connection, tables, FAULTY_WEEK, 1)
    expected = whole.loc[(whole["measure"] == "rows") & (whole["period_start"] == FAULT[0]), "value"]
    assert warehouse.read(rows, [FAULTY_WEEK])["value"].tolist() == expected.tolist()


def test_computed_again_of_rows_that_are_still_wrong_frees_nothing(world) -> None:
    warehouse, _ = world
    before = held(warehouse)
    note_rebuild(warehouse, str(REBUILT), NOW)
    assert judged(world) == []
    assert held(warehouse) == before
    # What is repaired afterwards was not in that rebuild.
    repair(warehouse)
    assert judged(world) == []
    assert held(warehouse) == before


def test_repaired_and_not_computed_again_the_rows_as_served_stay_held(world) -> None:
    warehouse, _ = world
    before = held(warehouse)
    repair(warehouse)
    assert judged(world) == []
    assert held(warehouse) == before


def test_midnight_between_a_rebuild_and_its_judgement_changes_nothing(world) -> None:
    warehouse, _ = world
    repair(warehouse)
    # The evening of a Monday in one zone, and the night to Tuesday in UTC.
    evening = datetime(2021, 6, 28, 20, tzinfo=timezone(timedelta(hours=-5)))
    note_rebuild(warehouse, str(FIRST), evening)
    assert judged(world, evening + timedelta(hours=5))
    assert held(warehouse) == []


def test_of_two_rebuilds_the_newest_counts_the_one_before_may_have_had_broken_rows(world) -> None:
    warehouse, _ = world
    before = held(warehouse)
    note_rebuild(warehouse, str(FIRST), NOW - timedelta(hours=2))
    repair(warehouse)
    note_rebuild(warehouse, str(REBUILT + WEEK), NOW)
    assert judged(world)
    assert held(warehouse) == [day for day in before if day < REBUILT + WEEK] != []


def test_a_column_of_another_type_is_not_freed_by_measures_that_do_not_show_it(world) -> None:
    warehouse, _ = world
    decisions = ledger(warehouse)
    found = [replace(one, kind="schema") for one in read_anomalies(decisions["anomalies"].iloc[0])]
    decisions["anomalies"] = write_anomalies(found)
    warehouse.replace_table("monitoring", "decisions", typed(decisions, DECISIONS))
    before = held(warehouse)
    repair(warehouse)
    note_rebuild(warehouse, str(FIRST), NOW)
    assert judged(world) == []
    assert held(warehouse) == before != []


def test_a_rebuild_of_another_day_says_nothing_of_rows_that_came_since(world) -> None:
    warehouse, _ = world
    before = held(warehouse)
    note_rebuild(warehouse, str(REBUILT), NOW - timedelta(days=2))
    repair(warehouse)
    assert judged(world) == []
    assert held(warehouse) == before
    assert all(one.rebuilt_from is None for one in read_anomalies(ledger(warehouse)["anomalies"].iloc[0]))
