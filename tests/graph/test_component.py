"""baton in somebody's Dagster project: one component, whose attributes are a company's file."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from resources.profiles import ROOT

EXAMPLE = ROOT / "examples" / "component"
DEFS = Path("shop", "defs", "predictions", "defs.yaml")


def dg_in(project: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `dg` in a project as its owner would."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BATON_")}
    environment |= {"BATON_HOME": str(home), "PYTHONPATH": f"{ROOT}:{project}"}
    command = [str(Path(sys.executable).with_name("dg")), *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the example's project."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "project"))


def test_the_component_loads_and_lists_the_companys_graph(project: Path, tmp_path: Path) -> None:
    checked = dg_in(project, tmp_path / "home", "check", "defs")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    listed = dg_in(project, tmp_path / "home", "list", "defs", "--json")
    assert listed.returncode == 0, listed.stderr
    for key in ("raw/orders", "features/customer_features", "training/champion", "predictions/lapse_predictions"):
        assert f'"{key}"' in listed.stdout, key


def test_a_word_for_a_number_is_refused_with_the_field(project: Path, tmp_path: Path) -> None:
    file = project / DEFS
    file.write_text(file.read_text() + "    question:\n      horizon_days: four weeks\n")
    checked = dg_in(project, tmp_path / "home", "check", "defs")
    assert checked.returncode != 0
    assert "company shop: `question.horizon_days`" in "".join(checked.stdout.split("\n")) + checked.stderr
