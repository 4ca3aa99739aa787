"""One fit of a candidate: on the features that it reads and that tell customers apart in the rows at hand.

A column without a value ends gradient boosting with an error about array shapes, and one that never changes teaches
nothing. Companies have both: a part that they never used, a look-back that is full for everybody. Such a feature is
left out of the fit, so the fitted pipeline does not ask for it (`feature_names_in_`), and scoring, SQL, reasons and
monitoring follow the pipeline. What belongs here: which features a fit takes, and the fit. What does not: choosing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from ml_models.cutoffs import distinct_cutoffs
from ml_models.problems.contract import Candidate, Problem

WEIGHT = "weight"
"""The column of how much a row counts, where rows do not all count the same (see rows_chosen)."""

_FIRST_LOOK = 1_000


class NothingToLearnError(ValueError):
    """The rows that a candidate is to be fitted on teach nothing: no feature has two values, or the label has one."""


def left_out(rows: pd.DataFrame, features: Sequence[str]) -> dict[str, str]:
    """Return the features that teach nothing in these rows and why, as a clause; in the order of `features`.

    Null throughout, or one value throughout. One value with nulls beside it stays: trees read what is missing.

    >>> rows = pd.DataFrame({"a": [1.0, 2.0], "b": [None, None], "c": [3, 3], "d": [3.0, None]})
    >>> left_out(rows, ["a", "b", "c", "d"])
    {'b': 'null in all 2 rows', 'c': '3 in all 2 rows'}
    """
    # Most columns differ within the first rows; only the others are read to their end.
    doubtful = [name for name in features if _why(rows[name].head(_FIRST_LOOK))]
    found = {name: _why(rows[name]) for name in doubtful}
    return {name: why for name, why in found.items() if why}


def features_for(
    candidate: Candidate, rows: pd.DataFrame, problem: Problem, among: Iterable[str] | None = None
) -> list[str]:
    """Return the features that a fit of this candidate on these rows takes, in the problem's order.

    `among`: at most these; the fit that is deployed takes those that the judged one had.

    Raises:
        NothingToLearnError: none is left.
    """
    read = candidate.features or problem.features
    allowed = set(read if among is None else among)
    asked = [name for name in problem.features if name in set(read) and name in allowed]
    useless = left_out(rows, asked)
    kept = [name for name in asked if name not in useless]
    if not kept:
        raise NothingToLearnError(
            f"Expected a feature with at least two values for {candidate.name} to learn from, got none in "
            f"{len(rows):,} rows ({told(useless)}); look at the feature frame."
        )
    return kept


def fitted(
    candidate: Candidate,
    parameters: Mapping[str, Any],
    seed: int,
    rows: pd.DataFrame,
    problem: Problem,
    *,
    among: Iterable[str] | None = None,
    label: npt.ArrayLike | None = None,
) -> Pipeline:
    """Return the candidate fitted on rows with features and label. `label`: another one than the rows', as many.

    With a column `weight` rows count so much, in the last step, if that knows weights; those of weight 0 not at all.

    Raises:
        NothingToLearnError: no feature has two values in these rows, or every label is the same.
    """
    outcome = rows[problem.label] if label is None else label
    if WEIGHT in rows and (rows[WEIGHT] <= 0).any():
        counts = (rows[WEIGHT] > 0).to_numpy()
        rows, outcome = rows[counts], np.asarray(outcome)[counts]
    features = features_for(candidate, rows, problem, among)
    found = np.unique(np.asarray(outcome))
    if len(found) < 2:
        days = distinct_cutoffs(rows[problem.cutoff])
        span = f"{days[0]} to {days[-1]}" if days else "no cutoff"
        raise NothingToLearnError(
            f"Expected both outcomes of {problem.label} for {candidate.name} to learn from, got "
            f"{', '.join(f'{value:g}' for value in found) or 'none'} in all of {len(rows):,} rows ({span}); train on "
            "more history, or ask over another horizon."
        )
    pipeline = candidate.build(parameters, seed)
    return pipeline.fit(rows[features], outcome, **_weights(pipeline, rows))


def _weights(pipeline: Pipeline, rows: pd.DataFrame) -> dict[str, npt.NDArray[np.float64]]:
    """Return how the last step is told what each row counts; nothing where all count the same."""
    name, step = pipeline.steps[-1]
    if WEIGHT not in rows or not has_fit_parameter(step, "sample_weight"):
        return {}
    return {f"{name}__sample_weight": rows[WEIGHT].to_numpy(dtype="float64")}


def told(useless: Mapping[str, str], most: int = 5) -> str:
    """Return what was left out as text for a sentence.

    >>> told({"b": "null in all 2 rows", "c": "3 in all 2 rows"})
    'b: null in all 2 rows; c: 3 in all 2 rows'
    """
    shown = [f"{name}: {why}" for name, why in useless.items()]
    more = [f"and {len(shown) - most} more"] if len(shown) > most else []
    return "; ".join(shown[:most] + more) or "there is none"


def _why(column: pd.Series) -> str:
    values = column.to_numpy(dtype="float64", na_value=np.nan)
    if np.isnan(values).all():
        return f"null in all {len(values):,} rows"
    # A null differs from everything.
    return f"{values[0]:g} in all {len(values):,} rows" if bool((values == values[0]).all()) else ""
