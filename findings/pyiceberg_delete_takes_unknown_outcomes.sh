#!/usr/bin/env bash
# pyiceberg 0.12.0 (pyarrow 26.0.1, SQLAlchemy 2.1.9).
#
# Expected: `table.delete(filter)` removes the rows that `table.scan(row_filter=filter)` shows, as DELETE and SELECT of
# one WHERE do, however the rows lie in files.
# Seen: of two weeks that were appended one after the other, where the outcomes of the second are not known yet (null),
# `lapsed != 1` shows one customer, and deletes three: those of the second week go with it, because a file in which the
# column is null throughout counts as one in which every row matches. The same five rows in one file: one is deleted.
# `lapsed not in (1, 2)` shows the nulls, and deletes them in the one layout and keeps them in the other.
# Here: outcomes of the newest weeks are null until they are known, week by week. Each delete of ours names its days.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "pyiceberg[pyarrow,sql-sqlite]==0.12.0" pyarrow==26.0.1 sqlalchemy==2.1.9
"$folder/venv/bin/python" -W ignore - "$folder" <<'PY'
import sys

import pyarrow as pa
import pyiceberg
from pyiceberg.catalog.sql import SqlCatalog

folder = sys.argv[1]
catalog = SqlCatalog("here", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/tables")
catalog.create_namespace("outcomes")
SCHEMA = pa.schema([("customer", pa.int64()), ("lapsed", pa.int64())])
KNOWN, UNKNOWN = {"customer": [1, 2, 3], "lapsed": [0, 1, None]}, {"customer": [4, 5], "lapsed": [None, None]}
TOGETHER = {name: KNOWN[name] + UNKNOWN[name] for name in KNOWN}


def shown_and_deleted(name, files, condition):
    """Return the customers that a scan shows, and those that a delete of the same condition removes."""
    table = catalog.create_table(f"outcomes.{name}", schema=SCHEMA)
    for rows in files:
        table.append(pa.table(rows, schema=SCHEMA))
    before = set(table.scan().to_arrow()["customer"].to_pylist())
    shown = sorted(table.scan(row_filter=condition).to_arrow()["customer"].to_pylist())
    table.delete(condition)
    return shown, sorted(before - set(table.scan().to_arrow()["customer"].to_pylist()))


print(f"pyiceberg {pyiceberg.__version__}")
found = {}
for number, condition in enumerate(("lapsed != 1", "lapsed not in (1, 2)")):
    for layout, files in (("a file a week", [KNOWN, UNKNOWN]), ("one file", [TOGETHER])):
        found[condition, layout] = shown_and_deleted(f"t{number}_{len(files)}", files, condition)
        print(f"{condition}, {layout}: shown {found[condition, layout][0]}, deleted {found[condition, layout][1]}")
assert found["lapsed != 1", "a file a week"] == ([1], [1, 4, 5]), "the behaviour changed"
assert found["lapsed != 1", "one file"] == ([1], [1]), "the behaviour changed"
assert found["lapsed not in (1, 2)", "a file a week"] == ([1, 3, 4, 5], [1, 4, 5]), "the behaviour changed"
assert found["lapsed not in (1, 2)", "one file"] == ([1, 3, 4, 5], [1]), "the behaviour changed"
print("as recorded: what is deleted depends on which rows share a file")
PY
