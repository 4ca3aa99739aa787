"""The proxy follows a webserver that has moved, and records who asked."""

import contextlib
import http.client
import json
import re
import socket
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import uvicorn
from proxying import PEOPLE, proxying
from support.bundled import PROBLEM

from app.pages import Reader, make_app
from endpoint.api import Settings, make_endpoint
from endpoint.held import Keeper
from resources.profiles import ROOT
from resources.serving_copy import FILE
from steps.what_if import Models
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
    assert set(named) == {"webserver", "viewer", "app", "endpoint"}
    # Of the place only what is not here: its name server, its port, its standard output.
    place = re.sub(r"resolver \S+", f"resolver 127.0.0.1:{names.port}", place)
    place = re.sub(r":(3000|8600|8700);", f":{port};", place).replace("/dev/stdout", "logs/access.log")
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
        names.addresses[named["endpoint"]] = MACHINES[1]
        until(lambda: seen("programs") == MACHINES[1])


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


def test_programs_alone_get_scores_and_what_the_proxy_refuses_is_a_sentence_as_the_endpoint_s_are(tmp_path):
    port = free_port()
    keeper = Keeper(tmp_path / FILE, PROBLEM.name, Models(lambda number: None))
    settings = Settings(PROBLEM, {}, lambda: datetime(2024, 5, 6, tzinfo=UTC))
    scores = uvicorn.Server(uvicorn.Config(make_endpoint(keeper, settings), port=port, log_level="warning"))
    thread = threading.Thread(target=scores.run)
    thread.start()
    place = f"map $host $endpoint {{ default 127.0.0.1:{port}; }}\naccess_log logs/access.log people;\n"
    program = PEOPLE["programs"]
    try:
        with proxying(tmp_path / "proxy", place) as proxy:
            until(lambda: proxy.ask("programs", program, "/health") == (200, '{"status":"ok"}'))
            # Nothing is published here, and the endpoint says so: an answer of its own.
            status, said = proxy.ask("programs", program, "/ready")
            assert (status, "none was published yet" in json.loads(said)["error"]) == (503, True)
            for stranger in ("", PEOPLE["editors"], PEOPLE["readers"], "pro:guess"):
                status, said = proxy.ask("programs", stranger, "/health")
                assert (status, json.loads(said)["status"]) == (401, "refused"), stranger
                assert "basic authentication" in json.loads(said)["error"]
            assert proxy.ask("readers", program)[0] == 401
            # What is too large is refused in the same words, by the endpoint a little beyond its bound, and before it
            # is sent by the proxy.
            for megabytes in (16.5, 50):
                refused = too_large(proxy.programs, program, int(megabytes * 1024**2))
                assert refused.status == 413
                assert "at most 16 MiB" in json.loads(refused.read())["error"]
    finally:
        scores.should_exit = True
        thread.join()
    with proxying(tmp_path / "alone", place) as proxy:
        until(lambda: proxy.ask("programs", program, "/health")[0] == 503)
        assert "does not answer" in json.loads(proxy.ask("programs", program, "/health")[1])["error"]


def too_large(port: int, who: str, length: int) -> http.client.HTTPResponse:
    """Post a body of so many bytes; a part of it is enough where it is refused by what it announces."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("POST", "/problems/lapse/score")
    connection.putheader("Authorization", f"Basic {b64encode(who.encode()).decode()}")
    connection.putheader("Content-Length", str(length))
    connection.endheaders()
    if length < 17 * 1024**2:
        connection.send(b" " * length)
    return connection.getresponse()
