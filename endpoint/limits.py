"""What stands around the endpoint: how large a request may be, and the counting of all that are answered."""

import time
from typing import TYPE_CHECKING

import orjson
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from endpoint.measures import Measures

MOST_BYTES = 16 * 1024**2
"""Of a request's body: ten thousand vectors of a hundred features take some 15 MB."""


class Guarded:
    """Refuses what is too large before it is in memory, and counts and times each answer by its route."""

    def __init__(self, app: ASGIApp, measures: "Measures", most_bytes: int = MOST_BYTES) -> None:
        self.app, self.measures, self.most_bytes = app, measures, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless it is too large."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, came, status = time.perf_counter(), 0, 500

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > self.most_bytes:
                # Where more comes than was announced, whoever reads it is told, and answers that.
                raise HTTPException(413, self._says)
            return message

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if _announced(scope) > self.most_bytes:
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
        # The rest is not read: the connection ends with this answer.
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _announced(scope: Scope) -> int:
    """Return how long a request says that it is; 0: it does not say."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
