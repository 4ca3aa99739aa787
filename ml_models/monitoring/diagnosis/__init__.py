"""What explains a change: bad data, our own code, or the world that the model sees.

*In*: a `Case`, which holds one week's evidence (quality anomalies, the alarms of drift and performance), rows of all
cutoffs, the champion, and the lineage. `diagnose` finds the cause. `champion_diagnosis` tells of a champion that should
not serve. *Out*: a `Diagnosis`: the cause, the share of the change that bad data explains, the first bad asset, its
owner, and the command that repairs it.

*Method*: 1. Anomalies are re-enacted on a healthy week (`replay`). What they reproduce of the rise in log-loss, or
before outcomes matured of the shift in features and scores, is their share. Splitting a loss change by distributions
alone would call broken data a covariate shift. 2. The first bad asset is the furthest upstream one whose inputs are
clean (`lineage`). 3. What bad data does not explain, the loss split divides between other customers (covariate) and
customers who behave otherwise (concept), after Cai, Namkoong and Yadlowsky (2023).

*Who calls whom*: `root_cause` → `replay` → `shift` → `case`; `root_cause` → `loss_split`; `root_cause`, `replay` and
its `injection` → `lineage`. `thresholds` holds the numbers, `messages` the sentences and commands. A rebuild of the
pipeline is handed in as `Case.rebuild`; it raises `NotReplayable` for what it cannot re-enact.
"""

from ml_models.monitoring.diagnosis.case import Case, NotReplayable
from ml_models.monitoring.diagnosis.root_cause import champion_diagnosis, diagnose

__all__ = ["Case", "NotReplayable", "champion_diagnosis", "diagnose"]
