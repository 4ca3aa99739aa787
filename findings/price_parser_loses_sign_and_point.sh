#!/usr/bin/env bash
# price-parser 0.5.1.
#
# Expected: '-12.50', '12,50-' and '(12.50)' are below zero, and '0.500' is a half.
# Seen: all three are 12.50, without the sign; 'EUR -3' is 3. Three digits after a point are thousands, so '0.500' is 500
# although no number begins with 0 thousands.
# Here: refunds come as negative amounts, with the sign before or behind, or in brackets. Read by such a parser they would
# raise the spend that they lower. The sign is read by baton's own cast in staging, and counted.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet price-parser==0.5.1
cat > "$folder/show.py" <<'PY'
from importlib.metadata import version

from price_parser import Price

print("price-parser", version("price-parser"))
seen = {text: str(Price.fromstring(text).amount) for text in ("-12.50", "12,50-", "(12.50)", "EUR -3", "0.500", "0.50")}
for text, amount in seen.items():
    print(f"{text:>8} -> {amount}")
assert list(seen.values()) == ["12.50", "12.50", "12.50", "3", "500", "0.50"]
PY
"$folder/venv/bin/python" "$folder/show.py"
echo "as recorded: a refund is a sale, and a half is five hundred"
