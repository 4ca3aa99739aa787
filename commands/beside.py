"""Run one of Dagster's own commands beside the command that started it: it begins when told, and ends with that.

Its packages are loaded while the other one still looks whether it may begin. Its standard input tells: a line says
begin, with the variables that were set meanwhile; its end says that whoever started this is gone, however that came.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PATIENCE = 20.0
"""Seconds that a program is given to end by itself."""


class Companion:
    """A program beside this one."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def begin(self, variables: Mapping[str, str]) -> None:
        """Let it begin, with these variables of the environment set."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(dict(variables)).encode() + b"\n")
        self._process.stdin.flush()

    def ended(self) -> int | None:
        """Return how it ended; None while it runs."""
        return self._process.poll()

    def wait(self) -> int:
        """Wait until it ended, and return how."""
        return self._process.wait()


@contextmanager
def beside(command: Sequence[str]) -> Iterator[Companion]:
    """Start an installed command (its name and arguments), which waits for `begin`; it ends when this context does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "commands.beside", *command],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        # A Ctrl-C of the terminal is for the other one alone, which may be about to end this one already.
        process_group=0,
    )
    assert process.stdin is not None
    try:
        yield Companion(process)
    finally:
        process.stdin.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def main() -> None:
    """Load the command, wait until it may begin, and run it until it ends or nobody is there any more."""
    name, *arguments = sys.argv[1:]
    # What a script starts in the background is started with Ctrl-C ignored, and would never be ended by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    [installed] = entry_points(group="console_scripts", name=name)
    run = installed.load()
    told = sys.stdin.buffer.readline()
    if not told:
        return
    os.environ.update(json.loads(told))
    threading.Thread(target=_end_with_the_other, daemon=True).start()
    sys.argv = [name, *arguments]
    sys.exit(run())


def _end_with_the_other() -> None:
    sys.stdin.buffer.read()
    # With what it started: a run is interrupted as it would be by Ctrl-C.
    os.killpg(os.getpgrp(), signal.SIGINT)


if __name__ == "__main__":
    main()
