"""An amount or a time that lands as text is changed as a value, and written back as it came."""

from datetime import date
from typing import Any

import duckdb
import pytest

from ml_models.faults import perturbed_sql
from ml_models.faults.forms import Form
from ml_models.monitoring.data_quality.monitored_tables import TableSource, fitted, monitored_tables
from ml_models.monitoring.data_quality.profile_sql import measure_sql
from ml_models.monitoring.types import Perturbation
from resources.company.model import Column
from resources.tables.forms import moment_form, number_form
from steps.profiling import read_once


def perturbed(form: Form, text: str | None, operation: str, value: Any) -> Any:
    """Return what a column of text holds after an operation."""
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute("create table rows (x varchar)")
        connection.execute("insert into rows values (?)", [text])
        it = Perturbation("raw/rows", operation, column="x", value=value)
        [(found,)] = connection.execute(perturbed_sql(it, {"x": "VARCHAR"}, "", "rows", forms={"x": form})).fetchall()
        return found


@pytest.mark.parametrize(
    ("format_", "text", "hundredfold"),
    [
        ("", "11.77", "1177"),
        ("", "1e3", "100000"),
        ("", "abc", "abc"),
        ("", None, None),
        (",", "EUR 1.211,77", "EUR 121177"),
        (",", "0,005 €", "0,5 €"),
        (",", "4,50-", "-450"),
        (",", "(3,00)", "-300"),
        (".", "$1,200.50", "$120050"),
        (".", "Rs. 500", "Rs. 50000"),
    ],
)
def test_an_amount_is_scaled_and_keeps_its_sign_and_what_stands_beside_it(
    format_: str, text: str | None, hundredfold: str | None
) -> None:
    form = number_form(Column(column="x", format=format_))
    assert perturbed(form, text, "scale", 100.0) == hundredfold


def test_a_sign_is_turned_whichever_way_it_is_written() -> None:
    form = number_form(Column(column="x", format=","))
    assert [perturbed(form, text, "negate", None) for text in ("12,50 €", "-4,5", "4,50-", "(3,00)")] == [
        "-12,5 €",
        "4,5",
        "4,5",
        "3",
    ]


@pytest.mark.parametrize(
    ("column", "text", "two_days_later"),
    [
        ({}, "2024-01-01", "2024-01-03"),
        ({}, "2024-07-01 10:00:00", "2024-07-03 10:00:00"),
        ({}, "2024-07-01T10:00:00+05:00", "2024-07-03T05:00:00Z"),
        ({"zone": "UTC"}, "2024-07-01 10:00:00", "2024-07-03 10:00:00"),
        ({"format": "%d.%m.%y %H:%M"}, "01.07.24 10:00", "03.07.24 10:00"),
        ({"format": "%Y-%m-%dT%H:%M:%SZ"}, "2024-07-01T10:00:00Z", "2024-07-03T10:00:00Z"),
        ({"format": "epoch"}, "1719820800", "1719993600"),
        ({"format": "epoch_ms"}, "1719820800000", "1719993600000"),
        ({"format": "excel"}, "45474.5", "45476.5"),
        ({}, "soon", "soon"),
    ],
)
def test_a_time_is_moved_and_written_as_it_came(column: dict[str, str], text: str, two_days_later: str) -> None:
    form = moment_form(Column.model_validate({"column": "x", **column}), "Europe/Berlin")
    assert perturbed(form, text, "shift_time", 48) == two_days_later


def test_amounts_that_land_as_text_are_measured_as_numbers_while_they_are_there() -> None:
    columns = {"bought": "TIMESTAMP", "paid": "VARCHAR"}
    form = number_form(Column(column="paid", format=","))
    source = TableSource("raw/bons", columns, time_sql="bought", time_column="bought", read={"paid": form.read})
    [table] = monitored_tables([source])
    assert table.numbers == ("paid",)
    monday = date(2024, 1, 1)
    with duckdb.connect() as connection:
        connection.execute("create schema raw")
        connection.execute(
            "create table raw.bons as select timestamp '2024-01-01 10:00:00' as bought, "
            "unnest(['1,00 €', '3,00 €', 'free']) as paid"
        )
        rows = [
            row for sql in measure_sql(table, monday, date(2024, 1, 7)) for row in connection.execute(sql).fetchall()
        ]
    found = {row[2]: row[6] for row in rows if row[1] == "paid"}
    assert (found["mean"], found["max"]) == (2, 3)
    # What cannot be read is nothing.
    assert found["null_share"] == pytest.approx(1 / 3)
    assert fitted(table, {"bought": "TIMESTAMP"}).measured == "raw.bons"


def test_what_is_stored_as_text_is_read_once_and_measured_alike() -> None:
    columns = {"Bought at": "VARCHAR", "paid": "VARCHAR", "shop": "VARCHAR"}
    amounts, times = (
        number_form(Column(column="paid", format=",")),
        moment_form(Column.model_validate({"column": "Bought at", "format": "%d.%m.%y %H:%M"}), "Europe/Berlin"),
    )
    local_time = f"timezone('Europe/Berlin', {times.read})"
    source = TableSource(
        "raw/bons", columns, time_sql=local_time, time_column="Bought at", read={"paid": amounts.read}, keys=("paid",)
    )
    [table] = monitored_tables([source])
    first, last = date(2024, 4, 1), date(2024, 4, 14)
    with duckdb.connect() as connection:
        connection.execute("create schema raw")
        # From before the furthest look back to after the last week, half an hour's steps over midnight among them.
        connection.execute(
            "create table raw.bons as select strftime(timestamp '2023-12-20 00:15:00' + n * interval 97 minute, "
            "'%d.%m.%y %H:%M') as \"Bought at\", (n % 50) || ',50 €' as paid, 'shop ' || n % 3 as shop "
            "from range(2000) as numbers(n)"
        )
        once = read_once(connection, table, first, last)
        assert once is not table
        stored, made = (
            sorted(row for sql in measure_sql(one, first, last) for row in connection.execute(sql).fetchall())
            for one in (table, once)
        )
    assert len(stored) > 100
    assert made == stored


def test_a_time_that_is_stored_as_it_is_measured_is_not_copied() -> None:
    source = TableSource("raw/bons", {"bought": "TIMESTAMP"}, time_sql="bought", time_column="bought")
    [table] = monitored_tables([source])
    with duckdb.connect() as connection:
        assert read_once(connection, table, date(2024, 4, 1), date(2024, 4, 7)) is table
