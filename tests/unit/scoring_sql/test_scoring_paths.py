"""The path that scores is the cheaper one as measured, and says so; streamed scores are the model's scores."""

import numpy as np
import pyarrow as pa
import pytest
from scoring_world import NUMBERS, make_rows
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ml_models.scoring_sql import choose_path, compile_pipeline, score_streamed
from ml_models.scoring_sql.paths import BATCH_ROWS

ROWS = make_rows(500)
LINEAR = make_pipeline(SimpleImputer(), LogisticRegression(max_iter=500)).fit(ROWS[NUMBERS], ROWS["label"])
TREES = make_pipeline(HistGradientBoostingClassifier(max_iter=3)).fit(ROWS[NUMBERS], ROWS["label"])
COMPILED = compile_pipeline(LINEAR, NUMBERS, "duckdb")


class Stopwatch:
    """A clock that only work moves: `costs(a, b)` returns a job of a + b * rows seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def costs(self, fixed: float, a_row: float):
        def job(rows: int) -> None:
            self.now += fixed + a_row * rows

        return job


def choose(rows: int, sql: tuple[float, float], python: tuple[float, float]):
    clock = Stopwatch()
    return choose_path(COMPILED, rows, sql=clock.costs(*sql), python=clock.costs(*python), clock=clock)


def test_the_cheaper_path_scores_and_both_timings_are_kept() -> None:
    chosen = choose(1_000_000, sql=(0.1, 1e-7), python=(0.0, 1e-6))
    assert (chosen.path, chosen.measured_rows) == ("sql", 20_000)
    assert chosen.sql_seconds == pytest.approx(0.2)
    assert chosen.python_seconds == pytest.approx(1.0)
    assert "0.20 s in SQL against 1.00 s in scikit-learn, measured on 20,000 rows" in chosen.reason
    assert choose(1_000_000, sql=(0.0, 5e-6), python=(0.0, 1e-6)).path == "streamed"


def test_planning_a_long_text_counts_once_whatever_the_rows() -> None:
    # On the sample alone SQL loses; over ten million rows it wins.
    assert choose(10_000_000, sql=(2.0, 1e-7), python=(0.0, 2e-6)).path == "sql"
    assert choose(2_000, sql=(2.0, 1e-7), python=(0.0, 2e-6)).path == "in memory"


def test_no_more_rows_are_measured_than_there_are_to_score() -> None:
    assert choose(700, sql=(0.0, 1e-6), python=(0.0, 1e-5)).measured_rows == 700
    assert choose(1, sql=(0.0, 1e-6), python=(0.0, 1e-5)).path == "sql"


def test_without_measurement_the_cost_class_decides() -> None:
    assert choose_path(COMPILED, 10).path == "sql"
    assert choose_path(compile_pipeline(TREES, NUMBERS, "duckdb"), BATCH_ROWS + 1).path == "streamed"
    on_bigquery = choose_path(compile_pipeline(TREES, NUMBERS, "googlesql"), 10)
    assert on_bigquery.path == "sql"
    assert "need not leave BigQuery" in on_bigquery.reason


def test_sql_never_scores_what_it_cannot_or_says_otherwise() -> None:
    clock = Stopwatch()
    cheap = {"sql": clock.costs(0, 0), "python": clock.costs(9, 9), "clock": clock}
    refused = choose_path(None, 10, refusal="Step 'x' (PCA) cannot be written as SQL", **cheap)
    assert refused.path == "in memory"
    assert "Step 'x' (PCA)" in refused.reason
    failed = choose_path(COMPILED, BATCH_ROWS + 1, parity_passed=False, **cheap)
    assert failed.path == "streamed"
    assert "did not pass the parity gate" in failed.reason


def test_streamed_scores_are_the_models_and_no_frame_is_larger_than_asked() -> None:
    frame = ROWS[NUMBERS].assign(customer_id=[f"c{i}" for i in range(len(ROWS))])
    batches = pa.Table.from_pandas(frame).to_batches(max_chunksize=300)
    parts = list(score_streamed(LINEAR, iter(batches), features=NUMBERS, keys=["customer_id"], batch_rows=128))
    assert [part.num_rows for part in parts] == [128, 128, 44, 128, 72]
    scored = pa.Table.from_batches(parts).to_pandas()
    assert list(scored.columns) == ["customer_id", "score"]
    assert list(scored["customer_id"]) == list(frame["customer_id"])
    np.testing.assert_array_equal(scored["score"], LINEAR.predict_proba(ROWS[NUMBERS])[:, 1])


def test_a_stream_is_read_as_it_is_scored() -> None:
    pulled = []

    def source():
        for batch in pa.Table.from_pandas(ROWS[NUMBERS]).to_batches(max_chunksize=100):
            pulled.append(batch.num_rows)
            yield batch

    stream = score_streamed(LINEAR, source(), features=NUMBERS)
    next(stream)
    assert pulled == [100]


def test_a_stream_without_a_feature_says_which() -> None:
    batch = pa.RecordBatch.from_pandas(ROWS[["amount"]])
    with pytest.raises(KeyError, match="visits"):
        next(score_streamed(LINEAR, iter([batch]), features=NUMBERS))
