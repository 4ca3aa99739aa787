"""What raw tables held is noted week by week, so that a correction upstream is found by table, day and key."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable
from ml_models.monitoring.types import InputChange
from resources.warehouse import DuckDBWarehouse
from steps.deliveries import changes_since, note_deliveries
from steps.migrations import ensure
from steps.tables import DELIVERIES

SERVED = date(2030, 3, 4)
LATER = SERVED + timedelta(days=7)
LINES = MonitoredTable(
    "raw/lines",
    "raw.lines",
    {"line": "BIGINT", "bought_at": "TIMESTAMP", "cents": "BIGINT", "_airbyte_extracted_at": "TIMESTAMP"},
    time_sql="bought_at",
    time_column="bought_at",
)
PRODUCTS = MonitoredTable(
    "raw/products", "raw.products", {"product": "BIGINT", "category": "VARCHAR"}, keys=("product",)
)
STORES = MonitoredTable("raw/stores", "raw.stores", {"town": "VARCHAR"})


class Shop:
    """A warehouse with three raw tables, and what was noted of them when SERVED was served."""

    def __init__(self, path: Path) -> None:
        self.warehouse = DuckDBWarehouse(path=str(path))
        self.change(
            "create schema raw",
            "create table raw.lines as select i as line, timestamp '2030-02-01' + interval (i % 38) day as bought_at, "
            "100 + i as cents, now()::timestamp as _airbyte_extracted_at from range(380) as t(i)",
            "create table raw.products as select i as product, 'c' || (i % 3) as category from range(50) as t(i)",
            "create table raw.stores as select unnest(['Ulm', 'Ulm', 'Jena']) as town",
        )
        ensure(self.warehouse, DELIVERIES)
        self.noted = self.note(SERVED)

    def change(self, *statements: str) -> None:
        """Do something to the tables."""
        with duckdb.connect(self.warehouse.path) as connection:
            for statement in statements:
                connection.execute(statement)

    def note(self, cutoff: date) -> int:
        """Note what is there; return how many parts came, changed or went."""
        return note_deliveries(self.warehouse, self.warehouse.local(), (LINES, PRODUCTS, STORES), cutoff)

    def changes(self) -> tuple[InputChange, ...]:
        """Return what changed from SERVED to LATER."""
        return changes_since(self.warehouse, SERVED, LATER)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "warehouse.duckdb")


def test_a_part_is_noted_when_it_comes_and_not_again_while_it_stays(shop: Shop) -> None:
    days = (SERVED - date(2030, 2, 1)).days
    assert shop.noted == days + 50 + 2  # and each list as a whole
    assert shop.note(SERVED) == shop.noted  # the same cutoff again: the same rows
    assert shop.note(LATER) == 38 - days  # the days that came since
    assert shop.changes() == ()


def test_a_product_that_moves_to_another_category_is_named(shop: Shop) -> None:
    shop.change("update raw.products set category = 'c9' where product in (7, 8)")
    shop.note(LATER)
    assert shop.changes() == (InputChange("raw/products", "key", 2, ("7", "8")),)


def test_past_days_that_were_corrected_or_came_late_are_named(shop: Shop) -> None:
    shop.change(
        "update raw.lines set cents = cents + 1 where bought_at = timestamp '2030-02-10'",
        "insert into raw.lines select 900, timestamp '2030-02-12', 5, null",
        "delete from raw.lines where bought_at = timestamp '2030-02-14'",
    )
    shop.note(LATER)
    (change,) = shop.changes()
    assert (change.asset, change.part_of, change.parts) == ("raw/lines", "day", 3)
    assert (change.first_day, change.last_day) == (date(2030, 2, 10), date(2030, 2, 14))


def test_rows_without_a_key_are_told_as_a_table(shop: Shop) -> None:
    shop.change("delete from raw.stores where town = 'Jena'")
    shop.note(LATER)
    assert shop.changes() == (InputChange("raw/stores", "table", 1, ("",)),)


def test_two_equal_rows_do_not_cancel_each_other(shop: Shop) -> None:
    shop.change("insert into raw.stores values ('Ulm'), ('Ulm')")
    shop.note(LATER)
    assert [one.asset for one in shop.changes()] == ["raw/stores"]


def test_a_reload_a_new_column_and_new_keys_and_days_are_no_change(shop: Shop) -> None:
    shop.change(
        "update raw.lines set _airbyte_extracted_at = now()::timestamp + interval 1 hour",
        "alter table raw.products add column colour varchar",
        "insert into raw.products values (77, 'c1', 'red')",
        "insert into raw.lines select 901, timestamp '2030-03-06', 5, null",
    )
    shop.note(LATER)
    assert shop.changes() == ()


def test_what_was_changed_back_is_no_change(shop: Shop) -> None:
    shop.change("update raw.products set category = 'c9' where product = 7")
    shop.note(SERVED + timedelta(days=1))
    shop.change("update raw.products set category = 'c1' where product = 7")
    shop.note(LATER)
    assert shop.changes() == ()


def test_hashes_of_two_versions_of_the_engine_are_not_compared(shop: Shop) -> None:
    shop.change("update monitoring.deliveries set engine = 'duckdb 0.1', digest = '1'")
    shop.note(LATER)
    assert shop.changes() == ()


def test_a_table_whose_digests_begin_later_is_not_accused(shop: Shop) -> None:
    shop.change("delete from monitoring.deliveries where asset = 'raw/products'")
    shop.change("update raw.products set category = 'c9' where product = 7")
    shop.note(LATER)
    assert shop.changes() == ()


def test_a_company_of_which_no_raw_table_is_monitored_has_nothing_to_note(shop: Shop) -> None:
    assert note_deliveries(shop.warehouse, shop.warehouse.local(), (), LATER) == 0
