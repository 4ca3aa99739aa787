"""Which rows the next training learns from, with weight and reason; and which labels somebody should look at."""

import dagster as dg

from assets.reporting import Materialized, table
from resources.warehouse import Warehouse
from steps.ownership import owner_of
from steps.rows_chosen import choose_training_rows, find_suspects
from steps.tables import (
    FEATURE_FRAME,
    HOLDOUT,
    LABEL_SUSPECTS,
    OUTCOMES,
    PREDICTIONS,
    ROWS_CHOSEN,
    TRAINING_SET,
    described,
)


@dg.asset(
    key=ROWS_CHOSEN,
    deps=[TRAINING_SET, FEATURE_FRAME],
    group_name="training",
    owners=[owner_of(ROWS_CHOSEN)],
    kinds={"pandas", "duckdb"},
    description=(
        "One row a row that the candidate learns from: its weight, and why. All are `ordinary` and weigh 1 unless the "
        "company's file switches a reason on under `[learn_from]`: `uncertain`, `known error`, `weak slice`, `label "
        "suspect`. What each was worth on the recorded year stands in docs/model.md."
    ),
)
def rows_chosen(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Materialized:
    """Weigh the rows of the training set by the reasons that are on."""
    made = choose_training_rows(warehouse)
    context.log.info(f"rows chosen: {made.by_reason}")
    return dg.MaterializeResult(
        metadata={
            **described(warehouse, ROWS_CHOSEN),
            "reasons_on": ", ".join(made.on) or "none",
            **{f"rows_{reason.replace(' ', '_')}": count for reason, count in made.by_reason.items()},
        }
    )


@dg.asset(
    key=LABEL_SUSPECTS,
    deps=[OUTCOMES, FEATURE_FRAME, HOLDOUT, PREDICTIONS],
    group_name="monitoring",
    owners=[owner_of(LABEL_SUSPECTS)],
    kinds={"pandas", "duckdb"},
    description=(
        "Labels that somebody should look at, one row each, the newest cutoff first: those that a later row of the "
        "same customer contradicts, and sudden outcomes of which more come together than chance allows. A list for "
        "people: nothing is deleted. Usually it is empty."
    ),
)
def label_suspects(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Materialized:
    """Look for labels that cannot be, or are sudden together."""
    from ml_models.training.label_suspects import CONTRADICTED, TOGETHER

    found = find_suspects(warehouse)
    context.log.info(f"{len(found)} label(s) to look at")
    return dg.MaterializeResult(
        metadata={
            **described(warehouse, LABEL_SUSPECTS),
            **{
                f"{kind.replace(' ', '_')}_labels": int((found["kind"] == kind).sum())
                for kind in (CONTRADICTED, TOGETHER)
            },
            "newest": table(found),
        }
    )
