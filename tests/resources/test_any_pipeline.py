"""Any scikit-learn Pipeline is a candidate: it is stored, loaded, scored and explained, or refused before training."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, StandardScaler, TargetEncoder
from support.bundled import PROBLEM
from support.registered import log
from support.simulated_shop import make_frame

from ml_models.explain import REASONS, reference_values, top_reasons
from ml_models.problems.contract import Candidate
from ml_models.recalibration import OddsMap, recalibrated
from ml_models.rows import scored
from ml_models.training.fitting import fitted
from resources.registry import ModelRegistry, RegistryError
from steps.candidates import refuse_what_cannot_be_stored
from steps.errors import StepRefusedError


def filled(*steps: object) -> Pipeline:
    return make_pipeline(SimpleImputer(strategy="median"), *steps)


def scaled(*steps: object) -> Pipeline:
    return filled(StandardScaler(), *steps)


PIPELINES: dict[str, Callable[[], Pipeline]] = {
    "random forest": lambda: filled(RandomForestClassifier(10, random_state=0)),
    "extra trees": lambda: filled(ExtraTreesClassifier(10, random_state=0)),
    "gradient boosting": lambda: filled(GradientBoostingClassifier(n_estimators=10, random_state=0)),
    "boosted stumps": lambda: filled(AdaBoostClassifier(n_estimators=10, random_state=0)),
    "bagged trees": lambda: filled(BaggingClassifier(n_estimators=5, random_state=0)),
    "sigmoid-calibrated boosting": lambda: make_pipeline(
        CalibratedClassifierCV(HistGradientBoostingClassifier(max_iter=10, random_state=0), cv=2)
    ),
    "isotonic-calibrated Bayes": lambda: filled(CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=2)),
    "temperature-scaled regression": lambda: scaled(
        CalibratedClassifierCV(LogisticRegression(), method="temperature", cv=2)
    ),
    "target encoding": lambda: filled(TargetEncoder(cv=2, random_state=0), LogisticRegression()),
    "quantiles and the best columns": lambda: filled(
        QuantileTransformer(n_quantiles=20, random_state=0), SelectKBest(k=10), LogisticRegression()
    ),
    "neighbours": lambda: scaled(KNeighborsClassifier(25)),
    "a neural network": lambda: scaled(MLPClassifier((8,), max_iter=200, tol=1e-2, random_state=0)),
    "a vote": lambda: scaled(VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())], voting="soft")),
    "a stack": lambda: scaled(StackingClassifier([("a", GaussianNB()), ("b", LogisticRegression())], cv=2)),
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> ModelRegistry:
    home = tmp_path_factory.mktemp("registry")
    return ModelRegistry(tracking_uri=f"sqlite:///{home / 'mlflow.db'}", artifact_root=(home / "artifacts").as_uri())


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return make_frame(customers=120, cutoffs=8)


def candidate(build: Callable[[], Pipeline]) -> Candidate:
    return Candidate("mine", 3, 1, lambda _parameters, _seed: build(), lambda _generator, _trials: [{}])


@pytest.mark.parametrize("kind", PIPELINES)
def test_a_pipeline_is_stored_loaded_scored_and_explained(
    kind: str, registry: ModelRegistry, rows: pd.DataFrame
) -> None:
    mine = candidate(PIPELINES[kind])
    refuse_what_cannot_be_stored(rows, replace(PROBLEM, candidates=(mine,)))
    pipeline = fitted(mine, {}, 0, rows, PROBLEM)
    loaded = registry.load(log(registry, pipeline, kind))
    np.testing.assert_array_equal(scored(loaded, rows, PROBLEM), scored(pipeline, rows, PROBLEM))
    reasons = top_reasons(loaded, rows, reference_values(rows[list(PROBLEM.features)], PROBLEM), PROBLEM)
    assert list(reasons.columns) == list(REASONS)
    assert reasons["reason_1"].notna().any()


@pytest.mark.parametrize("kind", ["gradient boosting", "a stack", "temperature-scaled regression"])
def test_a_recalibrated_pipeline_is_too(kind: str, registry: ModelRegistry, rows: pd.DataFrame) -> None:
    moved = recalibrated(fitted(candidate(PIPELINES[kind]), {}, 0, rows, PROBLEM), OddsMap(0.4, 1.1))
    loaded = registry.load(log(registry, moved, f"{kind}, moved"))
    np.testing.assert_array_equal(scored(loaded, rows, PROBLEM), scored(moved, rows, PROBLEM))
    reasons = top_reasons(loaded, rows, reference_values(rows[list(PROBLEM.features)], PROBLEM), PROBLEM)
    assert reasons["reason_1"].notna().any()


def of_the_tests(values: np.ndarray) -> np.ndarray:
    return values


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (
            lambda: scaled(GaussianProcessClassifier(max_iter_predict=2, optimizer=None)),
            r"candidate mine to hold trusted types only, and it holds sklearn\.gaussian_process\._gpc\._Binary.*"
            r"TRUSTED_TYPES in resources/registry\.py.*Nothing was trained\.",
        ),
        (lambda: filled(FunctionTransformer(of_the_tests), LogisticRegression()), r"holds .*of_the_tests: its file"),
        (lambda: filled(FunctionTransformer(lambda values: values), LogisticRegression()), r"candidate mine to "),
    ],
    ids=["a type that nobody trusts", "a function of one's own", "a function without a name"],
)
def test_what_could_not_be_loaded_is_refused_before_anything_is_trained(
    build: Callable[[], Pipeline], said: str, rows: pd.DataFrame
) -> None:
    with pytest.raises(StepRefusedError, match=said):
        refuse_what_cannot_be_stored(rows, replace(PROBLEM, candidates=(candidate(build),)))


def test_the_registry_refuses_it_too_and_registers_nothing(registry: ModelRegistry, rows: pd.DataFrame) -> None:
    pipeline = filled(FunctionTransformer(of_the_tests), LogisticRegression())
    pipeline.fit(rows[list(PROBLEM.features)], rows[PROBLEM.label])
    with pytest.raises(RegistryError, match="Expected mine to hold trusted types only"):
        registry.log_version(
            pipeline,
            algorithm="mine",
            trained_through=date(2017, 7, 3),
            fingerprint="refused",
            parameters={},
            metrics={},
            files={},
            tags={},
        )
    assert registry.by_fingerprint("refused") is None
