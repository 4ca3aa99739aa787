"""Growth is no drift: what moves only because new customers came says nothing about the existing ones.

Data quality, drift and performance ask this of their own measures, so it belongs to none of them.
"""

import math
from collections.abc import Callable
from datetime import date
from typing import NamedTuple

import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.monitoring.thresholds import FILLED, MAJORITY, SURGE
from ml_models.problems.question import Question


class ExistingCustomers(NamedTuple):
    """Rows of customers who are not new, and the share of new ones, 0 to 1, now and in a usual window.

    `filled_after`: how many cutoffs before a row its customer was there.
    """

    rows: pd.DataFrame
    new_now: float
    new_usually: float
    filled_after: int


def filled_after(question: Question) -> int:
    """Return after how many cutoffs a customer is new no more: most of a feature window has filled.

    >>> filled_after(Question()), filled_after(Question(look_back_days=336))
    (10, 39)
    """
    return math.ceil(FILLED * question.look_back_days / question.cadence_days)


def existing_customers(
    frame: pd.DataFrame, entity: str, cutoff: date, windows: int, question: Question
) -> ExistingCustomers | None:
    """Return the rows of customers who were there `filled_after` cutoffs before each row's own.

    Every window up to `cutoff` is cut down in the same way, so that those who stayed are compared with those who
    stayed. None when fewer than `windows` windows would remain, or nobody at `cutoff`. `entity`: the column of `frame`
    that names the customer.
    """
    dates = cutoff_dates(frame["cutoff_date"])
    days = sorted(dates[dates <= pd.Timestamp(cutoff)].unique())
    after = filled_after(question)
    if len(days) < after + windows or days[-1] != pd.Timestamp(cutoff):
        return None
    first = dates.groupby(frame[entity]).transform("min")
    before = {day: days[max(0, number - after)] for number, day in enumerate(days)}
    stayed = first <= dates.map(before)
    new = 1 - stayed.groupby(dates).mean()
    if new[days[-1]] == 1:
        return None
    judged = (stayed & (dates >= days[after])).to_numpy()
    return ExistingCustomers(frame[judged], float(new[days[-1]]), float(new.loc[days[after:-1]].median()), after)


def new_customers_alone(
    frame: pd.DataFrame,
    entity: str,
    cutoff: date,
    windows: int,
    question: Question,
    fails: Callable[[pd.DataFrame], bool],
) -> str:
    """Return the message that an alarm comes from a surge of new customers alone; "" where it does not or nobody knows.

    `fails(rows)`: does the alarm stand among these rows? It is asked about the existing customers. A model cannot know
    new customers until their outcomes are in, and one that is right about everybody else is not to be replaced.
    """
    found = existing_customers(frame, entity, cutoff, windows, question)
    if found is None or not found.new_usually + SURGE <= found.new_now <= MAJORITY or fails(found.rows):
        return ""
    return _only_new_customers(found)


def _only_new_customers(found: ExistingCustomers) -> str:
    """Return that an alarm stands among new customers alone; without a full stop, as it ends other sentences."""
    return (
        f"Only among new customers, {found.new_now:.0%} of the rows (usually {found.new_usually:.0%}): they were not "
        f"there {found.filled_after} windows ago. Those who were are within range"
    )
