"""Google's own description of BigQuery's interface, as Google's client for APIs brings it: what may be asked and said.

The document has the methods with their paths and parameters, and the types of all bodies. It says little on what must
be there and nothing on what a method does: that is written where it is answered.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

ROOT = "/bigquery/v2/"

PLAIN = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "object": dict, "array": list}

NUMBER = re.compile(r"-?[0-9]+")


class Method(NamedTuple):
    """A method of the interface, and what of the path it was called with."""

    id: str
    arguments: Mapping[str, str]
    parameters: Mapping[str, Any]
    request: str | None
    response: str | None


@cache
def document() -> dict[str, Any]:
    """Return the discovery document of BigQuery, version 2."""
    file = files("googleapiclient.discovery_cache") / "documents" / "bigquery.v2.json"
    found: dict[str, Any] = json.loads(file.read_text())
    return found


@cache
def _methods() -> list[tuple[str, re.Pattern[str], dict[str, Any]]]:
    found = []
    for resource in document()["resources"].values():
        for one in resource["methods"].values():
            path = re.sub(r"\{\+?(\w+)\}", r"(?P<\1>[^/]+)", one["path"])
            found.append((one["httpMethod"], re.compile(ROOT + path), one))
    return found


def method_of(verb: str, path: str) -> Method | None:
    """Return the method that a request calls; None when the interface has none there."""
    for method, pattern, about in _methods():
        called = pattern.fullmatch(path)
        if method == verb and called:
            bodies = (about.get(one, {}).get("$ref") for one in ("request", "response"))
            return Method(about["id"], called.groupdict(), about["parameters"] | document()["parameters"], *bodies)
    return None


def against(type_name: str, body: Any) -> list[str]:
    """Return what in a body is not as its type says: fields that it has not, other kinds of values."""
    return list(_against(document()["schemas"][type_name], body, type_name))


def _against(about: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
    if "$ref" in about:
        about = document()["schemas"][about["$ref"]]
    kind = about.get("type", "any")
    if kind == "any":
        return
    if not isinstance(value, PLAIN[kind]) or (kind == "integer" and isinstance(value, bool)):
        yield f"{where}: expected {kind}, got {value!r}"
    elif kind == "array":
        for number, one in enumerate(value):
            yield from _against(about["items"], one, f"{where}[{number}]")
    elif kind == "object" and "properties" in about:
        for name, one in value.items():
            if name in about["properties"]:
                yield from _against(about["properties"][name], one, f"{where}.{name}")
            else:
                yield f"{where} has no {name}"
    elif kind == "object":
        for name, one in value.items():
            yield from _against(about.get("additionalProperties", {}), one, f"{where}.{name}")
    elif "enum" in about and value not in about["enum"]:
        yield f"{where}: {value!r} is none of {', '.join(about['enum'])}"
    elif about.get("format") in ("int64", "uint64") and not NUMBER.fullmatch(value):
        yield f"{where}: expected a number as text, got {value!r}"
