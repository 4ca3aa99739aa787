"""The warehouse: the contract, its engines (DuckDB in a file, BigQuery), and the local copy that the judgement reads.

Other rooms import from here; the modules behind are for each other. BigQuery has a face of its own,
`resources.warehouse.bigquery`: only the profile that uses it names it. Neither loads an engine's packages.
"""

from resources.warehouse.contract import (
    JUDGED_CUSTOMERS,
    POPULATION,
    LocalWarehouse,
    Shape,
    Source,
    SourceTable,
    Warehouse,
    WarehouseBusyError,
    WarehouseError,
    quoted,
    share_within,
)
from resources.warehouse.duckdb import DAMAGE, DuckDBWarehouse, all_or_nothing, open_duckdb
from resources.warehouse.local_copy import LocalCopy, insert_batches, share_of

__all__ = [
    "DAMAGE",
    "JUDGED_CUSTOMERS",
    "POPULATION",
    "DuckDBWarehouse",
    "LocalCopy",
    "LocalWarehouse",
    "Shape",
    "Source",
    "SourceTable",
    "Warehouse",
    "WarehouseBusyError",
    "WarehouseError",
    "all_or_nothing",
    "insert_batches",
    "open_duckdb",
    "quoted",
    "share_of",
    "share_within",
]
