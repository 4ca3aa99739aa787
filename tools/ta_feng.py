"""The rules that next product has to beat, on Ta-Feng's public data, where others published what the same rules reach.

    python -m tools.ta_feng ta_feng_all_months_merged.csv

The file is one that a person downloads (the data set called Ta-Feng, four months of a Taiwanese supermarket); CSV or
Parquet with the columns TRANSACTION_DT (month/day/year), CUSTOMER_ID and PRODUCT_ID. Nothing of it is kept here.

The protocol is that of Li, Jullien, Ariannezhad and de Rijke (2023, "A Next Basket Recommendation Reality Check",
TOIS): a basket is a day, customers with 3 to 50 baskets count, their last basket is to be named, products are those
bought three times or more before. Theirs judges a part of the customers; here all are judged. Lists, scores and
measures are the functions that judge next product.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ml_models.problems.next_product.baselines import neighbours, popular, top_frequency
from ml_models.problems.next_product.behaviour import Score
from ml_models.problems.next_product.measures import MEASURES, judged, summary
from ml_models.problems.next_product.rankings import lists_of

COLUMNS = ("TRANSACTION_DT", "CUSTOMER_ID", "PRODUCT_ID")
DATES = "%m/%d/%Y"

FEWEST_BASKETS, MOST_BASKETS = 3, 50
"""Baskets of a customer who counts."""

LEAST_BOUGHT = 3
"""Baskets before the last ones that a product has to be in."""

POPULAR_PRODUCTS = 40
"""So many of the products that most customers bought are candidates for everybody."""

HALF_LIFE_DAYS = 28
"""After so many days a basket counts half, as in `next_product.candidates`."""

METHODS: Mapping[str, Score] = {
    "most popular": popular,
    "personal frequency (GP-TopFreq)": top_frequency,
    "neighbours, after TIFU-KNN": neighbours,
}


def read(path: Path) -> pd.DataFrame:
    """Return the purchases of a file: customer_id, day, product_type (here a product), each once a day.

    Raises:
        ValueError: a column is missing, or a date is none.
    """
    raw = (
        pd.read_parquet(path).astype(str)
        if path.suffix == ".parquet"
        else pd.read_csv(path, dtype=str, usecols=lambda name: name in COLUMNS)
    )
    missing = [name for name in COLUMNS if name not in raw]
    if missing:
        raise ValueError(f"Expected the columns {', '.join(COLUMNS)} in {path.name}, got none named {missing[0]}.")
    days = pd.to_datetime(raw["TRANSACTION_DT"], format=DATES, errors="coerce")
    if days.isna().any():
        odd = raw.loc[days.isna(), "TRANSACTION_DT"].iloc[0]
        raise ValueError(
            f"Expected dates such as 11/30/2000 in TRANSACTION_DT of {path.name}, got {odd!r} "
            f"({int(days.isna().sum()):,} rows). Give the file as it was published."
        )
    found = pd.DataFrame({"customer_id": raw["CUSTOMER_ID"], "day": days, "product_type": raw["PRODUCT_ID"]})
    return found.drop_duplicates(ignore_index=True)


def last_baskets(purchases: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the candidates of each customer before the last basket, and what the last basket held.

    Both have the columns of `next_product.candidates` and `next_product.outcomes` that rules and measures read. The
    cutoff of all is the last day of the data: lists of one call are compared with each other.
    """
    baskets = purchases.groupby("customer_id")["day"].agg(["nunique", "max"])
    counted = baskets[baskets["nunique"].between(FEWEST_BASKETS, MOST_BASKETS)]
    known = purchases.merge(counted, left_on="customer_id", right_index=True)
    before, last = known[known["day"] < known["max"]], known[known["day"] == known["max"]]
    in_baskets = before["product_type"].value_counts()
    kept = in_baskets.index[in_baskets >= LEAST_BOUGHT]
    before, last = before[before["product_type"].isin(kept)], last[last["product_type"].isin(kept)]
    end = purchases["day"].max()
    fades = np.round(1000 * 0.5 ** ((before["max"] - before["day"]).dt.days / HALF_LIFE_DAYS))
    keys = ["customer_id", "product_type"]
    habits = (
        before.assign(faded=fades)
        .groupby(keys, as_index=False)
        .agg(days_bought=("day", "size"), faded_days=("faded", "sum"))
    )
    buyers = habits["product_type"].value_counts()
    popular_ones = buyers.sort_index().sort_values(ascending=False, kind="stable").index[:POPULAR_PRODUCTS]
    everybody = pd.MultiIndex.from_product([counted.index, popular_ones], names=keys).to_frame(index=False)
    pairs = everybody.merge(habits, on=keys, how="outer").fillna({"days_bought": 0, "faded_days": 0})
    share = pairs["product_type"].map(buyers) / buyers.max()
    pairs = pairs.assign(
        cutoff_date=end,
        popularity=share,
        popularity_lately=share,
        customer_days=pairs["customer_id"].map(counted["nunique"]) - 1,
    )
    repeat = last[keys].merge(habits[keys].assign(is_repeat=1), on=keys, how="left").fillna({"is_repeat": 0})
    return pairs, repeat.assign(cutoff_date=end)


def measured(purchases: pd.DataFrame) -> pd.DataFrame:
    """Return a row a method: recall and nDCG of ten places, of repeats and of new products, with intervals."""
    pairs, last = last_baskets(purchases)
    return pd.DataFrame(
        [{"method": name, **summary(judged(lists_of(pairs, score(pairs)), last))} for name, score in METHODS.items()]
    )


def main() -> None:
    """Print the table of a file."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file", type=Path, help="the CSV or Parquet that you downloaded")
    path = arguments.parse_args().file
    if not path.is_file():
        sys.exit(f"error: expected the downloaded file, got {path}, which is none.")
    try:
        found = measured(read(path))
    except ValueError as error:
        sys.exit(f"error: {error}")
    print(f"{found['lists'].iloc[0]:,} customers, of whom {found['bought_nothing'].iloc[0]:,} bought no known product")
    for row in found.to_dict("records"):
        cells = [f"{name} {row[name]:.4f} ({row[f'{name}_low']:.4f} to {row[f'{name}_high']:.4f})" for name in MEASURES]
        print(f"{row['method']:34s} {'  '.join(cells)}")


if __name__ == "__main__":
    main()
