"""What a reader must know of the lapse problem beside its numbers: the sentences of a model's card.

Each is true of every company. What only one company knows of its data or of its use stands in its company.toml.
"""

from collections.abc import Collection

from ml_models.problems.contract import Texts
from ml_models.problems.question import Question


def texts(question: Question, parts: Collection[str]) -> Texts:
    """Return the sentences for a company's question; `parts` are what the company has (see `lapse`)."""
    horizon, active, back = question.horizon_days, question.active_within_days, question.look_back_days
    attributes = (
        "What the company knows of its customers as persons (age, income, family) is not among the features. It "
        "stands beside a customer in lists only."
        if "customers" in parts
        else "The company gives no attributes of persons, so none is among the features."
    )
    return Texts(
        title="Customer lapse",
        purpose=(
            f"Once a week it says, for each customer who bought in the last {active} days, how probable it is that the "
            f"customer buys nothing in the {horizon} days that follow.",
            "It is for the people who decide whom to contact: it puts customers in order, and gives up to three "
            "reasons a customer to begin a talk with.",
            "The probability may be multiplied by money (an expected loss) as long as its calibration holds.",
        ),
        out_of_scope=(
            "It does not say that a contact helps. That needs contacts by lot, and a comparison with customers who "
            "were not contacted.",
            "It must not decide alone about a person: no refusal, price, credit or contract may follow from a score.",
            f"It says nothing of customers who did not buy in the last {active} days, of new ones before their first "
            f"purchase, or of a time other than the {horizon} days after a cutoff.",
            "It says nothing of employees, suppliers or shops, though their work shows in what customers buy.",
            "A reason says what raised this score beside a typical customer. It is no cause, and to change it need not "
            "change what the customer does.",
        ),
        data=(
            f"Features are computed from purchases of the {back} days before a cutoff, in the shops' own dates; "
            "nothing from the cutoff on is looked at.",
            "A purchase that cannot be tied to a customer is not seen. Who buys under two names is two customers.",
            attributes,
        ),
        label=(
            f"The outcome is 1 where a customer buys nothing from the cutoff on for {horizon} days, and 0 otherwise.",
            f"It is known {horizon} days after the cutoff. Until then a prediction can be neither learned from nor "
            f"judged; after {question.early_days} days an early outcome of the same kind is looked at.",
            "It is a silence, not a farewell: who is on holiday counts as lapsed, and may be back a week later.",
        ),
        oversight=(
            "A person decides whom to contact; the score changes nothing by itself.",
            "Every week one decision is recorded: continue, improve, inspect or rollback. A person may overrule it, "
            "and release a week that was held to be bad; both are recorded with a reason.",
            "Any version that was ever registered can be made the champion again by one command.",
        ),
        limits=(
            "Most of what it is good at is telling light from heavy customers. Within a band of activity it is far "
            "weaker than as a whole; the slices say by how much.",
            "It knows no more than purchases: a move, an illness or a new competitor shows only once visits change.",
            "Where customers are contacted because of a score, they behave otherwise than those it learned from. What "
            "it is then judged by is, in part, its own effect.",
            "Rows of one customer at neighbouring cutoffs are nearly one observation. Intervals are therefore drawn "
            "over whole customers, and they do not hold the uncertainty of a season that was never seen.",
            "Fairness between groups of persons is not measured: slices are bands of activity.",
        ),
    )
