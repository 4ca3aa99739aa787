#!/usr/bin/env bash
# dlt 1.31.0 with DuckDB as the destination.
#
# Expected: columns `InvoiceNo` and `Invoice No` of one row are two columns, or the load is refused because both become
# invoice_no.
# Seen: the load succeeds with one column invoice_no. It holds the value that came last; the other one is lost, in every
# row, without a warning. Which one is last is decided by the order of the keys in each row: rows of one table may keep
# different ones.
# Here: an export with both an old and a new number is common. baton lower-cases names of raw columns, and refuses a
# table in which two of them become one, with both names.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "dlt[duckdb]==1.31.0" duckdb==2.0.1
cd "$folder"
export RUNTIME__DLTHUB_TELEMETRY=false RUNTIME__LOG_LEVEL=WARNING HOME="$folder"
cat > show.py <<'PY'
import dlt

print("dlt", dlt.__version__)
pipeline = dlt.pipeline("shop", destination="duckdb", dataset_name="raw")
rows = [{"InvoiceNo": "old-1", "Invoice No": "new-1"}, {"Invoice No": "new-2", "InvoiceNo": "old-2"}]
load = pipeline.run(rows, table_name="orders")
assert not load.has_failed_jobs
with pipeline.sql_client() as client:
    columns = client.execute_sql("select column_name from information_schema.columns where table_name = 'orders'")
    kept = client.execute_sql("select invoice_no from orders order by 1")
columns = [name for (name,) in columns if not name.startswith("_dlt")]
print("columns:", columns, "values:", [value for (value,) in kept])
assert columns == ["invoice_no"]
assert [value for (value,) in kept] == ["new-1", "old-2"]
PY
venv/bin/python show.py
echo "as recorded: two columns became one, and each row lost a value"
