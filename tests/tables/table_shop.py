"""A shop whose orders are in files, and a warehouse of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from resources.clock import Clock
from resources.company import Company
from resources.tables import Loaded, load
from resources.warehouse import DuckDBWarehouse

MONDAY = "2024-01-08T08:00:00+01:00"
TUESDAY = "2024-01-09T08:00:00+01:00"


@dataclass
class Shop:
    """A company's folder; its time zone is Paris."""

    folder: Path

    @property
    def warehouse(self) -> DuckDBWarehouse:
        return DuckDBWarehouse(path=str(self.folder / "home" / "warehouse.duckdb"), wait_seconds=2)

    def company(self, time: str | dict[str, str] = "day", **tables: Any) -> Company:
        lines = {"table": "orders", "customer": "customer", "time": time, "amount": "amount"}
        return Company.model_validate(
            {"title": "Shop", "time": {"zone": "Europe/Paris"}, "order_lines": lines, "tables": tables}
        )

    def load(self, name: str, now: str = MONDAY, time: str | dict[str, str] = "day", **table: Any) -> Loaded:
        """Load a table at an instant; `now` empty: the wall clock."""
        clock = Clock(reads=now, override_variable="BATON_NOT_IN_TESTS")
        return load(self.warehouse, clock, self.company(time, **{name: table}), name, self.folder)

    def write(self, text: str, file: str = "orders.csv", encoding: str = "utf-8") -> None:
        (self.folder / file).write_text(text, encoding=encoding)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.warehouse.path) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(sql).fetchall()
