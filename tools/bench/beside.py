"""Two builds beside each other: a first run, one with nothing new, one of a week more, loading the definitions, memory.

The former commit is checked out into a temporary folder and runs in this clone's environments, so what differs is the
code alone. Both sides run in turns, each first run in an empty home, on the bundled company.
"""

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from resources.profiles import ROOT, stay_embedded
from tools.bench.whole import Cost, alternate, measure, row, show
from tools.bundled import bundled_only, recording_ends

RUN = [sys.executable, "-m", "commands.run"]

WEEKS_BEFORE = (2, 1)
"""How many weeks before the end of the recording the two Mondays of an increment are.

Between them lines of orders come, and what is sent whole stays the same: no campaign starts.
"""


def main() -> None:
    """Measure and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--commit", required=True, help="the commit to stand beside")
    arguments.add_argument("--runs", type=int, default=3, help="counted runs of each side")
    given = arguments.parse_args()
    stay_embedded()
    bundled_only("`make bench`")
    with tempfile.TemporaryDirectory(prefix="baton-bench-") as folder, checkout(given.commit, Path(folder)) as former:
        show("what", "here", given.commit[:12], "ratio", "goal")
        for line in table({"here": ROOT, "beside": former}, Path(folder), given.runs):
            show(*line)


@contextlib.contextmanager
def checkout(commit: str, folder: Path) -> Iterator[Path]:
    """Check a commit out into a folder, with links to this clone's environments; take the checkout away afterwards."""
    tree = folder / "former"
    git = ["git", "-C", str(ROOT), "worktree"]
    done = subprocess.run([*git, "add", "--detach", str(tree), commit], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(
            f"error: expected a commit of this repository to stand beside, and {commit!r} cannot be checked out: "
            f"{done.stderr.strip().splitlines()[-1]} `git log --oneline` names those that there are."
        )
    try:
        for environment in (ROOT / ".venv", *(ROOT / "connectors").glob("*/.venv")):
            link = tree / environment.relative_to(ROOT)
            if link.parent.is_dir():
                link.symlink_to(environment)
        yield tree
    finally:
        subprocess.run([*git, "remove", "--force", str(tree)], capture_output=True, check=False)


def table(trees: dict[str, Path], folder: Path, runs: int) -> Iterator[tuple[str, str, str, str, str]]:
    """Measure the two sides, `here` and `beside`, and yield the lines of the table."""
    mondays = [(recording_ends() - timedelta(weeks=weeks)).isoformat() for weeks in WEEKS_BEFORE]

    def ran(name: str, command: list[str], home: Path, **clock: str) -> Cost:
        return measure(command, root=trees[name], BATON_HOME=str(home), PYTHONPATH=str(trees[name]), **clock)

    def side(name: str, command: list[str], *, empty: bool = False) -> Callable[[], Cost]:
        def once() -> Cost:
            home = folder / name
            if empty:
                shutil.rmtree(home, ignore_errors=True)
            return ran(name, command, home)

        return once

    def a_week_more(name: str) -> Callable[[], Cost]:
        before = folder / f"{name}-before"

        def once() -> Cost:
            if not before.exists():
                ran(name, RUN, before, BATON_NOW=mondays[0])
            home = folder / f"{name}-week"
            shutil.rmtree(home, ignore_errors=True)
            shutil.copytree(before, home, symlinks=True)
            return ran(name, RUN, home, BATON_NOW=mondays[1])

        return once

    def both(command: list[str], runs: int, *, empty: bool = False) -> dict[str, list[Cost]]:
        return alternate(runs, **{name: side(name, command, empty=empty) for name in trees})

    first = both(RUN, runs, empty=True)
    yield row("first run in an empty home (CPU s)", first, "here", "beside", "cpu", "≤ 1")
    yield row("first run in an empty home (wall s)", first, "here", "beside", "wall", "")
    yield row("peak memory of a first run (MB)", first, "here", "beside", "peak_mb", "")
    again = both(RUN, runs)
    yield row("second run, nothing new (CPU s)", again, "here", "beside", "cpu", "≤ 1")
    week = alternate(runs, **{name: a_week_more(name) for name in trees})
    yield row("a week's increment, one new Monday (CPU s)", week, "here", "beside", "cpu", "≤ 1")
    loading = both([sys.executable, "-c", "import definitions"], max(runs, 5))
    yield row("load definitions.py (CPU s)", loading, "here", "beside", "cpu", "")


if __name__ == "__main__":
    main()
