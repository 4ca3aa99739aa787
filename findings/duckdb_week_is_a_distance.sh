#!/usr/bin/env bash
# DuckDB 2.0.1 (1.5.5 does the same).
#
# Expected: `date_diff(part, a, b)` counts the boundaries between two dates, for every part: that is what tells it from
# `date_sub`, which counts whole parts. From Sunday to Monday a week begins, as `date_trunc('week', ...)` says too.
# Seen: for 'month', 'quarter' and 'year' it counts boundaries. For 'week' it counts whole seven days, as `date_sub`
# does: from Sunday 1 to Monday 2 January it is 0, although both lie in different weeks.
# Here: a customer's weeks. `date_diff('week', ...)` and the distance of truncated weeks disagree for 42 of 98 pairs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.1
"$folder/venv/bin/python" - <<'PY'
import duckdb

print(f"duckdb {duckdb.__version__}")
PAIRS = {
    "week": ("2017-01-01", "2017-01-02"),
    "month": ("2017-01-31", "2017-02-01"),
    "quarter": ("2017-03-31", "2017-04-01"),
    "year": ("2016-12-31", "2017-01-01"),
}
found = {}
for part, (a, b) in PAIRS.items():
    days = f"'{part}', date '{a}', date '{b}'"
    crossed = f"date_trunc('{part}', date '{a}') <> date_trunc('{part}', date '{b}')"
    found[part] = duckdb.execute(f"select {crossed}, date_diff({days}), date_sub({days})").fetchone()
    print(f"from {a} to {b}: another {part} {found[part][0]}, date_diff {found[part][1]}, date_sub {found[part][2]}")
differ = duckdb.execute("""
    select
        count(*) filter (
            date_diff('week', a, b) <> date_diff('day', date_trunc('week', a), date_trunc('week', b)) / 7
        ),
        count(*)
    from (
        select date '2017-01-02' + i::int as a, date '2017-01-02' + (i + j)::int as b
        from range(7) as x(i), range(1, 15) as y(j)
    )
""").fetchone()
print(f"date_diff('week') is not the distance of the truncated weeks for {differ[0]} of {differ[1]} pairs of days")
assert found["week"] == (True, 0, 0), "the behaviour changed"
assert all(found[part] == (True, 1, 0) for part in ("month", "quarter", "year")), "the behaviour changed"
assert differ == (42, 98), "the behaviour changed"
print("as recorded: a week is a distance of seven days, a month is a page of the calendar")
PY
