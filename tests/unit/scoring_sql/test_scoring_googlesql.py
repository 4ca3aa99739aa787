"""The GoogleSQL that is published is legal to Google's own analyzer, for every supported step."""

import pytest
from environments.analyzer import check
from scoring_world import NUMBERS, TEXTS, make_rows
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

from ml_models.scoring_sql import alias_statements, compile_pipeline, function_statements

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


def statements() -> dict[str, str]:
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
    texts = {}
    for name, (pipeline, features) in found.items():
        compiled = compile_pipeline(pipeline, features, "googlesql")
        texts[name] = compiled.select("`features.frame`", ["visits"])
        _, function = function_statements("lapse", 1, compiled, schema="shop.scoring")
        texts[f"{name}, as a function"] = function
    texts["alias"] = alias_statements("lapse", 1, "googlesql", schema="shop.scoring")[-1]
    return texts


def test_every_score_and_function_is_legal_googlesql() -> None:
    asked = statements()
    assert len(asked) == 31
    assert check(asked, {"features.frame": TABLE}) == {}
    assert set(check({"wrong": "select 1::float64"})) == {"wrong"}
