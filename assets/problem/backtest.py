"""What each retraining policy would have cost: an asset that a person's command makes, not a run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from assets.reporting import column_schema, picture, table
from resources.profiles import ROOT
from steps.ownership import owner_of
from steps.tables import BACKTEST, FEATURE_FRAME, OUTCOMES

if TYPE_CHECKING:
    import pandas as pd

ABOUT = {
    "policy": "When a model is fitted anew.",
    "log_loss": "Mean negative log-likelihood of what the model of the day predicted, natural logarithm.",
    "auc": "Probability that a lapsed customer outranks one that stayed, within a cutoff; ties count half.",
    "calibration_error": "Expected calibration error in ten equally filled bins.",
    "retrainings": "Retrainings, that of the calendar included; the first model is not one.",
    "false_alarms_a_month": "Actions in the natural year that data asked for. Null: the policy watches nothing.",
    "against_calibration": "Greatest evidence in shadow against the champion's calibration; 20 would be an alarm.",
    "against_scores": "Greatest evidence in shadow that its scores drifted; 20 would be an alarm.",
    "run_on": "Day on which the comparison was made.",
}
FAULT_COLUMN = "days_to_detect_"
ABOUT_FAULT = "Days from the fault's first day until the policy acts. Null: it never does."

backtest = dg.AssetSpec(
    key=BACKTEST,
    deps=[FEATURE_FRAME, OUTCOMES],
    group_name="monitoring",
    owners=[owner_of(BACKTEST)],
    kinds={"pandas", "duckdb"},
    metadata={
        "dagster/code_references": dg.CodeReferencesMetadataValue(
            code_references=[dg.LocalFileCodeReference(file_path=str(ROOT / "commands" / "backtest.py"))]
        )
    },
    description=(
        "The recorded history lived through by each retraining policy (never, every 4 weeks, any feature's PSI above "
        ".2, ours): log-loss, AUC, calibration, models fitted, false alarms a month, days until a fault is noticed. "
        "`make backtest` makes it; no run and no schedule does, because it is looked at before a policy is changed."
    ),
)


def compared(rows: "pd.DataFrame", png: bytes, sentences: Sequence[str]) -> dg.AssetMaterialization:
    """Return the event that shows a comparison on the asset's page.

    `rows` is one row a policy, `png` the plot, `sentences` what the rows say.
    """
    about = ABOUT | {name: ABOUT_FAULT for name in rows.columns if name.startswith(FAULT_COLUMN)}
    return dg.AssetMaterialization(
        BACKTEST,
        metadata={
            "dagster/row_count": len(rows),
            "dagster/table_name": "monitoring.backtest",
            "dagster/column_schema": column_schema(rows, about),
            "verdict": dg.MetadataValue.md("\n".join(f"- {line}" for line in sentences)),
            "loss_over_time": picture(png, "log-loss of each policy over the recorded history"),
            "policies": table(rows),
        },
    )
