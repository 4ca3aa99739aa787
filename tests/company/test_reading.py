"""How raw text is read: each format gives the value that a person reads, or nothing."""

from datetime import datetime
from typing import Any

import duckdb
import pytest

from resources.company import reading
from resources.company.model import Column


def read(expression: str, value: Any) -> Any:
    """Return what an expression makes of a value in the column `x`."""
    with duckdb.connect() as connection:
        return connection.execute(f"select {expression} from (select ? as x)", [value]).fetchone()[0]  # type: ignore[index]


def column(**said: str) -> Column:
    return Column.model_validate({"column": "x", **said})


@pytest.mark.parametrize(
    ("format_", "text", "number"),
    [
        ("", "12.5", 12.5),
        ("", "1e3", 1000.0),
        ("", "nan", None),
        ("", "inf", None),
        ("", "NULL", None),
        ("", "12,50", None),
        (",", "EUR 1.234,50", 1234.5),
        (",", "12,50-", -12.5),
        (",", "(3,00)", -3.0),
        (",", "\u22127,5", -7.5),
        (",", "1 234 567,8 €", 1234567.8),
        (",", "29.33", None),  # a decimal point: the format is another
        (",", "1.2.3,4", None),
        (".", "$1,234.50", 1234.5),
        (".", "Rs. 500", 500.0),
        (".", "1,00,000.00", 100000.0),
        (".", "12,50", None),  # a decimal comma
        (".", ".5", 0.5),
        (".", "abc", None),
    ],
)
def test_amounts(format_: str, text: str, number: float | None) -> None:
    assert read(reading.number(column(format=format_), "duckdb"), text) == number


@pytest.mark.parametrize(
    ("said", "text", "moment"),
    [
        ({}, "2017-01-01T10:00:00Z", datetime(2017, 1, 1, 5)),
        ({}, "2017-01-01 10:00:00+02", datetime(2017, 1, 1, 3)),
        ({}, "2017-01-01 10:00:00 UTC", datetime(2017, 1, 1, 5)),
        ({}, "2017-01-01 10:00", datetime(2017, 1, 1, 10)),
        ({}, "2017-01-02", datetime(2017, 1, 2)),
        ({}, "20170105", datetime(2017, 1, 5)),
        ({}, "5.1.2017", None),
        ({"zone": "UTC"}, "2017-07-01 10:00", datetime(2017, 7, 1, 6)),
        ({"format": "%d/%m/%Y %H:%M"}, "5/12/2010 8:26", datetime(2010, 12, 5, 8, 26)),
        ({"format": "%d/%m/%Y %H:%M"}, "12/31/2010 1:00", None),
        ({"format": "%Y-%m-%dT%H:%M:%SZ"}, "2017-07-01T10:00:00Z", datetime(2017, 7, 1, 6)),
        ({"format": "%Y-%m-%d %H:%M%z"}, "2017-07-01 10:00+0000", datetime(2017, 7, 1, 6)),
        ({"format": "epoch"}, "1500000000", datetime(2017, 7, 13, 22, 40)),
        ({"format": "epoch_ms"}, "1500000000000", datetime(2017, 7, 13, 22, 40)),
        ({"format": "excel"}, "42736.43402777778", datetime(2017, 1, 1, 10, 25)),
        ({}, "", None),
        ({}, "n/a", None),
    ],
)
def test_times(said: dict[str, str], text: str, moment: datetime | None) -> None:
    assert read(reading.local_time(column(**said), "America/New_York", "duckdb"), text) == moment


@pytest.mark.parametrize(
    ("value", "key"), [("00123", "00123"), (17850.0, "17850"), (" A1.0 ", "A1.0"), ("", None), (42, "42")]
)
def test_keys_stay_what_they_are(value: Any, key: str | None) -> None:
    assert read(reading.key(column(), "duckdb"), value) == key


@pytest.mark.parametrize(
    ("said", "text", "meant"),
    [({}, "Yes", True), ({}, "0", False), ({}, None, False), ({"format": "Private"}, "private", True)],
)
def test_yes_and_no(said: dict[str, str], text: str | None, meant: bool) -> None:
    assert read(reading.yes(column(**said), "duckdb"), text) is meant


def test_cents_are_whole_and_may_be_multiplied() -> None:
    assert read(reading.cents(column(), "duckdb"), "0.29") == 29
    assert read(reading.cents(column(), "duckdb", times="3"), "0.29") == 87
    assert read(reading.cents(column(unit="minor"), "duckdb"), "29") == 29
