#!/usr/bin/env bash
# dbt-core 1.11.16, dbt-duckdb 1.11.1, DuckDB 2.0.1.
#
# Expected: a unit test whose expected row says 2.4 fails where the model gives 2.
# Seen: it passes. dbt casts the expected rows to the types of the model's columns before it compares, so 2.4 becomes
# the integer 2. A given row is cast to its input's types too: 1.6 becomes 2, and a sum over it is 2.
# The same test over a double column fails, as it should.
# Here: features are counts and integer cents. A unit test cannot tell a rounded amount from a right one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dbt-core==1.11.16 dbt-duckdb==1.11.1 duckdb==2.0.1
cd "$folder"
export DBT_SEND_ANONYMOUS_USAGE_STATS=false
mkdir models
cat > dbt_project.yml <<'YML'
{name: shop, version: "1.0", profile: shop}
YML
cat > profiles.yml <<'YML'
shop: {target: here, outputs: {here: {type: duckdb, path: shop.duckdb, threads: 1}}}
YML
echo "select 'c1' as customer_id, 2 as trips" > models/orders.sql
echo "select customer_id, cast(sum(trips) as integer) as trips from {{ ref('orders') }} group by 1" > models/whole.sql
echo "select customer_id, cast(sum(trips) as double) as trips from {{ ref('orders') }} group by 1" > models/real.sql
cat > models/tests.yml <<'YML'
unit_tests:
  - name: an_integer_is_expected_to_be_2_4
    model: whole
    given: [{input: ref('orders'), rows: [{customer_id: c1, trips: 2}]}]
    expect: {rows: [{customer_id: c1, trips: 2.4}]}
  - name: an_integer_is_given_as_1_6
    model: whole
    given: [{input: ref('orders'), rows: [{customer_id: c1, trips: 1.6}]}]
    expect: {rows: [{customer_id: c1, trips: 2}]}
  - name: a_double_is_expected_to_be_2_4
    model: real
    given: [{input: ref('orders'), rows: [{customer_id: c1, trips: 2}]}]
    expect: {rows: [{customer_id: c1, trips: 2.4}]}
YML
venv/bin/dbt --version | grep -E "installed|duckdb"
venv/bin/dbt --quiet run
venv/bin/dbt --no-use-colors test > said.txt || true
grep -E "(PASS|FAIL|ERROR) .*::|(PASS|FAIL|ERROR) [0-9]* *[a-z]*::" said.txt
grep -q "PASS whole::an_integer_is_expected_to_be_2_4" said.txt
grep -q "PASS whole::an_integer_is_given_as_1_6" said.txt
grep -q "FAIL 1 real::a_double_is_expected_to_be_2_4" said.txt
echo "as recorded: 2.4 equals 2 and 1.6 is given as 2, where the column is an integer"
