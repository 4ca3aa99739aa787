"""What raw rows must hold is told in sentences, with the column, the count and an example, before anything is built."""

from datetime import date
from typing import Any

import duckdb
import pytest

from resources.company import Company
from resources.company.canonical import ORDER_LINES, TYPES
from steps.contract import Finding, canonical_findings, raw_findings

SHOP = "companies/shop"
TODAY = date(2024, 6, 1)


def shop(**lines: Any) -> Company:
    """Return a company with one table of orders."""
    money = lines.pop("money", {})
    fields = {"table": "orders", "customer": "who", "time": "moment", "amount": "paid", **lines}
    return Company.model_validate({"title": "Shop", "order_lines": fields, "money": money})


def judged(
    rows: list[tuple[Any, ...]], company: Company | None = None, columns: str = "who, moment, paid"
) -> list[Finding]:
    """Return what is found in rows of text."""
    with duckdb.connect() as connection:
        names = columns.split(", ")
        connection.execute("create schema raw")
        connection.execute(f"create table raw.orders ({', '.join(f'{name} varchar' for name in names)})")
        if rows:
            connection.executemany(f"insert into raw.orders values ({', '.join('?' for _ in names)})", rows)
        there = dict.fromkeys(names, "VARCHAR")
        return raw_findings(lambda sql: connection.sql(sql).df(), there, company or shop(), SHOP, "duckdb", TODAY)


GOOD = [("a", "2024-05-01 10:00", "12.50"), ("b", "2024-05-02 11:00", "7"), ("a", "2024-05-09 12:00", "1e1")]


def test_rows_that_say_what_the_file_says_are_fine() -> None:
    assert judged(GOOD) == []


@pytest.mark.parametrize(
    ("rows", "company", "said"),
    [
        ([], shop(), "raw.orders has no row"),
        (GOOD[:1] * 3, shop(), "holds one customer in 3 rows"),
        (
            [*GOOD, ("c", "01.05.2024", "3")],
            shop(),
            "`moment` of raw.orders holds text that is no time by no format in 1 of 4",
        ),
        (
            [*GOOD, ("c", "2024-05-03", "EUR 12,50")],
            shop(),
            "`paid` of raw.orders holds text that is no number by no format in 1 of 4 rows, such as 'EUR 12,50'",
        ),
        (
            [*GOOD, ("c", "2024-12-05", "3")],
            shop(),
            "lies after today (2024-06-01) in 1 of 4 rows, at the latest at 2024-12-05",
        ),
        (
            [*GOOD, ("c", "2024-05-05", "-3")],
            shop(),
            "below zero in 1 of 4 rows (25.0%), and company.toml declares no returns",
        ),
        (
            [("a", "2024-05-01", "EUR 3,00"), ("b", "2024-05-01", "USD 4,00")],
            shop(amount={"column": "paid", "format": ","}),
            "is written with 2 signs beside the number, such as 'EUR' and 'USD'",
        ),
        (
            GOOD,
            shop(amount="payed"),
            "`order_lines.amount` names the column 'payed', and raw.orders has no such column",
        ),
    ],
)
def test_what_cannot_be_built_of_is_fatal_and_told(rows: list[tuple[Any, ...]], company: Company, said: str) -> None:
    found = judged(rows, company)
    assert [one.fatal for one in found] == [True], found
    assert said in found[0].sentence
    assert found[0].sentence.startswith("companies/shop: ")


def test_a_missing_column_names_the_one_that_was_meant() -> None:
    [found] = judged(GOOD, shop(amount="payed"))
    assert "did you mean 'paid'?" in found.sentence


def test_a_slip_of_the_pen_is_told_and_stops_nothing() -> None:
    found = judged([*GOOD * 700, ("c", "junk", "3"), ("", "2024-05-01", "3")])
    assert [one.fatal for one in found] == [False, False]
    assert "in 1 of 2,102 rows, such as 'junk'" in found[0].sentence
    assert "`who` of raw.orders is empty in 1 of 2,102 rows (0.0%): they are nobody's visit, and are left out." in (
        found[1].sentence
    )


def test_times_with_and_without_an_offset_are_told() -> None:
    [found] = judged([*GOOD, ("c", "2024-05-01T10:00:00Z", "3")])
    assert not found.fatal
    assert "names its offset from UTC in 1 of 4 rows and not in the others" in found.sentence


def test_declared_returns_may_be_below_zero() -> None:
    assert judged([*GOOD, ("c", "2024-05-05", "-3")], shop(money={"returns": "negative"})) == []


def test_rows_that_repeat_anothers_key_are_told() -> None:
    company = Company.model_validate(
        {**shop().model_dump(), "tables": {"orders": {"source": "csv:orders.csv", "keys": ["who", "moment"]}}}
    )
    assert judged(GOOD, company) == []
    [found] = judged([*GOOD, GOOD[0]], company)
    assert found.fatal
    assert "`who`, `moment` identify a row of raw.orders, says company.toml, and 1 of 4 rows repeat" in found.sentence


def canonical() -> dict[str, str]:
    """Return the columns that staging of order lines must give."""
    return {column.name: TYPES[column.kind]["duckdb"].upper() for column in ORDER_LINES.columns}


def test_staging_of_ones_own_that_forgot_a_column_is_told_which() -> None:
    assert canonical_findings({"stg_order_lines": canonical()}, SHOP, "duckdb") == []
    lacking = {name: kind for name, kind in canonical().items() if name != "is_return"}
    [said] = canonical_findings({"stg_order_lines": lacking}, SHOP, "duckdb")
    assert said.startswith(
        "companies/shop/staging/stg_order_lines.sql must give the column `is_return` (boolean): whether"
    )


def test_staging_of_ones_own_with_another_type_is_told_which() -> None:
    [said] = canonical_findings({"stg_order_lines": {**canonical(), "ordered_at": "VARCHAR"}}, SHOP, "duckdb")
    assert said.endswith("the column `ordered_at` must be timestamp; it is varchar. Cast it.")
