"""Compiled SQL says what scikit-learn says: on real rows, on rows made to break it, for every supported step."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from support.bundled import PROBLEM
from support.random_models import NUMBERS, TEXTS, make_rows, one_score, proved, run

from ml_models.problems.contract import Candidate
from ml_models.scoring_sql import compile_pipeline, parity
from ml_models.scoring_sql.parity import adversarial_rows
from ml_models.training.fitting import fitted

ROWS = make_rows()
FILLED = ROWS.fillna(dict.fromkeys(NUMBERS, 0.0) | dict.fromkeys(TEXTS, "none"))


def logistic() -> LogisticRegression:
    return LogisticRegression(C=0.5, max_iter=500)


def forest() -> RandomForestClassifier:
    return RandomForestClassifier(8, max_depth=4, random_state=0)


def boosting() -> GradientBoostingClassifier:
    return GradientBoostingClassifier(n_estimators=12, max_depth=3, random_state=0)


def hist(**options: object) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(max_iter=12, min_samples_leaf=5, random_state=0, **options)


def one_hot(**options: object) -> OneHotEncoder:
    return OneHotEncoder(**{"handle_unknown": "ignore", **options})


def columns(numeric: object, text: object) -> ColumnTransformer:
    return ColumnTransformer([("numbers", numeric, NUMBERS), ("texts", text, TEXTS)])


ENCODED = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
ON_NUMBERS = {
    "logistic, median and scaler": make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), logistic()),
    "logistic, mean and min-max": make_pipeline(SimpleImputer(), MinMaxScaler(), logistic()),
    "logistic, scaled before it is filled": make_pipeline(StandardScaler(), SimpleImputer(), logistic()),
    "logistic, constant": make_pipeline(
        SimpleImputer(strategy="constant", fill_value=-1), StandardScaler(), logistic()
    ),
    "logistic, most frequent": make_pipeline(SimpleImputer(strategy="most_frequent"), StandardScaler(), logistic()),
    "logistic, without mean": make_pipeline(SimpleImputer(), StandardScaler(with_mean=False), logistic()),
    "logistic, without deviation": make_pipeline(SimpleImputer(), StandardScaler(with_std=False), logistic()),
    "hist gradient boosting": make_pipeline(hist()),
    "hist gradient boosting, scaled": make_pipeline(StandardScaler(), hist()),
    "hist gradient boosting, filled": make_pipeline(SimpleImputer(), MinMaxScaler(), hist()),
    "gradient boosting, filled": make_pipeline(SimpleImputer(), boosting()),
    "gradient boosting, filled and scaled": make_pipeline(SimpleImputer(), StandardScaler(), boosting()),
    "gradient boosting from zero": make_pipeline(SimpleImputer(), boosting().set_params(init="zero")),
    "random forest with null": make_pipeline(forest()),
    "random forest, scaled": make_pipeline(SimpleImputer(), StandardScaler(), forest()),
    "prior": make_pipeline(DummyClassifier(strategy="prior")),
}


@pytest.mark.parametrize("case", ON_NUMBERS)
def test_numbers_score_alike(case: str) -> None:
    pipeline = ON_NUMBERS[case].fit(ROWS[NUMBERS], ROWS["label"])
    compiled, result = proved(pipeline, ROWS, NUMBERS)
    assert result.passed, result.sentence
    assert result.rows > len(ROWS) + 80 or not compiled.columns
    assert compiled.cost_class == ("linear" if "logistic" in case or case == "prior" else "trees")


@pytest.mark.parametrize("model", [logistic(), boosting(), forest()], ids=lambda model: type(model).__name__)
def test_a_model_that_never_saw_null_gives_none_or_scikit_learns_direction(model: object) -> None:
    pipeline = make_pipeline(model).fit(FILLED[NUMBERS], FILLED["label"])
    _, result = proved(pipeline, FILLED, NUMBERS)
    assert result.passed, result.sentence


ON_BOTH = {
    "logistic, one-hot": make_pipeline(
        columns(make_pipeline(SimpleImputer(), StandardScaler()), one_hot()),
        logistic(),
    ),
    "logistic, one-hot without first": make_pipeline(
        columns(SimpleImputer(), one_hot(drop="first")), StandardScaler(), logistic()
    ),
    "logistic, one-hot that refuses": make_pipeline(
        columns(SimpleImputer(), one_hot(handle_unknown="error", sparse_output=False)), logistic()
    ),
    "gradient boosting, one-hot": make_pipeline(columns(SimpleImputer(), one_hot()), boosting()),
    "random forest, one-hot that refuses": make_pipeline(
        columns("passthrough", one_hot(handle_unknown="error")), forest()
    ),
    "random forest, ordinal": make_pipeline(columns("passthrough", ENCODED), forest()),
    "hist gradient boosting, ordinal": make_pipeline(columns("passthrough", ENCODED), hist()),
    "hist gradient boosting, categorical codes": make_pipeline(
        columns("passthrough", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)),
        hist(categorical_features=[4, 5]),
    ),
    "logistic, ordinal that refuses": make_pipeline(
        columns(SimpleImputer(), OrdinalEncoder()), SimpleImputer(), logistic()
    ),
}


@pytest.mark.parametrize("case", ON_BOTH)
def test_numbers_and_texts_score_alike(case: str) -> None:
    pipeline = ON_BOTH[case].fit(ROWS[NUMBERS + TEXTS], ROWS["label"])
    _, result = proved(pipeline, ROWS, NUMBERS + TEXTS)
    assert result.passed, result.sentence


def test_text_that_is_filled_before_it_is_encoded_scores_alike() -> None:
    rows = ROWS.copy()
    for name in TEXTS:
        rows[name] = rows[name].where(rows[name].notna(), np.nan)
    filler = SimpleImputer(strategy="constant", fill_value="none")
    pipeline = make_pipeline(columns(SimpleImputer(), make_pipeline(filler, one_hot())), logistic())
    pipeline.fit(rows[NUMBERS + TEXTS], rows["label"])
    compiled = compile_pipeline(pipeline, NUMBERS + TEXTS, "duckdb")
    result = parity(pipeline, compiled, rows[NUMBERS + TEXTS], run, adversarial=False)
    assert result.passed, result.sentence


def test_histogram_boosting_takes_categories_from_the_frame() -> None:
    rows = ROWS[NUMBERS + TEXTS].astype(dict.fromkeys(TEXTS, "category"))
    pipeline = make_pipeline(hist(categorical_features="from_dtype")).fit(rows, ROWS["label"])
    compiled, result = proved(pipeline, rows, NUMBERS + TEXTS)
    assert result.passed, result.sentence
    assert " in ('" in compiled.expression


def test_a_number_can_be_a_category() -> None:
    rows = ROWS.assign(visits=ROWS["visits"] % 5)
    for model, encoder in (
        (hist(categorical_features=[1]), "passthrough"),
        (logistic(), one_hot()),
        (forest(), one_hot()),
    ):
        steps = [("amount", SimpleImputer(), ["amount"]), ("visits", encoder, ["visits"])]
        pipeline = make_pipeline(ColumnTransformer(steps), model).fit(rows[["amount", "visits"]], rows["label"])
        _, result = proved(pipeline, rows, ["amount", "visits"])
        assert result.passed, result.sentence


def test_columns_are_chosen_by_name_position_slice_and_mask_and_the_rest_passes_or_is_dropped() -> None:
    rows = ROWS[NUMBERS].copy()
    chosen: list[object] = [["share", "visits"], [1, -1], slice("amount", "visits"), slice(0, 2), [True, False] * 2]
    for specification, remainder in zip(chosen, ["drop", "passthrough"] * 3, strict=False):
        transformer = make_column_transformer((SimpleImputer(), specification), remainder=remainder)
        pipeline = make_pipeline(transformer, hist()).fit(rows, ROWS["label"])
        compiled, result = proved(pipeline, rows, NUMBERS)
        assert result.passed, (specification, remainder, result.sentence)
        assert len(compiled.columns) == (4 if remainder == "passthrough" else 2)


def test_an_empty_column_is_kept_as_zeros() -> None:
    rows = ROWS[NUMBERS].assign(share=np.nan)
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    pipeline = make_pipeline(imputer, StandardScaler(), logistic()).fit(rows, ROWS["label"])
    compiled, result = proved(pipeline, rows, NUMBERS)
    assert result.passed, result.sentence
    assert "share" in compiled.columns


@pytest.mark.parametrize("candidate", PROBLEM.candidates, ids=lambda one: one.name)
def test_every_candidate_of_the_lapse_problem_scores_alike(candidate: Candidate, training_set: pd.DataFrame) -> None:
    parameters = candidate.sample(np.random.default_rng(0), 1)[0]
    pipeline = fitted(candidate, parameters, 0, training_set, PROBLEM)
    _, result = proved(pipeline, training_set.head(2000), list(pipeline.feature_names_in_))
    assert result.passed, result.sentence


@pytest.mark.parametrize("scaled_first", [False, True])
def test_what_has_no_logarithm_has_no_score(*, scaled_first: bool) -> None:
    values = np.array([-1.5, -1.0, np.nextafter(-1.0, 0), -1e-12, 0.0, 3.0, 1e300, np.nan] * 4)
    rows = pd.DataFrame({"amount": values, "visits": np.arange(32.0)})
    some = pd.DataFrame({"amount": np.arange(32.0), "visits": np.arange(32.0)[::-1]})
    steps = [SimpleImputer(), FunctionTransformer(np.log1p), StandardScaler(), logistic()]
    if scaled_first:
        steps.insert(1, MinMaxScaler())
    pipeline = make_pipeline(*steps).fit(some, np.arange(32) % 3 == 0)
    compiled, result = proved(pipeline, rows, ["amount", "visits"])
    assert result.passed, result.sentence
    assert compiled.cost_class == "linear"
    if not scaled_first:
        unfilled = make_pipeline(*steps[1:]).fit(some, np.arange(32) % 3 == 0)
        _, result = proved(unfilled, rows, ["amount", "visits"])
        assert result.passed, result.sentence
        assert one_score(compiled, "-1.5 as amount, 2 as visits") is None
        assert one_score(compiled, "-1 as amount, 2 as visits") is None
        assert one_score(compiled, "null as amount, 2 as visits") is not None


def test_nan_in_duckdb_is_missing_and_infinity_has_no_score() -> None:
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), logistic()).fit(ROWS[["amount"]], ROWS["label"])
    tree = make_pipeline(hist()).fit(ROWS[["amount"]], ROWS["label"])
    split_on_null = make_pipeline(forest()).fit(ROWS[["amount"]], ROWS["label"])
    for model in (pipeline, tree, split_on_null):
        compiled = compile_pipeline(model, ["amount"], "duckdb")
        of_null = one_score(compiled, "null::double as amount")
        assert of_null is not None
        assert one_score(compiled, "'nan'::double as amount") == of_null
        expected = model.predict_proba(pd.DataFrame({"amount": [np.nan]}))[0, 1]
        assert of_null == pytest.approx(expected, abs=1e-12)
    assert one_score(compile_pipeline(pipeline, ["amount"], "duckdb"), "'inf'::double as amount") is None


def test_whole_numbers_decimals_and_32_bit_columns_are_read_as_doubles() -> None:
    pipeline = make_pipeline(hist()).fit(ROWS[["visits"]], ROWS["label"])
    for model in (pipeline, make_pipeline(SimpleImputer(), logistic()).fit(ROWS[["visits"]], ROWS["label"])):
        compiled = compile_pipeline(model, ["visits"], "duckdb")
        expected = model.predict_proba(pd.DataFrame({"visits": [7.0]}))[0, 1]
        for kind in ("tinyint", "bigint", "hugeint", "decimal(9, 2)", "real", "double"):
            assert one_score(compiled, f"7::{kind} as visits") == pytest.approx(expected, abs=1e-12)


def test_forests_round_to_32_bits_as_scikit_learn_does() -> None:
    # 16777217 is the first whole number that no 32-bit float holds: it scores as 16777216 does.
    values = np.array([16777214.0, 16777216.0, 16777218.0, 16777220.0] * 20)
    rows = pd.DataFrame({"cents": values})
    label = (values >= 16777218).astype(int)
    for model in (forest(), boosting()):
        pipeline = make_pipeline(model).fit(rows, label)
        compiled, result = proved(pipeline, rows, ["cents"])
        assert result.passed, result.sentence
        (threshold,) = set(compiled.thresholds["cents"]) if len(compiled.thresholds["cents"]) == 1 else (None,)
        assert threshold in (None, 16777217.0)
        assert one_score(compiled, "16777217 as cents") == one_score(compiled, "16777216 as cents")


def test_parity_notices_one_wrong_leaf_a_missing_score_and_a_score_too_many() -> None:
    pipeline = make_pipeline(hist()).fit(ROWS[NUMBERS], ROWS["label"])
    compiled = compile_pipeline(pipeline, NUMBERS, "duckdb")
    cuts = [cut for cuts in compiled.thresholds.values() for cut in cuts]
    assert len(cuts) > 20

    def shifted(sql: str, frame: pd.DataFrame) -> np.ndarray:
        scores = run(sql, frame)
        scores[3] += 2e-9
        return scores

    def silent(sql: str, frame: pd.DataFrame) -> np.ndarray:
        scores = run(sql, frame)
        scores[3] = np.nan
        return scores

    assert not parity(pipeline, compiled, ROWS[NUMBERS], shifted).passed
    missing = parity(pipeline, compiled, ROWS[NUMBERS], silent)
    assert (missing.passed, missing.max_difference) == (False, math.inf)
    assert "row 3" in missing.sentence
    assert "no score" in missing.sentence
    refusing = make_pipeline(SimpleImputer(), logistic()).fit(ROWS[NUMBERS], ROWS["label"])
    linear = compile_pipeline(refusing, NUMBERS, "duckdb")
    assert parity(refusing, linear, ROWS[NUMBERS], run).passed

    def talkative(sql: str, frame: pd.DataFrame) -> np.ndarray:
        return np.nan_to_num(run(sql, frame), nan=0.5)

    assert not parity(refusing, linear, ROWS[NUMBERS], talkative).passed


def test_a_threshold_that_is_off_by_one_float_is_noticed() -> None:
    pipeline = make_pipeline(hist(max_leaf_nodes=2)).fit(ROWS[["visits"]], ROWS["label"])
    compiled = compile_pipeline(pipeline, ["visits"], "duckdb")
    cut = compiled.thresholds["visits"][0]
    # Both ways in which a threshold is written: up to it, and from the next float on.
    wrong = compiled.expression.replace(repr(cut) + "e0", repr(float(np.nextafter(cut, 0))) + "e0")
    above = float(np.nextafter(cut, np.inf))
    wrong = wrong.replace(repr(above) + "e0", repr(float(np.nextafter(above, np.inf))) + "e0")
    off = replace(compiled, expression=wrong)
    assert off.expression != compiled.expression
    assert not parity(pipeline, off, ROWS[["visits"]], run).passed


def test_made_rows_are_the_same_for_the_same_seed_and_hold_what_they_promise() -> None:
    pipeline = make_pipeline(columns("passthrough", ENCODED), hist()).fit(ROWS[NUMBERS + TEXTS], ROWS["label"])
    compiled = compile_pipeline(pipeline, NUMBERS + TEXTS, "duckdb")
    made, again = (adversarial_rows(ROWS[NUMBERS + TEXTS], compiled, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(made, again)
    for name in NUMBERS:
        values = made[name].to_numpy()
        assert np.isposinf(values).any()
        assert np.isneginf(values).any()
        assert np.isnan(values).any()
        assert np.isin(values, compiled.thresholds[name]).any()
        assert np.isin(values, np.nextafter(compiled.thresholds[name], np.inf)).any()
    assert "unseen category" in set(made["colour"])


def test_nested_pipelines_are_read() -> None:
    inner = Pipeline([("fill", SimpleImputer()), ("nothing", "passthrough")])
    pipeline = make_pipeline(inner, StandardScaler(), logistic()).fit(ROWS[NUMBERS], ROWS["label"])
    _, result = proved(pipeline, ROWS, NUMBERS)
    assert result.passed, result.sentence
