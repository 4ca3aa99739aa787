"""Tables that are there already land in BigQuery as in DuckDB: a table of its own by SQL, files as what they hold."""

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from environments.emulator import PROJECT

from resources.clock import Clock
from resources.company import Company, CompanyError
from resources.company.choice import folder_of
from resources.company.proposal import file_text, landed, propose
from resources.tables import Loaded, TableError, load
from resources.warehouse import WarehouseError
from resources.warehouse.bigquery import BigQueryWarehouse

pytestmark = pytest.mark.slow

MONDAY, TUESDAY = "2024-01-08T08:00:00+01:00", "2024-01-09T08:00:00+01:00"


@pytest.fixture
def bigquery(emulator: Any) -> BigQueryWarehouse:
    made = BigQueryWarehouse(project=PROJECT, wait_seconds=5)
    made.drop_table("raw", "orders")
    made.drop_table("raw", "ingestions")
    return made


def loaded(bigquery: BigQueryWarehouse, folder: Path, source: str, now: str) -> Loaded:
    company = Company.model_validate(
        {
            "title": "Shop",
            "time": {"zone": "Europe/Paris"},
            "order_lines": {"table": "orders", "customer": "customer", "time": "day", "amount": "amount"},
            "tables": {"orders": {"source": source}},
        }
    )
    clock = Clock(reads=now, override_variable="BATON_NOT_IN_TESTS")
    return load(bigquery, clock, company, "orders", folder)


def seen(bigquery: BigQueryWarehouse) -> list[tuple[Any, ...]]:
    found = bigquery.read("select customer, cast(date(_loaded_at) as string) as day from raw.orders order by 1, 2")
    return list(found.itertuples(index=False, name=None))


def test_a_table_within_bigquery_is_copied_as_the_clock_allows(bigquery: BigQueryWarehouse, tmp_path: Path) -> None:
    rows = "(7, datetime '2024-01-07 10:00:00', 1.5), (8, datetime '2024-01-08 09:00:00', 2.5)"
    with bigquery.connect() as client:
        client.create_dataset(f"{PROJECT}.shop", exists_ok=True)
    bigquery.execute("create or replace table shop.orders (Customer int64, day datetime, amount float64)")
    bigquery.execute(f"insert into shop.orders values {rows}")
    source = f"bigquery:{PROJECT}.shop.orders"
    first = loaded(bigquery, tmp_path, source, MONDAY)
    assert (first.landed.rows, first.landed.came, first.hidden) == (1, 1, 1)
    assert str(first.newest) == "2024-01-07 10:00:00"
    again = loaded(bigquery, tmp_path, source, TUESDAY)
    assert (again.landed.rows, again.landed.came, again.landed.went) == (2, 1, 0)
    assert seen(bigquery) == [(7, "2024-01-08"), (8, "2024-01-09")]
    with pytest.raises(WarehouseError, match=r"looking for .*shop\.orderz"):
        loaded(bigquery, tmp_path, f"bigquery:{PROJECT}.shop.orderz", TUESDAY)
    assert len(seen(bigquery)) == 2


def test_a_company_is_proposed_of_a_table_within_bigquery(bigquery: BigQueryWarehouse, monkeypatch: Any) -> None:
    monkeypatch.setenv("BATON_BIGQUERY_PROJECT", PROJECT)
    with bigquery.connect() as client:
        client.create_dataset(f"{PROJECT}.shop", exists_ok=True)
    bigquery.execute(
        "create or replace table shop.sales as select cast(1000 + mod(day * 7, 90) as string) as buyer, "
        "datetime_add(datetime '2023-01-02 10:00:00', interval day day) as bought, "
        "cast(10 + mod(day, 13) as numeric) as total from unnest(generate_array(0, 500)) as day"
    )
    [found] = landed(f"bigquery:{PROJECT}.shop.sales", print)
    proposed = propose([found], "shop", today=date(2024, 6, 3), say=print)
    roles = {role: column.name for role, column in proposed.roles.items()}
    assert roles == {"customer": "buyer", "time": "bought", "amount": "total"}
    text = file_text(proposed, folder_of("shop"))
    assert f'source = "bigquery:{PROJECT}.shop.sales"' in text
    bigquery.execute("create or replace table shop.sales (buyer string)")
    with pytest.raises(CompanyError, match=r"bigquery:.*shop\.sales holds no row"):
        landed(f"bigquery:{PROJECT}.shop.sales", print)
    with pytest.raises(CompanyError, match=r"Expected bigquery:project\.dataset\.table; it is 'bigquery:sales'"):
        landed("bigquery:sales", print)
    with pytest.raises(CompanyError, match=r"Expected bigquery:project\.dataset\.table"):
        landed("bigquery:example.com:shop.sales", print)


def test_a_file_lands_with_its_types_and_only_what_changed_is_seen_anew(
    bigquery: BigQueryWarehouse, tmp_path: Path
) -> None:
    def write(*values: str) -> None:
        columns = "Customer, day, amount, sent, paid, note"
        duckdb.sql(f"select * from (values {', '.join(values)}) as t({columns})").write_parquet(
            str(tmp_path / "orders.parquet")
        )

    row = "({}, timestamp '2024-01-0{} 10:00:00.25', 12.50::decimal(9, 2), timestamptz '2024-01-02 10:00Z', {}, {})"
    write(row.format(7, 1, "true", "''"), row.format(8, 2, "null", "null"))
    columns = loaded(bigquery, tmp_path, "parquet:orders.parquet", MONDAY).landed.columns
    assert columns == {
        "customer": "INT64",
        "day": "DATETIME",
        "amount": "NUMERIC",
        "sent": "TIMESTAMP",
        "paid": "BOOL",
        "note": "STRING",
        "_loaded_at": "TIMESTAMP",
    }
    write(row.format(7, 1, "true", "''"), row.format(8, 2, "false", "null"))
    again = loaded(bigquery, tmp_path, "parquet:orders.parquet", TUESDAY).landed
    assert (again.rows, again.came, again.went) == (2, 1, 1)
    assert seen(bigquery) == [(7, "2024-01-08"), (8, "2024-01-09")]
    found = bigquery.read("select stream from raw.ingestions")
    assert list(found["stream"]) == ["orders"]
    assert not bigquery.exists("raw", "_loading_orders")
    duckdb.sql("select 'x' as customer, date '2024-01-01' as day").write_parquet(str(tmp_path / "orders.parquet"))
    with pytest.raises(TableError, match="expected the column customer as INT64"):
        loaded(bigquery, tmp_path, "parquet:orders.parquet", TUESDAY)
    assert len(seen(bigquery)) == 2
