"""The dbt project builds on BigQuery what it builds on DuckDB, cell for cell, and its SQL is legal there."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from bigquery_world import BothEngines
from environments.analyzer import check
from environments.emulator import PROJECT
from support.sample import load_raw_sample

from resources.compiled_models import compiled_models
from resources.feature_history import Settings, function_sql, publish_history
from steps.migrations import ensure
from steps.tables import tables_of
from tools.same_rows import differences

pytestmark = pytest.mark.slow(minutes=4)

DATA = ("staging", "marts", "features", "outcomes")

# Scores in steps of .05, some exactly 0 and 1: ties, and probabilities whose logarithm does not exist.
SCORES = "least(1.0, greatest(0.0, round((recency_days / 28.0 - 0.3 + 0.2 * weekend_share_84d) * 20) / 20))"

PREDICTIONS = f"""
create schema predictions;
create schema training;
create table predictions.lapse_predictions as
select customer_id, cutoff_date, {SCORES} as score, 'lapse' as model_name, cast(2 as bigint) as model_version,
    date '2017-07-03' as trained_through, timestamptz '2018-01-01 08:00:00-05:00' as scored_at,
    'a' as reason_1, 'b' as reason_2, cast(null as varchar) as reason_3
from features.customer_features where cutoff_date >= date '2017-07-03';
create table training.holdout_predictions as
select cast(3 as bigint) as model_version, customer_id, cutoff_date, {SCORES} as score,
    cast(lapsed as bigint) as lapsed, cast(recency_days as double) as recency_rule_score
from features.customer_features inner join outcomes.customer_outcomes using (customer_id, cutoff_date)
where cutoff_date between date '2017-08-07' and date '2017-08-28';
"""


@pytest.fixture(scope="module")
def both(emulator, tmp_path_factory) -> BothEngines:
    """Both warehouses as of June, and then as of the end of the year: the second build is incremental."""
    made = BothEngines.in_folder(tmp_path_factory.mktemp("both"))
    load_raw_sample(made.duckdb.path, modulo=32, as_of="2017-06-19T08:00:00-04:00")
    made.land()
    made.dbt("run", "--exclude", "tag:serving")
    made.first.update(made.differences(DATA))
    assert made.bigquery.row_count("features", "customer_features") > 500
    load_raw_sample(made.duckdb.path, modulo=32)
    made.land()
    made.dbt_duckdb.invoke(["run", "--exclude", "tag:serving"])
    made.dbt_bigquery.invoke(["build", "--exclude", "tag:serving", "--exclude-resource-type", "unit_test"])
    with duckdb.connect(made.duckdb.path) as connection:
        connection.execute(PREDICTIONS)
    made.copy("predictions", "lapse_predictions")
    made.copy("training", "holdout_predictions")
    for warehouse in (made.duckdb, made.bigquery):
        ensure(warehouse, tables_of("spend").predictions)
    made.dbt_duckdb.invoke(["run", "--select", "tag:serving"])
    made.dbt_bigquery.invoke(["build", "--select", "tag:serving"])
    return made


def test_every_table_of_the_first_build_is_equal_cell_for_cell(both: BothEngines) -> None:
    assert both.first == {}


def test_every_table_is_equal_after_new_weeks_were_added_to_it(both: BothEngines) -> None:
    assert both.differences(DATA) == {}
    # Equal because it is there, not because both are empty.
    assert both.bigquery.row_count("features", "customer_features") > 1_500
    assert both.bigquery.row_count("marts", "customers_at_risk") > 20
    assert both.bigquery.row_count("marts", "accuracy_over_time") > 15


def test_a_cell_that_differs_is_found(both: BothEngines) -> None:
    frame = both.duckdb.read("select * from features.customer_features")
    changed = frame.copy()
    changed.loc[5, "gap_std_days_84d"] += 1e-9
    changed.loc[7, "trips_7d"] += 1
    assert set(differences(frame, changed)) >= {"trips_7d"}
    assert set(differences(frame, changed.assign(trips_7d=frame["trips_7d"]))) == {"gap_std_days_84d"}


def test_what_grows_is_partitioned_by_its_day_and_clustered_by_customer(both: BothEngines) -> None:
    laid_out = {}
    with both.bigquery.connect() as client:
        for name in ("staging.stg_order_lines", "marts.orders", "marts.customer_days", "features.customer_features"):
            table = client.get_table(f"{PROJECT}.{name}")
            laid_out[name] = (table.time_partitioning.field, table.time_partitioning.type_, table.clustering_fields)
    assert laid_out == {
        "staging.stg_order_lines": ("ordered_on", "DAY", ["customer_id"]),
        "marts.orders": ("ordered_on", "MONTH", ["customer_id"]),
        "marts.customer_days": ("ordered_on", "MONTH", ["customer_id"]),
        "features.customer_features": ("cutoff_date", "DAY", ["customer_id"]),
    }


def test_a_rebuild_from_a_cutoff_replaces_whole_partitions(both: BothEngines) -> None:
    before = both.bigquery.row_count("features", "customer_features")
    with both.bigquery.connect() as client:
        changed = "update features.customer_features set trips_7d = 999 where cutoff_date >= '2017-12-18'"
        client.query_and_wait(changed)
    rebuild = {"BATON_REBUILD_FROM": "2017-12-18"}
    both.dbt_bigquery.invoke(["run", "--select", "customer_features"], rebuild)
    assert both.bigquery.row_count("features", "customer_features") == before
    assert both.differences(["features"]) == {}


# By the shops' clock: 11 October, 8 November (moved to the 10th), and 21 December on.
GONE = (
    "delete from raw.transactions where transaction_timestamp >= '2017-10-11 04:00:00' "
    "and transaction_timestamp < '2017-10-12 04:00:00'",
    "update raw.transactions set transaction_timestamp = '2017-11-10 17:00:00' "
    "where transaction_timestamp >= '2017-11-08 05:00:00' and transaction_timestamp < '2017-11-09 05:00:00'",
    "delete from raw.transactions where transaction_timestamp >= '2017-12-21 05:00:00'",
)


def test_days_and_cutoffs_that_went_away_from_raw_are_gone_there_too(both: BothEngines) -> None:
    with duckdb.connect(both.duckdb.path) as connection, both.bigquery.connect() as client:
        for change in GONE:
            connection.execute(change)
            client.query_and_wait(change)
    made = ["stg_order_lines", "orders", "customer_days", "cutoffs", "customer_features"]
    for dbt in (both.dbt_duckdb, both.dbt_bigquery):
        dbt.invoke(["run", "--select", *made], {"BATON_REBUILD_FROM": "2017-10-16"})
    by_day = "select ordered_on, count(*) as n, max(order_id) as newest from staging.stg_order_lines group by 1"
    lines = both.bigquery.read(by_day)
    assert differences(both.duckdb.read(by_day), lines) == {}
    days = set(lines["ordered_on"].astype(str).str[:10])
    assert {"2017-10-10", "2017-11-10", "2017-12-20"} <= days
    assert days.isdisjoint({"2017-10-11", "2017-11-08", "2017-12-21"})
    assert both.differences(["features"]) == {}
    newest = both.bigquery.read("select max(cutoff_date) as cutoff_date from features.customer_features")
    assert str(newest["cutoff_date"][0])[:10] == "2017-12-18", "what it cannot see any more is no cutoff"


def test_jobs_of_dbt_carry_the_name_of_the_node(both: BothEngines) -> None:
    with both.bigquery.connect() as client:
        labels = [job.labels for job in client.list_jobs(max_results=5000)]
    assert {"customer_features", "accuracy_over_time"} <= {found.get("dbt_node") for found in labels}
    assert {found["baton_run"] for found in labels if "dbt_node" in found} == {"outside-a-run"}


def test_unit_tests_of_dates_and_numbers_pass_there_too(both: BothEngines) -> None:
    chosen = "a_day_that_is_not_over_is_not_delivered gaps_between_shopping_days label_edges"
    events = both.dbt_bigquery.invoke(["test", "--select", *chosen.split()])
    assert [event["data"]["status"] for event in events] == ["pass"] * 3


@pytest.fixture(scope="module")
def columns(both: BothEngines) -> dict[str, dict[str, str]]:
    """Columns and types of every table, as BigQuery describes them."""
    return {f"{schema}.{name}": shape.columns for (schema, name), shape in both.bigquery.shapes().items()}


def compiled(both: BothEngines, folder: Path, *options: str) -> dict[str, str]:
    """Return the SQL of every model and test, as dbt would send it."""
    both.dbt_bigquery.invoke(["compile", *options], target=folder)
    nodes = json.loads((folder / "manifest.json").read_text())["nodes"]
    return {name: node["compiled_code"] for name, node in nodes.items() if node.get("compiled_code")}


SHOPS = Settings(window_days=84, horizon_days=28, zone="America/New_York")


@pytest.fixture(scope="module")
def history(both: BothEngines) -> str:
    """The statement that makes the function of the features' history on BigQuery."""
    models = compiled_models(both.dbt_bigquery.ensure_compiled(for_warehouse=True))
    return function_sql(models, "googlesql", SHOPS, datetime(2017, 6, 20, 12, tzinfo=UTC), f"{PROJECT}.features")


def test_features_of_any_instant_are_there_what_they_are_on_duckdb(both: BothEngines, history: str) -> None:
    """The emulator keeps no function, so its body is asked, with values where the parameters stand."""
    publish_history(both.duckdb, both.dbt_duckdb)
    body = history.partition("as (\n")[2].rpartition("\n)")[0]
    customers = both.duckdb.read(
        "select customer_id from features.customer_features group by 1 order by count(*) desc, 1 limit 4"
    )["customer_id"]
    answered = 0
    for customer, instant in zip(customers, ("06-14 21:30", "06-23 03:00", "09-06 16:00", "12-24 08:00"), strict=True):
        at = f"timestamp '2017-{instant}:00+00'"
        asked = re.sub(r"\binstant\b", at, body.replace("customer_id = customer\n", f"customer_id = '{customer}'\n"))
        here = both.duckdb.read(f"from features.features_as_of('{customer}', timestamptz '2017-{instant}:00+00')")
        assert differences(here, both.bigquery.read(asked)) == {}, (customer, instant)
        answered += len(here)
    assert answered >= 2, "some of them were customers by then"


def test_every_model_and_test_is_legal_by_googles_analyzer(both: BothEngines, columns, history, tmp_path) -> None:
    later = compiled(both, tmp_path / "later")
    first = compiled(both, tmp_path / "first", "--full-refresh", "--select", "config.materialized:incremental")
    statements = {**later, **{f"{name} at first": sql for name, sql in first.items()}, "features_as_of": history}
    assert len([name for name in statements if name.startswith("model.")]) == 23 + 7
    illegal = {
        "casts by colons": "select 1::int64",
        "filters an aggregate": "select count(*) filter (where true) from raw.products",
        "excludes a column": "select * exclude (brand) from raw.products",
        "compares a date with a timestamp": "select date '2017-01-01' >= timestamp '2017-01-01'",
        "calls a column by a reserved word": "select 1 as rows",
        "names a column that is not there": "select lapsed_on from outcomes.customer_outcomes",
    }
    found = check({**statements, **illegal}, columns)
    # The analyzer must refuse these, or its silence about the others says nothing.
    assert set(found) - set(illegal) == set(), {name: found[name] for name in set(found) - set(illegal)}
    assert set(found) == set(illegal)
