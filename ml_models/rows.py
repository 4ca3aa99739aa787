"""Rows that models are judged on: features joined to their labels, and the scores that a model gives them.

A model is asked with the features that it was fitted on, in its own order. They are not always those of the problem: a
feature that was added or taken away changes what the next model learns, not what this one knows.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.model_version import RETRAIN_COMMAND
from ml_models.problems.contract import Problem, Ranking


class MissingFeaturesError(ValueError):
    """Rows lack features that a model was fitted on, so that it cannot score them."""


def labelled_rows(frame: pd.DataFrame, outcomes: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """Return the feature rows with a known label: keys, features, label; sorted by cutoff and entity."""
    left = frame.assign(**{problem.cutoff: cutoff_dates(frame[problem.cutoff])})
    right = outcomes[[*problem.keys, problem.label]]
    right = right.assign(**{problem.cutoff: cutoff_dates(right[problem.cutoff])})
    left = left.drop(columns=problem.label, errors="ignore")
    rows = left.merge(right, on=problem.keys, how="inner").dropna(subset=[problem.label])
    return rows.sort_values([problem.cutoff, problem.entity], ignore_index=True)


def hashed(entities: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """Return a hash of each identifier, (n,): the same in every process and every week."""
    texts = pd.Series(entities).astype(str)
    return np.asarray(pd.util.hash_pandas_object(texts, index=False), dtype="uint64")


def customer_folds(entities: npt.ArrayLike, folds: int) -> npt.NDArray[np.int64]:
    """Return which of so many parts of the customers each row belongs to, (n,), by a hash of the identifier."""
    return (hashed(entities) % np.uint64(folds)).astype("int64")


def features_of(model: Any, problem: Problem | Ranking) -> list[str]:
    """Return the features that a fitted model is asked with, in its order; the problem's if it does not know them."""
    return [str(name) for name in getattr(model, "feature_names_in_", problem.features)]


def missing_features(model: Any, columns: Iterable[str], problem: Problem | Ranking) -> list[str]:
    """Return the features that the model was fitted on and that are not among `columns`."""
    there = set(columns)
    return [name for name in features_of(model, problem) if name not in there]


def require_features(
    model: Any, columns: Iterable[str], problem: Problem | Ranking, name: str = "the model"
) -> list[str]:
    """Return `features_of(model)`, all of which are among `columns`. `name` says in a message which model it is.

    Raises:
        MissingFeaturesError: some are not; the message names the model and the columns, and says what to do.
    """
    features, gone = features_of(model, problem), missing_features(model, columns, problem)
    if gone:
        raise MissingFeaturesError(
            f"Expected the {len(features)} features that {name} of {problem.name} was fitted on, but the rows have no "
            f"{', '.join(gone)}. Train a model that does without (`{RETRAIN_COMMAND}`). Until it serves, put the "
            "column back into the SQL, its documentation and the schema."
        )
    return features


def scored(model: Any, rows: pd.DataFrame, problem: Problem, name: str = "the model") -> npt.NDArray[np.float64]:
    """Return what the model predicts of each row, (n,): a probability (0 to 1), or an amount of at least 0.

    `model` is fitted and has `predict_proba`, for a problem of kind `regression` `predict`; other columns of `rows`
    than its own features are left alone. `name` says in a message which model it is.

    Raises:
        MissingFeaturesError: the rows lack a feature that the model was fitted on.
    """
    features = require_features(model, rows.columns, problem, name)
    if problem.kind == "regression":
        # A regression may end below nothing, and nobody spends that.
        return np.asarray(np.maximum(model.predict(rows[features]), 0.0), dtype="float64")
    return np.asarray(model.predict_proba(rows[features])[:, 1], dtype="float64")


class Scorer:
    """Gives a model's scores of rows (`scored`); two are equal where they ask the same model.

    So what is made of scores can be told to be the same without asking the model again.
    """

    def __init__(self, model: Any, problem: Problem) -> None:
        self.model, self.problem = model, problem

    def __call__(self, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return the model's probability (0 to 1) for each row, (n,)."""
        return scored(self.model, rows, self.problem)

    def __eq__(self, other: object) -> bool:
        """Whether the same model is asked about the same problem."""
        return isinstance(other, Scorer) and self.model is other.model and self.problem is other.problem

    def __hash__(self) -> int:
        """Return what equal ones have in common."""
        return hash((id(self.model), id(self.problem)))
