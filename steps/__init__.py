"""The steps of the pipeline: what assets, commands, drills and sensors share, callable without a Dagster run.

A step takes the resources that it reads and writes, and a function to log with; what it refuses is a StepRefusedError.
In the order in which data flows: `profiling` and `quality` (what arrived), `frame`, `candidates`, `champions`,
`publishing`, `weekly_scoring` and `scoring`, `monitoring`, `week_evidence` and `decisions`. Beside them stand the
tables of policy and contract: `tables`, `ownership`, `migrations`, `monitored_tables`, `as_of`, `shop_time`.
"""
