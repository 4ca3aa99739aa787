"""What arrived after the week's schedules: scored and judged all the same, without waiting for the next Monday."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from resources.clock import Clock
from resources.warehouse import Warehouse, WarehouseBusyError, WarehouseError
from sensors.arrivals import WAIT_SECONDS
from sensors.history import completed_evaluations, text
from sensors.jobs import WEEKLY_JUDGE, WEEKLY_SCORE
from steps.as_of import CUTOFF_STEP_DAYS, newest_cutoff
from steps.shop_time import time_zone
from steps.tables import NO_ACTION_DUE
from steps.weekly_scoring import is_scored

SCHEDULES_DONE = time(12)
"""By noon of a cutoff's day the schedules have had their turn; before, a cutoff that waits is not late."""


def build_late_sensor(jobs: Iterable[UnresolvedAssetJobDefinition]) -> dg.SensorDefinition:
    """Return the sensor over those of the code location's jobs that it may ask for."""
    return dg.SensorDefinition(
        name="late_sensor",
        jobs=[job for job in jobs if job.name in (WEEKLY_SCORE, WEEKLY_JUDGE)],
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"warehouse", "clock"},
        description=(
            "When a cutoff, and with it the labels that matured by it, arrives after Monday's schedules: asks for its "
            "scoring once, and once it is scored for its judgement once. The cutoff is the run key."
        ),
        evaluation_fn=look,
    )


def look(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Request the scoring, then the judgement, of a newest cutoff that the schedules missed."""
    warehouse: Warehouse = context.resources.warehouse
    clock: Clock = context.resources.clock
    quick = warehouse.model_copy(update={"wait_seconds": WAIT_SECONDS})
    try:
        cutoff, scored = _newest(quick)
    except WarehouseBusyError as busy:
        return dg.SkipReason(f"the warehouse is busy, the next tick looks again: {busy}")
    except WarehouseError as error:
        return dg.SkipReason(str(error))
    if cutoff is None:
        return dg.SkipReason("there is no cutoff yet")
    now = clock.now().astimezone(ZoneInfo(time_zone()))
    judged = [text(record.evaluation, "cutoff") for record in completed_evaluations(context.instance, NO_ACTION_DUE)]
    job = due(cutoff, now, scored=scored, judged=str(cutoff) in judged)
    if job is None:
        return dg.SkipReason(f"cutoff {cutoff} waits for nobody")
    tags = {"baton/cause": f"cutoff {cutoff} arrived after the schedules", "baton/cutoff": str(cutoff)}
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"late-{job}-{cutoff}", job_name=job, tags=tags)])


def due(cutoff: date, now: datetime, *, scored: bool, judged: bool) -> str | None:
    """Return the job that a newest cutoff still needs at `now` (in the shops' zone), None when it needs none.

    A cutoff that is not current any more is not scored: see the check `scored_current_cutoff`.
    """
    if now.replace(tzinfo=None) < datetime.combine(cutoff, SCHEDULES_DONE):
        return None
    current = now.date() < cutoff + timedelta(days=CUTOFF_STEP_DAYS)
    if not scored and current:
        return WEEKLY_SCORE
    return None if judged else WEEKLY_JUDGE


def _newest(warehouse: Warehouse) -> tuple[date | None, bool]:
    """Return the newest cutoff of the feature frame, and whether it has predictions (no model: nothing to wait for)."""
    if not warehouse.exists("features", "feature_frame"):
        return None, False
    newest = newest_cutoff(warehouse)
    if newest is None:
        return None, False
    if not warehouse.exists("training", "champion") or not warehouse.row_count("training", "champion"):
        return newest, True
    return newest, is_scored(warehouse, newest)
