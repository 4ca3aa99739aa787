"""One lineage graph, from Airbyte streams to the proof that predictions held."""

import json
import tempfile
from pathlib import Path

import dagster as dg
import pytest

from assets.company.dbt_unit_tests import UNIT_TEST_PREFIX
from assets.problem.candidate import candidate
from ml_models.training.gates import GATES
from steps.ownership import FRESHNESS, owner_of
from steps.tables import BACKTEST, READINESS

PREDICTIONS = dg.AssetKey(["predictions", "lapse_predictions"])
ON_DEMAND = {BACKTEST, READINESS}
"""Assets that a person's command makes, and no run of everything."""

READ_BY_PEOPLE = {"marts/customers_at_risk", "marts/accuracy_over_time", "monitoring/performance"}


@pytest.fixture(scope="module")
def graph(baton):
    return baton.definitions.resolve_asset_graph()


def ancestors(graph, key):
    found, todo = set(), [key]
    while todo:
        for parent in graph.get(todo.pop()).parent_keys:
            if parent not in found:
                found.add(parent)
                todo.append(parent)
    return found


def test_the_predictions_descend_from_the_raw_streams(graph):
    raw = {key.to_user_string() for key in ancestors(graph, PREDICTIONS) if key.path[0] == "raw"}
    assert {"raw/transactions", "raw/products"} <= raw


def test_no_raw_stream_dangles(graph):
    raw = {key for key in graph.get_all_asset_keys() if key.path[0] == "raw"}
    assert len(raw) == 7
    reached = set()
    for name in READ_BY_PEOPLE:
        reached |= ancestors(graph, dg.AssetKey.from_user_string(name))
    assert raw <= reached


def test_every_asset_and_check_has_an_owner(graph):
    for key in graph.get_all_asset_keys():
        assert graph.get(key).owners == [owner_of(key)], f"{key.to_user_string()} has no owner"
    for key in graph.asset_check_keys:
        spec = graph.get_check_spec(key)
        assert str(spec.metadata.get("owner", "")).startswith("team:"), f"check {key.to_user_string()} has no owner"


def test_every_asset_says_in_which_file_it_is_made(graph):
    for key in graph.get_all_asset_keys():
        places = graph.get(key).metadata["dagster/code_references"].code_references
        assert all(Path(place.file_path).is_file() for place in places), key.to_user_string()
        if key.path[0] in {"staging", "marts"}:
            assert Path(places[0].file_path).name == f"{key.path[-1]}.sql"
            assert not Path(places[0].file_path).is_relative_to(Path(tempfile.gettempdir())), "nobody edits that file"


def test_an_asset_that_no_table_covers_is_an_error_that_says_where_to_add_it():
    with pytest.raises(KeyError, match="has no owner. Add its schema to OWNER_BY_SCHEMA"):
        owner_of(dg.AssetKey(["nowhere", "orphan"]))


def test_every_asset_says_how_it_is_made_and_of_what_kind(graph):
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert len(node.description or "") > 40, f"{key.to_user_string()} has no description worth reading"
        assert node.kinds, f"{key.to_user_string()} has no kind"
        assert node.group_name


def test_freshness_policies_stand_where_the_table_says(graph):
    with_policy = {tuple(key.path) for key in graph.get_all_asset_keys() if graph.get(key).freshness_policy is not None}
    raw = {tuple(key.path) for key in graph.get_all_asset_keys() if key.path[0] == "raw"}
    assert with_policy == set(FRESHNESS) | raw


def test_everything_materialises_in_one_run(baton, graph):
    made = {event.asset_key for event in baton.result.get_asset_materialization_events()}
    # The comparison of policies is made by a command, not by a run.
    assert made == graph.get_all_asset_keys() - ON_DEMAND


def test_every_check_passes_on_the_natural_data(baton, graph):
    # dbt's unit tests are in no job; Dagster's own job of all assets has them.
    unit_tests = [key for key in graph.asset_check_keys if key.name.startswith(UNIT_TEST_PREFIX)]
    every = baton.definitions.resolve_implicit_global_asset_job_def()
    proving = every.get_subset(asset_selection=frozenset(), asset_check_selection=frozenset(unit_tests))
    proved = proving.execute_in_process(instance=baton.instance, raise_on_error=False)
    results = [*baton.result.get_asset_check_evaluations(), *proved.get_asset_check_evaluations()]
    evaluated = {check.asset_check_key: check for check in results}
    assert set(evaluated) == {key for key in graph.asset_check_keys if key.asset_key not in ON_DEMAND}
    failed = [key.to_user_string() for key, check in evaluated.items() if not check.passed]
    assert failed == []


def test_materialisations_carry_rows_table_and_columns(baton):
    for event in baton.result.get_asset_materialization_events():
        metadata = event.step_materialization_data.materialization.metadata
        name = event.asset_key.to_user_string()
        assert metadata["dagster/row_count"].value >= 0, name
        assert metadata["dagster/table_name"].value == name.replace("/", "."), name
        [[rows]] = baton.read(f"select count(*) from {name.replace('/', '.')}")
        assert rows == metadata["dagster/row_count"].value, name


def test_asset_keys_are_the_tables_in_the_warehouse(baton, graph):
    tables = baton.read("select table_schema || '/' || table_name from information_schema.tables")
    assert {key.to_user_string() for key in graph.get_all_asset_keys() - ON_DEMAND} <= {name for (name,) in tables}


def test_predictions_are_one_row_a_customer_with_their_model_and_reasons(baton):
    rows = baton.read(
        "select count(*), count(distinct customer_id), min(score), max(score), count(distinct model_version), "
        "max(trained_through), min(cutoff_date), max(cutoff_date), count(reason_1) from predictions.lapse_predictions"
    )
    n, customers, low, high, versions, through, first, last, reasons = rows[0]
    assert n == customers > 200
    assert 0 < low < high < 1
    assert versions == 1
    assert str(first) == str(last) == "2018-01-01"
    assert str(through) == "2017-12-04"
    assert reasons > n / 2


def test_the_gates_on_the_page_are_the_gates_in_the_code():
    assert [spec.name for spec in candidate.check_specs] == list(GATES)


def test_the_model_is_in_the_registry_with_its_evidence(baton):
    registry = baton.resources["registry"]
    champion = registry.by_alias("champion")
    assert champion == registry.by_alias("challenger")
    evidence = registry.evidence(champion)
    models = {row["model"] for row in evidence["comparison"]}
    assert {"base_rate", "recency_rule", "rfm_logistic", "logistic", "boosting", "shuffled_labels"} <= models
    assert evidence["metrics"]["auc"] > 0.75
    assert json.dumps(evidence)


def test_a_second_run_does_only_what_is_new(baton):
    before = {
        table: baton.read(f"select * from {table} order by all")
        for table in (
            "features.feature_frame",
            "predictions.lapse_predictions",
            "training.champion",
            "monitoring.drift",
        )
    }
    again = baton.run()
    assert again.success
    notes = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in again.get_asset_materialization_events()
    }
    assert notes["features/feature_frame"]["cutoffs_added"].value == 0
    assert notes["predictions/lapse_predictions"]["what_happened"].value == "cutoff 2018-01-01 was already scored"
    assert notes["training/candidate"]["model_version"].value == 1
    assert notes["raw/transactions"]["airbyte/rows_read"].value < 10
    for table, rows in before.items():
        assert baton.read(f"select * from {table} order by all") == rows, table
