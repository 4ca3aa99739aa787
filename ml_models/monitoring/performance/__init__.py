"""Do the predictions still hold? Estimated from scores, indicated by an early label, realised when outcomes mature.

*In*: feature rows of all cutoffs, one model's scores of them, and the outcomes that are there. `performance_history`
measures each window (cutoff) and each segment of it. `judge_performance` compares the newest windows that are known on
a morning with the same segments' past.
*Out*: a `PerformanceVerdict`: `pass`, `warn` (only the estimate moved), `moved` (only new customers, decided by
`judge_predictions`), `fail` or `insufficient evidence`, with the alarmed segments and a sentence.

The estimate is blind to a change of behaviour, so it warns and never fails. Only outcomes, early and realised, see that
customers behave otherwise than their features promise, and they see it first in a segment. So the gap between observed
and expected shares is compared for bands of every feature, of the score and of the problem's slices, and for each value
of a group column.

*Who calls whom*: `history` → `segments` → `windows` measure; `verdict` → `alarms` judge what `history` returned.
`thresholds` holds the numbers (those shared with drift: `ml_models.monitoring.thresholds`), `messages` the sentences.

*Source*: calibration in the small by segment, against control limits from the segment's own past, shrunk towards the
segments' common spread; Bonferroni's correction over segments; DeLong et al. (1988) for the error of an AUC; an honest
tree (grown on one half, confirmed on the other; Athey and Imbens, 2016) for segments that nobody thought of.
"""

from ml_models.monitoring.performance.history import performance_history
from ml_models.monitoring.performance.verdict import PerformanceVerdict, judge_performance

__all__ = ["PerformanceVerdict", "judge_performance", "performance_history"]
