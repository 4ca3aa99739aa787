"""What is known to be bad, and which rows it spoils: an asset, on some days or in some deliveries.

A cutoff's row is made of the days before it (its feature window) and of the days from it on (its label). What was
computed of a bad table is spoilt along the lineage, and nothing else is: a label that does not read the products is
right while the products are wrong. Diagnosis asks which cutoffs are healthy, and the decision asks what must not be
learned from (`decision.quarantine`).

A table whose rows have a time is bad on days, and every window that holds one of them is spoilt. A list that is
delivered as a whole is bad from the delivery that broke it until the one that repaired it: only what was computed
between them is spoilt, as nothing looks back at an earlier delivery.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, timedelta

from ml_models.monitoring.thresholds import LATE_DAYS
from ml_models.monitoring.types import Anomaly, AnomalyKind

CUTOFF_SCHEMAS = frozenset({"features", "outcomes", "training", "predictions"})
"""Schemas whose rows belong to a cutoff: what is wrong with a row there is wrong for that cutoff only."""


def of_cutoffs(asset: str) -> bool:
    """Whether rows of an asset belong to cutoffs, and so are wrong by themselves."""
    return asset.split("/")[0] in CUTOFF_SCHEMAS


@dataclass(frozen=True)
class BadPeriod:
    """Days of which something is known to be wrong, and for how long that affects cutoffs.

    `affects_features`, `affects_labels`: what is computed from these days is wrong. `features`: which ones, None: any.
    `lasting`: the days stay wrong (rows are missing or false); otherwise they arrived later, and what is computed
    afterwards is right. `by_cutoff`: the days are cutoffs, whose own rows are wrong and nothing else. `by_delivery`:
    the table is delivered as a whole, and what was computed between these days is wrong. `rebuilt_from`: cutoffs from
    then on were computed again of rows that are whole; None: none were.
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
    by_delivery: bool = False
    features: tuple[str, ...] | None = None
    rebuilt_from: date | None = None

    @property
    def whole_rows(self) -> bool:
        """Whether a row is wrong as a whole, and not only as far as these days are a part of it."""
        return self.by_cutoff or self.by_delivery

    def affects(self, cutoff: date, window_days: int, horizon_days: int) -> bool:
        """Return whether a training row of this cutoff would learn something false."""
        return self.touches_window(cutoff, window_days) or self.touches_label(cutoff, horizon_days)

    def touches_window(self, cutoff: date, window_days: int) -> bool:
        """Return whether the features of this cutoff are made of these days."""
        if not self.affects_features or self._rebuilt(cutoff):
            return False
        if self.by_cutoff:
            return self._is_of(cutoff)
        if self.by_delivery:
            return self._computed_on(cutoff)
        return self.first_day < cutoff <= self.last_day + self._tail(window_days)

    def touches_label(self, cutoff: date, horizon_days: int) -> bool:
        """Return whether the outcome of this cutoff is made of these days."""
        if not self.affects_labels or self._rebuilt(cutoff):
            return False
        if self.by_cutoff:
            return self._is_of(cutoff)
        if self.by_delivery:
            return self._computed_on(cutoff + timedelta(days=horizon_days))
        return self.first_day - timedelta(days=horizon_days) < cutoff <= self.last_day

    def affected_range(self, window_days: int, horizon_days: int) -> tuple[date, date] | None:
        """Return the first and last day on which a cutoff would be affected; None: there is no such day."""
        first, last = self._range(window_days, horizon_days)
        if self.rebuilt_from is not None:
            last = min(last, self.rebuilt_from - timedelta(days=1))
        return (first, last) if first <= last and (self.affects_features or self.affects_labels) else None

    def reaching(self, features: Collection[str] | None) -> "BadPeriod":
        """Return the period as a model of these features (None: any) learns from it."""
        if features is None or self.features is None or set(features) & set(self.features):
            return self
        return replace(self, affects_features=False)

    def _range(self, window_days: int, horizon_days: int) -> tuple[date, date]:
        if self.by_cutoff:
            return self.first_day, self.last_day
        if self.by_delivery:
            ahead = timedelta(days=horizon_days if self.affects_labels else 0)
            back = timedelta(days=0 if self.affects_features else horizon_days)
            return self.first_day + timedelta(days=1) - ahead, self.last_day + timedelta(days=1) - back
        ahead = timedelta(days=horizon_days - 1 if self.affects_labels else 0)
        tail = self._tail(window_days) if self.affects_features else timedelta(0)
        return self.first_day - ahead, self.last_day + tail

    def _tail(self, window_days: int) -> timedelta:
        return timedelta(days=window_days if self.lasting else LATE_DAYS)

    def _is_of(self, cutoff: date) -> bool:
        # A week may be named by its cutoff or by the days before it.
        return self.first_day <= cutoff <= self.last_day + timedelta(days=1)

    def _computed_on(self, morning: date) -> bool:
        # A delivery is seen on the morning after the week that it is measured for.
        return self.first_day < morning <= self.last_day + timedelta(days=1)

    def _rebuilt(self, cutoff: date) -> bool:
        return self.rebuilt_from is not None and cutoff >= self.rebuilt_from


def bad_period(anomaly: Anomaly, event_id: str = "") -> BadPeriod:
    """Return what an anomaly affects."""
    by_cutoff, reach = of_cutoffs(anomaly.asset), anomaly.reach
    if by_cutoff:
        reach = replace(reach, labels=False)
    labels = anomaly.kind == "labels"
    return BadPeriod(
        event_id,
        anomaly.asset,
        anomaly.kind,
        anomaly.first_day,
        anomaly.last_day,
        affects_features=not labels and reach.features != (),
        affects_labels=labels or reach.labels,
        lasting=anomaly.kind != "stale",
        by_cutoff=by_cutoff,
        by_delivery=not by_cutoff and not reach.dated,
        features=reach.features,
        rebuilt_from=anomaly.rebuilt_from,
    )
