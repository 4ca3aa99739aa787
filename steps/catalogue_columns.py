"""The feature catalogue's key and columns: what is told of each feature."""

from collections.abc import Mapping

import dagster as dg

from ml_models.problems.about import FIRST, further
from resources.company import company
from steps.columns import Column

CATALOGUE = dg.AssetKey(["features", "catalogue"])


def fed_by_the_frame() -> tuple[str, ...]:
    """Return the problems of the company whose models are fed by the feature frame."""
    return (FIRST, *(about.name for about in further(company().parts) if about.kind == "regression"))


_UNITS = {FIRST: "log-odds", **{about.name: about.unit for about in further(company().parts)}}

CATALOGUE_COLUMNS: Mapping[str, Column] = {
    "feature": Column("varchar", "Column of the feature frame."),
    "label": Column("varchar", "What people call it."),
    "description": Column("varchar", "What it is, in plain words."),
    "family": Column("varchar", "Features that say the same thing; a reason is told once for a family."),
    "family_about": Column("varchar", "What the family is about."),
    "type": Column("varchar", "Type in the warehouse."),
    "unit": Column("varchar", "What it is counted in."),
    "lowest": Column("double", "Smallest value that the schema allows; null: open."),
    "highest": Column("double", "Largest value that the schema allows; null: open."),
    "nullable": Column("varchar", "`yes` where it may be null, else `no`."),
    "owner": Column("varchar", "Team that answers for its SQL."),
    "model": Column("varchar", "dbt model that computes it."),
    "definition": Column("varchar", "The model's SQL without what other features need; it runs as it stands."),
    "inputs": Column("varchar", "Raw tables that it is made of, by lineage of columns."),
    "delivered_through": Column("date", "Newest day that ingestion delivered whole; no feature sees a later one."),
    "stale_after_days": Column("double", "Age in days at which the frame's freshness policy fails."),
    "cutoff_date": Column("date", "Newest cutoff of the frame; `customers` and `null_share` are of it."),
    "customers": Column("bigint", "Rows of the frame at that cutoff."),
    "null_share": Column("double", "Share of them in which the feature is null, 0 to 1."),
    "drift": Column("double", "Distance to the cutoffs two to five steps back, 0 to 1: `monitoring.drift.statistic`."),
    "drift_bound": Column("double", "What its own past allows; null while there are fewer than six past windows."),
    "drift_beyond": Column("varchar", "`yes` where the distance, or the change of nulls, is beyond its bound."),
    "drift_measured_on": Column("date", "Cutoff of that distance."),
    "problems": Column("varchar", "Problems whose champion reads the feature."),
    **{
        f"importance_{name}": Column(
            "double",
            f"By how much the champion of {name} moves on average ({_UNITS[name]}) when the feature alone takes its "
            "median; of 1,000 customers of the newest cutoff. Null: it does not read it, or there is none.",
        )
        for name in fed_by_the_frame()
    },
    "build_seconds": Column("double", "Seconds of the model's newest build, shared evenly among its features."),
    "bytes_billed": Column("double", "Bytes billed for it, shared in the same way; null where an engine bills none."),
}
