"""The project explains itself: every column described, every node owned, every key the table's name."""

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt_workshop import AFTER_THE_MODEL, MODELS_ONLY, ROOT, StartFrom, Warehouse


@pytest.fixture(scope="module")
def manifest(served: Path, workshop: Warehouse) -> dict[str, Any]:
    return workshop.manifest()


def _models(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def test_every_column_of_every_model_is_described_and_no_other(
    manifest: dict[str, Any], served: Path, start_from: StartFrom
) -> None:
    warehouse = start_from(served)
    warehouse.dbt("build", *AFTER_THE_MODEL, *MODELS_ONLY)
    with duckdb.connect(str(warehouse.path), read_only=True) as connection:
        problems = []
        for model in _models(manifest):
            table = f"{model['schema']}.{model['name']}"
            columns = [row[0] for row in connection.execute(f"describe {table}").fetchall()]
            documented = {name: column["description"] for name, column in model["columns"].items()}
            problems += [f"{table}.{name} has no description." for name in columns if not documented.get(name)]
            problems += [
                f"{table} has no column {name}, but describes one." for name in documented if name not in columns
            ]
            if not model["description"]:
                problems.append(f"{table} has no description.")
    assert not problems, "\n".join(problems)


def test_every_model_has_an_owner_and_the_group_of_its_schema(manifest: dict[str, Any]) -> None:
    for model in _models(manifest):
        assert model["config"]["meta"]["dagster"]["owners"] == ["team:analytics-engineering"], model["name"]
        assert model["config"]["group"] == model["schema"], model["name"]
        assert (model["schema"], model["name"]) == (model["config"]["schema"], model["alias"])


def test_every_source_joins_the_asset_of_its_name(manifest: dict[str, Any]) -> None:
    owners = {"raw": "team:data-engineering"} | dict.fromkeys(
        ("predictions", "training", "spend"), "team:ml-engineering"
    )
    for source in manifest["sources"].values():
        dagster = source["config"]["meta"]["dagster"]
        assert dagster["asset_key"] == [source["schema"], source["name"]]
        assert dagster["owners"] == [owners[source["schema"]]]


def test_every_raw_stream_reaches_the_features_or_a_table_that_people_read(manifest: dict[str, Any]) -> None:
    children = manifest["child_map"]

    def reached(node: str) -> set[str]:
        found = {node}
        for child in children.get(node, []):
            found |= reached(child)
        return found

    ends = {"model.baton.customer_features", "model.baton.customers_at_risk"}
    raw = [name for name in manifest["sources"] if name.startswith("source.baton.raw.")]
    assert len(raw) == 7
    for stream in raw:
        assert reached(stream) & ends, f"{stream} dangles"


def test_models_are_written_in_sql_that_bigquery_understands_too() -> None:
    only_duckdb = {
        "FILTER (WHERE …)": r"\bfilter\s*\(",
        "::": r"::",
        "EXCLUDE": r"\bexclude\b",
        "//": r"//",
        "date_diff('…')": r"\bdate_diff\s*\(\s*'",
        "cast(… as varchar)": r"\bas\s+varchar\b",
        "DISTINCT ON": r"\bdistinct\s+on\b",
    }
    folder = ROOT / "dbt_project"
    problems = [
        f"{file.relative_to(ROOT)} has {name}; put it into a dispatched macro."
        for file in [
            *folder.glob("models/**/*.sql"),
            *folder.glob("tests/**/*.sql"),
            *ROOT.glob("companies/*/staging/*.sql"),
        ]
        for name, pattern in only_duckdb.items()
        if re.search(pattern, re.sub(r"--[^\n]*|\{#.*?#\}", "", file.read_text(), flags=re.DOTALL), re.IGNORECASE)
    ]
    assert not problems, "\n".join(problems)
