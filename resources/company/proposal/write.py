"""Write a company's folder: whole or not at all, and never over another."""

import os
import shutil
import tempfile
from pathlib import Path

from resources.company.choice import FILE, CompanyError, load
from resources.company.model import Company
from resources.folders import name_to_disk, write_whole


def refuse_existing(folder: Path) -> None:
    """Refuse a folder that is there.

    Raises:
        CompanyError: the sentence says how another can be made.
    """
    if folder.exists():
        raise CompanyError(
            f"companies/{folder.name} is there already, and nothing is written over it. Change its {FILE}, choose "
            "another NAME, or move the folder away first."
        )


def write(text: str, folder: Path) -> Company:
    """Write the file of a company; the folder appears at once, when the file is valid.

    Raises:
        CompanyError: the folder is there already, or the file would not be valid.
    """
    refuse_existing(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        inside = making / folder.name
        inside.mkdir()
        write_whole(inside / FILE, text)
        company = load(inside)
        refuse_existing(folder)
        os.rename(inside, folder)
        name_to_disk(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return company
