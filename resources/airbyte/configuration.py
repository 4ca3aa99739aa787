"""A connection's configuration: filled in when a sync begins, changed by the source, and kept out of every text.

A source may hand back another configuration than it was given (a CONTROL message): a token that can be used once only,
and its successor. What it changed is kept in a private file beside the warehouse. A kept value is in force as long as
the company's file and the environment say what they said when it came; when a person changes them, theirs is the newer.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from resources.airbyte import exact_json
from resources.airbyte.protocol import AirbyteError
from resources.folders import make_private, write_whole
from resources.secrets import HIDDEN

PLACEHOLDER = re.compile(r"\$\{(clock|env:([A-Za-z_][A-Za-z0-9_]*))\}")
SECRET_NAME = re.compile(r"(?i)(key|token|secret|passw(or)?d|credentials?|private)s?$")
SHORTEST_SECRET = 4
"""A shorter text is no secret, and hiding it would garble every sentence."""

Path_ = tuple[str, ...]


@dataclass(frozen=True)
class Configuration:
    """What a connector is given. `filled` is what the company's file and the environment say, `kept_in` the file."""

    filled: Mapping[str, Any]
    secrets: frozenset[str]
    kept_in: Path

    def given(self) -> dict[str, Any]:
        """Return the configuration with what the source changed in it.

        Raises:
            AirbyteError: the file of kept values cannot be read.
        """
        given: dict[str, Any] = json.loads(json.dumps(self.filled))
        for path, value in self._kept():
            inner = given
            for step in path[:-1]:
                inner = inner.setdefault(step, {})
            inner[path[-1]] = value
        return given

    def keep(self, changed: Mapping[str, Any]) -> list[str]:
        """Keep what a source changed in its configuration; return the names of it, without values."""
        before = dict(_leaves(self.filled))
        after = dict(_leaves(changed))
        rows = [
            {"path": list(path), "instead_of": _digest(before.get(path)), "value": value}
            for path, value in after.items()
            if before.get(path) != value
        ]
        make_private(self.kept_in.parent)
        # A token that its source gives once only: it has to outlast whatever ends this machine.
        write_whole(self.kept_in, exact_json.dumps(rows), mode=0o600)
        return [".".join(row["path"]) for row in rows]

    def hides(self) -> "Hider":
        """Return what hides the secrets of this configuration in a text."""
        return Hider(self.secrets | secrets_in(self.given()))

    def _kept(self) -> Iterator[tuple[Path_, Any]]:
        try:
            text = self.kept_in.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        before = dict(_leaves(self.filled))
        try:
            for row in json.loads(text):
                path = tuple(row["path"])
                if _digest(before.get(path)) == row["instead_of"]:
                    yield path, row["value"]
        except (ValueError, KeyError, TypeError) as error:
            raise AirbyteError(
                f"Expected in {self.kept_in} what the source changed in its configuration, but it cannot be read: "
                f"{error!r}. Remove the file, and renew the connection's tokens in the environment.",
                "config_error",
            ) from error


class Hider:
    """Hides secrets in texts; more can be added, as a source says them."""

    def __init__(self, secrets: frozenset[str] = frozenset()) -> None:
        self._forms: set[str] = set()
        self.add(secrets)

    def add(self, secrets: "frozenset[str] | set[str]") -> None:
        """Hide these as well, also as they stand in an address or in JSON."""
        for one in secrets:
            if len(one) >= SHORTEST_SECRET:
                self._forms |= {one, quote(one, safe=""), json.dumps(one)[1:-1]}

    def __call__(self, text: str) -> str:
        """Return the text with `…` in the place of each secret."""
        # The longest first: a secret may be a part of another.
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, HIDDEN)
        return text


def secrets_in(config: Mapping[str, Any]) -> set[str]:
    """Return the values in a configuration whose names say that they are secret."""
    found = [value for path, value in _leaves(config) if _is_secret(path)]
    return {one for value in found for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)}


def filled(template: Mapping[str, Any], now: datetime, connection: str) -> tuple[dict[str, Any], frozenset[str]]:
    """Return a configuration with `${clock}` and `${env:NAME}` filled in, and the secrets in it.

    Raises:
        AirbyteError: a variable is not set.
    """
    found: set[str] = set()

    def replacement(match: "re.Match[str]") -> str:
        if match.group(1) == "clock":
            return now.isoformat()
        secret = os.environ.get(match.group(2))
        if secret is None:
            raise AirbyteError(
                f"Connection {connection}: expected the environment variable {match.group(2)}, which its "
                "configuration refers to, but it is not set. Set it and run again.",
                "config_error",
            )
        found.add(secret)
        return secret

    done: dict[str, Any] = _mapped(dict(template), lambda text: PLACEHOLDER.sub(replacement, text))
    return done, frozenset(found | secrets_in(done))


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _mapped(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mapped(inner, change) for inner in value]
    return change(value) if isinstance(value, str) else value


def _leaves(value: Mapping[str, Any], before: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _leaves(inner, (*before, str(key)))
        else:
            yield (*before, str(key)), inner


def _is_secret(path: Path_) -> bool:
    return bool(SECRET_NAME.search(path[-1]))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
