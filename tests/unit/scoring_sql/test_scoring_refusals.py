"""What cannot be written as SQL is refused by the name of its step and class, and never written wrongly."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler
from support.random_models import NUMBERS, TEXTS, make_rows

from ml_models.scoring_sql import UnsupportedPipelineError, compile_pipeline
from ml_models.scoring_sql.compiler import DialectName

ROWS = make_rows(200)


class SubclassedRegression(LogisticRegression):
    """Might predict anything: a subclass is not what was proved."""


def pipe(step: object, model: object | None = None) -> Pipeline:
    return Pipeline([("fill", SimpleImputer()), ("odd", step), ("model", model or LogisticRegression())])


ODD_STEPS = {
    "PCA": pipe(PCA(2)),
    "RobustScaler": pipe(RobustScaler()),
    "SelectKBest": pipe(SelectKBest(k=2)),
    "FunctionTransformer": pipe(FunctionTransformer(np.cbrt)),
    "KNNImputer": pipe(KNNImputer()),
    "clip=True": pipe(MinMaxScaler(clip=True)),
    "add_indicator=True": Pipeline([("odd", SimpleImputer(add_indicator=True)), ("model", LogisticRegression())]),
    "missing_values=": Pipeline(
        [("keep", SimpleImputer()), ("odd", SimpleImputer(missing_values=0)), ("model", LogisticRegression())]
    ),
    "transformer_weights": pipe(
        ColumnTransformer([("all", "passthrough", slice(0, 4))], transformer_weights={"all": 2.0})
    ),
    "is scaled before it is encoded": Pipeline(
        [
            ("fill", SimpleImputer()),
            ("scale", MinMaxScaler()),
            ("odd", OrdinalEncoder()),
            ("model", LogisticRegression()),
        ]
    ),
}
ODD_MODELS = {
    "CalibratedClassifierCV": CalibratedClassifierCV(LogisticRegression(), cv=2),
    "SGDClassifier": SGDClassifier(loss="log_loss"),
    "GaussianNB": GaussianNB(),
    "ExtraTreesClassifier": ExtraTreesClassifier(3),
    "SubclassedRegression": SubclassedRegression(),
    "loss='exponential'": GradientBoostingClassifier(n_estimators=2, loss="exponential"),
    "init=GaussianNB": GradientBoostingClassifier(n_estimators=2, init=GaussianNB()),
    "monotonic_cst": RandomForestClassifier(2, monotonic_cst=[1, 0, 0, 0]),
    "strategy='uniform'": DummyClassifier(strategy="uniform"),
    "steps before it may refuse": DummyClassifier(strategy="prior"),
}


@pytest.mark.parametrize("why", ODD_STEPS)
def test_an_unsupported_step_is_refused_by_name(why: str) -> None:
    pipeline = ODD_STEPS[why].fit(ROWS[NUMBERS], ROWS["label"])
    with pytest.raises(UnsupportedPipelineError, match=why) as caught:
        compile_pipeline(pipeline, NUMBERS, "duckdb")
    assert "Step 'odd' (" in str(caught.value)
    assert "Supported are SimpleImputer" in str(caught.value)


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([FunctionTransformer(np.log1p, kw_args={"casting": "same_kind"})], "only numpy.log1p without arguments"),
        ([FunctionTransformer(np.log1p), SimpleImputer()], "column amount is a logarithm already; fill it before"),
        ([FunctionTransformer(np.log1p), HistGradientBoostingClassifier(max_iter=2)], "column amount is a logarithm"),
    ],
    ids=["with arguments", "filled afterwards", "read by trees"],
)
def test_a_logarithm_is_refused_where_numbers_without_one_would_have_a_score(steps: list[object], why: str) -> None:
    pipeline = make_pipeline(*steps, *([] if hasattr(steps[-1], "predict") else [LogisticRegression()]))
    pipeline.fit(ROWS[NUMBERS].fillna(0).abs(), ROWS["label"])
    with pytest.raises(UnsupportedPipelineError, match=why):
        compile_pipeline(pipeline, NUMBERS, "duckdb")


@pytest.mark.parametrize("why", ODD_MODELS)
def test_an_unsupported_estimator_is_refused_by_name(why: str) -> None:
    pipeline = Pipeline([("fill", SimpleImputer()), ("last", ODD_MODELS[why])]).fit(ROWS[NUMBERS], ROWS["label"])
    with pytest.raises(UnsupportedPipelineError, match=why) as caught:
        compile_pipeline(pipeline, NUMBERS, "googlesql")
    assert "Step 'last' (" in str(caught.value)


@pytest.mark.parametrize(
    ("encoder", "why"),
    [
        (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30), "infrequent"),
        (OneHotEncoder(max_categories=3), "infrequent"),
        (OneHotEncoder(dtype=np.float32), "dtype=float32"),
        (OrdinalEncoder(min_frequency=30, handle_unknown="use_encoded_value", unknown_value=-1), "infrequent"),
    ],
)
def test_an_unsupported_option_of_an_encoder_is_refused(encoder: object, why: str) -> None:
    pipeline = make_pipeline(encoder, HistGradientBoostingClassifier(max_iter=2))
    if isinstance(encoder, OneHotEncoder):
        pipeline = make_pipeline(encoder, LogisticRegression())
    pipeline.fit(ROWS[TEXTS], ROWS["label"])
    with pytest.raises(UnsupportedPipelineError, match=why):
        compile_pipeline(pipeline, TEXTS, "duckdb")


def test_two_kinds_of_null_among_the_categories_are_refused() -> None:
    rows = pd.DataFrame({"colour": pd.Series(["red", None, np.nan, "red"] * 10, dtype=object)})
    pipeline = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(rows, [0, 1] * 20)
    with pytest.raises(UnsupportedPipelineError, match="both None and NaN"):
        compile_pipeline(pipeline, ["colour"], "duckdb")


def test_a_column_without_a_value_that_would_be_dropped_is_refused() -> None:
    rows = ROWS[NUMBERS].assign(share=np.nan)
    with pytest.warns(UserWarning, match="without any observed values"):
        pipeline = make_pipeline(SimpleImputer(), LogisticRegression()).fit(rows, ROWS["label"])
    with pytest.raises(UnsupportedPipelineError, match="keep_empty_features=True"):
        compile_pipeline(pipeline, NUMBERS, "duckdb")


def test_more_than_two_classes_are_refused() -> None:
    three = pd.cut(ROWS["visits"].fillna(0), 3, labels=False)
    pipeline = make_pipeline(SimpleImputer(), LogisticRegression(max_iter=500)).fit(ROWS[["visits"]], three)
    with pytest.raises(UnsupportedPipelineError, match="has 3 classes; only two are supported"):
        compile_pipeline(pipeline, ["visits"], "duckdb")


def test_features_in_another_order_and_unknown_dialects_are_refused() -> None:
    pipeline = make_pipeline(SimpleImputer(), LogisticRegression()).fit(ROWS[NUMBERS], ROWS["label"])
    with pytest.raises(ValueError, match="position 0: 'amount' was fitted, 'visits' was given"):
        compile_pipeline(pipeline, ["visits", "amount", "share", "odd name"], "duckdb")
    with pytest.raises(ValueError, match="got 3, the first difference at position 3"):
        compile_pipeline(pipeline, NUMBERS[:3], "duckdb")
    unknown: DialectName = "oracle"  # type: ignore[assignment]
    with pytest.raises(ValueError, match="among duckdb, googlesql, got 'oracle'"):
        compile_pipeline(pipeline, NUMBERS, unknown)


def test_a_text_that_is_too_long_for_the_warehouse_is_refused_with_its_bytes() -> None:
    generator = np.random.default_rng(0)
    rows = pd.DataFrame(generator.random((3000, 3)), columns=["a", "b", "c"])
    pipeline = make_pipeline(RandomForestClassifier(25, random_state=0)).fit(rows, generator.integers(0, 2, 3000))
    with pytest.raises(UnsupportedPipelineError, match=r"comes to [\d,]{7,} bytes of googlesql, and at most 750,000"):
        compile_pipeline(pipeline, ["a", "b", "c"], "googlesql")
