"""The question's days stand once: no module of the product holds a horizon, a look-back or an early day of its own."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.checkouts import own_files

from resources.profiles import ROOT

ROOMS = ("app", "assets", "commands", "drills", "ml_models", "resources", "sensors", "steps", "tools")
DAYS = {14, 28, 56, 84}
WORDS = re.compile(
    r"\b(14|28|56|84|fourteen)(-day| days)\b|_(14|28|56|84)d\b|\b(two|four|eight|twelve) (whole )?weeks\b"
)

OWN = {
    "ml_models/problems/question.py": "the place: what is asked where a company says nothing else",
    "ml_models/problems/lapse/features.py": "a table: the features of the bundled question",
    "resources/company/model.py": "which look-backs can be divided, and an example",
    "ml_models/monitoring/settings.py": "two Mondays of patience, two of silence: how often is judged",
    "ml_models/monitoring/data_quality/thresholds.py": "rows of a table that are counted again",
    "drills/run.py": "weeks that a drill must leave, whatever is asked",
    "ml_models/readiness/rhythm.py": "the horizons of the curve",
    "resources/company/proposal/propose.py": "the shortest question that may be proposed, in a sentence",
    "resources/company/proposal/toml.py": "how old the newest row of a recording is at least",
    "resources/company/proposal/rhythm.py": "the horizons that may be proposed",
    "tools/ta_feng.py": "the half-life of published figures' protocol, on another company's data",
    "tools/bench/scale.py": "the profile's newest two weeks",
}
"""Files with such a number of their own, and what it is."""


def found_in(file: Path) -> Iterator[str]:
    """Yield the days of a file's code: numbers, and words in texts that people read. Docstrings may give examples."""
    tree = ast.parse(file.read_text())
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    # A day of the month, the size of a mark and the width of a column are no days.
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("date", "datetime"):
            alone |= {id(argument) for argument in node.args}
        if isinstance(node, ast.keyword) and node.arg == "s":
            alone.add(id(node.value))
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "WIDTHS":
            alone |= {id(one) for one in ast.walk(node.value)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in alone:
            continue
        if (type(node.value) is int and node.value in DAYS) or (
            isinstance(node.value, str) and WORDS.search(node.value)
        ):
            yield f"line {node.lineno}: {node.value!r}"


@pytest.mark.parametrize("room", ROOMS)
def test_no_module_holds_days_of_the_question(room: str) -> None:
    files = {str(file.relative_to(ROOT)): list(found_in(file)) for file in own_files(ROOT / room, "*.py")}
    held = {name: days for name, days in files.items() if days and name not in OWN}
    assert not held, "ask the question (steps/problem.py), or say in OWN what else the number is"
