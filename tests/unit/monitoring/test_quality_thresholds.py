"""Every number that decides what counts as wrong stands in one module, with its meaning and unit."""

import ast
from pathlib import Path

import pytest

from ml_models.monitoring.data_quality import thresholds

MODULES = sorted(Path(thresholds.__file__).parent.glob("*.py"))


def constants(statements: list[ast.stmt]) -> list[tuple[str, ast.expr | None, str]]:
    """Return (name, value, the text that stands below it or "") of module-level constants."""
    found = []
    for statement, below in zip(statements, [*statements[1:], None], strict=True):
        targets = (
            statement.targets
            if isinstance(statement, ast.Assign)
            else [statement.target]
            if isinstance(statement, ast.AnnAssign)
            else []
        )
        text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else ""
        found += [(ast.unparse(target), statement.value, text) for target in targets]
    return found


def test_every_threshold_says_what_it_means():
    found = constants(ast.parse(Path(thresholds.__file__).read_text(encoding="utf-8")).body)
    assert len(found) > 40
    assert [name for name, _, text in found if len(text) < 20] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_no_other_module_has_a_number_of_its_own(module):
    found = constants(ast.parse(module.read_text(encoding="utf-8")).body)
    numbers = [
        name for name, value, _ in found if isinstance(value, ast.Constant) and isinstance(value.value, int | float)
    ]
    assert module.stem == "thresholds" or numbers == []
