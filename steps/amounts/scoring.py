"""A cutoff predicted by the champion of a problem that predicts an amount, once."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from resources.clock import Clock
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.registry import ModelRegistry, ModelVersion
from resources.warehouse import Warehouse
from steps.as_of import newest_cutoff, stale_feed
from steps.errors import StepRefusedError
from steps.migrations import ensure
from steps.scoring import rows_of
from steps.tables import ProblemTables, typed

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.problems.contract import Problem


def predict_due_cutoff(
    warehouse: Warehouse,
    registry: ModelRegistry,
    clock: Clock,
    problem: "Problem",
    of: ProblemTables,
    *,
    cutoff: str = "",
    rescore: bool = False,
) -> str:
    """Predict one cutoff by the champion, and return what happened; one that is there stays as it is unless `rescore`.

    `cutoff` is an ISO date; empty for the newest, which is predicted only when it is the one that the clock asks for.

    Raises:
        StepRefusedError: the cutoff's outcome is known, or it has no rows.
        MissingFeaturesError: the frame lacks a feature that the champion was fitted on; nothing was written.
    """
    ensure(warehouse, of.predictions)
    champion, newest = registry.by_alias(CHAMPION_ALIAS), newest_cutoff(warehouse)
    day = date.fromisoformat(cutoff) if cutoff else newest
    stale = stale_feed(newest, clock)
    if champion is None:
        return "nothing to predict: no model has been promoted yet"
    if day is None:
        return "nothing to predict: the feature frame has no cutoff yet"
    if stale and not cutoff:
        return f"nothing is predicted: {stale}"
    if is_predicted(warehouse, day, of) and not rescore:
        return f"cutoff {day} was already predicted"
    known = warehouse.read("select count(*) as n from outcomes.customer_outcomes where cutoff_date = ?", [day])
    if rescore and int(known["n"].iloc[0]):
        raise StepRefusedError(
            f"Expected a cutoff whose outcome is still open to predict again, but the outcome of {day} is known. "
            "Predict the newest cutoff instead; history stays as it was decided on."
        )
    rows = rows_of(warehouse, day)
    if not rows:
        raise StepRefusedError(
            f"Expected rows for cutoff {day} in features.feature_frame and found none. Materialise the feature frame "
            "up to that cutoff (`make run`), or name a cutoff that is there."
        )
    predict_cutoff(warehouse, registry, champion, day, problem, of)
    return f"cutoff {day}: {rows:,} rows predicted by version {champion.version}"


def predict_cutoff(
    warehouse: Warehouse,
    registry: ModelRegistry,
    version: ModelVersion,
    cutoff: date,
    problem: "Problem",
    of: ProblemTables,
) -> None:
    """Replace a cutoff's predictions by this version's, all at once; rows are held batch by batch."""
    import pandas as pd

    from ml_models.rows import scored
    from ml_models.scoring_sql import gathered
    from ml_models.scoring_sql.paths import BATCH_ROWS

    pipeline, scored_at = registry.load(version), pd.Timestamp(datetime.now(UTC))

    def made(frames: "Iterator[pd.DataFrame]") -> "Iterator[pd.DataFrame]":
        for frame in gathered(frames, BATCH_ROWS):
            rows = frame[[*problem.keys]].assign(
                predicted=scored(pipeline, frame, problem, f"version {version.version}"),
                model_name=version.name,
                model_version=version.version,
                trained_through=pd.Timestamp(version.trained_through),
                scored_at=scored_at,
            )
            yield typed(rows, of.predictions)

    schema, table = of.predictions.path
    sql = "select * from features.feature_frame where cutoff_date = ?"
    with contextlib.closing(warehouse.batches(sql, [cutoff])) as frames:
        warehouse.replace_partitions_by(schema, table, made(frames), column="cutoff_date", values=[cutoff])


def is_predicted(warehouse: Warehouse, cutoff: date, of: ProblemTables) -> bool:
    """Tell whether a cutoff has predictions."""
    ensure(warehouse, of.predictions)
    found = warehouse.read(f"select count(*) as n from {'.'.join(of.predictions.path)} where cutoff_date = ?", [cutoff])
    return bool(found["n"].iloc[0])


def current(
    warehouse: Warehouse, registry: ModelRegistry, clock: Clock, of: ProblemTables
) -> tuple[bool, str, date | None]:
    """Tell whether the newest cutoff is the one that the clock asks for and has predictions; a sentence; the cutoff."""
    newest = newest_cutoff(warehouse)
    stale = stale_feed(newest, clock)
    if stale:
        return False, f"The feed is stale: {stale}.", newest
    if newest is None or registry.by_alias(CHAMPION_ALIAS) is None:
        return True, "There is nothing to predict yet: no model, or no cutoff.", newest
    there = is_predicted(warehouse, newest, of)
    return there, f"Cutoff {newest} is current and {'predicted' if there else 'not predicted'}.", newest
