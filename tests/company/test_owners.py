"""The company's teams in the prepared dbt project."""

from pathlib import Path

from support.bundled import COMPANY

from resources.company.choice import BUNDLED, folder_of
from resources.company.dbt_project import prepare
from resources.company.model import Owners

TEAMS = {"raw": "team:loading", "tables": "team:ml-engineering", "models": "lapse@shop.example"}
"""One of them is the default name of another role, so that what is exchanged twice is seen."""

DEFAULTS = ("team:data-engineering", "team:analytics-engineering")


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
