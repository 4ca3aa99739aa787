"""Days known to be bad, and which rows they affect.

A cutoff's row is made of the days before it (its feature window) and of the days from it on (its label). Diagnosis asks
which cutoffs are healthy, and the decision asks what must not be learned from (`decision.quarantine`).
"""

from dataclasses import dataclass
from datetime import date, timedelta

from ml_models.monitoring.thresholds import LATE_DAYS
from ml_models.monitoring.types import Anomaly, AnomalyKind

CUTOFF_SCHEMAS = frozenset({"features", "outcomes", "training", "predictions"})
"""Schemas whose rows belong to a cutoff: what is wrong with a row there is wrong for that cutoff only."""


@dataclass(frozen=True)
class BadPeriod:
    """Days of which something is known to be wrong, and for how long that affects cutoffs.

    `affects_features`, `affects_labels`: what is computed from these days is wrong. `lasting`: the days stay wrong
    (rows are missing or false); otherwise they arrived later, and what is computed afterwards is right. `by_cutoff`:
    the days are cutoffs, whose own rows are wrong and nothing else.
    """

    event_id: str
    asset: str
    kind: AnomalyKind
    first_day: date
    last_day: date
    affects_features: bool = True
    affects_labels: bool = True
    lasting: bool = True
    by_cutoff: bool = False

    def affects(self, cutoff: date, window_days: int, horizon_days: int) -> bool:
        """Return whether a training row of this cutoff would learn something false."""
        return self.touches_window(cutoff, window_days) or self.touches_label(cutoff, horizon_days)

    def touches_window(self, cutoff: date, window_days: int) -> bool:
        """Return whether the features of this cutoff are made of these days."""
        if not self.affects_features:
            return False
        if self.by_cutoff:
            return self._is_of(cutoff)
        return self.first_day < cutoff <= self.last_day + self._tail(window_days)

    def touches_label(self, cutoff: date, horizon_days: int) -> bool:
        """Return whether the outcome of this cutoff is made of these days."""
        if not self.affects_labels:
            return False
        if self.by_cutoff:
            return self._is_of(cutoff)
        return self.first_day - timedelta(days=horizon_days) < cutoff <= self.last_day

    def affected_range(self, window_days: int, horizon_days: int) -> tuple[date, date]:
        """Return the first and last day on which a cutoff would be affected."""
        if self.by_cutoff:
            return self.first_day, self.last_day
        ahead = timedelta(days=horizon_days - 1 if self.affects_labels else 0)
        tail = self._tail(window_days) if self.affects_features else timedelta(0)
        return self.first_day - ahead, self.last_day + tail

    def _tail(self, window_days: int) -> timedelta:
        return timedelta(days=window_days if self.lasting else LATE_DAYS)

    def _is_of(self, cutoff: date) -> bool:
        # A week may be named by its cutoff or by the days before it.
        return self.first_day <= cutoff <= self.last_day + timedelta(days=1)


def bad_period(anomaly: Anomaly, event_id: str = "") -> BadPeriod:
    """Return what an anomaly affects."""
    by_cutoff = anomaly.asset.split("/")[0] in CUTOFF_SCHEMAS
    return BadPeriod(
        event_id,
        anomaly.asset,
        anomaly.kind,
        anomaly.first_day,
        anomaly.last_day,
        affects_features=anomaly.kind != "labels",
        affects_labels=anomaly.kind == "labels" or not by_cutoff,
        lasting=anomaly.kind != "stale",
        by_cutoff=by_cutoff,
    )
