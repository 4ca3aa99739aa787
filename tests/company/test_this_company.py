"""The company of an adopter's clone: its file gives a graph, owners and drills, whatever it has and lacks.

Where the bundled company is chosen every other test looks at it, so these do not run.
"""

from pathlib import Path
from typing import Any

import pytest
from support.adopters import company_of_the_clone
from support.told import told_by

from resources.company import load
from resources.company.choice import BUNDLED, folder_of
from resources.profiles import ROOT

pytestmark = pytest.mark.skipif(
    company_of_the_clone() == BUNDLED, reason="the bundled company is chosen, and all other tests look at it"
)

ASKED = """
import json
from definitions import build_definitions
from drills.faults import known, lacking
from steps.problem import problem
graph = build_definitions().resolve_asset_graph()
print(json.dumps({
    "assets": {key.to_user_string(): list(graph.get(key).owners) for key in graph.get_all_asset_keys()},
    "drills": [*known()], "lacking": lacking(), "features": [*problem().features],
}))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what the project says of itself for the company of this clone."""
    home: Path = tmp_path_factory.mktemp("this") / "home"
    return told_by(ROOT, ASKED, BATON_COMPANY=company_of_the_clone(), BATON_HOME=str(home))


def test_its_tables_are_raw_assets_of_the_team_that_loads(told: dict[str, Any]) -> None:
    company = load(folder_of(company_of_the_clone()))
    for name in {*company.tables, company.order_lines.table}:
        assert told["assets"][f"raw/{name}"] == [company.owners.raw]
    assert "predictions/lapse_predictions" in told["assets"]


def test_every_fault_is_offered_or_left_out_for_a_reason(told: dict[str, Any]) -> None:
    assert {"amounts_times_100", "rows_not_loaded", "ids_rekeyed"} <= {*told["drills"]}
    assert all(why.startswith("it needs ") for why in told["lacking"].values())
    assert not {*told["drills"]} & {*told["lacking"]}


def test_it_has_features(told: dict[str, Any]) -> None:
    assert len(told["features"]) > 10
