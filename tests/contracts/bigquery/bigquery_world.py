"""The same source landed in DuckDB and in BigQuery, the same dbt project built on both, and how they are compared."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from environments.emulator import PROJECT

from resources.dbt import DbtRunner
from resources.warehouse import DuckDBWarehouse, LocalCopy
from resources.warehouse.bigquery import BigQueryWarehouse
from tools.same_rows import differences

# What Airbyte's own destination makes of the same stream: a time without a zone is a DATETIME there.
LANDED = {
    "BIGINT": "INT64",
    "DOUBLE": "FLOAT64",
    "VARCHAR": "STRING",
    "TIMESTAMP": "DATETIME",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "JSON": "STRING",
}


@dataclass(frozen=True)
class BothEngines:
    """One source, two warehouses, and dbt on each."""

    duckdb: DuckDBWarehouse
    bigquery: BigQueryWarehouse
    dbt_duckdb: DbtRunner
    dbt_bigquery: DbtRunner
    first: dict[str, dict[str, str]] = field(default_factory=dict)
    """What differed after the first build."""

    @classmethod
    def in_folder(cls, folder: Path) -> "BothEngines":
        """Return warehouses without tables."""
        duck = DuckDBWarehouse(path=str(folder / "warehouse.duckdb"))
        embedded = DbtRunner(state_dir=str(folder / "embedded"), warehouse_path=duck.path)
        return cls(
            duckdb=duck,
            bigquery=BigQueryWarehouse(
                project=PROJECT,
                wait_seconds=30,
                local_copy=LocalCopy(str(folder / "local_copy.duckdb"), embedded.entity_columns()),
            ),
            dbt_duckdb=embedded,
            dbt_bigquery=DbtRunner(
                state_dir=str(folder / "production"),
                target="production",
                variables_of_target={"BATON_BIGQUERY_PROJECT": PROJECT},
            ),
        )

    def dbt(self, *command: str) -> None:
        """Run dbt on both; raises `DbtError` if a node fails on either."""
        self.dbt_duckdb.invoke(command)
        self.dbt_bigquery.invoke(command)

    def land(self) -> None:
        """Bring BigQuery's raw tables to where DuckDB's are."""
        import pyarrow.parquet as pq
        from google.cloud.bigquery import LoadJobConfig, SchemaField

        with duckdb.connect(self.duckdb.path, read_only=True) as connection, self.bigquery.connect() as client:
            client.create_dataset(f"{PROJECT}.raw", exists_ok=True)
            for (schema, table), shape in self.duckdb.shapes().items():
                if schema != "raw":
                    continue
                plain = [f"cast({c} as varchar) as {c}" if kind == "JSON" else c for c, kind in shape.columns.items()]
                rows = connection.sql(f"select {', '.join(plain)} from raw.{table}").to_arrow_table()
                file = io.BytesIO()
                pq.write_table(rows, file)
                file.seek(0)
                config = LoadJobConfig(
                    schema=[SchemaField(name, LANDED[kind]) for name, kind in shape.columns.items()],
                    source_format="PARQUET",
                    write_disposition="WRITE_TRUNCATE",
                )
                client.load_table_from_file(file, f"{PROJECT}.raw.{table}", job_config=config).result()

    def copy(self, schema: str, table: str) -> None:
        """Write a table of DuckDB's to BigQuery as an asset would."""
        self.bigquery.replace_table(schema, table, self.duckdb.read(f"select * from {schema}.{table}"))

    def differences(self, schemas: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return, by table, what differs between the two warehouses; empty when every cell is equal."""
        found = {}
        for schema, table in self.duckdb.shapes():
            if schema in schemas:
                sql = f"select * from {schema}.{table}"
                unequal = differences(self.duckdb.read(sql), self.bigquery.read(sql))
                if unequal:
                    found[f"{schema}.{table}"] = unequal
        return found
