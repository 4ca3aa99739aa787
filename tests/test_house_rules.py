"""The rules of the house that a file can break: who may import whom, how long a file may be, what loading costs."""

import ast
import graphlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from support.checkouts import own_files

from resources.profiles import ROOT

MAY_IMPORT = {
    "ml_models": set(),
    "resources": {"ml_models"},
    "steps": {"ml_models", "resources"},
    "endpoint": {"ml_models", "resources", "steps"},
    "assets": {"ml_models", "resources", "steps", "endpoint"},
    "app": {"ml_models", "resources", "steps", "endpoint"},
    "drills": {"ml_models", "resources", "steps", "endpoint"},
    "sensors": {"ml_models", "resources", "steps", "app", "endpoint", "assets", "drills"},
    "definitions": {"ml_models", "resources", "steps", "app", "endpoint", "assets", "drills", "sensors"},
    "component": {"ml_models", "resources", "steps", "app", "endpoint", "assets", "drills", "sensors", "definitions"},
    "commands": {"ml_models", "resources", "steps", "app", "endpoint", "assets", "drills", "sensors", "definitions"},
    "tools": {
        *("ml_models", "resources", "steps", "app", "endpoint", "assets", "drills", "sensors", "definitions"),
        *("component", "commands"),
    },
}
"""Each room, from the lowest floor to the highest, and the rooms below it that it may use. Nothing uses tests."""

DOORS = (ROOT / "component.py", ROOT / "definitions.py")
"""The rooms that are one file: what Dagster loads, and what somebody's Dagster project loads."""

MONITORING = ("data_quality", "drift", "performance", "diagnosis", "decision", "report", "week")
"""The packages and modules of `ml_models.monitoring`, from the lowest to the highest. Its other modules are shared by
these, and stand below them."""

BASE = -1

NOT_IN_ROOM = {
    "ml_models": {"dagster", "dagster_dbt", "dagster_airbyte", "duckdb", "mlflow", "os"},
    "steps": {"duckdb", "mlflow", "os"},
    "assets": {"duckdb", "mlflow", "os"},
    "app": {"dagster", "duckdb", "mlflow", "os"},
    "endpoint": {"dagster", "duckdb", "mlflow", "os"},
    "drills": {"dagster", "duckdb", "mlflow", "os"},
    "sensors": {"pandas", "sklearn", "numpy"},
}
"""Libraries that a room leaves to another: engines and the environment to `resources`, arithmetic to `ml_models`."""

HEAVY = {"sklearn", "scipy", "mlflow", "pandera", "matplotlib", "skops", "duckdb"}

LONGEST = 520
"""Lines of a file. Beyond that a reader loses the thread, and a second subject has usually moved in."""

LONGER = {
    "ml_models/problems/lapse/features.py": "a table: what each of the features means, and what its values may be",
    "tests/contracts/airbyte_server/server.py": "an answer beside the other for each path of Airbyte's API",
}
"""The files that may be longer, each with its reason."""


@cache
def files() -> dict[str, Path]:
    """Return every file of the rooms by its module's name; a package is called after its folder."""
    found = [*DOORS]
    for room in MAY_IMPORT:
        # Beside the files of `tools` stand environments of programs that are measured, which are none of ours.
        found += own_files(ROOT / room, "*.py")
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in found}


@cache
def imports(path: Path) -> list[tuple[int, str]]:
    """Return the line and the full name of everything that a file imports, inside of functions too.

    A relative name is completed; `from package import name` counts as `package.name`, be it a module or not.
    """
    package = path.relative_to(ROOT).parent.parts
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            origin = [*above, *([node.module] if node.module else [])]
            found += [(node.lineno, ".".join([*origin, alias.name])) for alias in node.names]
    return found


def module_of(name: str) -> str | None:
    """Return the module of ours that holds an imported name; none if it comes from elsewhere."""
    while name and name not in files():
        name = name.rpartition(".")[0]
    return name or None


def of_room(room: str) -> Iterator[tuple[str, str]]:
    """Yield each import of a room's files: where it stands, and the full name."""
    for module, path in files().items():
        if module.partition(".")[0] == room:
            for line, name in imports(path):
                yield f"{path.relative_to(ROOT)}:{line}", name


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_uses_only_rooms_below_it(room):
    others = set(MAY_IMPORT) - MAY_IMPORT[room] - {room}
    arrows_up = [f"{where} imports {name}" for where, name in of_room(room) if name.partition(".")[0] in others]
    assert arrows_up == []


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_no_room_uses_tests(room):
    tests = {"tests", "conftest", *(path.name for path in (ROOT / "tests").iterdir() if path.is_dir())} - set(
        MAY_IMPORT
    )
    assert [f"{where} imports {name}" for where, name in of_room(room) if name.partition(".")[0] in tests] == []


@pytest.mark.parametrize("room", NOT_IN_ROOM)
def test_a_room_leaves_to_others_what_is_theirs(room):
    foreign = NOT_IN_ROOM[room]
    assert [f"{where} imports {name}" for where, name in of_room(room) if name.partition(".")[0] in foreign] == []


def test_no_files_import_each_other_in_a_circle():
    """Circles through a function count, too: whoever reads one of the files has to read all of them."""
    graph = {
        module: {used for _, name in imports(path) if (used := module_of(name)) not in (None, module)}
        for module, path in files().items()
    }
    circle = []
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        circle = error.args[1]
    assert circle == [], f"each imports the one before it: {' <- '.join(circle)}"


def test_inside_monitoring_a_package_uses_only_packages_below_it():
    floor = {package: number for number, package in enumerate(MONITORING)}
    modules = {module: path for module, path in files().items() if module.startswith("ml_models.monitoring.")}
    arrows_up = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for module, path in modules.items()
        for line, name in imports(path)
        if name.startswith("ml_models.monitoring.")
        and floor.get(name.split(".")[2], BASE) > floor.get(module.split(".")[2], BASE)
    ]
    assert arrows_up == []


def test_no_file_is_too_long():
    python = [path for folder in (*MAY_IMPORT, "connectors", "tests") for path in own_files(ROOT / folder, "*.py")]
    ours = {
        path.relative_to(ROOT).as_posix(): path
        for path in python
        if not any(part.startswith(".venv") for part in path.parts)
    }
    lines = {name: len(path.read_text().splitlines()) for name, path in ours.items()}
    too_long = {name: count for name, count in lines.items() if count > LONGEST and name not in LONGER}
    assert too_long == {}
    assert [name for name in LONGER if lines.get(name, 0) <= LONGEST] == [], "no longer long, or gone: strike them"


def test_no_two_files_of_tests_have_one_name():
    """pytest imports them by their name alone, and collects only the first of two."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py") if ".venv" not in path.parts)
    assert [name for name, count in names.items() if count > 1] == []


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


BUNDLED_WORDS = (
    "household",
    "basket_id",
    "demographics",
    "transactions",
    "transaction_timestamp",
    "sales_value",
    "retail_disc",
    "coupon_disc",
    "fuel",
    "produce_share",
    "seafood",
    "drugstore",
    "2017",
    "complete_journey",
    "complete-journey",
    "grocer",
    "58 features",
)
"""What the bundled company alone has: its tables, columns, departments, year, and how many features come of them."""

MAY_NAME_THE_BUNDLED = {
    "resources/company/choice.py": "`BUNDLED`, the name of its folder",
    "resources/company/proposal/roles.py": "words by which a column of customers is known",
    "tools/lock.py": "locks the environments of all connectors that come with baton",
    "tools/sample.py": "is about the bundled data",
    "tools/bench/whole.py": "times the bundled connector beside a bare one",
    "tools/bench/sync.py": "times its sync beside an earlier commit's",
    "tools/bench/replicated.py": "multiplies the bundled rows",
}
"""The files that speak of it, each with its reason."""


def product_texts() -> dict[str, str]:
    """Return the texts of code, SQL, descriptions and fault files by path, in small letters."""
    rooms = [ROOT / room for room in (*MAY_IMPORT, "dbt_project") if (ROOT / room).is_dir()]
    found = [path for room in rooms for path in own_files(room, "*") if path.suffix in (".py", ".sql", ".yml", ".toml")]
    return {path.relative_to(ROOT).as_posix(): path.read_text().lower() for path in [*DOORS, *found]}


def test_outside_its_folder_nothing_names_what_only_the_bundled_company_has():
    """Code, comments and texts: another company reads them, too. What it calls a thing stands in its company.toml."""
    words = re.compile("|".join(rf"(?<![a-z]){re.escape(word)}" for word in BUNDLED_WORDS))
    naming = {name: sorted(set(words.findall(text))) for name, text in product_texts().items()}
    naming = {name: found for name, found in naming.items() if found}
    assert {name: found for name, found in naming.items() if name not in MAY_NAME_THE_BUNDLED} == {}
    assert set(MAY_NAME_THE_BUNDLED) - set(naming) == set(), "these no longer do: strike them"
