"""A cutoff is scored by the path that costs least; the path changes nothing about the predictions, and is recorded."""

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline
from support.bundled import FEATURES, PROBLEM
from support.simulated_shop import cutoffs_of, make_frame

from assets.problem.predictions import lapse_predictions
from ml_models.explain import reference_values, top_reasons
from ml_models.rows import MissingFeaturesError
from ml_models.scoring_sql import compile_pipeline
from resources.clock import Clock
from resources.registry import ModelRegistry, ModelVersion
from resources.sql_functions import publish, published
from resources.warehouse import DuckDBWarehouse
from steps.champions import make_champion, obstacle_of
from steps.errors import StepRefusedError
from steps.publishing import keep_published
from steps.scoring import SHADOW, Scorer, score_cutoff, write_scores

WORLD = make_frame(customers=1200, cutoffs=3)
CUTOFF = cutoffs_of(3)[-1]
NEWEST = WORLD[WORLD["cutoff_date"] == pd.Timestamp(CUTOFF)].sort_values("customer_id").reset_index(drop=True)
READ = "select * from predictions.lapse_predictions order by customer_id"
CHAMPION = ModelVersion("lapse", 4, "run", "logistic", date(2017, 3, 27), "f")


REFERENCE = reference_values(WORLD[FEATURES], PROBLEM).to_csv()
SHELF: dict[str, Pipeline] = {}


class Shelf(ModelRegistry):
    """A registry in memory; what it holds is told by its name, because Dagster makes resources anew."""

    @classmethod
    def with_(cls, pipeline: Pipeline) -> "Shelf":
        name = type(pipeline[-1]).__name__
        SHELF[name] = pipeline
        return cls(tracking_uri=name, artifact_root="none")

    def by_alias(self, alias: str) -> ModelVersion | None:
        return CHAMPION if alias == "champion" else None

    def load(self, version: ModelVersion) -> Pipeline:
        return SHELF[self.tracking_uri]

    def text(self, version: ModelVersion, name: str) -> str:
        return REFERENCE

    def evidence(self, version: ModelVersion) -> dict[str, Any]:
        return {"gates": []}

    def tag(self, version: ModelVersion, name: str) -> str:
        return ""


def fitted(candidate: int, features: Sequence[str] = FEATURES) -> Pipeline:
    one = PROBLEM.candidates[candidate]
    pipeline = one.build(one.sample(np.random.default_rng(1), 1)[0], 0)
    return pipeline.fit(WORLD.assign(returns_84d=WORLD["trips_84d"] % 3)[list(features)], WORLD["lapsed"])


@pytest.fixture(scope="module", params=[0, 1], ids=["logistic", "boosting"])
def model(request) -> Pipeline:
    return fitted(request.param)


@pytest.fixture(scope="module")
def linear() -> Pipeline:
    return fitted(0)


@pytest.fixture
def warehouse(tmp_path) -> DuckDBWarehouse:
    made = DuckDBWarehouse(path=str(tmp_path / "warehouse.duckdb"), wait_seconds=1)
    made.replace_table("features", "feature_frame", WORLD.drop(columns="lapsed"))
    return made


def score(warehouse, pipeline, **more):
    return score_cutoff(warehouse, Shelf.with_(pipeline), CHAMPION, CUTOFF, **more)


def as_in_one_call(pipeline) -> pd.DataFrame:
    scores = pipeline.predict_proba(NEWEST[FEATURES])[:, 1]
    reasons = top_reasons(pipeline, NEWEST, pd.read_csv(io.StringIO(REFERENCE), index_col=0), PROBLEM)
    return pd.concat([NEWEST[["customer_id"]].assign(score=scores), reasons], axis=1)


def assert_the_same(found: pd.DataFrame, expected: pd.DataFrame, tolerance: float) -> None:
    assert list(found["customer_id"]) == list(expected["customer_id"])
    np.testing.assert_allclose(found["score"], expected["score"], rtol=0, atol=tolerance)
    for name in ("reason_1", "reason_2", "reason_3"):
        assert found[name].fillna("").tolist() == expected[name].fillna("").tolist()


def test_a_small_frame_is_scored_in_memory_and_pays_for_no_measurement(warehouse, model) -> None:
    done = score(warehouse, model)
    assert (done.choice.path, done.choice.measured_rows, done.rows) == ("in memory", 0, len(NEWEST))
    assert f"not measured: {len(NEWEST):,} rows are one batch" in done.choice.reason
    assert_the_same(warehouse.read(READ), as_in_one_call(model), tolerance=0)


def test_a_frame_over_the_limit_is_streamed_and_says_what_one_call_says(warehouse, model) -> None:
    done = score(warehouse, model, batch_rows=100)
    assert done.choice.path == "streamed"
    assert "no SQL of this version passed the parity gate" in done.choice.reason
    assert_the_same(warehouse.read(READ), as_in_one_call(model), tolerance=1e-12)


def test_a_champion_with_a_proof_is_measured_on_both_paths(warehouse, linear) -> None:
    assert keep_published(warehouse, Shelf.with_(linear), CHAMPION)[0]
    done = score(warehouse, linear, batch_rows=100)
    assert done.choice.measured_rows == len(NEWEST) // 20
    assert "s in SQL against" in done.choice.reason
    assert "are reasons, which no path saves" in done.choice.reason
    assert_the_same(warehouse.read(READ), as_in_one_call(linear), tolerance=1e-12)


def test_what_sql_scores_is_what_one_call_scores(warehouse, model) -> None:
    assert keep_published(warehouse, Shelf.with_(model), CHAMPION)[0]
    write_scores(warehouse, Scorer(CHAMPION, Shelf.with_(model)), CUTOFF, "sql", 100)
    assert_the_same(warehouse.read(READ), as_in_one_call(model), tolerance=1e-12)


def test_a_champion_without_a_proof_is_never_scored_in_sql(warehouse, linear) -> None:
    # The function of another version is there, and it is not the champion's.
    other = compile_pipeline(linear, FEATURES, "duckdb")
    publish(warehouse, "lapse", 4, other)
    publish(warehouse, "lapse", 3, other, alias=True)
    assert published(warehouse, "lapse").champion == 3
    assert score(warehouse, linear, batch_rows=100).choice.path == "streamed"


def test_sql_that_says_something_else_is_noticed_and_nothing_of_it_stays(warehouse, linear) -> None:
    right = compile_pipeline(linear, FEATURES, "duckdb")
    publish(warehouse, "lapse", 4, replace(right, expression=f"({right.expression}) * 0.999"), alias=True)
    done = score(warehouse, linear, batch_rows=100)
    assert done.choice.path == "streamed"
    assert "SQL and scikit-learn differ by" in done.choice.reason
    assert_the_same(warehouse.read(READ), as_in_one_call(linear), tolerance=1e-12)


def test_a_row_that_the_model_refuses_leaves_the_predictions_as_they_were(warehouse, linear) -> None:
    score(warehouse, linear, batch_rows=100)
    before = warehouse.read(READ)
    spoilt = WORLD.drop(columns="lapsed").copy()
    spoilt.loc[spoilt.index[-1], "spend_slope_84d"] = np.inf
    warehouse.replace_table("features", "feature_frame", spoilt)
    with pytest.raises(ValueError, match="infinity"):
        score(warehouse, linear, batch_rows=100)
    pd.testing.assert_frame_equal(warehouse.read(READ), before)


def materialized(warehouse, pipeline, **config) -> dict[str, Any]:
    result = dg.materialize(
        [lapse_predictions],
        resources={
            "warehouse": warehouse,
            "registry": Shelf.with_(pipeline),
            "clock": Clock(reads=f"{CUTOFF}T08:00:00-05:00", override_variable="BATON_NOT_IN_TESTS"),
        },
        run_config={"ops": {"predictions__lapse_predictions": {"config": config}}},
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
    )
    assert result.success, [str(event) for event in result.all_events if event.is_failure]
    [made] = result.get_asset_materialization_events()
    found = made.step_materialization_data.materialization.metadata
    return {name: value.value for name, value in found.items()}


def test_the_path_its_reason_seconds_and_rows_are_in_the_metadata(warehouse, linear) -> None:
    keep_published(warehouse, Shelf.with_(linear), CHAMPION)
    record = materialized(warehouse, linear, batch_rows=100)
    assert record["scoring_path"] in ("sql", "streamed")
    assert record["rows_scored"] == len(NEWEST)
    assert record["scoring_seconds"] >= record["scoring_seconds_choosing"] > 0
    assert record["sql_seconds_expected"] > 0
    assert record["python_seconds_expected"] > 0
    assert f"{len(NEWEST):,} rows" in record["scoring_path_reason"]
    assert record["mean_score"] == pytest.approx(linear.predict_proba(NEWEST[FEATURES])[:, 1].mean(), abs=1e-4)
    small = materialized(DuckDBWarehouse(path=warehouse.path), linear, rescore=False)
    assert "already scored" in small["what_happened"]


def test_a_challenger_in_the_shadow_is_streamed_too_beside_what_the_champion_said(warehouse, linear) -> None:
    score(warehouse, linear)
    known = warehouse.read(READ)
    # Of the last customers the champion said nothing.
    warehouse.replace_partitions(
        "predictions", "lapse_predictions", known.iloc[:-3], column="cutoff_date", values=[CUTOFF]
    )
    challenger = replace(CHAMPION, version=5)
    for rows in (100, 0):
        done = score_cutoff(warehouse, Shelf.with_(fitted(1)), challenger, CUTOFF, SHADOW, batch_rows=rows)
        assert done.choice.path == ("streamed" if rows else "in memory")
        shadow = warehouse.read("select * from predictions.shadow_predictions order by customer_id")
        assert set(shadow["model_version"]) == {5}
        np.testing.assert_array_equal(shadow["champion_score"].iloc[:-3], known["score"].iloc[:-3])
        assert shadow["champion_score"].iloc[-3:].isna().all()
        assert "reason_1" not in shadow


FEWER = FEATURES[:0:-1]
"""What a version of the time before the first feature was added knows; its columns were in another order then."""

MORE = [*FEATURES, "returns_84d"]
"""What a version knows that was fitted before a feature was taken away."""

GONE = "version 4 of lapse was fitted on, but the rows have no returns_84d"


def test_a_version_that_does_not_know_a_feature_scores_by_its_own_on_every_path(warehouse) -> None:
    model = fitted(0, FEWER)
    expected = model.predict_proba(NEWEST[FEWER])[:, 1]
    published_now = keep_published(warehouse, Shelf.with_(model), CHAMPION)
    assert published_now.passed
    assert published(warehouse, "lapse").champion == 4
    called = warehouse.read(
        "select scoring.lapse_champion(f) as score from features.feature_frame f "
        f"where cutoff_date = date '{CUTOFF}' order by customer_id"
    )
    np.testing.assert_allclose(called["score"], expected, rtol=0, atol=1e-9)
    for path in ("in memory", "streamed", "sql"):
        write_scores(warehouse, Scorer(CHAMPION, Shelf.with_(model)), CUTOFF, path, 100)
        found = warehouse.read(READ)
        np.testing.assert_allclose(found["score"], expected, rtol=0, atol=1e-9)
        assert found["reason_1"].notna().any()
    assert score(warehouse, model, batch_rows=100).rows == len(NEWEST)


def test_champion_and_shadow_of_different_features_stand_side_by_side(warehouse) -> None:
    score(warehouse, fitted(0, FEWER))
    challenger = fitted(1)
    score_cutoff(warehouse, Shelf.with_(challenger), replace(CHAMPION, version=5), CUTOFF, SHADOW)
    shadow = warehouse.read("select * from predictions.shadow_predictions order by customer_id")
    np.testing.assert_allclose(shadow["score"], challenger.predict_proba(NEWEST[FEATURES])[:, 1], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(shadow["champion_score"], warehouse.read(READ)["score"])


def test_a_version_whose_feature_is_gone_scores_nothing_and_it_is_said_what_to_do(warehouse, linear) -> None:
    score(warehouse, linear)
    before = warehouse.read(READ)
    keep_published(warehouse, Shelf.with_(linear), replace(CHAMPION, version=3))
    model = fitted(0, MORE)
    for rows in (100, 0):
        with pytest.raises(MissingFeaturesError, match=f"{GONE}.*-j retrain"):
            score(warehouse, model, batch_rows=rows)
    pd.testing.assert_frame_equal(warehouse.read(READ), before)
    # An alias that calls the version before would tell of a model that no longer serves.
    refused = keep_published(warehouse, Shelf.with_(model), CHAMPION)
    assert not refused.passed
    assert GONE in refused.sentence
    assert published(warehouse, "lapse").champion is None


def test_a_version_whose_feature_is_gone_does_not_become_the_champion(warehouse) -> None:
    registry = Shelf.with_(fitted(1, MORE))
    assert obstacle_of(registry, CHAMPION) == "it was fitted on returns_84d, which there is no longer"
    with pytest.raises(StepRefusedError, match=f"{GONE}.*The champion stays"):
        make_champion(registry, warehouse, CHAMPION, reason="a person asked for it")
