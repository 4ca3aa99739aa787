"""JSON whose numbers stay as they were written: a state's cursor may have more digits than a double holds."""

import json
from typing import Any


class Literal(float):
    """A number as a double, and as it was written."""

    def __new__(cls, text: str) -> "Literal":
        """Make it of its text."""
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str

    def __str__(self) -> str:
        return self.text


def loads(text: "str | bytes") -> Any:
    """Return what a JSON text says; its fractions are `Literal`."""
    return json.loads(text, parse_float=Literal)


def dumps(value: Any) -> str:
    """Return a value of `loads` as JSON text, with every fraction as it was written."""
    if isinstance(value, Literal):
        return value.text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))}: {dumps(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(dumps, value)) + "]"
    return json.dumps(value)
