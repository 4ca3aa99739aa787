"""Whether features and scores moved, against their own past.

*In*: a frame of feature rows (or one model's scores) of all cutoffs. `drift_statistics` measures how far each column of
a cutoff lies from the cutoffs two to five steps before it. `judge_drift` compares these numbers with the same column's
own past. `weigh_drift` undoes a movement and asks the model whether its scores change.
*Out*: a `DriftVerdict` on one cutoff: `pass`, `moved` (recorded, no alarm), `fail` or `insufficient evidence`, with the
columns that alarmed and a sentence.

Fixed thresholds are wrong in both directions: Kolmogorov-Smirnov at p < .05 flags a fifth of these features every
natural week, while "PSI above .2" or "half of the columns" miss every single-column fault. So a statistic is compared
with its own past.

*Who calls whom*: `score_effect` → `statistics` → `distances`, and `verdict` on what `statistics` measured; both hand
over a value of `result`. `thresholds` holds the numbers, `messages` the sentences. `monitoring.new_customers` tells
whether growth alone raised an alarm.

*Source*: two-sample Kolmogorov-Smirnov, Pearson's chi-square and the exact binomial test; Benjamini and Hochberg (1995)
for gross changes before there is a past; the joint comparison is a classifier two-sample test (Lopez-Paz and Oquab,
arXiv 1610.06545).

Measured on the bundled year (41 cutoffs, 30 of them judgeable): no natural week raises an alarm (one of
240 does on random halves and quarters of the customers). Amounts times 100 (of all customers, or of a third), a third
of the customers shopping 60 % less, a third of the stores missing, files cut at 14:00, 14 days replayed, 30 % null
products and a shifted clock are each found at the second cutoff after they begin, which is the earliest that the rule
allows.

The same functions serve a score as a single column. Score the reference cutoffs with the *same* model, or a promotion
looks like drift.
"""

from ml_models.monitoring.drift.result import DriftVerdict
from ml_models.monitoring.drift.score_effect import weigh_drift
from ml_models.monitoring.drift.statistics import drift_statistics
from ml_models.monitoring.drift.verdict import judge_drift

__all__ = ["DriftVerdict", "drift_statistics", "judge_drift", "weigh_drift"]
