"""What counts as drift: every number that the judgement of features and scores is tuned by.

Only constants belong here; what is done with them is in the module that each docstring names, or that imports it.
"""

from ml_models.monitoring.thresholds import MINIMUM_WINDOWS

REFERENCE_STEPS = (2, 3, 4, 5)
"""Steps back, in cutoffs, of the reference windows. The nearest is left out because feature windows overlap,
and because a change then shows fully in its first two weeks, the two that an alarm needs. A longer lag mistakes the
season for a fault: four to seven steps back gave up to five false weeks."""

REFERENCE_RANK = 1
"""Place, counted from 0, of the reference window that counts, in order from the closest: the second, so that up
to two odd weeks among the four do not turn the healthy weeks after them into an alarm. [place]"""

MINIMUM_ROWS = 200
"""Rows with a value, in either window, from which a distance is computed. The loss split asks for as many for a reason
of its own, and performance for fewer."""

LEAST_WINDOWS = max(REFERENCE_STEPS) + MINIMUM_WINDOWS
"""Windows (cutoffs) before the judged one that a verdict needs: the reference windows, and MINIMUM_WINDOWS to be
compared with."""

FLOOR = 0.06
"""Distance, 0 to 1, below which no column has moved. Natural weeks raise no alarm from .05 on; at .07 a third of the
customers shopping 60 % less drops out of sight again between the fifth and the tenth week."""

NULL_FLOOR = 0.02
"""Change of a null share, 0 to 1, below which no column has moved."""

JOINT_FLOOR = 0.10
"""Joint distance, 0 to 1, that two halves of one window show now and then."""

SHORT_FLOOR = 0.18
"""Distance, 0 to 1, of a gross change: what counts before there is a past. Three times FLOOR; no natural week of the
bundled year comes near it."""

SHORT_FLOORS = 2
"""Times a column's own floor that a gross change must reach, where that is more than SHORT_FLOOR."""

SHORT_NULL_FLOOR = 0.10
"""Change of a null share, 0 to 1, that counts before there is a past."""

FALSE_DISCOVERY = 0.01
"""Share of false ones among a window's gross changes (Benjamini and Hochberg, 1995)."""

CHANCE = 0.01
"""Probability that chance alone shows as large a distance in so many rows; the segments of a window share it."""

NEGLIGIBLE = 0.002
"""Share of the model's expected log-loss that a movement may cost and still be called harmless, whatever is usual: half
of what a retraining must promise before a run is spent on it."""

USUAL_DEVIATIONS = 6.0
"""Robust standard deviations above the median of earlier weeks up to which a movement's effect on scores is usual."""

PAST_EFFECTS = 12
"""Earlier windows (cutoffs) whose effect on the scores tells what is usual."""

EFFECT_ROWS = 20_000
"""Rows of a window that the effect on the scores is computed with."""

ROW_LIMIT = 100_000
"""Rows of a window that are measured; more sharpen no threshold, as chance then moves a distance by .006 at most.
Performance and the loss split have limits of their own, by their own precision."""

# --- how distances are measured --------------------------------------------------------------------------------------

BINS = 10
"""Bins of the Jensen-Shannon distance: the deciles of the older window."""

QUANTILES = 200
"""Quantiles that the Wasserstein distance is averaged over. [quantiles]"""

FOLDS = 5
"""Folds of customers over which the joint classifier is cross-validated."""

RIDGE = 0.05
"""Penalty of the joint classifier, a share of its rows. [share, 0 to 1]"""

SHRINKAGE = 0.02
"""Penalty of the joint classifier's precision matrix, a share of its rows. [share, 0 to 1]"""

LARGEST_SQUARE = 9
"""Square of a standardised value at which it is cut, that of three standard deviations: no single customer may decide.
[squared standard deviations]"""
