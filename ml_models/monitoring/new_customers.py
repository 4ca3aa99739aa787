"""Growth is no drift: what moves only because new customers came says nothing about the existing ones.

Data quality, drift and performance ask this of their own measures, so it belongs to none of them.
"""

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.monitoring.thresholds import EXISTING_AFTER_CUTOFFS, MAJORITY, SURGE


class ExistingCustomers(NamedTuple):
    """Rows of customers who are not new, and the share of new ones, 0 to 1, now and in a usual window."""

    rows: pd.DataFrame
    new_now: float
    new_usually: float


def existing_customers(frame: pd.DataFrame, entity: str, cutoff: date, windows: int) -> ExistingCustomers | None:
    """Return the rows of customers who were there EXISTING_AFTER_CUTOFFS cutoffs before each row's own.

    Every window up to `cutoff` is cut down in the same way, so that those who stayed are compared with those who
    stayed. None when fewer than `windows` windows would remain, or nobody at `cutoff`. `entity`: the column of `frame`
    that names the customer.
    """
    dates = cutoff_dates(frame["cutoff_date"])
    days = sorted(dates[dates <= pd.Timestamp(cutoff)].unique())
    if len(days) < EXISTING_AFTER_CUTOFFS + windows or days[-1] != pd.Timestamp(cutoff):
        return None
    first = dates.groupby(frame[entity]).transform("min")
    before = {day: days[max(0, number - EXISTING_AFTER_CUTOFFS)] for number, day in enumerate(days)}
    stayed = first <= dates.map(before)
    new = 1 - stayed.groupby(dates).mean()
    if new[days[-1]] == 1:
        return None
    judged = (stayed & (dates >= days[EXISTING_AFTER_CUTOFFS])).to_numpy()
    return ExistingCustomers(
        frame[judged], float(new[days[-1]]), float(new.loc[days[EXISTING_AFTER_CUTOFFS:-1]].median())
    )


def new_customers_alone(
    frame: pd.DataFrame, entity: str, cutoff: date, windows: int, fails: Callable[[pd.DataFrame], bool]
) -> str:
    """Return the message that an alarm comes from a surge of new customers alone; "" where it does not or nobody knows.

    `fails(rows)`: does the alarm stand among these rows? It is asked about the existing customers. A model cannot know
    new customers until their outcomes are in, and one that is right about everybody else is not to be replaced.
    """
    found = existing_customers(frame, entity, cutoff, windows)
    if found is None or not found.new_usually + SURGE <= found.new_now <= MAJORITY or fails(found.rows):
        return ""
    return _only_new_customers(found.new_now, found.new_usually)


def _only_new_customers(new_now: float, new_usually: float) -> str:
    """Return that an alarm stands among new customers alone; without a full stop, as it ends other sentences."""
    return (
        f"Only among new customers, {new_now:.0%} of the rows (usually {new_usually:.0%}): they were not there "
        f"{EXISTING_AFTER_CUTOFFS} windows ago. Those who were are within range"
    )
