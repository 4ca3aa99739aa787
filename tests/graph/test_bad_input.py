"""Whatever comes in: a failed run that says what was expected, what came and what to do, and tables as they were."""

import json
import os
import re
import subprocess
import sys

import dagster as dg
import duckdb
import pytest
from support.copies import copy_home
from support.processes import holding

from commands.session import first_failure
from resources.airbyte import EmbeddedAirbyteWorkspace
from resources.profiles import ROOT
from sensors.alerts import alerts_sensor

RESCORE = {"ops": {"predictions__lapse_predictions": {"config": {"rescore": True}}}}


@pytest.fixture
def home(baton, tmp_path):
    """A folder in which everything was materialised once, for this test alone."""
    return copy_home(baton.home, tmp_path / "baton")


@pytest.fixture
def source(small_source, tmp_path):
    """A folder of source files that may be broken."""
    folder = tmp_path / "source"
    folder.mkdir()
    for file in small_source.glob("*.parquet"):
        os.link(file, folder / file.name)
    return folder


def contents(home, *, without=()):
    """Rows and a fingerprint of each table, but for the record that syncs keep of themselves."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE' "
            "and table_name <> '_airbyte_syncs' order by all"
        ).fetchall()
        return {
            f"{schema}.{name}": connection.execute(
                f'select count(*), coalesce(sum(hash(t)::hugeint), 0) from "{schema}"."{name}" as t'
            ).fetchone()
            for schema, name in tables
            if schema not in without
        }


def rewrite(file, select):
    """Replace a Parquet file by a query over it (`{file}`)."""
    new = file.with_suffix(".new")
    with duckdb.connect() as connection:
        connection.execute(f"copy ({select.format(file=file)}) to '{new}' (format parquet)")
    new.replace(file)


def alerts_about(made):
    """What people are told of the runs that failed."""
    with dg.build_sensor_context(
        instance=made.instance,
        # As by a tick before the first run.
        cursor=json.dumps({"runs": {"after": 0, "open": {}}}),
        repository_def=made.definitions.get_repository_def(),
        resources={"alerts": made.resources["alerts"]},
    ) as context:
        alerts_sensor.evaluate_tick(context)
    told = [json.loads(line) for line in (made.home / "alerts.jsonl").read_text().splitlines()]
    return [alert for alert in told if alert["id"].startswith("run:")]


def missing(source):
    (source / "products.parquet").unlink()


def malformed(source):
    file = source / "demographics.parquet"
    file.unlink()
    file.write_bytes(b"PAR1 and then nothing of the kind")


def renamed_column(source):
    rewrite(source / "transactions.parquet", "select * rename (sales_value as amount) from '{file}'")


def text_in_a_number(source):
    rewrite(source / "transactions.parquet", "select * replace (sales_value || ' USD' as sales_value) from '{file}'")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (missing, "products.parquet: expected a Parquet file in"),
        (malformed, "demographics.parquet: expected a Parquet file, but it cannot be read as one"),
        (renamed_column, "expected a column sales_value (number), but there is none. It has amount"),
        (text_in_a_number, "expected column sales_value to be of kind number, but it is VARCHAR"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_source_file_changes_nothing_and_is_named(make_baton, home, source, broken, said):
    before = contents(home)
    broken(source)
    result = make_baton(home, source=source).run()
    assert not result.success
    sentence = first_failure(result)
    assert sentence.startswith("airbyte_complete_journey failed: ")
    assert said in sentence
    assert contents(home) == before


def test_duplicate_keys_stop_before_the_marts_and_the_check_is_named(make_baton, home):
    made = make_baton(home)
    with made.resources["warehouse"].connect(read_only=False) as connection:
        connection.execute("insert into raw.transactions select * from raw.transactions limit 2")
    before = contents(home)
    result = made.run()
    assert not result.success
    [failed] = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert failed.check_name == "source_unique_combination_raw_transactions_basket_id__product_id"
    assert failed.blocking
    assert failed.asset_key.to_user_string() == "raw/transactions"
    sentence = first_failure(result)
    assert sentence.startswith("dbt_build failed: ")
    assert failed.check_name in sentence
    assert "2 results" in sentence
    made_of_them = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    assert not {"marts/order_lines", "features/customer_features", "predictions/lapse_predictions"} & made_of_them
    assert contents(home, without=["raw"]) == {
        name: rows for name, rows in before.items() if not name.startswith("raw.")
    }
    [alert] = alerts_about(made)
    assert alert["owner"] == "team:data-engineering"
    assert alert["title"] == f"check {failed.check_name} on raw/transactions failed"


@pytest.mark.parametrize(
    ("job", "step"),
    [
        ("ingest_and_build", "airbyte_complete_journey"),
        ("weekly_score", "predictions__lapse_predictions|spend__predictions|next_product__predictions"),
        ("weekly_judge", "campaigns__effect"),
    ],
)
def test_a_warehouse_that_another_process_holds_is_left_to_it(make_baton, home, job, step):
    made = make_baton(home)
    impatient = EmbeddedAirbyteWorkspace(
        warehouse_path=made.resources["warehouse"].path,
        clock=made.resources["clock"],
        connections_file=str(home / "connections.json"),
        wait_seconds=0.5,
    )
    made = make_baton(home, airbyte=impatient)
    before = contents(home)
    with holding(home / "warehouse.duckdb") as pid:
        result = made.run(job)
    assert not result.success
    sentence = first_failure(result)
    assert re.match(rf"({step}) failed: Expected to open the warehouse", sentence), sentence
    assert "another process holds it" in sentence
    assert f"PID {pid}" in sentence
    assert "Close that program" in sentence
    assert contents(home) == before


def test_a_damaged_model_scores_nothing(make_baton, home):
    before = contents(home)
    models = list((home / "mlartifacts").rglob("model.skops"))
    assert models
    for file in models:
        file.write_bytes(file.read_bytes()[:5000])
    result = make_baton(home).run("weekly_score", run_config=RESCORE)
    assert not result.success
    sentence = first_failure(result)
    assert sentence.startswith("predictions__lapse_predictions failed: Expected the model file of lapse version 1, and")
    assert "`make run` trains anew" in sentence
    assert "promote another version by `make promote VERSION=<number>`" in sentence
    assert contents(home) == before


def test_before_the_first_cutoff_there_is_nothing_to_learn_from_and_that_is_said(make_baton, tmp_path):
    early = make_baton(tmp_path / "early", now="2017-02-01T08:00:00-05:00")
    result = early.run()
    assert not result.success
    # Of whichever problem is asked first.
    assert (
        first_failure(result)
        .split("__")[1]
        .startswith("training_set failed: Expected at least 5 matured cutoffs to train and to judge on, got 0")
    )
    assert early.read("select count(*) from features.feature_frame") == [(0,)]
    assert early.read("select count(*) > 0 from raw.transactions") == [(True,)]


@pytest.mark.slow
def test_before_the_first_cutoff_the_jobs_of_the_calendar_do_nothing_and_succeed(make_baton, tmp_path):
    early = make_baton(tmp_path / "early", now="2017-02-01T08:00:00-05:00")
    for job in ("ingest_and_build", "weekly_score", "weekly_judge"):
        result = early.run(job)
        assert result.success, first_failure(result)
    for table in ("features.feature_frame", "predictions.lapse_predictions", "monitoring.drift"):
        assert early.read(f"select count(*) from {table}") == [(0,)], table
    # The first cutoff is the same as if nobody had asked before.
    later = make_baton(tmp_path / "early", now="2017-04-03T08:00:00-04:00")
    assert later.run("ingest_and_build").success
    assert later.read("select count(distinct cutoff_date) from features.feature_frame") == [(2,)]


def test_a_command_that_fails_ends_with_the_sentence_and_a_nonzero_code(home):
    before = contents(home)
    environment = {**os.environ, "BATON_HOME": str(home), "BATON_NOW": "2017-02-01T08:00:00-05:00"}
    command = [sys.executable, "-m", "commands.run"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "error: airbyte_complete_journey failed: Expected a clock at or after 2018-01-01" in ended.stderr
    assert "The tables that were there before are intact." in ended.stderr
    assert "Traceback" not in ended.stderr
    assert contents(home) == before


def test_one_raw_asset_in_an_empty_home_lands_and_its_checks_have_nothing_to_say_yet(make_baton, tmp_path):
    empty = make_baton(tmp_path / "empty")
    result = empty.run(asset_selection=[dg.AssetKey(["raw", "products"])])
    assert result.success, first_failure(result)
    [[rows]] = empty.read("select count(*) from raw.products")
    assert rows > 0
    found = [one for one in result.get_asset_check_evaluations() if one.check_name == "values_as_usual"]
    assert [(one.passed, one.description) for one in found] == [(True, "Nothing was judged yet.")]
