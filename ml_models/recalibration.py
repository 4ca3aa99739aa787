"""A model whose log-odds are moved, and nothing else: what is left to do where only the rate of outcomes changed.

Where outcomes became more (or less) frequent and customers are ordered as before, the log-odds of everybody are off by
the same amount (label shift; Saerens, Latinne and Decaestecker 2002). One number repairs that, learned from the newest
outcomes, where a new fit would learn everything again from few rows. The second number, the slope, is for scores that
are too bold or too timid besides.

scikit-learn's own calibration does not fit here: `CalibratedClassifierCV` always learns both numbers, and for a model
without `decision_function` it moves probabilities and not log-odds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from ml_models.odds import log_odds

Array = npt.NDArray[np.float64]

_STEPS = 50
_SMALL = 1e-10


@dataclass(frozen=True)
class OddsMap:
    """`intercept + slope * log-odds` are the new log-odds."""

    intercept: float = 0.0
    slope: float = 1.0

    def of(self, score: npt.ArrayLike) -> Array:
        """Return the moved probabilities (0 to 1) of scores, (n,).

        >>> OddsMap(np.log(2)).of([0.5, 0.2]).round(3).tolist()
        [0.667, 0.333]
        """
        return sigmoid(self.intercept + self.slope * log_odds(score))

    def after(self, first: "OddsMap") -> "OddsMap":
        """Return the one map that does what `first` and then this one do."""
        return OddsMap(self.intercept + self.slope * first.intercept, self.slope * first.slope)


def sigmoid(odds: Array) -> Array:
    """Return the probabilities of log-odds."""
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -700, 700))), dtype="float64")


def fitted_map(outcome: npt.ArrayLike, score: npt.ArrayLike, *, slope: bool = False) -> OddsMap:
    """Return the map of highest likelihood for these outcomes; both arrays (n,). Without `slope` it stays 1.

    Raises:
        ValueError: all outcomes are the same, so that no finite log-odds fit them.
    """
    labels, odds = np.asarray(outcome, dtype="float64"), log_odds(score)
    if not 0 < labels.mean() < 1:
        raise ValueError(
            f"Expected outcomes of both kinds to move log-odds by, got {labels.mean():g} in all of {len(labels):,} "
            "rows; wait for more outcomes, or train on more history."
        )
    design = np.column_stack([np.ones(len(odds)), odds]) if slope else np.ones((len(odds), 1))
    fixed = np.zeros(len(odds)) if slope else odds
    found = np.array([0.0, 1.0]) if slope else np.array([0.0])
    for _ in range(_STEPS):
        p = sigmoid(fixed + design @ found)
        weight = p * (1 - p)
        curvature = (design * weight[:, None]).T @ design + _SMALL * np.eye(design.shape[1])
        # A step of more than a few units of log-odds leaves the region in which the curvature means something.
        step = np.clip(np.linalg.solve(curvature, design.T @ (labels - p)), -2, 2)
        found = found + step
        if np.abs(step).max() < _SMALL:
            break
    return OddsMap(float(found[0]), float(found[1]) if slope else 1.0)


class RecalibratedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted binary classifier, left as it is, with its log-odds moved by `intercept` and `slope`.

    The two numbers are parameters: there is nothing to fit, and `fit` says so. It can be stored by skops, written as
    SQL (`scoring_sql`), and asked for reasons like any other classifier.
    """

    def __init__(self, model: Any, intercept: float = 0.0, slope: float = 1.0) -> None:
        self.model = model
        self.intercept = intercept
        self.slope = slope

    def fit(self, _rows: Any, _outcome: Any = None) -> "RecalibratedClassifier":
        """Return itself: model and map are given."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def classes_(self) -> Any:
        """The classes of the model."""
        return self.model.classes_

    @property
    def n_features_in_(self) -> int:
        """How many columns the model reads."""
        return int(self.model.n_features_in_)

    @property
    def feature_names_in_(self) -> Any:
        """The names of the columns that the model reads, where it knows them."""
        return self.model.feature_names_in_

    def predict_proba(self, rows: Any) -> Array:
        """Return the moved probabilities of both classes, (n, 2)."""
        second = OddsMap(self.intercept, self.slope).of(self.model.predict_proba(rows)[:, 1])
        return np.column_stack([1 - second, second])

    def predict(self, rows: Any) -> Any:
        """Return the likelier class of each row."""
        return np.asarray(self.classes_)[(self.predict_proba(rows)[:, 1] >= 0.5).astype(int)]


def recalibrated(pipeline: Pipeline, moved: OddsMap) -> Pipeline:
    """Return a pipeline whose log-odds are those of `pipeline`, moved; the given one is left alone.

    A logistic regression takes the map into its coefficients and stays what it is: its SQL and its reasons remain
    exact. Any other last step is wrapped, and one that is wrapped already gets one map that does both.
    """
    name, model = pipeline.steps[-1]
    if type(model) is LogisticRegression:
        changed = _copied(model)
        changed.coef_ = moved.slope * model.coef_
        changed.intercept_ = moved.slope * model.intercept_ + moved.intercept
    elif isinstance(model, RecalibratedClassifier):
        both = moved.after(OddsMap(model.intercept, model.slope))
        changed = RecalibratedClassifier(model.model, both.intercept, both.slope)
    else:
        changed = RecalibratedClassifier(model, moved.intercept, moved.slope)
    return Pipeline([*pipeline.steps[:-1], (name, changed)])


def _copied(model: LogisticRegression) -> LogisticRegression:
    copy = clone(model)
    vars(copy).update({name: value for name, value in vars(model).items() if name.endswith("_")})
    return copy
