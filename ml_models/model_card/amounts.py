"""The card of a version that predicts an amount: the same plain card, of fewer sections."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_models.model_card.card import Card, Column, Fact, Point, Section, Table, number, sentences
from ml_models.problems.contract import Problem

RECORD = "evidence.json in MLflow"


@dataclass(frozen=True)
class AmountCardFacts:
    """Everything about one version.

    `promotions`: promoted_at, reason, oldest first. `evidence`: what was measured when it was trained; `unreadable`:
    why that cannot be read. `live`: rows of its performance by cutoff, `weeks`: of its decisions, oldest first.
    """

    problem: Problem
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


def amount_card(facts: AmountCardFacts) -> Card:
    """Return the card of a version. What could not be gathered is said in its section; nothing is invented."""
    texts, found = facts.problem.texts, facts.evidence
    metrics = found.get("metrics")
    lead = [f"Model: {facts.algorithm}; trained through {found.get('trained_through', 'not recorded')}."]
    if metrics:
        lead.append(
            f"Off by {metrics['absolute_error'] / 100:,.2f} a row on average on weeks that it had not seen; its "
            f"total was {metrics['total_ratio']:.3f} of what was seen."
        )
    lacks = facts.unreadable
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
                tables=_tables(found, "comparison", "model", "weeks held out"),
                lacks=lacks,
            ),
            Section(
                "slices", "By slice", tables=_tables(found, "slices", "slice_value", "slices of them"), lacks=lacks
            ),
            Section("gate", "The gate", _gates(found), lacks=lacks),
            Section("monitoring", "Since then", _since(facts), absent="" if facts.weeks else "No week was judged yet."),
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


def _standing(facts: AmountCardFacts) -> str:
    if facts.serving:
        since = f" since {facts.promotions[-1]['promoted_at']:%Y-%m-%d}" if facts.promotions else ""
        return f"It serves{since}."
    if facts.rolled_back:
        return f"It served and was rolled back: {facts.rolled_back}."
    return "It served before." if facts.promotions else "It has never served."


def _tables(found: Mapping[str, Any], name: str, first: str, caption: str) -> tuple[Table, ...]:
    rows = [row for row in found.get(name, ()) if row.get("slice_name") != "cutoff"]
    if not rows:
        return ()
    cents = ("mean_seen", "mean_predicted", "absolute_error", "root_squared_error")
    columns = (
        Column(first.replace("_", " ")),
        Column("rows", "count"),
        *(Column(one.replace("_", " "), "factor") for one in cents),
        Column("total predicted over seen", "score"),
    )
    return (
        Table(
            f"Means and errors in units of a hundred, on {caption}",
            RECORD,
            columns,
            tuple(
                (
                    str(row[first]),
                    number(row["n"]),
                    *(None if number(row[one]) is None else row[one] / 100 for one in cents),
                    number(row["total_ratio"]),
                )
                for row in rows
            ),
        ),
    )


def _gates(found: Mapping[str, Any]) -> tuple[Fact, ...]:
    return tuple(
        Fact(f"{'passed' if gate['passed'] else 'FAILED'}: {gate['sentence']}", RECORD, gate["name"])
        for gate in found.get("gates", ())
    )


def _since(facts: AmountCardFacts) -> tuple[Fact, ...]:
    said = [
        Fact(f"{week['action']}: {week['reason']}", "decisions", f"{week['cutoff']:%Y-%m-%d}") for week in facts.weeks
    ]
    said += [
        Fact(
            f"off by {row['absolute_error'] / 100:,.2f} a row, the best plain rule by {row['rule_error'] / 100:,.2f}; "
            f"total {row['total_ratio']:.3f} of what was seen",
            "performance",
            f"newest judged cutoff, {row['slice_value']}",
        )
        for row in facts.live[-1:]
    ]
    return tuple(said)
