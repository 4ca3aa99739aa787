"""The statements and descriptions that make BigQuery's tables, and how a table of Python's is laid out.

Here belongs what can be said without a connection; `warehouse` sends it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.cloud.bigquery import LoadJobConfig, Table

PARTITIONED_BY = ("cutoff_date", "cutoff", "period_start")
"""A table that Python writes is partitioned by the first of these days that it has, as dbt's are by theirs."""

CLUSTERED_BY = ("customer_id",)


def layout(kinds: Mapping[str, str]) -> tuple[str | None, list[str]]:
    """Return the day that a table of Python's is partitioned by, if it has one, and what it is clustered by."""
    partitioned = next((name for name in PARTITIONED_BY if kinds.get(name) == "DATE"), None)
    return partitioned, [name for name in CLUSTERED_BY if name in kinds]


def table_of(name: str, kinds: Mapping[str, str]) -> "Table":
    """Return the description of a table with these columns (name: type), by its full name."""
    from google.cloud.bigquery import SchemaField, Table, TimePartitioning

    made = Table(name, schema=[SchemaField(column, kind) for column, kind in kinds.items()])
    partitioned, clustered = layout(kinds)
    if partitioned:
        made.time_partitioning = TimePartitioning(field=partitioned)
    if clustered:
        made.clustering_fields = clustered
    return made


def load_config(
    kinds: Mapping[str, str], labels: Mapping[str, str], timeout_ms: int, *, laid_out: bool
) -> "LoadJobConfig":
    """Return how a Parquet file with these columns replaces a table; with the layout of a table that is read."""
    from google.cloud.bigquery import LoadJobConfig, SchemaField, TimePartitioning

    partitioned, clustered = layout(kinds) if laid_out else (None, [])
    config = LoadJobConfig(
        schema=[SchemaField(name, kind) for name, kind in kinds.items()],
        source_format="PARQUET",
        write_disposition="WRITE_TRUNCATE",
        create_disposition="CREATE_IF_NEEDED",
        labels=dict(labels),
        job_timeout_ms=timeout_ms,
    )
    if partitioned:
        config.time_partitioning = TimePartitioning(field=partitioned)
    if clustered:
        config.clustering_fields = clustered
    return config


def create_statement(name: str, kinds: Mapping[str, str]) -> str:
    """Return the statement that replaces a table by an empty one with these columns."""
    partitioned, clustered = layout(kinds)
    columns = ", ".join(f"`{column}` {kind}" for column, kind in kinds.items())
    by = f" partition by `{partitioned}`" if partitioned else ""
    within = f" cluster by {', '.join(clustered)}" if clustered else ""
    return f"create or replace table `{name}` ({columns}){by}{within}"


def merge_statement(name: str, staged: str, kinds: Mapping[str, str], have: Mapping[str, str], column: str) -> str:
    """Return the statement that replaces rows by all of another table; the values of `column` are its parameter.

    `kinds` are the columns of the rows that were staged, `have` those of the table itself.
    """
    # Cast, because a column of nulls arrives as text or double whatever the table's is.
    given = ", ".join(
        f"`{one}`" if kind == have[one] else f"cast(`{one}` as {have[one]}) as `{one}`" for one, kind in kinds.items()
    )
    names = ", ".join(f"`{one}`" for one in kinds)
    return (
        f"merge `{name}` as stored using (select {given} from `{staged}`) as given on false "
        f"when not matched by source and stored.`{column}` in unnest(?) then delete "
        f"when not matched by target then insert ({names}) values ({names})"
    )
