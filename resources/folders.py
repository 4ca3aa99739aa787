"""Folders of the home: customers' data are for their owner alone."""

from pathlib import Path


def make_private(folder: Path) -> Path:
    """Make a folder, and those above it that are missing, for their owner alone; return it.

    What is there already keeps the rights that somebody gave it.
    """
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    return folder
