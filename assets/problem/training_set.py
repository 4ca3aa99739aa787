"""What the model learns from: the frame joined to matured outcomes, split by time."""

import dagster as dg

from assets.reporting import Materialized, column_schema, copied, without_retries
from resources.company import company
from resources.warehouse import Warehouse
from steps.candidates import TRAINING_ROWS, make_training_set, replayed_delays, span_of
from steps.ownership import owner_of
from steps.tables import FEATURE_FRAME, OUTCOMES, TRAINING_SET


class TrainingConfig(dg.Config):
    """What to learn from.

    `window`: "expanding" (all matured cutoffs) or "recent" (the newest RECENT_CUTOFFS of them, when the world changed).
    `exclude_from`, `exclude_to`: first and last cutoff (ISO dates, inclusive, both or neither) to be kept out beside
    those that the ledger of decisions holds to be bad. `repaired`: learn from the ledger's bad cutoffs too, because
    they were rebuilt since. `most_rows`: beyond it whole customers are left out. `reason`: why, for those who read the
    table's page.
    """

    window: str = "expanding"
    exclude_from: str = ""
    exclude_to: str = ""
    repaired: bool = False
    most_rows: int = TRAINING_ROWS
    reason: str = ""


@dg.asset(
    key=TRAINING_SET,
    deps=[FEATURE_FRAME, OUTCOMES],
    group_name="training",
    owners=[owner_of(TRAINING_SET)],
    kinds={"pandas", "duckdb"},
    description=(
        "Feature frame joined to matured outcomes, with a strict time split: `train`, a `gap` as long as the label's "
        "horizon, and `holdout`. No training label reaches into the holdout. Rows that nothing is learned from stay "
        "visible as `quarantined` (known bad) or `before window`. Used by the candidate only."
    ),
)
def training_set(context: dg.AssetExecutionContext, config: TrainingConfig, warehouse: Warehouse) -> Materialized:
    """Join, keep out what is known bad, split and fingerprint."""
    from ml_models.training.fingerprint import frame_fingerprint

    late = replayed_delays(warehouse) if company().learn_from.as_served else []
    with without_retries():
        made = make_training_set(
            warehouse,
            window=config.window,
            exclude=span_of(config.exclude_from, config.exclude_to),
            repaired=config.repaired,
            most_rows=config.most_rows,
            late=late,
        )
    rows, split, bad = made.learned_from, made.split, made.quarantined
    context.log.info(
        f"training set: {len(rows):,} rows, train to {split.train[-1]}, holdout {split.holdout[0]} to "
        f"{split.holdout[-1]}; {len(bad)} cutoff(s) in quarantine"
    )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(made.frame),
            "dagster/table_name": "training.training_set",
            "dagster/column_schema": column_schema(made.frame),
            "dagster/column_lineage": copied(
                made.frame.columns.drop("split"), (OUTCOMES, ("lapsed",)), (FEATURE_FRAME, made.frame.columns)
            ),
            "fingerprint": frame_fingerprint(made.frame),
            "base_rate": round(float(rows["lapsed"].mean()), 4),
            "rows_learned_from": len(rows),
            "share_of_customers": made.share,
            "row_weight": 1 / made.share,
            "matured_cutoffs": int(made.frame["cutoff_date"].nunique()),
            "window": config.window,
            "weeks_late": ", ".join(str(weeks) for weeks in late) or "none replayed",
            "quarantined_cutoffs": ", ".join(str(day) for day in bad) or "none",
            "reason": config.reason or context.run.tags.get("baton/cause", "none given"),
            "train": f"{split.train[0]} to {split.train[-1]}",
            "holdout": f"{split.holdout[0]} to {split.holdout[-1]}",
            **made.expected_cost,
            **warehouse.costs(),
        }
    )
