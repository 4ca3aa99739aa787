"""What every answer says to a browser: run no script, load nothing from elsewhere, be shown in no other page.

One page has a script of ours, and says so for itself.
"""

import base64
import hashlib

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Customers are nobody else's business: no copy stays in a cache.
    "Cache-Control": "no-store",
}


def with_its_style(html: str) -> dict[str, str]:
    """Return the header of a page that bears its own style: that one is let in, by its digest, and no other."""
    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return {"Content-Security-Policy": POLICY.replace("style-src 'self'", f"style-src 'sha256-{digest}'")}


WITH_OUR_SCRIPT = {"Content-Security-Policy": f"{POLICY}; script-src 'self'; connect-src 'self'"}
"""The header of a page that lets a file of ours run, which asks this application and nobody else."""


class SafeHeaders:
    """Adds these headers to every answer of an application that does not have its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back with the headers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers)
