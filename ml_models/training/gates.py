"""What the promotion gate asks, gate by gate, in the order in which it is judged.

How each is measured is in `gate`. This table imports nothing, so that the graph shows it without loading a library.
"""

GATES = {
    "enough_evidence": "The judged rows are enough to judge on.",
    "beats_base_rate": "Lower log-loss than always predicting the base rate, beyond noise.",
    "beats_recency_rule": "It is the rule `the longer away, the likelier gone`, or has lower log-loss and higher AUC.",
    "beats_rfm_logistic": "It is the logistic regression on recency, frequency and money, or has as low a log-loss.",
    "calibration": "Predicted probabilities agree with observed rates.",
    "negative_control": "The same recipe on shuffled labels beats no baseline: the evaluation does not leak.",
    "simpler_is_worse": "It is the simplest family of models that nothing beats.",
    "beats_champion": (
        "Lower log-loss than the champion on the same matured rows, beyond noise; no higher where the champion learned "
        "from bad rows, is too old, or is outgrown by labels."
    ),
    "no_slice_worse": "No slice of customers fares worse than under the champion by more than its margin.",
    "forgets_nothing": (
        "What the champion has right beyond doubt of each season that it learned from, the candidate has not wrong."
    ),
    "invariance": "What must not matter does not: row order, company, ids, the level of prices.",
    "directions": "What a person would call more risk raises the score: away for longer, fewer visits, less bought.",
    "extremes": "The worst customer scores high, the best one low, and nulls are scored like everybody.",
}
"""Name of each gate and what it promises: what fails one is not promoted, and the champion stays."""

COMPARISONS = ("beats_champion", "no_slice_worse")
"""Gates whose failure is a warning, no error: a candidate no better than the champion is an ordinary week."""
