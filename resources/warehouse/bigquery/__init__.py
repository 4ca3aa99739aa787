"""The warehouse contract on BigQuery, through dagster-gcp's resource.

`warehouse` is the contract, `client` the one place that opens a connection, `jobs` a job from its start to its end.
`statements` says what is sent, `types` what a column is in BigQuery and back, `charges` what a step was billed,
`descriptions` what a local copy asks of a table, `errors` in sentences what went wrong. Google's packages load when a
method is called, not on import.
"""

from resources.warehouse.bigquery.warehouse import BigQueryWarehouse

__all__ = ["BigQueryWarehouse"]
