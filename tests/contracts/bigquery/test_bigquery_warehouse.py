"""The warehouse contract, held by both engines alike: what assets write on one they read on the other."""

import hashlib
import uuid
from datetime import date

import dagster as dg
import pandas as pd
import pytest
from environments.emulator import PROJECT

from resources.warehouse import DuckDBWarehouse, Warehouse, WarehouseError
from resources.warehouse.bigquery import BigQueryWarehouse
from resources.warehouse.duckdb_source import DuckDBOrigin

pytestmark = pytest.mark.slow

MONDAYS = [date(2017, 1, 2), date(2017, 1, 9)]


@pytest.fixture
def bigquery(emulator) -> BigQueryWarehouse:
    return BigQueryWarehouse(project=PROJECT, wait_seconds=5)


@pytest.fixture(params=["duckdb", "bigquery"])
def warehouse(request, tmp_path) -> Warehouse:
    if request.param == "duckdb":
        return DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"))
    return request.getfixturevalue("bigquery")


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


def test_parameters_have_the_types_of_their_values(warehouse, p):
    warehouse.replace_table(p, "t", rows("2017-01-02", a=1, b="x", c=0.5))
    for column, value in (("cutoff_date", MONDAYS[0]), ("cutoff_date", pd.Timestamp("2017-01-02")), ("a", 1)):
        assert len(warehouse.read(f"select * from {p}.t where {column} = ?", [value])) == 1
    assert len(warehouse.read(f"select * from {p}.t where b = ? and c < ?", ["x", 1.0])) == 1
    assert len(warehouse.read(f"select * from {p}.t limit ?", [5])) == 1


def test_a_table_that_is_not_there_is_said_by_name(bigquery, p):
    with pytest.raises(WarehouseError, match=f"Expected to find what is needed for reading .* in project {PROJECT}"):
        bigquery.read(f"select * from {p}.t")


def test_python_tables_are_partitioned_by_day_and_clustered_by_customer(bigquery, p):
    frame = rows("2017-01-02", customer_id="1", score=0.5)
    bigquery.replace_partitions(p, "merged", frame, column="cutoff_date", values=MONDAYS[:1])
    bigquery.replace_table(p, "loaded", frame)
    bigquery.replace_table(p, "loaded", frame)
    bigquery.replace_table(p, "empty", frame.iloc[:0])
    with bigquery.connect() as client:
        for name in ("merged", "loaded", "empty"):
            table = client.get_table(f"{PROJECT}.{p}.{name}")
            assert table.time_partitioning.field == "cutoff_date", name
            assert table.clustering_fields == ["customer_id"], name


def test_nothing_is_left_in_the_staging_dataset(bigquery, p):
    bigquery.replace_partitions(p, "t", rows("2017-01-02", a=1), column="cutoff_date", values=MONDAYS[:1])
    with pytest.raises(WarehouseError):
        bigquery.replace_partitions(p, "t", rows("2017-01-02", a="x"), column="cutoff_date", values=MONDAYS[:1])
    with bigquery.connect() as client:
        assert list(client.list_tables(f"{PROJECT}.baton_staging")) == []
        # What a killed process leaves there goes by itself.
        assert client.get_dataset(f"{PROJECT}.baton_staging").default_table_expiration_ms == 3_600_000


def test_jobs_say_which_run_and_asset_they_are_for_and_what_they_cost(bigquery, p):
    @dg.asset(key=[p, "scores"])
    def scores(context: dg.AssetExecutionContext, warehouse: BigQueryWarehouse) -> dg.MaterializeResult:
        warehouse.replace_table(p, "scores", rows("2017-01-02", a=1))
        warehouse.read(f"select a from {p}.scores")
        return dg.MaterializeResult(metadata=warehouse.costs())

    result = dg.materialize([scores], resources={"warehouse": bigquery})
    metadata = result.asset_materializations_for_node(f"{p}__scores")[0].metadata
    assert metadata["bigquery/jobs"].value == 1
    assert set(metadata) >= {"bigquery/bytes_processed", "bigquery/bytes_billed", "bigquery/slot_ms"}
    with bigquery.connect() as client:
        labelled = [job for job in client.list_jobs() if job.labels.get("baton_run") == result.run_id]
    assert {(job.job_type, job.labels["baton_asset"]) for job in labelled} == {
        ("load", f"{p}__scores"),
        ("query", f"{p}__scores"),
    }


def test_a_dry_run_tells_what_a_query_would_scan(bigquery, p):
    bigquery.replace_table(p, "t", pd.DataFrame({"a": range(1000)}))
    assert bigquery.estimate(f"select a from {p}.t") >= 0
    assert bigquery.costs() == {}


def test_a_long_table_comes_in_pieces(bigquery, p):
    bigquery.replace_table(p, "t", pd.DataFrame({"a": range(50_000)}))
    pieces = list(bigquery.batches(f"select a from {p}.t"))
    assert sum(len(piece) for piece in pieces) == 50_000
    assert sorted(pd.concat(pieces)["a"])[::49_999] == [0, 49_999]


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


def test_two_writers_at_once_lose_no_cutoff(bigquery, p):
    from concurrent.futures import ThreadPoolExecutor

    cutoffs = [date(2017, 1, 2 + 7 * week) for week in range(4)]
    bigquery.create_table(p, "t", {"cutoff_date": "date", "a": "bigint"})

    def write(cutoff: date) -> int:
        return bigquery.replace_partitions(p, "t", rows(cutoff, a=1), column="cutoff_date", values=[cutoff])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, cutoffs))
    assert bigquery.row_count(p, "t") == 4


def test_both_engines_choose_the_same_sample(warehouse, p):
    names = [f"c{number}" for number in range(500)]
    warehouse.replace_table(p, "t", pd.DataFrame({"name": names}))
    found = set(warehouse.read(f"select name from {p}.t where {warehouse.sampled('name', 0.25)}")["name"])
    assert found == {name for name in names if hashlib.md5(name.encode()).hexdigest()[:8] < f"{16**8 // 4:08x}"}


def test_a_day_s_digest_is_another_one_when_a_value_is_and_not_when_the_order_is(warehouse, p):
    origin = DuckDBOrigin(warehouse) if isinstance(warehouse, DuckDBWarehouse) else warehouse

    def digest(*lines):
        frame = pd.DataFrame(lines, columns=["customer", "cents"]).astype({"customer": "str", "cents": "Int64"})
        warehouse.replace_table(p, "t", frame)
        return origin.read(f"select {origin.digest_of(['customer', 'cents'])} as digest from {p}.t")["digest"].item()

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
