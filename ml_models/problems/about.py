"""What is known of a problem before anything is fitted, and which problems there are: each is a folder here.

A folder counts by `ABOUT` in its `__init__`, which imports nothing heavy: keys, jobs and tables are named where
scikit-learn is not loaded. A folder without it is passed over, so that one may be begun before it is asked.
"""

import importlib
import pkgutil
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ml_models.problems
from ml_models.problems.question import Kind

if TYPE_CHECKING:
    from ml_models.problems.contract import Problem, Ranking
    from ml_models.problems.question import DepartmentShare, Question

FIRST = "lapse"
"""The problem that was there before there were others; its tables keep the names that they had."""


@dataclass(frozen=True)
class About:
    """A problem in a few words.

    `name`: of its folder, its schema, its group, its registered model; its jobs end with it. `outcome`: the column of
    `outcomes.customer_outcomes` that holds what came of it; `{horizon_days}` is filled in. `predicts`: what one
    prediction is, a clause after "one row a customer and cutoff:". `unit`: what it is counted in. `needs`: parts of a
    company (`Company.parts`) without which the problem is not asked there. `made_by`: `module:function`, which is given
    question, parts and departments and returns the `Problem`.
    """

    name: str
    kind: Kind
    outcome: str
    predicts: str
    unit: str
    made_by: str
    needs: frozenset[str] = frozenset()

    def label(self, horizon_days: int) -> str:
        """Return the column of what came of it, for a horizon.

        >>> About("spend", "regression", "spend_cents_next_{horizon_days}d", "money", "cents", "").label(28)
        'spend_cents_next_28d'
        """
        return self.outcome.format(horizon_days=horizon_days)

    def made(
        self, question: "Question", parts: Collection[str], departments: "tuple[DepartmentShare, ...]"
    ) -> "Problem | Ranking":
        """Return the problem for a company's question; loads what fits it."""
        module, _, function = self.made_by.partition(":")
        made: Problem | Ranking = getattr(importlib.import_module(module), function)(question, parts, departments)
        return made


def found() -> tuple[About, ...]:
    """Return all problems, the first one first, the others by name.

    Raises:
        ValueError: a folder's `ABOUT` has another name than the folder.
    """
    problems = []
    for module in pkgutil.iter_modules(ml_models.problems.__path__):
        about = getattr(importlib.import_module(f"ml_models.problems.{module.name}"), "ABOUT", None)
        if not module.ispkg or about is None:
            continue
        if about.name != module.name:
            raise ValueError(
                f"Expected ABOUT of ml_models/problems/{module.name}/ to have the folder's name, got {about.name!r}; "
                "tables, jobs and the registered model are called so. Rename one of them."
            )
        problems.append(about)
    return tuple(sorted(problems, key=lambda one: (one.name != FIRST, one.name)))


def further(parts: Collection[str] = ()) -> tuple[About, ...]:
    """Return the problems beside the first that a company with these parts can ask."""
    return tuple(one for one in found() if one.name != FIRST and one.needs <= set(parts))
