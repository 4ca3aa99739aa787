"""Lists against what was bought: recall, nDCG, repeat and new apart, and how much of the assortment lists name.

- recall@10: of the types that the customer bought within the horizon, the share that the list names.
- nDCG@10 (Järvelin and Kekäläinen, 2002): hits count 1/log2(place + 1), over the most that ten places could have got
  with as many types bought. So ten hits are 1, also for a customer who bought forty types.
- Customers who bought nothing are in no mean: there was nothing to name. How many they are is counted.

Intervals are percentile bootstraps over customers: a customer's lists at two cutoffs are nearly the same observation.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ml_models.metrics import Interval, grouped_mean
from ml_models.problems.next_product.pairs import LISTED

KEYS = ["customer_id", "cutoff_date"]
MEASURES = ("recall", "ndcg", "repeat_recall", "new_recall")

_GAINS = 1 / np.log2(np.arange(LISTED) + 2)
_IDEAL = np.cumsum(_GAINS)

ACTIVITY = ((1, "1"), (2, "2 to 5"), (6, "6 to 11"), (12, "12 or more"))
"""Lower ends and names of the bands of shopping days in the look-back."""


def judged(lists: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return one row a customer and cutoff of the lists: types bought, hits, and the measures.

    `lists`: customer_id, cutoff_date, product_type, place. `outcomes`: customer_id, cutoff_date, product_type,
    is_repeat, of the same cutoffs. A measure is nan where nothing of its kind was bought.
    """
    hit = lists[[*KEYS, "product_type", "place"]].merge(
        outcomes[[*KEYS, "product_type", "is_repeat"]], on=[*KEYS, "product_type"]
    )
    hit["gain"] = _GAINS[hit["place"].to_numpy(dtype="int64") - 1]
    found = hit.groupby(KEYS).agg(hits=("place", "size"), repeat_hits=("is_repeat", "sum"), gain=("gain", "sum"))
    there = outcomes.groupby(KEYS).agg(bought=("is_repeat", "size"), repeats=("is_repeat", "sum"))
    rows = lists[KEYS].drop_duplicates().set_index(KEYS).join(there).join(found).fillna(0.0).reset_index()
    rows["new"], rows["new_hits"] = rows["bought"] - rows["repeats"], rows["hits"] - rows["repeat_hits"]
    most = rows["bought"].clip(1, LISTED).to_numpy(dtype="int64")
    some = rows["bought"] > 0
    rows["recall"] = (rows["hits"] / rows["bought"]).where(some)
    rows["ndcg"] = (rows["gain"] / _IDEAL[most - 1]).where(some)
    rows["repeat_recall"] = (rows["repeat_hits"] / rows["repeats"]).where(rows["repeats"] > 0)
    rows["new_recall"] = (rows["new_hits"] / rows["new"]).where(rows["new"] > 0)
    return rows


class Breadth(NamedTuple):
    """What lists name together: different types, share of places that popular types do not take, concentration.

    `coverage`: types named, as a share of those that are candidates. `long_tail`: share of places with a type that is
    not of the most popular tenth of them. `concentration`: Gini coefficient of how often types
    are named, 0 (all equally) to 1.
    """

    coverage: float
    long_tail: float
    concentration: float


def breadth(lists: pd.DataFrame, pairs: pd.DataFrame) -> Breadth:
    """Return what lists made of these pairs name together."""
    popularity = pairs.groupby("product_type")["popularity"].max().sort_values(ascending=False)
    head = set(popularity.index[: max(1, len(popularity) // 10)])
    named = lists["product_type"].value_counts().reindex(popularity.index, fill_value=0).sort_values().to_numpy()
    n, total = len(named), named.sum()
    gini = float((2 * np.arange(1, n + 1) - n - 1) @ named / (n * total)) if total else 0.0
    return Breadth(float((named > 0).mean()), float((~lists["product_type"].isin(head)).mean()), gini)


def summary(rows: pd.DataFrame, seed: int = 0) -> dict[str, Any]:
    """Return each measure's mean with its 95 % interval (`_low`, `_high`), the lists judged, and who bought nothing."""
    found: dict[str, Any] = {"lists": len(rows), "bought_nothing": int((rows["bought"] == 0).sum())}
    for measure in MEASURES:
        there = rows[rows[measure].notna()]
        interval = (
            grouped_mean(there[measure], there["customer_id"], seed=seed)
            if len(there)
            else Interval(np.nan, np.nan, np.nan)
        )
        found |= {measure: interval.value, f"{measure}_low": interval.low, f"{measure}_high": interval.high}
    return found


def paired(rows: pd.DataFrame, reference: pd.DataFrame, measure: str = "ndcg", seed: int = 0) -> Interval:
    """Return the mean difference of a measure, rows minus reference, on the same customers and cutoffs.

    The interval is a percentile bootstrap over customers; all nan where neither has the measure.

    Raises:
        ValueError: they are not of the same customers and cutoffs.
    """
    both = rows[[*KEYS, measure]].merge(reference[[*KEYS, measure]], on=KEYS, suffixes=("", "_reference"))
    if len(both) != len(rows) or len(both) != len(reference):
        raise ValueError(
            f"Expected lists of the same customers and cutoffs to compare, got {len(rows):,} and {len(reference):,}, "
            f"of which {len(both):,} are the same. Make both of the same pairs."
        )
    both = both.dropna()
    if both.empty:
        return Interval(np.nan, np.nan, np.nan)
    return grouped_mean(both[measure] - both[f"{measure}_reference"], both["customer_id"], seed=seed)


def activity(customer_days: pd.Series) -> pd.Series:
    """Return the band of each number of shopping days."""
    edges = [low for low, _ in ACTIVITY]
    places = np.searchsorted(edges, customer_days.clip(lower=1), side="right") - 1
    return pd.Series([ACTIVITY[place][1] for place in places], index=customer_days.index)


def sliced(rows: pd.DataFrame, slices: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return `summary` of all rows, and by each column of `slices`, which is indexed like `rows`."""
    found = [{"slice_name": "all", "slice_value": "all", **summary(rows, seed)}]
    for name in slices.columns:
        for value, part in rows.groupby(slices[name], sort=True):
            found.append({"slice_name": str(name), "slice_value": str(value), **summary(part, seed)})
    return pd.DataFrame(found)
