from dataclasses import replace
from datetime import date, timedelta

import duckdb
import pandas as pd
import pytest
from support.simulated_feed import FIRST, make_shop, measure, sources, watch

from ml_models.monitoring.data_quality.monitored_tables import TableSource, fitted, monitored_tables
from ml_models.monitoring.data_quality.profile_sql import MEASURE_COLUMNS, QUANTILES, measure_sql
from ml_models.monitoring.data_quality.sql_functions import quoted


@pytest.fixture(scope="module")
def shop():
    with duckdb.connect() as connection:
        make_shop(connection, buyers=300)
        yield connection


@pytest.fixture(scope="module")
def tables(shop):
    return watch(shop, sources())


@pytest.fixture(scope="module")
def week(shop, tables):
    return measure(shop, tables, FIRST + timedelta(days=70), 1)


def value(profile: pd.DataFrame, column: str, measure_name: str, key: str | None = None) -> float:
    rows = profile[
        (profile["asset"] == "feed/sales")
        & (profile["column_name"] == column)
        & (profile["measure"] == measure_name)
        & ((profile["value_key"] == key) if key is not None else True)
    ]
    assert len(rows) == 1
    return float(rows["value"].iloc[0])


def test_roles_follow_from_types_keys_and_counts(tables):
    sales, items = tables
    assert sales.group == "receipt"
    assert sales.entity == "buyer_id"
    assert sales.segments == ("till_id", "paid_by")
    assert set(sales.numbers) >= {"price", "rebate"}
    assert "paid_by" in sales.categories
    assert items.time_sql == ""
    assert items.categories == ("family",)


def test_an_identifier_with_few_values_is_a_segment():
    source = TableSource(
        "s/t",
        {"order_id": "VARCHAR", "shop_id": "VARCHAR", "customer_id": "VARCHAR", "at": "TIMESTAMP"},
        keys=("order_id",),
        time_sql="at",
        rows=10_000,
        distinct={"order_id": 10_000, "shop_id": 30, "customer_id": 900},
        lives={"order_id": 1.0, "shop_id": 20.0, "customer_id": 9.0},
    )
    (table,) = monitored_tables([source])
    assert table.segments == ("shop_id",)
    assert table.entity == "customer_id"


def test_a_number_that_counts_weeks_is_not_measured():
    source = TableSource(
        "s/t",
        {"id": "BIGINT", "week": "BIGINT", "amount": "DOUBLE", "at": "TIMESTAMP"},
        keys=("id",),
        time_sql="at",
        rows=10_000,
        distinct={"id": 10_000, "week": 52, "amount": 900},
        lives={"id": 1.0, "week": 1.8, "amount": 20.0},
    )
    (table,) = monitored_tables([source])
    assert table.numbers == ("amount",)


def test_measures_are_what_the_rows_say(shop, week):
    assert list(week.columns) == MEASURE_COLUMNS
    start = FIRST + timedelta(days=70)
    rows, mean, cards = shop.execute(
        "select count(*), avg(nullif(rebate, 0)), count(*) filter (where paid_by = 'card') from feed.sales "
        f"where sold_at >= date '{start}' and sold_at < date '{start + timedelta(days=7)}'"
    ).fetchone()
    assert value(week, "", "rows") == rows
    assert value(week, "rebate", "mean") == pytest.approx(mean)
    assert value(week, "paid_by", "value_rows", "card") == cards
    assert value(week, "receipt+item", "duplicate_share") == 0


def test_weeks_measure_together_what_each_measures_alone(shop, tables):
    """Also weeks that have a part of the weeks before them only, or none, and one without a row."""
    begin = FIRST - timedelta(days=7)
    together = measure(shop, tables[:1], begin, 18)
    firsts = [begin + timedelta(days=7 * number) for number in (0, 3, 13, 17)]
    alone = pd.concat([measure(shop, tables[:1], first, 1) for first in firsts], ignore_index=True)
    week = together["period_start"].dt.to_period("W-SUN").dt.start_time
    together = together[week.isin([pd.Timestamp(first) for first in firsts])]
    keys = ["asset", "column_name", "measure", "value_key", "period_start"]
    both = together.merge(alone, on=keys, how="outer", suffixes=("", "_alone"))
    assert len(both) == len(together) == len(alone) > 1000
    pd.testing.assert_series_equal(both["n"], both["n_alone"], check_names=False)
    # A sum of fractions depends on the order in which an engine adds them up; what is counted does not.
    added = both["measure"].isin(["mean", "price_ratio", "strays", "strays_scale", "spread_of_visits"])
    counted, summed = both[~added], both[added]
    pd.testing.assert_series_equal(counted["value"], counted["value_alone"], check_names=False, check_exact=True)
    pd.testing.assert_series_equal(summed["value"], summed["value_alone"], check_names=False)


def test_modal_values_and_quantiles_are_those_of_the_rows():
    """Of values that are as frequent the smallest is the mode; a column may be called as a count is."""
    with duckdb.connect() as connection:
        connection.execute(
            "create table t as select 'i' || range as id, "
            "timestamp '2021-05-03' + to_days((range % 14)::int) as sold_at, "
            "case when range % 7 = 0 then null else 'v' || range % 7 end as n, (range % 50) / 4 as amount "
            "from range(1400)"
        )
        source = TableSource(
            "s/t",
            {"id": "VARCHAR", "sold_at": "TIMESTAMP", "n": "VARCHAR", "amount": "DOUBLE"},
            keys=("id",),
            time_sql="sold_at",
            time_column="sold_at",
            rows=1400,
            distinct={"id": 1400, "n": 6, "amount": 900},
            lives={"id": 1.0, "n": 2.0, "amount": 20.0},
        )
        (table,) = monitored_tables([source])
        table = replace(table, relation="t")
        parts = [connection.execute(one).fetchdf() for one in measure_sql(table, date(2021, 5, 3), date(2021, 5, 16))]
        rows = connection.execute("select n, amount from t where sold_at < timestamp '2021-05-10'").fetchdf()
    found = pd.concat(parts, ignore_index=True)
    found = found[found["period_start"] == pd.Timestamp("2021-05-03")]
    counts = rows["n"].value_counts()
    mode = min(counts.index[counts == counts.max()])
    by_name = {(row.column_name, row.measure): row for row in found.itertuples()}
    assert by_name["n", "modal_share"].value_key == mode
    assert by_name["n", "modal_share"].value == counts[mode] / counts.sum()
    assert by_name["n", "null_share"].value == rows["n"].isna().mean() > 0
    assert by_name["n", "distinct"].value == 6
    sized = rows.loc[rows["amount"] != 0, "amount"]
    for name, share in QUANTILES.items():
        assert by_name["amount", name].value == pytest.approx(sized.quantile(share), rel=1e-12), name


def test_a_week_without_a_row_is_measured_as_empty(shop, tables):
    empty = measure(shop, tables[:1], FIRST + timedelta(days=7 * 30), 1)
    assert value(empty, "", "rows") == 0


def test_weeks_must_be_whole(tables):
    with pytest.raises(ValueError, match="whole weeks"):
        measure_sql(tables[0], date(2021, 5, 3), date(2021, 5, 8))


def test_a_column_that_went_away_stops_none_of_the_others(shop, tables):
    columns = {name: kind for name, kind in tables[0].columns.items() if name not in ("price", "till_id")}
    less = fitted(tables[0], columns)
    shop.execute("create or replace table feed.narrow as select * exclude (price, till_id) from feed.sales")
    statements = measure_sql(less, FIRST, FIRST + timedelta(days=6))
    assert all(len(shop.execute(sql.replace("feed.sales", "feed.narrow")).fetchall()) >= 0 for sql in statements)


def test_columns_whose_names_need_quotes_are_measured_as_any_other(shop, tables, week):
    odd = {"rebate": "Re bate", "paid_by": "order", "sold_at": "Sold At", "item": "d'item"}
    renames = ", ".join(f'{name} as "{other}"' for name, other in odd.items())
    shop.execute(f"create or replace table feed.odd as select * rename ({renames}) from feed.sales")
    plain = tables[0]
    source = TableSource(
        "feed/odd",
        {odd.get(name, name): kind for name, kind in plain.columns.items()},
        keys=tuple(odd.get(name, name) for name in plain.keys),
        time_sql='"Sold At"',
        time_column="Sold At",
    )
    measured = measure(shop, watch(shop, [source]), FIRST + timedelta(days=70), 1).replace("feed/odd", "feed/sales")
    # The engine adds up in whichever order its threads end, so that the last digit may differ.
    assert value(measured, "Re bate", "mean") == pytest.approx(value(week, "rebate", "mean"))
    assert value(measured, "order", "value_rows", "card") == value(week, "paid_by", "value_rows", "card")
    assert value(measured, "receipt+d'item", "duplicate_share") == 0


def test_a_column_may_be_called_by_any_word_of_the_engine() -> None:
    """`at`, `by`, `left` and `full` are columns of companies, and words of SQL that are not all called reserved."""
    with duckdb.connect() as connection:
        words = [word for (word,) in connection.execute("select keyword_name from duckdb_keywords()").fetchall()]
        for word in words:
            connection.execute(f'create or replace table t as select 1 as "{word}"')
            name = quoted(word)
            asked = f"select {name}, t.{name}, count({name}) as {name} from t where {name} > 0 group by {name}"
            assert connection.execute(asked).fetchall() == [(1, 1, 1)], word
