"""DuckDB's engine, kept by the process: a file is attached to it for a short use, and let go of.

Making an engine, with its catalog of functions, takes several times as long as attaching a file to one, and a run opens
the warehouse some four hundred times. A file's lock is held as it is by a connection of its own: while the file is
attached, and not a moment longer. Several uses at once of one file, in one mode, share the attachment; DuckDB itself
refuses the other mode in the same process, also where another engine has the file.
"""

import atexit
import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resources.warehouse.contract import quoted

if TYPE_CHECKING:
    import duckdb

MOST_IDLE = 2
"""Engines that are kept though no file is attached to them: those of the warehouse and of its local copy."""

RESET = ("memory_limit", "preserve_insertion_order", "threads")
"""What a use may set for the whole engine, so that the next one finds DuckDB's own again."""


class OtherModeError(RuntimeError):
    """The file is open in this process, in the other mode."""


@dataclass
class _Engine:
    """`keeper` is the connection that keeps the engine alive; `uses` how many have the file open, in which mode."""

    keeper: "duckdb.DuckDBPyConnection"
    read_only: bool = True
    uses: int = 0
    spoilt: bool = False


_engines: dict[str, _Engine] = {}
"""By the file's path, the one that was used last at the end."""

_changing = threading.Lock()

_forked: list[dict[str, _Engine]] = []


@contextlib.contextmanager
def attached(path: str, *, read_only: bool) -> Iterator["duckdb.DuckDBPyConnection"]:
    """Attach the DuckDB file at `path`, and give a connection whose default database it is.

    Raises:
        OtherModeError: the process has it open in the other mode.
        duckdb.Error: it cannot be attached: another process holds it, or it is no file of DuckDB's.
    """
    key = os.path.abspath(path)
    engine, connection = _taken(key, read_only)
    try:
        connection.execute(f"use {_name(key)}")
        yield connection
    except GeneratorExit:
        # Who read in pieces has read enough.
        raise
    except BaseException:
        # Whatever it was: nothing of it may meet the next use.
        engine.spoilt = True
        raise
    finally:
        connection.close()
        with _changing:
            _let_go(key, engine)


def _taken(key: str, read_only: bool) -> "tuple[_Engine, duckdb.DuckDBPyConnection]":
    import duckdb

    with _changing:
        engine = _engines.pop(key, None) or _made(key)
        _engines[key] = engine
        if not engine.uses:
            try:
                mode = "read_only" if read_only else "read_write"
                engine.keeper.execute(f"attach {_text(key)} as {_name(key)} (type duckdb, {mode})")
            except duckdb.IOException:
                # Somebody else's file, or none: the engine is as good as before.
                raise
            except duckdb.Error:
                _closed(key)
                raise
            engine.read_only = read_only
        elif engine.read_only is not read_only:
            raise OtherModeError(f"{key} is open in this process, {'to read' if engine.read_only else 'to write'}.")
        engine.uses += 1
        return engine, engine.keeper.cursor()


def _made(key: str) -> _Engine:
    import duckdb

    keeper = duckdb.connect()
    # As a connection of the file's own would: not into the folder that the process happens to stand in.
    keeper.execute(f"set temp_directory = {_text(f'{key}.tmp')}")
    return _Engine(keeper)


def _let_go(key: str, engine: _Engine) -> None:
    import duckdb

    engine.uses -= 1
    if engine.uses:
        return
    try:
        if engine.spoilt:
            _closed(key)
            return
        for name in _beside(engine.keeper, key):
            # What a use attached to read from, and its own end did not let go of.
            engine.keeper.execute(f"detach {quoted(name)}")
        engine.keeper.execute(f"detach {_name(key)}")
        for setting in RESET:
            engine.keeper.execute(f"reset {setting}")
    except duckdb.Error:
        # Closing does what can be done; what was committed is in the log beside the file.
        _closed(key)
    idle = [name for name, one in _engines.items() if not one.uses]
    for name in idle[: max(0, len(idle) - MOST_IDLE)]:
        _closed(name)


def _beside(keeper: "duckdb.DuckDBPyConnection", key: str) -> list[str]:
    """Return the databases in files that are attached beside the one of `key`."""
    found = keeper.execute("select database_name from duckdb_databases() where not internal and path is not null")
    return [name for (name,) in found.fetchall() if quoted(name) != _name(key)]


def _closed(key: str) -> None:
    _engines.pop(key).keeper.close()


def _name(key: str) -> str:
    """Return what DuckDB calls the database in a file of its own accord; what is stored may say so."""
    return quoted(Path(key).name.partition(".")[0])


def _text(path: str) -> str:
    return "'{}'".format(path.replace("'", "''"))


def _left_to_the_parent() -> None:
    """After a fork: an engine's threads are the parent's, so that its child must neither use nor close it."""
    global _engines, _changing
    _forked.append(_engines)
    _engines, _changing = {}, threading.Lock()


def _end() -> None:
    for key in list(_engines):
        _closed(key)


os.register_at_fork(after_in_child=_left_to_the_parent)
atexit.register(_end)
