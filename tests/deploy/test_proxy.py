"""The proxy follows a webserver that has moved, and records who asked."""

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import uvicorn
from proxying import PEOPLE, proxying

from app.pages import Reader, make_app
from resources.profiles import ROOT
from resources.serving_copy import FILE
from tools.postgres import free_port

pytestmark = pytest.mark.slow(minutes=1)

MACHINES = ("127.0.0.2", "127.0.0.3")


class NameServer:
    """Answers each question for an address by what `addresses` says of the first part of the name."""

    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.answer, daemon=True).start()

    def answer(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                asked, sender = self.socket.recvfrom(512)
                end = asked.index(0, 12) + 5
                name, kind = asked[13 : 13 + asked[12]].decode(), struct.unpack("!H", asked[end - 4 : end - 2])[0]
                found = kind == 1 and name in self.addresses
                header = asked[:2] + struct.pack("!HHHHH", 0x8180, 1, int(found), 0, 0)
                record = struct.pack("!HHHIH", 0xC00C, 1, 1, 600, 4) + socket.inet_aton(
                    self.addresses.get(name, "0.0.0.0")
                )
                self.socket.sendto(header + asked[12:end] + (record if found else b""), sender)


@pytest.fixture
def names() -> Iterator[NameServer]:
    made = NameServer()
    yield made
    made.socket.close()


@pytest.fixture
def port() -> Iterator[int]:
    """A port at which each of two machines says which it is."""
    number, servers = free_port(), []
    for machine in MACHINES:

        class Handler(BaseHTTPRequestHandler):
            me = machine.encode()

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(self.me)))
                self.end_headers()
                self.wfile.write(self.me)

            def log_message(self, *said: object) -> None: ...

        servers.append(ThreadingHTTPServer((machine, number), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
    yield number
    for server in servers:
        server.shutdown()
        server.server_close()


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(0.2)
    raise AssertionError(f"did not come within {seconds:.0f} s")


@pytest.mark.parametrize("where", ["compose", "kubernetes"])
def test_after_an_upgrade_each_door_leads_to_the_webserver_that_has_its_name_now(tmp_path, names, port, where):
    place = (ROOT / "deploy" / "proxy" / f"{where}.conf").read_text()
    named = dict(re.findall(r"map \$host \$(\w+) { default ([\w-]+)[\w.-]*:\d+; }", place))
    assert set(named) == {"webserver", "viewer", "app"}
    # Of the place only what is not here: its name server, its port, its standard output.
    place = re.sub(r"resolver \S+", f"resolver 127.0.0.1:{names.port}", place)
    place = re.sub(r":(3000|8600);", f":{port};", place).replace("/dev/stdout", "logs/access.log")
    with proxying(tmp_path / "proxy", place) as proxy:

        def seen(door: str) -> str:
            return proxy.ask(door, PEOPLE[door])[1]

        names.addresses = dict(zip((named["webserver"], named["viewer"]), MACHINES, strict=True))
        until(lambda: (seen("editors"), seen("viewers")) == MACHINES)
        # Started anew in the other order, they have each other's address: the worst that can be.
        names.addresses = dict(zip((named["viewer"], named["webserver"]), MACHINES, strict=True))
        until(lambda: (seen("viewers"), seen("editors")) == MACHINES)
        names.addresses[named["app"]] = MACHINES[0]
        until(lambda: seen("readers") == MACHINES[0])


def test_who_asked_for_what_is_recorded_and_no_password_is(tmp_path, port):
    place = f"map $host $webserver {{ default 127.0.0.2:{port}; }}\nmap $host $viewer {{ default 127.0.0.3:{port}; }}\n"
    with proxying(tmp_path / "proxy", f"{place}access_log logs/access.log people;\n") as proxy:
        until(lambda: proxy.ask("editors")[0] == 401)
        assert proxy.ask("editors", PEOPLE["editors"], "/runs/1") == (200, "127.0.0.2")
        assert proxy.ask("viewers", PEOPLE["editors"], "/runs/2")[0] == 401
        until(lambda: proxy.log().count("\n") >= 3)
        lines = proxy.log().splitlines()
        assert f' {proxy.editors} eve 127.0.0.1 "GET /runs/1 HTTP/1.1" 200 ' in lines[-2]
        assert f' {proxy.viewers} eve 127.0.0.1 "GET /runs/2 HTTP/1.1" 401 ' in lines[-1]
        assert "edits" not in proxy.log()


def test_readers_alone_get_the_pages_for_people_and_can_only_read(tmp_path):
    port = free_port()
    reader = Reader(tmp_path / FILE, "a shop", "USD", 28, 84, lambda: datetime(2024, 5, 6, tzinfo=UTC))
    pages = uvicorn.Server(uvicorn.Config(make_app(reader, ["localhost", "baton"]), port=port, log_level="warning"))
    thread = threading.Thread(target=pages.run)
    thread.start()
    place = f"map $host $app {{ default 127.0.0.1:{port}; }}\naccess_log logs/access.log people;\n"
    try:
        with proxying(tmp_path / "proxy", place) as proxy:
            # Nothing is published here, and the page says so: an answer of the pages' own.
            until(lambda: "none was published yet" in proxy.ask("readers", PEOPLE["readers"])[1])
            for stranger in ("", PEOPLE["editors"], PEOPLE["viewers"], "rae:guess"):
                assert proxy.ask("readers", stranger)[0] == 401, stranger
            assert proxy.ask("readers", PEOPLE["readers"], question={"changes": "nothing"})[0] == 403
            assert proxy.ask("editors", PEOPLE["readers"])[0] == 401
            assert proxy.ask("readers", PEOPLE["readers"], "/static/style.css")[0] == 200
    finally:
        pages.should_exit = True
        thread.join()
