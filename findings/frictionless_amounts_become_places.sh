#!/usr/bin/env bash
# frictionless 5.21.0.
#
# Expected: amounts with a decimal comma (12,50) are described as text, or as numbers.
# Seen: the column is described as a geopoint, and extracting gives latitude and longitude: [12.0, 50.0]. An order number
# with leading zeros is described as an integer in the same file, and 00123 is extracted as 123. Nothing is warned of.
# Above 90 before the comma, or 180 after it, there is no such place: one amount of 250,00 makes the whole column text.
# Here: `make company` looks at every row of a file as text, and proposes types to a person with the reason; a cast that
# changes or refuses a value is counted.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet frictionless==5.21.0
cd "$folder"
printf 'invoice,amount\n00123,"12,50"\n00124,"1,25"\n00125,"80,00"\n' > orders.csv
printf 'invoice,amount\n00123,"12,50"\n00124,"1,25"\n00125,"250,00"\n' > larger.csv
cat > show.py <<'PY'
import frictionless

print("frictionless", frictionless.__version__)
for name in ("orders.csv", "larger.csv"):
    print(name, [(one.name, one.type) for one in frictionless.describe(name).schema.fields], frictionless.extract(name))
[invoice, amount] = frictionless.describe("orders.csv").schema.fields
[row, *_] = next(iter(frictionless.extract("orders.csv").values()))
assert (invoice.type, amount.type) == ("integer", "geopoint")
assert row["invoice"] == 123 and [float(one) for one in row["amount"]] == [12.0, 50.0], row
assert frictionless.describe("larger.csv").schema.fields[1].type == "string"
PY
venv/bin/python show.py
echo "as recorded: an amount with a decimal comma is a place on the map"
