"""Thresholds that drift and performance share, because they mean one thing: when a window is odd, and when that counts.

What only one of them asks for is in the `thresholds.py` of its package. Data quality judges tables and not models, is
tuned on its own, and keeps its own numbers.
"""

MINIMUM_WINDOWS = 6
"""Past windows (cutoffs) without which a column or segment has no past of its own to be compared with."""

DEVIATIONS = 4.0
"""Standard deviations, of the past windows or of chance, beyond which a window is violated."""

WINDOWS = 3
"""Newest windows (cutoffs) among which violations are counted."""

VIOLATIONS = 2
"""Violated windows among the newest WINDOWS that raise an alarm; the latest must be one of them."""

EARLY_LABEL = "lapsed_14d"
"""Column of the outcome that is known before the problem's own label."""

EARLY_DAYS = 14
"""Days after its cutoff when an early outcome is known."""
