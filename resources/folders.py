"""Folders of the home: customers' data are for their owner alone; and what tells that no more fits into one."""

import errno
from pathlib import Path

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The numbers of the errors of a disk that is full, or of which this user may fill no more."""


def make_private(folder: Path) -> Path:
    """Make a folder, and those above it that are missing, for their owner alone; return it.

    What is there already keeps the rights that somebody gave it.
    """
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    return folder
