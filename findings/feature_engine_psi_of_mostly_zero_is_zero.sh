#!/usr/bin/env bash
# feature-engine 1.9.4.
#
# Expected: `DropHighPSIFeatures` notices a column that was 0 in 97 of 100 rows of the reference and in none since.
# Seen: its index is 0.0. By default bins are of equal share of the reference; where most rows hold one value, all edges
# are that value, and one bin from minus to plus infinity is left. With `strategy="equal_width"` the index is 12.
# Here: discounts, returns and rare departments are mostly 0. Drift of a number is the Kolmogorov-Smirnov distance: no bins.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet feature-engine==1.9.4 numpy==2.4.6 pandas==3.0.6 scikit-learn==1.9.1
"$folder/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
import pandas as pd
from feature_engine.selection import DropHighPSIFeatures

numbers = np.random.default_rng(0)
since = 1.0 + numbers.poisson(3, 4000)
before = np.where(numbers.random(4000) < 0.97, 0.0, 1.0 + numbers.poisson(3, 4000))
rows = pd.DataFrame({"week": np.repeat([1, 2], 4000), "discount": np.r_[before, since]})
print(f"feature-engine {version('feature-engine')}")
found = {
    strategy: float(DropHighPSIFeatures(split_col="week", strategy=strategy).fit(rows).psi_values_["discount"])
    for strategy in ("equal_frequency", "equal_width")
}
print(found)
assert found["equal_frequency"] == 0, "the behaviour changed"
assert found["equal_width"] > 5, "the behaviour changed"
PY
