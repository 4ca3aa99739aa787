"""The card of a version of a problem beside the first: the same plain card, of fewer sections."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_models.model_card.card import Card, Column, Fact, Point, Section, Table, Value, sentences
from ml_models.problems.contract import Problem, Ranking

RECORD = "evidence.json in MLflow"

Record = Mapping[str, Any]
"""A row of what was measured."""


@dataclass(frozen=True)
class FurtherCardFacts:
    """Everything about one version.

    `promotions`: promoted_at, reason, oldest first. `evidence`: what was measured when it was trained; `unreadable`:
    why that cannot be read. `live`: rows of its performance by cutoff, `weeks`: of its decisions, oldest first.
    """

    problem: Problem | Ranking
    company: str
    model: str
    version: int
    algorithm: str
    serving: bool
    rolled_back: str
    promotions: Sequence[Mapping[str, Any]]
    evidence: Mapping[str, Any]
    unreadable: str
    live: Sequence[Mapping[str, Any]]
    weeks: Sequence[Mapping[str, Any]]
    owner: str


@dataclass(frozen=True)
class Measured:
    """What is told of a kind of problem alone.

    `lead`: a sentence on how good it is, "" where that is not known. `means`: what the tables beside plain rules and by
    slice hold, in words; `columns` of them behind the first, and the `cells` of a row. `live`: what its newest judged
    cutoff came to.
    """

    lead: str
    means: str
    columns: tuple[Column, ...]
    cells: Callable[[Record], tuple[Value, ...]]
    live: tuple[Fact, ...]


def further_card(facts: FurtherCardFacts, measured: Measured) -> Card:
    """Return the card of a version. What could not be gathered is said in its section; nothing is invented."""
    texts, found = facts.problem.texts, facts.evidence
    lead = [f"Model: {facts.algorithm}; trained through {found.get('trained_through', 'not recorded')}."]
    if measured.lead:
        lead.append(measured.lead)
    lacks = facts.unreadable
    said = [
        Fact(f"{week['action']}: {week['reason']}", "decisions", f"{week['cutoff']:%Y-%m-%d}") for week in facts.weeks
    ]
    return Card(
        model=facts.model,
        version=facts.version,
        title=f"{texts.title or facts.problem.name}, version {facts.version}",
        company=facts.company,
        standing=_standing(facts),
        lead=tuple(lead),
        sections=(
            *(
                Section(key, heading, sentences(list(getattr(texts, key)), f"ml_models/problems/{facts.problem.name}"))
                for key, heading in (
                    ("purpose", "What it is for"),
                    ("out_of_scope", "What it is not for"),
                    ("data", "Data"),
                    ("label", "What is predicted"),
                    ("limits", "Limits"),
                    ("oversight", "What people do beside it"),
                )
            ),
            Section(
                "metrics",
                "Beside plain rules",
                tables=_tables(found.get("comparison", ()), "model", "weeks held out", measured),
                lacks=lacks,
            ),
            Section(
                "slices",
                "By slice",
                tables=_tables(found.get("slices", ()), "slice_value", "slices of them", measured),
                lacks=lacks,
            ),
            Section("gate", "The gate", _gates(found), lacks=lacks),
            Section(
                "monitoring",
                "Since then",
                (*said, *measured.live),
                absent="" if facts.weeks else "No week was judged yet.",
            ),
            Section("owners", "Who answers for it", (Fact(facts.owner, "company.toml", "predicts and judges"),)),
        ),
        annex_iv=ANNEX,
    )


ANNEX = (
    Point("1", "general description", ("purpose", "out_of_scope", "data", "label")),
    Point("2", "how it was developed and validated", ("metrics", "slices", "gate")),
    Point("3", "monitoring and control", ("monitoring", "oversight", "limits")),
)
"""Headings of Annex IV, and which sections answer them."""


def _standing(facts: FurtherCardFacts) -> str:
    if facts.serving:
        since = f" since {facts.promotions[-1]['promoted_at']:%Y-%m-%d}" if facts.promotions else ""
        return f"It serves{since}."
    if facts.rolled_back:
        return f"It served and was rolled back: {facts.rolled_back}."
    return "It served before." if facts.promotions else "It has never served."


def _tables(records: Sequence[Record], first: str, where: str, measured: Measured) -> tuple[Table, ...]:
    rows = [row for row in records if row.get("slice_name") != "cutoff"]
    if not rows:
        return ()
    columns = (Column(first.replace("_", " ")), *measured.columns)
    made = tuple((str(row[first]), *measured.cells(row)) for row in rows)
    return (Table(f"{measured.means}, on {where}", RECORD, columns, made),)


def _gates(found: Mapping[str, Any]) -> tuple[Fact, ...]:
    return tuple(
        Fact(f"{'passed' if gate['passed'] else 'FAILED'}: {gate['sentence']}", RECORD, gate["name"])
        for gate in found.get("gates", ())
    )
