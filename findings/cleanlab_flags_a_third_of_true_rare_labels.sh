#!/usr/bin/env bash
# cleanlab 2.9.0.
#
# Expected: where every label is right and the probabilities are the true ones, hardly any label is suspected.
# Seen: of 20,000 rows of which 6 to 21 % are positive, drawn from just these probabilities, `find_label_issues` (its
# default, prune_by_noise_rate) calls a third and more of all positives wrong: .39, .36 and .34. What is rare is seldom
# likely, and the method takes "unlikely" for "mislabelled". The other methods: .23 to .97.
# Here: a list of labels to look at is no such list; see monitoring/label_suspects and docs/model.md.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet cleanlab==2.9.0
"$folder/venv/bin/python" -W ignore - <<'PY'
import cleanlab
import numpy as np
from cleanlab.filter import find_label_issues

print(f"cleanlab {cleanlab.__version__}")
generator, flagged = np.random.default_rng(0), []
for base in (0.05, 0.1, 0.2):
    logit = generator.normal(np.log(base / (1 - base)) - 0.3, 1.2, 20_000)
    likely = 1 / (1 + np.exp(-logit))
    label = (generator.random(20_000) < likely).astype(int)
    found = find_label_issues(label, np.column_stack([1 - likely, likely]), n_jobs=1)
    flagged.append(float(found[label == 1].mean()))
    print(f"{label.mean():.0%} positive: flagged {flagged[-1]:.2f} of them, {found[label == 0].mean():.3f} of the others")
assert all(0.3 < share < 0.45 for share in flagged), "the behaviour changed"
print("as recorded: a third of the rare class is called mislabelled, and nothing is")
PY
