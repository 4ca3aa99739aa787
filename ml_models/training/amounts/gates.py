"""What the promotion gate asks of a candidate that predicts an amount, in the order in which it is judged.

How each is measured is in `gate`. This table imports nothing, so that the graph shows it without loading a library.
"""

AMOUNT_GATES = {
    "enough_amounts": "The judged rows are enough to judge on.",
    "beats_plain_rules": (
        "Smaller absolute error than the best of the plain rules, beyond noise; against the mean of the look-back no "
        "larger squared error beyond noise."
    ),
    "totals_agree": "The total of the predictions agrees with the total that was seen.",
    "tenths_agree": "So it does in each tenth of the predictions, beyond noise.",
    "shuffled_amounts_fail": "The same recipe on shuffled amounts beats no rule: the evaluation does not leak.",
    "beats_serving_version": (
        "Smaller absolute error than the champion on the same matured rows, beyond noise; no larger where the champion "
        "learned from bad rows, is too old, or is outgrown by labels."
    ),
    "no_slice_dearer": "In no slice of customers is the error larger than the champion's by more than a bound.",
    "amounts_follow": (
        "Prices times 1.2 make predictions about as much larger; who comes half as often is expected to spend less."
    ),
}
"""Name of each gate and what it promises: what fails one is not promoted, and the champion stays."""

AMOUNT_COMPARISONS = ("beats_serving_version", "no_slice_dearer")
"""Gates whose failure is a warning, no error: a candidate no better than the champion is an ordinary week."""
