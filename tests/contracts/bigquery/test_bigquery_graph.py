"""From features to predictions, the same assets give the same rows on both warehouses."""

import dagster as dg
import pytest
from bigquery_world import Twins, differences
from sample import load_raw_sample

from assets.features import FEATURE_ASSETS
from assets.predictions import PREDICTION_ASSETS
from assets.training import TRAINING_ASSETS
from resources.clock import Clock
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse

pytestmark = pytest.mark.slow


def materialize(warehouse: Warehouse, folder) -> dg.ExecuteInProcessResult:
    folder.mkdir()
    assets = [*FEATURE_ASSETS, *TRAINING_ASSETS, *PREDICTION_ASSETS]
    resources = {
        "warehouse": warehouse,
        "clock": Clock(reads="2018-01-01T08:00:00-05:00", override_variable="BATON_NOT_IN_TESTS"),
        "registry": ModelRegistry(
            tracking_uri=f"sqlite:///{folder / 'mlflow.db'}", artifact_root=(folder / "mlartifacts").as_uri()
        ),
    }
    definitions = dg.Definitions(
        assets=[one for one in assets if not isinstance(one, dg.AssetChecksDefinition)],
        asset_checks=[one for one in assets if isinstance(one, dg.AssetChecksDefinition)],
        jobs=[dg.define_asset_job("model", "*")],
        resources=resources,
        executor=dg.in_process_executor,
    )
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return definitions.resolve_job_def("model").execute_in_process(
        instance=dg.DagsterInstance.ephemeral(), raise_on_error=False, run_config=quiet
    )


def test_the_model_and_its_predictions_are_the_same_on_both(emulator, tmp_path) -> None:
    twins = Twins.in_folder(tmp_path)
    load_raw_sample(twins.duckdb.path, modulo=8)
    # Other tests of this emulator have tables of their own there.
    for schema in ("staging", "features", "outcomes", "marts", "training", "predictions"):
        with twins.bigquery.connect() as client:
            client.delete_dataset(schema, delete_contents=True, not_found_ok=True)
    twins.land()
    twins.dbt("run", "--exclude", "tag:serving")
    for name, warehouse in (("duckdb", twins.duckdb), ("bigquery", twins.bigquery)):
        result = materialize(warehouse, tmp_path / name)
        assert result.success, [str(event) for event in result.all_events if event.is_failure]

    # The time of scoring and the names of MLflow's runs are the only things that two runs may not share.
    assert twins.bigquery.row_count("predictions", "lapse_predictions") > 100
    for schema, table in (
        ("features", "feature_frame"),
        ("training", "training_set"),
        ("training", "candidate"),
        ("training", "holdout_predictions"),
        ("predictions", "lapse_predictions"),
    ):
        sql = f"select * from {schema}.{table}"
        unequal = differences(twins.duckdb.read(sql), twins.bigquery.read(sql))
        assert set(unequal) <= {"mlflow_run_id", "scored_at"}, (table, unequal)
