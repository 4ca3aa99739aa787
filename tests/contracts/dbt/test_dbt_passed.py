"""A dbt test of tables that are as when it passed is not run again, and says so; whatever differs, it runs."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from assets.company.dbt import dbt_models
from assets.company.dbt_nodes import without
from resources.dbt import DbtRunner
from resources.environment import variables
from resources.forced import FORCE
from resources.passed_tests import FILE, PassedTests
from resources.warehouse import DuckDBWarehouse

SHOP = {
    "dbt_project.yml": 'name: shop\nversion: "1.0"\nprofile: shop\nvars: {}\nflags: {require_generic_test_arguments_'
    "property: false}\n",
    "profiles.yml": (
        "shop: {target: embedded, outputs: {embedded: {type: duckdb, path: \"{{ env_var('BATON_WAREHOUSE') }}\", "
        "schema: marts}}}\n"
    ),
    "models/people.sql": "select * from {{ source('raw', 'people') }}",
    "models/at_risk.sql": "{{ config(tags=['serving']) }} select 1 as id",
    "models/pets.sql": "select * from {{ source('raw', 'pets') }}",
    "models/shop.yml": (
        "sources:\n  - name: raw\n    tables:\n"
        "      - name: people\n        columns:\n"
        "          - {name: id, data_tests: [unique: {name: ids_differ}]}\n"
        "          - {name: name, data_tests: [not_null: {name: is_named, config: {severity: warn}}]}\n"
        "      - name: pets\n        columns:\n"
        "          - {name: id, data_tests: [not_null: {name: pets_have_ids}, is_no_future: {name: by_the_clock}]}\n"
        "models:\n  - name: people\n    columns:\n      - {name: id, data_tests: [not_null: {name: of_a_model}]}\n"
    ),
    "tests/generic/is_no_future.sql": (
        "{% test is_no_future(model, column_name) %} select 1 from {{ model }} where now() < date '2000-01-01' "
        "{% endtest %}"
    ),
}


@dg.multi_asset(specs=[dg.AssetSpec(["raw", "people"]), dg.AssetSpec(["raw", "pets"])])
def landed() -> Iterator[dg.MaterializeResult[None]]:
    """The tables are there already."""
    yield from (dg.MaterializeResult(["raw", name]) for name in ("people", "pets"))


SOURCES = {"ids_differ", "is_named", "pets_have_ids"}
ALWAYS = {"of_a_model", "by_the_clock"}


@pytest.fixture
def path(tmp_path: Path) -> str:
    for name, text in SHOP.items():
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_text(text)
    file = str(tmp_path / "warehouse.duckdb")
    with duckdb.connect(file) as connection:
        connection.execute("create schema raw; create table raw.people as select 1 as id, 'Ada' as name")
        connection.execute("create table raw.pets as select 1 as id")
    return file


@pytest.fixture
def built(path: str, tmp_path: Path) -> Callable[..., tuple[set[str], Mapping[str, dg.AssetCheckEvaluation]]]:
    """Return a function that builds everything: the checks that ran nothing, and all checks by name."""
    made: list[Any] = []

    def build(
        missing: frozenset[str] = frozenset(), **tags: str
    ) -> tuple[set[str], Mapping[str, dg.AssetCheckEvaluation]]:
        dbt = DbtRunner(project_dir=str(tmp_path / "project"), state_dir=str(tmp_path / "state"), warehouse_path=path)
        with variables({"BATON_WAREHOUSE": path}):
            if not made:
                made.extend(one for one in dbt_models(dbt) if isinstance(one, dg.AssetsDefinition) and one.keys)
            result = dg.materialize(
                [landed, made[0]],
                resources={"dbt": dbt, "warehouse": DuckDBWarehouse(path=path), "airbyte": object()},
                raise_on_error=False,
                tags=tags,
            )
        checks = {one.check_name: one for one in result.get_asset_check_evaluations()}
        assert set(checks) == (SOURCES | ALWAYS) - missing, "each check shows a result, whether or not its test ran"
        return {name for name, one in checks.items() if "not run again" in (one.description or "")}, checks

    return build


def do(path: str, sql: str) -> None:
    with duckdb.connect(path) as connection:
        connection.execute(sql)


def test_what_passed_on_the_same_rows_is_told_and_whatever_differs_runs(
    built: Callable[..., tuple[set[str], Mapping[str, dg.AssetCheckEvaluation]]], path: str, tmp_path: Path
) -> None:
    assert built()[0] == set(), "nothing has passed yet"
    left_out, checks = built()
    assert left_out == SOURCES, "a test of a model, or of the clock, runs always"
    told = checks["pets_have_ids"]
    assert told.passed
    assert "Up to date, and not run again: it passed on " in (told.description or "")
    assert "raw.pets, the test, the project and its settings are as they were then." in (told.description or "")
    assert (told.metadata["measured"].value, told.metadata["bound"].value) == (0, 0)
    assert checks["is_named"].severity == dg.AssetCheckSeverity.WARN
    assert built(**{FORCE: "true"})[0] == set()
    assert built()[0] == SOURCES

    # One table changed: its tests run, the others do not.
    do(path, "insert into raw.people values (2, 'Bob')")
    assert built()[0] == {"pets_have_ids"}
    assert built()[0] == SOURCES

    # What fails or warns is run until it passes, also where nothing is new.
    do(path, "update raw.people set name = null where id = 2")
    for again in (False, True):
        left_out, checks = built()
        assert left_out == {"pets_have_ids", *(["ids_differ"] if again else [])}
        assert not checks["is_named"].passed
    do(path, "update raw.people set id = 1, name = 'Bob'")
    for again in (False, True):
        # What fails keeps the models that read the table from being built, so their tests cannot run.
        left_out, checks = built(frozenset({"of_a_model"}))
        assert left_out == {"pets_have_ids", *(["is_named"] if again else [])}
        assert not checks["ids_differ"].passed
    # A restored table is what it was before; that it passed then was forgotten when it failed.
    do(path, "delete from raw.people; insert into raw.people values (1, 'Ada')")
    assert built()[0] == {"pets_have_ids"}
    assert built()[0] == SOURCES

    # Rows in another order are the same rows; a dropped table is not.
    do(path, "create or replace table raw.people as select * from raw.people order by id desc")
    assert built()[0] == SOURCES
    (tmp_path / "state" / FILE).write_text("{ half a file")
    assert built()[0] == set()
    kept = json.loads((tmp_path / "state" / FILE).read_text())
    assert {name.split(".")[2] for name in kept} == SOURCES


def test_another_text_of_the_project_makes_all_tests_run(
    built: Callable[..., tuple[set[str], Mapping[str, dg.AssetCheckEvaluation]]], tmp_path: Path
) -> None:
    built()
    assert built()[0] == SOURCES
    with (tmp_path / "project" / "models" / "people.sql").open("a") as file:
        file.write(" -- and a remark\n")
    assert built()[0] == set()
    assert built()[0] == SOURCES


def test_a_table_that_is_changed_while_its_test_runs_has_not_passed(path: str, tmp_path: Path) -> None:
    dbt = DbtRunner(project_dir=str(tmp_path / "project"), state_dir=str(tmp_path / "state"), warehouse_path=path)
    with variables({"BATON_WAREHOUSE": path}):
        manifest = json.loads(dbt.ensure_manifest().read_text())
    [pets] = (one for one, node in manifest["nodes"].items() if node["name"] == "pets_have_ids")

    def seen() -> PassedTests:
        return PassedTests(dbt, DuckDBWarehouse(path=path), manifest, [pets], {})

    passes = [{"data": {"node_info": {"unique_id": pets}, "status": "pass"}}]
    before = seen()
    do(path, "insert into raw.pets values (2)")
    before.note(passes, "a run")
    assert seen().up_to_date() == {}
    do(path, "delete from raw.pets where id = 2")
    assert seen().up_to_date() == {}, "nor on what it was before"
    seen().note(passes, "a run")
    assert [one.run_id for one in seen().up_to_date().values()] == ["a run"]
    # What cannot be looked through is tested.
    do(path, "alter table raw.pets rename to theirs; create view raw.pets as from raw.theirs; drop table raw.theirs")
    assert seen().up_to_date() == {}
    before.note([{"data": {"node_info": {"unique_id": pets}, "status": "fail"}}], "a later run")
    assert json.loads((tmp_path / "state" / FILE).read_text()) == {}


def test_a_selection_of_dbt_keeps_its_own_exclusions() -> None:
    one = [{"fqn": ["shop", "ids_differ"]}]
    assert without(["--select", "fqn:a fqn:b"], one) == ["--select", "fqn:a fqn:b", "--exclude", "fqn:shop.ids_differ"]
    assert without(["--exclude", "tag:serving"], one) == ["--exclude", "tag:serving", "fqn:shop.ids_differ"]
    assert without(["--exclude", "tag:serving"], []) == ["--exclude", "tag:serving"]
