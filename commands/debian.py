"""Programs that come as Debian packages: taken from where they are, else unpacked into the environment, never started.

For servers that tests and measurements need beside them; nothing that is deployed needs this.
"""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(sys.prefix) / "debian"


def program(package: str, binary: str) -> Path:
    """Return the path of `binary` (relative to the package's root) of an unpacked Debian package.

    Nothing is installed on the machine, and no service of the package starts by itself.

    Raises:
        RuntimeError: this is no Debian machine, or the package cannot be had; the message says what to install.
    """
    installed = Path("/") / binary
    if installed.exists():
        return installed
    folder = HERE / package
    folder.mkdir(parents=True, exist_ok=True)
    with (HERE / ".unpacking").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / binary).exists():
            if not shutil.which("apt-get"):
                raise RuntimeError(
                    f"Expected {installed}, which the package {package} brings. Install it and run again."
                )
            got = _run(["apt-get", "download", package], folder)
            if got.returncode != 0:
                # A fresh machine has no list of packages yet.
                _run(["apt-get", "update", "-qq"], folder)
                got = _run(["apt-get", "download", package], folder)
            for archive in folder.glob("*.deb"):
                _run(["dpkg", "-x", archive.name, "."], folder)
                archive.unlink()
            if not (folder / binary).exists():
                raise RuntimeError(f"The Debian package {package} could not be had: {got.stderr.strip()[-500:]}")
    return folder / binary


def _run(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
