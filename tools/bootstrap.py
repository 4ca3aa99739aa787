"""Set everything up: the virtual environment, the locked dependencies, and each connector's own environment.

Runs on the system's Python, before anything is installed: standard library only, and syntax that an old Python can
still read, so that it can say that it is too old. The environments of the tests are brought up to date by it too.
"""

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST = (3, 11)
FILES = ("requirements.lock", "pyproject.toml")
PUBLISHED = "published.txt"
STAMP = ".locked"
LOCK = ".setting_up"
FROM_VENV = ("pip", "setuptools")
"""What the module venv itself installs; no lock need name it."""

INSTALLING_A_PACKAGE = threading.Lock()


class Environment(object):
    """A virtual environment in a folder, and what it is made from.

    `files` are those of the folder that say what it holds: when one of them changes, it is filled again. `filling` is a
    function of the environment that installs what they say, into one that is empty or holds what they said before.
    """

    def __init__(self, folder, title, what, files, filling, name=".venv"):
        self.folder, self.title, self.what, self.files, self.filling = folder, title, what, files, filling
        self.venv = os.path.join(folder, name)
        self.python = os.path.join(self.venv, "bin", "python")
        self.stamp = os.path.join(self.venv, STAMP)

    def is_current(self):
        """Return whether it holds what its files say, and was made by this Python."""
        # The Python that it was made by may be gone from the machine; its link then leads nowhere.
        if not os.path.exists(self.stamp) or (os.path.islink(self.python) and not os.path.exists(self.python)):
            return False
        with open(self.stamp) as stream:
            return stream.read() == digest_of(self.folder, self.files)

    def is_whole(self):
        """Return whether it was finished once, by this Python: then what changed since can be installed into it."""
        if not os.path.exists(self.stamp) or not os.path.exists(self.python):
            return False
        asked = "import pip, sys; print(sys.implementation.name, *sys.version_info)"
        answer = subprocess.run([self.python, "-c", asked], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return answer.stdout.decode().strip() == interpreter()

    def bring_up_to_date(self):
        """Make it what its files say; the stamp comes last, so what is interrupted is made anew."""
        whole, began = self.is_whole(), os.path.exists(self.python)
        # What the files say now: they may be edited while it is filled.
        digest = digest_of(self.folder, self.files)
        if os.path.exists(self.stamp):
            os.remove(self.stamp)
        say("setting up {} ({}) …".format(self.title, self.what))
        if not whole:
            if began:
                say("its environment is incomplete or of another Python, and is made anew: {}".format(self.venv))
            clear(self.venv)
            create(self.venv)
        self.filling(self)
        with open(self.stamp, "w") as stream:
            stream.write(digest)


def main():
    """Bring every environment up to date; do nothing where it is."""
    if sys.version_info[:2] < OLDEST:
        sys.exit(
            "baton needs Python {}.{} or newer; this is Python {}.{} ({}). Install a newer one, or name it: "
            "make PYTHON=/path/to/python3.12 run".format(*(OLDEST + tuple(sys.version_info[:2]) + (sys.executable,)))
        )
    # A connector's dependencies must never meet ours, so each has an environment of its own.
    wanted = [Environment(ROOT, "baton", "Dagster, dbt, DuckDB, scikit-learn, MLflow", FILES, fill_ours)]
    connectors = os.path.join(ROOT, "connectors")
    for name in sorted(os.listdir(connectors)):
        folder = os.path.join(connectors, name)
        if os.path.exists(os.path.join(folder, "requirements.lock")):
            wanted.append(Environment(folder, "connector " + name, "Airbyte source", FILES, fill))
    bring_up_to_date(wanted + published(connectors, os.path.join(ROOT, "companies")))


def published(connectors, companies):
    """Return the environments of the published connectors that companies name, one each below `connectors`.

    What one holds is written into its folder: a package and its version.
    """
    named = {}
    for file in sorted(glob.glob(os.path.join(companies, "*", "company.toml"))):
        for source, package, version in published_in(file):
            line = "{}=={}\n".format(package, version)
            folder = os.path.join(connectors, source)
            if os.path.exists(os.path.join(folder, "requirements.lock")):
                sys.exit(
                    "Expected {} to name the connector {} of connectors/ without a package, and it names the package "
                    "{}. Take package and version away, or give the source another name.".format(file, source, package)
                )
            if named.setdefault(source, (line, file))[0] != line:
                sys.exit(
                    "Expected one version of {} in all companies, and {} names {}, {} names {}. Name one.".format(
                        source, named[source][1], named[source][0].strip(), file, line.strip()
                    )
                )
    for source, (line, _) in named.items():
        folder = os.path.join(connectors, source)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, PUBLISHED), "w") as stream:
            stream.write(line)
    return [
        Environment(
            os.path.join(connectors, source), "connector " + source, "published: " + line.strip(), (PUBLISHED,), fetch
        )
        for source, (line, _) in sorted(named.items())
    ]


def published_in(file):
    """Return source, package and version of each published connector that a company's file names."""
    # Not for an old Python, which does not have it.
    import tomllib

    try:
        with open(file, "rb") as stream:
            connections = tomllib.load(stream).get("airbyte", {})
        rows = [connections[name] for name in sorted(connections)]
        return [(row["source"], row["package"], row["version"]) for row in rows if row.get("package")]
    except (ValueError, KeyError, AttributeError, TypeError):
        # What is wrong with the file is told, field by field, by whoever reads it next.
        return []


def fetch(environment):
    """Install the published package that the folder names, with what it asks for."""
    arguments = ["install", "--requirement", os.path.join(environment.folder, PUBLISHED)]
    pip(environment, arguments, "install " + environment.title)


def bring_up_to_date(environments):
    """Bring up to date, side by side, the environments that are not; whoever comes second waits and finds them done."""
    stale = [one for one in environments if not one.is_current()]
    if not stale:
        return
    # Not for an old Python, which has it under another name or not at all.
    from concurrent.futures import ThreadPoolExecutor

    with contextlib.ExitStack() as held:
        # In one order for everybody, so that no two wait for each other.
        for one in sorted(stale, key=lambda one: one.venv):
            held.enter_context(locked(one.venv))
        stale = [one for one in stale if not one.is_current()]
        # Side by side, as pip has use for one core only.
        with ThreadPoolExecutor() as pool:
            for made in [pool.submit(one.bring_up_to_date) for one in stale]:
                made.result()


@contextlib.contextmanager
def locked(venv):
    """Hold an environment for this process alone; the file of the lock stays in it whatever is made of the rest."""
    os.makedirs(venv, exist_ok=True)
    with open(os.path.join(venv, LOCK), "w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("somebody else is setting up {}; waiting for them …".format(venv))
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def fill(environment):
    """Install what the folder's `requirements.lock` says, and the package in the folder itself."""
    install(environment, [os.path.join(environment.folder, "requirements.lock")])
    install_editable(environment, environment.folder)


def fill_ours(environment):
    """Do as `fill`, and make what every first run would make again."""
    fill(environment)
    # Without it a first run makes it; so it is no failure where it cannot be kept.
    making = "from resources.registry import empty_database; empty_database()"
    quiet = dict(os.environ, MLFLOW_DISABLE_TELEMETRY="true")
    subprocess.call([environment.python, "-c", making], cwd=ROOT, env=quiet, stderr=subprocess.DEVNULL)


def install(environment, locks, beyond=()):
    """Install exactly what some locks say, and remove what they no longer say.

    `beyond` are locks of packages that name a newer Python than ours.
    """
    # A lock is complete and hashed: nothing beside it is resolved or trusted.
    # Compiled afterwards, on all cores; pip would use one. Left to the imports it would be done again by each process
    # where PYTHONDONTWRITEBYTECODE is set, as in containers.
    install_locked = ["install", "--no-compile", "--no-deps", "--require-hashes"]
    for lock, more in [(lock, []) for lock in locks] + [(lock, ["--ignore-requires-python"]) for lock in beyond]:
        pip(
            environment,
            install_locked + more + ["--requirement", lock],
            "install the locked dependencies of " + environment.title,
        )
    others = unlocked(environment.venv, list(locks) + list(beyond))
    if others:
        pip(environment, ["uninstall", "--yes"] + others, "remove {} of {}".format(others, environment.title))
    # Some packages carry templates that are no Python; they stay as they are.
    compiling = (
        "import compileall, sysconfig; compileall.compile_dir(sysconfig.get_paths()['purelib'], quiet=2, workers=0)"
    )
    subprocess.call([environment.python, "-c", compiling])


def install_editable(environment, folder):
    """Install the package in a folder so that it runs from the checkout, with no dependencies of its own."""
    # No build isolation, so that the lock covers the build too.
    arguments = ["install", "--no-deps", "--no-build-isolation", "--editable", folder]
    pip(environment, arguments, "install " + environment.title)


def unlocked(venv, locks):
    """Return the names of what is installed and in none of the locks; what runs from a checkout is not counted."""
    from importlib.metadata import distributions

    named = set(FROM_VENV)
    for lock in locks:
        with open(lock) as stream:
            named.update(plain(name) for name in re.findall(r"^([A-Za-z0-9][\w.-]*)", stream.read(), re.MULTILINE))
    found = distributions(path=glob.glob(os.path.join(venv, "lib", "*", "site-packages")))
    return sorted(
        one.metadata["Name"] for one in found if plain(one.metadata["Name"]) not in named and not is_editable(one)
    )


def is_editable(distribution):
    """Return whether a distribution runs from a checkout."""
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    return bool(origin.get("dir_info", {}).get("editable"))


def plain(name):
    """Return a package's name as every spelling of it has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def interpreter():
    """Return which Python this is."""
    return " ".join([sys.implementation.name] + [str(part) for part in sys.version_info])


def digest_of(folder, files=FILES):
    """Return what the stamp of `folder`'s environment holds when it is up to date."""
    digest = hashlib.sha256()
    for name in files:
        with open(os.path.join(folder, name), "rb") as stream:
            digest.update(stream.read())
    # An editable install names its folder; compiled packages are those of one Python.
    digest.update((folder + interpreter()).encode())
    return digest.hexdigest()


def clear(venv):
    """Remove what is in an environment, but for the lock that is held."""
    for name in os.listdir(venv):
        path = os.path.join(venv, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif name != LOCK:
            os.remove(path)


def create(venv):
    """Create a virtual environment; on Debian its module is a package of its own."""
    # Not by the Python of an environment, which may be the one that is made anew.
    command = [getattr(sys, "_base_executable", None) or sys.executable, "-m", "venv", venv]
    if subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
        return
    # Environments are created side by side, and apt-get wants to be alone.
    with INSTALLING_A_PACKAGE:
        clear(venv)
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


def pip(environment, arguments, purpose):
    """Let an environment's pip do something."""
    run([environment.python, "-m", "pip", "--disable-pip-version-check", "--quiet"] + arguments, purpose)


def run(command, purpose):
    """Run one command; say in a sentence what failed."""
    if subprocess.call(command) != 0:
        sys.exit(
            "Could not {}: the command above failed. Check the network and the disk, then run this again; "
            "what was downloaded need not be downloaded again.".format(purpose)
        )


def say(text):
    """Print progress at once."""
    print(text)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
