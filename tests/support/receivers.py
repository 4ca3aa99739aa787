"""A web server and a mail server on loopback that keep what they get, and answer as a test says."""

import base64
import contextlib
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Posted:
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: dict


@dataclass
class Web:
    """What a web server got and answers: `status` and `text` to everything, or to a body that holds `refused` only."""

    port: int = 0
    status: int = 200
    text: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    refused: str = ""
    seen: list[Posted] = field(default_factory=list)
    taken: list[dict] = field(default_factory=list)
    hold: threading.Event | None = None

    @property
    def address(self) -> str:
        """An address of it, with what a webhook keeps secret in its path."""
        return f"http://127.0.0.1:{self.port}/services/s3cret"


@dataclass
class Mailbox:
    """What a mail server got. With a `password` it lets users sign in; it knows no mailbox `no_address`."""

    port: int = 0
    password: str = ""
    no_address: str = ""
    users: int = 0
    came: threading.Event = field(default_factory=threading.Event)
    messages: list[EmailMessage] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"


@contextlib.contextmanager
def web_server() -> Iterator[Web]:
    """Serve on a free port until the block ends."""
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            web.seen.append(Posted(self.path, dict(self.headers), body))
            if web.hold:
                web.hold.wait()
            good = bool(web.refused) and web.refused not in json.dumps(body)
            status = 200 if good else web.status
            if 200 <= status < 300:
                web.taken.append(body)
            text = web.text.encode()
            self.send_response(status)
            for name, value in {**web.headers, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_request(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        web.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield web
        finally:
            if web.hold:
                web.hold.set()
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def mail_server() -> Iterator[Mailbox]:
    """Take mail on a free port until the block ends."""
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, text):
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self):
            self.say("220 sink")
            for raw in self.rfile:
                verb = raw.decode().strip()
                if verb.upper().startswith("EHLO"):
                    self.say("250-sink\r\n250 AUTH PLAIN" if box.password else "250 sink")
                elif verb.upper().startswith("AUTH PLAIN"):
                    good = base64.b64decode(verb.split()[2]).decode().split("\0")[2] == box.password
                    box.users += good
                    self.say("235 welcome" if good else "535 bad credentials")
                elif verb.upper().startswith("RCPT") and box.no_address and box.no_address in verb:
                    self.say("550 no such mailbox")
                elif verb.upper().startswith("DATA"):
                    self.say("354 go on")
                    lines = []
                    while (line := self.rfile.readline()) != b".\r\n":
                        lines.append(line)
                    box.messages.append(message_from_bytes(b"".join(lines), policy=policy.default))
                    self.say("250 taken")
                    box.came.set()
                elif verb.upper().startswith("QUIT"):
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        box.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield box
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
