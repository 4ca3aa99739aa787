"""The weekly judgement: whether what arrived is right, what moved, whether predictions hold, why, and what to do.

Plain Python on frames. One call does it: `judge_week(evidence)` takes a WeekEvidence (everything that may be known on a
Monday morning) and returns a WeekJudgement (three verdicts, a diagnosis, exactly one decision, the rows to write).

Read in this order, which is also the order of the calls:

1. What several packages use. `types`: the values that pass between them. `settings`: what people may set about the
   policy. `thresholds`: the numbers that they share. `new_customers`: growth is no drift. `bad_periods`: which rows bad
   days affect.
2. `week`: calls the five packages in turn. Each of them imports only those above it in this table, and what they share.

   ===============  =======================================  ======================================================
   package          in                                       out
   ===============  =======================================  ======================================================
   `data_quality`   measures of tables, feature rows         QualityVerdict and anomalies (types.Anomaly)
   `drift`          feature rows, the champion's scores      DriftVerdict of features, and of scores
   `performance`    scores, outcomes, early outcomes         PerformanceVerdict
   `diagnosis`      a Case: anomalies, alarms, rows          Diagnosis: the cause, the first bad asset, its owner
   `decision`       a Situation, the ledger, the settings    Decision: rollback, inspect, improve or continue
   ===============  =======================================  ======================================================

   `drift.weekly` and `performance.weekly` are what `week` and the assets call. `decision.policy` says when a
   week is *inspect*, on one page.
3. `report`: a week in words, for the table `monitoring.why` and the digest.

Who calls: the asset `monitoring/decisions` once a week, `ml_models.policy_backtest` for a replayed year, `drills` with
injected faults. What counts as wrong stands in the `thresholds` module of each package (docs/thresholds.md has all).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_models.monitoring.week import WeekEvidence, WeekJudgement, judge_week

__all__ = ["WeekEvidence", "WeekJudgement", "judge_week"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: `week` loads scikit-learn and scipy, and whoever needs a type of `types` needs neither.
    if name in __all__:
        from ml_models.monitoring import week

        return getattr(week, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
