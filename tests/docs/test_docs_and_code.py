"""The pages say what the code says: commands, paths, links and numbers."""

import re
import subprocess
from pathlib import Path

import pytest
from test_house_rules import MAY_IMPORT

from resources.profiles import ROOT

PAGES = sorted(
    page
    for folder in (ROOT, ROOT / "docs", *(one for one in (ROOT / "docs").rglob("*") if one.is_dir()))
    for page in folder.glob("*.md")
)
ROOMS = {
    *("app", "assets", "commands", "connectors", "dbt_project", "deploy", "docs", "drills", "findings"),
    *("ml_models", "resources", "sensors", "steps", "tests", "tools"),
}
MAKEFILE = (ROOT / "Makefile").read_text()
DOCUMENTED = dict(re.findall(r"^([a-z-]+):.*?## (.+)$", MAKEFILE, re.MULTILINE))
"""The targets that are for people, each with the line that `make help` shows."""


def name_of(page: Path) -> str:
    """Return a page's path in the project."""
    return page.relative_to(ROOT).as_posix()


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
FLOORS = re.compile(r"^\| (\d) \| `([\w.]+/?)`", re.MULTILINE)
"""A line of the table of floors: its number and its room."""

by_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def without_blocks(text: str) -> str:
    """Return a page without its blocks of code and diagrams."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def commands_of(text: str) -> set[str]:
    """Return the targets of the `make` commands of a text: those in backticks, and lines of blocks."""
    return set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", text, re.MULTILINE))


def slugs(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(page.read_text()), re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower().strip()).replace(" ", "-") for heading in plain}


def test_every_target_is_declared_and_those_for_people_are_shown():
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    [phony] = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert set(phony.split()) == targets
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert dict(re.findall(r"^  ([a-z-]+) +(.+)$", shown, re.MULTILINE)) == DOCUMENTED
    groups = re.findall(r"^\S.*$", shown, re.MULTILINE)
    assert groups == re.findall(r"^##@ (.+)$", MAKEFILE, re.MULTILINE)


def test_the_table_of_commands_is_what_make_offers():
    section = (ROOT / "README.md").read_text().partition("\n## Commands\n")[2].partition("\n## ")[0]
    table = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    assert commands_of(table) == set(DOCUMENTED)


@by_page
def test_a_page_names_only_targets_that_are_there(page):
    assert commands_of(page.read_text()) <= set(DOCUMENTED)


@by_page
def test_a_target_is_given_only_variables_that_it_reads(page):
    for target, given in re.findall(r"make ([a-z][a-z-]*)((?: [A-Z_]+=\S+)+)", page.read_text()):
        recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE)
        assert recipe, target
        assert set(re.findall(r" ([A-Z_]+)=", given)) <= set(re.findall(r"\$\(([A-Z_]+)\)", recipe[1])), target


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name_of)
def test_files_that_a_page_names_are_there(page):
    """Names in backticks that begin with a room; `*` and `<name>` stand for anything, people make `.env` themselves.

    A changelog may name what is gone.
    """
    missing = []
    for name in re.findall(r"`([\w.]+/[\w./<>*-]*)`", without_blocks(page.read_text())):
        pattern = re.sub(r"<[^>]*>", "*", name.rstrip("/"))
        if name.partition("/")[0] in ROOMS and "/.env" not in name and not any(ROOT.glob(pattern)):
            missing.append(name)
    assert missing == []


@by_page
def test_modules_that_a_page_runs_are_there(page):
    named = set(re.findall(r"python -m ([a-z_]+(?:\.[a-z_]+)+)", page.read_text()))
    ours = {name.replace(".", "/") for name in named if name.partition(".")[0] in ROOMS}
    assert [name for name in ours if not (ROOT / f"{name}.py").is_file() and not (ROOT / name).is_dir()] == []


@by_page
def test_links_lead_somewhere(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page.read_text())):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (anchor and anchor not in slugs(file)):
            broken.append(target)
    assert broken == []


DESCRIBED_IN = ("assets", "commands", "dbt_project", "ml_models/problems", "resources", "sensors", "steps")


def test_no_description_names_the_number_of_features():
    """It would be wrong with the next feature. A measured figure may name how many there were; none stands in these."""
    told = [
        f"{file.relative_to(ROOT)} says {number} features"
        for room in DESCRIBED_IN
        for file in sorted((ROOT / room).rglob("*"))
        if file.suffix in {".py", ".sql", ".yml"} and "target" not in file.parts
        for number in re.findall(r"\b(\d{2,})\s+features\b", file.read_text())
    ]
    assert told == []


def test_the_floors_of_the_architecture_page_are_those_of_the_rules():
    """A room may import every room of a lower floor, and none of its own."""
    floors = {room.rstrip("/").removesuffix(".py"): int(floor) for floor, room in FLOORS.findall(ARCHITECTURE)}
    assert set(floors) == set(MAY_IMPORT)
    assert {room: {one for one in floors if floors[one] < floors[room]} for room in floors} == MAY_IMPORT


@pytest.mark.parametrize(
    "room", ["ml_models/", "ml_models/training/", "resources/", "steps/", "assets/company/", "assets/problem/", "app/"]
)
def test_every_module_of_a_room_is_named_where_the_page_looks_inside(room):
    lines = [line for line in ARCHITECTURE.splitlines() if re.match(rf"\| `{room}`(?: itself|,[^|]*)? \|", line)]
    named = set(re.findall(r"`(\w+)`", "\n".join(lines)))
    there = {file.stem for file in (ROOT / room).glob("*.py")} - {"__init__"}
    assert there - named == set(), "name them in docs/architecture.md"
