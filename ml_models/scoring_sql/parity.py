"""The proof that compiled SQL says what scikit-learn says: on real rows, and on rows made to break it."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.scoring_sql.compiler import CompiledScore

TOLERANCE = 1e-9
RELATION = "parity_rows"
"""The name under which `run` must offer the frame to the query."""

POSITION = "parity_position"

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_DOUBLE_MAX = float(np.finfo(np.float64).max)
EXTREMES: tuple[float, ...] = (
    0.0,
    -0.0,
    *(
        sign * value
        for sign in (1.0, -1.0)
        for value in (
            np.inf,
            _DOUBLE_MAX,
            1e300,
            1e154,
            # Around the largest 32-bit float: what still rounds to it, and what no longer does.
            float(np.nextafter(_FLOAT32_MAX * (1 + 2**-25), np.inf)),
            _FLOAT32_MAX,
            1e18,
            1e-30,
            float(np.finfo(np.float64).tiny),
            5e-324,
        )
    ),
)
UNEXPECTED_VALUES = ("", " ", "unseen category", 'O\'Neil \\ "both"', "Ünseen\n文", "null", "NaN")

Run = Callable[[str, pd.DataFrame], npt.ArrayLike]


@dataclass(frozen=True)
class ParityResult:
    """What the comparison came to: the largest difference (infinite where only one side has a score)."""

    max_difference: float
    rows: int
    passed: bool
    sentence: str


def parity(
    pipeline: Any, compiled: CompiledScore, rows: pd.DataFrame, run: Run, *, adversarial: bool = True, seed: int = 0
) -> ParityResult:
    """Hold compiled SQL against `predict_proba` on `rows`, and on rows made from them to break it.

    `rows` holds the pipeline's features (other columns are ignored). `run(sql, frame)` makes `frame` readable to the
    warehouse as `parity_rows` and returns the query's one column in the query's order, null as NaN. A row that
    scikit-learn refuses must have no score in SQL, and every other row one within 1e-9.

    Raises:
        ValueError: `rows` is empty, or `run` returned another number of scores.

    A model that says a quarter of everybody, and a warehouse that says so too:

    >>> from sklearn.dummy import DummyClassifier
    >>> from ml_models.scoring_sql.compiler import compile_pipeline
    >>> rows = pd.DataFrame({"recency_days": [1.0, 2.0, 8.0, 9.0]})
    >>> model = DummyClassifier(strategy="prior").fit(rows, [0, 0, 0, 1])
    >>> compiled = compile_pipeline(model, ["recency_days"], "duckdb")
    >>> parity(model, compiled, rows, lambda sql, frame: np.full(len(frame), 0.25)).passed
    True
    >>> parity(model, compiled, rows, lambda sql, frame: np.full(len(frame), 0.26)).passed
    False
    """
    features = list(getattr(pipeline, "feature_names_in_", compiled.columns))
    if rows.empty:
        raise ValueError("Expected rows to compare SQL and scikit-learn on, got none; give some of the feature frame.")
    frame = rows[features].reset_index(drop=True)
    made = 0
    if adversarial:
        broken = adversarial_rows(frame, compiled, seed=seed)
        made = len(broken)
        frame = joined(frame, broken)
    expected = expected_scores(pipeline, frame)
    query = f"{compiled.select(RELATION)} order by {POSITION}"
    got = np.asarray(run(query, frame.assign(**{POSITION: np.arange(len(frame))})), dtype=np.float64)
    if got.shape != expected.shape:
        raise ValueError(f"Expected {len(expected):,} scores from the warehouse, got {got.shape}.")
    refused = np.isnan(expected)
    one_sided = refused != np.isnan(got)
    differences = np.where(refused, 0.0, np.abs(got - expected))
    differences[one_sided] = np.inf
    worst = int(differences.argmax())
    largest = float(differences[worst])
    passed = largest < TOLERANCE
    sentence = (
        f"SQL and scikit-learn differ by at most {largest:.1e} on {len(frame):,} rows, {made:,} of them made to break "
        f"it; below {TOLERANCE:.0e} is required. {int(refused.sum()):,} rows have no score in either."
    )
    if not passed:
        wrong = int((differences >= TOLERANCE).sum())
        sentence = (
            f"SQL and scikit-learn differ by {largest:.1e} on row {worst:,} of {len(frame):,} (SQL "
            f"{_text(got[worst])}, scikit-learn {_text(expected[worst])}), and on {wrong:,} rows by "
            f"{TOLERANCE:.0e} or more. The SQL must not score; {compiled.estimator} is scored by scikit-learn."
        )
    return ParityResult(largest, len(frame), passed, sentence)


def expected_scores(pipeline: Any, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the probability of the second class, NaN for rows that scikit-learn refuses.

    It refuses a whole frame for one row, so frames are halved until the rows are found.
    """
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Unknown categories, overflows: what these rows are for.
            warnings.simplefilter("ignore")
            return np.asarray(pipeline.predict_proba(frame)[:, 1], dtype=np.float64)
    except ValueError:
        if len(frame) == 1:
            return np.array([np.nan])
    middle = len(frame) // 2
    halves = (frame.iloc[:middle], frame.iloc[middle:])
    return np.concatenate([expected_scores(pipeline, half) for half in halves])


def adversarial_rows(
    frame: pd.DataFrame, compiled: CompiledScore, *, seed: int = 0, thresholds_each: int = 8
) -> pd.DataFrame:
    """Return copies of rows of `frame` with one value each replaced by what tends to break a translation.

    Nulls, infinities, huge and tiny numbers, numbers at a tree's thresholds and next to them, categories never seen;
    then rows of nulls, of huge and of tiny numbers only. The same seed gives the same rows.
    """
    generator = np.random.default_rng(seed)
    columns: list[str] = []
    values: list[object] = []
    for name in frame.columns:
        tried: list[object] = [None, *_tried(frame[name], compiled, str(name), generator, thresholds_each)]
        columns += [str(name)] * len(tried)
        values += tried
    picked = generator.integers(len(frame), size=len(values))
    changed = {}
    for name in frame.columns:
        column = frame[name].iloc[picked].astype(object).to_numpy(copy=True)
        mine = np.array([one == name for one in columns])
        column[mine] = [value for value, is_mine in zip(values, mine, strict=True) if is_mine]
        whole: list[object] = [None, 1e300, -1e300, 1e-300, _FLOAT32_MAX]
        if not _is_number(frame[name]):
            whole = [None, *UNEXPECTED_VALUES[:4]]
        changed[name] = _typed(np.concatenate([column, np.array(whole, dtype=object)]), frame[name])
    return pd.DataFrame(changed)


def joined(frame: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    """Return both frames' rows; numbers become doubles, categories know both frames' values."""
    both = {}
    for name in frame.columns:
        values = np.concatenate([frame[name].astype(object).to_numpy(), more[name].astype(object).to_numpy()])
        both[name] = _typed(values, frame[name])
    return pd.DataFrame(both)


def _tried(
    column: pd.Series, compiled: CompiledScore, name: str, generator: np.random.Generator, most: int
) -> list[object]:
    if not _is_number(column):
        return [*UNEXPECTED_VALUES, *compiled.categories.get(name, ())[:most]]
    thresholds = np.array(compiled.thresholds.get(name, ()))
    if len(thresholds) > most:
        thresholds = generator.choice(thresholds, most, replace=False)
    near = [thresholds, np.nextafter(thresholds, -np.inf), np.nextafter(thresholds, np.inf)]
    return [*EXTREMES, *np.concatenate(near).tolist()]


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _typed(values: npt.NDArray[np.object_], like: pd.Series) -> pd.Series:
    if _is_number(like):
        return pd.to_numeric(pd.Series(values, dtype=object)).astype(np.float64)
    series = pd.Series(values, dtype=object)
    return series.astype("category") if isinstance(like.dtype, pd.CategoricalDtype) else series


def _text(score: float) -> str:
    return "no score" if np.isnan(score) else f"{score:.12f}"
