"""A column is followed through SQL to the tables it is computed of, and to no others."""

import duckdb
import pytest

from resources.column_lineage import ColumnLineage
from resources.compiled_models import Model

LINES = """
    with source as (select * from "memory"."raw"."sales")
    select customer, item, bought_on, price from source where price is not null
"""
JOINED = """
    select lines.*, items.kind, coalesce(items.kind, 'other') as named
    from staging.lines as lines left join raw.items as items on items.item = lines.item
"""
KNOWN = """
    select joined.customer, joined.bought_on, joined.kind
    from marts.joined as joined inner join raw.members as members on members.customer = joined.customer
"""
FEATURES = """
    with visits as (select customer, count(*) as visits, max(bought_on) as last_on from marts.joined group by customer),
    kinds as (select customer, count(distinct kind) as kinds from marts.joined group by customer),
    members as (select customer, count(*) as seen from marts.known group by customer)
    select visits.customer, visits.visits, kinds.kinds, members.seen,
        (select max(day) from raw.calendar) as newest,
        case when visits.customer in (select customer from raw.blocked) then 1 else 0 end as blocked
    from visits left join kinds on kinds.customer = visits.customer
    left join members on members.customer = visits.customer
"""
BOTH = """
    select customer, price as value from staging.lines
    union all
    select customer, points from raw.points
"""
NEWEST = """
    select distinct on (lines.customer) lines.customer, lines.price
    from staging.lines as lines left join raw.items as items on items.item = lines.item
    order by lines.customer, items.kind
"""
COLUMNS = {
    "raw/sales": {"customer": "VARCHAR", "item": "VARCHAR", "bought_on": "DATE", "price": "DOUBLE"},
    "raw/items": {"item": "VARCHAR", "kind": "VARCHAR"},
    "raw/members": {"customer": "VARCHAR"},
    "raw/calendar": {"day": "DATE"},
    "raw/blocked": {"customer": "VARCHAR"},
    "raw/points": {"customer": "VARCHAR", "points": "DOUBLE"},
    "staging/lines": {"customer": "VARCHAR", "item": "VARCHAR", "bought_on": "DATE", "price": "DOUBLE"},
    "marts/joined": {
        "customer": "VARCHAR",
        "item": "VARCHAR",
        "bought_on": "DATE",
        "price": "DOUBLE",
        "kind": "VARCHAR",
        "named": "VARCHAR",
    },
    "marts/known": {"customer": "VARCHAR", "bought_on": "DATE", "kind": "VARCHAR"},
}


def model(asset: str, sql: str) -> Model:
    """Return a compiled model; what it reads is found in its SQL."""
    schema, _, name = asset.partition("/")
    return Model(asset, schema, name, sql, stored=True, parents=(), sources=(), days="")


@pytest.fixture(scope="module")
def lineage() -> ColumnLineage:
    """Models over raw tables; items are joined for their kind alone, members decide which rows there are."""
    sql = {
        "staging/lines": LINES,
        "marts/joined": JOINED,
        "marts/known": KNOWN,
        "features/f": FEATURES,
        "marts/b": BOTH,
        "marts/newest": NEWEST,
    }
    return ColumnLineage([model(asset, text) for asset, text in sql.items()], COLUMNS)


LINES_OF = {"marts/joined", "staging/lines", "raw/sales"}


@pytest.mark.parametrize(
    ("asset", "column", "tables"),
    [
        ("features/f", "visits", LINES_OF),
        ("features/f", "kinds", {*LINES_OF, "raw/items"}),
        ("features/f", "seen", {*LINES_OF, "marts/known", "raw/members"}),
        ("features/f", "newest", {*LINES_OF, "raw/calendar"}),
        ("features/f", "blocked", {*LINES_OF, "raw/blocked"}),
        ("marts/known", "bought_on", {*LINES_OF, "raw/members"}),
        ("marts/joined", "named", {"staging/lines", "raw/sales", "raw/items"}),
        ("marts/b", "value", {"staging/lines", "raw/sales", "raw/points"}),
        ("marts/newest", "price", {"staging/lines", "raw/sales", "raw/items"}),
        ("raw/items", "kind", set()),
    ],
)
def test_a_column_is_made_of_what_it_reads_and_of_what_decides_its_rows(
    lineage: ColumnLineage, asset: str, column: str, tables: set[str]
) -> None:
    assert lineage.made_of(asset, column) == tables


def test_a_table_is_found_by_its_name_in_whatever_letters_sql_says_it():
    """A source may name its tables in capitals: what is not found would be held to spoil nothing."""
    columns = {"raw/Sales": COLUMNS["raw/sales"], "staging/Lines": COLUMNS["staging/lines"]}
    models = [
        model("staging/Lines", """select * from "memory"."raw"."Sales" """),
        model("features/f", "select customer, count(*) as visits from staging.lines group by customer"),
    ]
    assert ColumnLineage(models, columns).made_of("features/f", "visits") == {"staging/Lines", "raw/Sales"}


def test_a_table_whose_columns_are_not_told_is_passed_over():
    """A warehouse may list what is no table, such as a function that gives one."""
    columns = {**COLUMNS, "features/as_of": {}}
    models = [model("features/f", "select customer, count(*) as visits from raw.sales group by customer")]
    assert ColumnLineage(models, columns).made_of("features/f", "visits") == {"raw/sales"}


def test_a_column_is_traced_to_the_columns_it_is_computed_of_and_not_to_those_that_choose_its_rows(lineage):
    made = lineage.columns_of("features/f")
    assert made["visits"] == []
    assert made["customer"] == [("marts/joined", "customer")]
    assert made["kinds"] == [("marts/joined", "kind")]
    assert made["newest"] == [("raw/calendar", "day")]
    assert lineage.columns_of("staging/lines")["price"] == [("raw/sales", "price")]


def test_a_column_of_a_union_is_traced_into_each_of_its_parts(lineage):
    assert lineage.columns_of("marts/b")["value"] == [("raw/points", "points"), ("staging/lines", "price")]


def test_a_column_keeps_the_letters_that_its_table_has():
    columns = {"raw/Sales": {"Order Id": "VARCHAR", "Price": "DOUBLE"}}
    sql = 'select "Order Id" as order_id, sum("Price") as paid from "memory"."raw"."Sales" group by all'
    made = ColumnLineage([model("staging/sales", sql)], columns).columns_of("staging/sales")
    assert made == {"order_id": [("raw/Sales", "Order Id")], "paid": [("raw/Sales", "Price")]}


def test_what_is_taken_of_a_table_that_is_not_there_yet_has_no_column_behind_it():
    models = [
        model("marts/all_of_it", "select * from staging.unbuilt"),
        model("marts/one", "select a from (select * from staging.unbuilt)"),
    ]
    lineage = ColumnLineage(models, {})
    assert lineage.columns_of("marts/all_of_it") == {"*": []}
    assert set(lineage.columns_of("marts/one")) == {"a"}


def test_the_definition_of_a_column_leaves_out_what_other_columns_need(lineage: ColumnLineage) -> None:
    kinds = lineage.definition_of("features/f", "kinds", ["customer"])
    assert "COUNT(DISTINCT" in kinds
    assert "members" not in kinds, "a left join of which nothing is selected changes no row"
    assert "last_on" not in kinds
    assert "calendar" not in kinds
    visits = lineage.definition_of("features/f", "visits", ["customer"])
    assert "LEFT JOIN" not in visits
    with pytest.raises(KeyError, match="Expected a column of the query, got 'luck'"):
        lineage.definition_of("features/f", "luck", ["customer"])


def test_rows_that_are_made_distinct_or_put_together_keep_all_that_they_are_made_of() -> None:
    query = """
        with pairs as (select distinct customer, item from raw.sales),
        both_of as (select customer, item from pairs union all select customer, kind from raw.items),
        counted as (select customer, count(*) as n, max(item) as newest from both_of group by customer)
        select customer, n, newest from counted
    """
    columns = {**COLUMNS, "raw/items": {"customer": "VARCHAR", "kind": "VARCHAR"}}
    written = ColumnLineage([model("marts/counted", query)], columns).definition_of("marts/counted", "n", ["customer"])
    with duckdb.connect() as connection:
        connection.execute("create schema raw; create table raw.items as select 'a' as customer, 'x' as kind")
        rows = "values ('a', 'i'), ('a', 'i'), ('a', 'j'), ('b', 'i')"
        connection.execute(f"create table raw.sales as select * from ({rows}) as sales(customer, item)")
        assert connection.execute(f"{written} order by all").fetchall() == [("a", 3), ("b", 1)]
        assert "newest" not in written
        assert connection.execute(f"select customer, n from ({query}) order by all").fetchall() == [("a", 3), ("b", 1)]
