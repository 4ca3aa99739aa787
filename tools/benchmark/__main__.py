"""The drill as a benchmark: write faulted weeks, truth and scorer into a folder, let entries answer, print the table.

The worlds are made once, by the drills themselves, and every entry reads the same. What is written whole is not made
again, so the command goes on where it was stopped. Exit code 1: a drill broke off.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from commands.alone import DRILLS, alone
from commands.drill import NATURAL
from commands.sentences import sentences
from commands.session import quiet
from drills.faults import known, lacking
from resources.folders import make_private
from resources.profiles import home, stay_embedded
from resources.sandbox import SandboxError
from tools import bootstrap
from tools.benchmark.folder_of_worlds import OURS, make_worlds
from tools.bootstrap import Environment

HERE = Path(__file__).resolve().parent


def _fill(environment: Environment) -> None:
    bootstrap.install(environment, [f"{environment.folder}/requirements.lock"])


EVIDENTLY = Environment(str(HERE / "evidently"), "evidently", "Evidently's drift report", ["requirements.lock"], _fill)


@dataclass(frozen=True)
class Entry:
    """What answers from the folder alone: a file of it and an argument, run by a Python; "": why there is none."""

    file: str
    argument: str = ""
    python: Callable[[], str] = lambda: sys.executable


class MissingError(RuntimeError):
    """An entry cannot answer on this machine; the message is its row of the table."""


def evidently() -> str:
    """Return the interpreter that has Evidently, installed where it is not there yet.

    Raises:
        MissingError: it cannot be installed.
    """
    try:
        bootstrap.bring_up_to_date([EVIDENTLY])
    except SystemExit as error:
        raise MissingError(f"not measured: Evidently could not be installed here ({error})") from error
    return EVIDENTLY.python


ENTRIES: Mapping[str, Entry | None] = {
    OURS: None,
    "any_psi": Entry("entries.py", "any_psi"),
    "evidently_default": Entry("evidently_default.py", python=evidently),
    "every_4_weeks": Entry("entries.py", "every_4_weeks"),
    "never": Entry("entries.py", "never"),
}


def main() -> None:
    """Make what is missing, and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--to", default="", help="the folder (default: `benchmark` under BATON_HOME)")
    arguments.add_argument("--faults", default="", help="names of faults and changes, by comma (default: all)")
    arguments.add_argument("--entries", default=",".join(ENTRIES), help="by comma (default: all)")
    given = arguments.parse_args()
    stay_embedded()
    began = time.monotonic()
    with sentences():
        try:
            names = chosen(given.faults)
            entries = _listed(given.entries, ENTRIES, "entry")
            folder = Path(given.to) if given.to else home() / "benchmark"
            quiet()
            with alone(make_private(home()), lock=DRILLS):
                broken = make_worlds(folder, names, ENTRIES)
        except (ValueError, SandboxError) as error:
            sys.exit(f"error: {error}")
    notes = answered(folder, entries)
    print(f"\n{scored(folder)}")
    for entry, note in notes.items():
        print(f"{entry}: {note}")
    print(f"\n{folder}: {told_size(folder)}; README.md says how to enter. {time.monotonic() - began:.0f} s")
    if broken:
        sys.exit(f"broke off; what they said is above: {', '.join(broken)}")


def chosen(text: str) -> list[str]:
    """Return the names of what is to be written; by default all, with the natural year.

    Raises:
        ValueError: there is no such fault, or the company cannot have it.
    """
    faults, absent = known(), lacking()
    everything = [*(name for name, fault in faults.items() if fault.perturbations), NATURAL]
    for name in text.split(","):
        if name in absent:
            raise ValueError(f"{name} cannot be drilled: {absent[name]}. There are {', '.join(everything)}.")
    return _listed(text, [*faults, NATURAL], "fault") if text else everything


def _listed(text: str, there: "Sequence[str] | Mapping[str, object]", what: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    strange = [name for name in names if name not in there]
    if strange or not names:
        raise ValueError(f"there is no {what} {(strange or [text])[0]!r}. There are {', '.join(there)}.")
    return names


# --- entries ---------------------------------------------------------------------------------------------------------


def answered(folder: Path, entries: Sequence[str]) -> dict[str, str]:
    """Let entries answer what they did not answer yet; return a sentence for each that could not."""
    notes = {}
    for name in entries:
        entry = ENTRIES[name]
        if entry is None:
            continue
        try:
            _run(folder, [entry.python(), entry.file, *([entry.argument] if entry.argument else [])])
        except MissingError as error:
            notes[name] = str(error)
    return notes


def _run(folder: Path, command: Sequence[str]) -> str:
    """Run a file of the folder as anybody else would: with nothing of ours to import.

    Raises:
        MissingError: it broke off; its last line says why.
    """
    # Nothing is taken from this checkout, and nothing is left in the folder.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise MissingError(f"not measured: it broke off with exit code {done.returncode}: {last}")
    return done.stdout


def scored(folder: Path) -> str:
    """Return the table, by the scorer as it lies in the folder."""
    return _run(folder, [sys.executable, "score.py"]).rstrip()


def told_size(folder: Path) -> str:
    """Return how large the folder is."""
    total = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return f"{total / 1e6:.0f} MB"


if __name__ == "__main__":
    main()
