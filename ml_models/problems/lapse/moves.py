"""What people may move of a customer, and what moves along so that the features still tell one story.

Many features say the same thing. A visit in the newest week is a visit in each window, an order, some spend, a shorter
gap; a row where only one of these moved is no customer's. So a visit that is added or taken away goes through all of
them, by the formulas of the dbt model `customer_features`. What cannot be known without the visits themselves (how
uneven the gaps and the spend are, what is in the baskets) is held, or moved by as little as the others demand.

Three things are assumed, and the page says them: an order more or less is worth what this customer's orders of that
time are worth; a visit on a day of its own is one order where none of that time is known; visits before the four newest
periods are added or taken away evenly.
"""

import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from ml_models.problems.contract import Feature, Lever, Unit, Values, WhatIf
from ml_models.problems.lapse.features import period_word
from ml_models.problems.question import Question

NUMBERED = (1, 2, 3, 4)
"""The newest periods, whose shopping days are features of their own."""

_STEPS: dict[Unit, float] = {"count": 1, "days": 1, "cents": 100, "share": 0.01, "hour": 0.5, "ratio": 0.05}


def what_if(question: Question, features: dict[str, Feature], departments: Sequence[str]) -> WhatIf:
    """Return what may be moved of a customer, of the features that a company has, and what moves along."""
    names = _Names(question)
    named = [
        "recency_days",
        *names.periods,
        *([names.active] if names.month else []),
        names.basket,
        f"lines_per_trip_{names.whole}d",
        f"categories_{names.whole}d",
        f"departments_{names.whole}d",
        f"stores_{names.whole}d",
        f"top_store_share_{names.whole}d",
        f"distinct_product_ratio_{names.whole}d",
        f"private_label_share_{names.whole}d",
        *(f"{name}_share_{names.whole}d" for name in departments),
        f"discount_rate_{names.whole}d",
        f"coupon_line_share_{names.whole}d",
        f"returned_ratio_{names.whole}d",
        f"weekend_share_{names.whole}d",
        f"mean_hour_{names.whole}d",
        f"evening_share_{names.whole}d",
    ]
    levers = (Lever(name, _STEPS[features[name].unit]) for name in named if name in features)
    word = period_word(question)

    def follow(row: Values, moved: Values) -> dict[str, float]:
        return _followed(question, row, moved, [f"{name}_share_{names.whole}d" for name in departments])

    return WhatIf(
        tuple(levers),
        follow,
        (
            f"Visits, orders and spend of all windows, the mean gap between visits, trends and ratios are worked out "
            f"again when a {word}, the last visit or the basket is moved.",
            "An order more or less is taken to be worth what this customer's orders are worth.",
            f"Only who came within {question.active_within_days} days is scored, so one visit stays.",
        ),
    )


class _Names:
    """What the features that depend on each other are called for a question."""

    def __init__(self, question: Question) -> None:
        word, self.whole = period_word(question), question.look_back_days
        self.month = question.month_days if question.month_days < self.whole else 0
        self.periods = [f"active_days_{word}_{number}" for number in NUMBERED]
        self.active, self.seen = f"active_days_{self.whole}d", f"days_since_first_seen_{self.whole}d"
        self.active_periods = f"active_{word}s_{self.whole}d"
        self.basket, self.largest = f"mean_basket_cents_{self.whole}d", f"max_basket_cents_{self.whole}d"


@dataclass
class _Story:
    """The visits of a customer as far as features tell: days of the newest periods, all days, the last and the first.

    `trips` and `spend` (cents) are those of the stretches between two windows, the newest stretch first.
    """

    recency: int
    newest: list[int]
    older: int
    seen: int
    trips: list[float]
    spend: list[float]
    added: list[float] = field(default_factory=list)

    @property
    def days(self) -> int:
        return sum(self.newest) + self.older


def _followed(question: Question, row: Values, moved: Values, departments: Collection[str]) -> dict[str, float]:
    moved = {name: value for name, value in moved.items() if value != row[name]}
    names, new = _Names(question), {**row, **moved}
    visits = {"recency_days", names.active, *names.periods}
    if moved.keys() & {*visits, names.basket}:
        before = _read(question, names, row)
        after = _moved_visits(question, names, before, row, moved)
        price = _priced(names, after, moved)
        _write_visits(question, names, before, after, new)
        _write_money(question, names, after, price, row, new)
        _write_gaps(names, before, after, row, new)
        _write_trend(question, names, before, after, price, row, new)
    _write_breadth(names, row, moved, new)
    _write_mix(departments, moved, new)
    return new


def _read(question: Question, names: _Names, row: Values) -> _Story:
    windows = question.windows
    newest = [int(row[name]) for name in names.periods]
    spend = {days: row[f"spend_cents_{days}d"] for days in windows if days != windows[1]}
    # The second window's spend is no feature of its own; its ratio tells it.
    ratio, four = row[f"spend_ratio_{windows[1]}d_{question.month_days}d"], spend[question.month_days]
    spend[windows[1]] = round(ratio * max(four, 1) / 2)
    return _Story(
        recency=int(row["recency_days"]),
        newest=newest,
        older=max(0, int(row[names.active]) - sum(newest)),
        seen=int(row[names.seen]),
        trips=_stretches([row[f"trips_{days}d"] for days in windows]),
        spend=_stretches([spend[days] for days in windows]),
    )


def _stretches(sums: Sequence[float]) -> list[float]:
    return [sums[0], *(larger - smaller for smaller, larger in itertools.pairwise(sums))]


def _sums(stretches: Iterable[float]) -> list[float]:
    total, found = 0.0, []
    for one in stretches:
        total += one
        found.append(total)
    return found


def _moved_visits(question: Question, names: _Names, before: _Story, row: Values, moved: Values) -> _Story:
    """Return the visits after a move: days first, then the orders on them and what these are worth."""
    length, most = question.period_days, question.active_within_days
    newest = [int(moved.get(name, row[name])) for name in names.periods]
    older, recency = before.older, int(moved.get("recency_days", row["recency_days"]))
    if names.active in moved and names.month:
        older = min(max(0, int(moved[names.active]) - sum(newest)), names.whole - 4 * length)
    if "recency_days" in moved:
        for at, days in enumerate(newest):
            first, last = at * length + 1, (at + 1) * length
            # Nothing is newer than the last visit, and that one is there.
            newest[at] = 0 if last < recency else min(max(days, 1), last - recency + 1) if first <= recency else days
    reached = min(len(newest), math.ceil(most / length))
    if most <= len(newest) * length:
        if not any(newest[:reached]):
            newest[reached - 1] = 1
    elif not any(newest):
        older = max(older, 1)
    came = next((number for number, days in enumerate(newest) if days), None)
    if came is None:
        recency = min(max(recency, len(newest) * length + 1), most)
    else:
        recency = min(max(recency, came * length + 1), (came + 1) * length - newest[came] + 1, most)
    seen = _first_seen(names, length, before, recency, newest, older)
    return _Story(recency, newest, older, seen, *_orders(names, before, newest, older, row))


def _first_seen(names: _Names, length: int, before: _Story, recency: int, newest: Sequence[int], older: int) -> int:
    days = sum(newest) + older
    if days == 1:
        return recency
    oldest = max((at for at, some in enumerate(newest) if some), default=0)
    least = max(recency + days - 1, len(newest) * length + 1 if older else oldest * length + 1)
    return min(max(before.seen, least), names.whole if older else (oldest + 1) * length)


def _orders(
    names: _Names, before: _Story, newest: Sequence[int], older: int, row: Values
) -> tuple[list[float], list[float], list[float]]:
    """Return orders, spend and what was added to the spend, of each stretch."""
    was, now = ([days[0], days[1], days[2] + days[3]] for days in (before.newest, newest))
    trips, spend = list(before.trips), list(before.spend)
    for at in range(3):
        trips[at] = _scaled(before.trips[at], was[at], now[at])
    if older != before.older:
        back = range(3, len(trips))
        for at in back:
            trips[at] = round(before.trips[at] * older / before.older) if before.older else 0
        trips[3] += max(0, older - sum(trips[at] for at in back))
    for at, orders in enumerate(before.trips):
        if trips[at] != orders:
            spend[at] = round(spend[at] / orders * trips[at] if orders else trips[at] * row[names.basket])
    return trips, spend, [now - was for was, now in zip(before.spend, spend, strict=True)]


def _scaled(orders: float, was: int, now: int) -> float:
    if now == was:
        return orders
    return max(now, round(orders * now / was)) if was and now else now


def _priced(names: _Names, after: _Story, moved: Values) -> float:
    """Multiply all spend so that the mean order is the one asked for; return by how much it was multiplied."""
    if names.basket not in moved:
        return 1.0
    spent, asked = sum(after.spend), moved[names.basket] * sum(after.trips)
    price = asked / spent if spent else 1.0
    after.spend = [
        round(one * price if spent else asked * trips / sum(after.trips))
        for one, trips in zip(after.spend, after.trips, strict=True)
    ]
    return price


def _write_visits(question: Question, names: _Names, before: _Story, after: _Story, new: dict[str, float]) -> None:
    new |= dict(zip(names.periods, after.newest, strict=True))
    new |= {"recency_days": after.recency, names.active: after.days, names.seen: after.seen}
    for days, trips in zip(question.windows, _sums(after.trips), strict=True):
        new[f"trips_{days}d"] = trips
    if names.month:
        new[f"active_days_{names.month}d"] = sum(after.newest)
    was, now = (sum(days > 0 for days in story.newest) for story in (before, after))
    least = now + (after.older > 0)
    most = now + min(after.older, question.periods - len(NUMBERED))
    new[names.active_periods] = min(max(new[names.active_periods] + now - was, least), most)


def _write_money(
    question: Question, names: _Names, after: _Story, price: float, row: Values, new: dict[str, float]
) -> None:
    trips, spend = (dict(zip(question.windows, _sums(one), strict=True)) for one in (after.trips, after.spend))
    for days in spend:
        if days != question.windows[1]:
            new[f"spend_cents_{days}d"] = spend[days]
    new[names.basket] = spend[names.whole] / trips[names.whole]
    largest = row[names.largest] * price
    if names.month:
        name = f"max_basket_cents_{names.month}d"
        new[name] = _largest(row[name] * price, trips[names.month], spend[names.month])
        largest = max(largest, new[name]) if not math.isnan(new[name]) else largest
    new[names.largest] = _largest(largest, trips[names.whole], spend[names.whole])


def _largest(held: float, trips: float, spend: float) -> float:
    """Return the largest of so many orders: what it was, unless the others are worth more, or all of them less."""
    if not trips:
        return math.nan
    mean = math.ceil(spend / trips)
    return min(max(mean if math.isnan(held) else round(held), mean), spend)


def _write_gaps(names: _Names, before: _Story, after: _Story, row: Values, new: dict[str, float]) -> None:
    mean, largest, spread = (f"gap_{name}_days_{names.whole}d" for name in ("mean", "max", "std"))
    others = [f"gap_{name}_days_{names.whole}d" for name in ("median", "last", "mean_last3")]
    if (after.recency, after.days, after.seen) != (before.recency, before.days, before.seen):
        if after.days == 1:
            new |= dict.fromkeys((mean, largest, spread, *others), math.nan)
        else:
            gaps = after.days - 1
            new[mean] = (after.seen - after.recency) / gaps
            most = max(after.seen - after.recency - (gaps - 1), new[mean])
            new[largest] = min(max(_or(row[largest], new[mean]), new[mean]), most)
            for name in others:
                new[name] = min(_or(row[name], new[mean]), new[largest]) if gaps > 1 else new[mean]
            new[spread] = row[spread] if gaps > 1 else math.nan
    new["recency_over_gap_mean"] = _ratio(after.recency, new[mean])
    new["recency_over_gap_max"] = _ratio(after.recency, new[largest])
    new["recency_z"] = _ratio(after.recency - new[mean], new[spread])


def _write_trend(
    question: Question,
    names: _Names,
    before: _Story,
    after: _Story,
    price: float,
    row: Values,
    new: dict[str, float],
) -> None:
    periods, four, second = question.periods, question.month_days, question.windows[1]
    weight = [periods + 1 - 2 * number for number in range(1, periods + 1)]
    divisor = periods * (periods * periods - 1) // 6
    changed = [now - was for was, now in zip(before.newest, after.newest, strict=True)]
    back = weight[len(NUMBERED) :]
    visited: float = sum(one * days for one, days in zip(weight, changed, strict=False))
    visited += (after.older - before.older) * (sum(back) / len(back) if back else 0)
    visits, spent = f"active_days_slope_{names.whole}d", f"spend_slope_{names.whole}d"
    new[visits] = row[visits] + visited / divisor
    bounds = [0, *(days // question.period_days for days in question.windows)]
    inside = [weight[start:end] for start, end in itertools.pairwise(bounds)]
    paid = sum(cents * sum(these) / len(these) for cents, these in zip(after.added, inside, strict=True))
    new[spent] = price * (row[spent] + paid / divisor)
    trips, spend = (dict(zip(question.windows, _sums(one), strict=True)) for one in (after.trips, after.spend))
    if names.month:
        pace = names.whole // names.month
        new[f"trips_ratio_{four}d_{names.whole}d"] = pace * trips[four] / trips[names.whole]
        new[f"spend_ratio_{four}d_{names.whole}d"] = _ratio(pace * spend[four], spend[names.whole])
    new[f"trips_ratio_{second}d_{four}d"] = 2 * trips[second] / max(trips[four], 1)
    new[f"spend_ratio_{second}d_{four}d"] = 2 * spend[second] / max(spend[four], 1)
    if not spend[names.whole]:
        new[f"spend_cv_{names.whole}d"] = math.nan


def _write_breadth(names: _Names, row: Values, moved: Values, new: dict[str, float]) -> None:
    whole, month = f"categories_{names.whole}d", f"categories_{names.month}d"
    if whole in moved and names.month:
        new[month] = min(row[month], new[whole])
        ratio = f"categories_ratio_{names.month}d_{names.whole}d"
        new[ratio] = _ratio(names.whole // names.month * new[month], new[whole])
    stores, share, trips = f"stores_{names.whole}d", f"top_store_share_{names.whole}d", new[f"trips_{names.whole}d"]
    if stores in row and (trips != row[f"trips_{names.whole}d"] or moved.keys() & {stores, share}):
        new[stores] = min(new[stores], trips)
        new[share] = min(max(new[share], 1 / new[stores]), (trips - new[stores] + 1) / trips)
    lines, cents = f"coupon_line_share_{names.whole}d", f"coupon_cents_{names.whole}d"
    if lines in moved and row[lines]:
        new[cents] = round(row[cents] * moved[lines] / row[lines])


def _write_mix(departments: Collection[str], moved: Values, new: dict[str, float]) -> None:
    """Let shares of the spend be no more than all of it: those that nobody moved give way."""
    shares = {name: new[name] for name in departments if not math.isnan(new.get(name, math.nan))}
    asked = sum(share for name, share in shares.items() if name in moved)
    left = sum(shares.values()) - asked
    if moved.keys() & shares.keys() and asked + left > 1:
        for name, share in shares.items():
            new[name] = share / max(asked, 1) if name in moved else share / left * max(0, 1 - asked) if left else 0


def _ratio(above: float, below: float) -> float:
    return above / below if below else math.nan


def _or(value: float, otherwise: float) -> float:
    return otherwise if math.isnan(value) else value
