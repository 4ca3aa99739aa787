"""What a model must beat: base rate, recency rule, a logistic regression on recency, frequency and money."""

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ml_models.problems.contract import Problem

BASELINES = ("base_rate", "recency_rule", "rfm_logistic")

# Small enough to change no probability that anyone reads, large enough to keep the ranking exactly that of recency
# where the fitted rate is flat.
_TIE_BREAK = 1e-7


def baseline_scores(train: pd.DataFrame, test: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """Fit the three baselines on `train` and return their probabilities for `test`, one column each, index of `test`.

    The recency rule is the observed training rate by days since the last visit, made monotone (isotonic). The RFM
    regression sees log1p of the problem's three features. Both frames hold the features; `train` also holds the
    label.
    """
    label = train[problem.label].to_numpy(dtype="float64")
    recency, rfm = problem.recency_feature, list(problem.rfm_features)
    rule = IsotonicRegression(increasing=True, out_of_bounds="clip", y_min=1e-4, y_max=1 - 1e-4)
    rule.fit(train[recency].to_numpy(dtype="float64"), label)
    days = test[recency].to_numpy(dtype="float64")
    model = Pipeline(
        [("log", FunctionTransformer(np.log1p)), ("scale", StandardScaler()), ("model", LogisticRegression())]
    )
    if 0 < label.sum() < len(label):
        model.fit(train[rfm], label.astype(int))
        rfm_scores = model.predict_proba(test[rfm])[:, 1]
    else:
        rfm_scores = np.full(len(test), label.mean())
    return pd.DataFrame(
        {
            "base_rate": np.full(len(test), label.mean()),
            "recency_rule": rule.predict(days) + _TIE_BREAK * days,
            "rfm_logistic": rfm_scores,
        },
        index=test.index,
    )
