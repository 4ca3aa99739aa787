"""A client for measurements of servers: as little work of its own as can be, so that the server is what is measured.

Requests are bytes that were made before, connections stay open, and of an answer only its status and its length are
read while the clock runs.
"""

import socket
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

HOST = "127.0.0.1"
PATIENCE = 60.0


class Asked(NamedTuple):
    """Requests that were answered, and the seconds that this took."""

    answered: int
    seconds: float

    @property
    def a_second(self) -> float:
        """Return how many were answered a second."""
        return self.answered / self.seconds


def request_bytes(method: str, path: str, body: bytes = b"") -> bytes:
    """Return a request as it goes over the wire."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def latencies(port: int, requests: Sequence[bytes]) -> list[float]:
    """Return the seconds from each request to the end of its answer, one after the other on one connection."""
    connection, taken = _Connection(port), []
    for request in requests:
        began = time.perf_counter()
        connection.ask(request)
        taken.append(time.perf_counter() - began)
    connection.close()
    return taken


def at_once(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Asked:
    """Ask on several connections at once for so long, each going round through the requests from a place of its own."""
    counts, failures = [0] * connections, list[BaseException]()
    began = time.perf_counter()

    def ask(number: int) -> None:
        try:
            connection, place = _Connection(port), number * len(requests) // connections
            while time.perf_counter() - began < seconds:
                connection.ask(requests[place % len(requests)])
                counts[number] += 1
                place += 1
            connection.close()
        except BaseException as error:  # noqa: BLE001 - told by whoever waits
            failures.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(connections)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if failures:
        raise failures[0]
    return Asked(sum(counts), time.perf_counter() - began)


class _Connection:
    """A connection that stays open."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def ask(self, request: bytes) -> bytes:
        """Send a request and return the body of its answer.

        Raises:
            RuntimeError: the status is not 200, or the length of the body is not told.
        """
        self._socket.sendall(request)
        while (end := self._rest.find(b"\r\n\r\n")) < 0:
            self._take()
        head, self._rest = self._rest[:end].lower(), self._rest[end + 4 :]
        if b" 200 " not in head[:16]:
            raise RuntimeError(f"Expected status 200, and the answer is {head[:200]!r} {self._rest[:300]!r}")
        place = head.find(b"content-length:")
        if place < 0:
            raise RuntimeError(f"Expected an answer that tells its length, and it is {head[:300]!r}")
        length = int(head[place + 15 :].split(b"\r\n", 1)[0])
        while len(self._rest) < length:
            self._take()
        body, self._rest = self._rest[:length], self._rest[length:]
        return body

    def close(self) -> None:
        """End it."""
        self._socket.close()

    def _take(self) -> None:
        came = self._socket.recv(1 << 18)
        if not came:
            raise RuntimeError("Expected an answer, and the server closed the connection")
        self._rest += came
