"""What lists of next products are worth by several definitions of the measures: `make backtest LISTS=1`, as text."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from commands.backtest_rows import aligned
from resources.profiles import resources_for
from steps.next_product.definitions import lists_otherwise

if TYPE_CHECKING:
    from steps.next_product.definitions import Measured

HEADINGS = {
    "recall": "recall@10",
    "ndcg": "nDCG@10",
    "ndcg_of_all": "nDCG@10 of all",
    "recall_of_purchases": "recall of purchases",
    "ndcg_of_purchases": "nDCG of purchases",
}


def report_on_lists() -> str:
    """Judge the holdout's lists by each definition, and return the table.

    Raises:
        StepRefusedError: the company asks no such question, or nothing was trained yet.
    """
    return shown(lists_otherwise(resources_for()["warehouse"]))


def shown(found: "Measured") -> str:
    """Return the table for a person, and what candidates reach."""
    cells = [
        ["lists", *HEADINGS.values()],
        *(
            [str(row["lists"]), *(_with_half(row, name) for name in HEADINGS)]
            for row in found.methods.to_dict("records")
        ),
    ]
    named = found.named
    return "\n".join(
        [
            "",
            f"{found.judged:,} lists of the holdout whose customer bought something:",
            *aligned(cells),
            "",
            "Behind ± is half of the 95 % interval over customers. nDCG@10 is against the best ten places, `of all` "
            "against a list as long as what was bought. `Of purchases` counts a type on each day that it was bought.",
            f"Candidates hold {named['types']:.1%} of the types bought: {named['repeats']:.1%} of repeats, "
            f"{named['new']:.1%} of those new to a customer.",
        ]
    )


def _with_half(row: Mapping[Any, Any], name: str) -> str:
    half = (row[f"{name}_high"] - row[f"{name}_low"]) / 2
    return f"{row[name]:.3f} ±{half:.3f}"
