"""What a reader must know of the spend problem beside its numbers: the sentences of a version's card."""

from collections.abc import Collection

from ml_models.problems.contract import Texts
from ml_models.problems.question import Question


def texts(question: Question, _parts: Collection[str]) -> Texts:
    """Return the sentences for a company's question."""
    horizon, active = question.horizon_days, question.active_within_days
    return Texts(
        title="Customer spend",
        purpose=(
            f"Once a week it says, for each customer who bought in the last {active} days, how much money the customer "
            f"is expected to leave in the {horizon} days that follow; who stays away leaves none.",
            "Divided by the probability to stay, it is what the call list holds to be at stake "
            "(`marts.customer_value`).",
            "Sums over many customers hold; of one customer it is a mean, and most will be off it.",
        ),
        out_of_scope=(
            "It is no budget and no forecast of a company's revenue: customers who did not buy lately, and new ones, "
            "are not in it.",
            "It must not decide alone about a person: no refusal, price, credit or contract may follow from it.",
        ),
        data=(
            f"The features are those of the lapse problem: purchases of the {question.look_back_days} days before a "
            "cutoff. Nothing from the cutoff on is looked at.",
        ),
        label=(
            f"The money of the purchases from the cutoff on for {horizon} days, in cents, zero included; known when "
            "they are over.",
        ),
        oversight=(
            "A candidate that fails a gate serves nobody. Each week one decision is recorded in `spend.decisions`; a "
            "week whose data are bad trains nothing.",
        ),
        limits=(
            "It aims at the mean: a few heavy spenders draw it above what most spend.",
            "A season that the training weeks do not hold is not in it.",
            "Rows of one customer at neighbouring cutoffs are nearly one observation. Intervals are drawn over whole "
            "customers.",
        ),
    )
