"""How customers come again: their visit days, the time between them, and who lapses within which horizon.

A visit day is a day on which a customer has an order with at least one line that is no return.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

HORIZONS = (7, 14, 28, 56, 84, 126, 182, 252, 364)
"""Horizons [days] of the curve: from a week to a year."""

NEVER = np.int64(10**7)
"""Stands for the day of a next visit that there is not."""

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Visits:
    """Visit days, ordered by day: `day` and the same customer's `next`, as days since 1970 (NEVER: none yet).

    `first` is the first day with a visit, `through` the last day that is whole. `weight` is how many customers each
    one stands for, where only a share of them was read.
    """

    day: npt.NDArray[np.int64]
    next: npt.NDArray[np.int64]
    first: date
    through: date
    weight: float = 1.0

    @property
    def span_days(self) -> int:
        """Days from the first visit to the last whole day, both included."""
        return (self.through - self.first).days + 1


def visits_of(days: pd.DataFrame, through: date, weight: float = 1.0) -> Visits:
    """Return the visits of a frame with the columns customer_id and ordered_on; rows after `through` are left out.

    Raises:
        ValueError: there is no row through that day.

    >>> frame = pd.DataFrame({"customer_id": ["a", "a", "b"], "ordered_on": ["2023-10-09", "2023-10-16", "2023-10-10"]})
    >>> visits = visits_of(frame, date(2023, 10, 17))
    >>> (visits.next - visits.day).clip(max=99).tolist(), visits.span_days
    ([7, 99, 99], 9)
    """
    day = pd.to_datetime(days["ordered_on"]).to_numpy().astype("datetime64[D]").astype("int64")
    customer = pd.factorize(days["customer_id"])[0]
    kept = (day <= _number(through)) & (customer >= 0)
    day, customer = day[kept], customer[kept]
    if not len(day):
        raise ValueError(f"Expected orders through {through}, and there are none.")
    order = np.lexsort((day, customer))
    day, customer = day[order], customer[order]
    following = np.full(len(day), NEVER, dtype="int64")
    same = customer[1:] == customer[:-1]
    following[:-1][same] = day[1:][same]
    by_day = np.argsort(day, kind="stable")
    return Visits(day[by_day], following[by_day], _day(day.min()), through, weight)


def median_gap(visits: Visits) -> float | None:
    """Return the median of the days between two visit days of a customer; None where nobody came twice."""
    gaps = visits.next - visits.day
    gaps = gaps[visits.next != NEVER]
    return float(np.median(gaps)) if len(gaps) else None


def gap_shares(visits: Visits, most: int = 364) -> pd.DataFrame:
    """Return, for 1 to `most` days, the share of visits that were followed by another within so many days.

    Columns: days, share. Kaplan-Meier: a visit whose next is not known yet counts as long as it was seen (Kaplan and
    Meier 1958, Nonparametric estimation from incomplete observations).

    >>> frame = pd.DataFrame({"customer_id": ["a", "a", "b"], "ordered_on": ["2023-10-09", "2023-10-16", "2023-10-10"]})
    >>> gap_shares(visits_of(frame, date(2023, 10, 17)), most=8)["share"].round(2).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5]
    """
    most = max(1, min(most, visits.span_days - 1))
    through = _number(visits.through)
    came = visits.next <= through
    seen = np.minimum(np.where(came, visits.next, through) - visits.day, most + 1)
    events = np.bincount(seen[came], minlength=most + 2)[1 : most + 1]
    ended = np.bincount(seen, minlength=most + 2)
    at_risk = ended[::-1].cumsum()[::-1][1 : most + 1]
    stayed_away = np.cumprod(1 - events / np.maximum(at_risk, 1))
    return pd.DataFrame({"days": np.arange(1, most + 1), "share": 1 - stayed_away})


def counts_at(visits: Visits, cutoffs: Iterable[date], active_within: int, horizons: Sequence[int]) -> pd.DataFrame:
    """Return a row for each cutoff and horizon that has matured: cutoff, horizon_days, rows, lapsed.

    `rows` are the customers with a visit in [cutoff - active_within, cutoff), `lapsed` those of them without one in
    [cutoff, cutoff + horizon); both stand for all customers where a share was read.

    >>> frame = pd.DataFrame({"customer_id": ["a", "a", "b"], "ordered_on": ["2023-10-09", "2023-10-16", "2023-10-10"]})
    >>> counts_at(visits_of(frame, date(2023, 10, 19)), [date(2023, 10, 16)], 28, (4, 28)).values.tolist()
    [[datetime.date(2023, 10, 16), 4, 2.0, 1.0]]
    """
    found = []
    known_through = _number(visits.through) + 1
    for cutoff in cutoffs:
        at = _number(cutoff)
        low, high = np.searchsorted(visits.day, [at - active_within, at])
        after = visits.next[low:high]
        # The visit before the cutoff that nothing lies between.
        waits = after[after >= at] - at
        found += [
            (cutoff, horizon, len(waits) * visits.weight, int((waits >= horizon).sum()) * visits.weight)
            for horizon in horizons
            if at + horizon <= known_through
        ]
    return pd.DataFrame(found, columns=["cutoff", "horizon_days", "rows", "lapsed"])


def cutoffs_of(visits: Visits, look_back_days: int, first: date | None = None) -> list[date]:
    """Return the weekly cutoffs through the day after the last whole one.

    The first is `first`, else the first Monday that has `look_back_days` of orders before it.
    """
    if first is None:
        first = visits.first + timedelta(days=look_back_days)
        first += timedelta(days=-first.weekday() % 7)
    last = visits.through + timedelta(days=1)
    return [first + timedelta(days=days) for days in range(0, (last - first).days + 1, 7)]


def lapse_by_horizon(visits: Visits, active_within: int) -> pd.DataFrame:
    """Return the curve: horizon_days, cutoffs, rows, rate; only horizons that some cutoff has matured for.

    Cutoffs are all Mondays that have the days of `active_within` before them: the rate needs no features.
    """
    counts = counts_at(visits, cutoffs_of(visits, active_within), active_within, HORIZONS)
    curve = counts.groupby("horizon_days").agg(
        cutoffs=("cutoff", "size"), rows=("rows", "sum"), lapsed=("lapsed", "sum")
    )
    curve = curve[curve["rows"] > 0]
    return curve.assign(rate=curve["lapsed"] / curve["rows"]).drop(columns="lapsed").reset_index()


def _number(day: date) -> int:
    return (day - _EPOCH).days


def _day(number: int) -> date:
    return _EPOCH + timedelta(days=int(number))
