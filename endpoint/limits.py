"""What stands around the endpoint: how large a request may be, and the counting of all that are answered."""

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import orjson
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from endpoint.measures import Measures

MOST_BYTES = 16 * 1024**2
"""Of a request's body: ten thousand vectors of a hundred features take some 15 MB."""

LINGERS = 5.0
"""Seconds for which the rest of a body is still taken, and thrown away, where the answer does not need it.

Whoever is cut off while he sends reads no answer: his system tells him of a broken connection in its place.
"""


class Guarded:
    """Refuses what is too large before it is in memory, and counts and times each answer by its route."""

    def __init__(self, app: ASGIApp, measures: "Measures", most_bytes: int = MOST_BYTES) -> None:
        self.app, self.measures, self.most_bytes = app, measures, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless it is too large."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = _announced(scope)
        began, came, status, whole = time.perf_counter(), 0, 500, announced == 0

        async def counted() -> Message:
            nonlocal came, whole
            message = await receive()
            came += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if came > self.most_bytes:
                # Where more comes than was announced, whoever reads it is told, and answers that.
                raise HTTPException(413, self._says)
            return message

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif not whole and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await _thrown_away(receive)
                message = {"type": "http.response.body"}
            await send(message)

        try:
            if announced > self.most_bytes:
                await self._refuse(sent)
            else:
                await self.app(scope, counted, sent)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self.measures.answered(route, status, time.perf_counter() - began)

    @property
    def _says(self) -> str:
        most = self.most_bytes / 1024**2
        return f"Expected a body of at most {most:.0f} MiB, and more came. Send the vectors in parts."

    async def _refuse(self, send: Send) -> None:
        body = orjson.dumps({"status": "refused", "error": self._says})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _thrown_away(receive: Receive) -> None:
    """Take the rest of a body part by part, so that none of it is kept."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGERS):
            while (await receive()).get("more_body", False):
                pass


def _announced(scope: Scope) -> int:
    """Return how many bytes of a body a request announces; -1: a body of which it does not say how long it is."""
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    if length.isdigit():
        return int(length)
    return -1 if b"transfer-encoding" in headers else 0
