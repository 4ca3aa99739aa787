"""Sync when the source has something new, without waiting for the morning."""

import dagster as dg

from resources.airbyte import AirbyteError, RawWorkspace
from resources.warehouse import WarehouseBusyError
from sensors.jobs import INGEST_AND_BUILD

WAIT_SECONDS = 1.0
"""A tick is given a minute in all, and a run may hold the warehouse for longer; the next tick looks again."""


@dg.sensor(
    name="arrivals_sensor",
    job_name=INGEST_AND_BUILD,
    minimum_interval_seconds=120,
    default_status=dg.DefaultSensorStatus.RUNNING,
    required_resource_keys={"airbyte"},
    description="Asks for `ingest_and_build` once for each day on which a source has data that was not synced yet.",
)
def arrivals_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Request one sync a day and source with news; starts no connector to find out."""
    airbyte: RawWorkspace = context.resources.airbyte
    today = airbyte.clock.now().date()
    reasons = []
    for name in airbyte.connections():
        try:
            news = airbyte.has_new_data(name, wait_seconds=WAIT_SECONDS)
        except WarehouseBusyError as busy:
            return dg.SkipReason(f"the warehouse is busy, the next tick looks again: {busy}")
        except AirbyteError as error:
            # Who is away now may be back at the next tick, and a sync that fails tells its owner.
            return dg.SkipReason(f"the source cannot be asked, the next tick looks again: {error}")
        reasons.append(news.reason)
        if news.new:
            tags = {"baton/cause": news.reason}
            return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"arrival-{name}-{today}", tags=tags)])
    return dg.SkipReason("; ".join(reasons))
