"""Dates of the commands: what the company's data hold, unless somebody says otherwise."""

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from commands.dates import first_replayed, last_replayed, monday
from commands.replay import refuse_what_knows_no_clock
from resources.clock import Clock
from resources.company import Company
from resources.warehouse import DuckDBWarehouse
from steps.errors import StepRefusedError

SHOP: dict[str, Any] = {
    "title": "Shop",
    "order_lines": {"table": "orders", "customer": "who", "time": "moment", "amount": "paid"},
    "question": {"horizon_days": 84, "look_back_days": 84},
    "tables": {"orders": {"source": "csv:orders.csv"}},
}
CLOCK = Clock(reads="2024-12-31T23:30:00+00:00", override_variable="BATON_NOT_IN_TESTS")


def shop(**fields: Any) -> Company:
    return Company.model_validate({**SHOP, **fields})


@pytest.fixture
def built(tmp_path: Path) -> DuckDBWarehouse:
    """A warehouse with cutoffs from 2024-01-01 to 2024-12-23."""
    file = str(tmp_path / "warehouse.duckdb")
    with duckdb.connect(file) as connection:
        connection.execute("create schema features")
        connection.execute(
            "create table features.cutoffs as select cast(day as date) as cutoff_date from generate_series(timestamp "
            "'2024-01-01', timestamp '2024-12-23', interval 7 day) as t (day)"
        )
    return DuckDBWarehouse(path=file)


def test_a_replay_begins_at_the_first_cutoff_at_which_a_model_can_be_judged(built: DuckDBWarehouse) -> None:
    # Thirteen cutoffs, a horizon apart from first to last, and the horizon of the last of them.
    assert first_replayed(shop(), built) == date(2024, 6, 17)
    assert first_replayed(shop(question={"first_cutoff": date(2024, 3, 4)}), built) == date(2024, 4, 29)


def test_it_ends_at_the_newest_cutoff_or_at_the_monday_of_the_clock(built: DuckDBWarehouse, tmp_path: Path) -> None:
    assert last_replayed(shop(), built, CLOCK) == date(2024, 12, 23)
    nothing = DuckDBWarehouse(path=str(tmp_path / "nothing.duckdb"))
    assert last_replayed(shop(), nothing, CLOCK) == date(2024, 12, 30)


def test_where_nothing_was_built_and_the_file_names_no_cutoff_a_sentence_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StepRefusedError, match=r"Run `make run` first, or give .* FROM=2024-01-01"):
        first_replayed(shop(), DuckDBWarehouse(path=str(tmp_path / "nothing.duckdb")))


def test_a_connection_that_is_not_told_the_clock_cannot_be_replayed() -> None:
    connection = {"source": "source-shop", "config": {"url": "x"}}
    with pytest.raises(StepRefusedError, match=r"holds \$\{clock\}.* and web does not"):
        refuse_what_knows_no_clock(shop(airbyte={"web": connection}))
    told = {**connection, "config": {"as_of": "${clock}"}}
    refuse_what_knows_no_clock(shop(airbyte={"web": told}))
    refuse_what_knows_no_clock(shop())


def test_a_day_that_is_no_monday_is_refused() -> None:
    with pytest.raises(SystemExit, match="FROM must be a Monday, as every cutoff is; 2024-01-02 is a Tuesday"):
        monday("2024-01-02", "FROM")
