#!/usr/bin/env bash
# xlsx2csv 0.8.6.
#
# Expected: the CSV of a sheet holds the values of its cells, a moment as it is.
# Seen: a moment of 13:05:59 in the usual format, `yyyy-mm-dd h:mm:ss`, is written as 01:05:59. Excel's `h` counts to 24
# where no AM/PM stands beside it, and here it counts to twelve: the afternoon becomes the night, without a word. Other
# cells come as the sheet displays them: 1234.567 shown with one place is 1234.6, a share of .12345 is the text 12%.
# Here: hours decide which orders a night's load lacks. Sheets are read by calamine, which gives values
# (calamine_midnight_is_a_date.sh).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xlsx2csv==0.8.6 openpyxl==3.1.5
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
from datetime import datetime

from openpyxl import Workbook

book = Workbook()
sheet = book.active
sheet.append(["amount", "share", "ordered_at"])
for _ in range(2):
    sheet.append([1234.567, 0.12345, datetime(2024, 1, 1, 13, 5, 59)])
for column, shown in enumerate(("0.0", "0%", "dd.mm.yyyy"), start=1):
    sheet.cell(2, column).number_format = shown
book.save(f"{sys.argv[1]}/orders.xlsx")
PY
"$folder/venv/bin/xlsx2csv" "$folder/orders.xlsx" | tr -d '\r' > "$folder/orders.csv"
cat "$folder/orders.csv"
"$folder/venv/bin/python" - "$folder" <<'PY'
import csv
import sys
from importlib.metadata import version

print(f"xlsx2csv {version('xlsx2csv')}")
with open(f"{sys.argv[1]}/orders.csv") as file:
    _, formatted, plain = csv.reader(file)
assert formatted == ["1234.6", "12%", "01.01.2024"], "the behaviour changed"
assert plain == ["1234.567", "0.12345", "2024-01-01 01:05:59"], "the behaviour changed"
print("as recorded: 13:05:59 is written as 01:05:59, and what the sheet does not show is lost")
PY
