"""A PostgreSQL server of a test's own, on loopback."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from environments.debian import program

VERSION = 15
PASSWORD = "for-this-test-only"


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[dict[str, str]]:
    """Run a server with an empty database in `folder`; yields the variables of deploy/compose/dagster.yaml."""
    binaries = program(f"postgresql-{VERSION}", f"usr/lib/postgresql/{VERSION}/bin/postgres").parent
    data, port = folder / "data", free_port()
    # It refuses to run as root; the user of no one owns nothing else here.
    as_user = {"user": "nobody"} if os.geteuid() == 0 else {}
    if as_user:
        shutil.chown(folder, "nobody")
        for parent in folder.parents:
            if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
    (folder / "password").write_text(PASSWORD)
    made = subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "baton", "--pwfile", folder / "password", "-A", "scram-sha-256"],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        **as_user,
    )
    assert made.returncode == 0, made.stderr
    settings = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
    with (folder / "postgres.log").open("wb") as log:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, *settings], stdout=log, stderr=log, cwd=folder, **as_user
        )
    try:
        _wait(port, server, folder)
        made = subprocess.run(
            [binaries / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "baton", "baton"],
            env={"PGPASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        yield {
            "DAGSTER_POSTGRES_HOST": "127.0.0.1",
            "DAGSTER_POSTGRES_PORT": str(port),
            "DAGSTER_POSTGRES_USER": "baton",
            "DAGSTER_POSTGRES_PASSWORD": PASSWORD,
            "DAGSTER_POSTGRES_DB": "baton",
        }
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait(port: int, server: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, (folder / "postgres.log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            # It listens before it answers.
            time.sleep(0.5)
            return
        time.sleep(0.1)
    raise AssertionError((folder / "postgres.log").read_text())
