"""The card of a version that makes lists."""

from collections.abc import Mapping
from typing import Any

from ml_models.model_card.card import Card, Column, Fact, Table, number
from ml_models.model_card.further import RECORD, FurtherCardFacts, Measured, further_card

_MEASURES = {"recall": "recall at ten", "ndcg": "nDCG at ten", "repeat_recall": "of repeats", "new_recall": "of new"}


def list_card(facts: FurtherCardFacts) -> Card:
    """Return the card of a version. What could not be gathered is said in its section; nothing is invented."""
    found, metrics = facts.evidence, facts.evidence.get("metrics")
    lead = ""
    if metrics:
        lead = (
            f"Of what customers bought, a list of ten names {metrics['recall']:.1%} on weeks that it had not seen "
            f"(nDCG {metrics['ndcg']:.3f}); of what is new to them {metrics['new_recall']:.1%}."
        )
    live = [
        Fact(
            f"nDCG {row['ndcg']:.3f}, {row['gained']:+.4f} against personal frequency",
            "performance",
            f"newest judged cutoff, {row['slice_value']}",
        )
        for row in facts.live[-1:]
    ]
    return further_card(
        facts,
        Measured(
            lead=lead,
            metrics=_tables(found, "comparison", "lists", "weeks held out"),
            slices=_tables(found, "slices", "slice_value", "slices of them"),
            live=tuple(live),
        ),
    )


def _tables(found: Mapping[str, Any], name: str, first: str, caption: str) -> tuple[Table, ...]:
    rows = [row for row in found.get(name, ()) if row.get("slice_name") != "cutoff"]
    if not rows:
        return ()
    columns = (Column(first.replace("_", " ")), *(Column(words, "score") for words in _MEASURES.values()))
    return (
        Table(
            f"Means over lists, on {caption}",
            RECORD,
            columns,
            tuple((str(row[first]), *(number(row.get(one)) for one in _MEASURES)) for row in rows),
        ),
    )
