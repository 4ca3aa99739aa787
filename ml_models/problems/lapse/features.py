"""The feature frame's contract: its columns, their types, ranges, nulls, meaning and rules between columns.

Every feature looks at [cutoff - 84 days, cutoff) only, in local dates; money is integer cents. Whoever adds a feature
adds one line here and one expression to the dbt model `customer_features`.
"""

import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date

import numpy as np
import pandas as pd
import pandera.pandas as pa

from ml_models.problems.contract import Feature, Risk, Unit
from ml_models.problems.question import DepartmentShare, Question

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


def _trips(days: int) -> Feature:
    return _count(
        f"trips_{days}d",
        "frequency",
        "low",
        f"Trips in {days} days",
        f"trips in {days} days: {{value}}",
        f"Orders in the last {days} days.",
        low=1 if days >= 28 else 0,
    )


def _week(number: int) -> Feature:
    ago = {1: "the newest week", 2: "the week before", 3: "the third newest week", 4: "the fourth newest week"}[number]
    return _count(
        f"active_days_week_{number}",
        "frequency",
        "low",
        f"Shopping days in {ago}",
        f"shopping days in {ago}: {{value}}",
        f"Distinct shopping days in {ago} (days {7 * number - 6} to {7 * number} before the cutoff).",
        high=7,
        unit="days",
    )


def _spend(days: int) -> Feature:
    return _count(
        f"spend_cents_{days}d",
        "spend",
        "low",
        f"Spend in {days} days",
        f"spent {{value}} in {days} days",
        f"Amount paid in the last {days} days, in cents.",
        unit="cents",
    )


def _gap(name: str, what: str, low: float = 1, phrase: str = "") -> Feature:
    return _number(
        f"gap_{name}_days_84d",
        "days",
        "rhythm",
        "high",
        f"Gap between shopping days, {what}",
        phrase or f"{what} gap between shopping days {{value}} days",
        f"{what.capitalize()} number of days between consecutive shopping days inside 84 days; "
        "null without enough shopping days.",
        low=low,
        high=83,
        nullable=True,
    )


def _share(name: str, family: str, what: str, of: str, nullable: bool = True, risk: Risk = "either") -> Feature:
    return _number(
        f"{name}_share_84d",
        "share",
        family,
        risk,
        f"{what.capitalize()}, share of {of}",
        f"{what} {{value}} of {of}",
        f"{what.capitalize()} as a share of {of} in 84 days" + ("; null without spend." if nullable else "."),
        high=1,
        nullable=nullable,
    )


_FEATURES: tuple[Feature, ...] = (
    _count(
        "recency_days",
        "recency",
        "high",
        "Days since the last visit",
        "last visit {value} days ago",
        "Days from the last shopping day to the cutoff; the population shopped within 28 days.",
        low=1,
        high=28,
        unit="days",
    ),
    *(_trips(days) for days in (7, 14, 28, 56, 84)),
    *(
        _count(
            f"active_days_{days}d",
            "frequency",
            "low",
            f"Shopping days in {days} days",
            f"shopping days in {days} days: {{value}}",
            f"Distinct shopping days in the last {days} days.",
            low=1,
            high=days,
            unit="days",
        )
        for days in (28, 84)
    ),
    _count(
        "active_weeks_84d",
        "frequency",
        "low",
        "Weeks with a visit, of 12",
        "a visit in {value} of 12 weeks",
        "Weeks of seven days, counted back from the cutoff, with at least one shopping day.",
        low=1,
        high=12,
    ),
    *(_week(number) for number in (1, 2, 3, 4)),
    _count(
        "days_since_first_seen_84d",
        "tenure",
        "low",
        "Days since first seen",
        "days since first seen: {value}",
        "Days from the first shopping day inside the 84-day window to the cutoff (84 at most).",
        low=1,
        high=84,
        unit="days",
    ),
    *(_spend(days) for days in (7, 28, 56, 84)),
    _number(
        "mean_basket_cents_84d",
        "cents",
        "spend",
        "low",
        "Mean basket",
        "mean basket {value}",
        "Mean amount of an order in 84 days, in cents.",
    ),
    *(
        _count(
            f"max_basket_cents_{days}d",
            "spend",
            "low",
            f"Largest basket in {days} days",
            f"largest basket {{value}} in {days} days",
            f"Largest order of the last {days} days, in cents.",
            unit="cents",
        )
        for days in (28, 84)
    ),
    _number(
        "lines_per_trip_84d",
        "count",
        "spend",
        "low",
        "Lines an order",
        "lines a trip: {value}",
        "Mean number of order lines an order in 84 days.",
        low=1,
    ),
    _gap("mean", "mean"),
    _gap("std", "standard deviation of the", low=0, phrase="gaps between shopping days varying by {value} days"),
    _gap("median", "median"),
    _gap("max", "longest"),
    _gap("last", "latest"),
    _gap("mean_last3", "mean of the last three", phrase="mean of the last three gaps {value} days"),
    _number(
        "recency_over_gap_mean",
        "ratio",
        "recency",
        "high",
        "Silence against the mean gap",
        "silent for {value} times the mean gap",
        "recency_days / gap_mean_days_84d; null with a single shopping day.",
        high=28,
        nullable=True,
    ),
    _number(
        "recency_over_gap_max",
        "ratio",
        "recency",
        "high",
        "Silence against the longest gap",
        "silent for {value} times the longest gap",
        "recency_days / gap_max_days_84d; null with a single shopping day.",
        high=28,
        nullable=True,
    ),
    _number(
        "recency_z",
        "deviations",
        "recency",
        "high",
        "Silence in standard deviations of the gap",
        "silence {value} standard deviations beyond the mean gap",
        "(recency_days - gap_mean_days_84d) / gap_std_days_84d; null where the deviation is zero or unknown.",
        low=None,
        nullable=True,
    ),
    _number(
        "spend_slope_84d",
        "cents a week",
        "trend",
        "low",
        "Trend of weekly spend",
        "weekly spend changing by {value} a week",
        "Least-squares slope of weekly spend over 12 weeks, in cents a week.",
        low=None,
    ),
    _number(
        "active_days_slope_84d",
        "days a week",
        "trend",
        "low",
        "Trend of weekly shopping days",
        "weekly shopping days changing by {value} a week",
        "Least-squares slope of weekly shopping days over 12 weeks, in days a week.",
        low=None,
    ),
    _number(
        "spend_cv_84d",
        "ratio",
        "trend",
        "high",
        "Unevenness of weekly spend",
        "weekly spend varying by {value} times its mean",
        "Population standard deviation of 12 weekly spends over their mean (at most √11); null without spend.",
        # The largest value, one week with all the spend, is sqrt(11); the bound leaves room for rounding.
        high=3.3167,
        nullable=True,
    ),
    _number(
        "trips_ratio_28d_84d",
        "pace",
        "trend",
        "low",
        "Trips of 28 days against 84",
        "trips of the last 28 days at {value} of the usual pace",
        "3 * trips_28d / trips_84d: 1 means an unchanged pace.",
        high=3,
    ),
    _number(
        "trips_ratio_14d_28d",
        "pace",
        "trend",
        "low",
        "Trips of 14 days against 28",
        "trips of the last 14 days at {value} of the month's pace",
        "2 * trips_14d / max(trips_28d, 1): 1 means an unchanged pace.",
        high=2,
    ),
    _number(
        "spend_ratio_28d_84d",
        "pace",
        "trend",
        "low",
        "Spend of 28 days against 84",
        "spend of the last 28 days at {value} of the usual pace",
        "3 * spend_cents_28d / spend_cents_84d: 1 means an unchanged pace; null without spend.",
        high=3,
        nullable=True,
    ),
    _number(
        "spend_ratio_14d_28d",
        "pace",
        "trend",
        "low",
        "Spend of 14 days against 28",
        "spend of the last 14 days at {value} of the month's pace",
        "2 * the spend of 14 days / max(spend_cents_28d, 1): 1 means an unchanged pace.",
        high=2,
    ),
    _number(
        "categories_ratio_28d_84d",
        "ratio",
        "trend",
        "low",
        "Categories of 28 days against 84",
        "categories of the last 28 days at {value} times a third of the usual",
        "3 * categories_28d / categories_84d; null when no line has a category.",
        high=3,
        nullable=True,
    ),
    *(
        _count(
            f"categories_{days}d",
            "breadth",
            "low",
            f"Categories in {days} days",
            f"product categories in {days} days: {{value}}",
            f"Distinct product categories bought in the last {days} days.",
        )
        for days in (28, 84)
    ),
    _count(
        "departments_84d",
        "breadth",
        "low",
        "Departments in 84 days",
        "departments in 84 days: {value}",
        "Distinct departments bought from in 84 days.",
    ),
    _number(
        "distinct_product_ratio_84d",
        "share",
        "breadth",
        "high",
        "Distinct products a line",
        "{value} of the order lines are different products",
        "Distinct products / order lines in 84 days: 1 means that nothing was bought twice.",
        high=1,
    ),
    _count(
        "stores_84d",
        "breadth",
        "low",
        "Stores in 84 days",
        "stores in 84 days: {value}",
        "Distinct stores visited in 84 days.",
        low=1,
    ),
    _number(
        "top_store_share_84d",
        "share",
        "breadth",
        "either",
        "Share of trips to the main store",
        "{value} of the trips to one store",
        "Share of the orders of 84 days placed in the most visited store.",
        high=1,
    ),
    _share("private_label", "mix", "private label", "the lines", nullable=False),
    _share("produce", "mix", "produce", "spend"),
    _share("meat", "mix", "meat and seafood", "spend"),
    _share("drug", "mix", "drugstore goods", "spend"),
    _share("fuel", "mix", "fuel", "spend"),
    _share("fuel_trip", "mix", "trips with fuel", "the trips", nullable=False),
    *(
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
        for days in (28, 84)
    ),
    _share("coupon_line", "promotion", "lines with a coupon", "the lines", nullable=False),
    _count(
        "coupon_cents_84d",
        "promotion",
        "either",
        "Coupon value",
        "coupons worth {value} in 84 days",
        "Value of coupons used in 84 days, in cents.",
        unit="cents",
    ),
    _share("weekend", "timing", "weekend trips", "the trips", nullable=False),
    _number(
        "mean_hour_84d",
        "hour",
        "timing",
        "either",
        "Mean hour of a trip",
        "trips at {value} o'clock on average",
        "Mean local hour (0 to 23) at which orders of 84 days were placed.",
        high=23,
    ),
    _share("evening", "timing", "trips after 17:00", "the trips", nullable=False),
)

CATALOGUE: dict[str, Feature] = {feature.name: feature for feature in _FEATURES}
FEATURES: list[str] = list(CATALOGUE)


def catalogue(
    question: Question,  # noqa: ARG001
    parts: Collection[str],  # noqa: ARG001
    departments: Iterable[DepartmentShare] = (),  # noqa: ARG001
) -> dict[str, Feature]:
    """Return the features of a question that a company with these parts can have; so far, those of the bundled one."""
    return CATALOGUE


_Rule = Callable[[pd.DataFrame], pd.Series]


def _ordered(*columns: str) -> _Rule:
    def holds(frame: pd.DataFrame) -> pd.Series:
        result = pd.Series(True, index=frame.index)
        for smaller, larger in itertools.pairwise(columns):
            # A null on either side is the nullability check's business, not an order violation.
            result &= ~(frame[smaller] > frame[larger])
        return result

    return holds


# Means and maxima come from different float divisions: allow rounding, not more.
_ROUNDING = 1e-9

# Rules that tie columns together: each catches a window, a join or a unit that slipped in one column only.
CROSS_COLUMN_RULES: dict[str, tuple[str, _Rule]] = {
    "trip windows nest": (
        "trips_7d <= trips_14d <= trips_28d <= trips_56d <= trips_84d",
        _ordered("trips_7d", "trips_14d", "trips_28d", "trips_56d", "trips_84d"),
    ),
    "spend windows nest": (
        "spend_cents_7d <= spend_cents_28d <= spend_cents_56d <= spend_cents_84d",
        _ordered("spend_cents_7d", "spend_cents_28d", "spend_cents_56d", "spend_cents_84d"),
    ),
    "shopping days nest": (
        "active_weeks_84d <= active_days_84d <= trips_84d and active_days_28d <= active_days_84d",
        lambda f: (
            (f["active_weeks_84d"] <= f["active_days_84d"])
            & (f["active_days_84d"] <= f["trips_84d"])
            & (f["active_days_28d"] <= f["active_days_84d"])
            & (f["active_days_28d"] <= f["trips_28d"])
        ),
    ),
    "weeks add up": (
        "active_days_week_1 + … + active_days_week_4 = active_days_28d",
        lambda f: f[[f"active_days_week_{k}" for k in (1, 2, 3, 4)]].sum(axis=1) == f["active_days_28d"],
    ),
    "recency agrees with trips": (
        "recency_days <= 7 exactly when trips_7d > 0, and recency_days <= days_since_first_seen_84d",
        lambda f: (
            ((f["recency_days"] <= 7) == (f["trips_7d"] > 0)) & (f["recency_days"] <= f["days_since_first_seen_84d"])
        ),
    ),
    "baskets nest": (
        "mean_basket_cents_84d and max_basket_cents_28d <= max_basket_cents_84d <= spend_cents_84d",
        lambda f: (
            (f["mean_basket_cents_84d"] <= f["max_basket_cents_84d"] + _ROUNDING)
            & (f["max_basket_cents_28d"] <= f["max_basket_cents_84d"])
            & (f["max_basket_cents_84d"] <= f["spend_cents_84d"])
        ),
    ),
    "breadth nests": (
        "categories_28d <= categories_84d and stores_84d <= trips_84d",
        lambda f: (f["categories_28d"] <= f["categories_84d"]) & (f["stores_84d"] <= f["trips_84d"]),
    ),
    "gaps nest": (
        "gap_mean_days_84d and gap_median_days_84d <= gap_max_days_84d",
        lambda f: (
            ~(f["gap_mean_days_84d"] > f["gap_max_days_84d"] + _ROUNDING)
            & ~(f["gap_median_days_84d"] > f["gap_max_days_84d"])
        ),
    ),
    "gaps exist": (
        "gap_mean_days_84d is null exactly when active_days_84d = 1",
        lambda f: f["gap_mean_days_84d"].isna() == (f["active_days_84d"] == 1),
    ),
}


def _range_sentence(feature: Feature) -> str:
    kind = "whole numbers" if feature.dtype == "int64" else "finite numbers"
    if feature.low is not None and feature.high is not None:
        bounds = f" from {feature.low:g} to {feature.high:g}"
    elif feature.low is not None:
        bounds = f" of at least {feature.low:g}"
    else:
        bounds = ""
    return f"{kind}{bounds}" + (", or null" if feature.nullable else "")


def _column(feature: Feature) -> pa.Column:
    low = -np.inf if feature.low is None else feature.low
    high = np.inf if feature.high is None else feature.high

    def within_bounds(values: pd.Series) -> "pd.Series[bool]":
        # One pass for bounds and infinities; pandera drops nulls before it calls a check.
        within: pd.Series[bool] = np.isfinite(values) & (values >= low) & (values <= high)
        return within

    return pa.Column(
        feature.dtype,
        pa.Check(within_bounds, name="range", error=_range_sentence(feature), n_failure_cases=5),
        nullable=feature.nullable,
        title=feature.label,
        description=feature.description,
        metadata={"unit": feature.unit, "family": feature.family},
    )


def _check(name: str, sentence: str, rule: _Rule) -> pa.Check:
    # Few failure cases: pandera repeats a failing row once for each of 60 columns.
    return pa.Check(rule, name=name, error=sentence, n_failure_cases=5)


def frame_schema(
    cutoffs: Sequence[date | pd.Timestamp], required: Sequence[date | pd.Timestamp] = ()
) -> pa.DataFrameSchema:
    """Return the pandera schema of a feature frame.

    `cutoffs` are the Mondays that exist so far; a row may have no other cutoff, so nothing later than the newest gets
    in. `required` are those among them that are being handed over and must have rows (an incremental hand-over: the
    new ones). The schema is strict: an unknown column fails as a missing one does. Raises ValueError when a cutoff is
    not a Monday or when there is none.
    """
    expected = pd.DatetimeIndex(pd.to_datetime(list(cutoffs))).as_unit("us")
    needed = pd.DatetimeIndex(pd.to_datetime(list(required))).as_unit("us")
    if expected.empty:
        raise ValueError("Expected at least one cutoff to validate, got none; build features/cutoffs first.")
    if (expected.dayofweek != 0).any():
        odd = ", ".join(str(c.date()) for c in expected[expected.dayofweek != 0])
        raise ValueError(f"Expected cutoffs on Mondays, got {odd}; check the first_cutoff variable of the dbt project.")
    newest = expected.max().date()
    no_text = "text of at least one character"
    return pa.DataFrameSchema(
        {
            "customer_id": pa.Column(
                str,
                pa.Check(lambda s: s.str.len() > 0, name="not empty", error=no_text, n_failure_cases=5),
                description="The customer, as the canonical tables name them.",
            ),
            "cutoff_date": pa.Column(
                "datetime64[us]",
                [
                    pa.Check(
                        lambda s: s <= expected.max(),
                        name="no row later than the cutoff",
                        error=f"dates up to the newest cutoff, {newest}",
                        n_failure_cases=5,
                    ),
                    pa.Check(
                        lambda s: s.isin(expected),
                        name="known cutoff",
                        error=f"one of the {len(expected)} cutoffs from {expected.min().date()} to {newest}",
                        n_failure_cases=5,
                    ),
                    pa.Check(
                        lambda s: bool(needed.isin(s.unique()).all()),
                        name="every cutoff has rows",
                        error="rows for each of the cutoffs " + ", ".join(str(c.date()) for c in needed),
                    ),
                ],
                description="The Monday at whose start the features were taken.",
            ),
            **{name: _column(feature) for name, feature in CATALOGUE.items()},
        },
        checks=[_check(name, sentence, rule) for name, (sentence, rule) in CROSS_COLUMN_RULES.items()],
        unique=KEYS,
        strict=True,
        name="feature_frame",
        description="One row a customer and cutoff: the features that training and scoring see.",
    )
