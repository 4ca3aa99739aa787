"""A model of two features that is fitted in no time, for tests of what becomes of a model."""

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

FEATURES = ["recency", "trips"]


def fitted(seed: int) -> Pipeline:
    """Return another model for each seed, always the same one for the same."""
    generator = np.random.default_rng(seed)
    rows = pd.DataFrame(generator.random((60, 2)) * 10, columns=FEATURES)
    label = (rows["recency"] - rows["trips"] + generator.normal(size=60) > 0).astype(int)
    return make_pipeline(SimpleImputer(), LogisticRegression()).fit(rows, label)
