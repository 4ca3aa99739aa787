"""A materialised baton, copied: a test that breaks things gets its own in a second, without running all of it again."""

import shutil
from pathlib import Path


def copy_home(source: Path, target: Path) -> Path:
    """Copy a baton's folder; the registry brings its addresses to where it is opened."""
    shutil.copytree(source, target)
    return target
