"""Tables that are there already land as they are, and a source that broke leaves the table as it was."""

import os
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest
from table_shop import MONDAY, TUESDAY, Shop

from resources.clock import Clock
from resources.tables import TableError, has_new_data

CSV = "csv:orders.csv"
LINES = "Customer,day,amount\n007,2024-01-01,1.5\n008,2024-01-02,2\n008,2024-01-02,2\n"


def instants(shop: Shop) -> list[tuple[Any, ...]]:
    """Return customers and when their rows were first seen."""
    return [
        (customer, day.astimezone(UTC).isoformat()[:10])
        for customer, day in shop.rows("select customer, _loaded_at from raw.orders order by 1, 2")
    ]


def test_csv_lands_as_text_whatever_it_looks_like(shop: Shop) -> None:
    shop.write('customer;day;amount\n00123;2024-01-02;1,50\n1E5;2024-01-02;"x ""y"";\nz"\n', encoding="utf-8-sig")
    loaded = shop.load("orders", source=CSV)
    assert loaded.landed.columns == {
        "customer": "VARCHAR",
        "day": "VARCHAR",
        "amount": "VARCHAR",
        "_loaded_at": "TIMESTAMP WITH TIME ZONE",
    }
    assert shop.rows("select customer, amount from raw.orders order by 1") == [("00123", "1,50"), ("1E5", 'x "y";\nz')]


def test_only_what_is_new_or_changed_is_seen_anew(shop: Shop) -> None:
    shop.write(LINES)
    assert shop.load("orders", source=CSV).landed.came == 3
    shop.write(LINES.replace("1.5", "1.7") + "009,2024-01-02,3\n")
    again = shop.load("orders", TUESDAY, source=CSV).landed
    assert (again.rows, again.came, again.went) == (4, 2, 1)
    assert instants(shop) == [
        ("007", "2024-01-09"),
        ("008", "2024-01-08"),
        ("008", "2024-01-08"),
        ("009", "2024-01-09"),
    ]
    assert shop.load("orders", TUESDAY, source=CSV).landed.came == 0


def test_of_equal_rows_one_may_go(shop: Shop) -> None:
    shop.write(LINES)
    shop.load("orders", source=CSV)
    shop.write(LINES.removesuffix("008,2024-01-02,2\n"))
    assert shop.load("orders", TUESDAY, source=CSV).landed.went == 1
    assert instants(shop) == [("007", "2024-01-08"), ("008", "2024-01-08")]


def test_a_column_that_says_when_a_row_arrived_is_believed(shop: Shop) -> None:
    shop.write("customer,day,amount,arrived\n7,2024-01-01,1,2024-01-03 00:30:00\n8,2024-01-01,1,\n")
    shop.load("orders", source=CSV, arrived="arrived")
    # Half past midnight in Paris; where it says nothing, the load is when the row was seen.
    assert instants(shop) == [("7", "2024-01-02"), ("8", "2024-01-08")]


def test_a_column_that_is_new_is_welcome(shop: Shop) -> None:
    shop.write("customer,day,amount\n7,2024-01-01,1\n8,2024-01-01,1\n")
    shop.load("orders", source=CSV)
    shop.write("store,day,customer,amount\n,2024-01-01,7,1\nP,2024-01-01,8,1\n")
    shop.load("orders", TUESDAY, source=CSV)
    assert shop.rows("select customer, store from raw.orders order by 1") == [("7", None), ("8", "P")]
    assert instants(shop) == [("7", "2024-01-08"), ("8", "2024-01-09")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LINES + "009,2024-01-03,3,4\n", r"3 fields in every row of orders\.csv, but 1 row\(s\).*in line 5, has more"),
        (LINES + "009\n010\n", r"but 2 row\(s\) of the table do not fit. The first, in line 5, has fewer: '009'"),
        (LINES + '"009,2024-01-03,3\n', r"in line 5, is no CSV"),
        ("customer,day\n007,2024-01-01\n", r"column amount as VARCHAR, as the load before, but it is gone"),
        ("customer,day,amount\n", r"expected rows in csv:orders\.csv, and it holds none"),
        ("", r"a first line with the columns in orders\.csv, and it holds none"),
        ("a,A,day\n1,2,3\n", r"differ in more than case, but orders\.csv has a more than once"),
        ("customer,amount\n1,2\n", r"expected the column day, which company\.toml names as its time"),
        ("customer,day,amount\n1,02/31/24,3\n", r"none of 1 row\(s\) can be read so, such as '02/31/24'"),
    ],
)
def test_a_broken_source_is_refused_and_the_table_stays(shop: Shop, text: str, said: str) -> None:
    shop.write(LINES)
    shop.load("orders", source=CSV)
    shop.write(text)
    with pytest.raises(TableError, match=said) as raised:
        shop.load("orders", TUESDAY, source=CSV)
    assert str(raised.value).startswith("Table orders: ")
    assert str(raised.value).endswith("raw.orders stays as it was.")
    assert len(instants(shop)) == 3
    assert shop.rows("select ingested_at = timestamptz '2024-01-08 07:00:00Z' from raw.ingestions") == [(True,)]


def test_files_that_are_not_there_are_told(shop: Shop) -> None:
    with pytest.raises(TableError, match=r"expected a file at exports/\*\.csv"):
        shop.load("orders", source="csv:exports/*.csv")
    assert not (shop.folder / "home" / "warehouse.duckdb").exists()


def test_another_encoding_is_read_when_it_is_named(shop: Shop) -> None:
    shop.write("customer,day,amount\nZoé,2024-01-01,5 €\n", encoding="cp1252")
    with pytest.raises(TableError, match=r"expected utf-8 text in orders\.csv.*`encoding`"):
        shop.load("orders", source=CSV)
    shop.load("orders", source=CSV, encoding="cp1252")
    assert shop.rows("select customer, amount from raw.orders") == [("Zoé", "5 €")]


def test_bytes_that_are_no_text_deep_in_a_file_are_told(shop: Shop) -> None:
    (shop.folder / "orders.csv").write_bytes(LINES.encode() * 3000 + b"caf\xe9,2024-01-01,1\n")
    with pytest.raises(TableError, match="encoding"):
        shop.load("orders", source=CSV)


def test_files_of_one_table_may_order_their_columns_otherwise(shop: Shop) -> None:
    shop.write("customer,day,amount\n7,2024-01-01,1\n", "a.csv")
    shop.write("day;amount;customer\n2024-01-02;2;8\n", "b.csv")
    shop.load("orders", source="csv:?.csv")
    assert shop.rows("select customer, day, amount from raw.orders order by 1") == [
        ("7", "2024-01-01", "1"),
        ("8", "2024-01-02", "2"),
    ]
    shop.write("customer,day\n7,2024-01-01\n", "c.csv")
    with pytest.raises(TableError, match=r"columns of a\.csv .* in every file, but c\.csv has customer, day"):
        shop.load("orders", source="csv:?.csv")


def test_parquet_and_a_duckdb_file_keep_their_types(shop: Shop) -> None:
    made = "7::bigint as ID, date '2024-01-01' as day, 1.50::decimal(9, 2) as amount, {'a': 1} as \"of it\""
    with duckdb.connect(str(shop.folder / "shop.duckdb")) as theirs:
        theirs.execute(f"create table orders as select {made}")
        theirs.execute(f"copy orders to '{shop.folder / 'orders.parquet'}' (format parquet)")
    for name, source in (("parquet", "parquet:*.parquet"), ("duck", "duckdb:shop.duckdb:main.orders")):
        columns = shop.load(name, source=source, time="day").landed.columns
        assert columns == {
            "id": "BIGINT",
            "day": "DATE",
            "amount": "DECIMAL(9,2)",
            "of it": "STRUCT(a INTEGER)",
            "_loaded_at": "TIMESTAMP WITH TIME ZONE",
        }


def test_a_type_that_changes_is_refused(shop: Shop) -> None:
    for now, kind in ((MONDAY, "bigint"), (TUESDAY, "varchar")):
        duckdb.sql(f"select 7::{kind} as customer").write_parquet(str(shop.folder / "customers.parquet"))
        if now == MONDAY:
            shop.load("customers", now, source="parquet:customers.parquet")
    with pytest.raises(TableError, match=r"column customer as BIGINT, as the load before, but it is VARCHAR now"):
        shop.load("customers", TUESDAY, source="parquet:customers.parquet")


def test_a_duckdb_file_without_the_table_is_told(shop: Shop) -> None:
    duckdb.connect(str(shop.folder / "shop.duckdb")).close()
    with pytest.raises(TableError, match=r"expected to read duckdb:shop\.duckdb:orders, but:.*orders does not exist"):
        shop.load("orders", source="duckdb:shop.duckdb:orders")


def test_a_file_that_is_no_parquet_is_told(shop: Shop) -> None:
    shop.write("no parquet", "orders.parquet")
    with pytest.raises(TableError, match=r"expected to read parquet:orders\.parquet, but:"):
        shop.load("orders", source="parquet:orders.parquet")


# The clock.


@pytest.mark.parametrize(
    ("time", "days"),
    [
        ("day", ("2024-01-07 23:59:59", "2024-01-08 07:59:59", "2024-01-08 08:00:00", "2024-02-01")),
        ("day", ("2024-01-07T22:59:59Z", "2024-01-08T06:59:59Z", "2024-01-08T09:00:00+02", "2024-02-01T00:00Z")),
        (
            {"column": "day", "format": "%d/%m/%y %H:%M"},
            ("07/01/24 23:59", "08/01/24 07:59", "08/01/24 08:00", "01/02/24 00:00"),
        ),
        ({"column": "day", "format": "epoch"}, ("1704668399", "1704697199", "1704697200", "1800000000")),
        ({"column": "day", "format": "excel"}, ("45298.99", "45299.333", "45299.3334", "45400")),
        (
            {"column": "day", "zone": "America/New_York"},
            ("2024-01-07 10:00", "2024-01-08 01:59:59", "2024-01-08 02:00:00", "2024-01-08 07:00:00"),
        ),
    ],
)
def test_a_clock_that_was_set_back_reveals_what_happened_before(shop: Shop, time: Any, days: tuple[str, ...]) -> None:
    shop.write("customer,day,amount\n" + "".join(f"{number},{day},1\n" for number, day in enumerate(days)))
    loaded = shop.load("orders", time=time, source=CSV)
    assert [customer for customer, _ in instants(shop)] == ["0", "1"]
    assert loaded.hidden == 2
    assert str(loaded.newest)[:10] in ("2024-01-07", "2024-01-08")
    assert shop.load("orders", "2024-03-01T08:00:00+01:00", time=time, source=CSV).hidden in (0, 1)
    assert [day for _, day in instants(shop)][:2] == ["2024-01-08", "2024-01-08"]


def test_a_row_whose_time_cannot_be_read_is_there_and_counted(shop: Shop) -> None:
    shop.write(LINES + "009,soon,3\n")
    loaded = shop.load("orders", source=CSV)
    assert (loaded.landed.rows, loaded.unreadable) == (4, 1)


def test_late_rows_come_late_and_a_history_that_came_at_once_by_its_events(shop: Shop) -> None:
    shop.write(
        "customer,day,amount,arrived\n"
        "history,2024-01-01,1,2024-01-05 10:00\nhistory,2024-01-04,1,2024-01-05 10:00\n"
        "late,2024-01-02,1,2024-01-07 10:00\n"
    )
    shop.load("orders", "2024-01-03T08:00:00+01:00", source=CSV, arrived="arrived")
    assert [customer for customer, _ in instants(shop)] == ["history"]
    shop.load("orders", "2024-01-06T11:00:00+01:00", source=CSV, arrived="arrived")
    assert [customer for customer, _ in instants(shop)] == ["history", "history"]
    shop.load("orders", source=CSV, arrived="arrived")
    assert [customer for customer, _ in instants(shop)] == ["history", "history", "late"]


def test_before_its_first_row_a_table_is_empty(shop: Shop) -> None:
    shop.write(LINES)
    assert shop.load("orders", "2023-01-01T08:00:00+01:00", source=CSV).landed.rows == 0


def test_a_table_without_a_time_is_there_as_a_whole(shop: Shop) -> None:
    shop.write("product,since\n1,2030-01-01\n", "products.csv")
    assert shop.load("products", source="csv:products.csv").landed.rows == 1


def test_what_was_revealed_cannot_be_hidden_again(shop: Shop) -> None:
    shop.write(LINES)
    shop.load("orders", TUESDAY, source=CSV)
    with pytest.raises(TableError, match="expected a clock at or after 2024-01-09T08:00:00"):
        shop.load("orders", MONDAY, source=CSV)


# Until when a source is known.


def written(shop: Shop, at: str) -> None:
    """Say when the file was written."""
    seconds = datetime.fromisoformat(at).timestamp()
    os.utime(shop.folder / "orders.csv", (seconds, seconds))


@pytest.mark.parametrize(
    ("at", "known"),
    [
        # A file tells nothing of the days after it was written.
        ("2024-01-05T04:00:00Z", "2024-01-05 04:00:00Z"),
        # Unpacked with a time of its own, its newest row tells.
        ("1980-01-01T00:00:00Z", "2024-01-01 23:00:00Z"),
    ],
)
def test_a_file_is_known_until_it_was_written(shop: Shop, at: str, known: str) -> None:
    shop.write(LINES)
    written(shop, at)
    loaded = shop.load("orders", "", source=CSV)
    assert loaded.read_as_of == datetime.fromisoformat(known)
    assert shop.rows(f"select ingested_at = timestamptz '{known}' from raw.ingestions") == [(True,)]


def test_news_is_a_file_that_was_written_since(shop: Shop) -> None:
    wall, table = Clock(override_variable="BATON_NOT_IN_TESTS"), shop.company(orders={"source": CSV}).tables["orders"]

    def news() -> tuple[bool, str]:
        told = has_new_data(shop.warehouse, wall, "orders", table, shop.folder)
        return told.new, told.reason

    shop.write(LINES)
    written(shop, "2024-01-05T04:00:00Z")
    assert news() == (True, "orders was never loaded")
    shop.load("orders", "", source=CSV)
    assert news()[0] is False
    written(shop, "2024-01-06T04:00:00Z")
    assert news() == (True, "orders was written at 2024-01-06 04:00:00, and last read as of 2024-01-05 04:00")
