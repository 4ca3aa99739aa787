"""What ties a customer's features together, whoever hands them over: a warehouse, or a program that asks."""

import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from ml_models.problems.lapse.features import period_word
from ml_models.problems.question import Question

Rule = Callable[[Any], Any]
"""Gets columns by name, of a frame or as arrays, and says for each row whether it holds. On arrays a rule of one row
takes microseconds, on a frame a millisecond: a program that sends one vector waits for ten of them."""


def _ordered(*columns: str) -> Rule:
    def holds(f: Any) -> Any:
        # A null on either side is the nullability check's business, not an order violation.
        # The first with itself: a question with one window has nothing to be in order with.
        pairs = [~(f[smaller] > f[larger]) for smaller, larger in itertools.pairwise((columns[0], *columns))]
        return functools.reduce(lambda one, other: one & other, pairs)

    return holds


# Means and maxima come from different float divisions: allow rounding, not more.
_ROUNDING = 1e-9


def cross_column_rules(question: Question) -> dict[str, tuple[str, Rule]]:
    """Return the rules that tie columns together, by name: each catches a window, a join or a unit that slipped.

    A rule of columns that a company does not have is left out by `rules_of`.
    """
    whole, month, first, word = (
        question.look_back_days,
        question.month_days,
        question.windows[0],
        period_word(question),
    )
    trips = [f"trips_{days}d" for days in question.windows]
    spend = [f"spend_cents_{days}d" for days in question.windows if days != question.windows[1]]
    numbered = [f"active_days_{word}_{k}" for k in (1, 2, 3, 4)]
    active, largest, mean_gap = f"active_days_{whole}d", f"max_basket_cents_{whole}d", f"gap_mean_days_{whole}d"

    def agree(f: Any) -> Any:
        return ((f["recency_days"] <= first) == (f[f"trips_{first}d"] > 0)) & (
            f["recency_days"] <= f[f"days_since_first_seen_{whole}d"]
        )

    def gaps_nest(f: Any) -> Any:
        longest = f[f"gap_max_days_{whole}d"]
        return ~(f[mean_gap] > longest + _ROUNDING) & ~(f[f"gap_median_days_{whole}d"] > longest)

    return {
        "trip windows nest": (" <= ".join(trips), _ordered(*trips)),
        "spend windows nest": (" <= ".join(spend), _ordered(*spend)),
        "shopping days nest": (
            f"active_{word}s_{whole}d <= {active} <= trips_{whole}d and active_days_{month}d <= {active}",
            lambda f: (
                (f[f"active_{word}s_{whole}d"] <= f[active])
                & (f[active] <= f[f"trips_{whole}d"])
                & (f[f"active_days_{month}d"] <= f[active])
                & (f[f"active_days_{month}d"] <= f[f"trips_{month}d"])
            ),
        ),
        f"{word}s add up": (
            f"{numbered[0]} + … + {numbered[-1]} = active_days_{month}d",
            lambda f: sum(f[name] for name in numbered) == f[f"active_days_{month}d"],
        ),
        "recency agrees with trips": (
            f"recency_days <= {first} exactly when trips_{first}d > 0, and recency_days <= "
            f"days_since_first_seen_{whole}d",
            agree,
        ),
        "baskets nest": (
            f"mean_basket_cents_{whole}d and max_basket_cents_{month}d <= {largest} <= spend_cents_{whole}d",
            lambda f: (
                (f[f"mean_basket_cents_{whole}d"] <= f[largest] + _ROUNDING)
                & ~(f[f"max_basket_cents_{month}d"] > f[largest])
                & (f[largest] <= f[f"spend_cents_{whole}d"])
            ),
        ),
        "categories nest": (
            f"categories_{month}d <= categories_{whole}d",
            lambda f: f[f"categories_{month}d"] <= f[f"categories_{whole}d"],
        ),
        "stores nest": (
            f"stores_{whole}d <= trips_{whole}d",
            lambda f: f[f"stores_{whole}d"] <= f[f"trips_{whole}d"],
        ),
        "gaps nest": (f"{mean_gap} and gap_median_days_{whole}d <= gap_max_days_{whole}d", gaps_nest),
        "gaps exist": (
            f"{mean_gap} is null exactly when {active} = 1",
            lambda f: pd.isna(f[mean_gap]) == (f[active] == 1),
        ),
    }


_NEEDED_BY_RULE = {"categories nest": "categories_", "stores nest": "stores_"}
"""Rules of optional parts: the rule is applied where a feature begins like this."""


def rules_of(features: Iterable[str], question: Question) -> dict[str, tuple[str, Rule]]:
    """Return those rules whose columns a company has, as its features tell."""
    names = list(features)
    return {
        name: rule
        for name, rule in cross_column_rules(question).items()
        if any(feature.startswith(_NEEDED_BY_RULE.get(name, "")) for feature in names)
    }
