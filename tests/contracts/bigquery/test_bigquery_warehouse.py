"""What only BigQuery does: layout, staging, jobs, labels, dry runs. The contract has its own suite."""

import uuid
from datetime import date

import dagster as dg
import pandas as pd
import pytest
from environments.emulator import PROJECT

from resources.warehouse import WarehouseError
from resources.warehouse.bigquery import BigQueryWarehouse

pytestmark = pytest.mark.slow

MONDAYS = [date(2017, 1, 2), date(2017, 1, 9)]


@pytest.fixture
def bigquery(emulator) -> BigQueryWarehouse:
    return BigQueryWarehouse(project=PROJECT, wait_seconds=5)


@pytest.fixture
def p() -> str:
    """A schema that no other test writes to."""
    return f"p_{uuid.uuid4().hex[:10]}"


def rows(cutoff, **columns):
    return pd.DataFrame({"cutoff_date": [pd.Timestamp(cutoff)], **{name: [value] for name, value in columns.items()}})


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


def test_two_writers_at_once_lose_no_cutoff(bigquery, p):
    from concurrent.futures import ThreadPoolExecutor

    cutoffs = [date(2017, 1, 2 + 7 * week) for week in range(4)]
    bigquery.create_table(p, "t", {"cutoff_date": "date", "a": "bigint"})

    def write(cutoff: date) -> int:
        return bigquery.replace_partitions(p, "t", rows(cutoff, a=1), column="cutoff_date", values=[cutoff])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, cutoffs))
    assert bigquery.row_count(p, "t") == 4
