"""A person says that a day was closed: what was missing on it is held against nobody, and that can be taken back."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from ml_models.monitoring.decision.ledger import LEDGER_COLUMNS, anomalies_by_event, write_anomalies
from ml_models.monitoring.types import Anomaly
from resources.warehouse import DuckDBWarehouse
from steps.as_of import ledger
from steps.closed_days import closed_days, say_closed, take_back
from steps.errors import StepRefusedError
from steps.tables import DECISIONS, typed

MONDAY = date(2030, 3, 4)
HOLIDAY = MONDAY - timedelta(days=3)
NOW = datetime(2030, 3, 4, 9, tzinfo=UTC)


def missing(first: date, last: date, kind: str = "volume") -> Anomaly:
    """Return an anomaly of rows that are missing on these days."""
    return Anomaly(kind, "raw/orders", "", 0.0, 100.0, 90.0, 700, "raw/orders holds no rows.", first, last)  # type: ignore[arg-type]


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    """A warehouse whose ledger holds one week up for a missing day, another missing day and nulls."""
    warehouse = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"))
    found = [
        missing(HOLIDAY, HOLIDAY),
        missing(HOLIDAY + timedelta(days=1), HOLIDAY + timedelta(days=1)),
        missing(HOLIDAY, HOLIDAY, "nulls"),
    ]
    row = dict.fromkeys(LEDGER_COLUMNS) | {
        "cutoff": pd.Timestamp(MONDAY),
        "action": "inspect",
        "event_id": "e",
        "anomalies": write_anomalies(found),
    }
    warehouse.replace_table("monitoring", "decisions", typed(pd.DataFrame([row]), DECISIONS))
    return warehouse


def held(warehouse: DuckDBWarehouse) -> list[tuple[str, date | None]]:
    """Return what the ledger still holds against the data: kind and first day."""
    return [(one.kind, one.first_day) for _, one in anomalies_by_event(ledger(warehouse))]


def test_a_closed_day_is_released_alone_and_who_said_so_stands_in_the_ledger(warehouse: DuckDBWarehouse) -> None:
    said = say_closed(warehouse, [HOLIDAY], "ana", NOW, "bank holiday")
    assert said.decisions == 1
    assert str(MONDAY) in said.sentence
    assert held(warehouse) == [("volume", HOLIDAY + timedelta(days=1)), ("nulls", HOLIDAY)]
    assert "ana on 2030-03-04: bank holiday" in ledger(warehouse)["released"].iloc[0]
    assert HOLIDAY in closed_days(warehouse, MONDAY)


def test_saying_it_twice_changes_nothing_more(warehouse: DuckDBWarehouse) -> None:
    say_closed(warehouse, [HOLIDAY], "ana", NOW)
    assert say_closed(warehouse, [HOLIDAY], "ana", NOW).decisions == 0
    assert warehouse.row_count("monitoring", "closed_days") == 1


def test_taken_back_the_day_is_held_again(warehouse: DuckDBWarehouse) -> None:
    before = held(warehouse)
    say_closed(warehouse, [HOLIDAY], "ana", NOW)
    assert take_back(warehouse, [HOLIDAY]).decisions == 1
    assert held(warehouse) == before
    assert HOLIDAY not in closed_days(warehouse, MONDAY)


def test_a_day_to_come_belongs_into_the_companys_file(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(StepRefusedError, match="2030-03-05 is in the future"):
        say_closed(warehouse, [MONDAY + timedelta(days=1)], "ana", NOW)
    assert held(warehouse)


def test_what_nobody_said_cannot_be_taken_back(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(StepRefusedError, match="nobody said so of 2030-03-01"):
        take_back(warehouse, [HOLIDAY])
