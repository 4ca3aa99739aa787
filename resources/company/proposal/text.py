"""How text files are written: which encoding, which delimiter, and whether names of columns stand above the values."""

import csv
import gzip
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, cast

from resources.company.choice import CompanyError
from resources.tables.files import BLANKS, DELIMITERS

LOOKED_AT = 2_000
"""Rows from which the delimiter and the place of the names are seen; everything else is seen from all rows."""

VALUE = re.compile(r"[-+(]?[$€£]?\d[\d.,:/ T-]*\)?")
"""What no column is called: a number, a date, an amount."""


@dataclass
class Text:
    """How a text file is written. Encoding and delimiter are empty where baton sees them by itself."""

    delimiter: str
    encoding: str
    names: list[str]
    notes: list[str] = field(default_factory=list)


def written(file: Path) -> Text:
    """Look at a text file.

    Raises:
        CompanyError: it has no names of columns, or two of one name.
    """
    encoding = _encoding(file)
    delimiter = _delimiter(file, encoding)
    with _lines(file, encoding) as opened:
        names = _names(_rows(opened, delimiter), file.name)
    found = Text("" if delimiter == _seen(file, encoding) else delimiter, encoding, names)
    if encoding == "utf-8-sig":
        found.encoding = ""
    elif encoding in ("latin-1", "cp1252"):
        found.notes.append(f"{file.name} is not UTF-8; it is read as {encoding}, in which every byte is a letter.")
    if delimiter == BLANKS:
        found.notes.append(f"{file.name}: its columns are aligned by blanks, and parted there.")
    return found


def _bytes(file: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(file) if file.suffix.lower() == ".gz" else file.open("rb"))


def _encoding(file: Path) -> str:
    """Return utf-8 where all bytes are; else latin-1, or cp1252 where bytes are used that latin-1 leaves empty."""
    latin, windows = False, False
    with _bytes(file) as opened:
        head = opened.read(2)
        if head in (b"\xff\xfe", b"\xfe\xff"):
            return "utf-16"
        rest = head
        while piece := opened.read(1 << 22):
            rest += piece
            # The last letter may go on in the next piece.
            cut = max(rest.rfind(b"\n") + 1, 1)
            block, rest = rest[:cut], rest[cut:]
            latin = latin or not _is_utf8(block)
            windows = windows or re.search(rb"[\x80-\x9f]", block) is not None
        latin = latin or not _is_utf8(rest)
        windows = windows or re.search(rb"[\x80-\x9f]", rest) is not None
    if not latin:
        return "utf-8-sig"
    return "cp1252" if windows else "latin-1"


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _lines(file: Path, encoding: str) -> IO[str]:
    return io.TextIOWrapper(_bytes(file), encoding=encoding, errors="replace", newline="")


def _rows(opened: IO[str], delimiter: str) -> Iterator[list[str]]:
    return (line.split() for line in opened) if delimiter == BLANKS else csv.reader(opened, delimiter=delimiter)


def _delimiter(file: Path, encoding: str) -> str:
    """Return the sign that cuts most of the first rows into one number of fields, above one."""
    best, chosen = (0.0, 0), ","
    for sign in (*DELIMITERS, BLANKS):
        with _lines(file, encoding) as opened:
            counts = Counter(len(row) for row in islice(_rows(opened, sign), LOOKED_AT) if row)
        if not counts:
            continue
        fields, rows = counts.most_common(1)[0]
        # Blanks part the words of texts, too: they are taken where nothing else parts a row.
        if fields > 1 and (sign != BLANKS or best == (0.0, 0)) and (score := (rows / counts.total(), fields)) > best:
            best, chosen = score, sign
    return chosen


def _seen(file: Path, encoding: str) -> str:
    """Return the delimiter that is found without being given: the one that makes most columns of the first row."""

    def columns(sign: str) -> int:
        with _lines(file, encoding) as opened:
            return len(next((row for row in csv.reader(opened, delimiter=sign) if row), []))

    return max(DELIMITERS, key=columns)


def _names(rows: Iterator[list[str]], name: str) -> list[str]:
    """Return the columns' names, which must stand in the first line."""
    filled = (row for row in rows if any(one.strip() for one in row))
    first = next(filled, None)
    if first is None:
        raise CompanyError(f"{name} is empty: not even names of columns stand in it.")
    # A title above the names is one field, or a few with nothing beside them.
    title, skipped = first, 0
    while sum(bool(one.strip()) for one in first) <= 1 and skipped < 20:
        following = next(filled, None)
        if following is None:
            break
        first, skipped = following, skipped + 1
    if skipped and len(first) > 1:
        raise CompanyError(
            f"{name}: the names of the columns must stand in its first line, and {skipped} other "
            f"line{'s' * (skipped > 1)} stand{'s' * (skipped == 1)} above them, such as {','.join(title)[:80]!r}. "
            "Take out what stands above."
        )
    values = [one for one in first if VALUE.fullmatch(one.strip())]
    if values and len(values) * 2 >= len(first):
        raise CompanyError(
            f"{name}: its first line holds values ({', '.join(map(repr, values[:3]))}) and no names. Write the names "
            "of its columns above it."
        )
    twice = [one for one, count in Counter(one.strip().lower() for one in first if one.strip()).items() if count > 1]
    if twice:
        raise CompanyError(
            f"{name}: {len(twice)} name{'s' * (len(twice) > 1)} stand above two columns: {', '.join(twice)}. Rename "
            "one of each."
        )
    return [one.strip() for one in first]
