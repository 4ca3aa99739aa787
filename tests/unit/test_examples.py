"""The examples in docstrings run and give what they say, and the functions that people call have one."""

import contextlib
import doctest
import importlib
import io
from types import FunctionType

import pytest

from ml_models import scoring_sql
from ml_models.training import splits
from resources.profiles import ROOT

WITH_EXAMPLES = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for file in sorted((ROOT / "ml_models").rglob("*.py"))
    if ">>> " in file.read_text()
]

CALLED = [getattr(scoring_sql, name) for name in scoring_sql.__all__]
CALLED += [
    one
    for name, one in vars(splits).items()
    if not name.startswith("_") and getattr(one, "__module__", "") == splits.__name__
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_module_hold(name):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried > 0
    assert failed == 0, said.getvalue()


@pytest.mark.parametrize(
    "function", [one for one in CALLED if isinstance(one, FunctionType)], ids=lambda one: one.__name__
)
def test_what_people_call_has_an_example(function):
    assert ">>> " in (function.__doc__ or "")
