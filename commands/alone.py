"""One at a time works in a home: the second command waits for the first, and says for whom; a second web UI is refused.

Two runs side by side would train two versions of equal data, and write rows twice. A lock of the system goes with the
process that holds it, however that ends, so that nothing is left behind by a kill.
"""

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

import dagster as dg

from commands.ports import LOOPBACK, why_taken
from resources.profiles import HomeError

RUNS, UI, DRILLS = "runs.lock", "ui.lock", "drills.lock"
"""The files in a home that are locked while a command works in it, while its web UI is there, and while a drill or a
backtest records: those only read the tables, so a run need not wait for the hour that they may take."""

HEARTBEAT = 120.0
"""Seconds after a daemon's last sign of life until it counts as gone."""

LOOKED_EVERY = 1.0

UNFINISHED = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
"""What a run is that a process is at work on, or was when it was killed."""

Say = Callable[[str], None]


@contextlib.contextmanager
def alone(home: Path, say: Say = print, lock: str = RUNS) -> Iterator[None]:
    """Hold the home, or what `lock` stands for, for one command; wait while another one does."""
    with (home / lock).open("a+", encoding="utf-8") as file:
        if not _taken(file):
            say(f"waiting for {_told(file)}, which works in {home}, to end (Ctrl-C to give up)")
            fcntl.flock(file, fcntl.LOCK_EX)
        _tell(file, f"`{Path(sys.argv[0]).stem}` (process {os.getpid()}, since {datetime.now():%H:%M})")
        yield


def wait_for_daemon(opened: dg.DagsterInstance, say: Say = print) -> None:
    """Wait until a daemon's run has ended, as the daemon waits for those of a command."""
    told = ""
    while daemon_is_alive(opened) and (run := _going_on(opened)):
        if run.run_id != told:
            say(f"waiting for the run {run.run_id} ({run.job_name}) of the daemon to end (Ctrl-C to give up)")
            told = run.run_id
        time.sleep(LOOKED_EVERY)


def daemon_is_alive(opened: dg.DagsterInstance) -> bool:
    """Tell whether a daemon on the same state reported within the last two minutes."""
    beats = opened.get_daemon_heartbeats()
    return any(time.time() - beat.timestamp < HEARTBEAT for beat in beats.values())


def hold_for_ui(home: Path, port: int) -> int:
    """Hold the home for a web UI until this process ends, also when it becomes another program.

    Returns the number of the open file: whoever closes it lets go.

    Raises:
        HomeError: there is one already, or the port is taken.
    """
    file = (home / UI).open("a+", encoding="utf-8")
    if not _taken(file):
        raise HomeError(
            f"Expected no web UI and daemon of {home} yet, and there is {_told(file)}. Open that; a second daemon "
            "would start each scheduled job twice. To start anew, end that process first. Nothing was changed."
        )
    if why := why_taken(port):
        raise HomeError(
            f"Expected the port {port} of {LOOPBACK} to be free for the web UI, and it is not ({why}). "
            f"Take another one: make ui PORT={port + 1}. Nothing was changed."
        )
    _tell(file, f"http://127.0.0.1:{port} (process {os.getpid()}, since {datetime.now():%H:%M})")
    # A lock belongs to what was opened, not to its number: it stays with the copy when `file` is closed.
    held = os.dup(file.fileno())
    os.set_inheritable(held, True)
    return held


def _going_on(opened: dg.DagsterInstance) -> dg.DagsterRun | None:
    found = opened.get_runs(dg.RunsFilter(statuses=UNFINISHED), limit=1)
    return found[0] if found else None


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _told(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or "another process"


def _tell(file: IO[str], text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()
