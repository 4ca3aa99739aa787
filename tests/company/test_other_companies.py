"""Companies that are not the bundled one: staged by their file, with the features that they can have, and no more."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ml_models.problems.lapse.features import KEYS, catalogue
from resources.company import Company
from resources.company.dbt_project import prepare
from resources.dbt import DbtRunner

FIRST = date(2024, 1, 1)  # a Monday

LEAST: dict[str, Any] = {
    "title": "Least",
    "question": {"look_back_days": 28},
    "order_lines": {"table": "orders", "grain": "order", "customer": "who", "time": "moment", "amount": "paid"},
    "tables": {"orders": {"source": "csv:orders.csv"}},
}
WITH_RETURNS: dict[str, Any] = {
    "title": "Returns",
    "question": {
        "look_back_days": 336,
        "active_within_days": 56,
        "horizon_days": 56,
        "first_cutoff": date(2024, 12, 2),
    },
    "time": {"zone": "Europe/Berlin"},
    "money": {"returns": "negative", "currency": "EUR"},
    "order_lines": {
        "table": "orders",
        "customer": "Kunde Nr",
        "order": "Beleg",
        "time": {"column": "Datum", "format": "%d.%m.%y %H:%M"},
        "amount": {"column": "Betrag", "format": ","},
        "product": "Artikel",
        "store": "Filiale",
    },
    "products": {"department": "Abteilung", "category": "Gruppe"},
    "departments": [{"name": "garden", "values": ["Garten & Hof", "Kinder's"], "trips": True}],
    "tables": {"orders": {"source": "csv:orders.csv"}},
}

Built = tuple[duckdb.DuckDBPyConnection, DbtRunner]


@pytest.fixture
def build(tmp_path: Path) -> Callable[[dict[str, Any], list[dict[str, str]]], Built]:
    """Return a function that lands rows of text and builds a company's models of them, with their tests."""

    def built(fields: dict[str, Any], rows: list[dict[str, str]]) -> Built:
        company = Company.model_validate(fields)
        (tmp_path / "shop").mkdir(exist_ok=True)
        project = prepare(company, tmp_path / "shop", tmp_path / "project")
        warehouse = tmp_path / "warehouse.duckdb"
        with duckdb.connect(str(warehouse)) as connection:
            names = list(rows[0])
            connection.execute("create schema if not exists raw")
            columns = ", ".join(f'"{name}" varchar' for name in names)
            connection.execute(f"create or replace table raw.orders ({columns}, _loaded_at timestamptz)")
            marks = ", ".join("?" for _ in names)
            connection.executemany(
                f"insert into raw.orders values ({marks}, timestamptz '2025-03-01 08:00:00Z')",
                [list(row.values()) for row in rows],
            )
        runner = DbtRunner(project_dir=str(project), state_dir=str(tmp_path / "state"), warehouse_path=str(warehouse))
        runner.invoke(["build", "--exclude", "tag:serving"])
        return duckdb.connect(str(warehouse), read_only=True), runner

    return built


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    """Return the names of a table's columns, in order."""
    return [row[0] for row in connection.execute(f"describe {table}").fetchall()]


def weekly(customer: str, weeks: int, every: int = 1) -> list[dict[str, str]]:
    """Return an order each `every` weeks."""
    days = [FIRST + timedelta(weeks=week) for week in range(0, weeks, every)]
    return [{"who": customer, "moment": f"{day} 10:00", "paid": "10.50"} for day in days]


def test_four_columns_give_the_features_that_four_columns_can(build: Callable[..., Built]) -> None:
    connection, _ = build(
        LEAST, [*weekly("007", 14), *weekly("b", 14, every=2), {"who": "", "moment": "", "paid": "1"}]
    )
    company = Company.model_validate(LEAST)
    features = catalogue(company.question.asked, company.parts)
    assert columns_of(connection, "features.customer_features") == [*KEYS, *features]
    assert not {"lines_per_trip_28d", "stores_28d", "categories_28d", "coupon_cents_28d"} & set(features)
    # The first Monday that has four weeks before it, and the label's week after the last order.
    [(first,)] = connection.execute("select min(cutoff_date) from features.cutoffs").fetchall()
    assert first == date(2024, 1, 29)
    row = connection.execute(
        "select trips_28d, spend_cents_28d, recency_days, active_weeks_28d from features.customer_features "
        "where customer_id = '007' and cutoff_date = date '2024-02-26'"
    ).fetchone()
    assert row == (4, 4200, 7, 4)
    # A row without a customer is nobody's, and stays in raw.
    assert connection.execute("select count(*) from staging.stg_order_lines").fetchone() == (21,)
    # Without a number of the order, a customer's rows of one moment are one order.
    assert connection.execute("select count(*) from marts.orders").fetchone() == (21,)


def line(day: str, amount: str, customer: str = "17", order: str = "", product: str = "A1") -> dict[str, str]:
    """Return a row of the shop with returns."""
    return {
        "Kunde Nr": customer,
        "Beleg": order or day,
        "Datum": f"{day} 09:30",
        "Betrag": amount,
        "Artikel": product,
        "Filiale": "Nord",
        "Abteilung": "Garten & Hof" if product == "A1" else "Küche",
        "Gruppe": product[0],
    }


def test_what_came_back_is_no_visit_and_lowers_no_purchase(build: Callable[..., Built]) -> None:
    rows = [
        line("02.01.24", "EUR 1.000,00"),
        line("02.10.24", "40,00", order="b1"),
        line("02.10.24", "60,00", order="b1", product="B2"),
        line("10.10.24", "25,00-", order="r1"),  # a return alone: no visit
        line("20.11.24", "30,00", order="b2"),
        line("20.11.24", "(10,00)", order="b2", product="B2"),  # an exchange: a visit of 30
    ]
    connection, _ = build(
        WITH_RETURNS, [*rows, *(line(f"{day:02}.12.24", "5,00", customer="9") for day in range(1, 29))]
    )
    orders = dict(
        connection.execute(
            "select order_id, (amount_cents, returned_cents, is_visit, lines) from marts.orders"
        ).fetchall()
    )
    assert orders["b1"] == (10000, 0, True, 2)
    assert orders["r1"] == (0, 2500, False, 0)
    assert orders["b2"] == (3000, 1000, True, 1)
    [row] = connection.execute(
        "select trips_336d, spend_cents_336d, recency_days, returned_ratio_336d, garden_share_336d, "
        "garden_trip_share_336d, active_periods_336d, categories_336d, stores_336d from features.customer_features "
        "where customer_id = '17' and cutoff_date = date '2024-12-02'"
    ).fetchall()
    # The window begins on 1 January 2024, and is twelve periods of 28 days.
    assert row == (3, 113000, 12, 3500 / 113000, 107000 / 113000, 1.0, 3, 2, 1)
    company = Company.model_validate(WITH_RETURNS)
    features = catalogue(company.question.asked, company.parts, company.department_shares)
    assert columns_of(connection, "features.customer_features") == [*KEYS, *features]
    assert "active_days_next_56d" in columns_of(connection, "outcomes.customer_outcomes")
    assert "lapsed_28d" in columns_of(connection, "outcomes.early_outcomes")


def test_a_day_of_which_a_line_went_away_is_built_again(build: Callable[..., Built]) -> None:
    rows = weekly("a", 14)
    build(LEAST, rows)[0].close()
    connection, _ = build(LEAST, [*rows[:5], *rows[6:], *weekly("late", 3)])
    staged = connection.execute(
        "select customer_id, count(*) from staging.stg_order_lines group by all order by all"
    ).fetchall()
    assert staged == [("a", 13), ("late", 3)]
