"""The drill as a benchmark: write faulted weeks, truth and scorer into a folder, let entries answer, print the table.

The worlds are made once, by the drills themselves, and every entry reads the same. What is written whole is not made
again, so the command goes on where it was stopped. Below the table stand the rows of `make drill-all`, which need not
be drilled again for it. Exit code 1: a drill broke off.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from commands.alone import DRILLS, alone
from commands.drill import COLUMNS, NATURAL, cells, line
from commands.sentences import sentences
from commands.session import quiet
from drills.faults import known, lacking
from ml_models.problems.about import FIRST
from resources.folders import make_private
from resources.profiles import home, stay_embedded
from resources.sandbox import SandboxError
from tools.benchmark.entries import ENTRIES, EntryError, answered, scored
from tools.benchmark.folder_of_worlds import drill_scores, make_worlds


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
    try:
        print(f"\n{scored(folder)}")
    except EntryError as error:
        sys.exit(f"error: {error}")
    scores = drill_scores(names)
    print("\nwhat the drill of each came to:")
    for row in (COLUMNS, *(cells(score) for score in scores)):
        print(line(row))
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
    faults, absent = known(FIRST), lacking()
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


def told_size(folder: Path) -> str:
    """Return how large the folder is."""
    total = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return f"{total / 1e6:.0f} MB"


if __name__ == "__main__":
    main()
