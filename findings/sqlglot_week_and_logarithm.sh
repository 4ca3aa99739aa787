#!/usr/bin/env bash
# sqlglot 30.30.0, DuckDB 2.0.1.
#
# Expected: a query that is transpiled from DuckDB to BigQuery means the same, and so does the way back.
# Seen: three plain functions change their meaning without a warning. `date_trunc('week', d)` begins weeks on Monday;
# it becomes `WEEK`, which BigQuery begins on Sunday. `log(x)` is to base 10; it becomes BigQuery's natural `LOG`.
# `greatest(a, null)` is a; it becomes BigQuery's, which is null. sqlglot knows all three: its way back to DuckDB says
# Sunday, `LN` and null. So both directions disagree, and DuckDB itself shows it.
# Here: cutoffs are Mondays, and scores are compiled for both engines. The compiler writes each dialect by itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet sqlglot==30.30.0 duckdb==2.0.1
"$folder/venv/bin/python" - <<'PY'
import duckdb
import sqlglot

print(f"sqlglot {sqlglot.__version__}, duckdb {duckdb.__version__}")
EXPRESSIONS = {
    "cast(date_trunc('week', date '2017-01-01') as varchar)": ("2016-12-26 00:00:00", "2017-01-01"),
    "log(100)": (2.0, 4.605170185988092),
    "greatest(1, null)": (1, None),
}
for expression, (before, after) in EXPRESSIONS.items():
    query = f"select {expression} as x"
    there = sqlglot.transpile(query, read="duckdb", write="bigquery")[0]
    back = sqlglot.transpile(there, read="bigquery", write="duckdb")[0]
    first, second = (duckdb.execute(text).fetchone()[0] for text in (query, back))
    print(f"{query}\n  BigQuery: {there}\n  and back: {back}\n  {first} became {second}")
    assert (first, second) == (before, after), "the behaviour changed"
print("as recorded: the same three expressions have other values after the round trip")
PY
