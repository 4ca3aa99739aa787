#!/usr/bin/env bash
# scikit-learn 1.9.1.
#
# Expected: a model whose probabilities are right stays so when it is calibrated with enough rows, whichever method does
# it and whether it answers with log-odds or with probabilities alone.
# Seen: the default method (`sigmoid`) takes log-odds from a model that has `decision_function`, and of one that has only
# `predict_proba`, as a random forest, it puts the probability itself into the logistic curve. Of 200,000 rows whose true
# probabilities are known and handed over as they are, log-loss rises from .224 to .238; a customer at .01 is said to be
# at .032. The same numbers as log-odds keep .224, and so does the newer `temperature`, which takes the logarithm itself.
# Here: where only the base rate moved, log-odds are moved, of any model; the gate asks the log-loss before and after.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 numpy==2.2.6
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss

print(f"scikit-learn {sklearn.__version__}")


class KnowsTheTruth(ClassifierMixin, BaseEstimator):
    """A model whose one feature is the true probability."""

    def fit(self, x, y):
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, x):
        p = np.asarray(x, dtype=float)[:, 0]
        return np.column_stack([1 - p, p])

    def predict(self, x):
        return (self.predict_proba(x)[:, 1] > 0.5).astype(int)


class AlsoAsLogOdds(KnowsTheTruth):
    """The same model, which offers its log-odds, too."""

    def decision_function(self, x):
        p = np.asarray(x, dtype=float)[:, 0]
        return np.log(p / (1 - p))


generator = np.random.default_rng(0)
p = generator.beta(0.4, 4, 200_000)
y = (generator.random(len(p)) < p).astype(int)
x = p[:, None]
print(f"true probabilities: log-loss {log_loss(y, p):.4f}")
found = {}
for kind in (KnowsTheTruth, AlsoAsLogOdds):
    for method in ("sigmoid", "temperature"):
        model = CalibratedClassifierCV(FrozenEstimator(kind().fit(x, y)), method=method).fit(x, y)
        loss = log_loss(y, model.predict_proba(x)[:, 1])
        low = float(model.predict_proba([[0.01]])[0, 1])
        found[kind.__name__, method] = loss
        print(f"{kind.__name__}, {method}: log-loss {loss:.4f}, of .01 becomes {low:.3f}")
truth = log_loss(y, p)
assert found["KnowsTheTruth", "sigmoid"] - truth > 0.01, "the behaviour changed"
others = [loss for name, loss in found.items() if name != ("KnowsTheTruth", "sigmoid")]
assert max(abs(loss - truth) for loss in others) < 0.001, "the behaviour changed"
PY
