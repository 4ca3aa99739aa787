"""What a call changed: who was called against who was held out by chance, over weeks, with intervals.

Compared is who was *to be* called with who was not (by intention to treat), whatever was done in the end. A customer
who could not be reached stays where chance put them: who can be reached is no chance.

- Each week (cutoff) is compared within itself, and the differences are averaged with the weights of Mantel and Haenszel
  (Cochran, 1954): n₁n₀/(n₁+n₀). So neither a week in which more lapse, nor another share held out, is taken for an
  effect.
- The interval of a difference of shares is Newcombe's (1998), "Interval estimation for the difference between
  independent proportions", method 10, of two of Wilson's; over weeks with the number of customers that has the same
  variance, 1/Σ(ω²/n).
- The interval of a difference of means is Welch's, with the variance within weeks.
- All weeks together are looked at every week. An interval of 95 % that is looked at fifty times misses far more often
  than one time in twenty. Theirs is widened so that it holds at all looks at once: Waudby-Smith, Arbour, Sinha, Kennedy
  and Ramdas (2024), "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

MISS = 0.05
"""Probability with which an interval may miss what is true."""

POWER = 0.8
"""Probability with which an effect of the size that is hoped for is to be seen."""

TIGHTEST = 1_000
"""Customers at which the interval for all looks is narrowest against one for a single look."""

LEAST = 100
"""Customers held out, and called, below which nothing is said, whatever the interval says."""

ONCE = NormalDist().inv_cdf(1 - MISS / 2)
"""Standard errors on each side of an interval that is looked at once."""

TOO_FEW = "too few to say"
KEEPS = "calls keep customers"
LOSES = "calls drive customers away"
SAME = "no difference to tell"
NOBODY = "nobody was called"
FAULTY_DRAW = "not drawn by chance"
VERDICTS = (TOO_FEW, KEEPS, LOSES, SAME, NOBODY, FAULTY_DRAW)
"""What may be said of all weeks together."""


class Arm(NamedTuple):
    """One part of a week: customers, how many lapsed, the sum of what they spent, and of its squares."""

    customers: int
    lapsed: int
    spend: float = 0.0
    squares: float = 0.0


class Week(NamedTuple):
    """Who was to be called at a cutoff, and who was held out."""

    called: Arm
    held_out: Arm


class Difference(NamedTuple):
    """A difference with the ends of its interval; all nan where nothing can be compared."""

    value: float
    low: float
    high: float


NONE = Difference(math.nan, math.nan, math.nan)


def at_every_look(customers: int) -> float:
    """Return the standard errors on each side of an interval that holds whenever it is looked at, at this number.

    The boundary of Robbins' normal mixture, n the customers: sqrt((1 + 1/x) · 2 · ln(sqrt(1 + x)/0.05)), x = n·r².
    r is chosen once, narrowest at TIGHTEST (equation 12 of Waudby-Smith et al.).

    >>> [round(at_every_look(n), 2) for n in (100, 1_000, 10_000)]
    [3.86, 3.04, 3.24]
    """
    narrowest = -2 * math.log(MISS) + math.log(1 - 2 * math.log(MISS))
    x = narrowest * max(customers, 1) / TIGHTEST
    return math.sqrt((1 + 1 / x) * 2 * math.log(math.sqrt(1 + x) / MISS))


def kept(weeks: Sequence[Week], errors: float = ONCE) -> Difference:
    """Return by how much fewer of those called lapsed: share held out less share called, -1 to 1.

    `errors`: the standard errors on each side; `at_every_look` for what is looked at again and again.
    """
    weights = _weights(weeks)
    if not weights:
        return NONE
    stayed_out, called = (_share([week[part] for week in weeks], weights) for part in (1, 0))
    (held, held_low, held_high), (share, low, high) = _wilson(*stayed_out, errors), _wilson(*called, errors)
    value = held - share
    return Difference(
        value, value - math.hypot(held - held_low, high - share), value + math.hypot(held_high - held, share - low)
    )


def gained(weeks: Sequence[Week], errors: float = ONCE) -> Difference:
    """Return by how much more those called spent, in the unit of `spend`: mean called less mean held out."""
    weights = _weights(weeks)
    if not weights:
        return NONE
    parts = []
    for part in (0, 1):
        arms = [week[part] for week in weeks]
        mean = sum(weight * arm.spend / arm.customers for weight, arm in _counting(weights, arms))
        degrees = sum(arm.customers - 1 for _, arm in _counting(weights, arms))
        within = sum(arm.squares - arm.spend**2 / arm.customers for _, arm in _counting(weights, arms))
        if degrees < 1:
            return NONE
        parts.append((mean, max(within, 0.0) / degrees / _alike(weights, arms), degrees))
    (called, of_called, free_called), (held, of_held, free_held) = parts
    value, variance = called - held, of_called + of_held
    if not variance:
        return Difference(value, value, value)
    from scipy import stats

    freedom = variance**2 / (of_called**2 / free_called + of_held**2 / free_held)
    # Student's quantile takes the place of the normal one, in the same proportion at every look.
    half = errors / ONCE * float(stats.t.ppf(1 - MISS / 2, freedom)) * math.sqrt(variance)
    return Difference(value, value - half, value + half)


def customers_needed(base_rate: float, won_back: float, held_out: float) -> int | None:
    """Return how many customers must be drawn until an effect of the hoped-for size is seen with `POWER`.

    Of those not called `base_rate` lapse, and a call keeps `won_back` of them; the share `held_out` is not called. None
    where nobody lapses: then there is nothing to keep.

    The usual formula for two shares (Fleiss, Levin and Paik, 2003, chapter 4) with the interval for every look.

    >>> customers_needed(0.4, 0.2, 0.1) > customers_needed(0.4, 0.2, 0.5)
    True
    """
    fewer = base_rate * (1 - won_back)
    apart = base_rate - fewer
    if not 0 < base_rate < 1 or not apart:
        return None
    spread = base_rate * (1 - base_rate) / held_out + fewer * (1 - fewer) / (1 - held_out)
    beyond, needed = NormalDist().inv_cdf(POWER), float(TIGHTEST)
    # The width depends a little on the number itself; a few rounds settle it.
    for _ in range(50):
        needed = (at_every_look(math.ceil(needed)) + beyond) ** 2 * spread / apart**2
    return math.ceil(needed)


def verdict_of(difference: Difference, called: int, held_out: int, needed: int | None) -> str:
    """Return what an interval at every look says; fewer than LEAST in a part, or than needed, are too few."""
    if min(called, held_out) < LEAST or math.isnan(difference.value):
        return TOO_FEW
    if difference.low > 0:
        return KEEPS
    if difference.high < 0:
        return LOSES
    return SAME if needed is not None and called + held_out >= needed else TOO_FEW


def _counting(weights: Sequence[float], arms: Sequence[Arm]) -> list[tuple[float, Arm]]:
    """Return the arms that count, each with its weight: those of weeks with customers in both parts."""
    return [(weight, arm) for weight, arm in zip(weights, arms, strict=True) if weight]


def _weights(weeks: Sequence[Week]) -> list[float]:
    """Return each week's weight, 1 in all; none where no week has customers in both parts."""
    raw = [
        week.called.customers * week.held_out.customers / max(week.called.customers + week.held_out.customers, 1)
        for week in weeks
    ]
    return [weight / sum(raw) for weight in raw] if sum(raw) else []


def _alike(weights: Sequence[float], arms: Sequence[Arm]) -> float:
    """Return the number of customers of one week whose mean would be as exact as the weighted one."""
    return 1 / sum(weight**2 / arm.customers for weight, arm in _counting(weights, arms))


def _share(arms: Sequence[Arm], weights: Sequence[float]) -> tuple[float, float]:
    share = sum(weight * arm.lapsed / arm.customers for weight, arm in _counting(weights, arms))
    return share, _alike(weights, arms)


def _wilson(share: float, customers: float, errors: float) -> tuple[float, float, float]:
    """Return a share, and the ends of Wilson's (1927) interval."""
    spread = errors**2 / customers
    middle = (share + spread / 2) / (1 + spread)
    half = errors * math.sqrt(share * (1 - share) / customers + spread / (4 * customers)) / (1 + spread)
    return share, middle - half, middle + half
