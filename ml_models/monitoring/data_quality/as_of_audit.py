"""Do served rows know the future, or was what they were made of corrected since? Like is compared with like.

A past cutoff's features are built again from today's rows, twice: from the days before it only, and from all days that
were delivered since. Where the two differ, the SQL reads beyond its cutoff: a fault. Where only the served row differs
from both, somebody corrected an input after it was served: a restatement, which is told and alarms nobody.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.thresholds import SAME
from ml_models.monitoring.types import Anomaly, InputChange

ASSET = "features/customer_features"


@dataclass(frozen=True)
class Audit:
    """Feature rows of past cutoffs, built again from the rows that are there today: entity, cutoff_date, features.

    `before_only`: from the days before each cutoff. `all_days`: the same from all days, built when it is asked for,
    which is only where what was served differs; None where it cannot be built.
    """

    before_only: pd.DataFrame
    all_days: Callable[[], pd.DataFrame | None]


@dataclass(frozen=True)
class Restatement:
    """Served rows that today's inputs would give otherwise, without knowing any future.

    `first` and `last`: the cutoffs concerned. `customers`: rows that differ, of `rows`. `features`: those that differ,
    the most frequent first; () where only whole rows came or went. `inputs`: what changed since, as far as it is known.
    """

    first: date
    last: date
    customers: int
    rows: int
    features: tuple[str, ...]
    inputs: tuple[InputChange, ...] = ()

    @property
    def sentence(self) -> str:
        """It in words."""
        told = messages.restated(self.customers, self.rows, self.features, self.first, self.last)
        return " ".join([told, *(map(messages.input_changed, self.inputs) if self.inputs else [messages.NO_INPUT])])


@dataclass(frozen=True)
class _Difference:
    """How two builds of the same cutoffs differ. `moved`: share of the paired rows and name, the largest first."""

    first: date
    last: date
    rows: int
    alone: int
    paired: int
    changed: int
    moved: tuple[tuple[float, str], ...]


def audited(
    served: pd.DataFrame,
    audit: Audit | None,
    features: Sequence[str],
    entity: str,
    changes_since: Callable[[date], tuple[InputChange, ...]] | None = None,
) -> tuple[tuple[Anomaly, ...], Restatement | None]:
    """Return what knows the future, and what was restated (None: nothing).

    `served` holds entity, cutoff_date and features of all cutoffs; only the audit's cutoffs are compared, and without
    an audit nothing. `changes_since` tells what of the inputs is another than when a cutoff was served; it is asked
    only where something was restated.
    """
    if audit is None:
        return (), None
    since = _difference(served, audit.before_only, features, entity)
    if since is None or not (since.alone or since.moved):
        return (), None
    whole = audit.all_days()
    leaks = () if whole is None else judge_as_of(whole, audit.before_only, features, entity)
    if leaks or whole is None:
        return leaks, None
    names, changed = tuple(name for _, name in since.moved), since.alone + since.changed
    inputs = changes_since(since.first) if changes_since else ()
    return (), Restatement(since.first, since.last, changed, since.rows, names, inputs)


def judge_as_of(
    whole: pd.DataFrame,
    before_only: pd.DataFrame,
    features: Sequence[str],
    entity: str = "customer_id",
    asset: str = ASSET,
    tolerance: Mapping[str, float] | None = None,
) -> tuple[Anomaly, ...]:
    """Compare two builds from the same rows: what later days change knows the future.

    `whole` read all days, `before_only` those before each cutoff. Both hold entity, cutoff_date and features; only
    cutoffs of both are compared. Rows that one side lacks count as different.
    """
    found = _difference(whole, before_only, features, entity, tolerance)
    if found is None:
        return ()
    anomalies: list[Anomaly] = []

    def add(column: str, share: float, n: int, sentence: str) -> None:
        days = (found.first, found.last)
        anomalies.append(Anomaly("future", asset, column, share, 0.0, 0.0, n, sentence, *days, rate=share))

    if found.alone:
        add(
            entity,
            found.alone / found.rows,
            found.rows,
            messages.rows_alone(asset, found.alone, found.first, found.last),
        )
    if found.moved:
        names = [name for _, name in found.moved]
        share = found.moved[0][0]
        add(names[0], share, found.paired, messages.future(asset, names, found.first, found.last, share))
    return tuple(anomalies)


def _difference(
    left: pd.DataFrame,
    right: pd.DataFrame,
    features: Sequence[str],
    entity: str,
    tolerance: Mapping[str, float] | None = None,
) -> _Difference | None:
    """Return how two builds differ at the cutoffs that both have; None where there is none."""
    days = [cutoff_dates(side["cutoff_date"]) for side in (left, right)]
    common = set(days[0].unique()) & set(days[1].unique())
    if not common:
        return None
    one, other = (
        side[day.isin(common)].assign(cutoff_date=day[day.isin(common)])
        for side, day in zip((left, right), days, strict=True)
    )
    both = one.merge(other, on=[entity, "cutoff_date"], how="outer", suffixes=("", "_again"), indicator="_side")
    paired = both[both["_side"] == "both"]
    changed = np.zeros(len(paired), dtype=bool)
    moved: list[tuple[float, str]] = []
    for name in features:
        if name not in left.columns or name not in right.columns:
            continue
        a = paired[name].to_numpy(dtype="float64", na_value=np.nan)
        b = paired[f"{name}_again"].to_numpy(dtype="float64", na_value=np.nan)
        allowed = (tolerance or {}).get(name, SAME)
        different = ~((np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= allowed * np.maximum(1, np.abs(b))))
        if different.any():
            changed |= different
            moved.append((float(different.mean()), name))
    return _Difference(
        first=min(common).date(),
        last=max(common).date(),
        rows=len(both),
        alone=len(both) - len(paired),
        paired=len(paired),
        changed=int(changed.sum()),
        moved=tuple(sorted(moved, reverse=True)),
    )
