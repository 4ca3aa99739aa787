"""What a card is: sections of facts and tables, each with its source; and whether one is empty.

A card is plain data. It is kept as JSON, and every page of it is made of that.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

FORMAT = 1
"""Raise it when the JSON's shape changes; a reader of an older one then knows."""

Kind = Literal["text", "count", "score", "factor", "percent"]
"""How a number is shown: thousands, four digits, two digits, a share in percent."""

Value = str | int | float | None

NOTHING = "-"


@dataclass(frozen=True)
class Fact:
    """One fact: a sentence, or a value under a name. `source`: the table, artefact or file that it is read from."""

    value: Value
    source: str
    name: str = ""
    kind: Kind = "text"

    @property
    def text(self) -> str:
        """The value as people read it."""
        return shown(self.value, self.kind)


@dataclass(frozen=True)
class Column:
    """A table's column: its heading, and how its numbers are shown."""

    heading: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Table:
    """Rows under a caption; the first column names the row."""

    caption: str
    source: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]

    @property
    def texts(self) -> list[list[str]]:
        """The cells as people read them."""
        return [
            [shown(value, column.kind) for value, column in zip(row, self.columns, strict=True)] for row in self.rows
        ]


@dataclass(frozen=True)
class Section:
    """A part of the card.

    `absent` says in a sentence why there is no fact, where that is as it should be: no week was judged yet, or an
    earlier release recorded none. `lacks` says what must be there and is not; a section without anything lacks all.
    """

    key: str
    heading: str
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()
    absent: str = ""
    lacks: str = ""

    @property
    def missing(self) -> str:
        """What is missing, in words; empty where the section is complete."""
        if self.lacks:
            return self.lacks
        return "" if self.facts or self.tables or self.absent else "it holds nothing"

    @property
    def sources(self) -> list[str]:
        """Where the section's facts come from, each once."""
        return list(dict.fromkeys([*(fact.source for fact in self.facts), *(table.source for table in self.tables)]))


@dataclass(frozen=True)
class Point:
    """One heading of a regulation: where it stands there, what it is about in our words, and which sections answer.

    `not_here` says what the card cannot answer, and who can.
    """

    point: str
    about: str
    sections: tuple[str, ...] = ()
    not_here: str = ""


@dataclass(frozen=True)
class Card:
    """The card of one version. `standing`: whether it serves, in a sentence; `lead`: what a hurried reader needs."""

    model: str
    version: int
    title: str
    company: str
    standing: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]
    annex_iv: tuple[Point, ...]

    @property
    def missing(self) -> dict[str, str]:
        """The sections that are not complete, by key, and what they lack; empty for a complete card."""
        return {section.key: section.missing for section in self.sections if section.missing}

    def to_json(self) -> str:
        """Return the card as JSON, the same digits for the same facts."""
        held = {"format": FORMAT, "complete": not self.missing, "missing": self.missing, **asdict(self)}
        return json.dumps(_plain(held), indent=1, ensure_ascii=False, allow_nan=False)


def from_json(text: str) -> Card:
    """Return the card that `to_json` wrote.

    Raises:
        ValueError: it is none, or one of a later release.
    """
    try:
        held = json.loads(text)
        if held["format"] > FORMAT:
            raise ValueError(f"a card of format {held['format']}, which a later release wrote; this one reads {FORMAT}")
        return Card(
            **{name: held[name] for name in ("model", "version", "title", "company", "standing")},
            lead=tuple(held["lead"]),
            sections=tuple(_section(one) for one in held["sections"]),
            annex_iv=tuple(Point(**{**one, "sections": tuple(one["sections"])}) for one in held["annex_iv"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"Expected a model's card as JSON, and it lacks {error}. `make run` writes it anew."
        ) from error


def shown(value: Value, kind: Kind) -> str:
    """Return a value as people read it.

    >>> shown(38346, "count"), shown(0.85094, "score"), shown(3.8952, "factor"), shown(0.1014, "percent")
    ('38,346', '0.8509', '3.90', '10.1 %')
    >>> shown(None, "score"), shown("as it is", "score")
    ('-', 'as it is')
    """
    if value is None or value == "":
        return NOTHING
    if isinstance(value, str):
        return value
    match kind:
        case "count":
            return f"{value:,.0f}"
        case "score":
            return f"{value:.4f}"
        case "factor":
            return f"{value:.2f}"
        case "percent":
            return f"{100 * value:.1f} %"
        case _:
            return str(value)


def number(value: Any) -> int | float | None:
    """Return a number as JSON has it; None for nan, infinity and nothing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return int(value) if isinstance(value, bool | int) else float(value)


def _section(held: Mapping[str, Any]) -> Section:
    return Section(
        key=held["key"],
        heading=held["heading"],
        facts=tuple(Fact(**one) for one in held["facts"]),
        tables=tuple(
            Table(
                one["caption"],
                one["source"],
                tuple(Column(**column) for column in one["columns"]),
                tuple(tuple(row) for row in one["rows"]),
            )
            for one in held["tables"]
        ),
        absent=held["absent"],
        lacks=held["lacks"],
    )


def _plain(value: Any) -> Any:
    """Return what JSON can hold: numbers that are none become null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def sentences(texts: Iterator[str] | tuple[str, ...] | list[str], source: str) -> tuple[Fact, ...]:
    """Return texts as facts of one source; blank ones are none."""
    return tuple(Fact(text.strip(), source) for text in texts if text.strip())
