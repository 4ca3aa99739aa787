"""What people read, published where they read it: the last step of every run that changes it."""

from functools import partial
from typing import Any

import dagster as dg

from assets.reporting import Materialized, table
from resources.clock import Clock
from resources.figures import figures
from resources.registry import ModelRegistry
from resources.registry_apart import read_version
from resources.warehouse import Warehouse
from resources.week_report import WeekReport
from steps.ownership import owner_of
from steps.problem import problem
from steps.serving import SERVED, Publication, publish_for_readers, published_copy
from steps.tables import CLOSED_DAYS, SERVING_COPY, described
from steps.what_if import Models

ANSWERS_AS_SCORED = "answers_as_scored"


@dg.asset(
    key=SERVING_COPY,
    deps=[key for key in SERVED if key != CLOSED_DAYS],
    group_name="published",
    owners=[owner_of(SERVING_COPY)],
    kinds={"duckdb"},
    check_specs=[
        dg.AssetCheckSpec(
            ANSWERS_AS_SCORED,
            asset=SERVING_COPY,
            blocking=False,
            description=(
                "A thousand customers of the newest cutoff, asked of the endpoint over HTTP on this machine: look-ups "
                "say what the prediction table says, and their features, sent as vectors, get the same score to 1e-9. "
                "Failed, programs get other scores than people see; the sentence says which, and on which side."
            ),
            metadata={"owner": owner_of(SERVING_COPY)},
        )
    ],
    description=(
        "The serving copy: `serving.duckdb` beside the warehouse, with the tables that people read and the champion's "
        "SQL function. BI tools and notebooks open it read-only. They see the former copy or this one, never half of "
        "one, and neither wait for a run nor keep one out. On BigQuery the tables themselves serve. One row says what "
        "was published. The report of the week and the file of whom to call are written with it."
    ),
)
def serving_copy(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    registry: ModelRegistry,
    report: WeekReport,
    clock: Clock,
) -> Materialized:
    """Publish the copy as of this run, and the report of its newest week; ask the endpoint whether it says the same."""
    import pandas as pd

    done = publish_for_readers(warehouse, context.run_id, report=report, clock=clock)
    context.log.info(done.sentence)
    metadata: dict[str, Any] = {**described(warehouse, SERVING_COPY), "what_happened": done.sentence}
    metadata["report"] = dg.MetadataValue.path(report.path)
    if done.file is not None and done.rows is not None:
        metadata |= {"path": dg.MetadataValue.path(str(done.file)), "bytes": done.file.stat().st_size}
        metadata["tables"] = table(pd.DataFrame(list(done.rows.items()), columns=["table", "rows"]))
    return dg.MaterializeResult(metadata=metadata, check_results=[_asked(warehouse, registry, clock, done)])


def _asked(warehouse: Warehouse, registry: ModelRegistry, clock: Clock, done: Publication) -> dg.AssetCheckResult:
    """Ask the endpoint about what was published."""
    from endpoint.api import Settings
    from endpoint.skew import BOUND, Skew, find_skew
    from ml_models.problems.lapse.rules import rules_of

    asked = problem()
    settings = Settings(asked, rules_of(asked.catalogue, asked.question), clock.now)
    with published_copy(warehouse, done) as file:
        if file is None:
            found = Skew(True, "What was published changed while it was fetched; the next run asks.", judged=False)
        else:
            found = find_skew(file, settings, Models(partial(read_version, registry)))
    return dg.AssetCheckResult(
        asset_key=SERVING_COPY,
        check_name=ANSWERS_AS_SCORED,
        passed=found.passed,
        severity=dg.AssetCheckSeverity.ERROR if found.judged else dg.AssetCheckSeverity.WARN,
        description=found.sentence if found.judged else f"insufficient evidence: {found.sentence}",
        metadata={
            **figures(found.differs_by, BOUND, "largest difference of an answer from the prediction table, at most"),
            "look_ups": found.looked_up,
            "vectors": found.scored,
            **({} if found.judged else {"status": "insufficient evidence"}),
        },
    )
