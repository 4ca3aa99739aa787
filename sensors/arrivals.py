"""Ingest when the source has something new, without waiting for the morning."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from resources.airbyte import AirbyteError, RawWorkspace
from resources.airbyte.raw import SourceNews
from resources.clock import Clock
from resources.company import Company
from resources.tables import TableError, has_new_data
from resources.warehouse import Warehouse, WarehouseBusyError
from sensors.jobs import INGEST_AND_BUILD

WAIT_SECONDS = 1.0
"""A tick is given a minute in all, and a run may hold the warehouse for longer; the next tick looks again."""


def build_arrivals_sensor(company: Company, folder: Path) -> dg.SensorDefinition:
    """Return the sensor over the connections of the workspace and the company's tables, whose paths begin in `folder`.

    It asks for one ingestion a day and source with news, and starts no connector and reads no table to find out.
    """

    def news(
        airbyte: RawWorkspace, warehouse: Warehouse | None, clock: Clock | None
    ) -> Iterator[tuple[str, SourceNews]]:
        for name in airbyte.connections():
            yield f"{name}-{airbyte.clock.now().date()}", airbyte.has_new_data(name, wait_seconds=WAIT_SECONDS)
        if warehouse is None or clock is None:
            return
        quick = warehouse.model_copy(update={"wait_seconds": WAIT_SECONDS})
        for name, table in company.tables.items():
            told = has_new_data(quick, clock, name, table, folder)
            # A file may be written several times a day.
            yield f"{name}-{told.of or clock.now().date()}", told

    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        given = context.resources
        tables = (given.warehouse, given.clock) if company.tables else (None, None)
        reasons = []
        try:
            for key, told in news(given.airbyte, *tables):
                reasons.append(told.reason)
                if told.new:
                    tags = {"baton/cause": told.reason}
                    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"arrival-{key}", tags=tags)])
        except WarehouseBusyError as busy:
            return dg.SkipReason(f"the warehouse is busy, the next tick looks again: {busy}")
        except (AirbyteError, TableError) as error:
            # Who is away now may be back at the next tick, and a load that fails tells its owner.
            return dg.SkipReason(f"the source cannot be asked, the next tick looks again: {error}")
        return dg.SkipReason("; ".join(reasons) or "there is no source")

    return dg.SensorDefinition(
        name="arrivals_sensor",
        job_name=INGEST_AND_BUILD,
        minimum_interval_seconds=120,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"airbyte", "warehouse", "clock"} if company.tables else {"airbyte"},
        description="Asks for `ingest_and_build` once for each day on which a source has data that was not read yet.",
        evaluation_fn=look,
    )
