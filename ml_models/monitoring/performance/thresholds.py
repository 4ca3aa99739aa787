"""What counts as a fall in performance: every number that the judgement of predictions is tuned by.

Only constants belong here. When a window is odd and what makes an alarm of it, drift and performance share
(`ml_models.monitoring.thresholds`).
"""

MINIMUM_ROWS = 100
"""Rows of a segment in a window. Fewer than drift asks for: a gap between observed and expected events needs events,
MINIMUM_EVENTS of either kind, and not rows."""

MINIMUM_EVENTS = 10
"""Expected outcomes of either kind in a segment's window, below which its gap says nothing. [outcomes]"""

FAMILY_ERROR = 0.001
"""Probability of a false alarm in any segment of a window, for Bonferroni's correction."""

STRONG = 1.5
"""Times its threshold at which a single window is an alarm, without a second one."""

PAST = 26
"""Past windows (cutoffs) that a segment is compared with, half a year. Windows further back say little about what is
usual today. Data quality looks back as far, over weeks of a table."""

REACH = 104
"""Newest windows (cutoffs) that a judgement reads, two years: judging stays equally fast for ever."""

SHARED = 0.75
"""Share of the windows that a horizon spans, 0 to 1, which count as one independent window. At a cutoff a week an
outcome of four weeks shares three quarters of its days with its neighbour's, so three windows are worth one."""

PRIOR = 8
"""Independent windows that the segments' common spread counts for, beside a segment's own."""

MATERIAL = 0.003
"""Share of the model's log-loss that knowing a gap must gain before anybody should act on it."""

PROMISED_RISE = 0.05
"""Rise of the expected log-loss, as a share of its median, that is the least worth an early warning. [share, 0 to 1]"""

ROW_LIMIT = 200_000
"""Rows of a window that are measured; more tell nothing new, as chance then gives a segment of a tenth of the rows a
gap of .0007 at most. Twice drift's limit, because a segment is a part of the rows."""

TREE_DEPTH = 2
"""Conditions that describe a segment which the residual tree finds: at most 2 to this power segments a window.
[conditions]"""

BEYOND_ALL = 1.1
"""Ratio of what a split could win back to what a gap that all customers share could, above which the split is named."""

LEAF_SHARE = 0.05
"""Share of the rows that grow the residual tree, 0 to 1, that such a segment holds at least."""

LEAF_ROWS = 20_000
"""Rows of a past window that are averaged over a leaf of the residual tree."""

BANDS = 3
"""Bands of equal size that a feature or the score is cut into."""

MOST_VALUES = 20
"""Most frequent values of a group column that are segments of their own; the others are one segment together."""
