"""Every test of the dbt project is a check of the graph with a sentence, or loading says which one is not, and why."""

from pathlib import Path
from typing import Any

import pytest
from dbt_workshop import Warehouse

from assets.company.dbt import dbt_models
from assets.company.dbt_tests import said
from definitions import defs
from resources.dbt import DbtError, DbtRunner

PROJECT = """
name: shop
version: "1.0"
profile: shop
"""
PROFILES = """
shop: {target: embedded, outputs: {embedded: {type: duckdb, path: ":memory:", schema: marts}}}
"""
TESTS = """
models:
  - name: orders
    columns:
      - name: order_id
        data_tests: [not_null: {name: is_there}]
      - name: customer_id
        data_tests: [not_null: {name: OTHER}]
"""
UNIT_TEST = """
unit_tests:
  - {{name: counts, model: {model}, given: [], expect: {{rows: [{{order_id: 1, customer_id: 2}}]}}}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A dbt project of two models without a test."""
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "dbt_project.yml").write_text(PROJECT)
    (folder / "profiles.yml").write_text(PROFILES)
    for model in ("orders", "returns"):
        (folder / "models" / f"{model}.sql").write_text("select 1 as order_id, 2 as customer_id")
    (folder / "models" / "at_risk.sql").write_text("{{ config(tags=['serving']) }} select 1 as order_id")
    return folder


def loaded(project: Path) -> set[str]:
    """Return the checks that are made of the project, as `schema/model:name`."""
    # A folder for each load: dagster-dbt reads a manifest of one path once in a process.
    state = project.with_name(f"state{len(list(project.parent.iterdir()))}")
    made = dbt_models(DbtRunner(project_dir=str(project), state_dir=str(state)))
    return {spec.key.to_user_string() for one in made for spec in one.check_specs}


def test_two_tests_of_one_name_on_one_model_are_named_before_anything_runs(project: Path) -> None:
    file = project / "models" / "orders.yml"
    file.write_text(TESTS.replace("OTHER", "is_there"))
    with pytest.raises(DbtError) as raised:
        loaded(project)
    assert str(raised.value) in {
        f"models/orders.yml: the test `is_there` of `{one}` has the name and the table of the one of `{other}` in "
        "models/orders.yml. A table shows one check of a name. Give one of them another `name`."
        for one, other in (("order_id", "customer_id"), ("customer_id", "order_id"))
    }
    file.write_text(TESTS.replace("OTHER", "is_there_too"))
    assert loaded(project) == {"marts/orders:is_there", "marts/orders:is_there_too"}


def test_a_test_that_belongs_to_no_asset_says_how_to_give_it_one(project: Path) -> None:
    test = project / "tests" / "as_many.sql"
    text = "select 1 from {{ ref('orders') }} join {{ ref('returns') }} using (order_id) where false"
    test.write_text(text)
    with pytest.raises(DbtError, match=r"tests/as_many\.sql: the test `as_many` belongs to no asset of the graph"):
        loaded(project)
    test.write_text("{{ config(meta={'dagster': {'ref': {'name': 'orders'}}}) }}" + text)
    assert loaded(project) == {"marts/orders:as_many"}


def test_unit_tests_of_one_name_on_two_models_are_two_checks(project: Path) -> None:
    for model in ("orders", "returns"):
        (project / "models" / f"{model}_unit.yml").write_text(UNIT_TEST.format(model=model))
    assert loaded(project) == {"marts/orders:unit_counts", "marts/returns:unit_counts"}


def test_every_check_of_the_graph_says_what_it_holds_true() -> None:
    graph = defs.resolve_asset_graph()
    assert len(graph.asset_check_keys) > 100
    assert [key for key in graph.asset_check_keys if not graph.get(key).description] == []


def test_a_sentence_is_made_of_a_tests_kind_and_arguments(workshop: Warehouse) -> None:
    nodes: dict[str, Any] = workshop.manifest()["nodes"]
    sentences = {node["name"]: said(node) for node in nodes.values() if node["resource_type"] == "test"}
    assert sentences["not_null_orders_customer_id"] == "`customer_id` is never null."
    assert sentences["unique_orders_order_id"] == "`order_id` holds every value once."
    for one in (
        "Every `product_id` is a `product_id` of `stg_products`.",
        "`risk_band` holds nothing but high, medium, low.",
        "`customer_id`, `ordered_on` together hold every combination once.",
        "No feature that every customer has is null.",
    ):
        assert one in sentences.values()
