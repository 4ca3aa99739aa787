"""The card of a version that predicts an amount."""

from collections.abc import Mapping
from typing import Any

from ml_models.model_card.card import Card, Column, Fact, Table, number
from ml_models.model_card.further import RECORD, FurtherCardFacts, Measured, further_card


def amount_card(facts: FurtherCardFacts) -> Card:
    """Return the card of a version. What could not be gathered is said in its section; nothing is invented."""
    found, metrics = facts.evidence, facts.evidence.get("metrics")
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
    return further_card(
        facts,
        Measured(
            lead=lead,
            metrics=_tables(found, "comparison", "model", "weeks held out"),
            slices=_tables(found, "slices", "slice_value", "slices of them"),
            live=tuple(live),
        ),
    )


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
