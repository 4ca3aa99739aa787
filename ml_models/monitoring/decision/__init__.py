"""Exactly one decision a week, and the ledger of past ones.

In: a Situation (monitoring/types.py), the ledger, the settings. Out: a Decision, and the ledger row that records it.

Read `policy` first: when is a week what, on one page. Then what it asks: `rollback` (should the champion serve?),
`waiting` (why not now?), `events` (is it still the same cause?), `quarantine` (what must not be learned from?).
`monitoring.bad_periods` says which rows bad days affect.
`ledger` is what is remembered, `grading` whether it was right. `remedies` says how a champion could be improved and
what that would bring: `retraining_gain` compares two models on the same rows, `base_rate` tells whether only the rate
of outcomes moved, `monitoring.prices` what a gain is worth. The week calls them before the policy. `messages` holds the
sentences, `thresholds` the numbers that nobody sets.
"""

from ml_models.monitoring.decision.grading import grade
from ml_models.monitoring.decision.ledger import ledger_row
from ml_models.monitoring.decision.policy import decide
from ml_models.monitoring.decision.quarantine import quarantined

__all__ = ["decide", "grade", "ledger_row", "quarantined"]
