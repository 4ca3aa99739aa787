#!/usr/bin/env bash
# river 0.26.1.
#
# Expected: a missing value in a stream is refused or passed over; what comes later is judged as before.
# Seen: ADWIN and PageHinkley take a NaN without a word, and never detect anything again: their means stay NaN. A jump
# of five standard deviations, which both report within 25 values, goes unseen for ever.
# Here: weekly rates are nulls where nobody was judged. A null is counted before anything is measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet river==0.26.1
"$folder/venv/bin/python" - <<'PY'
import random

import river
from river import drift

print(f"river {river.__version__}")
generator = random.Random(0)
clean = [generator.gauss(0, 1) for _ in range(1000)] + [generator.gauss(5, 1) for _ in range(1000)]
holed = [*clean[:500], float("nan"), *clean[501:]]
DETECTORS = {"ADWIN": drift.ADWIN, "PageHinkley": drift.PageHinkley}


def first_detection(make, values):
    """Return the number of the value at which the jump at 1,000 is first reported, None if never."""
    detector = make()
    for number, value in enumerate(values):
        detector.update(value)
        if detector.drift_detected and number >= 1000:
            return number
    return None


found = {name: [first_detection(make, values) for values in (clean, holed)] for name, make in DETECTORS.items()}
for name, (without, after) in found.items():
    print(f"{name}: the jump at 1000 is seen at {without}; with one NaN at 500: {after}")
assert all(1000 <= without < 1050 for without, _ in found.values()), "the behaviour changed"
assert all(after is None for _, after in found.values()), "the behaviour changed"
print("as recorded: after one NaN neither detector reports anything again")
PY
