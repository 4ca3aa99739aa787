"""nginx on loopback with the configuration of deploy/proxy, for tests that pass through it."""

import contextlib
import json
import os
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from support.processes import end_group

from resources.profiles import ROOT
from tools.debian import libraries, program
from tools.postgres import free_port

PEOPLE = {"editors": "eve:edits", "viewers": "vic:views", "readers": "rae:reads", "programs": "pro:asks"}


class Proxy(NamedTuple):
    """Where the doors are, and what nginx keeps."""

    editors: int
    viewers: int
    readers: int
    programs: int
    folder: Path

    def ask(self, door: str, who: str = "", path: str = "/", question: dict[str, Any] | None = None) -> tuple[int, str]:
        """Ask at a door, as somebody or (empty) nobody; return the status and what was answered."""
        headers = {"Content-Type": "application/json"}
        if who:
            headers["Authorization"] = f"Basic {b64encode(who.encode()).decode()}"
        data = None if question is None else json.dumps(question).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{getattr(self, door)}{path}", data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def log(self) -> str:
        """Return what nginx recorded of requests."""
        return (self.folder / "logs" / "access.log").read_text()


@contextlib.contextmanager
def proxying(folder: Path, place: str) -> Iterator[Proxy]:
    """Run nginx with this place.conf, from a folder that is made for it."""
    (folder / "logs").mkdir(parents=True)
    doors = {8080: free_port(), 8081: free_port(), 8082: free_port(), 8083: free_port()}
    text = (ROOT / "deploy" / "proxy" / "nginx.conf").read_text()
    for door, port in doors.items():
        text = text.replace(f"listen {door};", f"listen 127.0.0.1:{port};")
    # Where an image or a package has folders of its own.
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    text = text.replace("http {", "http {\n" + "".join(f"  {kind}_temp_path {folder}/{kind};\n" for kind in kinds))
    (folder / "nginx.conf").write_text(f"pid {folder}/nginx.pid;\nerror_log {folder}/logs/error.log;\n{text}")
    # A test of one door need not name what is behind the others.
    unnamed = [name for name in ("webserver", "viewer", "app", "endpoint") if f"${name} " not in place]
    nowhere = "".join(f"map $host ${name} {{ default 127.0.0.1:{free_port()}; }}\n" for name in unnamed)
    (folder / "place.conf").write_text(f"{nowhere}{place}")
    for group, person in PEOPLE.items():
        name, password = person.split(":")
        (folder / f"{group}.htpasswd").write_text(f"{name}:{{PLAIN}}{password}\n")
    nginx = program("nginx", "usr/sbin/nginx")
    process = subprocess.Popen(
        [
            nginx,
            *("-p", folder, "-c", folder / "nginx.conf", "-e", folder / "logs" / "error.log"),
            *("-g", "daemon off; user root;" if os.geteuid() == 0 else "daemon off;"),
        ],
        env={**os.environ, **libraries(nginx)},
        start_new_session=True,
    )
    try:
        yield Proxy(*doors.values(), folder)
    finally:
        end_group(process)
