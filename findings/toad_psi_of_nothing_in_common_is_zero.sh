#!/usr/bin/env bash
# toad 0.1.7.
#
# Expected: the population stability index grows without bound as two samples have less in common.
# Seen: amounts that are all thirty higher have an index of 0.0. Values are counted as they stand, and those that only
# one side has are dropped before the sum: of two samples of decimals nothing is left. So it is with words: a tenth of
# the payments turns from cash to vouchers, and the index is 0.0; all of them turn, and it is 0.0.
# Here: new and lost values of a category are anomalies of their own, and a distance of drift has a largest value.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet toad==0.1.7 numpy==2.4.6 pandas==3.0.6 scikit-learn==1.9.1
"$folder/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
import pandas as pd
from toad.metrics import PSI

spend = np.random.default_rng(0).normal(20, 1, 5000)
before = pd.DataFrame({"spend": spend, "paid_by": ["card"] * 4500 + ["cash"] * 500})
some = before.assign(paid_by=["card"] * 4500 + ["voucher"] * 500)
every = before.assign(spend=before["spend"] + 30, paid_by="voucher")
print(f"toad {version('toad')}")
found = {
    "all amounts thirty higher": PSI(every["spend"], before["spend"]),
    "cash becomes vouchers": PSI(some["paid_by"], before["paid_by"]),
    "all becomes vouchers": PSI(every["paid_by"], before["paid_by"]),
}
print(found)
assert all(index == 0 for index in found.values()), "the behaviour changed"
PY
