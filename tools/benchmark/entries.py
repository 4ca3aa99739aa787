"""Who answers: files of the folder, run as anybody else would run them, each by a Python that has what it needs."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import bootstrap
from tools.benchmark.folder_of_worlds import OURS
from tools.bootstrap import Environment
from tools.lock import EVIDENTLY as ITS_FOLDER


def _fill(environment: Environment) -> None:
    bootstrap.install(environment, [f"{environment.folder}/requirements.lock"])


EVIDENTLY = Environment(str(ITS_FOLDER), "evidently", "Evidently's drift report", ["requirements.lock"], _fill)


@dataclass(frozen=True)
class Entry:
    """What answers from the folder alone: a file of it and an argument, run by a Python; "": why there is none."""

    file: str
    argument: str = ""
    python: Callable[[], str] = lambda: sys.executable


class EntryError(RuntimeError):
    """A file of the folder cannot do its part on this machine; the message says why."""


def evidently() -> str:
    """Return the interpreter that has Evidently, installed where it is not there yet.

    Raises:
        EntryError: it cannot be installed.
    """
    try:
        bootstrap.bring_up_to_date([EVIDENTLY])
    except SystemExit as error:
        raise EntryError(f"Evidently could not be installed here. {error}") from error
    return EVIDENTLY.python


ENTRIES: Mapping[str, Entry | None] = {
    OURS: None,
    "any_psi": Entry("entries.py", "any_psi"),
    "evidently_default": Entry("evidently_default.py", python=evidently),
    "every_4_weeks": Entry("entries.py", "every_4_weeks"),
    "never": Entry("entries.py", "never"),
}


def answered(folder: Path, entries: Sequence[str]) -> dict[str, str]:
    """Let entries answer what they did not answer yet; return a sentence for each that could not."""
    notes = {}
    for name in entries:
        entry = ENTRIES[name]
        if entry is None:
            continue
        try:
            _run(folder, [entry.python(), entry.file, *([entry.argument] if entry.argument else [])], None)
        except EntryError as error:
            notes[name] = f"not measured: {error}"
    return notes


def scored(folder: Path) -> str:
    """Return the table, by the scorer as it lies in the folder.

    Raises:
        EntryError: an answer cannot be read.
    """
    return _run(folder, [sys.executable, "score.py"], subprocess.PIPE).rstrip()


def _run(folder: Path, command: Sequence[str], stdout: int | None) -> str:
    """Run a file of the folder as anybody else would: with nothing of ours to import.

    Raises:
        EntryError: it broke off; its last line says why.
    """
    # Nothing is taken from this checkout, and nothing is left in the folder.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise EntryError(f"{command[1]} broke off: {last.removeprefix('error: ')}")
    return done.stdout or ""
