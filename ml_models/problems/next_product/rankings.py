"""From a score a pair to a list a customer: ten types, best first.

A customer of whom one shopping day is known has no habit that could be told from chance. Such a customer gets the types
that most customers buy, whatever the score; the list says so (`basis`).
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.problems.next_product.pairs import LISTED

HABITS = "habits"
POPULAR = "popular"
"""What a list is made of: the customer's habits (and what the model adds), or what most customers buy."""

FEWEST_DAYS = 2
"""Shopping days in the look-back from which on a customer's own habits order the list."""


def lists_of(pairs: pd.DataFrame, scores: npt.ArrayLike, listed: int = LISTED) -> pd.DataFrame:
    """Return the first `listed` pairs of each customer and cutoff, with their place from 1, score and basis.

    `pairs` has the columns of `next_product.candidates`; `scores`, (n,), one a pair. Equal scores are ordered by
    popularity, then by the type's name: the same pairs give the same list. Rows come by cutoff, customer, place.
    """
    popularity = (pairs["popularity_lately"].fillna(0) + 1e-6 * pairs["popularity"]).to_numpy(dtype="float64")
    popular = (pairs["customer_days"] < FEWEST_DAYS).to_numpy()
    given = np.asarray(scores, dtype="float64")
    cutoffs, customers, types = (
        pd.factorize(pairs[name], sort=True)[0] for name in ("cutoff_date", "customer_id", "product_type")
    )
    order = np.lexsort((types, -popularity, -np.where(popular, popularity, given), customers, cutoffs))
    # Of all pairs their order is made, of those that are listed rows: they are a tenth.
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(customers[order]) != 0) | (np.diff(cutoffs[order]) != 0)
    number = np.arange(len(order))
    place = number - np.maximum.accumulate(np.where(first, number, 0)) + 1
    kept, place = order[place <= listed], place[place <= listed]
    made = pairs.iloc[kept].reset_index(drop=True)
    return made.assign(score=given[kept], basis=np.where(popular[kept], POPULAR, HABITS), place=place)


def overlap(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Return the mean share of a list's types that stand in the other list of the same customer and cutoff, 0 to 1."""
    keys = ["customer_id", "cutoff_date"]
    both = one[[*keys, "product_type"]].merge(other[[*keys, "product_type"]], on=[*keys, "product_type"])
    shared = both.groupby(keys).size()
    lengths = one.groupby(keys).size()
    return float((shared.reindex(lengths.index, fill_value=0) / lengths).mean()) if len(lengths) else 1.0
