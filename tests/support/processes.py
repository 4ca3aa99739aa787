"""Other processes that a test needs: a command, a holder of a warehouse, and groups that are ended in any case."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from resources.profiles import ROOT

HOLD = (
    "import duckdb, sys; connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == 'reads'); "
    "print('held', flush=True); sys.stdin.read()"
)


def command(*arguments: str, seconds: float = 300, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with these arguments in the project's folder, and wait until it ends, so long at most."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        # Nothing of what this shell may be set to, such as a production profile.
        env={**{name: value for name, value in os.environ.items() if not name.startswith("BATON_")}, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


@contextlib.contextmanager
def holding(warehouse: Path | str, *, reads: bool = False) -> Iterator[int]:
    """Let another process hold a DuckDB file for writing, or one that only `reads`; yields its process id."""
    command = [sys.executable, "-c", HOLD, str(warehouse), "reads" if reads else "writes"]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield holder.pid
    finally:
        holder.communicate(timeout=30)


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process that leads its own group, and all of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
