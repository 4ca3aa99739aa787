"""The dbt project of a company: its file's numbers, its staging, made anew when one of them changes, and never half."""

import json
import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from support.bundled import COMPANY

from resources.company import Company, CompanyError
from resources.company.choice import BUNDLED, folder_of
from resources.company.dbt_project import PROJECT, prepare, variables
from resources.compiled_models import Model, compiled_models
from resources.dbt import DbtRunner


def in_project(folder: Path) -> dict[str, object]:
    """Return the variables that dbt reads in a project."""
    return dict(yaml.safe_load((folder / "dbt_project.yml").read_text())["vars"])


def asking(**question: object) -> object:
    """Return the bundled company with another question."""
    return COMPANY.model_copy(update={"question": COMPANY.question.model_copy(update=question)})


def test_the_models_are_told_what_the_companys_file_says(tmp_path: Path) -> None:
    project = prepare(COMPANY, folder_of(BUNDLED), tmp_path / "project")
    assert in_project(project) == variables(COMPANY)
    assert in_project(project)["raw_entity_column"] == COMPANY.order_lines.customer.column
    assert in_project(project)["early_days"] == COMPANY.question.asked.early_days
    assert (project / "models" / "staging" / BUNDLED / "stg_order_lines.sql").exists()


def test_no_variable_stands_in_the_project_itself() -> None:
    assert "vars" not in yaml.safe_load((PROJECT / "dbt_project.yml").read_text())


def test_an_unchanged_project_is_left_alone_and_a_changed_one_is_made_anew(tmp_path: Path) -> None:
    staging = Path(shutil.copytree(folder_of(BUNDLED), tmp_path / "shop")) / "staging"
    into = prepare(COMPANY, tmp_path / "shop", tmp_path / "project")
    made = into.stat().st_ino
    prepare(COMPANY, tmp_path / "shop", into)
    assert into.stat().st_ino == made

    (into / "left_by_somebody.txt").write_text("")
    prepare(asking(horizon_days=56, early_days=28), tmp_path / "shop", into)  # type: ignore[arg-type]
    assert in_project(into)["horizon_days"] == 56
    assert not (into / "left_by_somebody.txt").exists()

    (staging / "stg_customers.sql").unlink()
    prepare(COMPANY, tmp_path / "shop", into)
    assert "Made of" in (into / "models" / "staging" / "shop" / "stg_customers.sql").read_text()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["project", "project.lock", "shop"]


@pytest.mark.parametrize("lose", [lambda file: file.unlink(), lambda file: file.write_text(file.read_text()[:50])])
@pytest.mark.parametrize("name", ["made_of.sha256", "dbt_project.yml", "models/features/customer_features.sql"])
def test_a_project_of_which_a_file_was_lost_or_cut_short_is_made_anew(tmp_path: Path, name: str, lose: Any) -> None:
    into = prepare(COMPANY, folder_of(BUNDLED), tmp_path / "project")
    whole = {file: file.read_bytes() for file in into.rglob("*") if file.is_file()}
    lose(into / name)
    prepare(COMPANY, folder_of(BUNDLED), into)
    assert {file: file.read_bytes() for file in into.rglob("*") if file.is_file()} == whole


def test_a_kill_before_the_project_was_whole_is_mended_by_the_next_call(tmp_path: Path) -> None:
    into = prepare(COMPANY, folder_of(BUNDLED), tmp_path / "project")
    whole = sorted(one.relative_to(into) for one in into.rglob("*"))
    for left in (tmp_path / "project.new", tmp_path / "project.old"):
        shutil.copytree(into, left)
    shutil.rmtree(into / "models")
    (into / "made_of.sha256").unlink()
    prepare(COMPANY, folder_of(BUNDLED), into)
    assert sorted(one.relative_to(into) for one in into.rglob("*")) == whole
    assert sorted(one.name for one in tmp_path.iterdir()) == ["project", "project.lock"]


def test_a_company_without_staging_of_its_own_is_staged_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    into = prepare(COMPANY.model_copy(update={"campaigns": False}), tmp_path / "shop", tmp_path / "project")
    made = {file.name for file in (into / "models" / "staging" / "shop").iterdir()}
    assert made == {
        "stg_order_lines.sql",
        "stg_products.sql",
        "stg_customers.sql",
        "made_staging.yml",
        "made_sources.yml",
    }
    assert not (into / "models" / "marts" / "campaign_contacts.sql").exists()


def test_calls_are_read_from_the_raw_table_that_the_file_names(tmp_path: Path) -> None:
    told = COMPANY.model_dump(exclude_unset=True) | {
        "campaigns": False,
        "prices": {"contact": 2.0, "won_back": 0.2},
        "calls": {
            "held_out": 0.1,
            "table": "crm",
            "customer": "id",
            "time": {"column": "at", "format": "%d.%m.%Y %H:%M"},
        },
    }
    ours = Company.model_validate(told)
    assert "calls" in ours.parts
    (tmp_path / "shop").mkdir()
    made = prepare(ours, tmp_path / "shop", tmp_path / "project") / "models" / "staging" / "shop"
    assert "name: crm" in (made / "made_sources.yml").read_text()
    assert "stg_calls" in (made / "made_staging.yml").read_text()
    model = re.sub(r"\{#-.*?#\}", "", (made / "stg_calls.sql").read_text(), flags=re.DOTALL)
    with duckdb.connect() as connection:
        connection.execute(
            "create table crm as select * from (values ('c1', '02.01.2024 10:00'), ('c1', '02.01.2024 18:30'), "
            "('c1', '03.01.2024 09:00'), (' ', '03.01.2024 09:00'), ('c2', 'soon')) as calls(id, \"at\")"
        )
        rows = connection.execute(model.replace("{{ source('raw', 'crm') }}", "crm") + " order by 2").fetchall()
    assert rows == [("c1", date(2024, 1, 2)), ("c1", date(2024, 1, 3))]


def test_campaigns_without_their_models_are_told_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    with pytest.raises(CompanyError, match=r"campaigns = true.*stg_campaigns\.sql.*/shop/staging/"):
        prepare(COMPANY, tmp_path / "shop", tmp_path / "project")
    assert not (tmp_path / "project").exists()


def test_labels_of_another_horizon_mature_when_it_is_over(tmp_path: Path) -> None:
    project = prepare(asking(horizon_days=56), folder_of(BUNDLED), tmp_path / "project")  # type: ignore[arg-type]
    runner = DbtRunner(project_dir=str(project), state_dir=str(tmp_path / "state"), warehouse_path=":memory:")
    assert runner.variables()["horizon_days"] == 56
    runner.ensure_compiled()
    [spine] = (tmp_path / "state" / "compiled").rglob("compiled/**/cutoffs.sql")
    assert "cast(56 as integer)" in spine.read_text()


@pytest.mark.parametrize("kept", [0, 0.5])
@pytest.mark.parametrize("name", ["target/manifest.json", "target/partial_parse.msgpack", "manifest.sha256"])
def test_a_manifest_that_was_cut_short_is_made_anew(tmp_path: Path, name: str, kept: float) -> None:
    (tmp_path / "own" / "models").mkdir(parents=True)
    (tmp_path / "own" / "dbt_project.yml").write_text("name: own\nversion: 1.0.0\nprofile: baton\nvars: {}\n")
    shutil.copyfile(PROJECT / "profiles.yml", tmp_path / "own" / "profiles.yml")
    (tmp_path / "own" / "models" / "one.sql").write_text("select 1 as x")
    runner = DbtRunner(
        project_dir=str(tmp_path / "own"),
        state_dir=str(tmp_path / "state"),
        warehouse_path=str(tmp_path / "one.duckdb"),
    )
    runner.ensure_manifest()
    file = tmp_path / "state" / name
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * kept)])
    assert "model.own.one" in json.loads(runner.ensure_manifest().read_text())["nodes"]


def test_what_is_compiled_of_a_parsed_project_is_what_dbt_compiles_of_its_files(tmp_path: Path) -> None:
    models = tmp_path / "own" / "models"
    models.mkdir(parents=True)
    (tmp_path / "own" / "dbt_project.yml").write_text("name: own\nversion: 1.0.0\nprofile: baton\nvars: {}\n")
    shutil.copyfile(PROJECT / "profiles.yml", tmp_path / "own" / "profiles.yml")
    (models / "of.yml").write_text(
        "sources: [{name: raw, tables: [{name: a}]}, {name: else, database: elsewhere, tables: [{name: b}]}]\n"
    )
    (models / "one.sql").write_text("select * from {{ source('raw', 'a') }} cross join {{ source('else', 'b') }}")
    (models / "two.sql").write_text("select * from {{ ref('one') }}")

    def compiled(state: str, *, parse: bool) -> list[Model]:
        file = str(tmp_path / "warehouse.duckdb")
        runner = DbtRunner(project_dir=str(tmp_path / "own"), state_dir=str(tmp_path / state), warehouse_path=file)
        if parse:
            runner.ensure_manifest()
        return compiled_models(runner.ensure_compiled(), serving=True)

    one, two = compiled("parsed", parse=True)
    assert '"memory"."raw"."a"' in one.sql
    assert '"elsewhere"."else"."b"' in one.sql
    assert '"memory"."main"."one"' in two.sql
    assert compiled("compiled", parse=False) == [one, two]
    left = [{one.name for one in (tmp_path / state / "compiled").iterdir()} for state in ("parsed", "compiled")]
    assert left[0] == left[1]
