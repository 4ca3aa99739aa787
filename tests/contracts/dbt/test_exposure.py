"""The model in dbt's documentation, the documented columns, the SQL and the model's code say the same."""

from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt_workshop import Warehouse
from support.bundled import CATALOGUE, FEATURES

from ml_models.problems.lapse.features import KEYS

SCHEMA_LINE = "ml_models/problems/lapse/features.py"
DOCUMENTED = "dbt_project/models/features/customer_features.yml"
QUERY = "dbt_project/models/features/customer_features.sql"


@pytest.fixture(scope="module")
def manifest(whole_year: Path, workshop: Warehouse) -> dict[str, Any]:
    return workshop.manifest()


@pytest.fixture(scope="module")
def built(whole_year: Path) -> list[str]:
    with duckdb.connect(str(whole_year), read_only=True) as connection:
        return [row[0] for row in connection.execute("describe features.customer_features").fetchall()]


def disagreement(left: list[str], left_place: str, right: list[str], right_place: str) -> str:
    """Say which names one place has and the other lacks, or that their order differs; empty if they agree."""
    problems = [
        f"{name} is in {left_place}, but not in {right_place}: add a line there." for name in left if name not in right
    ]
    problems += [
        f"{name} is in {right_place}, but not in {left_place}: add a line there." for name in right if name not in left
    ]
    if not problems and left != right:
        first = next(a for a, b in zip(left, right, strict=True) if a != b)
        problems = [f"{left_place} and {right_place} have the same names in another order, from {first} on."]
    return "\n".join(problems)


def test_every_feature_of_the_query_is_a_feature_of_the_model(built: list[str]) -> None:
    problem = disagreement(built, QUERY, [*KEYS, *FEATURES], SCHEMA_LINE)
    assert not problem, problem


def test_every_feature_of_the_query_is_documented(built: list[str], manifest: dict[str, Any]) -> None:
    documented = list(manifest["nodes"]["model.baton.customer_features"]["columns"])
    problem = disagreement(built, QUERY, documented, DOCUMENTED)
    assert not problem, problem


def test_a_feature_without_a_schema_line_is_named_with_the_place_to_add_it() -> None:
    problem = disagreement([*KEYS, *FEATURES, "returns_84d"], QUERY, [*KEYS, *FEATURES], SCHEMA_LINE)
    assert problem == f"returns_84d is in {QUERY}, but not in {SCHEMA_LINE}: add a line there."


def test_dbt_forbids_nulls_exactly_where_the_model_does(manifest: dict[str, Any]) -> None:
    test = next(n for n in manifest["nodes"].values() if n["name"] == "features_that_every_customer_has")
    never_null = test["test_metadata"]["kwargs"]["columns"]
    features = CATALOGUE.values() if isinstance(CATALOGUE, dict) else CATALOGUE
    problem = disagreement(
        never_null, f"the never_null test of {DOCUMENTED}", [f.name for f in features if not f.nullable], SCHEMA_LINE
    )
    assert not problem, problem


def test_the_exposure_depends_on_what_the_model_learns_from_and_names_its_table(manifest: dict[str, Any]) -> None:
    exposure = manifest["exposures"]["exposure.baton.lapse_model"]
    assert exposure["type"] == "ml"
    assert exposure["owner"]["name"] == "team:ml-engineering"
    assert set(exposure["depends_on"]["nodes"]) == {"model.baton.customer_features", "model.baton.customer_outcomes"}
    meta = exposure["config"]["meta"]
    assert (Path(__file__).resolve().parents[3] / meta["code"]).is_dir()
    schema, table = meta["writes"].split(".")
    assert f"source.baton.{schema}.{table}" in manifest["sources"]
