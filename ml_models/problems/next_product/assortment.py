"""Whether the product types are the ones that were there before: renamed, vanished, or bought otherwise of late.

Lists are made of types' names. A name that changes takes its history away from every customer; a department that is not
delivered takes its types off every list; and a campaign moves many customers to one type for a while. Each cutoff's
buyers of late are held against those a horizon earlier, which share no day with them.

- vanished: share of the former buyers whose type has none now.
- appeared: share of the present buyers whose type had none in the look-back before.
- moved: total variation distance between types' shares of buyers.

What is usual is the series' own past: its median and ten times its median deviation, and a floor below which nothing is
said. A name that goes while another one of about its size comes is a renaming, and a person has to say so: the model
would take both for customers' behaviour. What moved without a name that went is behaviour: a campaign ends by itself,
and the next training sees it.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

FLOOR = {"vanished": 0.01, "appeared": 0.01, "moved": 0.06}
"""Shares below which no change is told, whatever is usual."""

DEVIATIONS = 10.0
"""Median absolute deviations beyond the median of the past from which on a change is none of the usual ones."""

LEAST_PAST = 6
"""Cutoffs of the past that are needed to say what is usual."""

ALIKE = 0.5
"""A renaming brings at least this share of the buyers back that went, and at most its inverse."""

INSPECT, CONTINUE = "inspect", "continue"

USUAL = ("as usual", "too little to say")
"""Verdicts of cutoffs that later ones are held against."""


class Change(NamedTuple):
    """What changed at a cutoff: the three shares, the types behind them, the verdict, what follows, and a sentence."""

    vanished: float
    appeared: float
    moved: float
    examples: str
    verdict: str
    decision: str
    sentence: str


def shares(before: pd.DataFrame, now: pd.DataFrame) -> tuple[float, float, float, str]:
    """Return vanished, appeared and moved between two cutoffs' rows of `popular_types`, and the types behind them."""
    old = before.set_index("product_type")["buyers_lately"].astype("float64")
    known = set(before["product_type"])
    new = now.set_index("product_type")["buyers_lately"].astype("float64")
    both = pd.DataFrame({"old": old, "new": new}).fillna(0.0)
    went = both[(both["old"] > 0) & (both["new"] == 0)]["old"]
    came = both[(both["new"] > 0) & ~both.index.isin(known)]["new"]
    portions = both / both.sum().replace(0, np.nan)
    differs = (portions["new"] - portions["old"]).fillna(0.0)
    named = [*went.nlargest(2).index, *came.nlargest(2).index] or list(differs.abs().nlargest(3).index)
    return (
        float(went.sum() / max(old.sum(), 1)),
        float(came.sum() / max(new.sum(), 1)),
        float(differs.abs().sum() / 2),
        ", ".join(map(str, named)),
    )


def unusual(value: float, past: np.ndarray, floor: float) -> bool:
    """Tell whether a share lies above its floor and beyond what its past leads to expect."""
    middle = float(np.median(past))
    spread = float(np.median(np.abs(past - middle)))
    return value > max(floor, middle + DEVIATIONS * spread)


def changes(popular: pd.DataFrame, horizon_days: int) -> pd.DataFrame:
    """Return a row a cutoff that has one a horizon before: cutoff_date and the fields of `Change`.

    `popular` are rows of `next_product.popular_types`: cutoff_date, product_type, buyers_lately. A cutoff is judged by
    earlier ones alone, and one that was judged unusual is no part of what is usual.
    """
    by_day = {pd.Timestamp(str(day)): rows for day, rows in popular.groupby("cutoff_date")}
    found: list[dict[str, object]] = []
    usual: list[tuple[float, float, float]] = []
    for day in sorted(by_day):
        before = by_day.get(day - pd.Timedelta(days=horizon_days))
        if before is None:
            continue
        *measured, examples = shares(before, by_day[day])
        vanished, appeared, moved = (float(value) for value in measured)
        change = judge(vanished, appeared, moved, examples, np.array(usual).reshape(-1, 3))
        if change.verdict in USUAL:
            usual.append((vanished, appeared, moved))
        found.append({"cutoff_date": day, **change._asdict()})
    return pd.DataFrame(found, columns=["cutoff_date", *Change._fields])


def judge(vanished: float, appeared: float, moved: float, examples: str, past: np.ndarray) -> Change:
    """Return the verdict on a cutoff; `past`, (n, 3), are vanished, appeared and moved of usual cutoffs before."""
    measured = {"vanished": vanished, "appeared": appeared, "moved": moved}

    def made(verdict: str, decision: str, sentence: str) -> Change:
        return Change(vanished, appeared, moved, examples, verdict, decision, sentence)

    if len(past) < LEAST_PAST:
        return made("too little to say", CONTINUE, f"{len(past)} earlier cutoffs; {LEAST_PAST} tell what is usual.")
    odd = {name: unusual(measured[name], past[:, place], FLOOR[name]) for place, name in enumerate(FLOOR)}
    if odd["vanished"] and odd["appeared"] and ALIKE <= appeared / vanished <= 1 / ALIKE:
        return made(
            "renamed",
            INSPECT,
            f"Types with {vanished:.1%} of the buyers are gone, and new ones have {appeared:.1%}: {examples}. That is "
            "a renaming, and their history with it. Map the former names to the new ones in staging, then rebuild.",
        )
    if odd["vanished"]:
        return made(
            "vanished",
            INSPECT,
            f"Types with {vanished:.1%} of the buyers are gone: {examples}. Look whether a department is missing from "
            "the product list or from the lines.",
        )
    if odd["appeared"]:
        return made(
            "appeared",
            INSPECT,
            f"Types that were not there before have {appeared:.1%} of the buyers: {examples}. Either a renaming began, "
            "or the assortment grew: say which.",
        )
    if odd["moved"]:
        return made(
            "campaign",
            CONTINUE,
            f"{moved:.1%} of the buyers moved between types that were there before: {examples}. That is behaviour, as "
            "of a campaign: the list follows it as its facts do. No outcome of it is known yet to learn from; whether "
            "lists still hold decides.",
        )
    return made("as usual", CONTINUE, "The types are bought as usual.")
