"""The GoogleSQL that is published: legal to Google's own analyzer, and right by its reference implementation."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from environments.analyzer import check, googlesql
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from support.random_models import NUMBERS, TEXTS, make_rows

from ml_models.recalibration import OddsMap, recalibrated
from ml_models.scoring_sql import alias_statements, compile_pipeline, function_statements, parity

pytestmark = pytest.mark.slow

ROWS = make_rows(300)
FEATURES = NUMBERS + TEXTS
TABLE = {
    "amount": "NUMERIC",
    "visits": "INT64",
    "share": "FLOAT64",
    "odd name": "FLOAT64",
    "colour": "STRING",
    "shop": "STRING",
}


@cache
def models() -> dict[str, tuple[Pipeline, list[str]]]:
    """Return fitted pipelines and their features, every supported step among them."""
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    numbers = make_pipeline(SimpleImputer(), StandardScaler(), MinMaxScaler())
    found = {}
    for name, model in (
        ("logistic", LogisticRegression()),
        ("hist", HistGradientBoostingClassifier(max_iter=5)),
        ("boosting", GradientBoostingClassifier(n_estimators=5)),
        ("forest", RandomForestClassifier(5, max_depth=4)),
    ):
        for kind, encoder in (
            ("ordinal", ordinal),
            ("one-hot", OneHotEncoder(handle_unknown="ignore", sparse_output=False)),
            ("refusing", OneHotEncoder(sparse_output=False)),
        ):
            columns = ColumnTransformer([("numbers", numbers, NUMBERS), ("texts", encoder, TEXTS)])
            pipeline = clone(make_pipeline(columns, model)).fit(ROWS[FEATURES], ROWS["label"])
            found[f"{name}, {kind}"] = pipeline, FEATURES
    for name, plain in (
        ("hist with null", HistGradientBoostingClassifier(max_iter=5)),
        ("forest with null", RandomForestClassifier(5, max_depth=4)),
        ("prior", DummyClassifier(strategy="prior")),
    ):
        found[name] = make_pipeline(plain).fit(ROWS[NUMBERS], ROWS["label"]), NUMBERS
    logarithmic = make_pipeline(SimpleImputer(), FunctionTransformer(np.log1p), StandardScaler(), LogisticRegression())
    # Fitted on counts: of the rows' negative numbers there is no logarithm.
    counts = ROWS[NUMBERS].abs()
    found["logarithm"] = logarithmic.fit(counts, ROWS["label"]), NUMBERS
    for name, moved in (("moved", OddsMap(0.4)), ("moved, with a slope", OddsMap(-0.6, 1.3))):
        # The analyzer's answer about larger trees with a map around them is nested deeper than its messages may be.
        found[name] = recalibrated(found["forest with null"][0], moved), NUMBERS
    return found


def test_every_score_and_function_is_legal_googlesql() -> None:
    asked = {}
    for name, (pipeline, features) in models().items():
        compiled = compile_pipeline(pipeline, features, "googlesql")
        asked[name] = compiled.select("`features.frame`", ["visits"])
        _, function = function_statements("lapse", 1, compiled, schema="shop.scoring")
        asked[f"{name}, as a function"] = function
    asked["alias"] = alias_statements("lapse", 1, "googlesql", schema="shop.scoring")[-1]
    assert len(asked) == 37
    assert check(asked, {"features.frame": TABLE}) == {}
    assert set(check({"wrong": "select 1::float64"})) == {"wrong"}


def test_every_score_is_what_scikit_learn_says_by_the_languages_own_definition() -> None:
    with googlesql() as language:

        def run(sql: str, frame: pd.DataFrame) -> list[float]:
            kinds = {name: "STRING" if name in TEXTS else "FLOAT64" for name in frame.columns}
            cells = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
            kinds["parity_position"] = "INT64"
            found = language.rows(sql, {"parity_rows": kinds}, {"parity_rows": cells})
            return [np.nan if score is None else score for [score] in found]

        for name, (pipeline, features) in models().items():
            compiled = compile_pipeline(pipeline, features, "googlesql")
            result = parity(pipeline, compiled, ROWS[features].head(50), run)
            assert result.passed, f"{name}: {result.sentence}"
            assert result.rows > 100
        wrong = replace(compiled, expression=f"({compiled.expression}) + 1e-8")
        assert not parity(pipeline, wrong, ROWS[features].head(3), run, adversarial=False).passed
