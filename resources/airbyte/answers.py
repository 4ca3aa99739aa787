"""What an Airbyte server answers: what is read of it, what a refusal means, and how it is quoted without secrets.

Here belongs what can be said of an answer that is there; `client` makes the requests and makes them again.
"""

import contextlib
import html
import json
import math
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests

from resources.airbyte.jobs import Job
from resources.airbyte.protocol import AirbyteError

Read = TypeVar("Read")

PAGE_CHARS = 60
"""How much is quoted of what is not in Airbyte's own words."""


class AirbyteUnavailableError(AirbyteError):
    """The server could not be asked, now; asking later may work. `wait` is what it asked for, in seconds."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class AirbyteConflictError(AirbyteError):
    """The server refuses because of what runs already (409)."""


class AirbyteGoneError(AirbyteError):
    """Airbyte itself says that it has no such connection, destination or job."""


@dataclass(frozen=True)
class Trouble:
    """Why a request should be made again, later."""

    why: str
    wait: float = 0.0


def jobs_of(answer: Mapping[str, Any]) -> list[Job]:
    """Return the jobs of a JobsResponse, newest first.

    Raises:
        ValueError: it lists something else.
    """
    listed = answer["data"]
    # An empty object or text would pass for a connection without jobs, and a second sync be started.
    if not isinstance(listed, list):
        raise ValueError(f"its data is no list but {listed!r}")
    return sorted((Job.of(one) for one in listed), key=lambda job: job.id, reverse=True)


def token_of(answer: Mapping[str, Any]) -> str:
    """Return the token of an answer.

    Raises:
        ValueError: it could not be sent in a header. It is not repeated: it may be a token all the same.
    """
    token = answer["access_token"]
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
        raise ValueError("its access_token is no text that a header can hold")
    return token


def read_answer(
    response: requests.Response,
    expects: Sequence[str],
    read: Callable[[Mapping[str, Any]], Read],
    short: Callable[[requests.Response], str],
    safe: Callable[[str], str],
) -> Read | Trouble:
    """Return what `read` makes of an answer, an object with the keys `expects`; or why it cannot be read.

    `short` puts an answer in short, `safe` is a text without secrets.
    """
    try:
        answer = response.json()
    except ValueError:
        return Trouble(f"what came is no JSON: {short(response)}")
    missing = [key for key in expects if not isinstance(answer, dict) or answer.get(key) is None]
    if missing or not isinstance(answer, dict):
        keys = safe(", ".join(sorted(answer)[:8])) if isinstance(answer, dict) else type(answer).__name__
        return Trouble(f"what came lacks {', '.join(missing) or 'an object'} (it has: {keys or 'nothing'})")
    try:
        return read(answer)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Trouble(f"what came cannot be read: {safe(str(error))}")


def refusal(
    response: requests.Response, request: str, answered: str, host: str, credentials: str, *, about: str, signed: bool
) -> AirbyteError:
    """Return what an answer that is no success means, as the error to raise.

    `request` and `answered` are the request and the answer in short, without secrets, and `host` is who was asked.
    `credentials` names what it was signed with, `about` what it was for ("": nothing that could be gone). A request
    that is not `signed` asks for a token.
    """
    status = response.status_code
    if status < 400:
        where = host_of(response.headers.get("Location") or "")
        return AirbyteError(
            f"Expected an answer from Airbyte to {request}, but it points to {where or 'another address'}. Set "
            "AIRBYTE_URL to the address where the server itself answers (https or http, host, path).",
            "config_error",
        )
    if status == 401 or (status in (400, 403, 422) and not signed):
        return AirbyteError(
            f"Expected Airbyte to accept {credentials}, but it answered {answered} to {request}. Set them to "
            "an application or a user of this server.",
            "config_error",
        )
    if status == 403:
        return AirbyteError(
            f"Expected {credentials} to be allowed {request}, but Airbyte answered {answered}. Give its owner "
            "a role in the workspace that may run syncs. What belongs to another workspace is refused so, too.",
            "config_error",
        )
    # The public API says 400 where the Configuration API says 404.
    if status == 404 or "resource-not-found" in answered:
        if about:
            # A page that says 404 is of a proxy, which does not know what Airbyte has.
            gone = AirbyteError if object_of(response) is None else AirbyteGoneError
            return gone(
                f"Expected {about} at {host}, but Airbyte answered {answered} to {request}. If it was deleted or "
                "made anew, refresh the snapshot by `python -m commands.airbyte`; if the whole server is another, "
                "correct AIRBYTE_URL and AIRBYTE_WORKSPACE_ID.",
                "config_error",
            )
        return AirbyteError(
            f"Expected Airbyte's API at {host}, but it answered {answered} to {request}. Set AIRBYTE_URL to the "
            "server's address without any path of the API, and AIRBYTE_WORKSPACE_ID to a workspace of it.",
            "config_error",
        )
    if status == 409:
        return AirbyteConflictError(
            f"Expected Airbyte to do {request}, but it answered {answered}. Look at what runs for {about} in Airbyte."
        )
    return AirbyteError(
        f"Expected an answer from Airbyte to {request}, but it answered {answered}. It may be of a version with "
        "another API.",
        "config_error",
    )


def object_of(response: requests.Response) -> dict[str, Any] | None:
    """Return the JSON object that an answer is; None if it is something else."""
    with contextlib.suppress(ValueError):
        body = response.json()
        return body if isinstance(body, dict) else None
    return None


def in_short(response: requests.Response, masked: Callable[[str], str]) -> str:
    """Return an answer in short: the status and Airbyte's own words, or how a page of something else begins."""
    body = object_of(response)
    if body is not None:
        inner = body.get("data")
        words = [body.get("title"), body.get("detail"), body.get("message"), body.get("error")]
        words.append(inner.get("message") if isinstance(inner, dict) else None)
        text = ": ".join(dict.fromkeys(str(word) for word in words if word))
    else:
        kind = response.headers.get("Content-Type", "no type").split(";")[0]
        # Masked before it is cut: of half a secret nobody would know that it is one.
        start = " ".join(masked(response.text).split())[:PAGE_CHARS]
        text = f"{kind} that begins {start!r}"
    return f"{response.status_code} ({text})" if text else str(response.status_code)


def without_secrets(text: str, pairs: Sequence[tuple[str | None, str | None]], token: str | None) -> str:
    """Return a text with *** where it holds a secret of these pairs (a name and its secret), or a token."""
    # As a header of basic authentication holds them; whether the padding is kept gives nothing away.
    headers = [b64encode(f"{name}:{secret}".encode()).decode().rstrip("=") for name, secret in pairs if secret]
    secrets = [*headers, *(secret for _, secret in pairs), token]
    # The longest first, as one may be the beginning of another.
    patterns = [_echo(secret) for secret in sorted(filter(None, secrets), key=len, reverse=True)]
    # A token that is only just arriving is not known yet.
    patterns.append(r"(?<=access_token)[\s\\\"']*[:=][\s\\\"']*[^\s\\\"',&}]+")
    return re.sub("|".join(patterns), "***", text, flags=re.IGNORECASE)


def _echo(secret: str) -> str:
    """Return a pattern of a text, as it is or as it is written in an address, in JSON, in HTML or by Python."""
    return "".join(char if char.isascii() and char.isalnum() else _written(char) for char in secret)


def _written(char: str) -> str:
    code = ord(char)
    forms = {
        char,
        json.dumps(char)[1:-1],
        repr(char)[1:-1],
        repr(char.encode())[2:-1],
        f"u{code:04x}",
        "".join(f"%{one:02x}" for one in char.encode()),
    }
    forms |= {html.escape(char), f"&#{code};", f"&#x{code:x};"} | ({"+"} if char == " " else set())
    # JSON within JSON has more than one backslash before a character.
    return rf"\\*(?:{'|'.join(re.escape(form) for form in sorted(forms, key=len, reverse=True))})"


def retry_after(response: requests.Response) -> float:
    """Return the seconds that `Retry-After` asks for, as a number or a date; 0 if it does not ask."""
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    return 0.0


def host_of(url: str) -> str:
    """Return scheme, host and port of an address, without credentials."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if host else ""


def root_of(error: BaseException) -> str:
    """Return the innermost reason of a failed request, without the address that surrounds it."""
    reason: Any = error
    while True:
        inner = getattr(reason, "reason", None) or (reason.args[0] if getattr(reason, "args", ()) else None)
        if not isinstance(inner, BaseException):
            break
        reason = inner
    text = str(reason.args[-1] if getattr(reason, "args", ()) else reason)
    return re.sub(r"^<?.*?object at 0x[0-9a-f]+>?: ?", "", text) or type(reason).__name__


def in_words(number: float) -> str:
    """Return seconds as a person says them."""
    if number >= 7200:
        return f"{number / 3600:.1f} h"
    if number >= 120:
        return f"{number / 60:.0f} min"
    return f"{number:.3g} s" if number < 10 else f"{math.ceil(number)} s"
