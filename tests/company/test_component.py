"""baton in somebody's Dagster project: one component, whose attributes are a company's file."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from resources.profiles import ROOT

EXAMPLES = ROOT / "examples"
DEFS = Path("shop", "defs", "shop", "defs.yaml")
WRONG = "  question:\n    horizon_days: four weeks\n    horizon: 28\n"

LOADED = """
import minimal
from resources.profiles import home
print("raw/orders" in {key.to_user_string() for key in minimal.defs.resolve_asset_graph().get_all_asset_keys()})
print(home().name)
"""

SECOND = """
from pathlib import Path
from resources.company import company
from resources.company.choice import use
lines = {"table": "orders", "customer": "c", "time": "t", "amount": "a"}
company()
use("second", {"title": "Second", "order_lines": lines}, Path("."))
"""


def ran(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the environment in a project as its owner would."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BATON_", "DAGSTER_HOME"))}
    environment |= {"PYTHONPATH": f"{ROOT}:{project}", "COLUMNS": "400"}
    program = str(Path(sys.executable).with_name(command[0]))
    return subprocess.run(
        [program, *command[1:]], cwd=project, env=environment, capture_output=True, text=True, timeout=500, check=False
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the example's project."""
    return Path(shutil.copytree(EXAMPLES / "component", tmp_path / "project"))


def test_the_component_loads_and_lists_the_companys_graph(project: Path) -> None:
    checked = ran(project, "dg", "check", "defs")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    listed = ran(project, "dg", "list", "defs", "--json")
    assert listed.returncode == 0, listed.stderr
    for key in ("raw/orders", "features/customer_features", "training/champion", "predictions/lapse_predictions"):
        assert f'"{key}"' in listed.stdout, key
    assert {path.name for path in project.glob(".baton*")} == {".baton-shop"}


def test_the_component_brings_the_shops_orders_into_canonical_lines(project: Path) -> None:
    launched = ran(project, "dg", "launch", "--assets", "raw/orders,staging/stg_order_lines")
    assert launched.returncode == 0, launched.stdout[-2000:] + launched.stderr[-2000:]
    rows = len((project / "data" / "orders.csv").read_text().splitlines()) - 1
    with duckdb.connect(str(project / ".baton-shop" / "warehouse.duckdb"), read_only=True) as connection:
        found = connection.execute(
            "select count(*), count(distinct order_id), min(ordered_on)::text, sum(amount_cents) > 0, count(product_id)"
            " from staging.stg_order_lines"
        ).fetchone()
    assert found == (rows, rows, "2023-07-03", True, 0)


def test_sentences_about_the_company_name_the_components_folder(project: Path) -> None:
    orders = project / "data" / "orders.csv"
    head, *rows = orders.read_text().splitlines()
    # Text in every other amount.
    orders.write_text("\n".join([head, *(f"{row}{' net' * (at % 2)}" for at, row in enumerate(rows))]) + "\n")
    launched = ran(project, "dg", "launch", "--assets", "raw/orders")
    assert f"{Path(DEFS).parent}: `total` of raw.orders holds text that is no " in launched.stdout + launched.stderr


def test_a_word_for_a_number_and_an_unknown_field_are_refused_as_in_a_companys_file(project: Path) -> None:
    file = project / DEFS
    file.write_text(file.read_text() + WRONG)
    shown = ran(project, "dg", "check", "yaml")
    assert shown.returncode != 0
    assert "attributes.question.horizon_days 'four weeks' is not of type 'integer'" in shown.stdout + shown.stderr
    checked = ran(project, "dg", "check", "defs", "--no-check-yaml")
    assert checked.returncode != 0
    said = " ".join((checked.stdout + checked.stderr).split())
    assert f"{DEFS}: `question.horizon_days`: Input should be a valid integer" in said
    assert f"{DEFS}: there is no field `question.horizon`; did you mean 'horizon_days'?" in said


def test_the_minimal_example_is_the_graph_of_its_table(tmp_path: Path) -> None:
    examples = shutil.copytree(EXAMPLES, tmp_path / "examples")
    loaded = ran(examples, "python", "-c", LOADED)
    assert loaded.returncode == 0, loaded.stderr[-2000:]
    assert loaded.stdout.split()[-2:] == ["True", ".baton-minimal"]


def test_a_second_company_in_one_process_is_refused(tmp_path: Path) -> None:
    refused = ran(tmp_path, "python", "-c", SECOND)
    assert refused.returncode != 0
    assert "Expected one company in a process; it works for " in refused.stderr
    assert "'second' was given. Give a company before definitions are loaded" in refused.stderr
