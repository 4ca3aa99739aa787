#!/usr/bin/env bash
# pandera 0.35.0 with ibis-framework 12.0.0 (DuckDB).
#
# Expected: `Column(unique=True)` refuses a column with a value twice, as it does for pandas and Polars.
# Seen: for an ibis table it is never looked at, also not with `lazy=True`: a key that is there twice passes without a
# word. `nullable`, checks and types of the same column are looked at, and so is `unique=[...]` of the whole schema.
# Here: a feature frame has one row a customer and cutoff. It is validated as pandas, its key by the schema's `unique`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "pandera[ibis,polars]==0.35.0" "ibis-framework[duckdb]==12.0.0"
"$folder/venv/bin/python" -W ignore - <<'PY'
import ibis
import ibis.expr.datatypes as dt
import pandera
import pandera.ibis
import pandera.polars
import polars as pl

print(f"pandera {pandera.__version__}, ibis {ibis.__version__}")
ROWS = {"customer": [1, 1, 2]}


def refused(schema, table, **how):
    """Return whether a schema refuses a table."""
    try:
        schema.validate(table, **how)
    except (pandera.errors.SchemaError, pandera.errors.SchemaErrors):
        return True
    return False


lazy = ibis.memtable(ROWS)
found = {
    "polars, column": refused(
        pandera.polars.DataFrameSchema({"customer": pandera.polars.Column(pl.Int64, unique=True)}), pl.DataFrame(ROWS)
    ),
    "ibis, column": refused(
        pandera.ibis.DataFrameSchema({"customer": pandera.ibis.Column(dt.Int64, unique=True)}), lazy
    ),
    "ibis, column, lazy": refused(
        pandera.ibis.DataFrameSchema({"customer": pandera.ibis.Column(dt.Int64, unique=True)}), lazy, lazy=True
    ),
    "ibis, schema": refused(
        pandera.ibis.DataFrameSchema({"customer": pandera.ibis.Column(dt.Int64)}, unique=["customer"]), lazy
    ),
}
for name, said in found.items():
    print(f"{name}: {'refused' if said else 'passes'}")
assert list(found.values()) == [True, False, False, True], "the behaviour changed"
print("as recorded: with ibis a column that must be unique is not asked whether it is")
PY
