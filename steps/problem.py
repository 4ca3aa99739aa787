"""The problem that this process works on: the company's question, with the features that it can have."""

from functools import cache
from typing import TYPE_CHECKING

from ml_models.problems.question import DepartmentShare, Question
from resources.company import Company, company

if TYPE_CHECKING:
    from ml_models.problems.contract import Problem


def problem() -> "Problem":
    """Return the problem of the company of this process; the same object for the same question and parts.

    Raises:
        CompanyError: the company's file cannot be read.
    """
    return problem_of(company())


def problem_of(asking: Company) -> "Problem":
    """Return the problem of a company."""
    return _made(asking.question.asked, asking.parts, asking.department_shares)


@cache
def _made(question: Question, parts: frozenset[str], departments: tuple[DepartmentShare, ...]) -> "Problem":
    # scikit-learn and pandera take seconds to load, and definitions are loaded without them.
    from ml_models.problems.lapse.problem import lapse

    return lapse(question, parts, departments)
