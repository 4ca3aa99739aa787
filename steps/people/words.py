"""What a week's decision and the figures mean, for somebody who runs campaigns and no models."""

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple


class Said(NamedTuple):
    """A decision for people: in a few words, what to do with the list, and whether to be careful (`calm`: no)."""

    short: str
    advice: str
    calm: bool


def day(value: date | datetime | None) -> str:
    """Return a day as people write it."""
    return "not known" if value is None else f"{value.day} {value:%B %Y}"


def share(value: float | None) -> str:
    """Return a share of 0 to 1 in percent."""
    return "not known" if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def pairs(value: float | None) -> str:
    """Return of how many pairs in a hundred the order was right: what statisticians call AUC, times 100."""
    return "not known" if value is None or math.isnan(value) else f"{100 * value:.0f}"


def count(value: float | None) -> str:
    """Return a number of things."""
    return "not known" if value is None or math.isnan(value) else f"{value:,.0f}"


def lower_first(text: str) -> str:
    """Return a text as it goes on in a sentence."""
    return text[:1].lower() + text[1:]


def money_in(currency: str) -> Callable[[float | None], str]:
    """Return what writes an amount, given in the smallest unit, in whole units of a currency."""
    return lambda cents: "not known" if cents is None or math.isnan(cents) else f"{currency} {cents / 100:,.0f}"


def whole_money_in(currency: str) -> Callable[[float | None], str]:
    """Return what writes an amount, given in whole units of a currency."""
    cents = money_in(currency)
    return lambda amount: cents(None if amount is None else 100 * amount)


def between(value: float | None, least: float | None, most: float | None) -> str:
    """Return a share in percent with its interval."""
    if value is None or least is None or most is None:
        return share(value)
    return f"{100 * value:.0f} % ({100 * least:.0f} to {100 * most:.0f})"


def decision(week: Mapping[str, Any]) -> Said:
    """Return what a judged week's decision means for who uses the list."""
    if week.get("week_released"):
        return Said("Use the list.", "Something looked unusual, and a person has said that the week was right.", True)
    who = week.get("owner") or "the owner of the data"
    if week["decision"] == "continue":
        return Said("Use the list.", "Nothing that was checked is out of its usual range.", True)
    if week["decision"] == "improve":
        how = "adjusted" if week.get("remedy") == "recalibrate" else "trained again"
        return Said(
            f"Use the list; the model is being {how}.",
            "Customers behave differently than before, and the data is sound. The order of the list is still the best "
            "there is; the percentages may be off until the new model serves.",
            True,
        )
    if week["decision"] == "rollback":
        return Said(
            "Wait for the next list.",
            "The newest model did worse than the one before, which is being put back in its place.",
            False,
        )
    return Said(
        "Ask before you use the list.",
        f"Something looks wrong with the data or with what was made of it. {who} has to look at it first.",
        False,
    )


class Held(NamedTuple):
    """How a judged week held: of a hundred customers most at risk and of a hundred at random, how many stayed away."""

    week: date
    customers: int
    top: float
    least: float
    most: float
    anyone: float
    expected: float


class Interval(NamedTuple):
    """A share of 0 to 1, and where it would lie in 95 of 100 such samples."""

    share: float
    least: float
    most: float


def interval(share: float, size: int) -> Interval:
    """Return the share of so many customers with Wilson's 95 % interval (JASA 22, 1927).

    It stays within 0 and 1 also where hardly anybody stayed away.
    """
    spread = 1.96**2 / size
    middle = (share + spread / 2) / (1 + spread)
    half = 1.96 * math.sqrt(share * (1 - share) / size + spread / (4 * size)) / (1 + spread)
    return Interval(share, middle - half, middle + half)


ENOUGH = 100
"""Customers in a highest tenth below which a share of them says too little."""


def held(row: Mapping[str, Any]) -> Held | None:
    """Return how the highest tenth of a judged week did, with a 95 % interval; None: too few to say.

    `row` is one of `marts.accuracy_over_time`.
    """
    size = math.ceil(0.1 * row["customers"] - 1e-9)
    if size < ENOUGH or row["lift_at_10pct"] is None:
        return None
    top = row["lift_at_10pct"] * row["base_rate"]
    _, least, most = interval(top, size)
    return Held(row["cutoff_date"], row["customers"], top, least, most, row["base_rate"], row["mean_score"])


BAND_WORDS = {
    "high": "high: the tenth most likely to stay away",
    "medium": "medium: the next fifth",
    "low": "low: everybody else",
}

SLICES = {
    "activity": "Shopping days in the last {look_back} days",
    "segment": "New customers, first seen within {look_back} days, and known ones",
}
"""What kinds of customers are called; one that is not here is called by its column's name."""


def slice_title(name: str, look_back: int) -> str:
    """Return what a kind of customers is called."""
    plain = name.replace("_", " ")
    return SLICES.get(name, plain[:1].upper() + plain[1:]).format(look_back=look_back)
