"""A table in a Postgres database lands with its own types, as of one instant; its address is never told."""

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from table_shop import TUESDAY, Shop

from resources.tables import TableError
from tools.postgres import PASSWORD, Server, serving

VARIABLE = "SHOP_DATABASE"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture
def database(server: Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs a statement on an empty database, whose address is in the environment."""
    port = server.variables["DAGSTER_POSTGRES_PORT"]
    address = f"postgresql://baton:{PASSWORD}@127.0.0.1:{port}/baton"
    monkeypatch.setenv(VARIABLE, address)

    def run(sql: str) -> None:
        with contextlib.closing(psycopg2.connect(address)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(sql)

    run("drop schema public cascade; create schema public")
    return run


ORDERS = """
create type channel as enum ('shop', 'web');
create table orders (
    "Customer" text, day timestamp, at timestamptz, amount numeric(9, 2), rate numeric, paid boolean, pieces smallint,
    "of it" jsonb, through channel
);
insert into orders values
    ('00123', '2024-01-02 10:30:00', '2024-01-02 10:30:00+01', 12.50, 0.1, true, 2, '{"a": [1]}', 'web'),
    ('', null, 'infinity', null, null, null, null, null, 'shop'),
    (null, '2024-01-02 23:59:59.999999', '2024-01-02 10:30:00Z', -1e6, 1e20, false, -1, '"x, y"', 'shop')
"""


def test_types_and_nulls_are_those_of_the_database(shop: Shop, database: Any) -> None:
    database(ORDERS)
    loaded = shop.load("orders", source="postgres:orders", connection=VARIABLE)
    assert loaded.landed.columns == {
        "customer": "VARCHAR",
        "day": "TIMESTAMP",
        "at": "TIMESTAMP WITH TIME ZONE",
        "amount": "DECIMAL(9,2)",
        "rate": "DOUBLE",
        "paid": "BOOLEAN",
        "pieces": "SMALLINT",
        "of it": "VARCHAR",
        "through": "VARCHAR",
        "_loaded_at": "TIMESTAMP WITH TIME ZONE",
    }
    assert shop.rows(
        "select customer, cast(day as varchar), cast(orders.at as varchar), cast(amount as varchar), rate, paid, "
        'pieces, "of it", through from raw.orders order by pieces nulls first'
    ) == [
        ("", None, "infinity", None, None, None, None, None, "shop"),
        (
            None,
            "2024-01-02 23:59:59.999999",
            "2024-01-02 10:30:00+00",
            "-1000000.00",
            1e20,
            False,
            -1,
            '"x, y"',
            "shop",
        ),
        ("00123", "2024-01-02 10:30:00", "2024-01-02 09:30:00+00", "12.50", 0.1, True, 2, '{"a": [1]}', "web"),
    ]


def test_only_what_changed_is_seen_anew(shop: Shop, database: Any) -> None:
    database("create schema sales; create table sales.orders as select 7 as customer, date '2024-01-02' as day")
    shop.load("orders", source="postgres:sales.orders", connection=VARIABLE)
    database("insert into sales.orders values (8, '2024-01-02')")
    again = shop.load("orders", TUESDAY, source="postgres:sales.orders", connection=VARIABLE).landed
    assert (again.rows, again.came, again.went) == (2, 1, 0)
    database("drop schema sales cascade")


def test_a_table_that_vanished_or_may_not_be_read_leaves_the_former_one(shop: Shop, database: Any) -> None:
    database("create table orders as select 7 as customer, date '2024-01-02' as day")
    shop.load("orders", source="postgres:orders", connection=VARIABLE)
    database("drop table orders")
    with pytest.raises(TableError, match=r'read the table orders in the database of SHOP_DATABASE, but: relation "'):
        shop.load("orders", TUESDAY, source="postgres:orders", connection=VARIABLE)
    assert shop.rows("select count(*) from raw.orders") == [(1,)]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "environment variable SHOP_DATABASE, such as .*, and it is not set"),
        ("postgres//baton:hush-hush@127.0.0.1/baton", "it is no address of a database"),
        ("postgresql://baton:hush-hush@127.0.0.1:{port}/baton", "password authentication failed"),
        ("postgresql://hush-hush:hush-hush@127.0.0.1:{port}/baton", "authentication failed"),
        ("postgresql://baton:hush-hush@127.0.0.1:1/baton", "[Cc]onnection refused"),
    ],
)
def test_an_address_is_never_told(
    shop: Shop, server: Server, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    monkeypatch.setenv(VARIABLE, address.format(port=server.variables["DAGSTER_POSTGRES_PORT"]))
    with pytest.raises(TableError, match=said) as raised:
        shop.load("orders", source="postgres:orders", connection=VARIABLE)
    assert "hush-hush" not in str(raised.value)
    assert raised.value.__cause__ is None
