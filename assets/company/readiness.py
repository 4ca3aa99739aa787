"""The verdict on a company's data before anything is trained: an asset that a person's command makes (`make check`)."""

import dagster as dg

from assets.reporting import Materialized, picture, table, without_retries
from resources.clock import Clock
from resources.company import company
from resources.figures import figures
from resources.warehouse.contract import Warehouse
from steps.ownership import owner_of
from steps.readiness import judge_readiness
from steps.shop_time import today
from steps.tables import CANONICAL, READINESS

CAN_BE_ASKED = "question_can_be_asked"


@dg.asset(
    key=READINESS,
    deps=[CANONICAL[0]],
    group_name="monitoring",
    owners=[owner_of(READINESS)],
    kinds={"pandas", "duckdb"},
    description=(
        "What the order lines can carry: their span, how customers come again, on which days there are orders, the "
        "share that lapses by horizon, and whether the question of company.toml can be asked of them. `make check` "
        "makes it, before anything is trained; no schedule does."
    ),
    check_specs=[
        dg.AssetCheckSpec(
            CAN_BE_ASKED,
            asset=READINESS,
            description="There are cutoffs enough with a known outcome, and customers enough of either kind.",
            metadata={"owner": owner_of(READINESS)},
        )
    ],
)
def readiness(context: dg.AssetExecutionContext, warehouse: Warehouse, clock: Clock) -> Materialized:
    """Judge what is staged, and show it."""
    ours = company()
    with without_retries():
        judged = judge_readiness(warehouse, ours, today(clock))
    verdict = judged.verdict
    for sentence in (judged.counted, *verdict.facts, *verdict.against):
        context.log.info(sentence)
    said = " ".join(verdict.against) or "The question can be asked of these data."
    return dg.MaterializeResult(
        metadata={
            "verdict": dg.MetadataValue.md("\n".join(f"- {one}" for one in (said, judged.counted, *verdict.facts))),
            "picture": picture(judged.png, "lapse by horizon, coming again, orders by week and weekday"),
            "lapse_by_horizon": table(verdict.curve),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=CAN_BE_ASKED,
                passed=verdict.can_be_asked,
                description=said,
                metadata=figures(len(verdict.against), 0, "reasons against it, at most"),
            )
        ],
    )
