#!/usr/bin/env bash
# agate 1.14.2, the reader behind csvkit's type inference.
#
# Expected: a column of 12,50 and 1,25 stays text, or is read as 12.50 and 1.25.
# Seen: it is read as the numbers 1250 and 125. The default locale takes every comma for a thousands separator, wherever
# it stands, and no row fails. With the locale de_DE the same column is 12.50, and there 12.50 becomes 1250.
# Here: the decimal sign of a column of amounts is decided by all of its rows, told to a person, and written down in
# company.toml; a comma before two last digits is never a thousands separator.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet agate==1.14.2
cd "$folder"
printf 'invoice,amount\nA1,"12,50"\nA2,"1,25"\nA3,"100,00"\n' > comma.csv
printf 'invoice,amount\nA1,12.50\nA2,1.25\nA3,100.00\n' > point.csv
cat > show.py <<'PY'
from importlib.metadata import version

import agate

print("agate", version("agate"))
usual = agate.Table.from_csv("comma.csv").columns["amount"]
print("12,50 by default:", type(usual.data_type).__name__, [str(one) for one in usual])
german = agate.Table.from_csv("point.csv", column_types={"amount": agate.Number(locale="de_DE")}).columns["amount"]
print("12.50 in de_DE:", [str(one) for one in german])
assert isinstance(usual.data_type, agate.Number) and [int(one) for one in usual] == [1250, 125, 10000]
assert [int(one) for one in german] == [1250, 125, 10000]
PY
venv/bin/python show.py
echo "as recorded: 12,50 is 1250"
