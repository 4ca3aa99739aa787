"""What a row is scored by: the pipeline on an array where that says the same, on a frame where it wants names."""

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from support.bundled import FEATURES

from endpoint.held import probability_of
from ml_models.what_if import Model
from steps.what_if import _made


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.filterwarnings("error::UserWarning")
def test_scores_are_those_of_the_pipeline_whether_it_selects_columns_by_name_or_not(shop, frame, pipelines, by_name):
    if by_name:
        # In another order than the frame's, so that an array would be read wrongly without a word.
        chosen = ColumnTransformer([("all", make_pipeline(SimpleImputer(), StandardScaler()), FEATURES[::-1])])
        pipelines = {1: Pipeline([("choose", chosen), ("model", LogisticRegression(C=0.1, max_iter=500))])}
        pipelines[1].fit(frame[FEATURES], frame["lapsed"])
    shop.pipelines = pipelines
    model = _made(shop.read(1))
    assert isinstance(model, Model)
    rows = shop.newest[model.features].astype("float64")
    wanted = pipelines[1].predict_proba(shop.newest[model.features])[:, 1]
    assert np.abs(probability_of(model)(rows) - wanted).max() <= 1e-12
    # The model itself is as it was: it says which features it has by the same names.
    assert list(model.pipeline.feature_names_in_) == FEATURES
