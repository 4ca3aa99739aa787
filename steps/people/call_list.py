"""Whom to call, as a file for a spreadsheet."""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

_LINES = 1_000
"""Of a file, that are written at a time."""


def csv_of(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Yield a file of these columns piece by piece: a line of names, then a line a row."""
    lines = chain([columns], ([_cell(row[name]) for name in columns] for row in rows))
    # Excel takes a file without this mark for one of its own country's letters.
    yield codecs.BOM_UTF8
    while taken := list(islice(lines, _LINES)):
        text = io.StringIO()
        csv.writer(text).writerows(taken)
        yield text.getvalue().encode()


def _cell(value: object) -> object:
    """Return a value for a spreadsheet: a text that it would take for a formula gets a mark that says it is none."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
