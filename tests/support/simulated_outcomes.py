"""Simulated scores and outcomes of a problem with three features: weeks differ by a common season, and may go wrong."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
from support.bundled import PROBLEM as LAPSE

WEEKS, CUSTOMERS = 30, 1500
FIRST = date(2021, 1, 4)
CUTOFFS = [FIRST + timedelta(weeks=week) for week in range(WEEKS)]
TRAINED, ONSET = CUTOFFS[13], CUTOFFS[18]
# The judgement asks nothing of a problem but its columns, label and horizon.
PROBLEM = replace(LAPSE, features=("pace", "taste", "age"), slices=(), families={})


def simulated_outcomes(
    seed: int = 0,
    quits: Callable[[pd.DataFrame, int], npt.ArrayLike] | None = None,
    season: float = 0.1,
) -> tuple[pd.DataFrame, npt.NDArray[np.float64], pd.DataFrame, pd.DataFrame]:
    """Return frame, scores, outcomes, early outcomes; `quits(rows, weeks after onset)` adds to the true risk.

    Customers keep what they are; each week's risk has a common season, and neighbouring outcomes share their draws,
    as outcomes of 28 days at weekly cutoffs do.
    """
    generator = np.random.default_rng(seed)
    base = pd.DataFrame(
        {
            "customer_id": np.array([f"c{number}" for number in range(CUSTOMERS)], dtype=object),
            "pace": generator.normal(size=CUSTOMERS),
            "taste": generator.random(CUSTOMERS),
            "age": generator.gamma(2, 10, CUSTOMERS),
            "region": generator.choice(["north", "south", "west"], CUSTOMERS, p=[0.45, 0.4, 0.15]),
        }
    )
    common = generator.normal(0, season, WEEKS + 4)
    luck = generator.random((CUSTOMERS, WEEKS + 4))
    parts = []
    for week, cutoff in enumerate(CUTOFFS):
        rows = base.assign(cutoff_date=pd.Timestamp(cutoff), pace=base["pace"] + generator.normal(0, 0.3, CUSTOMERS))
        score = 1 / (1 + np.exp(2.2 + 1.2 * rows["pace"]))
        odds = np.log(score / (1 - score)) + common[week : week + 4].mean()
        true = 1 / (1 + np.exp(-odds))
        after = (cutoff - ONSET).days // 7
        if quits is not None and after >= 0:
            true = np.maximum(true, quits(rows, after))
        drawn = luck[np.arange(CUSTOMERS), week + (np.arange(CUSTOMERS) % 4)]
        parts.append(
            rows.assign(score=score, lapsed=(drawn < true).astype(int), lapsed_14d=(drawn < true**0.7).astype(int))
        )
    frame = pd.concat(parts, ignore_index=True)
    keys = ["customer_id", "cutoff_date"]
    return frame, frame["score"].to_numpy(), frame[[*keys, "lapsed"]], frame[[*keys, "lapsed_14d"]]
