"""A command with everything that it started, killed as a power switch would: all at once, nobody sees another one die.

Connectors and dbt's and Dagster's processes may lead sessions of their own, and a connector inherits only what it
needs of the environment. So the family is who descends from the command, and who carries its mark.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MARK = "CRASH_FAMILY"
"""The variable that whoever inherits the whole environment carries."""

LOOKED_EVERY = 0.05
PATIENCE = 30.0
"""Seconds until processes must be gone that were killed, or whose command has ended."""


class StoppedError(RuntimeError):
    """The suite was interrupted: what ran was killed."""


@dataclass
class Family:
    """A command that was started; its output goes to a file."""

    process: "subprocess.Popen[bytes]"
    mark: str
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.began

    def wait(self, seconds: float, stop: threading.Event) -> int | None:
        """Wait until the command has ended, and return its exit code; None: it still runs after that many seconds.

        Raises:
            StoppedError: `stop` was set; all of the family were killed.
        """
        while self.process.poll() is None and self.seconds < seconds:
            if stop.is_set():
                self.kill()
                raise StoppedError
            time.sleep(LOOKED_EVERY)
        return self.process.poll()

    def kill(self) -> int:
        """Stop every process of the family, then kill all of them; return how many there were.

        None can react to another one's end: each is stopped before the first is killed, and whoever was born meanwhile
        is stopped in the next round.
        """
        stopped: set[int] = set()
        while new := self.members() - stopped:
            for pid in new:
                _send(pid, signal.SIGSTOP)
            stopped |= new
        for pid in stopped:
            _send(pid, signal.SIGKILL)
        self.process.wait(timeout=PATIENCE)
        self.left()
        return len(stopped)

    def left(self) -> set[int]:
        """Return the processes that are still there after a while; what was told to end takes a moment."""
        deadline = time.monotonic() + PATIENCE
        while (there := self.members()) and time.monotonic() < deadline:
            time.sleep(LOOKED_EVERY)
        return there

    def members(self) -> set[int]:
        """Return the ids of all living processes of the family."""
        parents, marked = {}, set()
        wanted = f"{MARK}={self.mark}".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            # It may end while it is looked at.
            with contextlib.suppress(OSError):
                state, parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
                if state in "ZX":
                    continue
                parents[int(folder.name)] = int(parent)
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    marked.add(int(folder.name))
        found = marked | ({self.process.pid} & set(parents))
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found


def start(command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path) -> Family:
    """Start a command in `folder` with this environment and a mark of its own; it appends what it says to `log`."""
    mark = uuid.uuid4().hex
    with log.open("ab") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Family(process, mark)


def _send(pid: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, what)
