"""The private folder of a sync that runs, and what a killed one leaves behind."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from resources.folders import make_private

PREFIX = ".airbyte-sync-"


@contextlib.contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """Make a private folder beside the warehouse for configuration and buffered records, and remove it afterwards.

    Beside the warehouse, because that disk is the one known to be large. A killed sync cannot remove its folder: the
    next one does, telling the dead from the living by a lock, which the system takes away from the dead.
    """
    make_private(parent)
    with _locked(parent):
        for stale in parent.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError), _locked(stale, wait=False):
                shutil.rmtree(stale, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        alive = contextlib.ExitStack()
        alive.enter_context(_locked(folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        alive.close()


@contextlib.contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a folder; raise BlockingIOError if `wait` is False and another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
