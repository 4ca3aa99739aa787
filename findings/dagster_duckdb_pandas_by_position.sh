#!/usr/bin/env bash
# dagster-duckdb-pandas 0.29.27, with Dagster 1.13.27.
#
# Expected: an I/O manager that keeps frames in a table puts each column where its name is, or refuses.
# Seen: the first partition makes the table from the frame. Every later one is inserted by position: where its columns
# stand in another order, spend is stored as risk and risk as spend. The run succeeds, and so does reading it back.
# Here: columns of a partition are matched by name on both warehouses, and a new one is added
# (tests/contracts/warehouse).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dagster==1.13.27 dagster-duckdb==0.29.27 dagster-duckdb-pandas==0.29.27 \
  duckdb==1.4.4 pandas==2.3.3
cat > "$folder/scores.py" <<'PY'
import logging
import sys
from importlib.metadata import version

import dagster as dg
import duckdb
import pandas as pd
from dagster_duckdb_pandas import DuckDBPandasIOManager

FIRST, SECOND = "2024-01-01", "2024-01-08"


@dg.asset(partitions_def=dg.StaticPartitionsDefinition([FIRST, SECOND]), metadata={"partition_expr": "cutoff"})
def scores(context: dg.AssetExecutionContext) -> pd.DataFrame:
    rows = pd.DataFrame({"cutoff": [context.partition_key], "spend": [30.0], "risk": [0.9]})
    return rows if context.partition_key == FIRST else rows[["cutoff", "risk", "spend"]]


logging.disable(logging.CRITICAL)
database = f"{sys.argv[1]}/warehouse.duckdb"
for key in (FIRST, SECOND):
    resources = {"io_manager": DuckDBPandasIOManager(database=database, schema="public")}
    assert dg.materialize([scores], partition_key=key, resources=resources).success
print(f"dagster-duckdb-pandas {version('dagster-duckdb-pandas')}, duckdb {duckdb.__version__}")
found = duckdb.connect(database).execute("select cutoff, spend, risk from public.scores order by cutoff").fetchall()
print(found)
assert found == [(FIRST, 30.0, 0.9), (SECOND, 0.9, 30.0)], "the behaviour changed"
PY
"$folder/venv/bin/python" "$folder/scores.py" "$folder"
