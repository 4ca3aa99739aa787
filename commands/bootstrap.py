"""Set everything up: the virtual environment, the locked dependencies, and each connector's own environment.

Runs on the system's Python, before anything is installed: standard library only, and syntax that an old Python can
still read, so that it can say that it is too old.
"""

import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST = (3, 11)
STAMP = ".locked"


def main():
    """Bring every environment up to date; do nothing where it is."""
    if sys.version_info[:2] < OLDEST:
        sys.exit(
            "baton needs Python {}.{} or newer; this is Python {}.{} ({}). Install a newer one, or name it: "
            "make PYTHON=/path/to/python3.12 run".format(*(OLDEST + tuple(sys.version_info[:2]) + (sys.executable,)))
        )
    # Not for an old Python, which has it under another name or not at all.
    from concurrent.futures import ThreadPoolExecutor

    # A connector's dependencies must never meet ours, so each has an environment of its own.
    wanted = [(ROOT, "baton", "Dagster, dbt, DuckDB, scikit-learn, MLflow")]
    connectors = os.path.join(ROOT, "connectors")
    for name in sorted(os.listdir(connectors)):
        folder = os.path.join(connectors, name)
        if os.path.exists(os.path.join(folder, "requirements.lock")):
            wanted.append((folder, "connector " + name, "Airbyte source"))
    stale = [one for one in wanted if not is_current(one[0])]
    for folder, title, what in stale:
        say("setting up {} ({}) …".format(title, what))
        if not os.path.exists(python_of(folder)):
            create(os.path.join(folder, ".venv"))
    # Side by side, as pip has use for one core only.
    with ThreadPoolExecutor() as pool:
        for filling in [pool.submit(fill, folder, title) for folder, title, _ in stale]:
            filling.result()


def is_current(folder):
    """Return whether `folder`/.venv holds what `folder`/requirements.lock says."""
    stamp = os.path.join(folder, ".venv", STAMP)
    if not os.path.exists(stamp):
        return False
    with open(stamp) as stream:
        return stream.read() == digest_of(folder)


def fill(folder, title):
    """Install into `folder`/.venv what `folder`/requirements.lock says, and the package in `folder` itself."""
    lock = os.path.join(folder, "requirements.lock")
    python = python_of(folder)
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    # The lock is complete and hashed: nothing beside it is resolved or trusted.
    # Compiled afterwards, on all cores; pip would use one. Left to the imports it would be done again by each process
    # where PYTHONDONTWRITEBYTECODE is set, as in containers.
    run(
        pip + ["install", "--no-compile", "--no-deps", "--require-hashes", "--requirement", lock],
        "install the locked dependencies of " + title,
    )
    # Some packages carry templates that are no Python; they stay as they are.
    compiling = (
        "import compileall, sysconfig; compileall.compile_dir(sysconfig.get_paths()['purelib'], quiet=2, workers=0)"
    )
    subprocess.call([python, "-c", compiling])
    # Editable, so that the code runs from the checkout; no build isolation, so that the lock covers the build too.
    editable = ["install", "--no-deps", "--no-build-isolation", "--editable", folder]
    run(pip + editable, "install " + title)
    with open(os.path.join(folder, ".venv", STAMP), "w") as stream:
        stream.write(digest_of(folder))


def python_of(folder):
    """Return the interpreter of `folder`'s environment."""
    return os.path.join(folder, ".venv", "bin", "python")


def digest_of(folder):
    """Return what the stamp of `folder`'s environment holds when it is up to date."""
    digest = hashlib.sha256()
    for name in ("requirements.lock", "pyproject.toml"):
        with open(os.path.join(folder, name), "rb") as stream:
            digest.update(stream.read())
    # An editable install names its folder.
    digest.update(folder.encode())
    return digest.hexdigest()


def create(venv):
    """Create a virtual environment; on Debian its module is a package of its own."""
    command = [sys.executable, "-m", "venv", venv]
    if subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
        return
    shutil.rmtree(venv, ignore_errors=True)
    if shutil.which("apt-get") and os.geteuid() == 0:
        say("python3-venv is missing; installing it with apt-get …")
        subprocess.call(["apt-get", "update", "-qq"])
        subprocess.call(["apt-get", "install", "-y", "-qq", "python3-venv"])
        if subprocess.call(command) == 0:
            return
    sys.exit(
        "Could not create a virtual environment with {}. On Debian and Ubuntu: sudo apt-get install python3-venv; "
        "then run this again.".format(sys.executable)
    )


def run(command, purpose):
    """Run one command; say in a sentence what failed."""
    if subprocess.call(command) != 0:
        sys.exit(
            "Could not {}: the command above failed. Check the network and the disk, then run this again; "
            "what was installed stays.".format(purpose)
        )


def say(text):
    """Print progress at once."""
    print(text)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
