#!/usr/bin/env bash
# pandera 0.35.0 with pandas 2.3.3.
#
# Expected: `drop_invalid_rows=True` drops the rows that fail a check, and keeps the others.
# Seen: it drops by index label. Two weeks that were put together by `pd.concat` share the labels 0 and 1; one bad row
# in the second week takes the good row of the first week with it. Nothing is raised and nothing is logged. With
# `reset_index`, or week by week, only the bad row goes.
# Here: frames of several cutoffs come from a concatenation. What is not valid is refused whole, never dropped.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "pandera[pandas]==0.35.0" pandas==2.3.3
"$folder/venv/bin/python" - <<'PY'
import pandas as pd
import pandera
import pandera.pandas as pa

print(f"pandera {pandera.__version__}, pandas {pd.__version__}")
schema = pa.DataFrameSchema(
    {"customer_id": pa.Column(str), "spend": pa.Column(float, pa.Check.ge(0))}, drop_invalid_rows=True
)
first = pd.DataFrame({"customer_id": ["a", "b"], "spend": [10.0, 20.0]})
second = pd.DataFrame({"customer_id": ["c", "d"], "spend": [30.0, -1.0]})
together = pd.concat([first, second])
kept = {
    "put together": schema.validate(together, lazy=True),
    "with a new index": schema.validate(together.reset_index(drop=True), lazy=True),
    "week by week": pd.concat([schema.validate(week, lazy=True) for week in (first, second)]),
}
for how, rows in kept.items():
    print(f"{how}: kept {rows['customer_id'].tolist()} of a, b, c, d; only d is invalid")
assert kept["put together"]["customer_id"].tolist() == ["a", "c"], "the behaviour changed"
assert all(kept[how]["customer_id"].tolist() == ["a", "b", "c"] for how in ("with a new index", "week by week"))
print("as recorded: the valid customer b went with the invalid d, because both have the label 1")
PY
