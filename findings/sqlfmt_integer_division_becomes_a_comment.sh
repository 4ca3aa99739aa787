#!/usr/bin/env bash
# shandy-sqlfmt 0.32.0, run on DuckDB's SQL (duckdb 2.0.1).
#
# Expected: a formatter of dbt's SQL moves white space, and what it cannot read it leaves alone; it says that it checks
# that the result has the same tokens.
# Seen: `//`, which divides integers in DuckDB, is taken for the start of a comment (as in Snowflake). What follows on
# the line becomes a comment, other columns included, and the statement that is left still runs: it gives fewer columns
# and other numbers. An escape string, e'a\tb', gets a space after its e, and is a column called e then.
# Here: the models are not formatted by sqlfmt. A division is written so that both dialects read it alike.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet shandy-sqlfmt==0.32.0 duckdb==2.0.1
cat > "$folder/weeks.sql" <<'SQL'
select days // 7 as weeks, days
from (select 30 as days)
SQL
cp "$folder/weeks.sql" "$folder/formatted.sql"
"$folder/venv/bin/sqlfmt" --quiet "$folder/formatted.sql"
cat "$folder/formatted.sql"
printf "select e'a\\\\tb' as word from t\n" > "$folder/word.sql"
"$folder/venv/bin/sqlfmt" --quiet "$folder/word.sql"
cat "$folder/word.sql"
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
from importlib.metadata import version
from pathlib import Path

import duckdb

folder = Path(sys.argv[1])
print(f"sqlfmt {version('shandy-sqlfmt')}, duckdb {duckdb.__version__}")
written, formatted = (duckdb.sql((folder / name).read_text()).fetchall() for name in ("weeks.sql", "formatted.sql"))
print(f"as written: {written}; as formatted: {formatted}")
assert written == [(4, 30)], "the behaviour changed"
assert formatted == [(30,)], "the behaviour changed"
assert "e 'a" in (folder / "word.sql").read_text(), "the behaviour changed"
print("as recorded: an integer division is formatted into a comment, and the rest still runs")
PY
