"""Small frames with everything that breaks translations, and a DuckDB to score them in."""

from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.scoring_sql import CompiledScore, ParityResult, compile_pipeline, parity

NUMBERS = ["amount", "visits", "share", "odd name"]
TEXTS = ["colour", "shop"]


def make_rows(rows: int = 400, *, seed: int = 0, nulls: float = 0.15, spread: float = 1.0) -> pd.DataFrame:
    """Return numbers (whole, small, large, heavy-tailed) and texts, with nulls, and a label that depends on them."""
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "amount": generator.lognormal(3, spread, rows),
            "visits": generator.integers(0, 20, rows).astype(float),
            "share": generator.random(rows) / 1000,
            "odd name": generator.standard_cauchy(rows) * 10.0 ** generator.integers(-3, 4),
            "colour": generator.choice(["red", "green", "it's \\blue", "ÿ", ""], rows),
            "shop": generator.choice(list("abcdefgh"), rows),
        }
    )
    score = frame["visits"] / 10 + (frame["colour"] == "red") - frame["shop"].isin(["a", "c", "h"]) + frame["share"]
    frame["label"] = (score + generator.normal(size=rows) > score.median()).astype(int)
    for name in NUMBERS:
        frame.loc[generator.random(rows) < nulls, name] = np.nan
    for name in TEXTS:
        frame.loc[generator.random(rows) < nulls, name] = None
    return frame


def run(sql: str, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Run a parity query in DuckDB; null comes back as NaN."""
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        connection.register("parity_rows", frame)
        score = connection.execute(sql).fetchnumpy()["score"]
    return np.ma.filled(score.astype(np.float64), np.nan)


def proved(pipeline: Any, rows: pd.DataFrame, features: Sequence[str]) -> tuple[CompiledScore, ParityResult]:
    """Compile for DuckDB and compare, with rows made to break it."""
    compiled = compile_pipeline(pipeline, features, "duckdb")
    return compiled, parity(pipeline, compiled, rows[list(features)], run)


def one_score(compiled: CompiledScore, values: str) -> float | None:
    """Score the one row of a DuckDB select list, such as `1.5 as amount, 'a' as shop`."""
    with duckdb.connect() as connection:
        found = connection.execute(compiled.select(f"(select {values})")).fetchone()
    assert found is not None
    return found[0]
