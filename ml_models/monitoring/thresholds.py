"""Thresholds of more than one package: when a window is odd and when that counts, who is new, how long bad days last.

What only one package asks for is in its own `thresholds.py`. Data quality judges tables and not models, is tuned on its
own, and keeps its own numbers.
"""

MINIMUM_WINDOWS = 6
"""Past windows (cutoffs) without which a column or segment has no past of its own to be compared with."""

DEVIATIONS = 4.0
"""Standard deviations, of the past windows or of chance, beyond which a window is violated."""

DEVIATION_OF_MAD = 1.4826
"""Standard deviation of normal values whose median absolute deviation is 1; so a robust one is estimated. [ratio]"""

WINDOWS = 3
"""Newest windows (cutoffs) among which violations are counted."""

VIOLATIONS = 2
"""Violated windows among the newest WINDOWS that raise an alarm; the latest must be one of them."""

FILLED = 0.8
"""Share of a feature window, 0 to 1, that a customer must have been there for to be new no more."""

SURGE = 0.05
"""Share of new customers, 0 to 1, beyond their usual share from which they may be what an alarm is about; fewer cannot
carry one."""

MAJORITY = 0.5
"""Share of new customers, 0 to 1, beyond which the existing ones are too few to speak for everybody."""

LATE_DAYS = 7
"""Days after which late data affect no new cutoff: what is computed then sees all rows."""
