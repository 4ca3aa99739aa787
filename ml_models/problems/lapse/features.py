"""The features: names, types, ranges, nulls and meaning. What a company lacks takes its features away.

Every feature looks at [cutoff - look-back, cutoff) only, in local dates; money is integer cents. The names carry the
windows. Whoever adds a feature adds one line here and one expression to the dbt model `customer_features`.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from ml_models.problems.contract import Feature, Risk, Unit
from ml_models.problems.question import WEEK, DepartmentShare, Question

KEYS: list[str] = ["customer_id", "cutoff_date"]

# Families group features that say the same thing, so that a reason is counted and told once.
FAMILIES: dict[str, str] = {
    "recency": "how long ago the last visit was",
    "frequency": "how often the customer came",
    "tenure": "how long the customer is known",
    "spend": "how much was spent",
    "rhythm": "the usual gaps between visits",
    "trend": "whether visits and spend rise or fall",
    "breadth": "how wide the shopping is",
    "mix": "what is bought",
    "promotion": "how much is bought on discount",
    "returns": "how much is sent back",
    "timing": "when the customer shops",
}


def _count(
    name: str,
    family: str,
    risk: Risk,
    label: str,
    phrase: str,
    description: str,
    low: float | None = 0,
    high: float | None = None,
    unit: Unit = "count",
) -> Feature:
    return Feature(name, "int64", unit, low, high, False, family, risk, label, phrase, description)


def _number(
    name: str,
    unit: Unit,
    family: str,
    risk: Risk,
    label: str,
    phrase: str,
    description: str,
    low: float | None = 0,
    high: float | None = None,
    nullable: bool = False,
) -> Feature:
    return Feature(name, "float64", unit, low, high, nullable, family, risk, label, phrase, description)


def period_word(question: Question) -> str:
    """Return what a period of the look-back is called in names and texts."""
    return "week" if question.period_days == WEEK else "period"


@dataclass(frozen=True)
class _Maker:
    """Makes the features of a question; each method is a kind of them."""

    question: Question

    @property
    def whole(self) -> int:
        """The look-back, in days."""
        return self.question.look_back_days

    @property
    def month(self) -> int | None:
        """The window that is held against the look-back; None where they are the same."""
        days = self.question.month_days
        return days if days < self.whole else None

    @property
    def long_windows(self) -> tuple[int, ...]:
        """The month, if it is shorter, and the look-back."""
        return (self.month, self.whole) if self.month else (self.whole,)

    @property
    def period(self) -> str:
        """What a twelfth of the look-back is called."""
        return period_word(self.question)

    def everyone_has(self, days: int) -> int:
        """Return the least count of visits in the last `days`: rows are customers who came lately."""
        return 1 if days >= self.question.active_within_days else 0

    def trips(self, days: int) -> Feature:
        """Describe orders in a window."""
        return _count(
            f"trips_{days}d",
            "frequency",
            "low",
            f"Trips in {days} days",
            f"trips in {days} days: {{value}}",
            f"Orders in the last {days} days.",
            low=self.everyone_has(days),
        )

    def active_days(self, days: int) -> Feature:
        """Describe shopping days in a window."""
        return _count(
            f"active_days_{days}d",
            "frequency",
            "low",
            f"Shopping days in {days} days",
            f"shopping days in {days} days: {{value}}",
            f"Distinct shopping days in the last {days} days.",
            low=self.everyone_has(days),
            high=days,
            unit="days",
        )

    def active_days_of_period(self, number: int) -> Feature:
        """Describe shopping days in one of the newest periods."""
        days, word = self.question.period_days, self.period
        ago = (
            f"the newest {word}",
            f"the {word} before",
            f"the third newest {word}",
            f"the fourth newest {word}",
        )[number - 1]
        return _count(
            f"active_days_{word}_{number}",
            "frequency",
            "low",
            f"Shopping days in {ago}",
            f"shopping days in {ago}: {{value}}",
            f"Distinct shopping days in {ago} (days {days * (number - 1) + 1} to {days * number} before the cutoff).",
            high=days,
            unit="days",
        )

    def spend(self, days: int) -> Feature:
        """Describe purchases in a window, in cents."""
        return _count(
            f"spend_cents_{days}d",
            "spend",
            "low",
            f"Spend in {days} days",
            f"spent {{value}} in {days} days",
            f"Amount paid in the last {days} days, in cents.",
            unit="cents",
        )

    def max_basket(self, days: int) -> Feature:
        """Describe the largest order in a window, in cents."""
        return (
            _number(
                f"max_basket_cents_{days}d",
                "cents",
                "spend",
                "low",
                f"Largest basket in {days} days",
                f"largest basket {{value}} in {days} days",
                f"Largest order of the last {days} days, in cents; null without one.",
                nullable=True,
            )
            if not self.everyone_has(days)
            else _count(
                f"max_basket_cents_{days}d",
                "spend",
                "low",
                f"Largest basket in {days} days",
                f"largest basket {{value}} in {days} days",
                f"Largest order of the last {days} days, in cents.",
                unit="cents",
            )
        )

    def gap(self, name: str, what: str, low: float = 1, phrase: str = "") -> Feature:
        """Describe a statistic of the days between shopping days."""
        return _number(
            f"gap_{name}_days_{self.whole}d",
            "days",
            "rhythm",
            "high",
            f"Gap between shopping days, {what}",
            phrase or f"{what} gap between shopping days {{value}} days",
            f"{what.capitalize()} number of days between consecutive shopping days inside {self.whole} days; "
            "null without enough shopping days.",
            low=low,
            high=self.whole - 1,
            nullable=True,
        )

    def share(
        self, name: str, family: str, what: str, of: str, nullable: bool = True, risk: Risk = "either"
    ) -> Feature:
        """Describe a share of lines, spend or trips in the look-back."""
        return _number(
            f"{name}_share_{self.whole}d",
            "share",
            family,
            risk,
            f"{what.capitalize()}, share of {of}",
            f"{what} {{value}} of {of}",
            f"{what.capitalize()} as a share of {of} in {self.whole} days"
            + ("; null without spend." if nullable else "."),
            high=1,
            nullable=nullable,
        )

    def pace(self, what: str, shorter: int, longer: int, expression: str, phrase: str, nullable: bool) -> Feature:
        """Describe what happened in the shorter of two windows against the longer one; 1 is an unchanged pace."""
        word = {"trips": "Trips", "spend": "Spend", "categories": "Categories"}[what]
        return _number(
            f"{what}_ratio_{shorter}d_{longer}d",
            "ratio" if what == "categories" else "pace",
            "trend",
            "low",
            f"{word} of {shorter} days against {longer}",
            phrase,
            expression,
            high=longer // shorter,
            nullable=nullable,
        )

    def recency_and_frequency(self) -> list[Feature]:
        """Describe when and how often."""
        whole, days, word = self.whole, self.question.active_within_days, self.period
        periods = self.question.periods
        return [
            _count(
                "recency_days",
                "recency",
                "high",
                "Days since the last visit",
                "last visit {value} days ago",
                f"Days from the last shopping day to the cutoff; the population shopped within {days} days.",
                low=1,
                high=days,
                unit="days",
            ),
            *(self.trips(window) for window in self.question.windows),
            *(self.active_days(window) for window in self.long_windows),
            _count(
                f"active_{word}s_{whole}d",
                "frequency",
                "low",
                f"{word.capitalize()}s with a visit, of {periods}",
                f"a visit in {{value}} of {periods} {word}s",
                f"{word.capitalize()}s of {_days(self.question.period_days)} days, counted back from the cutoff, with "
                "at least one shopping day.",
                low=1,
                high=periods,
            ),
            *(self.active_days_of_period(number) for number in (1, 2, 3, 4)),
            # Nobody is seen before the look-back begins: an old customer of whom it holds one visit looks new.
            replace(
                _count(
                    f"days_since_first_seen_{whole}d",
                    "tenure",
                    "low",
                    "Days since first seen",
                    "days since first seen: {value}",
                    f"Days from the first shopping day inside the {whole}-day window to the cutoff ({whole} at most).",
                    low=1,
                    high=whole,
                    unit="days",
                ),
                quoted=False,
            ),
        ]

    def money(self, parts: Collection[str]) -> list[Feature]:
        """Describe how much."""
        windows, whole = self.question.windows, self.whole
        lines = _number(
            f"lines_per_trip_{whole}d",
            "count",
            "spend",
            "low",
            "Lines an order",
            "lines a trip: {value}",
            f"Mean number of order lines an order in {whole} days.",
            low=1,
        )
        return [
            *(self.spend(days) for days in windows if days != windows[1]),
            _number(
                f"mean_basket_cents_{whole}d",
                "cents",
                "spend",
                "low",
                "Mean basket",
                "mean basket {value}",
                f"Mean amount of an order in {whole} days, in cents.",
            ),
            *(self.max_basket(days) for days in self.long_windows),
            *([lines] if "lines" in parts else []),
        ]

    def rhythm(self) -> list[Feature]:
        """Describe the gaps between visits."""
        whole, days = self.whole, self.question.active_within_days
        return [
            self.gap("mean", "mean"),
            self.gap(
                "std", "standard deviation of the", low=0, phrase="gaps between shopping days varying by {value} days"
            ),
            self.gap("median", "median"),
            self.gap("max", "longest"),
            self.gap("last", "latest"),
            self.gap("mean_last3", "mean of the last three", phrase="mean of the last three gaps {value} days"),
            _number(
                "recency_over_gap_mean",
                "ratio",
                "recency",
                "high",
                "Silence against the mean gap",
                "silent for {value} times the mean gap",
                f"recency_days / gap_mean_days_{whole}d; null with a single shopping day.",
                high=days,
                nullable=True,
            ),
            _number(
                "recency_over_gap_max",
                "ratio",
                "recency",
                "high",
                "Silence against the longest gap",
                "silent for {value} times the longest gap",
                f"recency_days / gap_max_days_{whole}d; null with a single shopping day.",
                high=days,
                nullable=True,
            ),
            _number(
                "recency_z",
                "deviations",
                "recency",
                "high",
                "Silence in standard deviations of the gap",
                "silence {value} standard deviations beyond the mean gap",
                f"(recency_days - gap_mean_days_{whole}d) / gap_std_days_{whole}d; null where the deviation is zero or "
                "unknown.",
                low=None,
                nullable=True,
            ),
        ]

    def trend(self, parts: Collection[str]) -> list[Feature]:
        """Describe whether it rises or falls."""
        whole, month, word, periods = self.whole, self.question.month_days, self.period, self.question.periods
        weekly = "weekly" if word == "week" else "a period's"
        short, times = self.question.windows[1], whole // month
        money: Unit = "cents a week" if word == "week" else "cents a period"
        visits: Unit = "days a week" if word == "week" else "days a period"
        found = [
            _number(
                f"spend_slope_{whole}d",
                money,
                "trend",
                "low",
                f"Trend of {weekly} spend",
                f"{weekly} spend changing by {{value}} a {word}",
                f"Least-squares slope of {weekly} spend over {periods} {word}s, in cents a {word}.",
                low=None,
            ),
            _number(
                f"active_days_slope_{whole}d",
                visits,
                "trend",
                "low",
                f"Trend of {weekly} shopping days",
                f"{weekly} shopping days changing by {{value}} a {word}",
                f"Least-squares slope of {weekly} shopping days over {periods} {word}s, in days a {word}.",
                low=None,
            ),
            # One visit in the look-back always gives the largest value: it would tell the window, not the customer.
            replace(
                _number(
                    f"spend_cv_{whole}d",
                    "ratio",
                    "trend",
                    "high",
                    f"Unevenness of {weekly} spend",
                    f"{weekly} spend varying by {{value}} times its mean",
                    f"Population standard deviation of {periods} {word}s' spend over their mean (at most "
                    f"√{periods - 1}); null without spend.",
                    # The largest value is one period with all the spend; the bound leaves room for rounding.
                    high=math.ceil(math.sqrt(periods - 1) * 1e4) / 1e4,
                    nullable=True,
                ),
                quoted=False,
            ),
        ]
        pace_of_month = "the month's pace" if month == 28 else f"the pace of {month} days"
        if self.month:
            found.append(
                self.pace(
                    "trips",
                    month,
                    whole,
                    f"{times} * trips_{month}d / trips_{whole}d: 1 means an unchanged pace.",
                    f"trips of the last {month} days at {{value}} of the usual pace",
                    nullable=False,
                )
            )
        found.append(
            self.pace(
                "trips",
                short,
                month,
                f"2 * trips_{short}d / max(trips_{month}d, 1): 1 means an unchanged pace.",
                f"trips of the last {short} days at {{value}} of {pace_of_month}",
                nullable=False,
            )
        )
        if self.month:
            found.append(
                self.pace(
                    "spend",
                    month,
                    whole,
                    f"{times} * spend_cents_{month}d / spend_cents_{whole}d: 1 means an unchanged pace; null without "
                    "spend.",
                    f"spend of the last {month} days at {{value}} of the usual pace",
                    nullable=True,
                )
            )
        found.append(
            self.pace(
                "spend",
                short,
                month,
                f"2 * the spend of {short} days / max(spend_cents_{month}d, 1): 1 means an unchanged pace.",
                f"spend of the last {short} days at {{value}} of {pace_of_month}",
                nullable=False,
            )
        )
        if self.month and "categories" in parts:
            found.append(
                self.pace(
                    "categories",
                    month,
                    whole,
                    f"{times} * categories_{month}d / categories_{whole}d; null when no line has a category.",
                    f"categories of the last {month} days at {{value}} times {_part(times)} of the usual",
                    nullable=True,
                )
            )
        return found

    def breadth(self, parts: Collection[str]) -> list[Feature]:
        """Describe how wide the shopping is."""
        whole, found = self.whole, []
        if "categories" in parts:
            found += [
                _count(
                    f"categories_{days}d",
                    "breadth",
                    "low",
                    f"Categories in {days} days",
                    f"product categories in {days} days: {{value}}",
                    f"Distinct product categories bought in the last {days} days.",
                )
                for days in self.long_windows
            ]
        if "departments" in parts:
            found.append(
                _count(
                    f"departments_{whole}d",
                    "breadth",
                    "low",
                    f"Departments in {whole} days",
                    f"departments in {whole} days: {{value}}",
                    f"Distinct departments bought from in {whole} days.",
                )
            )
        if {"products", "lines"} <= set(parts):
            found.append(
                _number(
                    f"distinct_product_ratio_{whole}d",
                    "share",
                    "breadth",
                    "high",
                    "Distinct products a line",
                    "{value} of the order lines are different products",
                    f"Distinct products / order lines in {whole} days: 1 means that nothing was bought twice.",
                    high=1,
                )
            )
        if "stores" in parts:
            found += [
                _count(
                    f"stores_{whole}d",
                    "breadth",
                    "low",
                    f"Stores in {whole} days",
                    f"stores in {whole} days: {{value}}",
                    f"Distinct stores visited in {whole} days.",
                    low=1,
                ),
                _number(
                    f"top_store_share_{whole}d",
                    "share",
                    "breadth",
                    "either",
                    "Share of trips to the main store",
                    "{value} of the trips to one store",
                    f"Share of the orders of {whole} days placed in the most visited store.",
                    high=1,
                ),
            ]
        return found

    def mix(self, parts: Collection[str], departments: Iterable[DepartmentShare]) -> list[Feature]:
        """Describe what is bought."""
        departments = tuple(departments) if "departments" in parts else ()
        return [
            *(
                [self.share("private_label", "mix", "private label", "the lines", nullable=False)]
                if "private_label" in parts
                else []
            ),
            *(self.share(one.name, "mix", one.told, "spend") for one in departments),
            *(
                self.share(f"{one.name}_trip", "mix", f"trips with {one.told}", "the trips", nullable=False)
                for one in departments
                if one.trips
            ),
        ]

    def promotion(self, parts: Collection[str]) -> list[Feature]:
        """Describe how much is bought on discount, and how much goes back."""
        whole, found = self.whole, []
        if "discounts" in parts:
            found += [
                _number(
                    f"discount_rate_{days}d",
                    "share",
                    "promotion",
                    "either",
                    f"Discount rate, {days} days",
                    f"discounts {{value}} of the shelf price in {days} days",
                    f"Discount / (amount + discount) over {days} days; null without amount and discount.",
                    high=1,
                    nullable=True,
                )
                for days in self.long_windows
            ]
        if "coupons" in parts:
            found += [
                self.share("coupon_line", "promotion", "lines with a coupon", "the lines", nullable=False),
                _count(
                    f"coupon_cents_{whole}d",
                    "promotion",
                    "either",
                    "Coupon value",
                    f"coupons worth {{value}} in {whole} days",
                    f"Value of coupons used in {whole} days, in cents.",
                    unit="cents",
                ),
            ]
        if "returns" in parts:
            found.append(
                _number(
                    f"returned_ratio_{whole}d",
                    "ratio",
                    "returns",
                    "either",
                    "Value returned against spend",
                    "returned {value} times the spend",
                    f"Value of what was returned in {whole} days over the spend of these days; above 1 where purchases "
                    "of before came back; null without spend.",
                    nullable=True,
                )
            )
        return found

    def timing(self, parts: Collection[str]) -> list[Feature]:
        """Describe when."""
        whole = self.whole
        hours = [
            _number(
                f"mean_hour_{whole}d",
                "hour",
                "timing",
                "either",
                "Mean hour of a trip",
                "trips at {value} o'clock on average",
                f"Mean local hour (0 to 23) at which orders of {whole} days were placed.",
                high=23,
            ),
            self.share("evening", "timing", "trips after 17:00", "the trips", nullable=False),
        ]
        return [
            self.share("weekend", "timing", "weekend trips", "the trips", nullable=False),
            *(hours if "hours" in parts else []),
        ]


def _days(days: int) -> str:
    return "seven" if days == WEEK else str(days)


def _part(times: int) -> str:
    return {2: "half", 3: "a third"}[times]


def catalogue(
    question: Question, parts: Collection[str], departments: Iterable[DepartmentShare] = ()
) -> dict[str, Feature]:
    """Return the features that a company can have, by name, in the order of the frame.

    `parts`: what its data hold (`Company.parts`); features of others are left out. `departments`: whose shares of the
    spend are features.

    >>> least = catalogue(Question(look_back_days=28), parts=())
    >>> [name for name in least if "28d" in name][:4]
    ['trips_28d', 'active_days_28d', 'active_weeks_28d', 'days_since_first_seen_28d']
    """
    make = _Maker(question)
    found = [
        *make.recency_and_frequency(),
        *make.money(parts),
        *make.rhythm(),
        *make.trend(parts),
        *make.breadth(parts),
        *make.mix(parts, departments),
        *make.promotion(parts),
        *make.timing(parts),
    ]
    return {feature.name: feature for feature in found}
