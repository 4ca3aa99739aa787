"""A company with other teams and another question has a graph of those alone: no second place holds one."""

import shutil
from typing import Any

import pytest
from support.checkouts import NOT_OF_THE_PROJECT
from support.told import told_by

from resources.company.choice import BUNDLED
from resources.profiles import ROOT

TEAMS = {"raw": "team:loading", "tables": "team:shaping", "models": "lapse@shop.example"}

ASKED = """
import json
from definitions import build_definitions
from drills.faults import known
from steps.problem import problem
graph = build_definitions().resolve_asset_graph()
keys = [*graph.get_all_asset_keys()]
checks = [graph.get_check_spec(key) for key in graph.asset_check_keys]
print(json.dumps({
    "assets": {key.to_user_string(): list(graph.get(key).owners) for key in keys},
    "checks": [spec.metadata.get("owner") for spec in checks],
    "drills": sorted({fault.expected.owner for fault in known().values()}),
    "texts": [*(graph.get(key).description or "" for key in keys), *(spec.description or "" for spec in checks)],
    "question": [problem().horizon_days, problem().early_label],
}))
"""


PREDICTED = {"features/feature_frame", "features/catalogue"}
"""What those who predict answer for in a schema that those who shape tables own."""

SHAPED = {f"next_product/{table}" for table in ("candidates", "outcomes", "popular_types")}
"""And the other way round."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what the project says of itself when its company has other teams and asks about 56 days."""
    folder = tmp_path_factory.mktemp("other")
    project = folder / "baton"
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(*NOT_OF_THE_PROJECT, "tests", "docs"))
    file = project / "companies" / BUNDLED / "company.toml"
    owners = "".join(f'{role} = "{team}"\n' for role, team in TEAMS.items())
    text = file.read_text().replace("[question]\n", "[question]\nhorizon_days = 56\n")
    file.write_text(f"{text}\n[owners]\n{owners}")
    return told_by(project, ASKED, PYTHONPATH=str(project), BATON_HOME=str(folder / "home"))


def test_its_teams_own_the_graph_and_the_drills(told: dict[str, Any]) -> None:
    ours = ("training", "predictions", "monitoring", "campaigns", "published", "spend", "next_product")
    roles = {"raw": "raw", **dict.fromkeys(ours, "models")}
    for asset, owner in told["assets"].items():
        role = "models" if asset in PREDICTED else roles.get(asset.split("/")[0], "tables")
        role = "tables" if asset in SHAPED else role
        assert owner == [TEAMS[role]], asset
    assert set(told["checks"]) <= set(TEAMS.values())
    assert set(told["drills"]) <= {*TEAMS.values(), ""}


def test_its_question_is_what_is_answered_and_told(told: dict[str, Any]) -> None:
    assert told["question"] == [56, "lapsed_28d"]
    texts = " ".join(told["texts"])
    assert "in the next 56 days" in texts
    assert "28-day proxy" in texts
    assert "in the next 28 days" not in texts
