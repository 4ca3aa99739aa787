"""Which tests run on an adopter's clone, where another company than the bundled one is chosen.

Three kinds of tests. Those of the *engine* need a company as an example and take the bundled one, whose folder an
adopter's clone usually still has. Those *about the bundled company* look at its data or figures: they say nothing of an
adopter's work, take most of the time, and run only where it is the company. `tests/company/test_this_company.py` looks
at the company that is chosen, whichever it is. Without the bundled folder only what needs no example is left.

The line is drawn by what a test stands on, not test by test: a fixture that loads the bundled data, or a file that
reads them itself.
"""

import ast
import os
from functools import cache
from pathlib import Path

import pytest

from resources.company.choice import BUNDLED, chosen, folder_of

TESTS = Path(__file__).resolve().parents[1]
CHOSEN = "BATON_TESTS_COMPANY"
"""Names the company that is chosen outside of the tests, for their worker processes too."""

DATA = {"small_source", "make_year", "workshop"}
"""Fixtures that hold the bundled data; whatever stands on them is about the bundled company."""

ABOUT_IT = (
    "commands/test_replay.py",
    "contracts/airbyte/test_airbyte_connector.py",
    "contracts/bigquery/test_bigquery_dbt.py",
    "contracts/bigquery/test_bigquery_functions.py",
    "contracts/bigquery/test_bigquery_graph.py",
    "contracts/dbt/",
    "deploy/test_afternoon.py",
    "deploy/test_processes.py",
    "drills/test_scenario.py",
    "drills/test_short_drill.py",
    "graph/",
    "resources/test_sandbox.py",
    "sensors/test_daemon.py",
    "tools/test_scale.py",
)
"""Files and folders that read the bundled data themselves."""

NEED_AN_EXAMPLE = (
    *(
        f"{folder}/"
        for folder in ("commands", "contracts", "deploy", "docs", "drills", "graph", "resources", "sensors", "tools")
    ),
    "company/test_company_fields.py",
    "company/test_company_file.py",
    "company/test_other_company.py",
    "unit/test_shop_time.py",
)
"""Folders and files whose tests load the graph, or ask for the company; of others their imports tell."""


def prepare() -> None:
    """Note which company is chosen, and let the tests take the bundled one as their example where it is there."""
    os.environ.setdefault(CHOSEN, chosen())
    if there() and company_of_the_clone() != BUNDLED:
        os.environ["BATON_COMPANY"] = BUNDLED


def company_of_the_clone() -> str:
    """Return the company that is chosen outside of the tests."""
    return os.environ[CHOSEN]


def there() -> bool:
    """Tell whether the bundled company's folder is there."""
    return (folder_of(BUNDLED) / "company.toml").exists()


def left_out() -> str:
    """Return the sentence about what does not run; "" where everything does."""
    if company_of_the_clone() == BUNDLED:
        return ""
    if there():
        return (
            f"tests: engine, contract and the company {company_of_the_clone()}; those about {BUNDLED}, the company "
            f"that comes with baton, are left out (BATON_COMPANY={BUNDLED} runs them)"
        )
    return f"tests: what needs no example, and the company {company_of_the_clone()}; companies/{BUNDLED} is not there"


def is_about_the_bundled(item: pytest.Item) -> bool:
    """Tell whether a test looks at the bundled company's data."""
    fixtures = set(getattr(item, "fixturenames", ()))
    return bool(fixtures & DATA) or _path(item.path).startswith(ABOUT_IT)


def cannot_be_collected(path: Path) -> bool:
    """Tell whether a file or folder needs the bundled company's folder, which is not there."""
    if there() or not path.is_relative_to(TESTS):
        return False
    return _path(path).startswith(NEED_AN_EXAMPLE) or (path.suffix == ".py" and _stands_on_it(path))


def _path(path: Path) -> str:
    name = path.relative_to(TESTS).as_posix()
    return f"{name}/" if path.is_dir() else name


@cache
def _stands_on_it(file: Path) -> bool:
    """Tell whether a file imports the bundled company, or another of our test files that does."""
    for node in ast.walk(ast.parse(file.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            other = TESTS / f"{name.replace('.', '/')}.py"
            if name in ("support.bundled", "tools.sample") or (other.is_file() and _stands_on_it(other)):
                return True
    return False
