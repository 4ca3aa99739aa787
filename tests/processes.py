"""Other processes that a test needs: one that holds a warehouse, and groups that are ended whatever happens."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HOLD = "import duckdb, sys; connection = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@contextlib.contextmanager
def holding(warehouse: Path | str) -> Iterator[int]:
    """Let another process hold a DuckDB file for writing; yields its process id."""
    command = [sys.executable, "-c", HOLD, str(warehouse)]
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
