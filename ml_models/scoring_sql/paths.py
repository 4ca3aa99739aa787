"""Which path scores: SQL in the warehouse, scikit-learn on a stream of batches, or one call on a frame in memory.

All three give the same scores (the parity gate sees to it), so this is a question of cost, and it is measured.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ml_models.scoring_sql.compiler import CompiledScore

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow

Path = Literal["sql", "streamed", "in memory"]

BATCH_ROWS = 200_000
"""Rows that scikit-learn scores at a time: flat memory (some 200 MB for 60 features), and its overhead is nothing."""

SAMPLE_ROWS = 20_000

SAMPLED_AT_MOST = 1 / 20
"""Share of the rows that a measurement may take. It is scored four times and a little, so choosing costs a quarter of
the work at most, and of a large frame nothing."""


@dataclass(frozen=True)
class PathChoice:
    """Which path scores and why; the seconds are what all rows would take, None where nothing was measured."""

    path: Path
    reason: str
    sql_seconds: float | None = None
    python_seconds: float | None = None
    measured_rows: int = 0


def choose_path(
    compiled: CompiledScore | None,
    rows: int,
    *,
    refusal: str = "",
    parity_passed: bool = True,
    sql: Callable[[int], object] | None = None,
    python: Callable[[int], object] | None = None,
    sample_rows: int = SAMPLE_ROWS,
    runs: int = 2,
    batch_rows: int = BATCH_ROWS,
    clock: Callable[[], float] = time.perf_counter,
) -> PathChoice:
    """Choose the cheaper path to score `rows` rows.

    Rows of one batch are scored in memory and nothing is measured: planning a long expression alone may take longer
    than scikit-learn takes for all of them, and what could be saved is less than what measuring costs.

    `sql(n)` and `python(n)` each score n rows the way they would be scored, reading and writing included. They are
    run in turns on `sample_rows` and on a tenth of them, the quickest of `runs` counts, and the line through both
    sizes is followed to `rows`: planning a long expression costs the same for one row as for a million. Without them
    the estimator's cost class decides: linear models in SQL; trees by scikit-learn beside DuckDB, and in SQL on
    BigQuery, where fetching the rows would cost more. `compiled` is None where the pipeline cannot be written as SQL
    (`refusal` says why), `parity_passed` False where nothing proved that the SQL says the same: then SQL never scores.

    >>> compiled = CompiledScore("0.25e0", "duckdb", "LogisticRegression", "linear", ())
    >>> choose_path(compiled, 150_000).path, choose_path(compiled, 5_000_000).path
    ('in memory', 'sql')
    >>> choose_path(None, 5_000_000, refusal="a step is a spline").reason
    'scikit-learn scores: a step is a spline'
    """
    if rows <= batch_rows:
        return PathChoice("in memory", f"not measured: {rows:,} rows are one batch (at most {batch_rows:,})")
    away: Path = "streamed"
    if compiled is None:
        return PathChoice(away, f"scikit-learn scores: {refusal or 'the pipeline cannot be written as SQL'}")
    if not parity_passed:
        return PathChoice(away, "scikit-learn scores: no SQL of this version passed the parity gate")
    if sql is None or python is None:
        in_sql = compiled.cost_class == "linear" or compiled.dialect == "googlesql"
        why = "the rows need not leave BigQuery" if compiled.cost_class == "trees" and in_sql else "by its cost class"
        path: Path = "sql" if in_sql else away
        return PathChoice(path, f"not measured: {compiled.estimator} ({compiled.cost_class}) goes this way, {why}")
    most = max(1, min(sample_rows, int(rows * SAMPLED_AT_MOST)))
    sizes = sorted({max(1, most // 10), most})
    best: dict[tuple[str, int], float] = {}
    for _ in range(runs):
        for size in sizes:
            for name, score in (("sql", sql), ("python", python)):
                began = clock()
                score(size)
                best[name, size] = min(best.get((name, size), np.inf), clock() - began)
    seconds = {name: _at(rows, sizes, [best[name, size] for size in sizes]) for name in ("sql", "python")}
    path = "sql" if seconds["sql"] <= seconds["python"] else away
    reason = (
        f"{compiled.estimator}, {rows:,} rows: {seconds['sql']:.2f} s in SQL against {seconds['python']:.2f} s in "
        f"scikit-learn, measured on {most:,} rows"
    )
    return PathChoice(path, reason, seconds["sql"], seconds["python"], most)


def _at(rows: int, sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Return the seconds for `rows` on the line through what was measured; no row costs less than nothing."""
    if len(sizes) == 1:
        return seconds[0] * rows / sizes[0]
    slope = max(0.0, (seconds[1] - seconds[0]) / (sizes[1] - sizes[0]))
    return seconds[1] + slope * (rows - sizes[1])


def score_streamed(
    pipeline: Any,
    batches: "Iterator[pyarrow.RecordBatch]",
    *,
    features: Sequence[str],
    keys: Sequence[str] = (),
    batch_rows: int = BATCH_ROWS,
) -> "Iterator[pyarrow.RecordBatch]":
    """Score a stream of Arrow batches by scikit-learn; yields the key columns and `score` (float64).

    At most `batch_rows` rows are held as a frame at a time, whatever the size of a batch. Set `OMP_WAIT_POLICY=passive`
    where DuckDB feeds the stream, or scikit-learn's idle threads take its cores. For flat memory the source must stream
    too: in DuckDB `connection.sql(query).to_arrow_reader(rows)`; after `execute` it holds the whole result first.

    Raises:
        KeyError: a batch lacks a feature or a key column.
        ValueError: scikit-learn refuses a row.

    >>> import pyarrow
    >>> from sklearn.dummy import DummyClassifier
    >>> model = DummyClassifier(strategy="prior").fit([[1.0], [2.0], [8.0], [9.0]], [0, 0, 0, 1])
    >>> batch = pyarrow.RecordBatch.from_pydict({"customer_id": ["a", "b", "c"], "recency_days": [1.0, 4.0, 9.0]})
    >>> scored = score_streamed(model, iter([batch]), features=["recency_days"], keys=["customer_id"], batch_rows=2)
    >>> [part.to_pydict() for part in scored]
    [{'customer_id': ['a', 'b'], 'score': [0.25, 0.25]}, {'customer_id': ['c'], 'score': [0.25]}]
    """
    import pyarrow

    for batch in batches:
        for start in range(0, batch.num_rows, batch_rows):
            part = batch.slice(start, batch_rows)
            frame = part.select(list(features)).to_pandas()
            score = pyarrow.array(np.asarray(pipeline.predict_proba(frame)[:, 1], dtype=np.float64))
            columns = {key: part.column(key) for key in keys}
            yield pyarrow.RecordBatch.from_pydict({**columns, "score": score})


def gathered(frames: "Iterable[pd.DataFrame]", rows: int = BATCH_ROWS) -> "Iterator[pd.DataFrame]":
    """Yield the rows of many small frames in frames of `rows` or a little more: each call of a model has its price.

    >>> import pandas as pd
    >>> [len(frame) for frame in gathered([pd.DataFrame({"trips": [1, 2]})] * 4, rows=3)]
    [4, 4]
    """
    import pandas as pd

    waiting: list[pd.DataFrame] = []
    for frame in frames:
        waiting.append(frame)
        if sum(map(len, waiting)) >= rows:
            yield pd.concat(waiting, ignore_index=True)
            waiting = []
    if waiting:
        yield pd.concat(waiting, ignore_index=True)
