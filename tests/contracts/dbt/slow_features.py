"""Features again, from their definitions, one customer and cutoff at a time, in pandas.

Shares nothing with the SQL: it starts from the raw tables, converts time zones with pandas, loops where SQL joins, and
fits lines with numpy. It is slow and meant to be read. A new feature may come without a definition here; one that is
worth doubting gets one.
"""

import itertools
import math
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd

MEAT = {"MEAT", "MEAT-PCKGD", "SEAFOOD", "SEAFOOD-PCKGD"}


def lines_of(path: str) -> pd.DataFrame:
    """Return every raw transaction line with its product, local time, day and amounts in cents."""
    with duckdb.connect(path, read_only=True) as connection:
        lines = connection.execute("select * from raw.transactions").fetchdf()
        products = connection.execute(
            "select product_id, department, product_category, brand from raw.products"
        ).fetchdf()
    lines = lines.merge(products, on="product_id", how="left")
    lines["customer"] = lines["household_id"].astype(str)
    local = lines["transaction_timestamp"].dt.tz_localize("UTC").dt.tz_convert("America/New_York")
    lines["day"] = local.dt.date
    lines["hour"] = local.dt.hour
    lines["cents"] = (lines["sales_value"] * 100).round().astype("int64")
    lines["discount"] = (lines["retail_disc"] * 100).round().astype("int64")
    lines["coupon"] = ((lines["coupon_disc"] + lines["coupon_match_disc"]) * 100).round().astype("int64")
    return lines


def population(lines: pd.DataFrame, cutoff: date) -> set[str]:
    """Return who shopped in [cutoff - 28 days, cutoff)."""
    active = lines[(lines["day"] >= cutoff - timedelta(days=28)) & (lines["day"] < cutoff)]
    return set(active["customer"])


def outcome(lines: pd.DataFrame, customer: str, cutoff: date) -> dict[str, float]:
    """Return the label and its two companions over [cutoff, cutoff + 28 days)."""
    after = lines[
        (lines["customer"] == customer) & (lines["day"] >= cutoff) & (lines["day"] < cutoff + timedelta(days=28))
    ]
    return {
        "lapsed": int(after.empty),
        "active_days_next_28d": after["day"].nunique(),
        "spend_cents_next_28d": int(after["cents"].sum()),
    }


def _over(numerator: float, denominator: float) -> float:
    if math.isnan(numerator) or math.isnan(denominator) or denominator == 0:
        return math.nan
    return numerator / denominator


def features(lines: pd.DataFrame, customer: str, cutoff: date) -> dict[str, float]:
    """Return the defined features of one customer at one cutoff, in their order; nan where a feature is undefined."""
    mine = lines[lines["customer"] == customer]

    def last(days: int, frame: pd.DataFrame = mine) -> pd.DataFrame:
        return frame[(frame["day"] >= cutoff - timedelta(days=days)) & (frame["day"] < cutoff)]

    window = last(84)
    baskets = window.groupby("basket_id").agg(
        day=("day", "first"),
        hour=("hour", "first"),
        cents=("cents", "sum"),
        store=("store_id", "first"),
        fuel=("department", lambda departments: (departments == "FUEL").any()),
    )

    def trips(days: int) -> int:
        return int(last(days)["basket_id"].nunique())

    def spend(days: int) -> int:
        return int(last(days)["cents"].sum())

    def active_days(newest: int, oldest: int) -> int:
        """Count shopping days from `oldest` to `newest` days before the cutoff."""
        ages = {(cutoff - day).days for day in window["day"].unique()}
        return len([age for age in ages if newest <= age <= oldest])

    days = sorted(window["day"].unique())
    recency = (cutoff - days[-1]).days
    gaps = [(later - earlier).days for earlier, later in itertools.pairwise(days)]
    gap_mean = float(np.mean(gaps)) if gaps else math.nan
    gap_std = float(np.std(gaps, ddof=1)) if len(gaps) > 1 else math.nan
    gap_max = float(max(gaps)) if gaps else math.nan

    weekly_spend = [spend(7 * week) - spend(7 * (week - 1)) for week in range(12, 0, -1)]
    weekly_days = [active_days(7 * week - 6, 7 * week) for week in range(12, 0, -1)]

    def slope(values: list[int]) -> float:
        return float(np.polyfit(np.arange(12), values, 1)[0])

    def share(mask: pd.Series) -> float:
        return _over(float(window.loc[mask, "cents"].sum()), float(window["cents"].sum()))

    def discount_rate(frame: pd.DataFrame) -> float:
        return _over(float(frame["discount"].sum()), float(frame["discount"].sum() + frame["cents"].sum()))

    categories_28, categories_84 = last(28)["product_category"].nunique(), window["product_category"].nunique()
    lines_84, trips_84 = len(window), trips(84)
    result: dict[str, Any] = {
        "recency_days": recency,
        **{f"trips_{n}d": trips(n) for n in (7, 14, 28, 56, 84)},
        "active_days_28d": active_days(1, 28),
        "active_days_84d": active_days(1, 84),
        "active_weeks_84d": sum(count > 0 for count in weekly_days),
        **{f"active_days_week_{week}": active_days(7 * week - 6, 7 * week) for week in (1, 2, 3, 4)},
        "days_since_first_seen_84d": (cutoff - days[0]).days,
        **{f"spend_cents_{n}d": spend(n) for n in (7, 28, 56, 84)},
        "mean_basket_cents_84d": baskets["cents"].mean(),
        "max_basket_cents_28d": baskets.loc[baskets["day"] >= cutoff - timedelta(days=28), "cents"].max(),
        "max_basket_cents_84d": baskets["cents"].max(),
        "lines_per_trip_84d": lines_84 / trips_84,
        "gap_mean_days_84d": gap_mean,
        "gap_std_days_84d": gap_std,
        "gap_median_days_84d": float(np.median(gaps)) if gaps else math.nan,
        "gap_max_days_84d": gap_max,
        "gap_last_days_84d": gaps[-1] if gaps else math.nan,
        "gap_mean_last3_days_84d": float(np.mean(gaps[-3:])) if gaps else math.nan,
        "recency_over_gap_mean": _over(recency, gap_mean),
        "recency_over_gap_max": _over(recency, gap_max),
        "recency_z": _over(recency - gap_mean, gap_std),
        "spend_slope_84d": slope(weekly_spend),
        "active_days_slope_84d": slope(weekly_days),
        "spend_cv_84d": _over(float(np.std(weekly_spend)), float(np.mean(weekly_spend))),
        "trips_ratio_28d_84d": 3 * trips(28) / trips_84,
        "trips_ratio_14d_28d": 2 * trips(14) / max(trips(28), 1),
        "spend_ratio_28d_84d": _over(3 * spend(28), spend(84)),
        "spend_ratio_14d_28d": 2 * spend(14) / max(spend(28), 1),
        "categories_ratio_28d_84d": _over(3 * categories_28, categories_84),
        "categories_28d": categories_28,
        "categories_84d": categories_84,
        "departments_84d": window["department"].nunique(),
        "distinct_product_ratio_84d": window["product_id"].nunique() / lines_84,
        "stores_84d": baskets["store"].nunique(),
        "top_store_share_84d": baskets["store"].value_counts().iloc[0] / trips_84,
        "private_label_share_84d": (window["brand"] == "Private").sum() / lines_84,
        "produce_share_84d": share(window["department"] == "PRODUCE"),
        "meat_share_84d": share(window["department"].isin(MEAT)),
        "drug_share_84d": share(window["department"] == "DRUG GM"),
        "fuel_share_84d": share(window["department"] == "FUEL"),
        "fuel_trip_share_84d": baskets["fuel"].mean(),
        "discount_rate_28d": discount_rate(last(28)),
        "discount_rate_84d": discount_rate(window),
        "coupon_line_share_84d": (window["coupon"] > 0).sum() / lines_84,
        "coupon_cents_84d": window["coupon"].sum(),
        "weekend_share_84d": np.mean([day.weekday() >= 5 for day in baskets["day"]]),
        "mean_hour_84d": baskets["hour"].mean(),
        "evening_share_84d": (baskets["hour"] >= 17).mean(),
    }
    return {name: float(value) for name, value in result.items()}
