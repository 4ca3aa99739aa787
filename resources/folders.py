"""Folders and files of the home: for their owner alone, on the disk when they say so, and what tells of a full one."""

import errno
import os
import re
from pathlib import Path

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The numbers of the errors of a disk that is full, or of which this user may fill no more."""


FULL_IN_WORDS = r"no space left|disk quota|file too large|not enough space|(database or )?disk is full"
"""How libraries say the same in the text of an error."""


def says_full(text: str) -> bool:
    """Tell whether the text of an error says that a disk is full."""
    return bool(re.search(FULL_IN_WORDS, text, re.IGNORECASE))


def of_disk(text: str) -> str:
    """Return in a sentence that a disk is full, or may be, if the text of a library's error tells so; else nothing."""
    first = text.strip().splitlines()[0] if text.strip() else ""
    if says_full(text):
        return f"The disk is full: {first}. Make room, and run again; nothing was half-written."
    # What SQLite says where its file of shared memory finds no room, too.
    if "disk i/o error" in text.lower():
        return (
            f"The disk is full, or it fails: {first}. Make room, and run again; nothing was half-written. If there is "
            "room, bring the home back on another disk by `make restore FROM=<folder>`."
        )
    return ""


def make_private(folder: Path) -> Path:
    """Make a folder, and those above it that are missing, for their owner alone; return it.

    What is there already keeps the rights that somebody gave it.
    """
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    return folder


def to_disk(place: Path) -> Path:
    """Wait until a file, or a folder with all that is in it, would outlast a power loss; return it."""
    for one in (place, *(place.rglob("*") if place.is_dir() else ())):
        _sync(one)
    return place


def name_to_disk(place: Path) -> Path:
    """Wait until the name of a file or folder, as it is or is no more, would outlast a power loss; return it."""
    _sync(place.parent)
    return place


def write_whole(file: Path, text: str, *, mode: int = 0o666) -> Path:
    """Write a file that is the former one or the new one, whatever ends the process or the machine; return it.

    `mode` is what its owner and others may do with it, less what this process leaves to nobody.
    """
    half = file.with_name(f"{file.name}.new")
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as written:
        written.write(text)
    to_disk(half).replace(file)
    return name_to_disk(file)


def _sync(place: Path) -> None:
    opened = os.open(place, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
