"""The warehouse contract on BigQuery, through dagster-gcp's resource.

`warehouse` is the contract, `client` the one place that opens a connection, `frames` what a DataFrame's columns become
and back, `trouble` says in sentences what went wrong. Google's packages load when a method is called, not on import.
"""

from resources.warehouse.bigquery.warehouse import BigQueryWarehouse

__all__ = ["BigQueryWarehouse"]
