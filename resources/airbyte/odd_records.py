"""Puts records right that the fast way cannot take, one by one, and says what was changed and how often.

A change is noted in the record's `meta.changes`, where Airbyte's destinations note theirs; it lands as `_airbyte_meta`.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from resources.airbyte import exact_json
from resources.airbyte.exact_json import Literal
from resources.airbyte.plans import SCHEMALESS_COLUMN, StreamPlan
from resources.airbyte.protocol import AirbyteError

SAMPLE_BYTES, SAMPLE_PIECES = 1 << 20, 16
"""How much of a large file is looked through for columns that the catalog lacks; a smaller one is read as a whole."""
EXACT = 1 << 53
"""Up to here a double holds every whole number."""
SMALLEST, LARGEST = -(1 << 63), (1 << 63) - 1
WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
TIMED = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](?!00:00(:00(\.0*)?)?(Z|[+-]00(:?00)?)?$).+")
"""A day with a time of day that is not midnight."""
SURROGATE = re.compile("[\ud800-\udfff]")
Change = tuple[str, ...]
NULLED: Change = ("NULLED", "DESTINATION_TYPECAST_ERROR")
NO_TRUTH: Change = (*NULLED, "boolean")
TRUNCATED = ("TRUNCATED", "DESTINATION_FIELD_SIZE_LIMITATION")
CUT = ("TRUNCATED", "DESTINATION_TYPECAST_ERROR")
REPLACED = ("TRUNCATED", "DESTINATION_SERIALIZATION_ERROR")
"""What was done to a value and why, in the protocol's words; a third word tells ours apart."""
SENTENCES = {
    NULLED: "{count:,} new records have NaN or an infinity in {column}, which is no number; it landed as null",
    NO_TRUTH: "{count:,} new records have a number in {column} that is neither 0 nor 1, and so no yes or no; it landed "
    "as null",
    TRUNCATED: "{count:,} new records have a number in {column} that a double cannot hold; the nearest one landed",
    CUT: "{count:,} new records have a time of day in {column}, which holds days; the day landed",
    REPLACED: "{count:,} new records have half a character in {column}; it landed as \N{REPLACEMENT CHARACTER}",
}


@dataclass(frozen=True)
class Mended:
    """The records of a file, put right, in a file of its own. `longest` is its longest record in bytes."""

    file: Path
    longest: int
    notes: tuple[str, ...]


@dataclass
class _Work:
    """Records of a stream that are put right."""

    stream: StreamPlan
    changed: "Counter[tuple[str, Change]]" = field(default_factory=Counter)
    unfit: "Counter[str]" = field(default_factory=Counter)
    first: dict[str, tuple[Any, int]] = field(default_factory=dict)

    def line(self, line: bytes, place: int) -> bytes:
        """Return a RECORD line, put right; the very line if there is nothing to do."""
        # A byte that is no UTF-8 becomes half a character, and is treated as one.
        text = line.decode("utf-8", "surrogateescape")
        try:
            message = exact_json.loads(text)
        except ValueError as error:
            raise AirbyteError(
                f"Stream {self.stream.name}: expected every RECORD message to be JSON, but new record {place:,} is "
                f"not: {error}. It begins with {text[:200]!r}. None of these records was kept."
            ) from error
        record = message.get("record") if isinstance(message, dict) else None
        data = record.get("data") if isinstance(record, dict) else None
        emitted = record.get("emitted_at") if isinstance(record, dict) else None
        if not isinstance(record, dict) or not isinstance(data, dict):
            raise AirbyteError(
                f"Stream {self.stream.name}: expected an object as the data of every record, but new record {place:,} "
                f"has {_short(data)}. None of these records was kept."
            )
        if emitted is not None and not (isinstance(emitted, int | float) and abs(emitted) < EXACT):
            raise AirbyteError(
                f"Stream {self.stream.name}: expected emitted_at in milliseconds in every record, but new record "
                f"{place:,} has {_short(emitted)}. None of these records was kept."
            )
        changes = self._put_right(data, place)
        if changes:
            meta = record["meta"] if isinstance(record.get("meta"), dict) else {}
            told = [{"field": column, "change": how[0], "reason": how[1]} for column, how in changes.items()]
            record["meta"] = {**meta, "changes": [*(meta.get("changes") or []), *told]}
            self.changed.update(changes.items())
        return json.dumps(message).encode() + b"\n"

    def _put_right(self, data: dict[str, Any], place: int) -> dict[str, Change]:
        """Put the values of a record right where they stand; return what was done, by column."""
        changes: dict[str, Change] = {}
        if SCHEMALESS_COLUMN in self.stream.columns:
            data.update({column: _plain(value, column, changes) for column, value in data.items()})
            return changes
        for column, kind in self.stream.columns.items():
            value = data.get(column)
            if value is None:
                continue
            if kind in ("BIGINT", "DOUBLE") and not isinstance(value, bool):
                data[column], fits = self._number(value, column, kind, changes)
                if not fits:
                    self.unfit[f"{kind} {column}"] += 1
                    self.first.setdefault(f"{kind} {column}", (value, place))
            elif kind == "BOOLEAN" and isinstance(value, int | float):
                data[column] = None if value not in (0, 1) else bool(value)
                if value not in (0, 1):
                    changes[column] = NO_TRUTH
            else:
                data[column] = _plain(value, column, changes)
                if kind == "DATE" and isinstance(value, str) and (timed := TIMED.fullmatch(value.strip())):
                    data[column] = timed.group(1)
                    changes[column] = CUT
        return changes

    def _number(
        self, value: Any, column: str, kind: str, changes: dict[str, Change]
    ) -> tuple[int | float | None, bool]:
        """Return a value as a number (None: it is not finite), and whether it is one that the column can hold."""
        if isinstance(value, str):
            text = value.strip()
            if NOT_FINITE.fullmatch(text):
                value = math.nan
            elif WHOLE.fullmatch(text):
                value = int(text.partition(".")[0])
            elif NUMBER.fullmatch(text):
                value = Literal(text)
        if not isinstance(value, int | float):
            return None, False
        if isinstance(value, float) and not math.isfinite(value):
            changes[column] = NULLED
            return None, True
        if kind == "BIGINT":
            exact = int(Decimal(value.text)) if isinstance(value, Literal) else int(value)
            whole = exact == (Decimal(value.text) if isinstance(value, Literal) else value)
            return (exact, whole and SMALLEST <= exact <= LARGEST)
        if isinstance(value, int) and abs(value) > EXACT and value != _nearest(value):
            if column in {path[0] for path in (*self.stream.primary_key, self.stream.cursor) if path}:
                raise AirbyteError(
                    f"Stream {self.stream.name}: its column {column} tells records apart or orders them, and the "
                    f"catalog has it as a number, but {value} is one that a double cannot hold: it would be taken for "
                    f"another. None of these records was kept. Give {column} the type integer or string in the "
                    "connection's catalog, and reset the stream if it has a table already.",
                    "config_error",
                )
            changes[column] = TRUNCATED
        return value, True


def _nearest(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _plain(value: Any, column: str, changes: dict[str, Change]) -> Any:
    """Return a value without what JSON cannot say, and note what was done to the column."""
    if isinstance(value, str) and SURROGATE.search(value):
        changes[column] = REPLACED
        return SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, float) and not math.isfinite(value):
        changes[column] = NULLED
        return None
    if isinstance(value, list):
        return [_plain(one, column, changes) for one in value]
    if isinstance(value, dict):
        return {_plain(key, column, changes): _plain(one, column, changes) for key, one in value.items()}
    return value


def mended(stream: StreamPlan, file: Path, target: Path) -> Mended:
    """Put the records of a file right, in the file `target`.

    Raises:
        AirbyteError: a record is none, or a number is none; the sentence names column, count, position and an example.
    """
    work = _Work(stream)
    longest = 0
    with file.open("rb") as lines, target.open("wb") as out:
        for place, line in enumerate(lines, start=1):
            if line.strip():
                put_right = work.line(line, place)
                longest = max(longest, len(put_right))
                out.write(put_right)
    for what, count in work.unfit.items():
        kind, _, column = what.partition(" ")
        example, place = work.first[what]
        raise AirbyteError(does_not_fit(stream, column, kind, count, example, place), "config_error")
    notes = [
        f"{stream.name}: " + SENTENCES[how].format(count=count, column=column)
        for (column, how), count in work.changed.items()
    ]
    return Mended(target, longest, tuple(notes))


def does_not_fit(stream: StreamPlan, column: str, kind: str, count: int, example: object, place: int) -> str:
    """Return the sentence about values that do not fit their column; `place` is the first one's."""
    return (
        f"Stream {stream.name}: expected {kind} in column {column}, but {count:,} of its new records have something "
        f"else, such as {str(example)[:80]!r} (new record {place:,}). None of these records was kept. Put the source "
        "right, or discover its catalog anew if the column changed its type."
    )


def unlisted_columns(stream: StreamPlan, file: Path) -> dict[str, int]:
    """Return how many records have each column that the catalog lacks.

    A large file is looked through in pieces first, and counted as a whole if there is such a column in one of them.
    """
    if SCHEMALESS_COLUMN in stream.columns:
        return {}
    size = file.stat().st_size
    found = _unlisted(stream, _sample(file, size))
    if found and size > SAMPLE_BYTES:
        with file.open("rb") as lines:
            return dict(_unlisted(stream, lines))
    return dict(found)


def _unlisted(stream: StreamPlan, lines: Iterable[bytes]) -> "Counter[str]":
    found: Counter[str] = Counter()
    known = stream.columns.keys()
    for line in lines:
        try:
            data = json.loads(line)["record"]["data"]
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(data, dict) and not data.keys() <= known:
            found.update(data.keys() - known)
    return found


def _sample(file: Path, size: int) -> Iterator[bytes]:
    """Yield whole lines of a file: all of a small one, of a larger one those in pieces from all over it."""
    with file.open("rb") as lines:
        if size <= SAMPLE_BYTES:
            yield from lines
            return
        piece = SAMPLE_BYTES // SAMPLE_PIECES
        for number in range(SAMPLE_PIECES):
            lines.seek(number * (size - piece) // (SAMPLE_PIECES - 1))
            part = lines.read(piece).split(b"\n")
            # The first line of a piece began before it, the last one ends after it.
            yield from part[1:-1]


def _short(value: Any) -> str:
    return json.dumps(value)[:80]
