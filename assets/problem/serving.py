"""What people read, published where they read it: the last step of every run that changes it."""

from typing import Any

import dagster as dg

from assets.reporting import Materialized, table
from resources.clock import Clock
from resources.warehouse import Warehouse
from resources.week_report import WeekReport
from steps.ownership import owner_of
from steps.serving import SERVED, publish_for_readers
from steps.tables import CLOSED_DAYS, SERVING_COPY, described


@dg.asset(
    key=SERVING_COPY,
    deps=[key for key in SERVED if key != CLOSED_DAYS],
    group_name="published",
    owners=[owner_of(SERVING_COPY)],
    kinds={"duckdb"},
    description=(
        "The serving copy: `serving.duckdb` beside the warehouse, with the tables that people read and the champion's "
        "SQL function. BI tools and notebooks open it read-only. They see the former copy or this one, never half of "
        "one, and neither wait for a run nor keep one out. On BigQuery the tables themselves serve. One row says what "
        "was published. The report of the week and the file of whom to call are written with it."
    ),
)
def serving_copy(
    context: dg.AssetExecutionContext, warehouse: Warehouse, report: WeekReport, clock: Clock
) -> Materialized:
    """Publish the copy as of this run, and the report of its newest week."""
    import pandas as pd

    done = publish_for_readers(warehouse, context.run_id, report=report, clock=clock)
    context.log.info(done.sentence)
    metadata: dict[str, Any] = {**described(warehouse, SERVING_COPY), "what_happened": done.sentence}
    metadata["report"] = dg.MetadataValue.path(report.path)
    if done.file is not None and done.rows is not None:
        metadata |= {"path": dg.MetadataValue.path(str(done.file)), "bytes": done.file.stat().st_size}
        metadata["tables"] = table(pd.DataFrame(list(done.rows.items()), columns=["table", "rows"]))
    return dg.MaterializeResult(metadata=metadata)
