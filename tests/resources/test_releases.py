"""A person releases a judged week: it is held against nobody, the ledger says who did it, and it can be taken back."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from ml_models.monitoring.decision import quarantined
from ml_models.monitoring.decision.ledger import LEDGER_COLUMNS, anomalies_by_event, released_weeks, write_anomalies
from ml_models.monitoring.types import Anomaly
from resources.warehouse import DuckDBWarehouse
from steps.as_of import ledger
from steps.decisions import what_is_due
from steps.errors import StepRefusedError
from steps.quality import bad_weeks
from steps.releases import hold_again, release
from steps.tables import ANOMALIES, DECISIONS, typed

WEEK = timedelta(days=7)
FIRST = date(2030, 3, 4)
SECOND, THIRD = FIRST + WEEK, FIRST + 2 * WEEK
NOW = datetime(2030, 3, 20, 9, tzinfo=UTC)
CUTOFFS = [FIRST + number * WEEK for number in range(-4, 16)]
WINDOW, HORIZON = 28, 7


def few(first: date, last: date) -> Anomaly:
    """Return an anomaly of few rows on these days."""
    return Anomaly("volume", "raw/orders", "", 10.0, 100.0, 90.0, 700, "raw/orders holds too few rows.", first, last)


def decided(cutoff: date, *anomalies: Anomaly) -> dict[str, object]:
    """Return a row of the ledger."""
    return dict.fromkeys(LEDGER_COLUMNS) | {
        "cutoff": pd.Timestamp(cutoff),
        "action": "inspect" if anomalies else "continue",
        "reason": "raw/orders holds too few rows.",
        "event_id": "data-raw/orders-x" if anomalies else "",
        "anomalies": write_anomalies(anomalies),
    }


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    """A warehouse whose ledger holds a fault of two weeks and a quiet one, by a build that knew of no release."""
    warehouse = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"))
    rows = [
        decided(FIRST, few(FIRST - WEEK, FIRST - timedelta(days=1))),
        decided(SECOND, few(FIRST - WEEK, SECOND - timedelta(days=1))),
        decided(THIRD),
    ]
    former = typed(pd.DataFrame(rows), DECISIONS).drop(columns="week_released")
    warehouse.replace_table("monitoring", "decisions", former)
    return warehouse


def held(warehouse: DuckDBWarehouse) -> list[tuple[date, date]]:
    """Return the days that the ledger holds to be bad."""
    return [(one.first_day, one.last_day) for _, one in anomalies_by_event(ledger(warehouse))]


def test_a_released_week_excludes_nothing_and_the_ledger_says_who_did_it(warehouse: DuckDBWarehouse) -> None:
    both = quarantined(ledger(warehouse), CUTOFFS, WINDOW, HORIZON)
    told = release(warehouse, FIRST, "ana", NOW, "stocktaking")
    assert "released by ana" in told
    assert f"Of the same event, and not released: {SECOND}" in told
    assert released_weeks(ledger(warehouse)) == {FIRST: {"by": "ana", "at": "2030-03-20", "reason": "stocktaking"}}
    # The next week's anomaly began in the released one; what is left of it is its own.
    assert held(warehouse) == [(FIRST, SECOND - timedelta(days=1))]
    assert set(quarantined(ledger(warehouse), CUTOFFS, WINDOW, HORIZON)) < set(both)
    release(warehouse, SECOND, "ana", NOW, "stocktaking")
    assert held(warehouse) == []
    assert quarantined(ledger(warehouse), CUTOFFS, WINDOW, HORIZON) == []


def test_taken_back_the_week_is_held_again(warehouse: DuckDBWarehouse) -> None:
    before = held(warehouse)
    release(warehouse, FIRST, "ana", NOW, "stocktaking")
    assert "ana had released" in hold_again(warehouse, FIRST)
    assert held(warehouse) == before
    assert released_weeks(ledger(warehouse)) == {}
    with pytest.raises(StepRefusedError, match="No week is released"):
        hold_again(warehouse, FIRST)


def test_who_releases_a_week_again_replaces_what_was_said(warehouse: DuckDBWarehouse) -> None:
    release(warehouse, FIRST, "ana", NOW, "stocktaking")
    assert "ana had released it" in release(warehouse, FIRST, "ben", NOW, "a merger")
    assert released_weeks(ledger(warehouse))[FIRST]["by"] == "ben"


def test_the_newest_week_asks_for_nothing_once_it_is_released(warehouse: DuckDBWarehouse) -> None:
    def due() -> str:
        rows = ledger(warehouse)
        return what_is_due(rows[rows["cutoff"].dt.date <= SECOND][::-1], SECOND).decision

    assert due() == "inspect"
    release(warehouse, SECOND, "ana", NOW, "stocktaking")
    assert due() == "continue"
    hold_again(warehouse, SECOND)
    assert due() == "inspect"


def test_a_released_week_is_a_healthy_past_of_later_weeks(warehouse: DuckDBWarehouse) -> None:
    found = {"asset": "raw/orders", "kind": "volume", "column_name": "", "first_day": FIRST - WEEK, "last_day": FIRST}
    verdict = {"asset": "", "kind": "verdict", "column_name": "", "cutoff_date": pd.Timestamp(FIRST)}
    rows = typed(pd.DataFrame([found | {"cutoff_date": pd.Timestamp(FIRST)}, verdict]), ANOMALIES)
    warehouse.replace_table("monitoring", "anomalies", rows)
    assert bad_weeks(warehouse, SECOND, {FIRST}) == {"raw/orders": {FIRST - WEEK: ("volume:",)}}
    release(warehouse, FIRST, "ana", NOW, "stocktaking")
    assert bad_weeks(warehouse, SECOND, {FIRST}) == {}


@pytest.mark.parametrize(
    ("week", "by", "reason", "sentence"),
    [
        (FIRST, "", "stocktaking", "Expected BY"),
        (FIRST, "ana", " ", "Expected REASON"),
        (THIRD, "ana", "stocktaking", f"nothing was in that of {THIRD}"),
        (FIRST + timedelta(days=1), "ana", "stocktaking", f"Found and not released: {FIRST}, {SECOND}"),
    ],
)
def test_a_release_that_cannot_be_meant_changes_nothing(
    warehouse: DuckDBWarehouse, week: date, by: str, reason: str, sentence: str
) -> None:
    before = held(warehouse)
    with pytest.raises(StepRefusedError, match=sentence) as refused:
        release(warehouse, week, by, NOW, reason)
    assert "Nothing was changed" in str(refused.value)
    assert held(warehouse) == before
