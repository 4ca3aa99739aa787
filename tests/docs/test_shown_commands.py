"""Whatever a page shows to be typed is known to work: it is run, or it stands in a table with the reason why not."""

import contextlib
import importlib
import io
import re
import shlex
import subprocess
import sys
import tomllib

import pytest
from support.shown import OTHERS, PAGES, SQL_ELSEWHERE, TARGETS, Elsewhere, Here, Not, fate, shown, target_of, words_of

from resources.profiles import ROOT

COMMANDS = [one for one in shown() if one.language == "sh"]
TOML = [one for one in shown() if one.language == "toml"]


def test_every_page_was_read():
    """The tables would be true of nothing, too."""
    assert len(PAGES) > 30
    assert {"sh", "sql", "python", "toml"} == {one.language for one in shown()}
    assert len(COMMANDS) > 100


@pytest.mark.parametrize("one", COMMANDS, ids=str)
def test_a_command_is_run_or_there_is_a_reason(one):
    assert fate(one), f"{one.page} shows {one.text!r}: put it into a table of tests/support/shown.py"


def test_no_table_has_what_no_page_shows():
    texts = [one.text for one in COMMANDS]
    assert {target for target in TARGETS if not any(target_of(text) == target for text in texts)} == set()
    unused = [pattern for pattern, _ in OTHERS if not any(re.fullmatch(pattern, text, re.DOTALL) for text in texts)]
    sql = [one.text.strip() for one in shown() if one.language == "sql"]
    unused += [pattern for pattern, _ in SQL_ELSEWHERE if not any(re.fullmatch(pattern, text) for text in sql)]
    assert unused == []


FATES = [*TARGETS.values(), *(what for _, what in (*OTHERS, *SQL_ELSEWHERE))]


@pytest.mark.parametrize("elsewhere", sorted({what for what in FATES if isinstance(what, Elsewhere)}), ids=str)
def test_what_is_run_elsewhere_is_named_there(elsewhere):
    assert elsewhere.holds in (ROOT / elsewhere.file).read_text()


def test_a_reason_is_a_reason():
    assert [what for what in FATES if isinstance(what, Not) and len(what.reason.split()) < 5] == []
    assert any(isinstance(what, Here) for what in FATES)


def python_lines(command):
    """Return the arguments of Python that a command comes to: itself, or the lines of the recipe that `make` shows."""
    words = words_of(command)
    if words[0] != "make":
        return [words[1:]] if words[0].endswith("python") else []
    # Placeholders of a page are no redirections.
    said = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    lines = [words_of(line) for line in said.splitlines() if " -m " in line and ".venv/bin/pytest" not in line]
    return [line[1:] for line in lines if line and line[0].endswith("python")]


TAKEN = [
    one
    for one in COMMANDS
    # What these run is no module of ours.
    if target_of(one.text) not in ("test", "test-slow", "lint", "setup", "help", "setup-tests")
]


@pytest.mark.parametrize("one", TAKEN, ids=str)
def test_what_a_command_is_given_is_what_it_takes(one):
    """Each module reads its arguments up to `--help`, and says all that it takes."""
    for arguments in python_lines(one.text):
        if arguments[0] != "-m":
            continue
        _, name, *given = arguments
        file = ROOT / f"{name.replace('.', '/')}.py"
        file = file if file.is_file() else file.with_suffix("") / "__main__.py"
        options = {word.partition("=")[0] for word in given if word.startswith("--")}
        if not re.search(r"ArgumentParser\(|asked_port\(", file.read_text()):
            assert given == [], f"{name} takes nothing"
            continue
        module = importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
        said, before = io.StringIO(), sys.argv
        sys.argv = [name, *given, "--help"]
        try:
            with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as ended:
                module.main()
        finally:
            sys.argv = before
        assert ended.value.code in (0, None)
        taken = set(re.findall(r"--[a-z][a-z-]*", said.getvalue()))
        assert options <= taken, f"{name} takes {sorted(taken)}"


@pytest.mark.parametrize("one", [one for one in COMMANDS if "pytest " in one.text], ids=str)
def test_tests_that_a_page_names_are_there(one):
    assert all((ROOT / word).exists() for word in shlex.split(one.text)[1:])


@pytest.mark.parametrize("one", TOML, ids=lambda one: f"{one.page}: {one.text.splitlines()[0]}")
def test_settings_that_a_page_shows_can_be_read(one):
    assert tomllib.loads(one.text)
