"""What a week's scoring does: which cutoff the champion scores, and which challenger scores it as a shadow."""

from datetime import date
from typing import NamedTuple

from resources.clock import Clock
from resources.registry import CHALLENGER, ModelRegistry, ModelVersion
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.warehouse.contract import Warehouse
from steps.as_of import newest_cutoff, stale_feed
from steps.champions import obstacle_of
from steps.errors import StepRefusedError
from steps.migrations import ensure
from steps.scoring import SHADOW, Scored, rows_of, score_cutoff
from steps.shop_time import days_since
from steps.tables import PREDICTIONS, SHADOW_PREDICTIONS


class WeekScored(NamedTuple):
    """What happened, in words; and where something was scored, which cutoff by which version, and what it came to."""

    what: str
    cutoff: date | None = None
    version: ModelVersion | None = None
    scored: Scored | None = None


def score_due_cutoff(
    warehouse: Warehouse,
    registry: ModelRegistry,
    clock: Clock,
    *,
    cutoff: str = "",
    rescore: bool = False,
    batch_rows: int = 0,
) -> WeekScored:
    """Score one cutoff with the champion; one that is already there stays as it is unless `rescore`.

    `cutoff` is an ISO date; empty for the newest, which is scored only when it is the one that the clock asks for.
    `batch_rows`: how many rows are held at a time, 0 for the usual.

    Raises:
        StepRefusedError: the cutoff's outcome is known, it has no rows, or `batch_rows` is negative.
    """
    ensure(warehouse, PREDICTIONS)
    champion, newest = registry.by_alias(CHAMPION_ALIAS), newest_cutoff(warehouse)
    day = date.fromisoformat(cutoff) if cutoff else newest
    stale = stale_feed(newest, clock)
    if champion is None:
        return WeekScored("nothing to score: no model has been promoted yet")
    if day is None:
        return WeekScored("nothing to score: the feature frame has no cutoff yet")
    if stale and not cutoff:
        return WeekScored(f"nothing is scored: {stale}")
    if is_scored(warehouse, day) and not rescore:
        return WeekScored(f"cutoff {day} was already scored")
    _refuse(warehouse, day, rescore=rescore, batch_rows=batch_rows)
    scored = score_cutoff(
        warehouse, registry, champion, day, batch_rows=batch_rows, staleness_days=days_since(day, clock)
    )
    what = f"cutoff {day} scored by version {champion.version}, {scored.choice.path}"
    return WeekScored(what, day, champion, scored)


def score_as_shadow(warehouse: Warehouse, registry: ModelRegistry) -> WeekScored:
    """Score the newest cutoff with the challenger that passed the gate and waits for its promotion, if there is one."""
    ensure(warehouse, PREDICTIONS, SHADOW_PREDICTIONS)
    challenger, champion = registry.by_alias(CHALLENGER), registry.by_alias(CHAMPION_ALIAS)
    cutoff = newest_cutoff(warehouse)
    waits = challenger is not None and champion is not None and challenger != champion
    if not waits or challenger is None or cutoff is None or obstacle_of(registry, challenger):
        return WeekScored("no challenger waits")
    scored = score_cutoff(warehouse, registry, challenger, cutoff, SHADOW)
    return WeekScored(f"cutoff {cutoff} scored as a shadow by version {challenger.version}", cutoff, challenger, scored)


def current_cutoff(warehouse: Warehouse, registry: ModelRegistry, clock: Clock) -> tuple[bool, str, date | None]:
    """Tell whether the newest cutoff is the one that the clock asks for and has predictions; a sentence; the cutoff.

    Where there is nothing to score yet, nothing is missing.
    """
    newest = newest_cutoff(warehouse)
    stale = stale_feed(newest, clock)
    if stale:
        return False, f"The feed is stale: {stale}.", newest
    if newest is None or registry.by_alias(CHAMPION_ALIAS) is None:
        return True, "There is nothing to score yet: no model, or no cutoff.", newest
    scored = is_scored(warehouse, newest)
    return scored, f"Cutoff {newest} is current and {'scored' if scored else 'not scored'}.", newest


def is_scored(warehouse: Warehouse, cutoff: date) -> bool:
    """Tell whether a cutoff has predictions."""
    if not warehouse.exists("predictions", "lapse_predictions"):
        return False
    found = warehouse.read("select count(*) as n from predictions.lapse_predictions where cutoff_date = ?", [cutoff])
    return bool(found["n"].iloc[0])


def _refuse(warehouse: Warehouse, cutoff: date, *, rescore: bool, batch_rows: int) -> None:
    if batch_rows < 0:
        raise StepRefusedError(
            f"Expected batch_rows to be a number of rows, or 0 for the usual; got {batch_rows}. Correct the run config."
        )
    if rescore and _outcome_is_there(warehouse, cutoff):
        raise StepRefusedError(
            f"Expected a cutoff whose outcome is still open to score again, but the outcome of {cutoff} is known. "
            "Score the newest cutoff instead; history stays as it was decided on."
        )
    if not rows_of(warehouse, cutoff):
        raise StepRefusedError(
            f"Expected rows for cutoff {cutoff} in features.feature_frame and found none. Materialise the feature "
            "frame up to that cutoff (`make run`), or name a cutoff that is there."
        )


def _outcome_is_there(warehouse: Warehouse, cutoff: date) -> bool:
    found = warehouse.read("select count(*) as n from outcomes.customer_outcomes where cutoff_date = ?", [cutoff])
    return bool(found["n"].iloc[0])
