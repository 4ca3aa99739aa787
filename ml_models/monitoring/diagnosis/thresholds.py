"""What counts as an explanation: every number that the replay, the loss split and the diagnosis are tuned by.

Only constants belong here; what is done with them is in the module that imports them.
"""

EXPLAINED = 0.5
"""Share of what was observed, 0 to 1, above which a replay explains it: the cause is the data or our own pipeline."""

PARTLY = 0.15
"""Share of what was observed, 0 to 1, up to which a replay explains nothing; between PARTLY and EXPLAINED the cause is
mixed."""

SIGNIFICANT = 3.0
"""Standard errors below which a rise in log-loss is nothing to explain, and a part of one does not name a cause."""

VISIBLE = 0.005
"""Distance of the weighted distributions, 0 to 1, below which a shift is the wobble of ordinary weeks."""

ENOUGH = 0.8
"""Share of the shift, 0 to 1, from which a replay needs no better one."""

SINGLES = 3
"""Strongest anomalies that are replayed alone, beside all of them together. [anomalies]"""

SAME_RATE = 0.1
"""Difference of rates up to which perturbations that are alike but for their days count as one. [share, 0 to 1]"""

QUANTILE_STEPS = 20
"""Equal steps of the reference's distribution at whose inner edges two windows are compared."""

REFERENCE_CUTOFFS = 4
"""Healthy cutoffs that a rise in log-loss is measured from."""

INFLUENCE_ROWS = 500
"""Rows that a feature's influence on the scores is measured with."""

REASON_LENGTH = 120
"""Characters of an error's message in a sentence for people; an engine's whole message belongs into a log."""

MINIMUM_ROWS = 200
"""Rows on either side of a loss split. Drift asks for as many, but so that a distance says something; here a domain
classifier must learn from them."""

MINIMUM_EFFECTIVE = 100.0
"""Effective rows that the weights of a loss split must leave on either side for a comparison to say anything."""

MINIMUM_OVERLAP = 0.1
"""Overlap of two windows below which their losses are not compared. [overlap, 0 to 1]"""

FOLDS = 5
"""Folds of customers over which the domain classifier of a loss split is cross-validated."""

MAXIMUM_AUC = 0.98
"""AUC of the domain classifier above which two windows share too few similar customers. A penalised classifier is never
certain; this ranking says it for itself. [AUC, 0 to 1]"""

CHANGED = 2.5
"""Standard errors that a rise of the loss needs to be split at all. Looks like SIGNIFICANT, which the replay and the
diagnosis use, but is tuned with the split."""

COUNTS = 2.5
"""Standard errors that a part of the rise needs to count."""

SHARE = 0.15
"""Share of the rise, 0 to 1, below which a part is not worth a name beside the other."""

ROW_LIMIT = 50_000
"""Rows on either side of a loss split; of more, every k-th is taken. Drift and performance have limits of their own, by
their own precision."""
