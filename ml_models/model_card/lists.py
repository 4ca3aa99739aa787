"""The card of a version that makes lists."""

from ml_models.model_card.card import Card, Column, Fact, Value, number
from ml_models.model_card.further import FurtherCardFacts, Measured, Record, further_card

_MEASURES = {"recall": "recall at ten", "ndcg": "nDCG at ten", "repeat_recall": "of repeats", "new_recall": "of new"}


def list_card(facts: FurtherCardFacts) -> Card:
    """Return the card of a version. What could not be gathered is said in its section; nothing is invented."""
    metrics = facts.evidence.get("metrics")
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
    columns = tuple(Column(words, "score") for words in _MEASURES.values())
    return further_card(facts, Measured(lead, "Means over lists", columns, _cells, tuple(live)))


def _cells(row: Record) -> tuple[Value, ...]:
    return tuple(number(row.get(one)) for one in _MEASURES)
