#!/usr/bin/env bash
# cornac 3.0.1.
#
# Expected: with the format UBIT (user, basket, item, timestamp) the basket that `NextBasketEvaluation` asks for is the
# one with the latest timestamp, and the history is what came before it.
# Seen: it is the one whose line comes last in the file. The timestamps are read and kept, and the data set can order by
# them (`chrono_user_basket_data`), but the evaluation does not. Of a file that begins with the newest line, the oldest
# basket is to be predicted from the later ones, and nothing says so.
# Here: a next-product problem would be judged on the past. A warehouse gives rows in no order.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet cornac==3.0.1
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version
from pathlib import Path

from cornac.data import Reader
from cornac.eval_methods import NextBasketEvaluation

print(f"cornac {version('cornac')}")
# Forty customers; each buys item0 first and item5 last.
rows = [(f"u{user}", f"u{user}b{step}", f"item{step}", 100 + step) for user in range(40) for step in range(6)]


def asked_for(ordered):
    """Return the items of the baskets that are to be predicted."""
    Path("baskets.tsv").write_text("".join("\t".join(map(str, row)) + "\n" for row in ordered))
    data = Reader().read("baskets.tsv", fmt="UBIT")
    test = NextBasketEvaluation(data=data, fmt="UBIT", test_size=0.5, seed=1).test_set
    names = {number: name for name, number in test.iid_map.items()}
    return {names[item] for _, _, baskets in test.ubi_iter(batch_size=1, shuffle=False) for item in baskets[0][-1]}


found = {how: asked_for(ordered) for how, ordered in {"oldest first": rows, "newest first": rows[::-1]}.items()}
for how, items in found.items():
    print(f"lines {how}: the next basket is {', '.join(sorted(items))}; by the timestamps it is item5")
assert found == {"oldest first": {"item5"}, "newest first": {"item0"}}, "the behaviour changed"
print("as recorded: the same records in another order ask for another basket")
PY
