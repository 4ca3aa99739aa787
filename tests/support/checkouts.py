"""A copy of the project in a folder of its own, set up without installing anything: for who follows it as a user does.

Nothing that is run in the copy can change the project's own environment: the copy has one, which borrows libraries.
"""

import shutil
import sys
import sysconfig
import venv
from pathlib import Path

from resources.profiles import ROOT
from tools import bootstrap

NOT_OF_THE_PROJECT = (".git", ".venv*", ".baton", "__pycache__", ".*_cache", ".hypothesis", "target", "logs")


def copy_project(folder: Path) -> Path:
    """Copy the project's files to `folder`, with an environment in which `make setup` finds everything done."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_OF_THE_PROJECT))
    environment = folder / ".venv"
    venv.EnvBuilder(symlinks=True).create(environment)
    [libraries] = environment.glob("lib/python*/site-packages")
    # The copy first, as its editable install would have it; the libraries by path, without their own .pth files, of
    # which one names the original.
    (libraries / "_baton.pth").write_text(f"{folder}\n{sysconfig.get_path('purelib')}\n")
    scripts = (one for one in Path(sys.executable).parent.iterdir() if one.is_file() and not one.is_symlink())
    for script in scripts:
        first, _, rest = script.read_bytes().partition(b"\n")
        if first.startswith(b"#!") and b"python" in first:
            copied = environment / "bin" / script.name
            copied.write_bytes(f"#!{environment}/bin/python\n".encode() + rest)
            copied.chmod(0o755)
    for place in [folder, *(one.parent for one in folder.glob("connectors/*/requirements.lock"))]:
        stamp = place / ".venv" / bootstrap.STAMP
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(bootstrap.digest_of(str(place)))
    return folder


def own_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a folder that are the project's, sorted: not those of environments that stand beside them."""
    return sorted(path for path in folder.rglob(pattern) if ".venv" not in path.parts)
