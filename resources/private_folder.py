"""A private folder for a while, and what a killed process leaves behind of such."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from resources.folders import make_private


@contextlib.contextmanager
def private_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a private folder in `parent` whose name begins with `prefix`, and remove it afterwards.

    A killed process cannot remove its folder: the next one that makes such a folder there does, telling the dead from
    the living by a lock, which the system takes away from the dead.
    """
    make_private(parent)
    with _locked(parent):
        for stale in parent.glob(f"{prefix}*"):
            with contextlib.suppress(OSError), _locked(stale, wait=False):
                shutil.rmtree(stale, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        alive = contextlib.ExitStack()
        alive.enter_context(_locked(folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        alive.close()


def scratch_folder(prefix: str) -> contextlib.AbstractContextManager[Path]:
    """Do so where this system keeps temporary files."""
    return private_folder(Path(tempfile.gettempdir()), prefix)


@contextlib.contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a folder; raise BlockingIOError if `wait` is False and another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
