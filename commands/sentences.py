"""What a person reads when a command cannot do its work: one sentence that says what helps, never a traceback.

A defect keeps its traceback: whoever mends it needs that.
"""

import contextlib
import errno
import os
import sqlite3
import sys
from collections.abc import Iterator

from resources.folders import DISK_FULL, of_disk

FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)

ROOMS = (
    "app",
    "assets",
    "commands",
    "component",
    "definitions",
    "drills",
    "ml_models",
    "resources",
    "sensors",
    "steps",
    "tools",
)


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """Turn expected errors into a sentence and exit code 1."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit("interrupted; what was finished is kept, run the same command again to continue")
    except Exception as error:
        said = sentence(error)
        if not said:
            raise
        sys.exit(f"error: {said}")


def sentence(error: BaseException) -> str:
    """Return what an error says to a person; empty if it is a defect."""
    own = _own(error) or _of_machine(error)
    if own:
        return own
    if isinstance(error, sqlite3.Error) or type(error).__module__.startswith("sqlalchemy."):
        return _of_database(error)
    # A library wraps what was raised under it.
    below = error.__cause__
    return sentence(below) if below is not None else ""


def missing_package(error: BaseException | None) -> str:
    """Return what helps where a package is not installed; empty if that is not it."""
    name = (error.name or "") if isinstance(error, ModuleNotFoundError) else ""
    if not name or name.partition(".")[0] in ROOMS:
        return ""
    return (
        f"Expected the package {name.partition('.')[0]} in {sys.prefix}, and it is not there. Let the environment be "
        f"made anew: rm -r {sys.prefix}, then make setup."
    )


def _own(error: BaseException) -> str:
    """Return the message of an error that this project raises: those are sentences."""
    name = type(error).__module__.partition(".")[0]
    if isinstance(error, Exception) and name in ROOMS:
        return str(error)
    # Values of the environment are looked at everywhere.
    return str(error) if isinstance(error, ValueError) and "BATON_" in str(error) else ""


def _of_machine(error: BaseException) -> str:
    """Return what the machine lacks: room, a right, memory, a package."""
    if isinstance(error, MemoryError):
        return (
            "The machine has not enough memory for this; nothing was half-written. End other programs, give DuckDB "
            "less by BATON_DUCKDB_MEMORY, or take a larger machine (docs/scale.md says what is needed)."
        )
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return f"The disk is full{_where(error)}: {error.strerror}. Make room, and run again; nothing was half-written."
    if isinstance(error, OSError) and error.errno in FORBIDDEN:
        return (
            f"Expected to write to the home as the user {_user()}, and it is not allowed{_where(error)}: "
            f"{error.strerror}. Give this user the right to, or name another folder: export BATON_HOME=<folder>."
        )
    if isinstance(error, NotADirectoryError | FileNotFoundError) and _of_home(error):
        return (
            f"Expected BATON_HOME to be a folder, or one that can be made, and it cannot{_where(error)}: "
            f"{error.strerror}. Name another folder: export BATON_HOME=<folder>."
        )
    return missing_package(error)


def _of_home(error: OSError) -> bool:
    home = os.environ.get("BATON_HOME")
    return bool(home and error.filename and os.path.abspath(str(error.filename)).startswith(os.path.abspath(home)))


def _of_database(error: BaseException) -> str:
    """Return what helps where SQLite itself fails: Dagster keeps runs and events in it, MLflow its registry."""
    below = getattr(error, "orig", None)
    first = str(below or error).splitlines()[0]
    if type(below).__module__.startswith("psycopg"):
        return (
            f"Expected the Postgres of Dagster's instance to answer, and it does not: {first.rstrip('.')}. Look "
            "whether it runs, and at its address and password in dagster.yaml (docs/deployment.md)."
        )
    full = of_disk(first)
    if full:
        return full
    if "readonly" in first or "unable to open" in first:
        return (
            f"Expected to write to the databases of the home, and it is not allowed: {first}. Give this user the right "
            "to, or name another folder: export BATON_HOME=<folder>."
        )
    return (
        f"Expected the databases under BATON_HOME to be whole, and one is not: {first}. Bring the home back by `make "
        "restore FROM=<folder>`. Without a backup, move its folder dagster/ away: the history of runs is lost, no "
        "table and no model."
    )


def _where(error: OSError) -> str:
    return f" at {error.filename}" if error.filename else ""


def _user() -> str:
    return os.environ.get("USER") or str(os.getuid())
