#!/usr/bin/env bash
# implicit 0.7.3.
#
# Expected: precision at 10 is the share of the ten places that are right.
# Seen: hits are divided by the smaller of ten and the number of things wanted, and summed over all customers first. A list
# of ten with one right place for somebody who wanted one thing has a precision of 1.0; it is .1. Where nobody buys more
# than ten things it is a recall that counts things, so customers who want many decide it. Taken for a precision it is up
# to ten times too high, and the metric of the same name in other libraries cannot be compared with it.
# Here: recall and nDCG at 10 are told by their formulas, as means over customers (docs/next_product.md).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --only-binary :all: implicit==0.7.3 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import numpy as np
from implicit.evaluation import ranking_metrics_at_k
from scipy.sparse import csr_matrix


class FirstTen:
    """The same ten products for everybody."""

    def recommend(self, userid, user_items, N=10):
        return np.tile(np.arange(N, dtype="int32"), (len(userid), 1)), np.zeros((len(userid), N), dtype="float32")


def precision(wanted):
    return ranking_metrics_at_k(FirstTen(), csr_matrix((2, 20)), csr_matrix(wanted), K=10, show_progress=False)["precision"]


one_thing_each = np.eye(20)[[0, 3]]
# The second wants ten things, of which one is in the list: 1 of 1 and 1 of 10 is 2 of 11, and the mean is .55.
one_and_ten = np.array([np.eye(20)[0], np.r_[1, np.zeros(9), np.ones(9), 0]])
print(f"implicit {version('implicit')}")
print(precision(one_thing_each), precision(one_and_ten))
assert precision(one_thing_each) == 1.0, "the behaviour changed"
assert abs(precision(one_and_ten) - 2 / 11) < 1e-6, "the behaviour changed"
PY
