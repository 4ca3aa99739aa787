"""The warehouse contract, kept by every engine alike: what assets write on one they read on the other.

One suite for all engines. An engine more needs a fixture that returns an `Engine`, and its line in `ENGINES`; a mark on
that line says when it runs. DuckDB runs always, and is the reference: what another engine reads is compared with it
cell for cell. What only one engine does is tested with that engine (`tests/resources`, `tests/contracts/bigquery`).
"""

import hashlib
import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from environments.emulator import PROJECT, Emulator

from resources.warehouse import DuckDBWarehouse, LocalCopy, Warehouse, WarehouseError, share_of
from resources.warehouse.bigquery import BigQueryWarehouse
from resources.warehouse.contract import EXTRACTED, POPULATION, Source
from resources.warehouse.duckdb_source import DuckDBSource
from tools.same_rows import differences

MONDAYS = [date(2017, 1, 2), date(2017, 1, 9)]

MOST_CUSTOMERS = 200
"""Above it a local copy holds a share of the customers."""


class Engine(NamedTuple):
    """A warehouse of an engine, and the same as what a local copy reads from."""

    warehouse: Warehouse
    source: Source


@pytest.fixture
def local_copy(tmp_path: Path) -> LocalCopy:
    return LocalCopy(str(tmp_path / "local_copy.duckdb"), most_customers=MOST_CUSTOMERS)


@pytest.fixture
def duckdb_engine(tmp_path: Path, local_copy: LocalCopy) -> Engine:
    made = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"), wait_seconds=1, local_copy=local_copy)
    return Engine(made, DuckDBSource(made))


@pytest.fixture
def bigquery_engine(emulator: Emulator, local_copy: LocalCopy) -> Iterator[Engine]:
    made = BigQueryWarehouse(project=PROJECT, wait_seconds=5, local_copy=local_copy)
    yield Engine(made, made)
    made.close()


ENGINES = [
    pytest.param("duckdb_engine", id="duckdb"),
    pytest.param("bigquery_engine", id="bigquery", marks=pytest.mark.slow),
]


@pytest.fixture(params=ENGINES)
def engine(request) -> Engine:
    return request.getfixturevalue(request.param)


@pytest.fixture
def warehouse(engine: Engine) -> Warehouse:
    return engine.warehouse


@pytest.fixture
def reference(tmp_path: Path) -> DuckDBWarehouse:
    """A warehouse of the engine that the others are compared with."""
    return DuckDBWarehouse(path=str(tmp_path / "reference.duckdb"), wait_seconds=1)


@pytest.fixture
def p() -> str:
    """A schema that no other test writes to."""
    return f"p_{uuid.uuid4().hex[:10]}"


def rows(cutoff, **columns):
    return pd.DataFrame({"cutoff_date": [pd.Timestamp(cutoff)], **{name: [value] for name, value in columns.items()}})


def test_a_table_is_replaced_whole_and_its_names_are_lower_case(warehouse, p):
    assert warehouse.replace_table(p, "t", pd.DataFrame({"A": [1, 2]})) == 2
    assert warehouse.replace_table(p, "t", pd.DataFrame({"Score": [0.5]})) == 1
    assert list(warehouse.read(f"select * from {p}.t").columns) == ["score"]


def test_an_empty_frame_is_a_table_with_columns_and_no_rows(warehouse, p):
    warehouse.replace_table(p, "t", rows("2017-01-02", a=1))
    assert warehouse.replace_table(p, "t", rows("2017-01-02", a=1).iloc[:0]) == 0
    assert list(warehouse.read(f"select * from {p}.t").columns) == ["cutoff_date", "a"]
    assert warehouse.row_count(p, "t") == 0


def test_what_is_read_has_the_kinds_of_what_was_written(warehouse, p):
    at = pd.Timestamp("2017-01-02 08:00:00.123456", tz="UTC")
    written = pd.DataFrame(
        {
            "customer_id": ["1", None],
            "cutoff_date": pd.to_datetime(["2017-01-02", None]).astype("datetime64[us]"),
            "scored_at": pd.Series([at, None]).astype("datetime64[us, UTC]"),
            "n": [1, 2],
            "rank": pd.array([7, None], dtype="Int64"),
            "score": [0.1, None],
            "is_new": [True, False],
            "known": pd.array([True, None], dtype="boolean"),
            "nothing": pd.Series([None, None], dtype=object),
            "endless": [float("inf"), float("-inf")],
        }
    )
    warehouse.replace_table(p, "t", written)
    found = warehouse.read(f"select * from {p}.t order by n")
    kinds = {name: str(kind).replace("Etc/UTC", "UTC") for name, kind in found.dtypes.items()}
    assert kinds == {
        "customer_id": "object",
        "cutoff_date": "datetime64[us]",
        "scored_at": "datetime64[us, UTC]",
        "n": "int64",
        "rank": "Int64",
        "score": "float64",
        "is_new": "bool",
        "known": "boolean",
        "nothing": "object",
        "endless": "float64",
    }
    assert found.astype(object).where(found.notna(), None).values.tolist() == [
        ["1", pd.Timestamp("2017-01-02"), at, 1, 7, 0.1, True, True, None, float("inf")],
        [None, None, None, 2, None, None, False, None, None, float("-inf")],
    ]


def test_the_same_writes_are_the_same_cells_on_every_engine(warehouse, reference, p):
    at = pd.Timestamp("2017-01-02 08:00:00.123456", tz="America/New_York")
    frame = pd.DataFrame(
        {
            "customer_id": ["1", "2", None],
            "cutoff_date": pd.to_datetime(["2017-01-02", "2017-01-02", "2017-01-02"]),
            "scored_at": [at, pd.NaT, at + pd.Timedelta(days=200)],
            "n": [1, -(2**53), 3],
            "score": [0.1, None, float("-inf")],
            "is_new": pd.array([True, None, False], dtype="boolean"),
        }
    )
    later = frame.assign(cutoff_date=pd.Timestamp("2017-01-09"), n=[4, 5, 6], score=None, why=["x", None, "Ünseen"])
    for one in (warehouse, reference):
        one.create_table(p, "t", {"customer_id": "varchar", "cutoff_date": "date", "n": "bigint"})
        one.replace_partitions(p, "t", frame, column="cutoff_date", values=MONDAYS[:1])
        one.replace_partitions_by(
            p, "t", iter([later, later.assign(n=later["n"] + 3)]), column="n", values=range(4, 10)
        )
        one.replace_partitions(p, "t", later.iloc[:1].assign(n=8), column="n", values=[8, 9])
    for sql in (f"select * from {p}.t", f"select * from {p}.t where score > 0", f"select * from {p}.t limit 0"):
        assert differences(reference.read(sql), warehouse.read(sql)) == {}, sql
    assert warehouse.row_count(p, "t") == reference.row_count(p, "t") == 8
    assert list(warehouse.shapes([p])[(p, "t")].columns) == list(reference.shapes([p])[(p, "t")].columns)


def test_a_text_column_without_a_value_takes_text_later(warehouse, p):
    warehouse.replace_table(p, "t", pd.DataFrame({"reason": pd.Series([None], dtype=object), "k": [1]}))
    warehouse.replace_partitions(p, "t", pd.DataFrame({"reason": ["because"], "k": [2]}), column="k", values=[2])
    assert warehouse.read(f"select reason from {p}.t order by k")["reason"].tolist() == [None, "because"]


def test_a_number_column_that_is_all_null_this_time_stays_what_it_is(warehouse, p):
    warehouse.replace_partitions(p, "t", rows("2017-01-02", a=1), column="cutoff_date", values=MONDAYS[:1])
    none = rows("2017-01-09", a=None)
    warehouse.replace_partitions(p, "t", none, column="cutoff_date", values=MONDAYS[1:])
    found = warehouse.read(f"select a from {p}.t order by cutoff_date")["a"]
    assert str(found.dtype) == "Int64"
    assert found.isna().tolist() == [False, True]


def test_replacing_a_cutoff_leaves_the_others(warehouse, p):
    for cutoff, a in ((MONDAYS[0], 1), (MONDAYS[1], 2), (MONDAYS[1], 3)):
        warehouse.replace_partitions(p, "t", rows(cutoff, a=a), column="cutoff_date", values=[cutoff])
    assert warehouse.read(f"select a from {p}.t order by cutoff_date")["a"].tolist() == [1, 3]
    # No row any more is a state too.
    empty = rows("2017-01-09", a=1).iloc[:0]
    assert warehouse.replace_partitions(p, "t", empty, column="cutoff_date", values=MONDAYS[1:]) == 1


def test_rows_are_replaced_by_number_text_and_instant_too(warehouse, p):
    at = pd.Timestamp("2017-01-02 08:00", tz="America/New_York")
    frame = pd.DataFrame({"version": [3], "name": ["x"], "at": [at]})
    for column, value in (("version", 3), ("name", "x"), ("at", at)):
        assert warehouse.replace_partitions(p, "t", frame, column=column, values=[value]) == 1


def test_columns_are_matched_by_name_and_a_new_one_is_added(warehouse, p):
    warehouse.replace_partitions(p, "t", rows("2017-01-02", a=1, b=2), column="cutoff_date", values=MONDAYS[:1])
    frame = rows("2017-01-09", c=9, b=20, a=10)
    warehouse.replace_partitions(p, "t", frame, column="cutoff_date", values=MONDAYS[1:])
    warehouse.replace_partitions(p, "t", rows("2017-01-16"), column="cutoff_date", values=[date(2017, 1, 16)])
    found = warehouse.read(f"select a, b, c from {p}.t order by cutoff_date")
    assert found.astype("Float64").fillna(-1).values.tolist() == [[1, 2, -1], [10, 20, 9], [-1, -1, -1]]


def test_a_row_outside_the_named_cutoffs_is_refused_and_nothing_changes(warehouse, p):
    warehouse.replace_partitions(p, "t", rows("2017-01-02", a=1), column="cutoff_date", values=MONDAYS[:1])
    with pytest.raises(WarehouseError, match="Expected only rows with cutoff_date in"):
        warehouse.replace_partitions(p, "t", rows("2017-01-09", a=2), column="cutoff_date", values=MONDAYS[:1])
    assert warehouse.read(f"select a from {p}.t")["a"].tolist() == [1]


def test_a_time_of_day_without_a_zone_is_refused(warehouse, p):
    with pytest.raises(WarehouseError, match="instants with a zone in column cutoff_date, but 1 row"):
        warehouse.replace_table(p, "t", rows("2017-01-02 08:00"))
    assert not warehouse.exists(p, "t")


def test_a_failing_write_leaves_the_previous_table(warehouse, p):
    warehouse.replace_partitions(p, "t", rows("2017-01-02", a=1), column="cutoff_date", values=MONDAYS[:1])
    with pytest.raises(Exception, match=r"(?i)not a number"):
        warehouse.replace_partitions(
            p, "t", rows("2017-01-02", a="not a number"), column="cutoff_date", values=MONDAYS[:1]
        )
    assert warehouse.read(f"select a from {p}.t")["a"].tolist() == [1]


def test_a_table_is_made_once_with_the_types_of_the_contract(warehouse, p):
    columns = {
        "customer_id": "varchar",
        "cutoff_date": "date",
        "score": "double",
        "model_version": "bigint",
        "scored_at": "timestamp with time zone",
    }
    assert not warehouse.exists(p, "t")
    warehouse.create_table(p, "t", columns)
    warehouse.create_table(p, "t", columns)
    assert warehouse.exists(p, "t")
    assert warehouse.present([(p, "t"), (p, "another"), ("elsewhere", "t")]) == {(p, "t")}
    shape = warehouse.shapes()[(p, "t")]
    assert (list(shape.columns), shape.rows) == (list(columns), 0)
    empty = warehouse.read(f"select * from {p}.t")
    assert [str(kind).split("[")[0].split(",")[0] for kind in empty.dtypes] == [
        "object",
        "datetime64",
        "float64",
        "int64",
        "datetime64",
    ]


def test_making_a_table_that_is_there_leaves_its_rows(warehouse, p):
    warehouse.create_table(p, "t", {"a": "bigint"})
    warehouse.replace_partitions(p, "t", pd.DataFrame({"a": [7]}), column="a", values=[7])
    warehouse.create_table(p, "t", {"a": "bigint", "b": "varchar"})
    assert warehouse.read(f"select * from {p}.t").to_dict("list") == {"a": [7]}


def test_a_table_that_is_dropped_is_gone_and_one_that_is_not_there_is_no_error(warehouse, p):
    warehouse.drop_table(p, "never_there")
    for name in ("t", "other"):
        warehouse.replace_table(p, name, pd.DataFrame({"a": [1]}))
    warehouse.drop_table(p, "t")
    assert not warehouse.exists(p, "t")
    assert warehouse.row_count(p, "other") == 1
    warehouse.drop_table(p, "t")
    # The name is free: another table of it has other columns.
    warehouse.replace_partitions(p, "t", pd.DataFrame({"b": ["x"]}), column="b", values=["x"])
    assert list(warehouse.read(f"select * from {p}.t").columns) == ["b"]


def test_shapes_are_columns_in_their_order_and_rows_of_the_schemas_asked_for(warehouse, p):
    warehouse.replace_table(p, "t", pd.DataFrame({"B": [1, 2], "a": ["x", "y"]}))
    warehouse.replace_table(f"{p}_other", "t", pd.DataFrame({"a": [1]}))
    found = warehouse.shapes([p])
    assert set(found) == {(p, "t")}
    assert (list(found[(p, "t")].columns), found[(p, "t")].rows) == (["b", "a"], 2)
    assert {(p, "t"), (f"{p}_other", "t")} <= set(warehouse.shapes())
    assert warehouse.shapes([]) == {}


def test_parameters_have_the_types_of_their_values(warehouse, p):
    warehouse.replace_table(p, "t", rows("2017-01-02", a=1, b="x", c=0.5))
    for column, value in (("cutoff_date", MONDAYS[0]), ("cutoff_date", pd.Timestamp("2017-01-02")), ("a", 1)):
        assert len(warehouse.read(f"select * from {p}.t where {column} = ?", [value])) == 1
    assert len(warehouse.read(f"select * from {p}.t where b = ? and c < ?", ["x", 1.0])) == 1
    assert len(warehouse.read(f"select * from {p}.t limit ?", [5])) == 1


def test_batches_are_the_rows_of_a_query_in_frames_as_read_returns_them(warehouse, p):
    frame = pd.DataFrame({"K": range(3000), "why": [None if k % 3 else "because" for k in range(3000)]})
    warehouse.replace_table(p, "t", frame)
    sql = f"select * from {p}.t where k >= ?"
    pieces = list(warehouse.batches(sql, [1000]))
    assert all(len(piece) for piece in pieces)
    assert differences(pd.concat(pieces, ignore_index=True), warehouse.read(sql, [1000])) == {}
    assert list(warehouse.batches(sql, [3000])) == []
    # Who stops early and closes lets go: a writer must not wait for what nobody reads.
    begun = warehouse.batches(f"select * from {p}.t")
    next(begun)
    begun.close()
    assert warehouse.replace_table(p, "t", frame.iloc[:1]) == 1


def test_no_rows_for_a_table_that_is_not_there_make_none(warehouse, p):
    assert warehouse.replace_partitions_by(p, "t", iter(()), column="cutoff_date", values=[MONDAYS[0]]) == 0
    assert not warehouse.exists(p, "t")


def test_rows_in_pieces_replace_a_cutoff_whole_or_not_at_all(warehouse, p):
    def pieces(value):
        yield rows(MONDAYS[1], a=value, why=None)
        yield rows(MONDAYS[1], a=value + 1, why="because")

    for monday in MONDAYS:
        warehouse.replace_partitions(p, "t", rows(monday, a=1, why="x"), column="cutoff_date", values=[monday])
    written = warehouse.replace_partitions_by(p, "t", pieces(5), column="cutoff_date", values=[MONDAYS[1]])
    assert written == 3
    assert warehouse.read(f"select a from {p}.t order by a")["a"].tolist() == [1, 5, 6]
    assert [piece["why"].iloc[0] for piece in warehouse.batches(f"select why from {p}.t where a = ?", [6])] == [
        "because"
    ]
    with pytest.raises(WarehouseError, match="Expected only rows with cutoff_date in"):
        warehouse.replace_partitions_by(p, "t", pieces(8), column="cutoff_date", values=[MONDAYS[0]])
    assert warehouse.replace_partitions_by(p, "t", iter([]), column="cutoff_date", values=[MONDAYS[1]]) == 1


def test_pieces_that_break_off_or_do_not_fit_replace_nothing(warehouse, p):
    monday = MONDAYS[1]
    warehouse.replace_partitions(p, "t", rows(monday, a=7), column="cutoff_date", values=[monday])

    def broken_off():
        yield rows(monday, a=1)
        raise RuntimeError("the model refuses a row")

    given = {
        "the model refuses a row": broken_off(),
        "Expected only rows with cutoff_date in": iter([rows(monday, a=1), rows(MONDAYS[0], a=1)]),
        "columns and types of the first": iter([rows(monday, a=1), rows(monday, b=1)]),
        "columns and types of the first.*text": iter([rows(monday, a=1), rows(monday, a="text")]),
        "a is text in the first piece and double": iter([rows(monday, a=None), rows(monday, a=2.5)]),
    }
    for message, pieces in given.items():
        with pytest.raises((WarehouseError, RuntimeError), match=message):
            warehouse.replace_partitions_by(p, "t", pieces, column="cutoff_date", values=[monday])
        assert warehouse.read(f"select a from {p}.t")["a"].tolist() == [7]


def test_pieces_may_be_read_from_the_table_that_they_replace(warehouse, p):
    warehouse.replace_table(p, "t", pd.concat([rows(MONDAYS[0], a=1), rows(MONDAYS[1], a=2)]))
    pieces = (
        piece.assign(a=piece["a"] + 10)
        for piece in warehouse.batches(f"select * from {p}.t where cutoff_date = ?", [MONDAYS[1]])
    )
    assert warehouse.replace_partitions_by(p, "t", pieces, column="cutoff_date", values=[MONDAYS[1]]) == 2
    assert warehouse.read(f"select a from {p}.t order by a")["a"].tolist() == [1, 12]


def test_md5_is_of_a_column_s_text_as_every_language_has_it(warehouse, p):
    texts = ["a", "", "Ünseen\n文", "it's"]
    warehouse.replace_table(p, "t", pd.DataFrame({"text": [*texts, None], "n": range(5)}))
    digests = ", ".join(f"{warehouse.md5_of(name)} as of_{name}" for name in ("text", "n"))
    found = warehouse.read(f"select {digests} from {p}.t order by n")
    assert found["of_text"].tolist()[:4] == [hashlib.md5(text.encode()).hexdigest() for text in texts]
    assert pd.isna(found["of_text"][4])
    assert found["of_n"].tolist() == [hashlib.md5(str(n).encode()).hexdigest() for n in range(5)]


def test_a_sample_is_the_same_whoever_else_is_there_and_on_every_engine(warehouse, p):
    names = [f"c{number}" for number in range(2000)]
    warehouse.replace_table(p, "all_of_them", pd.DataFrame({"name": names}))
    warehouse.replace_table(p, "half_of_them", pd.DataFrame({"name": names[:1000]}))

    def chosen(table, share):
        return set(warehouse.read(f"select name from {p}.{table} where {warehouse.sampled('name', share)}")["name"])

    assert len(chosen("all_of_them", 0.25)) == pytest.approx(500, abs=60)
    assert chosen("half_of_them", 0.25) == chosen("all_of_them", 0.25) & set(names[:1000])
    assert chosen("all_of_them", 0.1) < chosen("all_of_them", 0.25) < chosen("all_of_them", 1.0) == set(names)
    # As every language's MD5 says, so that an engine more chooses the same.
    expected = {name for name in names if hashlib.md5(name.encode()).hexdigest()[:8] < f"{16**8 // 4:08x}"}
    assert chosen("all_of_them", 0.25) == expected


def test_a_day_s_digest_is_another_one_when_a_value_is_and_not_when_the_order_is(engine, p):
    warehouse, source = engine

    def digest(*lines):
        frame = pd.DataFrame(lines, columns=["customer", "cents"]).astype({"customer": "str", "cents": "Int64"})
        warehouse.replace_table(p, "t", frame)
        return source.read(f"select {source.digest_of(['customer', 'cents'])} as digest from {p}.t")["digest"].item()

    as_it_was = digest(("1", 5), ("2", 7), ("2", None))
    assert digest(("2", None), ("2", 7), ("1", 5)) == as_it_was
    changed = [
        digest(("1", 7), ("2", 5), ("2", None)),
        digest(("1", 5), ("2", 7), ("2", 0)),
        digest(("1", 5), ("2", 8), ("2", None)),
        digest(("1", 5), ("1", 5), ("2", 7), ("2", 7), ("2", None)),
        digest(("1", 5), ("2", 7)),
    ]
    assert len({as_it_was, *changed}) == 6


def test_what_is_charged_is_told_by_an_engine_that_charges_and_by_no_other(warehouse, p):
    warehouse.replace_table(p, "t", pd.DataFrame({"a": range(10)}))
    warehouse.costs()
    expected = warehouse.expected_cost(f"select a from {p}.t where a > ?", [5])
    assert warehouse.costs() == {}, "asking what a query would cost is free"
    warehouse.read(f"select a from {p}.t")
    charged = warehouse.costs()
    assert bool(expected) == bool(charged) == warehouse.bills_queries
    assert all(isinstance(value, int) for value in {**expected, **charged}.values())
    assert warehouse.costs() == {}


def test_the_local_file_holds_what_is_judged_whole_or_a_share_of_the_customers(warehouse, reference, local_copy):
    def landed(customers: int) -> None:
        names = [str(number) for number in range(customers)]
        day = pd.Timestamp("2017-09-04")
        lines = pd.DataFrame({"customer_id": [*names, None], "amount": [0.5] * (customers + 1)})
        lines[EXTRACTED] = day.tz_localize("UTC")
        warehouse.replace_table("raw", "lines", lines)
        warehouse.replace_table(
            "raw", "products", pd.DataFrame({"product_id": [1, 2], EXTRACTED: lines[EXTRACTED][:2]})
        )
        warehouse.replace_table(*POPULATION, pd.DataFrame({"customer_id": names, "cutoff_date": day}))

    landed(MOST_CUSTOMERS)
    local = warehouse.local()
    assert share_of(local) == 1.0
    for table in ("raw.lines", "raw.products"):
        assert differences(local.read(f"select * from {table}"), warehouse.read(f"select * from {table}")) == {}
    # Up to twice as many are kept, so that who is there seldom changes.
    landed(2 * MOST_CUSTOMERS + 1)
    local = warehouse.local()
    assert local.path == local_copy.path
    assert share_of(local) == 0.25
    judged = f"select * from raw.lines where customer_id is null or {warehouse.sampled('customer_id', 0.25)}"
    assert differences(local.read("select * from raw.lines"), warehouse.read(judged)) == {}
    assert local.row_count("raw", "products") == 2


LATE = 30_000
"""Rows before the first value of another kind: more than any engine takes as a sample."""


def test_a_column_of_objects_keeps_a_late_fraction(warehouse, p):
    values = pd.Series([1] * LATE + [2.5, None], dtype=object)
    warehouse.replace_table(p, "t", pd.DataFrame({"a": values}))
    assert warehouse.read(f"select sum(a) as a from {p}.t")["a"].tolist() == [LATE + 2.5]
    late = pd.DataFrame({"a": values, "k": 1})
    warehouse.replace_partitions(p, "other", late, column="k", values=[1])
    assert warehouse.read(f"select max(a) as a from {p}.other")["a"].tolist() == [2.5]


def test_a_column_of_two_kinds_is_refused_and_nothing_changes(warehouse, p):
    warehouse.replace_table(p, "t", pd.DataFrame({"a": [1]}))
    with pytest.raises(WarehouseError, match="Expected one kind of value in column a"):
        warehouse.replace_table(p, "t", pd.DataFrame({"a": pd.Series([1] * LATE + ["x"], dtype=object)}))
    assert warehouse.read(f"select a from {p}.t")["a"].tolist() == [1]


@pytest.mark.parametrize("kind", ["int8", "int32", "int64", "uint16", "float32", "float64", "bool", "str"])
def test_numpys_values_are_parameters_and_partitions_like_pythons(warehouse, p, kind):
    value = np.array(["1" if kind == "str" else 1]).astype(kind)[0]
    frame = pd.DataFrame({"k": [value.item()], "a": [1]})
    for _ in range(2):
        assert warehouse.replace_partitions(p, "t", frame, column="k", values=[value]) == 1
    assert len(warehouse.read(f"select a from {p}.t where k = ?", [value])) == 1
    assert [len(piece) for piece in warehouse.batches(f"select a from {p}.t where k = ?", [value])] == [1]


@pytest.mark.parametrize("unit", ["D", "s", "us", "ns"])
def test_numpys_days_are_parameters_and_partitions_like_pythons(warehouse, p, unit):
    monday = np.datetime64("2017-01-02").astype(f"datetime64[{unit}]")
    for a in (1, 2):
        warehouse.replace_partitions(p, "t", rows("2017-01-02", a=a), column="cutoff_date", values=[monday])
    assert warehouse.read(f"select a from {p}.t where cutoff_date = ?", [monday])["a"].tolist() == [2]


def test_a_declared_column_keeps_its_type_although_its_first_value_comes_late(warehouse, p):
    declared = {"k": "bigint", "score": "double", "day": "date", "at": "timestamp with time zone", "ok": "boolean"}
    nothing = pd.DataFrame({"k": [1], **{name: pd.Series([None], dtype=object) for name in declared if name != "k"}})
    for replace in (
        lambda: warehouse.replace_table(p, "t", nothing),
        lambda: warehouse.replace_partitions(p, "t", nothing, column="k", values=[1]),
    ):
        warehouse.create_table(p, "t", declared)
        before = warehouse.shapes([p])[(p, "t")].columns
        replace()
        assert warehouse.shapes([p])[(p, "t")].columns == before
        warehouse.drop_table(p, "t")
