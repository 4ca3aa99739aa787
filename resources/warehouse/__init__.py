"""The warehouse contract and its engines: DuckDB in a file, BigQuery; the local copy that the judgement reads."""
