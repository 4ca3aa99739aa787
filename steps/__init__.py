"""What assets, commands, drills and tests share: the steps of the pipeline, callable without a Dagster run."""
