#!/usr/bin/env bash
# python-calamine 0.9.1, read beside openpyxl 3.1.5.
#
# Expected: the cells of one column of an Excel sheet with one number format (yyyy-mm-dd h:mm:ss) come as one type.
# Seen: a cell at midnight comes as datetime.date, all others as datetime.datetime. Python refuses to compare the two, so
# sorting the column ends in a TypeError on the day when somebody orders at 00:00:00. openpyxl gives datetimes only.
# Here: baton takes no Excel files; an export to CSV keeps the column one text, and the time of day is decided by all rows.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet python-calamine==0.9.1 openpyxl==3.1.5
cd "$folder"
cat > show.py <<'PY'
from datetime import date, datetime
from importlib.metadata import version

import openpyxl
import python_calamine

book = openpyxl.Workbook()
for moment in (datetime(2024, 5, 1, 9, 30), datetime(2024, 5, 2, 0, 0), datetime(2024, 5, 3, 18, 5)):
    book.active.append([moment])
book.save("orders.xlsx")
formats = {cell.number_format for (cell,) in openpyxl.load_workbook("orders.xlsx").active.iter_rows()}
calamine = [row[0] for row in python_calamine.CalamineWorkbook.from_path("orders.xlsx").get_sheet_by_index(0).to_python()]
other = [row[0] for row in openpyxl.load_workbook("orders.xlsx").active.values]
print("python-calamine", version("python-calamine"), [type(one).__name__ for one in calamine], "format", formats)
print("openpyxl", version("openpyxl"), [type(one).__name__ for one in other])
assert len(formats) == 1 and [type(one) for one in calamine] == [datetime, date, datetime]
assert [type(one) for one in other] == [datetime] * 3
try:
    sorted(calamine)
except TypeError as error:
    print("sorting:", error)
else:
    raise SystemExit("sorting went through")
PY
venv/bin/python show.py
echo "as recorded: midnight is a date among times"
