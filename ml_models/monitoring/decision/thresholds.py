"""Numbers of the decision that nobody sets: what counts as enough evidence, and when a fault was late.

What people may set is in `monitoring/settings.py`.
"""

MINIMUM_ROWS = 400
"""Rows on which two models are compared at least; fewer say nothing about a difference of .001 log-loss."""

MINIMUM_PER_CLASS = 20
"""Rows of either class that a comparison and each of its fits need at least."""

FOLDS = 3
"""Parts of the customers: each part is scored by a fit that did not know its customers."""

NOISE = 1.96
"""Standard errors within which a change of shift, slope or ranking is chance, at 95 %. [standard errors]"""

RANKING_KEPT = 0.02
"""AUC that scores may lose, or more within noise, and still order customers as before: a rate that doubles costs
some .01 of it though nobody's place changed. [AUC]"""

SLOPE_KEPT = 0.15
"""Ratio by which the slope of the outcome in the scores may change, or by noise, where only the base rate moved."""

SLOPE_WORTH = 0.1
"""Ratio by which the slope must differ from 1, beyond noise, to be learned besides the intercept."""

REFERENCE_CUTOFFS = 8
"""Cutoffs before the judged ones that tell how the champion used to order customers, at most."""

GROWING = 1.5
"""Ratio to last week's gain from which a small gain still grows and is waited for."""

CLEANER = 0.5
"""Share of the champion's bad training days that its predecessor must stay below to be returned to."""

CONFIRMED_SHARE = 0.5
"""Share (0 to 1) of the change that the replay must explain for a single inspect to count as confirmed."""

NOTICE_DAYS = 7
"""Days that a fault may go on before a continue counts as late: the first cutoff after it begins may pass."""
