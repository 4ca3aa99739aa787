"""What people expect of any list, whatever its model learned; the kinds are RecList's (Chia and others, 2022).

Each is a change of what is known of customers, or a look at the lists, and a bound that a sound model keeps.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.problems.next_product.baselines import popular, top_frequency
from ml_models.problems.next_product.measures import breadth
from ml_models.problems.next_product.pairs import LISTED
from ml_models.problems.next_product.rankings import FEWEST_DAYS, lists_of, overlap

Score = Callable[[pd.DataFrame], npt.NDArray[np.float64]]

TWIN_DIFFERS = 0.05
"""By how much, as a share, a twin's popularity differs from that of the type it takes the place of."""

TWINS_STAY = 0.8
"""Least share of a list that is the same, type for twin."""

TAIL_KEPT = 0.5
"""Least share of places outside the popular tenth, against the lists of GP-TopFreq."""


class Verdict(NamedTuple):
    """One expectation: its name, the observed number, the bound, whether it is kept, and the sentence to show."""

    name: str
    observed: float
    bound: float
    passed: bool
    sentence: str


def expectations(pairs: pd.DataFrame, score: Score, lists: pd.DataFrame | None = None) -> list[Verdict]:
    """Return the verdict on each expectation, on these pairs; `score` is the model.

    `lists`: those that it makes of these pairs, where they are known.
    """
    if lists is None:
        lists = lists_of(pairs, score(pairs))
    return [
        _twins(pairs, lists, score),
        _older_habit(pairs, lists, score),
        _can_be_bought(lists),
        _not_the_head_alone(pairs, lists),
        _strangers(pairs, lists),
    ]


def twins(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs with each type's popularity a little higher or lower, by turns in the order of the names."""
    codes, _ = pd.factorize(pairs["product_type"], sort=True)
    factor = np.where(codes % 2 == 0, 1 + TWIN_DIFFERS, 1 - TWIN_DIFFERS)
    return pairs.assign(
        popularity=(pairs["popularity"] * factor).clip(upper=1),
        popularity_lately=(pairs["popularity_lately"] * factor).clip(upper=1),
    )


def without_newest_day(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of customers with two shopping days or more as if their newest one had not been.

    A type bought on that day has one day less; where it was the only one, it is new to the customer. The mean gap says
    when it was bought before. Customers' breadth is left as it was.
    """
    known = pairs[pairs["customer_days"] >= FEWEST_DAYS]
    newest = (known["days_since"] == known["customer_recency_days"]).to_numpy()
    left = known["days_bought"].to_numpy() - newest
    # Days bought fade from a thousand on; the newest one is worth most.
    part = np.where(newest & (left > 0), left / np.maximum(known["days_bought"].to_numpy(), 1), 1.0)
    earlier = (known["days_since"] + known["gap_days"]).to_numpy(dtype="float64")
    return known.assign(
        days_bought=left,
        days_bought_lately=np.maximum(known["days_bought_lately"].to_numpy() - newest, 0),
        faded_days=np.where(left == 0, 0, np.round(known["faded_days"].to_numpy() * part)).astype("int64"),
        days_since=np.where(newest, np.where(left > 0, earlier, np.nan), known["days_since"]),
        gap_days=np.where(left > 1, known["gap_days"], np.nan),
        customer_days=known["customer_days"] - 1,
        share_of_days=left / np.maximum(known["customer_days"].to_numpy() - 1, 1),
    )


def _twins(pairs: pd.DataFrame, lists: pd.DataFrame, score: Score) -> Verdict:
    other = twins(pairs)
    same = overlap(lists, lists_of(other, score(other)))
    return Verdict(
        "twins_change_little",
        same,
        TWINS_STAY,
        same >= TWINS_STAY,
        f"With a twin of {TWIN_DIFFERS:.0%} more or less buyers in the place of each type, {same:.1%} of a list stay; "
        f"at least {TWINS_STAY:.0%} have to.",
    )


def _older_habit(pairs: pd.DataFrame, lists: pd.DataFrame, score: Score) -> Verdict:
    older = without_newest_day(pairs)
    older = older[older["customer_days"] >= FEWEST_DAYS]
    if older.empty:
        return Verdict("older_habit_counts", np.nan, 0, True, "No customer came on three days: nothing to leave out.")
    keys = ["customer_id", "cutoff_date"]
    before = lists.merge(older[keys].drop_duplicates(), on=keys)
    habit = lists_of(older, top_frequency(older))
    gained = overlap(lists_of(older, score(older)), habit) - overlap(before, habit)
    return Verdict(
        "older_habit_counts",
        gained,
        0.0,
        gained >= 0,
        f"Without the newest shopping day, {gained:+.1%} more of a list are the customer's older habits; it must not "
        "be fewer.",
    )


def _can_be_bought(lists: pd.DataFrame) -> Verdict:
    twice = lists.duplicated(["customer_id", "cutoff_date", "product_type"])
    wrong = int((~(lists["popularity"] > 0) | twice | (lists["place"] > LISTED)).sum())
    return Verdict(
        "all_can_be_bought",
        wrong,
        0,
        wrong == 0,
        f"{wrong:,} of {len(lists):,} places hold a type that nobody bought in the look-back, or that is there twice.",
    )


def _not_the_head_alone(pairs: pd.DataFrame, lists: pd.DataFrame) -> Verdict:
    named = breadth(lists, pairs)
    habits = breadth(lists_of(pairs, top_frequency(pairs)), pairs)
    least = TAIL_KEPT * habits.long_tail
    return Verdict(
        "not_the_popular_alone",
        named.long_tail,
        least,
        named.long_tail >= least,
        f"{named.long_tail:.1%} of places name a type outside of the most popular tenth, {habits.long_tail:.1%} with "
        f"personal frequency; at least {TAIL_KEPT:.0%} of that have to. Lists name {named.coverage:.1%} of all types.",
    )


def _strangers(pairs: pd.DataFrame, lists: pd.DataFrame) -> Verdict:
    strangers = pairs[pairs["customer_days"] < FEWEST_DAYS]
    theirs = lists[lists["customer_days"] < FEWEST_DAYS]
    same = overlap(theirs, lists_of(strangers, popular(strangers))) if len(theirs) else 1.0
    return Verdict(
        "strangers_get_the_popular",
        same,
        1.0,
        same >= 1,
        f"Of customers with one shopping day, {same:.1%} of a list are what most customers buy; all have to be.",
    )
