#!/usr/bin/env bash
# soda-core-duckdb 3.5.6.
#
# Expected: `duplicate_count(order_id)` and `duplicate_percent(order_id)` say how many rows repeat an order's number.
# Seen: they count the numbers that are there more than once, whatever often. Of 100 rows 50 have one and the same
# number: the count is 1, the share is 1 %, and a limit of 5 % passes. A row that is loaded a thousand times is one.
# Here: the share of rows whose key is there already is measured (`duplicate_share`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet soda-core-duckdb==3.5.6 soda-core==3.5.6
cat > "$folder/orders.py" <<'PY'
from importlib.metadata import version

import duckdb
from soda.scan import Scan

connection = duckdb.connect()
connection.execute("create table orders as select case when i < 50 then 1 else i end as order_id from range(100) t(i)")
scan = Scan()
scan.add_duckdb_connection(connection)
scan.set_data_source_name("duckdb")
scan.add_sodacl_yaml_str(
    """
checks for orders:
  - duplicate_count(order_id) < 2
  - duplicate_percent(order_id) < 5 %
"""
)
scan.execute()
found = {one["name"]: (one["outcome"], one["diagnostics"]["value"]) for one in scan.get_scan_results()["checks"]}
print(f"soda-core-duckdb {version('soda-core-duckdb')}")
print(found)
assert [outcome for outcome, _ in found.values()] == ["pass", "pass"], "the behaviour changed"
assert [float(value) for _, value in found.values()] == [1.0, 1.0], "the behaviour changed"
PY
# It sends statistics of its use unless told not to.
mkdir -p "$folder/home/.soda"
printf 'send_anonymous_usage_stats: false\nuser_cookie_id: none\n' > "$folder/home/.soda/config.yml"
HOME="$folder/home" "$folder/venv/bin/python" "$folder/orders.py"
