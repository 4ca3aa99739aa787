"""The card of a version that predicts an amount."""

from ml_models.model_card.card import Card, Column, Fact, Value, number
from ml_models.model_card.further import FurtherCardFacts, Measured, Record, further_card

_CENTS = ("mean_seen", "mean_predicted", "absolute_error", "root_squared_error")


def amount_card(facts: FurtherCardFacts) -> Card:
    """Return the card of a version. What could not be gathered is said in its section; nothing is invented."""
    metrics = facts.evidence.get("metrics")
    lead = ""
    if metrics:
        lead = (
            f"Off by {metrics['absolute_error'] / 100:,.2f} a row on average on weeks that it had not seen; its "
            f"total was {metrics['total_ratio']:.3f} of what was seen."
        )
    live = [
        Fact(
            f"off by {row['absolute_error'] / 100:,.2f} a row, the best plain rule by {row['rule_error'] / 100:,.2f}; "
            f"total {row['total_ratio']:.3f} of what was seen",
            "performance",
            f"newest judged cutoff, {row['slice_value']}",
        )
        for row in facts.live[-1:]
    ]
    columns = (
        Column("rows", "count"),
        *(Column(one.replace("_", " "), "factor") for one in _CENTS),
        Column("total predicted over seen", "score"),
    )
    return further_card(facts, Measured(lead, "Means and errors in units of a hundred", columns, _cells, tuple(live)))


def _cells(row: Record) -> tuple[Value, ...]:
    in_hundreds = (None if number(row[one]) is None else row[one] / 100 for one in _CENTS)
    return (number(row["n"]), *in_hundreds, number(row["total_ratio"]))
