"""One card as Markdown, for the web UI and a repository, and as one HTML page that needs nothing from elsewhere.

A company's names and sentences may hold anything, so both escape what they show.
"""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ml_models.model_card.card import Card, Column, Fact, Point, Section, Table

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "card.html.j2"

_MARKS = re.compile(r"([\\`*_\[\]<>|~&])")

CHART = 240
"""Width and height of the picture of calibration, in its own units."""

ANNEX = "The headings of Annex IV of Regulation (EU) 2024/1689"


def to_markdown(card: Card) -> str:
    """Return the card as Markdown with one heading of the first level."""
    lines = [f"# {_text(card.title)}", "", f"{_text(card.company)}. **{_text(card.standing)}**", ""]
    lines += [*(f"- {_text(one)}" for one in card.lead), ""] if card.lead else []
    if card.missing:
        lines += ["**This card is not complete.**", ""]
        lines += [f"- {_text(_heading(card, key))}: {_text(what)}" for key, what in card.missing.items()]
        lines += [""]
    for section in card.sections:
        lines += [f"## {_text(section.heading)}", "", *_section(section)]
    lines += [f"## {ANNEX}", "", *_table(annex_table(card))]
    return "\n".join(lines).rstrip() + "\n"


def to_html(card: Card, back: str = "") -> str:
    """Return the card as one HTML page: valid, readable on a phone and on paper, without scripts or other files.

    `back` is the address of the page that the reader came from, where it is one of several.
    """
    return _template().render(
        card=card,
        back=back,
        annex=annex_table(card),
        annex_heading=ANNEX,
        headings={section.key: section.heading for section in card.sections},
        chart=_chart,
        size=CHART,
    )


def annex_table(card: Card) -> Table:
    """Return which sections answer which heading of Annex IV, as a table."""

    def answered(point: Point) -> str:
        named = "; ".join(_heading(card, key) for key in point.sections)
        return ". ".join(one for one in (named, point.not_here.rstrip(".")) if one)

    return Table(
        "Which section answers which heading, told in our own words; no claim that the system conforms",
        "ml_models/model_card/annex_iv.py",
        (Column("point"), Column("what it asks for"), Column("where it is answered")),
        tuple((point.point, point.about, answered(point)) for point in card.annex_iv),
    )


@cache
def _template() -> "Template":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE)


def _heading(card: Card, key: str) -> str:
    return next((section.heading for section in card.sections if section.key == key), key)


def _section(section: Section) -> list[str]:
    lines = []
    for told in (section.absent, section.lacks):
        lines += [_text(told), ""] if told else []
    facts = [_fact(fact) for fact in section.facts]
    lines += [*facts, ""] if facts else []
    for table in section.tables:
        lines += _table(table)
    if section.sources:
        lines += [f"*Source: {_text('; '.join(section.sources))}*", ""]
    return lines


def _fact(fact: Fact) -> str:
    named = f"**{_text(fact.name)}**: " if fact.name else ""
    return f"- {named}{_text(fact.text)}"


def _table(table: Table) -> list[str]:
    heads = [_text(column.heading) for column in table.columns]
    marks = ["---" if column.kind == "text" else "---:" for column in table.columns]
    rows = [[_text(cell) for cell in row] for row in table.texts]
    return [f"{_text(table.caption)}:", "", *(f"| {' | '.join(row)} |" for row in (heads, marks, *rows)), ""]


def _text(text: str) -> str:
    """Return a text as Markdown shows it letter for letter, on one line."""
    marked = _MARKS.sub(r"\\\1", " ".join(text.split()))
    # What would begin a heading or a list.
    return re.sub(r"^(\d*)([-#+=.)])(?=[\s#]|$)", r"\1\\\2", marked)


def _chart(section: Section) -> list[tuple[float, float]]:
    """Return the points of the calibration curve in the picture's units, y downwards; none without a curve."""
    if section.key != "calibration" or not section.tables:
        return []
    found = []
    for *_, predicted, observed in section.tables[0].rows:
        if isinstance(predicted, int | float) and isinstance(observed, int | float):
            found.append((float(predicted), float(observed)))
    top = max((value for point in found for value in point), default=0.0) or 1.0
    return [(round(CHART * x / top, 1), round(CHART - CHART * y / top, 1)) for x, y in found]
