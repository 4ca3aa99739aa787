"""For any small fitted model and any row: SQL scores as scikit-learn does, or neither scores."""

import math

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from support.random_models import NUMBERS, TEXTS, make_rows, one_score, run

from ml_models.scoring_sql import CompiledScore, compile_pipeline, parity
from ml_models.scoring_sql.dialects import DIALECTS, DUCKDB
from ml_models.scoring_sql.trees import last_at_most

EACH = settings(max_examples=15)
DOUBLES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(-1e3, 1e3),
    st.sampled_from(
        [0.0, -0.0, 5e-324, 2.0**53, 3.4028235677973366e38, 3.4028235677973362e38, -1.7976931348623157e308]
    ),
)
SCALERS = st.sampled_from(["passthrough", StandardScaler(), MinMaxScaler()])
IMPUTERS = st.sampled_from([SimpleImputer(strategy=strategy) for strategy in ("median", "mean", "most_frequent")])
FAMILIES = {
    "logistic": LogisticRegression(max_iter=200),
    "hist gradient boosting": HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=4, random_state=0),
    "gradient boosting": GradientBoostingClassifier(n_estimators=5, random_state=0),
    "random forest": RandomForestClassifier(4, max_depth=4, random_state=0),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("family", FAMILIES)
@EACH
@given(
    seed=st.integers(0, 2**32 - 1),
    spread=st.sampled_from([0.1, 1.0, 5.0]),
    imputer=IMPUTERS,
    scaler=SCALERS,
    encoder=st.sampled_from(["one-hot", "ordinal"]),
    rows=st.lists(
        st.tuples(*[DOUBLES] * len(NUMBERS), *[st.one_of(st.none(), st.sampled_from("abch"), st.text())] * len(TEXTS)),
        min_size=1,
        max_size=8,
    ),
)
def test_any_model_on_any_row(
    family: str, seed: int, spread: float, imputer: object, scaler: object, encoder: str, rows: list[tuple]
) -> None:
    frame = make_rows(150, seed=seed, spread=spread)
    encoders = {
        "one-hot": OneHotEncoder(handle_unknown="ignore"),
        "ordinal": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
    }
    steps = [("numbers", make_pipeline(imputer, scaler), NUMBERS), ("texts", encoders[encoder], TEXTS)]
    # A sparse one-hot is nothing that histogram boosting takes.
    columns = ColumnTransformer(steps, sparse_threshold=0)
    pipeline = make_pipeline(columns, FAMILIES[family]).fit(frame[NUMBERS + TEXTS], frame["label"])
    compiled = compile_pipeline(pipeline, NUMBERS + TEXTS, "duckdb")
    drawn = pd.DataFrame(rows, columns=NUMBERS + TEXTS).astype(dict.fromkeys(TEXTS, object))
    # DuckDB's frames end a text at a NUL, and take no lone surrogates.
    for name in TEXTS:
        drawn[name] = drawn[name].map(lambda text: text and text.replace("\0", "").encode("utf-8", "ignore").decode())
    result = parity(pipeline, compiled, drawn, run, adversarial=False)
    assert result.passed, result.sentence


@given(value=st.floats(allow_nan=False))
def test_a_number_reads_back_as_the_same_bits(value: float) -> None:
    with duckdb.connect() as connection:
        found = connection.execute(f"select {DUCKDB.number(value)}").fetchone()
    assert found is not None
    assert (found[0], math.copysign(1, found[0])) == (value, math.copysign(1, value))


@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_text_reads_back_as_the_same_text(text: str) -> None:
    with duckdb.connect() as connection:
        found = connection.execute(f"select {DUCKDB.literal(text)}").fetchone()
    assert found == (text,)
    escaped = DIALECTS["googlesql"].literal(text)
    assert escaped.isprintable()
    assert escaped.replace("\\\\", "").replace("\\'", "").count("'") == 2


@given(
    mean=st.floats(-1e6, 1e6),
    scale=st.floats(1e-6, 1e6),
    bounds=st.lists(st.floats(allow_nan=False), min_size=1, max_size=5),
)
def test_a_moved_threshold_is_the_last_number_that_goes_left(mean: float, scale: float, bounds: list[float]) -> None:
    def rounded(values: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return ((values - mean) / scale).astype(np.float32).astype(np.float64)

    for bound, last in zip(bounds, last_at_most(rounded, np.array(bounds)), strict=True):
        if np.isnan(last):
            assert rounded(np.array([-np.inf]))[0] > bound
        else:
            assert rounded(np.array([last]))[0] <= bound
            assert last == np.inf or rounded(np.array([np.nextafter(last, np.inf)]))[0] > bound


@EACH
@given(logit=st.floats(allow_nan=False, allow_infinity=False))
def test_no_logit_overflows(logit: float) -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    model.coef_, model.intercept_ = np.array([[1.0]]), np.array([0.0])
    compiled: CompiledScore = compile_pipeline(model, ["x"], "duckdb")
    score = one_score(compiled, f"{DUCKDB.number(logit)} as x")
    assert score == pytest.approx(float(model.predict_proba([[logit]])[0, 1]), abs=1e-15)
