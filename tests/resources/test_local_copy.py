"""A local copy of another warehouse: read again is only what changed, whatever happened to it in between."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pytest
from pydantic import PrivateAttr

from resources.warehouse import DuckDBWarehouse, LocalCopy, WarehouseError, share_of
from resources.warehouse.bigquery import BigQueryWarehouse
from resources.warehouse.contract import SourceTable
from resources.warehouse.duckdb_source import DuckDBSource

CUSTOMER = ("customer_id", "household_id")

LINES = "create table raw.lines (household_id bigint, amount double, _airbyte_extracted_at timestamptz)"


class Elsewhere(DuckDBWarehouse):
    """A DuckDB file that answers as a warehouse elsewhere: it knows which rows it was asked for."""

    dies_after: int | None = None

    _read: list[tuple[str, int]] = PrivateAttr(default_factory=list)

    def do(self, *statements: str) -> None:
        """Change the tables."""
        with duckdb.connect(self.path) as connection:
            connection.execute("set timezone = 'UTC'")
            for statement in statements:
                connection.execute(statement)

    def tables(self, schema: str) -> list[str]:
        return [name for found, name in self.shapes() if found == schema]

    def describe(self, schema: str, table: str) -> SourceTable | None:
        with self.connect() as connection:
            if not connection.execute(
                "select 1 from information_schema.tables where table_schema = ? and table_name = ?", [schema, table]
            ).fetchall():
                return None
            connection.execute("set timezone = 'UTC'")
            columns = {row[0]: row[1] for row in connection.execute(f"describe {schema}.{table}").fetchall()}
            [[digest]] = connection.execute(
                f"select coalesce(sum(hash(t)), 0) || ' ' || count(*) from {schema}.{table} as t"
            ).fetchall()
            [[made]] = connection.execute(
                "select coalesce(max(comment), '') from duckdb_tables() where schema_name = ? and table_name = ?",
                [schema, table],
            ).fetchall()
        return SourceTable(columns, {name: name for name in columns}, str(digest), str(made))

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        with self.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(sql, list(parameters)).fetchdf()

    def digest_of(self, values: Sequence[str]) -> str:
        return DuckDBSource(self).digest_of(values)

    def arrow_batches(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[pa.RecordBatch]:
        with self.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            for number, batch in enumerate(connection.sql(sql, params=list(parameters) or None).to_arrow_reader(2)):
                if number == self.dies_after:
                    os._exit(9)
                self._read.append((sql, batch.num_rows))
                yield batch

    def rows_asked_for(self) -> int:
        """Return how many rows were read since the last call."""
        rows = sum(number for _, number in self._read)
        self._read.clear()
        return rows


@pytest.fixture
def source(tmp_path: Path) -> Elsewhere:
    made = Elsewhere(path=str(tmp_path / "elsewhere.duckdb"))
    made.do(
        "create schema raw; create schema staging; create schema features",
        LINES,
        "insert into raw.lines select i, i / 2, timestamptz '2017-09-04 06:00:00Z' from range(100) as t (i)",
        "insert into raw.lines select i, i / 2, timestamptz '2017-09-05 06:00:00Z' from range(100, 110) as t (i)",
        "create table raw.products as select i as product_id, 'p' || i as name from range(5) as t (i)",
        "create table raw._loader as select 1 as state",
        "create view staging.stg_products as select cast(product_id as varchar) as product_id from raw.products",
        "create table features.customer_features as select cast(i as varchar) as customer_id, "
        "date '2017-09-04' as cutoff_date from range(100) as t (i)",
    )
    return made


class Copied(NamedTuple):
    """A copy and what it is a copy of."""

    copy: LocalCopy
    source: Elsewhere

    def refreshed(self) -> DuckDBWarehouse:
        return self.copy.refreshed(self.source)


@pytest.fixture
def copied(source: Elsewhere, tmp_path: Path) -> Copied:
    return Copied(LocalCopy(str(tmp_path / "local_copy.duckdb"), CUSTOMER, wait_seconds=5), source)


def same(copied: Copied, *tables: str) -> bool:
    """Tell whether the copy holds the rows and types of its source."""
    file = copied.refreshed()
    with duckdb.connect(file.path, read_only=True) as one, duckdb.connect(copied.source.path, read_only=True) as other:
        for connection in (one, other):
            connection.execute("set timezone = 'UTC'")
        return all(
            one.execute(statement).fetchall() == other.execute(statement).fetchall()
            for table in tables
            for statement in (f"select * from {table} order by all", f"describe {table}")
        )


def test_it_holds_what_is_measured_and_replayed_with_the_same_types(copied, source):
    assert same(copied, "raw.lines", "raw.products", "staging.stg_products")
    held = {name for name in copied.refreshed().shapes() if name[0] != "copied"}
    assert held == {("raw", "lines"), ("raw", "products"), ("staging", "stg_products")}
    assert source.rows_asked_for() == 110 + 5 + 5


def test_what_did_not_change_is_not_read_again(copied, source):
    copied.refreshed()
    source.rows_asked_for()
    copied.refreshed()
    assert source.rows_asked_for() == 0


def test_rows_that_arrived_are_added_those_of_the_newest_instant_too(copied, source):
    copied.refreshed()
    source.rows_asked_for()
    source.do(
        "insert into raw.lines values (200, 1.5, '2017-09-05 06:00:00Z'), (201, 2.5, '2017-09-06 06:00:00Z')",
    )
    assert same(copied, "raw.lines")
    assert source.rows_asked_for() == 12, "the day of the newest instant, and the new one"


@pytest.mark.parametrize(
    "change",
    [
        "delete from raw.lines where household_id = 7",
        "delete from raw.lines where _airbyte_extracted_at >= '2017-09-05'",
        "delete from raw.lines where household_id = 7; insert into raw.lines values (8, 1, '2017-09-07 06:00:00Z')",
        "update raw.lines set amount = 0, _airbyte_extracted_at = '2017-09-05 07:00:00Z' where household_id = 7",
        "insert into raw.lines values (8, 1, '2017-09-01 06:00:00Z')",
        "insert into raw.lines values (8, 1, null)",
        "delete from raw.lines",
        "alter table raw.lines add column store_id bigint",
        "alter table raw.lines drop column amount",
        "alter table raw.lines alter amount type varchar",
        "update raw.lines set amount = 0 where household_id = 7; comment on table raw.lines is 'made anew'",
        "update raw.products set name = 'another' where product_id = 1",
    ],
)
def test_rows_that_went_away_or_were_written_anew_are_noticed(copied, source, change):
    copied.refreshed()
    source.do(change)
    assert same(copied, "raw.lines", "raw.products")


def test_a_table_that_is_gone_is_gone_here_too(copied, source):
    copied.refreshed()
    source.do("drop table raw.lines")
    assert ("raw", "lines") not in copied.refreshed().shapes()
    source.do(LINES, "insert into raw.lines values (1, 1, '2017-09-04 06:00:00Z')")
    assert same(copied, "raw.lines")


@pytest.fixture
def with_order_lines(source: Elsewhere) -> Elsewhere:
    """Thirty days of order lines, kept in staging, and the view that adds what the products' list says."""
    source.do(
        "create schema marts",
        "create table staging.stg_order_lines as select cast(i % 50 as varchar) as customer_id, "
        "cast(i % 5 as varchar) as product_id, date '2017-08-01' + cast(i % 30 as integer) as ordered_on, "
        "i as amount_cents from range(300) as t (i)",
        "create view marts.order_lines as select l.*, p.name from staging.stg_order_lines as l "
        "left join raw.products as p on cast(p.product_id as varchar) = l.product_id",
    )
    return source


def test_of_order_lines_the_days_that_are_others_are_read(copied, with_order_lines):
    source = with_order_lines
    assert same(copied, "staging.stg_order_lines", "marts.order_lines")
    source.rows_asked_for()
    source.do("insert into staging.stg_order_lines values ('1', '1', '2017-08-31', 5), ('1', '1', '2017-08-01', 5)")
    assert same(copied, "staging.stg_order_lines", "marts.order_lines")
    assert source.rows_asked_for() == 2 * (1 + 11), "the new day, and the one that a late line came to, of each"


@pytest.mark.parametrize(
    "change",
    [
        "update staging.stg_order_lines set amount_cents = amount_cents + 1 where ordered_on = '2017-08-07'",
        "update staging.stg_order_lines set customer_id = null where amount_cents = 7",
        # One line twice and another gone: as many lines as before.
        "update staging.stg_order_lines set (customer_id, product_id, amount_cents) = ('7', '2', 7) "
        "where amount_cents = 37",
        "update staging.stg_order_lines set ordered_on = ordered_on + 1",
        "update staging.stg_order_lines set ordered_on = null where amount_cents = 7",
        "update staging.stg_order_lines set ordered_on = ordered_on + 1000",
        "delete from staging.stg_order_lines where ordered_on > '2017-08-07'",
        "delete from staging.stg_order_lines",
        "update raw.products set name = 'another' where product_id = 1",
        "insert into raw.products values (1, 'a product twice')",
    ],
)
def test_order_lines_that_are_others_are_noticed(copied, with_order_lines, change):
    copied.refreshed()
    for statement in (change, "delete from staging.stg_order_lines where amount_cents = 100"):
        with_order_lines.do(statement)
        assert same(copied, "staging.stg_order_lines", "marts.order_lines")


def test_the_file_of_former_days_goes_when_the_copy_is_there(copied, tmp_path):
    former = [tmp_path / "mirror.duckdb", tmp_path / "mirror.duckdb.wal"]
    for file in former:
        file.touch()
    copied.refreshed()
    assert not any(file.exists() for file in former)
    assert Path(copied.copy.path).exists()


def test_a_killed_refresh_leaves_whole_tables_and_the_next_one_goes_on(copied, source):
    copied.refreshed()
    source.do("update raw.lines set _airbyte_extracted_at = '2017-09-08 06:00:00Z', amount = -1")
    dying = Copied(copied.copy, source.model_copy(update={"dies_after": 20}))
    process = multiprocessing.get_context("fork").Process(target=dying.refreshed)
    process.start()
    process.join(30)
    assert process.exitcode == 9
    with duckdb.connect(copied.copy.path, read_only=True) as connection:
        assert connection.execute("select count(*), min(amount) from raw.lines").fetchall() == [(110, 0.0)]
    assert same(copied, "raw.lines", "raw.products")


def test_above_the_limit_the_same_sample_of_customers_is_everywhere(source, tmp_path):
    source.do("insert into raw.lines values (null, 1, '2017-09-05 06:00:00Z')")
    few = Copied(LocalCopy(str(tmp_path / "few.duckdb"), CUSTOMER, most_customers=60), source)
    file = few.refreshed()
    assert share_of(file) == 0.5
    kept = {str(one) for one in file.read("select household_id from raw.lines where household_id >= 0")["household_id"]}
    chosen = source.read(f"select household_id from raw.lines where {source.sampled('household_id', 0.5)}")
    assert kept == {str(one) for one in chosen["household_id"]}
    assert 30 < len(kept) < 80
    assert file.row_count("raw", "products") == 5, "names no customer, so it is whole"
    assert len(file.read("select * from raw.lines where household_id is null")) == 1, "a missing name must show"
    source.rows_asked_for()
    few.refreshed()
    assert source.rows_asked_for() == 0


def test_growth_seldom_changes_who_is_there(source, tmp_path):
    few = Copied(LocalCopy(str(tmp_path / "few.duckdb"), CUSTOMER, most_customers=60), source)

    def customers(number: int) -> None:
        source.do(
            "create or replace table features.customer_features as select cast(i as varchar) as customer_id, "
            f"date '2017-09-11' as cutoff_date from range({number}) as t (i)"
        )

    shares = []
    for number in (50, 100, 119, 121, 240, 250, 119, 50):
        customers(number)
        shares.append(share_of(few.refreshed()))
    # Once halved it is halved again at twice what the limit allows, and doubled when there is room for it.
    assert shares == [1.0, 1.0, 1.0, 0.25, 0.25, 0.25, 0.5, 1.0]


def test_without_a_file_to_keep_it_in_the_setting_is_named():
    with pytest.raises(WarehouseError, match="Expected local_copy, .* it is not set.* nothing was read"):
        BigQueryWarehouse(project="some-project").local()


def test_a_warehouse_on_this_machine_is_its_own(tmp_path):
    here = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"))
    assert here.local() is here
    assert share_of(here) == 1.0


def test_a_warehouse_on_this_machine_is_copied_when_it_has_more_customers_than_are_judged(source, tmp_path):
    def local_of(most: int) -> DuckDBWarehouse:
        copy = LocalCopy(str(tmp_path / f"{most}.duckdb"), CUSTOMER, most_customers=most)
        return DuckDBWarehouse(path=source.path, local_copy=copy).local()

    assert local_of(100).path == source.path
    assert not (tmp_path / "100.duckdb").exists()
    assert local_of(99).path == str(tmp_path / "99.duckdb")
    assert share_of(local_of(99)) == 0.5
