"""The feature frame's contract: the schema that a frame is validated with."""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd
import pandera.pandas as pa

from ml_models.problems.contract import Feature
from ml_models.problems.lapse.features import KEYS
from ml_models.problems.lapse.rules import Rule, rules_of
from ml_models.problems.question import Question


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


def _check(name: str, sentence: str, rule: Rule) -> pa.Check:
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
        checks=[_check(name, sentence, rule) for name, (sentence, rule) in rules_of(features, question).items()],
        unique=KEYS,
        strict=True,
        name="feature_frame",
        description="One row a customer and cutoff: the features that training and scoring see.",
    )
