"""On which days there are orders: weekdays that are closed, single days without any, and the hours of the day."""

from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

CLOSED_SHARE = 0.8
"""Share of its occurrences without an order from which a weekday counts as closed."""

OCCURRENCES = 6
"""Occurrences of a weekday that are needed to say so."""

NIGHT_SHARE = 0.3
"""Share of orders between 0 and 6 o'clock from which the zone is doubted: shops are closed then, web shops quiet."""


@dataclass(frozen=True)
class Calendar:
    """Orders by day (all days of the span, zeros included), closed weekdays, other days without an order, night share.

    `night_share` is the share of orders between 0 and 6 o'clock; None where hours are not known.
    """

    orders: pd.Series
    closed_weekdays: tuple[str, ...]
    empty_days: tuple[date, ...]
    night_share: float | None

    @property
    def weekday_means(self) -> pd.Series:
        """Orders a day by weekday, 0 is Monday."""
        return self.orders.groupby(pd.DatetimeIndex(self.orders.index).dayofweek).mean()

    @property
    def strongest_weekday(self) -> tuple[str, float]:
        """The weekday with most orders, and how many times an average day's it has."""
        means = self.weekday_means
        return WEEKDAYS[int(means.idxmax())], float(means.max() / self.orders.mean())


def calendar_of(orders: pd.DataFrame, through: date, hours: pd.Series | None = None) -> Calendar:
    """Return the calendar of orders by day (`ordered_on`, `orders`); `hours`: orders by hour of day, index 0 to 23.

    >>> days = pd.DataFrame({"ordered_on": pd.date_range("2024-01-01", periods=60), "orders": 5})
    >>> shop = calendar_of(days[days["ordered_on"].dt.dayofweek < 6], date(2024, 2, 29))
    >>> shop.closed_weekdays, shop.empty_days
    (('Sunday',), ())
    """
    by_day = orders.assign(ordered_on=pd.to_datetime(orders["ordered_on"])).set_index("ordered_on")["orders"]
    whole = by_day.reindex(pd.date_range(by_day.index.min(), pd.Timestamp(through), freq="D"), fill_value=0)
    empty, weekday = whole == 0, pd.DatetimeIndex(whole.index).dayofweek
    share, seen = (empty.groupby(weekday).agg(one) for one in ("mean", "size"))
    closed = [day for day in range(7) if seen.get(day, 0) >= OCCURRENCES and share[day] >= CLOSED_SHARE]
    others = pd.DatetimeIndex(whole.index[empty & ~weekday.isin(closed)])
    night = None if hours is None or not hours.sum() else float(hours[hours.index < 6].sum() / hours.sum())
    return Calendar(whole, tuple(WEEKDAYS[day] for day in closed), tuple(stamp.date() for stamp in others), night)


def stretches(days: tuple[date, ...]) -> list[tuple[date, date]]:
    """Return neighbouring days as (first, last), ascending.

    >>> stretches((date(2024, 12, 25), date(2024, 12, 26), date(2025, 1, 1)))
    [(datetime.date(2024, 12, 25), datetime.date(2024, 12, 26)), (datetime.date(2025, 1, 1), datetime.date(2025, 1, 1))]
    """
    found: list[tuple[date, date]] = []
    for day in sorted(days):
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found
