"""A PostgreSQL server of one's own on loopback, with an empty database: for tests and measurements."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from commands.debian import program

VERSION = 15
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


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Run a server with an empty database, in a temporary folder that is gone afterwards.

    Raises:
        RuntimeError: the server could not be had or did not start; the message holds what it said.
    """
    binaries = program(f"postgresql-{VERSION}", f"usr/lib/postgresql/{VERSION}/bin/postgres").parent
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
        _done([binaries / "initdb", *arguments], folder, user=user)
        settings = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
        with (folder / "postgres.log").open("wb") as log:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data, *settings], stdout=log, stderr=log, cwd=folder, user=user
            )
        try:
            _wait(port, server, folder)
            reached = ["-h", "127.0.0.1", "-p", str(port), "-U", "baton"]
            _done([binaries / "createdb", *reached, "baton"], folder, environment={"PGPASSWORD": PASSWORD})
            variables = {
                "DAGSTER_POSTGRES_HOST": "127.0.0.1",
                "DAGSTER_POSTGRES_PORT": str(port),
                "DAGSTER_POSTGRES_USER": "baton",
                "DAGSTER_POSTGRES_PASSWORD": PASSWORD,
                "DAGSTER_POSTGRES_DB": "baton",
            }
            yield Server(variables, folder)
        finally:
            server.terminate()
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


def _done(
    command: list[str | Path], folder: Path, *, user: str | None = None, environment: dict[str, str] | None = None
) -> None:
    ended = subprocess.run(command, cwd=folder, user=user, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"Expected {command[0]} to make a database in {folder}, but it said: {ended.stderr[-2000:]}")


def _wait(port: int, server: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            # It listens before it answers.
            time.sleep(0.5)
            return
        time.sleep(0.1)
    said = (folder / "postgres.log").read_text()[-2000:]
    raise RuntimeError(f"Expected PostgreSQL to listen on port {port} within a minute, but it said: {said}")
