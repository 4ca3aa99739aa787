"""The company's teams own everything: no second place names one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.bundled import COMPANY
from support.checkouts import NOT_OF_THE_PROJECT

from resources.company.choice import BUNDLED, folder_of
from resources.company.dbt_project import prepare
from resources.company.model import Owners
from resources.profiles import ROOT

TEAMS = {"raw": "team:loading", "tables": "team:ml-engineering", "models": "lapse@shop.example"}
"""One of them is the default name of another role, so that what is exchanged twice is seen."""

DEFAULTS = ("team:data-engineering", "team:analytics-engineering")

ASKED = """
import json
from definitions import build_definitions
from drills.faults import known
graph = build_definitions().resolve_asset_graph()
keys = [*graph.get_all_asset_keys()]
print(json.dumps({
    "assets": {key.to_user_string(): list(graph.get(key).owners) for key in keys},
    "checks": [graph.get_check_spec(key).metadata.get("owner") for key in graph.asset_check_keys],
    "drills": sorted({fault.expected.owner for fault in known().values()}),
}))
"""


def test_a_project_of_other_teams_names_no_default_one(tmp_path: Path) -> None:
    company = COMPANY.model_copy(update={"owners": Owners(**TEAMS)})
    into = prepare(company, folder_of(BUNDLED), tmp_path / "project")
    texts = "".join(file.read_text() for file in into.rglob("*.yml"))
    assert all(team in texts for team in TEAMS.values())
    assert not any(team in texts for team in DEFAULTS)
    # The names of all roles were exchanged at once: what ml-engineering owned is not what it owns.
    assert "owners: [team:ml-engineering]" in (into / "dbt_project.yml").read_text()
    assert "name: lapse@shop.example" in (into / "models" / "exposures.yml").read_text()


def test_other_teams_make_the_project_anew(tmp_path: Path) -> None:
    for company in (COMPANY, COMPANY.model_copy(update={"owners": Owners(**TEAMS)})):
        into = prepare(company, folder_of(BUNDLED), tmp_path / "project")
        assert company.owners.raw in (into / "dbt_project.yml").read_text()


def test_a_company_with_other_teams_has_a_graph_of_those_alone(tmp_path: Path) -> None:
    project = tmp_path / "baton"
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(*NOT_OF_THE_PROJECT, "tests", "docs"))
    file = project / "companies" / BUNDLED / "company.toml"
    owners = "".join(f'{role} = "{team}"\n' for role, team in TEAMS.items())
    file.write_text(f"{file.read_text()}\n[owners]\n{owners}")
    environment = {**os.environ, "PYTHONPATH": str(project), "BATON_HOME": str(tmp_path / "home")}
    told = subprocess.run(
        [sys.executable, "-c", ASKED], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr[-2000:]
    found = json.loads(told.stdout.splitlines()[-1])
    by_schema = {"raw": TEAMS["raw"], "training": TEAMS["models"], "predictions": TEAMS["models"]}
    by_schema["monitoring"] = TEAMS["models"]
    for asset, owner in found["assets"].items():
        schema = "training" if asset == "features/feature_frame" else asset.split("/")[0]
        assert owner == [by_schema.get(schema, TEAMS["tables"])], asset
    assert set(found["checks"]) <= set(TEAMS.values())
    assert set(found["drills"]) <= {*TEAMS.values(), ""}
