"""Perturbations: each operation does to rows what its name promises, the same way every time."""

from dataclasses import replace
from datetime import date

import duckdb
import pandas as pd
import pytest

from ml_models.faults import OPERATIONS, check, depends_on_when, perturbed_sql
from ml_models.monitoring.types import Perturbation

FIRST = date(2024, 3, 4)
TIME = "bought_at"


@pytest.fixture(scope="module")
def shop():
    """Sales of 400 buyers over 140 days: 14,000 lines in 7,000 baskets, at 30 shops."""
    with duckdb.connect() as connection:
        connection.execute(
            "create table sales as select cast(i // 2 as bigint) as basket, cast(i as bigint) as line, "
            "cast((i // 2) % 400 as bigint) as buyer, (i // 2) % 30 as shop, 100 + i % 50 as cents, "
            "cast(100 + i % 50 as double) / 100 as price, 'kind ' || (i % 10) as kind, "
            "timestamp '2024-01-01 09:30:00' + to_days(cast((i // 100) as integer)) as bought_at "
            "from range(14000) as r(i)"
        )
        yield connection


def columns(connection, relation="sales"):
    return {row[0]: row[1] for row in connection.execute(f"describe select * from {relation}").fetchall()}


def altered(connection, operation, time=TIME, as_of=None, **fields):
    perturbation = Perturbation("raw/sales", operation, **fields)
    return connection.execute(perturbed_sql(perturbation, columns(connection), time, "sales", as_of)).fetchdf()


def before(connection):
    return connection.execute("select * from sales").fetchdf()


def late(frame):
    return frame[frame.bought_at >= pd.Timestamp(FIRST)]


def test_dropping_a_third_of_the_shops_spares_the_others_and_the_past(shop):
    kept, whole = altered(shop, "drop", per="shop", rate=1 / 3, first_day=FIRST), before(shop)
    left = set(late(kept).shop)
    assert 4 <= 30 - len(left) <= 16
    assert len(late(kept)) == whole.pipe(late).shop.isin(left).sum()
    assert (kept.bought_at < pd.Timestamp(FIRST)).sum() == (whole.bought_at < pd.Timestamp(FIRST)).sum()


def test_two_perturbations_of_the_same_unit_hit_the_same_ones_and_a_text_key_is_hit_like_a_number(shop):
    nulled = altered(shop, "null", column="kind", per="buyer", rate=0.3)
    scaled = altered(shop, "scale", column="cents", value=100, per="buyer", rate=0.3)
    hit = set(nulled[nulled.kind.isna()].buyer)
    assert hit == set(scaled[scaled.cents >= 10_000].buyer)
    shop.execute("create or replace view texts as select * replace (cast(buyer as varchar) as buyer) from sales")
    text = Perturbation("staging/texts", "null", column="kind", per="buyer", rate=0.3)
    found = shop.execute(perturbed_sql(text, columns(shop, "texts"), TIME, "texts")).fetchdf()
    assert {str(buyer) for buyer in hit} == set(found[found.kind.isna()].buyer)
    assert len(hit) == pytest.approx(120, abs=30)


def test_single_rows_are_hit_at_the_rate_within_where_and_days(shop):
    found = altered(
        shop, "null", column="kind", rate=0.3, where="shop < 10", first_day=FIRST, last_day=date(2024, 3, 31)
    )
    missing = found[found.kind.isna()]
    eligible = found[(found.shop < 10) & found.bought_at.between("2024-03-04", "2024-04-01")]
    assert len(missing) == pytest.approx(0.3 * len(eligible), rel=0.15)
    assert missing.index.isin(eligible.index).all()


def test_numbers_keep_their_type(shop):
    assert altered(shop, "scale", column="cents", value=1.2).cents.dtype == "int64"
    assert altered(shop, "negate", column="price").price.max() < 0
    assert (altered(shop, "add", column="cents", value=5).cents - before(shop).cents).eq(5).all()
    assert altered(shop, "set", column="cents", value={"sql": "least(cents, 120)"}).cents.max() == 120
    exchanged = altered(shop, "swap", column="shop", value="buyer")
    assert exchanged.shop.equals(before(shop).buyer.astype(exchanged.shop.dtype))


def test_shuffled_values_stay_the_same_set_and_belong_to_others(shop):
    found, whole = altered(shop, "shuffle", column="line"), before(shop)
    assert sorted(found.line) == pytest.approx(sorted(whole.line), abs=14_000)
    moved = altered(shop, "shuffle", column="kind").sort_values("line")
    assert (moved.kind.to_numpy() != whole.kind.to_numpy()).mean() > 0.8


def test_categories_are_renamed_and_collapsed(shop):
    assert set(altered(shop, "map_values", column="kind", value="NEW {}").kind) == {f"NEW kind {i}" for i in range(10)}
    named = altered(shop, "map_values", column="kind", value={"kind 1": "one"})
    assert {"one", "kind 2"} <= set(named.kind)
    assert "kind 1" not in set(named.kind)
    assert altered(shop, "collapse", column="kind", value="all").kind.nunique() == 1
    half = altered(shop, "collapse", column="kind", rate=0.5)
    assert 1 < half.kind.nunique() < 10


def test_new_identifiers_are_one_for_one_and_merged_ones_two_for_one(shop):
    whole = before(shop)
    fresh = late(altered(shop, "rekey", column="buyer", first_day=FIRST))
    assert fresh.buyer.nunique() == late(whole).buyer.nunique()
    assert not set(fresh.buyer) & set(whole.buyer)
    merged = altered(shop, "merge", column="buyer", first_day=FIRST)
    assert late(merged).buyer.nunique() == late(whole).buyer.nunique() / 2
    assert len(merged) == len(whole)
    assert merged[merged.bought_at < pd.Timestamp(FIRST)].buyer.nunique() == 400
    assert altered(shop, "merge", column="buyer", value=4, rate=0.5).buyer.nunique() == pytest.approx(250, abs=40)


def test_copies_repeat_keys_or_renew_them(shop):
    same = altered(shop, "duplicate", first_day=FIRST)
    assert len(same) == len(before(shop)) + len(late(before(shop)))
    assert same.line.nunique() == 14_000
    renewed = altered(shop, "duplicate", column="line", first_day=FIRST)
    assert renewed.line.is_unique
    returned = altered(shop, "duplicate", column="line", rate=0.1, value={"cents": "-cents"}, first_day=FIRST)
    assert (returned.cents < 0).sum() == len(returned) - 14_000 > 500


def test_replayed_days_come_again_under_new_keys_dated_then_or_now(shop):
    again = altered(shop, "replay_days", column="basket", value=14, first_day=FIRST)
    new = again[~again.basket.isin(before(shop).basket)]
    assert len(new) == 14 * 100
    assert new.bought_at.between("2024-02-19", "2024-03-04").all()
    later = altered(shop, "replay_days", column="basket", value={"days": 14, "shift": 14}, first_day=FIRST)
    assert later[~later.basket.isin(before(shop).basket)].bought_at.between("2024-03-04", "2024-03-18").all()


def test_added_entities_are_new_and_have_baskets_of_their_own(shop):
    found = altered(shop, "add_entities", per="buyer", value=["basket"], rate=0.15, first_day=FIRST)
    new = found[found.buyer >= 400]
    assert new.buyer.nunique() == pytest.approx(60, abs=20)
    assert not set(new.basket) & set(before(shop).basket)
    assert new.bought_at.min() >= pd.Timestamp(FIRST)


def test_thinning_takes_whole_baskets_of_the_chosen(shop):
    found = altered(shop, "thin", per="buyer", rate=1 / 3, column="basket", value=0.6, first_day=FIRST)
    assert found.groupby("basket").size().eq(2).all()
    kept = late(found).basket.nunique() / late(before(shop)).basket.nunique()
    assert kept == pytest.approx(1 - 0.6 / 3, abs=0.05)


def test_quitting_takes_the_hazard_each_week_and_is_final(shop):
    # Every buyer buys at least once in eight days here, so who is not seen after a week has left.
    found = altered(shop, "quit", per="buyer", value=0.2, first_day=FIRST)
    day = {week: pd.Timestamp(FIRST) + pd.Timedelta(weeks=week) for week in (0, 3, 9)}
    ever = late(before(shop)).buyer.nunique()
    assert late(found).buyer.nunique() < ever
    still = (
        found[found.bought_at >= day[9]].buyer.nunique() / before(shop).query("bought_at >= @day[9]").buyer.nunique()
    )
    assert still == pytest.approx(0.8**9.5, abs=0.06)
    assert altered(shop, "quit", per="buyer", value=0.0, first_day=FIRST).equals(before(shop))


def test_regrouped_rows_move_back_to_the_first_week_of_a_block_and_none_is_lost(shop):
    found = altered(shop, "regroup_time", per="buyer", column="bought_at", value=5, first_day=FIRST)
    whole = before(shop)
    assert len(found) == len(whole)
    moved = (whole.set_index("line").bought_at - found.set_index("line").bought_at).dt.days
    assert set(moved) == {0, 7, 14, 21, 28}
    assert (
        found[found.bought_at < pd.Timestamp(FIRST)].line.isin(whole[whole.bought_at < pd.Timestamp(FIRST)].line).all()
    )


def test_times_shift_by_hours_and_by_a_zone(shop):
    moved = altered(shop, "shift_time", column="bought_at", value=-5)
    assert (before(shop).bought_at - moved.bought_at).eq(pd.Timedelta(hours=5)).all()
    local = altered(shop, "shift_time", column="bought_at", value="America/New_York")
    assert set((before(shop).bought_at - local.bought_at).dt.total_seconds() / 3600) == {4, 5}


def test_late_rows_are_missing_only_while_they_are_late(shop):
    week = date(2024, 3, 18)
    missing = altered(shop, "delay", value=3, first_day=FIRST, as_of=week)
    assert len(before(shop)) - len(missing) == (before(shop).bought_at >= "2024-03-15").sum()
    assert len(altered(shop, "delay", value=3, first_day=FIRST)) == len(before(shop))


def test_schemas_change(shop):
    assert "prices" in altered(shop, "rename_column", column="price", value="prices")
    assert altered(shop, "retype", column="cents", value="VARCHAR").cents.dtype == object
    assert "kind" not in altered(shop, "drop_column", column="kind")
    assert altered(shop, "add_column", column="note").note.isna().all()


def test_where_can_look_at_the_past_of_an_entity(shop):
    who = "buyer in (select buyer from {table} where bought_at < {first_day} and kind = 'kind 2')"
    found = altered(shop, "drop", where=who, first_day=FIRST)
    known = before(shop)
    quitters = set(known[(known.bought_at < pd.Timestamp(FIRST)) & (known.kind == "kind 2")].buyer)
    assert set(late(found).buyer) == set(late(known).buyer) - quitters


def test_a_predicate_over_nulls_hits_nothing(shop):
    assert len(altered(shop, "drop", where="nullif(shop, shop) = 1")) == 14_000


def test_every_operation_runs_and_is_the_same_twice(shop):
    values = {"map_values": "x {}", "set": 1, "swap": "shop", "rename_column": "x", "retype": "VARCHAR", "quit": 0.1}
    known = columns(shop)
    for name in set(OPERATIONS) - {"edit_model"}:
        column = {
            "regroup_time": "bought_at",
            "shift_time": "bought_at",
            "add_column": "new",
            "map_values": "kind",
        }.get(name, "cents")
        per = "buyer" if name in ("quit", "regroup_time", "add_entities") else ""
        value = values.get(
            name, None if name in ("collapse", "add_entities", "add_column", "merge", "duplicate") else 2
        )
        value = 0.5 if name == "thin" else value
        what = Perturbation("raw/sales", name, column, per=per, value=value, first_day=FIRST)
        if OPERATIONS[name].whole_table:
            what = replace(what, first_day=None)
        sql = perturbed_sql(what, known, TIME, "sales", date(2024, 4, 1))
        once, again = (sorted(shop.execute(sql).fetchall(), key=str) for _ in range(2))
        assert once == again, name


def test_only_late_rows_and_what_changes_as_a_whole_depend_on_when_one_looks():
    assert depends_on_when(Perturbation("raw/a", "delay", value=1), "t")
    assert depends_on_when(Perturbation("raw/a", "drop", first_day=FIRST), "")
    assert depends_on_when(Perturbation("raw/a", "drop_column", "x", first_day=FIRST), "t")
    assert not depends_on_when(Perturbation("raw/a", "drop", first_day=FIRST), "t")
    assert not depends_on_when(Perturbation("raw/a", "drop"), "")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"operation": "explode"}, "Expected an operation out of drop"),
        ({"operation": "drop", "rate": 1.5}, "a rate between 0 and 1"),
        ({"operation": "drop", "rate": "half"}, "a rate between 0 and 1"),
        ({"operation": "drop", "table": "sales"}, "a table as 'schema/name'"),
        ({"operation": "null"}, "expected `column`"),
        ({"operation": "null", "column": "colour"}, "expected a column of the table"),
        ({"operation": "drop", "per": "colour"}, "expected a column of the table"),
        ({"operation": "scale", "column": "cents"}, "expected `value`"),
        ({"operation": "scale", "column": "cents", "value": "two"}, "expected a number as `value`"),
        ({"operation": "scale", "column": "kind", "value": 2}, "expected a number column"),
        ({"operation": "quit", "per": "buyer", "value": 0.1}, "expected `first_day`"),
        ({"operation": "quit", "per": "buyer", "value": 6, "first_day": FIRST}, "a share between 0 and 1"),
        ({"operation": "drop", "first_day": FIRST, "last_day": date(2024, 1, 1)}, "last_day not before first_day"),
        ({"operation": "drop", "first_day": "2024-03-04"}, "first_day to be a date"),
        ({"operation": "rename_column", "column": "cents", "value": "price"}, "is there already"),
        ({"operation": "rename_column", "column": "cents", "value": "x", "rate": 0.5}, "changes the whole column"),
        ({"operation": "map_values", "column": "kind", "value": "x"}, "a pattern with {}"),
        ({"operation": "merge", "column": "buyer", "value": 1}, "a whole number from 2 on"),
        ({"operation": "shift_time", "column": "cents", "value": 1}, "a column that holds a time"),
        ({"operation": "set", "column": "cents", "value": {"expression": "1"}}, "{sql = '…'}"),
        ({"operation": "drop", "where": "t < {first_day}"}, "Give it a first_day"),
        ({"operation": "edit_model", "value": {"find": "a", "replace": "b"}}, "where models are run"),
    ],
)
def test_a_description_that_cannot_be_meant_is_refused_in_a_sentence(shop, fields, sentence):
    with pytest.raises(ValueError, match="(?s).*") as error:
        perturbed_sql(Perturbation(**{"table": "raw/sales", **fields}), columns(shop), TIME, "sales")
    assert sentence in str(error.value)


def test_days_need_a_table_with_a_time():
    with pytest.raises(ValueError, match="a table with a time"):
        check(Perturbation("raw/a", "delay", value=3), None, "")
