"""What is stated of the next-product problem beside its numbers."""

from collections.abc import Collection

from ml_models.problems.contract import Ranking, Texts
from ml_models.problems.next_product import ABOUT
from ml_models.problems.next_product.pairs import FEATURES, LISTED
from ml_models.problems.question import DepartmentShare, Question

TEXTS = Texts(
    title="Next product",
    purpose=(
        f"An ordered list of {LISTED} product types that a customer is likely to buy soon, for offers on what is liked "
        "already.",
    ),
    out_of_scope=(
        "It finds next to nothing that is new to a customer. Do not use it to decide what a customer may buy.",
        "A place on the list is no promise of a purchase, and no measure of a customer's worth.",
    ),
    data=(
        "Product types are names of the company's own list. A type that is renamed loses its history until the former "
        "name is mapped to the new one.",
        "What customers looked at and did not buy is not known.",
    ),
    label=("Whether the customer bought the type within the horizon from the cutoff on, once or often.",),
    oversight=(
        "Types that are renamed, vanish or come are shown to a person before anything is trained on them.",
        "A customer of one shopping day gets what most customers buy, and the page says so.",
    ),
    limits=(
        "Candidates are the customer's habits and the most popular types: nothing else can be named.",
        "Customers of few shopping days get lists that hold less often; the slices say by how much.",
    ),
)


def next_product(
    question: Question, _parts: Collection[str] = (), _departments: tuple[DepartmentShare, ...] = ()
) -> Ranking:
    """Return the problem for a company's question."""
    return Ranking(name=ABOUT.name, question=question, features=tuple(FEATURES), texts=TEXTS)
