"""How a cutoff is scored: the path, chosen by what it costs; the rows; and SQL's scores held to scikit-learn's."""

import contextlib
import io
import time
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ml_models.problems.contract import REASONS
from resources.registry import REFERENCE, ModelRegistry, ModelVersion
from resources.sql_functions import SCHEMA, published
from resources.warehouse import Warehouse
from steps.problem import problem

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from ml_models.scoring_sql import CompiledScore, PathChoice
    from ml_models.scoring_sql.paths import Path

SQL_SCORE = "sql_score"

CHECKED_ROWS = 1_000
"""Rows of each batch that scikit-learn scores, too, where SQL scores: the proof was made on other rows."""

LARGEST_DIFFERENCE = 1e-9


class SqlDiffersError(RuntimeError):
    """SQL and scikit-learn do not say the same of a row; nothing was written."""


def predicted(pipeline: Any, version: ModelVersion, frame: "pd.DataFrame") -> "npt.NDArray[np.float64]":
    """Return scikit-learn's probabilities of lapse for rows of the feature frame, in their order.

    Raises:
        MissingFeaturesError: the frame lacks a feature that the version was fitted on.
    """
    from ml_models.rows import scored

    return scored(pipeline, frame, problem(), f"version {version.version}")


def scores_of_sql(frame: "pd.DataFrame") -> "npt.NDArray[np.float64]":
    """Return the column `sql_score`.

    Raises:
        SqlDiffersError: a row has no score; scikit-learn would have one, or refuse the row.
    """
    import numpy as np

    given = frame[SQL_SCORE].to_numpy(dtype="float64", na_value=np.nan)
    if np.isnan(given).any():
        raise SqlDiffersError(f"SQL has no score for {np.isnan(given).sum():,} row(s)")
    return given


def largest_difference(given: "npt.NDArray[np.float64]", expected: "npt.NDArray[np.float64]") -> float:
    """Return by how much scores of SQL are off at most.

    Raises:
        SqlDiffersError: it is more than the parity gate allows.
    """
    import numpy as np

    found = float(np.abs(given - expected).max(initial=0.0))
    if found > LARGEST_DIFFERENCE:
        raise SqlDiffersError(f"SQL and scikit-learn differ by {found:.1e} on these rows")
    return found


@dataclass(frozen=True)
class Scored:
    """What scoring a cutoff came to: rows, path and wall seconds, those of choosing and of reasons apart."""

    rows: int
    choice: "PathChoice"
    seconds: float
    seconds_choosing: float
    seconds_of_reasons: float
    charged: dict[str, int] = field(default_factory=dict)
    """What the warehouse expected to charge for reading the cutoff, as metadata."""

    @property
    def metadata(self) -> dict[str, Any]:
        """The record of it, for the materialisation."""
        measured = {
            "sql_seconds_expected": self.choice.sql_seconds,
            "python_seconds_expected": self.choice.python_seconds,
            "rows_measured": self.choice.measured_rows or None,
        }
        return {
            "rows_scored": self.rows,
            "scoring_path": self.choice.path,
            "scoring_path_reason": self.choice.reason,
            "scoring_seconds": round(self.seconds, 3),
            "scoring_seconds_choosing": round(self.seconds_choosing, 3),
            "scoring_seconds_of_reasons": round(self.seconds_of_reasons, 3),
            **{name: round(value, 3) for name, value in measured.items() if value is not None},
            **self.charged,
        }


class Target(NamedTuple):
    """A table of the schema `predictions`: with reasons or not, and which scores of another table stand beside."""

    table: str
    reasons: bool
    beside: str = ""

    @property
    def kept(self) -> list[str]:
        """The columns that are kept of what is read beside the features."""
        return ["champion_score"] if self.beside else []


SERVED = Target("lapse_predictions", reasons=True)
SHADOW = Target("shadow_predictions", reasons=False, beside="lapse_predictions")


class Scorer:
    """A version, loaded once: makes rows of predictions of rows of the feature frame."""

    def __init__(
        self,
        version: ModelVersion,
        registry: ModelRegistry,
        target: Target = SERVED,
        staleness_days: float | None = None,
    ) -> None:
        import pandas as pd

        self.version, self.target, self.staleness_days = version, target, staleness_days
        self.pipeline = registry.load(version)
        # What "typical" meant to the model when it was trained, not what is typical today.
        self.reference = pd.read_csv(io.StringIO(registry.text(version, REFERENCE)), index_col=0)
        self.scored_at = pd.Timestamp(datetime.now(UTC))
        self.seconds_of_reasons = 0.0

    def rows(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Return predictions, one row a row of `frame`; a column `sql_score` is the score, if it holds.

        Raises:
            SqlDiffersError: `sql_score` lacks a value, or is not what scikit-learn says.
        """
        import pandas as pd

        made = frame[["customer_id", "cutoff_date", *self.target.kept]].assign(
            score=self._scores(frame),
            model_name=self.version.name,
            model_version=self.version.version,
            trained_through=pd.Timestamp(self.version.trained_through),
            scored_at=self.scored_at,
        )
        if not self.target.reasons:
            return made
        from ml_models.explain import top_reasons

        began = time.perf_counter()
        reasons = top_reasons(self.pipeline, frame, self.reference, problem())
        self.seconds_of_reasons += time.perf_counter() - began
        # A number that is none, and no object: the table's column is one of numbers.
        stale = float("nan") if self.staleness_days is None else self.staleness_days
        return made.assign(**{name: reasons[name].to_numpy() for name in REASONS}, staleness_days=stale)

    def _scores(self, frame: "pd.DataFrame") -> "npt.NDArray[np.float64]":
        if SQL_SCORE not in frame:
            return predicted(self.pipeline, self.version, frame)
        given = scores_of_sql(frame)
        largest_difference(given[:CHECKED_ROWS], predicted(self.pipeline, self.version, frame.head(CHECKED_ROWS)))
        return given


def score_cutoff(
    warehouse: Warehouse,
    registry: ModelRegistry,
    version: ModelVersion,
    cutoff: date,
    target: Target = SERVED,
    *,
    batch_rows: int = 0,
    staleness_days: float | None = None,
) -> Scored:
    """Score a cutoff of the feature frame by the path that costs least, and replace its predictions, all at once.

    `staleness_days`: how old the features are by now, in days, to be kept beside the scores that are served.
    More than `batch_rows` rows (0: the usual 200,000) are never held together. Reasons are computed from the frame,
    so the rows leave the warehouse on every path; what SQL saves is scikit-learn's scoring.

    Raises:
        ValueError: scikit-learn refuses a row, or the frame lacks a feature that the version was fitted on
            (MissingFeaturesError); nothing was written.
    """
    from ml_models.rows import require_features
    from ml_models.scoring_sql.paths import BATCH_ROWS

    batch_rows = batch_rows or BATCH_ROWS
    began = time.perf_counter()
    scorer = Scorer(version, registry, target, staleness_days)
    # SQL would name a column that is gone in an error of its own.
    columns = warehouse.shapes(["features"])["features", "feature_frame"].columns
    require_features(scorer.pipeline, columns, problem(), f"version {version.version}")
    rows, loaded = rows_of(warehouse, cutoff), time.perf_counter()
    choice = _choice(warehouse, scorer, cutoff, rows, batch_rows)
    charged = warehouse.expected_cost(_query(scorer, choice.path), [cutoff])
    chosen, scorer.seconds_of_reasons = time.perf_counter(), 0.0
    try:
        write_scores(warehouse, scorer, cutoff, choice.path, batch_rows)
    except SqlDiffersError as error:
        choice = replace(choice, path="streamed", reason=f"scikit-learn scores after all: {error}")
        write_scores(warehouse, scorer, cutoff, choice.path, batch_rows)
    return Scored(rows, choice, time.perf_counter() - began, chosen - loaded, scorer.seconds_of_reasons, charged)


def rows_of(warehouse: Warehouse, cutoff: date) -> int:
    """Count the rows of a cutoff in the feature frame."""
    found = warehouse.read("select count(*) as n from features.feature_frame where cutoff_date = ?", [cutoff])
    return int(found["n"].iloc[0])


def _choice(warehouse: Warehouse, scorer: Scorer, cutoff: date, rows: int, batch_rows: int) -> "PathChoice":
    """Choose the path: small frames without looking further, large ones by measuring where that is free of charge."""
    from ml_models.rows import features_of
    from ml_models.scoring_sql import UnsupportedPipelineError, choose_path, compile_pipeline

    if rows <= batch_rows:
        return choose_path(None, rows, batch_rows=batch_rows)
    compiled: CompiledScore | None = None
    refusal = ""
    try:
        compiled = compile_pipeline(scorer.pipeline, features_of(scorer.pipeline, problem()), warehouse.dialect)
    except UnsupportedPipelineError as error:
        refusal = str(error)
    # The alias is given to a version only when its parity proof passed.
    proved = compiled is not None and published(warehouse, problem().name).champion == scorer.version.version
    if warehouse.bills_queries:
        choice = choose_path(compiled, rows, refusal=refusal, parity_passed=proved, batch_rows=batch_rows)
        if choice.path == "sql":
            sql, streamed = (
                sum(warehouse.expected_cost(_query(scorer, path), [cutoff]).values()) for path in ("sql", "streamed")
            )
            why = (
                "measuring a sample would be billed as the whole cutoff, so both were asked for by a dry run: "
                f"{sql:,} bytes by SQL, {streamed:,} streamed; for their reasons the rows leave all the same"
            )
            choice = replace(choice, reason=f"{choice.reason}; {why}")
        return choice

    spent: dict[str, float] = {"sql": 0.0, "streamed": 0.0}

    def measured(path: str, count: int) -> None:
        began = time.perf_counter()
        for _ in _predictions(warehouse, scorer, cutoff, path, batch_rows, limit=count):
            pass
        spent[path] += time.perf_counter() - began

    try:
        choice = choose_path(
            compiled,
            rows,
            refusal=refusal,
            parity_passed=proved,
            sql=lambda count: measured("sql", count),
            python=lambda count: measured("streamed", count),
            batch_rows=batch_rows,
        )
    except SqlDiffersError as error:
        return choose_path(None, rows, refusal=str(error), batch_rows=batch_rows)
    if not choice.measured_rows:
        return choice
    share = scorer.seconds_of_reasons / sum(spent.values())
    if not scorer.target.reasons:
        return choice
    return replace(choice, reason=f"{choice.reason}; {share:.0%} of both are reasons, which no path saves")


def write_scores(warehouse: Warehouse, scorer: Scorer, cutoff: date, path: "Path", batch_rows: int) -> None:
    """Score a cutoff by this path and replace its predictions, all at once.

    Raises:
        SqlDiffersError: the path is SQL, and it does not say what scikit-learn says; nothing was written.
    """
    where: dict[str, Any] = {"column": "cutoff_date", "values": [cutoff]}
    if path == "in memory":
        frame = warehouse.read(f"{_query(scorer, path)} order by f.customer_id", [cutoff])
        warehouse.replace_partitions("predictions", scorer.target.table, scorer.rows(frame), **where)
        return
    with contextlib.closing(_predictions(warehouse, scorer, cutoff, path, batch_rows)) as rows:
        warehouse.replace_partitions_by("predictions", scorer.target.table, rows, **where)


def _predictions(
    warehouse: Warehouse, scorer: Scorer, cutoff: date, path: str, batch_rows: int, limit: int | None = None
) -> "Generator[pd.DataFrame, None, None]":
    """Yield predictions batch by batch, in no order: sorting would hold all rows."""
    from ml_models.scoring_sql import gathered

    sql = _query(scorer, path) + (f" limit {limit}" if limit else "")
    with contextlib.closing(warehouse.batches(sql, [cutoff])) as frames:
        for frame in gathered(frames, batch_rows):
            yield scorer.rows(frame)


def _query(scorer: Scorer, path: str) -> str:
    from ml_models.scoring_sql import function_name

    wanted, joined = "f.*", ""
    if path == "sql":
        wanted += f", {SCHEMA}.{function_name(problem().name, scorer.version.version)}(f) as {SQL_SCORE}"
    if scorer.target.beside:
        wanted += ", s.score as champion_score"
        joined = (
            f" left join predictions.{scorer.target.beside} as s "
            "on s.customer_id = f.customer_id and s.cutoff_date = f.cutoff_date"
        )
    return f"select {wanted} from features.feature_frame as f{joined} where f.cutoff_date = ?"
