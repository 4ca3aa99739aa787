"""What the pages show to be typed is typed, on a home in which everything was run once: SQL, Python, and commands."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from docs.test_shown_commands import python_lines
from support.copies import copy_home
from support.shown import PAGES, Here, Served, fate, filled, is_name_only, shown, words_of

from resources.profiles import ROOT
from tools.postgres import free_port

SQL = [one for one in shown() if one.language == "sql" and isinstance(fate(one), Here)]
PYTHON = [one for one in shown() if one.language == "python" and isinstance(fate(one), Here)]


def first_line(one):
    return f"{one.page}: {one.text.strip().splitlines()[0]}"


@pytest.mark.parametrize("one", SQL, ids=first_line)
def test_sql_of_a_page_is_answered(baton, one):
    """A model of dbt names its sources by a macro; they have these names."""
    plain = re.sub(r"\{\{ source\('(\w+)', '(\w+)'\) \}\}", r"\1.\2", one.text)
    # Of the day that a page names, or of the days that this home has.
    assert baton.read(plain) or "2017" in plain


@pytest.mark.parametrize("one", PYTHON, ids=first_line)
def test_python_of_a_page_does_what_it_says(mine, tmp_path, one):
    """From the project's folder, where a page's `.baton` is this home."""
    (tmp_path / ".baton").symlink_to(mine.home)
    done = subprocess.run(
        [sys.executable, "-c", one.text],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "BATON_HOME": str(mine.home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


ORDER = ("run", "dagster", "summary", "check", "backup", "rebuild", "promote", "closed", "restore", "upgrade")
"""A backup before it is restored; nothing before `run`, which makes Dagster's instance."""


def rank(command):
    words = words_of(command)
    return ORDER.index(words[1] if words[0] == "make" else words[0].rpartition("/")[2])


def typed():
    """Yield each command that is run here, in an order in which a person could, and what takes the place of what."""
    found = {}
    for one in shown():
        what = fate(one)
        if one.language == "sh" and isinstance(what, Here) and not is_name_only(one.text):
            found.setdefault(filled(one.text, what.given, Path("{new}")), one.page)
    return sorted(found.items(), key=lambda pair: (rank(pair[0]), pair[0]))


class Place:
    """A home that a person types at, and a folder for what is new."""

    def __init__(self, home, new):
        self.home, self.new = home, new
        new.mkdir()
        [override] = [
            block for page in PAGES for block in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.M | re.S)
        ]
        (new / "override.yaml").write_text(override)

    def environment(self, restoring=False):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BATON_")}
        home = self.new / "restored" if restoring else self.home
        return {
            **kept,
            "BATON_HOME": str(home),
            "DAGSTER_HOME": str(home / "dagster"),
            "BATON_CONNECTIONS": str(self.home / "connections.json"),
        }

    def runs(self, command):
        """Return what each line of Python that a command comes to ended with."""
        words = words_of(command)
        lines = [["-m", "dagster", *words[1:]]] if words[0].endswith("/dagster") else python_lines(command)
        assert lines, command
        restoring = " restore " in command
        for line in lines:
            done = subprocess.run(
                [sys.executable, *line], cwd=ROOT, env=self.environment(restoring), capture_output=True, text=True
            )
            assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done


@pytest.fixture(scope="module")
def place(baton, tmp_path_factory):
    folder = tmp_path_factory.mktemp("typed")
    return Place(copy_home(baton.home, folder / "home"), folder / "new")


@pytest.mark.slow(minutes=6)
@pytest.mark.parametrize(("command", "page"), typed())
def test_a_command_of_a_page_does_its_work(place, command, page):
    if " restore " in command:
        # Where a home is, none is restored.
        subprocess.run(["rm", "-rf", str(place.new / "restored")], check=True)
    place.runs(command.replace("{new}", str(place.new)))


SERVED = sorted({words_of(one.text)[1] for one in shown() if isinstance(fate(one), Served)})


@pytest.mark.slow(minutes=1)
@pytest.mark.parametrize("target", SERVED)
def test_what_a_command_serves_can_be_opened(place, target):
    path = fate(next(one for one in shown() if one.text.startswith(f"make {target}"))).path
    port = free_port()
    [line] = python_lines(f"make {target} PORT={port}")
    with subprocess.Popen(
        [sys.executable, *line], cwd=ROOT, env=place.environment(), start_new_session=True, stdout=subprocess.PIPE
    ) as serving:
        try:
            address = f"http://127.0.0.1:{port}{path}"
            answer = None
            for _ in range(600):
                try:
                    answer = urllib.request.urlopen(address, timeout=30)
                    break
                except OSError:
                    assert serving.poll() is None, f"make {target} ended"
                    signal.sigtimedwait([], 0.2)
            assert answer is not None
            assert answer.status == 200
        finally:
            os.killpg(serving.pid, signal.SIGINT)
            try:
                serving.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(serving.pid, signal.SIGKILL)
