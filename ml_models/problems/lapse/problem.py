"""The lapse problem: what it is for a company's question, and its candidates.

Every candidate is one scikit-learn `Pipeline` of standard steps only (imputer, scaler, logistic regression, histogram
gradient boosting): they load from skops with a short trust list and can be written as SQL. Measured on the bundled
year (train on its first 15 cutoffs, test on its last 19), signed log1p before the scaler lowered the logistic
regression's AUC from .8508 to .8497, so it is left out; trees get neither imputer nor scaler, because they split on
raw values and send nulls their own way.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from ml_models.problems.contract import Behaviour, Candidate, Expectation, Feature, Peers, Problem, SliceRule
from ml_models.problems.lapse.features import FAMILIES, KEYS, catalogue
from ml_models.problems.lapse.moves import what_if
from ml_models.problems.lapse.texts import texts
from ml_models.problems.question import DepartmentShare, Question
from ml_models.training.baselines import baseline_candidates

RECIPE_VERSION = 3
"""Raise it with every change to what training does with the same rows: a candidate's pipeline or search space, or the
splits, baselines, search or gate in `ml_models/training/`. Then no home takes an older model for one of this recipe."""

LABEL = "lapsed"
RECENCY = "recency_days"

_C_VALUES = (0.001, 0.005, 0.02, 0.1)
_BOOSTING_SPACE: dict[str, tuple[float, ...]] = {
    "learning_rate": (0.04, 0.05, 0.07),
    "max_leaf_nodes": (4, 6, 8, 12),
    "min_samples_leaf": (100, 200, 400),
    "l2_regularization": (1.0, 5.0, 20.0),
    "max_features": (0.2, 0.3, 0.5),
    "max_iter": (60, 90, 120),
}
_WHOLE = {"max_leaf_nodes", "min_samples_leaf", "max_iter"}


def _logistic(parameters: Mapping[str, Any], seed: int) -> Pipeline:
    return Pipeline(
        [
            # An all-null column stays (as zeros), so that the scored frame keeps its positions.
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("scale", StandardScaler()),
            ("model", LogisticRegression(C=parameters["C"], max_iter=500, random_state=seed)),
        ]
    )


def _logistic_parameters(_generator: np.random.Generator, trials: int) -> list[dict[str, Any]]:
    # Four values cover the flat optimum; drawing at random among so few would only repeat some.
    return [{"C": c} for c in _C_VALUES[:trials]]


def _boosting(parameters: Mapping[str, Any], seed: int) -> Pipeline:
    # Where nothing is fitted, a problem is read without trees: the pages hold 6 MB less.
    from sklearn.ensemble import HistGradientBoostingClassifier

    return Pipeline([("model", HistGradientBoostingClassifier(early_stopping=False, random_state=seed, **parameters))])


def _boosting_parameters(generator: np.random.Generator, trials: int) -> list[dict[str, Any]]:
    drawn: list[dict[str, Any]] = []
    for _ in range(trials):
        values = {name: float(generator.choice(choices)) for name, choices in _BOOSTING_SPACE.items()}
        drawn.append({name: int(value) if name in _WHOLE else value for name, value in values.items()})
    return drawn


_CANDIDATES = (
    Candidate("logistic", 3, 4, _logistic, _logistic_parameters),
    Candidate("boosting", 4, 5, _boosting, _boosting_parameters),
)

# Bounds leave room below what both candidates did, fitted on one, on fourteen and on all matured cutoffs of the
# bundled year: recency +.0015 to +.0093, frequency +.031 to +.071, rhythm -.0023 to +.0066, spend -.0004 to +.0106,
# trend +.0016 to +.0071, breadth +.0021 to +.0252; a fifth dearer changed a score by .0006 to .0031; the worst
# customer scored 2.8 to 7.5 times the mean, the best one a twelfth of it or less. Where a third of the customers
# had quit whatever their features said, frequency came down to +.004 and recency to -.0002.
_BEHAVIOUR = Behaviour(
    expectations=(
        # One family alone says little beside its correlated neighbours: a first model of one cutoff contradicts a
        # sign by 3 % of the mean. What a slip on all sides does is never in doubt.
        Expectation("a customer who has been away for longer", ("recency",), -0.05),
        Expectation("a customer who comes less often", ("frequency",), 0.0),
        Expectation("a customer whose pauses are longer", ("rhythm",), -0.05),
        Expectation("a customer who spends less", ("spend",), -0.05),
        Expectation("a customer whose visits fall off", ("trend",), -0.05),
        Expectation("a customer who buys fewer kinds of things", ("breadth",), -0.05),
        Expectation("a customer who slips away in every way", ("recency", "frequency", "rhythm", "trend"), 0.05),
    ),
    price_factor=1.2,
    # In log-odds and odds: at the bundled year's rate of a tenth they are .01 of probability and twice the mean.
    price_tolerance=0.12,
    extremes=2.2,
)


def lapse(question: Question, parts: Collection[str], departments: Iterable[DepartmentShare] = ()) -> Problem:
    """Return the lapse problem of a question, with the features that a company can have.

    `parts` are what the company has of what a company may have (`products`, `stores`, …); `departments` are those
    whose shares of the spend are features. A slice or an expectation of which the company lacks the columns is
    left out.
    """
    departments = tuple(departments)
    features, back = catalogue(question, parts, departments), question.look_back_days
    # Light and heavy shoppers differ tenfold in lapse rate: a headline metric mostly separates these bands from each
    # other.
    activity = SliceRule("activity", f"active_days_{back}d", _activity(question))
    rfm = (RECENCY, f"active_days_{back}d", f"spend_cents_{back}d")
    return Problem(
        name="lapse",
        recipe_version=RECIPE_VERSION,
        label=LABEL,
        entity=KEYS[0],
        cutoff=KEYS[1],
        features=tuple(features),
        catalogue=features,
        families=FAMILIES,
        question=question,
        recency_feature=RECENCY,
        rfm_features=rfm,
        slices=(activity,),
        candidates=(*_CANDIDATES, *baseline_candidates(RECENCY, rfm)),
        behaviour=_expected_of(features),
        texts=texts(question, parts),
        # Against everybody, nearly all of those most at risk have the same first reason: they come rarely.
        peers=Peers(activity, "customers with {band} shopping days", "customers with 1 shopping day"),
        what_if=what_if(question, features, [one.name for one in departments]),
    )


def _activity(question: Question) -> tuple[int, ...]:
    """Return the lower ends of the bands of shopping days, by the company's own pace.

    Who comes just often enough to count as active comes once in `active_within_days`; the bands begin at one shopping
    day, at that pace, and at two, four and eight times of it.

    >>> _activity(Question()), _activity(Question(horizon_days=84, active_within_days=84, look_back_days=168))
    ((1, 3, 6, 12, 24), (1, 2, 4, 8, 16))
    """
    pace = max(2, round(question.look_back_days / question.active_within_days))
    return (1, *(times * pace for times in (1, 2, 4, 8)))


def _expected_of(features: Mapping[str, Feature]) -> Behaviour:
    """Return what a model of these features must do: a family without a feature that has a side of risk cannot move."""
    movable = {feature.family for feature in features.values() if feature.risk != "either"}
    possible = (
        replace(one, families=tuple(family for family in one.families if family in movable))
        for one in _BEHAVIOUR.expectations
    )
    return replace(_BEHAVIOUR, expectations=tuple(one for one in possible if one.families))
