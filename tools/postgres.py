"""A PostgreSQL server of one's own on loopback, with an empty database: for tests and measurements.

Of the versions that are there the newest: an installed one, one on the PATH, or what Debian's or Ubuntu's package held.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools import debian

INSTALLED = Path("/usr/lib/postgresql")
"""Where Debian and Ubuntu keep the programs of each version, in `<version>/bin`."""

NEEDED = ("postgres", "initdb")
PASSWORD = "for-loopback-only"


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server(NamedTuple):
    """A running server: the variables of deploy/compose/dagster.yaml, and the folder that it keeps everything in."""

    variables: dict[str, str]
    folder: Path


def programs(installed: Path = INSTALLED, fetched: Path = debian.HERE, path: str | None = None) -> Path:
    """Return the folder with the newest server's programs.

    Raises:
        RuntimeError: there is none; the message says how to get one.
    """
    with_version = [one for one in installed.glob("*/bin") if one.parent.name.isdigit()]
    on_path = shutil.which("postgres", path=path)
    places = [
        *sorted(with_version, key=lambda one: int(one.parent.name), reverse=True),
        *([Path(on_path).resolve().parent] if on_path else []),
        *sorted(fetched.glob("postgresql-*/usr/lib/postgresql/*/bin"), reverse=True),
    ]
    for one in places:
        if all((one / name).exists() for name in NEEDED):
            return one
    raise RuntimeError(
        f"Expected the programs {' and '.join(NEEDED)} of PostgreSQL at {installed}/<version>/bin or on the PATH, and "
        "they are not there. Run `make setup-tests`, which unpacks Debian's or Ubuntu's package; elsewhere install "
        "PostgreSQL."
    )


def fetch() -> None:
    """See that there is a server's programs: where none is, fetch the newest package that the machine's release has.

    Raises:
        RuntimeError: there is no such package, or it could not be had.
    """
    with contextlib.suppress(RuntimeError):
        programs()
        return
    package = newest_package(_known())
    if not package:
        # A fresh machine has no list of packages yet.
        debian.refresh()
        package = newest_package(_known())
    if not package:
        raise RuntimeError(
            "Expected a package postgresql-<version> among those that apt-cache knows, and there is none. Install "
            "PostgreSQL, or check the package sources, then run this again."
        )
    debian.fetch(package, f"usr/lib/postgresql/{package.rpartition('-')[2]}/bin/postgres")


def _known() -> str:
    """Return what apt-cache says: what the package without a version depends on, and the names of those with one."""
    asked = (["apt-cache", "depends", "postgresql"], ["apt-cache", "pkgnames", "postgresql-"])
    return "\n".join(debian.output_of(command) for command in asked)


def newest_package(listed: str) -> str | None:
    """Return the package of the release's own version, else the newest of the list; None if it names none."""
    own = re.search(r"^\s*Depends: (postgresql-\d+)$", listed, re.MULTILINE)
    if own:
        return own[1]
    names = re.findall(r"^postgresql-\d+$", listed, re.MULTILINE)
    return max(names, key=lambda name: int(name.rpartition("-")[2]), default=None)


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Run a server with an empty database, in a temporary folder that is gone afterwards.

    Raises:
        RuntimeError: no server is there, or it did not start; the message holds what it said.
    """
    binaries = programs()
    environment = {**os.environ, **debian.libraries(binaries / "postgres")}
    # A folder of its own, not one of a caller's: pytest shuts others out of its folders whenever a run starts.
    with tempfile.TemporaryDirectory(prefix="baton-postgres-") as made:
        folder, port = Path(made), free_port()
        # It refuses to run as root; the user of no one owns nothing else here.
        user = "nobody" if os.geteuid() == 0 else None
        if user:
            shutil.chown(folder, user)
        (folder / "password").write_text(PASSWORD)
        data = folder / "data"
        arguments: list[str | Path] = [
            "-D",
            data,
            "-U",
            "baton",
            "--pwfile",
            folder / "password",
            "-A",
            "scram-sha-256",
        ]
        _done([binaries / "initdb", *arguments], folder, environment, user)
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(folder),
            # Needs LLVM, which is not fetched; such small queries are never compiled.
            "jit": "off",
        }
        options = [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
        with (folder / "postgres.log").open("wb") as log:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data, "-p", str(port), *options],
                stdout=log,
                stderr=log,
                cwd=folder,
                env=environment,
                user=user,
            )
        try:
            _make_database(port, server, folder)
            variables = {
                "DAGSTER_POSTGRES_HOST": "127.0.0.1",
                "DAGSTER_POSTGRES_PORT": str(port),
                "DAGSTER_POSTGRES_USER": "baton",
                "DAGSTER_POSTGRES_PASSWORD": PASSWORD,
                "DAGSTER_POSTGRES_DB": "baton",
            }
            yield Server(variables, folder)
        finally:
            # At once: SIGTERM would let it wait for whoever is still connected.
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)


def cpu_seconds(server: Server) -> float:
    """Return the CPU seconds that a server used so far, those of ended connections included.

    A server's processes are not this process's children to be waited for, so its own accounts are read (Linux).
    """
    main = (server.folder / "data" / "postmaster.pid").read_text().splitlines()[0]
    ticks = 0
    for about in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in parentheses, may hold anything; after it come the state and the parent.
            fields = about.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if about.parent.name == main:
                ticks += sum(map(int, fields[11:15]))
            elif fields[1] == main:
                ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _done(command: list[str | Path], folder: Path, environment: dict[str, str], user: str | None) -> None:
    ended = subprocess.run(command, cwd=folder, user=user, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"Expected {command[0]} to make a database in {folder}, but it said: {ended.stderr[-2000:]}")


def _make_database(port: int, server: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Make the database `baton` as soon as the server answers, within a minute."""
    # Not by `createdb`: on Debian that is part of another package.
    import psycopg2

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            connection = psycopg2.connect(
                host="127.0.0.1", port=port, user="baton", password=PASSWORD, dbname="postgres", connect_timeout=5
            )
        except psycopg2.OperationalError:
            # It does not listen yet, or listens and is still starting.
            time.sleep(0.1)
            continue
        with contextlib.closing(connection):
            connection.autocommit = True
            connection.cursor().execute("create database baton")
        return
    log = (folder / "postgres.log").read_text()[-2000:]
    raise RuntimeError(f"Expected PostgreSQL to answer on port {port} within a minute, but it said: {log}")
