"""The same lists under other definitions of recall and nDCG, by which published figures differ twofold.

- `recall` and `ndcg` are ours (`measures`): each type bought counts once, and ten hits in ten places are an nDCG of 1.
- `ndcg_of_all`: each type counts once, against a list as long as all that was bought. A list of ten cannot reach 1 for
  a customer of forty types.
- `recall_of_purchases` and `ndcg_of_purchases`: a type counts as often as there were days on which it was bought
  (graded relevance; Järvelin and Kekäläinen, 2002), the nDCG again against all that was bought.

The best that could be had is told beside them: of the lists of ten as such, and of these candidates.
"""

import numpy as np
import pandas as pd

from ml_models.metrics import grouped_mean
from ml_models.problems.next_product.measures import KEYS, judged
from ml_models.problems.next_product.pairs import LISTED

DEFINITIONS = ("recall", "ndcg", "ndcg_of_all", "recall_of_purchases", "ndcg_of_purchases")
"""What is measured of a list, ours first."""


def otherwise(lists: pd.DataFrame, purchases: pd.DataFrame) -> pd.DataFrame:
    """Return one row a customer and cutoff of the lists with a measure a column (`DEFINITIONS`); nan: bought nothing.

    `lists`: customer_id, cutoff_date, product_type, place. `purchases`: a row a customer, cutoff and type bought within
    the horizon, with is_repeat and `days`, on how many days of it.
    """
    rows = judged(lists, purchases).set_index(KEYS)
    ideal = purchases.sort_values([*KEYS, "days"], ascending=[True, True, False])
    place = ideal.groupby(KEYS).cumcount().to_numpy() + 1
    ideal = ideal.assign(gain=1 / np.log2(place + 1), graded=ideal["days"] / np.log2(place + 1))
    hits = lists[[*KEYS, "product_type", "place"]].merge(purchases, on=[*KEYS, "product_type"])
    hits["gain"] = 1 / np.log2(hits["place"] + 1)
    hits["graded"] = hits["days"] * hits["gain"]
    most = ideal.groupby(KEYS)[["gain", "graded", "days"]].sum().reindex(rows.index)
    had = hits.groupby(KEYS)[["gain", "graded", "days"]].sum().reindex(rows.index).fillna(0.0)
    return rows.assign(
        ndcg_of_all=had["gain"] / most["gain"],
        recall_of_purchases=had["days"] / most["days"],
        ndcg_of_purchases=had["graded"] / most["graded"],
    ).reset_index()


def means(rows: pd.DataFrame, seed: int = 0) -> dict[str, float]:
    """Return each definition's mean over lists with its 95 % interval (`_low`, `_high`), a bootstrap over customers."""
    some = rows[rows["bought"] > 0]
    found: dict[str, float] = {}
    for name in DEFINITIONS:
        mean = grouped_mean(some[name], some["customer_id"], seed=seed)
        found |= {name: mean.value, f"{name}_low": mean.low, f"{name}_high": mean.high}
    return found


def best_lists(pairs: pd.DataFrame, purchases: pd.DataFrame) -> pd.DataFrame:
    """Return the lists that nobody can make: of each customer's candidates those that were bought, most often first."""
    bought = pairs[[*KEYS, "product_type"]].merge(purchases, on=[*KEYS, "product_type"], how="left")
    bought = bought.sort_values([*KEYS, "days", "product_type"], ascending=[True, True, False, True])
    bought["place"] = bought.groupby(KEYS).cumcount() + 1
    return bought.loc[bought["place"] <= LISTED, [*KEYS, "product_type", "place"]]


def named_by_candidates(pairs: pd.DataFrame, purchases: pd.DataFrame) -> dict[str, float]:
    """Return which share of what was bought is a candidate at all: of `types`, of `repeats`, of `new` ones; 0 to 1.

    Shares of everything that the customers of `pairs` bought: no list can name more.
    """
    mine = purchases.merge(pairs[KEYS].drop_duplicates(), on=KEYS)
    there = mine.merge(pairs[[*KEYS, "product_type"]].assign(named=1.0), on=[*KEYS, "product_type"], how="left")
    named, repeat = there["named"].fillna(0.0), there["is_repeat"] > 0
    return {
        "types": float(named.mean()),
        "repeats": float(named[repeat].mean()),
        "new": float(named[~repeat].mean()),
    }
