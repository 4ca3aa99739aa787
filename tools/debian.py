"""Programs that come as Debian packages: taken from where they are, else unpacked into the environment, never started.

For servers that tests and measurements need beside them; nothing that is deployed needs this.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(sys.prefix) / "debian"


def program(package: str, binary: str) -> Path:
    """Return the path of a program: `binary` under the machine's root, or what is on the PATH, or what was fetched.

    Raises:
        RuntimeError: it is nowhere; the message says how to get it.
    """
    on_path = shutil.which(Path(binary).name)
    for one in (Path("/") / binary, *([Path(on_path)] if on_path else []), HERE / package / binary):
        if one.exists():
            return one
    raise RuntimeError(
        f"Expected the program {Path(binary).name}, at /{binary} or on the PATH, and it is not there. Run `make "
        f"setup-tests`, which unpacks the package {package} of Debian or Ubuntu; elsewhere install it."
    )


def fetch(package: str, binary: str, also: Sequence[str] = ()) -> None:
    """Download a package, with the libraries that this machine lacks for it, and unpack it into the environment.

    Nothing is installed on the machine, and no service of the package starts by itself. `also` are packages beside its
    libraries without which it does not start; they are taken whether or not the machine has them.

    Raises:
        RuntimeError: this is no Debian machine, or the package cannot be had; the message says what to install.
    """
    folder = HERE / package
    folder.mkdir(parents=True, exist_ok=True)
    with (HERE / ".unpacking").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / binary).exists():
            return
        got = _download(package, folder, also)
        if got.returncode != 0:
            # A fresh machine has no list of packages yet, and an old list names versions that are gone.
            refresh()
            got = _download(package, folder, also)
        if got.returncode == 0:
            # The package last: where it is, its libraries are.
            for archive in sorted(folder.glob("*.deb"), key=lambda one: one.name.startswith(f"{package}_")):
                _run(["dpkg", "-x", archive.name, "."], folder)
                archive.unlink()
        if not (folder / binary).exists():
            raise RuntimeError(
                f"Expected /{binary} from Debian's package {package}, and it could not be had: "
                f"{got.stderr.strip()[-500:]} Check the network and the package sources, then run this again."
            )


def refresh() -> None:
    """Fetch the lists of packages again, where this user may."""
    _run(["apt-get", "update", "-qq"])


def libraries(program: Path) -> dict[str, str]:
    """Return the variables with which a program that was fetched finds the libraries that were fetched with it."""
    root = next((one for one in program.parents if one.parent == HERE), None)
    # Some libraries have their version before the ending: libpulsecommon-16.1.so.
    folders = sorted({str(one.parent) for one in root.rglob("*.so*")}) if root else []
    return {"LD_LIBRARY_PATH": ":".join(folders)} if folders else {}


def _download(package: str, folder: Path, also: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    simulated = _run(["apt-get", "install", "--simulate", "--no-install-recommends", package, *also]).stdout
    return _run(["apt-get", "download", package, *also, *lacking(simulated)], folder)


def lacking(simulated: str) -> list[str]:
    """Return the libraries among what `apt-get install --simulate` said it would install.

    Not those that it would upgrade, with their version in brackets: what is there does. Not LLVM, which is large and
    compiles queries: a server works without.
    """
    return re.findall(r"^Inst (lib(?!llvm)\S+) \(", simulated, re.MULTILINE)


def output_of(command: list[str]) -> str:
    """Return what a command of Debian's or Ubuntu's printed; nothing if it failed."""
    return _run(command).stdout


def _run(command: list[str], folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    if not shutil.which(command[0]):
        raise RuntimeError(
            f"Expected {command[0]} of Debian or Ubuntu, and it is not there. Install the programs that docs/"
            "operations.md names for the slow tests, so that they are on the PATH, and run again."
        )
    # Some of what they say is read here, so not in the user's language.
    english = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, cwd=folder, env=english, capture_output=True, text=True, check=False)
