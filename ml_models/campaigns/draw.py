"""Who is held out: a number of each customer's own, the same whenever and wherever it is drawn.

Each customer is drawn alone, and no group is filled up to a size. Whether somebody is held out then depends on nobody
else: not on who is in the list, in which order, nor on which engine. A list that is made again a day later, with five
customers more, changes nobody's part. Draws that know nothing of each other are also what the intervals of `effect`
assume. The price is that the share of one week varies by chance; over the weeks it does not matter.
"""

import hashlib
import math
from collections.abc import Iterable
from datetime import date
from statistics import NormalDist

CALL, HELD_OUT = "call", "held out"
"""The two parts that a customer may have."""

_DIGITS = 48
"""Bits of a draw: fewer than a double holds, so that each engine stores the same number."""

FAULTY = 0.0005
"""Probability below which the share held out is no chance any more; Fabijan et al. (2019), "Diagnosing Sample Ratio
Mismatch in Online Controlled Experiments"."""


def drawn(seed: str, cutoff: date, customer_id: str) -> float:
    """Return a customer's draw at a cutoff: a number from 0 on and below 1, evenly spread over customers.

    >>> round(drawn("shop/lapse", date(2024, 1, 1), "c1"), 6) == round(drawn("shop/lapse", date(2024, 1, 1), "c1"), 6)
    True
    """
    digest = hashlib.sha256("\x1f".join((seed, cutoff.isoformat(), customer_id)).encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> (64 - _DIGITS)) / float(2**_DIGITS)


def part_of(draw: float, share: float) -> str:
    """Return which part a draw gives where `share` (0 to 1) of the customers is held out."""
    return HELD_OUT if draw < share else CALL


def chance_of_share(held_out: int, groups: Iterable[tuple[int, float]]) -> float:
    """Return how probable it is that chance holds out a number as far from the expected one, or farther.

    `groups`: how many were drawn, and with which share held out. The normal approximation with a correction for
    continuity; 1 where nobody was drawn.
    """
    groups = list(groups)
    expected = sum(count * share for count, share in groups)
    variance = sum(count * share * (1 - share) for count, share in groups)
    if not variance:
        return 1.0
    away = max(0.0, abs(held_out - expected) - 0.5) / math.sqrt(variance)
    return 2 * (1 - NormalDist().cdf(away))
