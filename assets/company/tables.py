"""The raw tables that are there already, one asset each, as the loads land them."""

from pathlib import Path

import dagster as dg

from assets.reporting import Materialized, without_retries
from resources.airbyte.raw import raw_key
from resources.clock import Clock
from resources.company import Company
from resources.tables import load
from resources.warehouse import Warehouse
from resources.warehouse.contract import LOADED
from steps.ownership import owner_of


def table_assets(company: Company, folder: Path, engine: str) -> list[dg.AssetsDefinition]:
    """Return the assets of a company's tables, with keys `raw/<name>`.

    `folder` is the company's, where relative paths begin; `engine` is the kind of the warehouse.
    """
    return [_table_asset(company, name, folder, engine) for name in company.tables]


def _table_asset(company: Company, name: str, folder: Path, engine: str) -> dg.AssetsDefinition:
    table, key = company.tables[name], raw_key(name)

    @dg.asset(
        key=key,
        group_name="raw",
        owners=[owner_of(key)],
        kinds={table.source.partition(":")[0], engine},
        description=(
            f"{table.description or f'The table `{name}`.'}\n\nAs it is there already, at `{table.source}`; `{LOADED}` "
            "is when a row was first seen in this form."
        ),
        metadata={"dagster/table_name": f"raw.{name}", "source": table.source},
    )
    def raw_table(context: dg.AssetExecutionContext, warehouse: Warehouse, clock: Clock) -> Materialized:
        with without_retries():
            loaded = load(warehouse, clock, company, name, folder)
        landed = loaded.landed
        context.log.info(f"raw.{name}: {landed.came:,} rows came, {landed.went:,} went, {landed.rows:,} are there")
        return dg.MaterializeResult(
            # Equal contents, equal version: what reads the table is out of date only where they changed.
            data_version=dg.DataVersion(loaded.contents) if loaded.contents else None,
            metadata={
                "dagster/row_count": landed.rows,
                "dagster/table_name": f"raw.{name}",
                "dagster/column_schema": dg.TableSchema(
                    [dg.TableColumn(column, kind) for column, kind in landed.columns.items()]
                ),
                "source": table.source,
                "read_as_of": loaded.read_as_of.isoformat(),
                "newest_row": str(loaded.newest) if loaded.newest else "none",
                "rows_came": landed.came,
                "rows_went": landed.went,
                "rows_after_the_clock": loaded.hidden,
                "unreadable_times": loaded.unreadable,
                **warehouse.costs(),
            },
        )

    return raw_table
