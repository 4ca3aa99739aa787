"""A server on loopback that answers as it is told, where a client of BigQuery asks BigQuery."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from resources.environment import variables

Answer = tuple[int, Any]
"""A status and a body: a text as it is, nothing, or what becomes JSON."""

Answering = Callable[[str, str, bytes], Answer]
"""From method, path with its query, and body."""


@contextlib.contextmanager
def answering(answer: Answering) -> Iterator[ThreadingHTTPServer]:
    """Serve on a free port, which the environment names in BigQuery's place until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body are two writes: the second would wait 40 ms for the first to be acknowledged.
        disable_nagle_algorithm = True

        def reply(self) -> None:
            given = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, body = answer(self.command, self.path, given)
            payload = body.encode() if isinstance(body, str) else b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PUT = do_DELETE = reply  # noqa: N815 the base class calls them so

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = {"BIGQUERY_EMULATOR_HOST": f"http://127.0.0.1:{server.server_port}", "BIGQUERY_EMULATOR_STORAGE": ""}
    try:
        with variables(address):
            yield server
    finally:
        server.shutdown()
        server.server_close()


def refusal(status: int, reason: str, message: str) -> Answer:
    """Return an error as BigQuery's interface gives it."""
    return status, {"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}}
