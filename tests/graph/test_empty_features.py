"""Features without a value, and features that never change, end nothing: training, SQL, reasons and judgement go on."""

import json

import pytest
from support.copies import copy_home

from commands.session import first_failure
from resources.registry import ModelRegistry

NULL, CONSTANT = "fuel_share_84d", "stores_84d"


@pytest.fixture(scope="module")
def poor(baton, make_baton, tmp_path_factory):
    """A company that sells no fuel and has one store, with its first model; nothing was judged yet."""
    folder = tmp_path_factory.mktemp("poor")
    home = copy_home(baton.home, folder / "baton")
    registry = ModelRegistry(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}", artifact_root=folder.as_uri())
    made = make_baton(home, registry=registry)
    with made.resources["warehouse"].connect(read_only=False) as connection:
        connection.execute(f"update features.feature_frame set {NULL} = null, {CONSTANT} = 1")
        for table in ("drift", "performance"):
            connection.execute(f"delete from monitoring.{table}")
        connection.execute("delete from predictions.lapse_predictions")
        # The other registry counts its versions from one again.
        connection.execute("drop schema scoring cascade")
    made.trained = made.run("retrain")
    assert made.trained.success, first_failure(made.trained)
    return made


def evidence(poor):
    registry = poor.resources["registry"]
    champion = registry.by_alias("champion")
    return registry.load(champion), registry.evidence(champion)


def test_the_model_does_without_and_the_candidate_says_so(poor):
    pipeline, found = evidence(poor)
    assert set(found["left_out"]) >= {NULL, CONSTANT}
    assert found["left_out"][NULL].startswith("null in all ")
    assert found["left_out"][CONSTANT].startswith("1 in all ")
    assert not {NULL, CONSTANT} & set(pipeline.feature_names_in_)
    notes = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in poor.trained.get_asset_materialization_events()
    }
    assert f"{NULL}: null in all " in notes["training/candidate"]["features_left_out"].value
    assert json.dumps(found)


def test_every_customer_is_scored_with_reasons_by_both_paths(poor):
    [[far, rows, reasons]] = poor.read(
        "select max(abs(scoring.lapse_champion(f) - p.score)), count(*), count(reason_1) "
        "from features.feature_frame f join predictions.lapse_predictions p using (customer_id, cutoff_date)"
    )
    assert far < 1e-9
    assert rows > 200
    assert reasons > rows / 2


def test_drift_performance_and_judgement_go_on(poor):
    judged = poor.run("weekly_judge")
    assert judged.success, first_failure(judged)
    assert poor.read(f"select count(*) from monitoring.drift where column_name = '{NULL}'")[0][0] > 0
    assert poor.read("select count(*) from monitoring.performance")[0][0] > 0
