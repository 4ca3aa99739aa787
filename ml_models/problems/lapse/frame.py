"""The feature frame's contract: the schema that a frame is validated with, and the rules between its columns."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd
import pandera.pandas as pa

from ml_models.problems.contract import Feature
from ml_models.problems.lapse.features import KEYS, period_word
from ml_models.problems.question import Question

_Rule = Callable[[pd.DataFrame], pd.Series]


def _ordered(*columns: str) -> _Rule:
    def holds(frame: pd.DataFrame) -> pd.Series:
        result = pd.Series(True, index=frame.index)
        for smaller, larger in itertools.pairwise(columns):
            # A null on either side is the nullability check's business, not an order violation.
            result &= ~(frame[smaller] > frame[larger])
        return result

    return holds


# Means and maxima come from different float divisions: allow rounding, not more.
_ROUNDING = 1e-9


def cross_column_rules(question: Question) -> dict[str, tuple[str, _Rule]]:
    """Return the rules that tie columns together, by name: each catches a window, a join or a unit that slipped.

    A rule of columns that a company does not have is left out by who applies it (`frame_schema`).
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

    def agree(f: pd.DataFrame) -> pd.Series:
        return ((f["recency_days"] <= first) == (f[f"trips_{first}d"] > 0)) & (
            f["recency_days"] <= f[f"days_since_first_seen_{whole}d"]
        )

    def gaps_nest(f: pd.DataFrame) -> pd.Series:
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
            lambda f: f[numbered].sum(axis=1) == f[f"active_days_{month}d"],
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
            lambda f: f[mean_gap].isna() == (f[active] == 1),
        ),
    }


_NEEDED_BY_RULE = {"categories nest": "categories_", "stores nest": "stores_"}
"""Rules of optional parts: the rule is applied where a feature begins like this."""


def _range_sentence(feature: Feature) -> str:
    kind = "whole numbers" if feature.dtype == "int64" else "finite numbers"
    if feature.low is not None and feature.high is not None:
        bounds = f" from {feature.low:g} to {feature.high:g}"
    elif feature.low is not None:
        bounds = f" of at least {feature.low:g}"
    else:
        bounds = ""
    return f"{kind}{bounds}" + (", or null" if feature.nullable else "")


def _column(feature: Feature) -> pa.Column:
    low = -np.inf if feature.low is None else feature.low
    high = np.inf if feature.high is None else feature.high

    def within_bounds(values: pd.Series) -> "pd.Series[bool]":
        # One pass for bounds and infinities; pandera drops nulls before it calls a check.
        within: pd.Series[bool] = np.isfinite(values) & (values >= low) & (values <= high)
        return within

    return pa.Column(
        feature.dtype,
        pa.Check(within_bounds, name="range", error=_range_sentence(feature), n_failure_cases=5),
        nullable=feature.nullable,
        title=feature.label,
        description=feature.description,
        metadata={"unit": feature.unit, "family": feature.family},
    )


def _check(name: str, sentence: str, rule: _Rule) -> pa.Check:
    # Few failure cases: pandera repeats a failing row once for each of 60 columns.
    return pa.Check(rule, name=name, error=sentence, n_failure_cases=5)


def frame_schema(
    features: Mapping[str, Feature],
    question: Question,
    cutoffs: Sequence[date | pd.Timestamp],
    required: Sequence[date | pd.Timestamp] = (),
) -> pa.DataFrameSchema:
    """Return the pandera schema of a feature frame.

    `features` and `question` are those of the problem (`catalogue`). `cutoffs` are the Mondays that exist so far; a row
    may have no other cutoff, so nothing later than the newest gets in. `required` are those among them that are being
    handed over and must have rows (an incremental hand-over: the new ones). The schema is strict: an unknown column
    fails as a missing one does. Raises ValueError when a cutoff is not a Monday or when there is none.
    """
    expected = pd.DatetimeIndex(pd.to_datetime(list(cutoffs))).as_unit("us")
    needed = pd.DatetimeIndex(pd.to_datetime(list(required))).as_unit("us")
    if expected.empty:
        raise ValueError("Expected at least one cutoff to validate, got none; build features/cutoffs first.")
    if (expected.dayofweek != 0).any():
        odd = ", ".join(str(c.date()) for c in expected[expected.dayofweek != 0])
        raise ValueError(
            f"Expected cutoffs on Mondays, got {odd}; check `question.first_cutoff` of the company's file."
        )
    newest = expected.max().date()
    no_text = "text of at least one character"
    return pa.DataFrameSchema(
        {
            "customer_id": pa.Column(
                str,
                pa.Check(lambda s: s.str.len() > 0, name="not empty", error=no_text, n_failure_cases=5),
                description="The customer, as the canonical tables name them.",
            ),
            "cutoff_date": pa.Column(
                "datetime64[us]",
                [
                    pa.Check(
                        lambda s: s <= expected.max(),
                        name="no row later than the cutoff",
                        error=f"dates up to the newest cutoff, {newest}",
                        n_failure_cases=5,
                    ),
                    pa.Check(
                        lambda s: s.isin(expected),
                        name="known cutoff",
                        error=f"one of the {len(expected)} cutoffs from {expected.min().date()} to {newest}",
                        n_failure_cases=5,
                    ),
                    pa.Check(
                        lambda s: bool(needed.isin(s.unique()).all()),
                        name="every cutoff has rows",
                        error="rows for each of the cutoffs " + ", ".join(str(c.date()) for c in needed),
                    ),
                ],
                description="The Monday at whose start the features were taken.",
            ),
            **{name: _column(feature) for name, feature in features.items()},
        },
        checks=[
            _check(name, sentence, rule)
            for name, (sentence, rule) in cross_column_rules(question).items()
            if any(feature.startswith(_NEEDED_BY_RULE.get(name, "")) for feature in features)
        ],
        unique=KEYS,
        strict=True,
        name="feature_frame",
        description="One row a customer and cutoff: the features that training and scoring see.",
    )
