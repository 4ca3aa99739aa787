"""The whole graph from raw tables on, with a fault in the newest week, gives the same rows on both warehouses."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import duckdb
import pandas as pd
import pytest
from bigquery_world import BothEngines
from environments.analyzer import check
from environments.emulator import Emulator
from support.bundled import RECORDING_ENDS
from support.sample import load_raw_sample

from commands.session import first_failure
from definitions import build_definitions
from resources.airbyte import EmbeddedAirbyteWorkspace
from resources.alerts import Alerts
from resources.clock import Clock
from resources.dbt import DbtRunner
from resources.registry import ModelRegistry
from resources.serving_copy import FILE, open_copy
from resources.warehouse import Warehouse, share_of
from resources.warehouse.bigquery import BigQueryWarehouse
from resources.week_report import WeekReport
from steps.serving import SERVED, fetch_for_readers
from steps.tables import TABLES
from tools.same_rows import differences

pytestmark = pytest.mark.slow(minutes=8)

LOST = "delete from raw.transactions where transaction_timestamp >= '2017-12-25 05:00:00' and store_id % 3 = 0"
"""In the newest week a third of the stores was not loaded."""

DIFFER = {"mlflow_run_id", "scored_at", "run_id", "event_id", "promoted_at", "published_at", "champion_function"}
DIFFER |= {"type", "definition", "build_seconds", "bytes_billed"}
"""What two runs may not share: the time, names that are drawn, and functions, which the emulator keeps none of. Of the
catalogue also what each engine calls its types, how it writes the SQL, and what a build cost there."""


class Recorded(BigQueryWarehouse):
    """Remembers what it and its copies, of which Dagster makes one for each step, were asked."""

    statements: ClassVar[dict[str, str]] = {}

    def _query(
        self, client: Any, sql: str, parameters: Sequence[Any] = (), raw: Sequence[Any] = (), *, changes: bool = False
    ) -> Any:
        if not raw and sql.startswith("select"):
            self.statements[sql] = _written_out(sql, parameters)
        return super()._query(client, sql, parameters, raw, changes=changes)


def _written_out(sql: str, parameters: Sequence[Any]) -> str:
    parts = sql.split("?")
    assert len(parts) == len(parameters) + 1, sql
    return "".join(f"{part}{literal}" for part, literal in zip(parts, [*map(_literal, parameters), ""], strict=True))


def _literal(value: Any) -> str:
    if isinstance(value, datetime):
        return f"timestamp '{value.isoformat()}'"
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    return repr(value)


def materialize(warehouse: Warehouse, dbt: DbtRunner, folder: Path) -> dg.ExecuteInProcessResult:
    """Run all assets but the raw ones, which are there."""
    folder.mkdir()
    clock = Clock(reads=RECORDING_ENDS, override_variable="BATON_NOT_IN_TESTS")
    resources = {
        "clock": clock,
        "warehouse": warehouse,
        # Nothing is synced: it tells what the raw tables are.
        "airbyte": EmbeddedAirbyteWorkspace(warehouse_path=str(folder / "none.duckdb"), clock=clock),
        "dbt": dbt,
        "registry": ModelRegistry(
            tracking_uri=f"sqlite:///{folder / 'mlflow.db'}", artifact_root=(folder / "mlartifacts").as_uri()
        ),
        "alerts": Alerts(path=str(folder / "alerts.jsonl")),
        "report": WeekReport(path=str(folder / "report")),
    }
    job = build_definitions("embedded", resources).resolve_job_def("everything")
    return job.execute_in_process(
        instance=dg.DagsterInstance.ephemeral(),
        asset_selection=[key for key in job.asset_layer.selected_asset_keys if key.path[0] != "raw"],
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )


Made = tuple[BothEngines, dg.ExecuteInProcessResult]


@pytest.fixture(scope="module")
def made(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The same source and the whole graph on both, and the run on BigQuery."""
    folder = tmp_path_factory.mktemp("graph")
    made = BothEngines.in_folder(folder)
    made = replace(made, bigquery=Recorded(**dict(made.bigquery)))
    load_raw_sample(made.duckdb.path, modulo=8)
    with duckdb.connect(made.duckdb.path) as connection:
        connection.execute(LOST)
    made.land()
    for name, warehouse, dbt in (
        ("duckdb", made.duckdb, made.dbt_duckdb),
        ("bigquery", made.bigquery, made.dbt_bigquery),
    ):
        result = materialize(warehouse, dbt, folder / name)
        assert result.success, first_failure(result)
    yield made, result
    made.bigquery.close()


@pytest.fixture(scope="module")
def both(made: Made) -> BothEngines:
    return made[0]


# Before the graph is there: the local copy would take all of its tables.
def test_structures_and_times_arrive_as_what_the_embedded_profile_has(emulator: Emulator, tmp_path: Path) -> None:
    both = BothEngines.in_folder(tmp_path)
    warehouse = both.bigquery
    with warehouse.connect() as client:
        warehouse.ensure_dataset(client, "raw")
    warehouse.execute(
        "create or replace table raw.kinds as select date '2017-09-04' as a_date, "
        "datetime '2017-09-04 10:00:00' as a_time, timestamp '2017-09-04 10:00:00+00' as an_instant, "
        "numeric '1.5' as a_number, 7 as a_count, true as a_flag, 'text' as a_text, "
        "json '{\"changes\": []}' as a_document, ['a', 'b'] as a_list, struct(1 as one) as a_structure"
    )
    try:
        local = warehouse.local()
        assert local.shapes()[("raw", "kinds")].columns == {
            "a_date": "DATE",
            "a_time": "TIMESTAMP",
            "an_instant": "TIMESTAMP WITH TIME ZONE",
            "a_number": "DOUBLE",
            "a_count": "BIGINT",
            "a_flag": "BOOLEAN",
            "a_text": "VARCHAR",
            "a_document": "VARCHAR",
            "a_list": "VARCHAR",
            "a_structure": "VARCHAR",
        }
        [row] = local.read("select * from raw.kinds").to_dict("records")
        assert row["a_time"] == pd.Timestamp("2017-09-04 10:00:00")
        assert row["an_instant"] == pd.Timestamp("2017-09-04 10:00:00", tz="UTC")
        assert (row["a_number"], row["a_list"], row["a_structure"]) == (1.5, '["a","b"]', '{"one":1}')
    finally:
        warehouse.execute("drop table raw.kinds")
        warehouse.close()


def unequal(both: BothEngines, schema: str, table: str) -> dict[str, str]:
    sql = f"select * from {schema}.{table}"
    found = differences(both.duckdb.read(sql), both.bigquery.read(sql))
    return {name: what for name, what in found.items() if name not in DIFFER}


@pytest.mark.parametrize(
    ("schema", "table"),
    [
        ("features", "feature_frame"),
        ("training", "training_set"),
        ("training", "candidate"),
        ("training", "holdout_predictions"),
        ("training", "champion"),
        ("predictions", "lapse_predictions"),
        ("marts", "customers_at_risk"),
        ("published", "serving_copy"),
    ],
)
def test_the_model_and_its_predictions_are_the_same_on_both(both: BothEngines, schema: str, table: str) -> None:
    assert both.bigquery.row_count(schema, table) > 0
    assert unequal(both, schema, table) == {}


@pytest.mark.parametrize(
    "table", ["census", "profile", "anomalies", "drift", "performance", "diagnosis", "decisions", "why"]
)
def test_the_weekly_judgement_is_the_same_on_both(both: BothEngines, table: str) -> None:
    assert both.bigquery.row_count("monitoring", table) > 0
    assert unequal(both, "monitoring", table) == {}


def test_the_pages_fetch_what_was_published_and_have_the_same_rows_as_at_home(
    both: BothEngines, tmp_path: Path
) -> None:
    fetched, published = tmp_path / FILE, Path(both.duckdb.path).with_name(FILE)
    assert fetch_for_readers(both.bigquery, fetched)
    assert not fetch_for_readers(both.bigquery, fetched), "nothing was published since"
    listed = "select schema_name, table_name, rows, holds from published.tables order by all"
    with open_copy(fetched) as there, open_copy(published) as here:
        assert there.execute(listed).fetchall() == here.execute(listed).fetchall()
        for key in SERVED:
            sql = f"select * from {'.'.join(key.path)}"
            found = differences(here.execute(sql).fetchdf(), there.execute(sql).fetchdf())
            assert {name: what for name, what in found.items() if name not in DIFFER} == {}, key


def test_what_the_assets_ask_is_legal_for_google_too(both: BothEngines) -> None:
    assert len(Recorded.statements) > 60
    tables = {f"{schema}.{table}": shape.columns for (schema, table), shape in both.bigquery.shapes().items()}
    # Statements name a table with its project or without.
    tables |= {f"{both.bigquery.project}.{name}": columns for name, columns in tables.items()}
    # The text of that function is held against the analyzer where it is made: test_bigquery_dbt.
    asked = {name: sql for name, sql in Recorded.statements.items() if "features_as_of(" not in name}
    assert check(asked, tables) == {}


def test_what_was_read_and_what_it_would_cost_stands_beside_what_was_made_of_it(made: Made) -> None:
    events = made[1].get_asset_materialization_events()
    by_key = {event.asset_key.to_user_string(): event.materialization.metadata for event in events if event.asset_key}
    for key in ("training/training_set", "predictions/lapse_predictions"):
        assert {"bigquery/bytes_expected", "bigquery/bytes_billed", "bigquery/jobs"} <= set(by_key[key]), key
    # What dbt builds has dbt's own record of it.
    python = [f"{schema}/{table}" for schema, table in TABLES if f"{schema}/{table}" in by_key]
    assert len(python) > 10
    silent = [key for key in ("features/feature_frame", *python) if "bigquery/jobs" not in by_key[key]]
    assert silent == []


def test_the_fault_was_found_and_re_enacted(both: BothEngines) -> None:
    why = both.bigquery.read("select * from monitoring.why")
    assert (why["cause"].item(), why["decision"].item()) == ("data quality", "inspect")
    assert why["first_bad_asset"].item() == "raw/transactions"


def test_the_local_copy_has_the_types_that_embedded_landing_gives(both: BothEngines) -> None:
    here, copied = both.duckdb.shapes(), both.bigquery.local().shapes()
    for name, shape in copied.items():
        if name[0] != "copied":
            # Text and JSON are one where a whole line of a loader's is meant.
            wanted = {column: kind.replace("JSON", "VARCHAR") for column, kind in here[name].columns.items()}
            assert shape.columns == wanted, name
    assert {name for name in copied if name[0] == "raw"} == {name for name in here if name[0] == "raw"}


def test_a_second_refresh_reads_nothing(both: BothEngines) -> None:
    both.bigquery.local()
    both.bigquery.costs()
    both.bigquery.local()
    assert both.bigquery.costs() == {}


def test_rows_that_arrived_and_rows_that_went_away_are_noticed(both: BothEngines) -> None:
    local = both.bigquery.local()
    before = local.row_count("raw", "transactions")
    both.bigquery.execute(
        "insert into raw.transactions (household_id, basket_id, product_id, store_id, transaction_timestamp, "
        "_airbyte_extracted_at) select household_id, -1, product_id, store_id, transaction_timestamp, "
        "timestamp '2018-01-02 13:00:00+00' from raw.transactions limit 5"
    )
    assert both.bigquery.local().row_count("raw", "transactions") == before + 5
    both.bigquery.execute("delete from raw.transactions where basket_id = -1")
    assert both.bigquery.local().row_count("raw", "transactions") == before


def test_above_the_limit_only_the_sample_is_judged(both: BothEngines, tmp_path: Path) -> None:
    copy = replace(both.bigquery.local_copy, path=str(tmp_path / "few.duckdb"), most_customers=120)
    few = both.bigquery.model_copy(update={"local_copy": copy})
    local = few.local()
    share = share_of(local)
    assert share < 1
    sampled = both.duckdb.read(
        f"select count(*) as n from staging.stg_order_lines where {both.duckdb.sampled('customer_id', share)}"
    )
    assert local.row_count("raw", "transactions") == local.row_count("staging", "stg_order_lines")
    assert local.row_count("staging", "stg_order_lines") == sampled["n"].item()
    assert local.row_count("raw", "products") == both.duckdb.row_count("raw", "products")
    few.close()
