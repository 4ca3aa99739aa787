"""The path that scores is the cheaper one as measured, and says so; streamed scores are the model's scores."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from support.random_models import NUMBERS, make_rows

from ml_models.scoring_sql import choose_path, compile_pipeline, gathered, score_streamed
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
    assert choose(250_000, sql=(2.0, 1e-7), python=(0.0, 2e-6)).path == "streamed"


def test_one_batch_is_scored_in_memory_and_nothing_is_measured() -> None:
    for rows in (1, 2_000, BATCH_ROWS):
        chosen = choose(rows, sql=(0.0, 1e-9), python=(0.0, 1e-5))
        assert (chosen.path, chosen.measured_rows) == ("in memory", 0)
        assert "not measured" in chosen.reason


@pytest.mark.parametrize("rows", [BATCH_ROWS + 1, 1_000_000, 100_000_000])
def test_choosing_costs_a_quarter_of_scoring_at_most(rows: int) -> None:
    clock = Stopwatch()
    work = clock.costs(0.0, 1e-6)
    choose_path(COMPILED, rows, sql=work, python=work, clock=clock)
    assert clock.now < 1e-6 * rows / 4


def test_without_measurement_the_cost_class_decides() -> None:
    many = BATCH_ROWS + 1
    assert choose_path(COMPILED, many).path == "sql"
    assert choose_path(compile_pipeline(TREES, NUMBERS, "duckdb"), many).path == "streamed"
    on_bigquery = choose_path(compile_pipeline(TREES, NUMBERS, "googlesql"), many)
    assert on_bigquery.path == "sql"
    assert "need not leave BigQuery" in on_bigquery.reason


def test_sql_never_scores_what_it_cannot_or_says_otherwise() -> None:
    clock, many = Stopwatch(), BATCH_ROWS + 1
    cheap = {"sql": clock.costs(0, 0), "python": clock.costs(9, 9), "clock": clock}
    refused = choose_path(None, many, refusal="Step 'x' (PCA) cannot be written as SQL", **cheap)
    assert refused.path == "streamed"
    assert "Step 'x' (PCA)" in refused.reason
    failed = choose_path(COMPILED, many, parity_passed=False, **cheap)
    assert failed.path == "streamed"
    assert "no SQL of this version passed the parity gate" in failed.reason


def test_small_frames_are_gathered_into_batches_and_no_row_is_lost() -> None:
    pieces = [ROWS.iloc[start : start + 30] for start in range(0, 500, 30)]
    batches = list(gathered(iter(pieces), 100))
    assert [len(batch) for batch in batches] == [120, 120, 120, 120, 20]
    assert list(pd.concat(batches)["amount"].fillna(-1)) == list(ROWS["amount"].fillna(-1))
    assert list(gathered(iter([]), 100)) == []


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
