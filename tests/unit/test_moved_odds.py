"""Log-odds that are moved: by the step that outcomes ask for, as SQL, and twice as once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from support.random_models import NUMBERS, make_rows, proved

from ml_models.odds import log_odds
from ml_models.recalibration import OddsMap, RecalibratedClassifier, fitted_map, recalibrated

ROWS = make_rows()
MODELS = {
    "logistic": make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
    "hist gradient boosting": make_pipeline(HistGradientBoostingClassifier(max_iter=12, random_state=0)),
    "random forest, rates of 0 and 1": make_pipeline(
        SimpleImputer(), RandomForestClassifier(5, min_samples_leaf=1, random_state=0)
    ),
}
MAPS = [OddsMap(0.7), OddsMap(-1.3), OddsMap(0.2, 1.4), OddsMap(-0.5, 0.6)]


def fitted(case: str) -> Pipeline:
    return MODELS[case].fit(ROWS[NUMBERS], ROWS["label"])


@pytest.mark.parametrize("moved", MAPS, ids=str)
@pytest.mark.parametrize("case", MODELS)
def test_scores_are_moved_in_log_odds_and_sql_says_the_same(case: str, moved: OddsMap) -> None:
    before = fitted(case)
    after = recalibrated(before, moved)
    was, now = (log_odds(one.predict_proba(ROWS[NUMBERS])[:, 1]) for one in (before, after))
    inside = np.abs(was) < 20
    np.testing.assert_allclose(now[inside], moved.intercept + moved.slope * was[inside], atol=1e-6)
    _, result = proved(after, ROWS, NUMBERS)
    assert result.passed, result.sentence


def test_a_logistic_regression_stays_one_and_the_given_model_stays_as_it_was() -> None:
    before = fitted("logistic")
    score = before.predict_proba(ROWS[NUMBERS])
    after = recalibrated(before, OddsMap(0.7, 1.2))
    assert type(after[-1]) is LogisticRegression
    np.testing.assert_array_equal(before.predict_proba(ROWS[NUMBERS]), score)


def test_a_model_that_was_moved_twice_is_wrapped_once() -> None:
    before = fitted("hist gradient boosting")
    twice = recalibrated(recalibrated(before, MAPS[2]), MAPS[3])
    assert type(twice[-1]) is RecalibratedClassifier
    assert type(twice[-1].model) is HistGradientBoostingClassifier
    once = MAPS[3].of(MAPS[2].of(before.predict_proba(ROWS[NUMBERS])[:, 1]))
    np.testing.assert_allclose(twice.predict_proba(ROWS[NUMBERS])[:, 1], once, atol=1e-9)
    np.testing.assert_array_equal(twice.predict(ROWS[NUMBERS]), (once >= 0.5).astype(int))


@given(st.floats(-2, 2), st.floats(0.5, 2), st.integers(0, 10_000))
def test_the_map_that_made_outcomes_is_found_again(intercept: float, slope: float, seed: int) -> None:
    """With expected outcomes in place of drawn ones there is no chance left to excuse a difference."""
    score = np.random.default_rng(seed).beta(1, 4, 500)
    made = OddsMap(intercept, slope)
    found = fitted_map(made.of(score), score, slope=True)
    assert found.intercept == pytest.approx(intercept, abs=1e-4)
    assert found.slope == pytest.approx(slope, abs=1e-4)
    step = fitted_map(OddsMap(intercept).of(score), score)
    assert (step.intercept, step.slope) == (pytest.approx(intercept, abs=1e-6), 1)


@pytest.mark.parametrize("outcome", [0, 1])
def test_outcomes_of_one_kind_move_nothing(outcome: int) -> None:
    with pytest.raises(ValueError, match=f"Expected outcomes of both kinds to move log-odds by, got {outcome} in all"):
        fitted_map([outcome] * 50, [0.2] * 50)
