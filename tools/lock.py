"""Resolve the dependencies again and write the locks: complete, hashed, and without the address of any registry.

A locked version stays as long as it fits what is asked for: the lock that is there is where the resolver begins. Newer
ones are taken by `--upgrade all`, or of some packages by their names.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resources.profiles import ROOT
from tools.bootstrap import plain

CONNECTOR = ROOT / "connectors" / "source-complete-journey"
ENVIRONMENTS = ROOT / "tests" / "environments"
EVIDENTLY = ROOT / "tools" / "benchmark" / "evidently"
FEAST = ROOT / "tools" / "bench" / "feast"

EVERYTHING = ("all", "1")
"""What UPGRADE says when nothing shall stay only because it was locked."""


@dataclass(frozen=True)
class Lock:
    """A lock, what it is made from in the same folder, and how the resolver shall see that."""

    folder: Path
    made_from: tuple[str, ...] = ("requirements.in",)
    name: str = "requirements.lock"
    options: tuple[str, ...] = ()
    python: str = "3.11"

    @property
    def file(self) -> Path:
        """Where it is."""
        return self.folder / self.name


LOCKS = (
    Lock(ROOT, ("--group", "dev", "--group", "build", "pyproject.toml")),
    Lock(CONNECTOR, options=("--no-deps",)),
    Lock(CONNECTOR, ("requirements-cdk.in",), "requirements-cdk.lock"),
    Lock(ENVIRONMENTS / "browser"),
    Lock(ENVIRONMENTS / "bigquery_emulator"),
    # The emulator names a newer Python than ours; its repairs make it run on this one.
    Lock(ENVIRONMENTS / "bigquery_emulator", ("any-python.in",), "any-python.lock", ("--no-deps",), "3.13"),
    Lock(ENVIRONMENTS / "source_declarative"),
    Lock(ENVIRONMENTS / "source_faker"),
    Lock(ENVIRONMENTS / "sql_analyzer"),
    Lock(EVIDENTLY),
    Lock(FEAST),
)


def main() -> None:
    """Write every lock file of the project."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--upgrade", default="", help="`all`, or names of packages, by comma")
    upgrades = upgrading(arguments.parse_args().upgrade)
    # A throw-away environment: the locked one holds what the lock says and nothing else.
    with tempfile.TemporaryDirectory(prefix="baton-lock-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        subprocess.run([python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "uv"], check=True)
        for lock in LOCKS:
            subprocess.run([python, "-m", "uv", *resolving(lock), *upgrades], cwd=lock.folder, check=True)
    print("wrote the locks; `make test` installs them, and tells whether everything still holds")


def resolving(lock: Lock) -> list[str]:
    """Return what uv is told for a lock."""
    shared = ["--universal", "--generate-hashes", "--no-emit-index-url", "--no-annotate", "--no-header", "--quiet"]
    made = [*lock.options, *lock.made_from, "-o", lock.name]
    return ["pip", "compile", *shared, "--python-version", lock.python, *made]


def upgrading(text: str) -> list[str]:
    """Return what makes uv take newer versions than the locked ones: of everything, of some packages, of none.

    Exits with a sentence where a name is in no lock: it would be left out without a word.
    """
    if text in EVERYTHING:
        return ["--upgrade"]
    names = re.split(r"[\s,]+", text.strip()) if text.strip() else []
    unknown = [name for name in names if plain(name) not in locked()]
    if unknown:
        sys.exit(
            "error: UPGRADE must be 1 for everything, or names of locked packages, by comma; no lock has "
            f"{unknown[0]!r}."
        )
    return [option for name in names for option in ("--upgrade-package", name)]


def locked(locks: Sequence[Lock] = LOCKS) -> set[str]:
    """Return the names of all locked packages, in their plain spelling."""
    texts = [lock.file.read_text() for lock in locks if lock.file.exists()]
    return {plain(name) for text in texts for name in re.findall(r"^([A-Za-z0-9][\w.-]*)==", text, re.MULTILINE)}


if __name__ == "__main__":
    main()
