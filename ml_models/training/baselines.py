"""What a model must beat: base rate, recency rule, a logistic regression on recency, frequency and money.

The two that read features are candidates as well (`baseline_candidates`): where nothing beats one of them, it serves.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ml_models.problems.contract import Candidate, Problem
from ml_models.training.fitting import NothingToLearnError, fitted

BASE_RATE, RECENCY_RULE, RFM = "base_rate", "recency_rule", "rfm_logistic"
BASELINES = (BASE_RATE, RECENCY_RULE, RFM)


def baseline_candidates(recency_feature: str, rfm_features: Sequence[str]) -> tuple[Candidate, Candidate]:
    """Return the recency rule and the RFM regression as candidates, of complexity 1 and 2: all features are 3 and more.

    Both are logistic regressions on log1p of their features, so that they are published as SQL and give reasons like
    any other. The rule `the longer away, the likelier gone` ranks exactly as recency does. Its rate by days, made
    monotone (isotonic), would need another step; on the bundled year its log-loss was .3018 and the regression's .3024,
    with five to fourteen cutoffs the regression's was lower or the same.
    """
    return (
        Candidate(RECENCY_RULE, 1, 1, _logarithmic, _one_set, (recency_feature,)),
        Candidate(RFM, 2, 1, _logarithmic, _one_set, tuple(rfm_features)),
    )


def baseline_scores(train: pd.DataFrame, test: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """Fit the three baselines on `train` and return their probabilities for `test`, one column each, index of `test`.

    Both frames hold the features; `train` also holds the label. Where nothing can be learned (one class, no feature
    with two values) a baseline is the base rate.
    """
    rate = float(train[problem.label].mean())
    scores = {BASE_RATE: np.full(len(test), rate)}
    for candidate in baseline_candidates(problem.recency_feature, problem.rfm_features):
        scores[candidate.name] = scores[BASE_RATE]
        if 0 < rate < 1:
            try:
                model = fitted(candidate, {"C": 1.0}, 0, train, problem)
            except NothingToLearnError:
                continue
            scores[candidate.name] = model.predict_proba(test[list(model.feature_names_in_)])[:, 1]
    return pd.DataFrame(scores, index=test.index)


def _logarithmic(parameters: Mapping[str, Any], seed: int) -> Pipeline:
    return Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("log", FunctionTransformer(np.log1p)),
            ("scale", StandardScaler()),
            ("model", LogisticRegression(C=parameters["C"], random_state=seed)),
        ]
    )


def _one_set(_generator: np.random.Generator, _trials: int) -> list[dict[str, Any]]:
    return [{"C": 1.0}]
