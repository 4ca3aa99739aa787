"""The rules of the house that an import can break."""

import ast
import json
import os
import subprocess
import sys

import pytest

from resources.profiles import ROOT

FORBIDDEN = {
    "ml_models": {
        "dagster",
        "dagster_dbt",
        "dagster_airbyte",
        "duckdb",
        "mlflow",
        "os",
        "resources",
        "assets",
        "sensors",
    },
    "resources": {"assets", "sensors", "commands", "definitions"},
    "steps": {"assets", "drills", "sensors", "commands", "definitions", "duckdb", "mlflow", "os"},
    "assets": {"sensors", "commands", "definitions", "duckdb", "mlflow", "os"},
    "drills": {"dagster", "assets", "sensors", "commands", "definitions", "duckdb", "mlflow", "os"},
    "sensors": {"commands", "definitions", "pandas", "sklearn", "numpy"},
}
HEAVY = {"sklearn", "scipy", "mlflow", "pandera", "matplotlib", "skops", "duckdb"}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_only_what_belongs_there(room):
    offences = []
    for file in sorted((ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            offences += [
                f"{file.relative_to(ROOT)}:{node.lineno} imports {name}"
                for name in names
                if name.split(".")[0] in FORBIDDEN[room]
            ]
    assert offences == []


def load_definitions(home):
    """Load the definitions in a process of their own; return the top-level packages that this loaded."""
    code = "import json, sys, definitions; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "BATON_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_definitions_load_without_heavy_packages(tmp_path):
    # The first load parses the dbt project, which needs DuckDB's adapter; later ones must not.
    assert (HEAVY - {"duckdb"}) & load_definitions(tmp_path) == set()
    assert HEAVY & load_definitions(tmp_path) == set()


def test_loading_definitions_makes_no_warehouse_and_no_registry(tmp_path):
    load_definitions(tmp_path)
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"dbt"}
