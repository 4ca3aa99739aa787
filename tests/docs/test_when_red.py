"""Whatever can turn red, or be told, has its place on the page "when it is red"."""

import fnmatch
import json
import re
from typing import get_args

import pytest
from docs.test_docs_and_code import slugs

from ml_models.monitoring.types import Action
from resources.alerts import Alert
from resources.alerts.message import PAGE, PLACES
from resources.profiles import ROOT

TEXT = (ROOT / PAGE).read_text()
CHECKS = sorted(
    {key.rpartition(": ")[2] for key in json.loads((ROOT / "tests/graph/snapshot.json").read_text())["checks"]}
)
CELLS = re.findall(r"^\| (`[^|]*) \|", TEXT.partition("\n## A check\n")[2], re.MULTILINE)
NAMED = [name for cell in CELLS for name in re.findall(r"`([\w*]+)`", cell)]


def test_every_kind_of_alert_has_its_place():
    """The kind is what the id begins with, wherever one is made."""
    files = [*(ROOT / "sensors").glob("*.py"), *(ROOT / "resources" / "alerts").glob("*.py")]
    kinds = {kind for file in files for kind in re.findall(r'\bid=f"(\w+):', file.read_text())}
    assert kinds == set(PLACES)
    assert set(PLACES.values()) <= slugs(ROOT / PAGE)


@pytest.mark.parametrize("kind", PLACES)
def test_an_alert_ends_with_its_place(kind):
    alert = Alert(id=f"{kind}:1", state="began", owner="team:data", title="t", body="b")
    assert alert.lines()[-1] == f"Read: {PAGE}#{PLACES[kind]}"
    assert Alert.of(alert.fields()) == alert, "it waits in a cursor, and comes back as it was"


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_has_its_line(check):
    assert sum(fnmatch.fnmatchcase(check, name) for name in NAMED) == 1, f"give {check} a line on {PAGE}"


def test_no_line_is_of_a_check_that_is_gone():
    assert [name for name in NAMED if not fnmatch.filter(CHECKS, name)] == []


def test_every_decision_has_its_line():
    section = TEXT.partition("\n## A decision\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| \*\*(\w+)\*\* \|", section, re.MULTILINE)) == set(get_args(Action))


def test_who_reads_first_finds_the_page():
    assert "docs/when_red.md" in (ROOT / "README.md").read_text()
    assert "(when_red.md)" in (ROOT / "docs" / "index.md").read_text()
