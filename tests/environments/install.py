"""Install an environment of the tests: a folder here with its locks, and what must be repaired in it afterwards.

Each is installed once and kept beside its lock (`.venv/`, not in git); a changed lock or repair installs it again.
"""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

from commands import bootstrap

HERE = Path(__file__).resolve().parent

PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps", "--require-hashes")


def python_of(name: str) -> Path:
    """Return the interpreter of the environment `name`, installed from its locks if it is not there as they say.

    Raises:
        RuntimeError: a step failed; the message holds what the step said.
    """
    folder = HERE / name
    environment = folder / ".venv"
    python, stamp = environment / "bin" / "python", environment / ".locked"
    wanted = _digest(folder)
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    environment.mkdir(exist_ok=True)
    with (environment / ".installing").open("w") as lock:
        # Two test runs at once: the second waits for the first.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return python
        if not python.exists():
            bootstrap.create(str(environment))
        _run([str(python), *PIP, "--requirement", str(folder / "requirements.lock")])
        beyond = folder / "any-python.lock"
        if beyond.exists():
            # It names a newer Python than ours; the repairs make it run on this one.
            _run([str(python), *PIP, "--ignore-requires-python", "--requirement", str(beyond)])
        repairs = folder / "repairs.py"
        if repairs.exists():
            _run([str(python), str(repairs)])
        stamp.write_text(wanted)
    return python


def _digest(folder: Path) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for file in sorted([*folder.glob("*.lock"), *folder.glob("repairs.py")]):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _run(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise RuntimeError(f"`{' '.join(command[1:])}` failed: {(ended.stdout + ended.stderr)[-2000:]}")


if __name__ == "__main__":
    for one in sorted(folder.parent.name for folder in HERE.glob("*/requirements.lock")):
        print(one, python_of(one))  # noqa: T201
