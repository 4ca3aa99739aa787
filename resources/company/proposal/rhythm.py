"""When the shops are open, what span the orders fill, and which question suits the customers' rhythm."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ml_models.problems.question import Question

if TYPE_CHECKING:
    from resources.company.proposal.sources import Landed

HORIZONS = (28, 56, 84, 182)
SHORTEST = 14
"""The horizon for spans that carry none of the others."""

SENSIBLE = 0.4
"""The share of customers who come again within a horizon that makes it a sensible one. Where nearly all lapse, waiting
longer tells more apart."""

LOOK_BACKS = (28, 56, *range(84, 673, 84))
WISHED = 2.5
"""Horizons that a look-back had best hold: with two to four of them habits are seen, and cutoffs remain."""

LEAST = 5
"""Cutoffs with known labels below which nothing is judged, as in `ml_models/cutoffs.py`, which loads heavy packages."""

COMFORT = 3
"""How many horizons of cutoffs leave room for all: a third to learn from, a third as the gap, a third to judge on."""

WEEK = 7
MORNING = 8

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
RARELY = 0.01
"""Orders of a weekday, as a share of an average day's, below which the shops are closed on it."""


@dataclass(frozen=True)
class Asked:
    """A question that the span carries: `cutoffs` have known labels. `again`: share of customers who come again."""

    horizon: int
    look_back: int
    first_cutoff: date
    again: float
    cutoffs: int

    @property
    def comfortable(self) -> bool:
        """Whether there are cutoffs enough to learn from and to judge on."""
        return self.cutoffs >= max(2 * LEAST, COMFORT * Question(horizon_days=self.horizon).horizon_cutoffs)


@dataclass
class Rhythm:
    """The span of the orders, the weekdays without any, and what is asked (none: nothing can be).

    `again`: by horizon, the share of customers seen within it before a Monday who come within it afterwards. `strays`:
    orders outside the span. `hours`: between them nearly all orders are made.
    """

    first: date
    last: date
    closed: list[str] = field(default_factory=list)
    again: dict[int, float] = field(default_factory=dict)
    asked: Asked | None = None
    hours: tuple[int, int] | None = None
    strays: int = 0

    @property
    def days(self) -> int:
        """How many days the span has."""
        return (self.last - self.first).days + 1


def rhythm(landed: "Landed", *, hours: bool, today: date) -> Rhythm:
    """Measure the table `visits` (customer, moment, day): one row an order that is no return."""
    first, last = _span(landed, today)
    found = Rhythm(first, last)
    found.strays = landed.one(
        f"select count(*) from visits where day <= '{today}' and day not between '{first}' and '{last}'"
    )[0]
    counts = dict(
        landed.all(f"select isodow(day) - 1, count(*) from visits where day between '{first}' and '{last}' group by 1")
    )
    if found.days >= 8 * WEEK:
        average = sum(counts.values()) / WEEK
        found.closed = [name for number, name in enumerate(WEEKDAYS) if counts.get(number, 0) < RARELY * average]
    if hours:
        found.hours = landed.one(
            "select quantile_disc(hour(moment), .02), quantile_disc(hour(moment), .98) + 1 from visits where day "
            f"between '{first}' and '{last}'"
        )
    landed.engine.execute(
        "create or replace table shopping as select customer, day, lead(day) over (partition by customer order by day) "
        f"as next from (select distinct customer, day from visits where day between '{first}' and '{last}')"
    )
    for horizon in (SHORTEST, *HORIZONS):
        share = _again(landed, horizon, first, last)
        if share is not None:
            found.again[horizon] = share
    found.asked = _question(found)
    return found


def _span(landed: "Landed", today: date) -> tuple[date, date]:
    """Return the first and last day of business: weeks with nearly no order at either end are strays."""
    weeks = landed.all(
        "select cast(date_trunc('week', day) as date), count(*), min(day), max(day) from visits where day <= "
        f"'{today}' group by 1 order by 1"
    )
    usual = sorted(count for _, count, _, _ in weeks)[len(weeks) // 2]
    busy = [(low, high) for _, count, low, high in weeks if count >= max(1, 0.05 * usual)]
    return busy[0][0], busy[-1][1]


def _again(landed: "Landed", horizon: int, first: date, last: date) -> float | None:
    """Return the share of customers seen within a horizon before a Monday who come within it afterwards."""
    begin = monday(first + timedelta(days=horizon))
    end = last + timedelta(days=1 - horizon)
    if begin > end:
        return None
    rate = landed.one(
        f"with c as (select cast(unnest(generate_series(date '{begin}', date '{end}', interval 7 day)) as date) as "
        f"cutoff) select avg(cast(coalesce(next < cutoff + {horizon}, false) as int)) from c join shopping on day < "
        f"cutoff and day >= cutoff - {horizon} and (next is null or next >= cutoff)"
    )[0]
    return None if rate is None else float(rate)


def monday(day: date) -> date:
    """Return the day if it is a Monday, or the next one."""
    return day + timedelta(days=-day.weekday() % WEEK)


def _question(found: Rhythm) -> Asked | None:
    """Return the shortest sensible question that the span carries; else that by which most come again."""
    carried = [one for horizon in HORIZONS if (one := _carried(found, horizon))]
    carried = carried or [one for one in [_carried(found, SHORTEST)] if one]
    if not carried:
        return None

    def rank(one: Asked) -> tuple[bool, bool, float]:
        sensible = one.again >= SENSIBLE
        return not one.comfortable, not sensible, one.horizon if sensible else -one.again

    return min(carried, key=rank)


def _carried(found: Rhythm, horizon: int) -> Asked | None:
    """Return the question of a horizon with the look-back nearest to the wished one that leaves cutoffs enough."""
    if horizon not in found.again:
        return None
    # On four months of a supermarket, five cutoffs with 56 days to look back on gave a better model than nine with 28.
    wished = {one: (not one.comfortable, abs(one.look_back / horizon - WISHED)) for one in _asked(found, horizon)}
    return min(wished, key=lambda one: (*wished[one], -one.look_back), default=None)


def _asked(found: Rhythm, horizon: int) -> Iterator[Asked]:
    for look_back in LOOK_BACKS:
        if look_back < horizon:
            continue
        begin, latest = monday(found.first + timedelta(days=look_back)), found.last + timedelta(days=1 - horizon)
        cutoffs = (latest - begin).days // WEEK + 1
        if cutoffs >= max(LEAST, Question(horizon_days=horizon).horizon_cutoffs + 1):
            yield Asked(horizon, look_back, begin, found.again[horizon], cutoffs)


def needed_days() -> int:
    """Return the days of orders that the shortest question needs, wherever the weeks begin."""
    return int(LOOK_BACKS[0]) + WEEK - 1 + (LEAST - 1) * WEEK + SHORTEST
