"""The tables that Python writes: their columns, types and meaning, as the web UI shows them and SQL may rely on.

The tables that dbt writes are documented beside their models.
"""

from collections.abc import Mapping
from typing import NamedTuple

import dagster as dg

from resources.warehouse import DuckDBWarehouse


class Column(NamedTuple):
    """SQL type and meaning of a column."""

    type: str
    about: str


_METRICS = {
    "n": Column("double", "Rows judged."),
    "positives": Column("double", "Rows whose customer lapsed."),
    "base_rate": Column("double", "Share of customers that lapsed."),
    "mean_score": Column("double", "Mean predicted probability."),
    "auc": Column("double", "Probability that a lapsed customer outranks one that stayed; ties count half."),
    "pr_auc": Column("double", "Average precision."),
    "log_loss": Column("double", "Mean negative log-likelihood, natural logarithm."),
    "brier": Column("double", "Mean squared difference of probability and outcome."),
    "calibration_error": Column("double", "Expected calibration error in ten equally filled bins."),
    "precision_at_10": Column("double", "Share of lapsed customers among the tenth with the highest scores."),
    "recall_at_10": Column("double", "Share of all lapsed customers that this tenth holds."),
    "lift_at_10": Column("double", "That share against the base rate."),
}

TABLES: Mapping[tuple[str, str], Mapping[str, Column]] = {
    ("training", "candidate"): {
        "model_name": Column("varchar", "Registered model."),
        "model_version": Column("bigint", "Its version."),
        "algorithm": Column("varchar", "The candidate that won the search."),
        "trained_through": Column("date", "Newest cutoff whose outcomes the version saw."),
        **_METRICS,
        "parameters": Column("varchar", "Chosen hyper-parameters, JSON."),
        "fingerprint": Column("varchar", "Identifies training data, code and seed; equal digits, equal model."),
        "mlflow_run_id": Column("varchar", "The run in MLflow that holds all evidence."),
    },
    ("training", "holdout_predictions"): {
        "customer_id": Column("varchar", "Customer."),
        "cutoff_date": Column("date", "Cutoff in the version's holdout."),
        "score": Column("double", "Probability given by the fit that had not seen the holdout."),
        "lapsed": Column("bigint", "1 when the customer did not shop in the 28 days from the cutoff on."),
        "recency_rule_score": Column("double", "Probability by the rule `the longer away, the likelier gone`."),
        "model_version": Column("bigint", "Version whose recipe was judged."),
    },
    ("training", "champion"): {
        "model_name": Column("varchar", "Registered model."),
        "model_version": Column("bigint", "Version that serves from then on."),
        "algorithm": Column("varchar", "What kind of model it is."),
        "trained_through": Column("date", "Newest cutoff whose outcomes it saw."),
        "promoted_at": Column("timestamp with time zone", "When it became the champion."),
        "reason": Column("varchar", "Why: passed the gate, a drift check, or a person."),
    },
    ("predictions", "lapse_predictions"): {
        "customer_id": Column("varchar", "Customer."),
        "cutoff_date": Column("date", "The Monday as of which the customer was scored; features end the day before."),
        "score": Column("double", "Probability of no shopping in the 28 days from the cutoff on."),
        "model_name": Column("varchar", "Registered model."),
        "model_version": Column("bigint", "Its version."),
        "trained_through": Column("date", "Newest cutoff whose outcomes the version saw in training."),
        "scored_at": Column("timestamp with time zone", "When the row was computed."),
        "reason_1": Column("varchar", "What raises this score most, in words; null when nothing does."),
        "reason_2": Column("varchar", "The second reason."),
        "reason_3": Column("varchar", "The third reason."),
    },
    ("monitoring", "performance"): {
        "slice_name": Column("varchar", "`all`, `cutoff` or a segmentation such as `activity`."),
        "slice_value": Column("varchar", "Which slice: a cutoff, a band of shopping days in 84."),
        **_METRICS,
        "note": Column("varchar", "Why a metric is missing, where it is."),
        "evidence": Column("varchar", "`live`: predicted before the outcome was known; `holdout`: what the gate saw."),
        "model_version": Column("bigint", "Version judged."),
    },
    ("monitoring", "drift"): {
        "cutoff_date": Column("date", "Window measured."),
        "column_name": Column("varchar", "Feature, or `score`."),
        "statistic": Column("double", "Kolmogorov-Smirnov distance to the cutoffs two to five steps back, 0 to 1."),
        "p_value": Column("double", "Its asymptotic p; indicative, as the same customers stand on both sides."),
        "js": Column("double", "Jensen-Shannon distance on reference deciles, 0 to 1."),
        "null_share": Column("double", "Share of nulls in the window."),
        "reference_null_share": Column("double", "Share of nulls in the reference."),
        "n": Column("bigint", "Rows in the window."),
        "reference_n": Column("bigint", "Rows in the reference."),
        "layer": Column("varchar", "`features` or `scores`."),
    },
}


def described(warehouse: DuckDBWarehouse, key: dg.AssetKey) -> dict[str, dg.MetadataValue | int | str | dg.TableSchema]:
    """Return row count, table name and columns of a table of this module, as metadata of its materialisation."""
    schema, table = key.path
    columns = [dg.TableColumn(name, column.type, column.about) for name, column in TABLES[(schema, table)].items()]
    return {
        "dagster/row_count": warehouse.row_count(schema, table),
        "dagster/table_name": f"{schema}.{table}",
        "dagster/column_schema": dg.TableSchema(columns),
    }


def ensure(warehouse: DuckDBWarehouse, *keys: dg.AssetKey) -> None:
    """Create those tables that are not there yet, empty: before the first model, what reads them must still work."""
    for key in keys:
        schema, table = key.path
        if not warehouse.exists(schema, table):
            warehouse.create_table(
                schema, table, {name: column.type for name, column in TABLES[(schema, table)].items()}
            )
