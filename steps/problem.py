"""The problem that this process works on: the company's question and features, and the settings of its judgement."""

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from ml_models.problems.about import FIRST, further
from ml_models.problems.question import DepartmentShare, Question
from resources.company import Company, company

if TYPE_CHECKING:
    from ml_models.monitoring.settings import Settings
    from ml_models.problems.contract import Problem, Ranking


def problem() -> "Problem":
    """Return the problem of the company of this process; the same object for the same question and parts.

    Raises:
        CompanyError: the company's file cannot be read.
    """
    return problem_of(company())


def problem_named(name: str) -> "Problem":
    """Return a problem of the company of this process by its name; the same object for the same question and parts.

    Raises:
        KeyError: there is none of this name whose rows are those of the feature frame, or the company lacks what it
            needs.
    """
    from ml_models.problems.contract import Problem

    found = asked_named(name)
    if not isinstance(found, Problem):
        raise KeyError(f"Expected a problem whose rows are those of the feature frame, got {name!r}, a {found.kind}.")
    return found


def asked_named(name: str) -> "Problem | Ranking":
    """Return what is stated of a problem of any kind, by its name.

    Raises:
        KeyError: there is none of this name, or the company lacks what it needs.
    """
    return _other(name, *_asked(company())) if name != FIRST else problem()


def settings() -> "Settings":
    """Return the settings of the weekly judgement: the defaults, with the company's prices.

    Raises:
        CompanyError: the company's file cannot be read.
    """
    return settings_of(company())


def settings_of(asking: Company) -> "Settings":
    """Return the settings of a company."""
    from ml_models.monitoring.prices import Prices
    from ml_models.monitoring.settings import SETTINGS

    given = asking.prices
    if given is None or given.retraining is None or given.missed_customer is None:
        return SETTINGS
    prices = Prices(given.retraining, given.contact, given.missed_customer, asking.money.currency)
    return replace(SETTINGS, prices=prices)


def problem_of(asking: Company) -> "Problem":
    """Return the problem of a company."""
    return _made(*_asked(asking))


def _asked(asking: Company) -> tuple[Question, frozenset[str], tuple[DepartmentShare, ...]]:
    return asking.question.asked, asking.parts, asking.department_shares


@cache
def _other(
    name: str, question: Question, parts: frozenset[str], departments: tuple[DepartmentShare, ...]
) -> "Problem | Ranking":
    there = {about.name: about for about in further(parts)}
    if name not in there:
        raise KeyError(
            f"Expected a problem of this company ({', '.join([FIRST, *there])}), got {name!r}; each is a folder of "
            "ml_models/problems/."
        )
    return there[name].made(question, parts, departments)


@cache
def _made(question: Question, parts: frozenset[str], departments: tuple[DepartmentShare, ...]) -> "Problem":
    # scikit-learn and pandera take seconds to load, and definitions are loaded without them.
    from ml_models.problems.lapse.problem import lapse

    return lapse(question, parts, departments)
