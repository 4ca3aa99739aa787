"""A small simulated shop: customers who come at their own pace, sometimes fall silent, and leave a valid feature frame.

Deterministic for a seed. Visits and spend are computed from the simulated days, so that all facts
between columns hold; what is bought and when is drawn once a customer and jittered. A feature that has no formula here
is drawn as its schema line allows, by a generator of its own: the other columns stay as they were before it came.
"""

import zlib
from datetime import date, timedelta

import numpy as np
import pandas as pd
from support.bundled import CATALOGUE, FEATURES

from ml_models.problems.contract import Feature
from ml_models.problems.lapse.features import KEYS

FIRST_CUTOFF = date(2017, 3, 27)
WINDOW, HORIZON, POPULATION = 84, 28, 28

HABITS = (
    "top_store_share_84d",
    "private_label_share_84d",
    "produce_share_84d",
    "meat_share_84d",
    "drug_share_84d",
    "fuel_share_84d",
    "fuel_trip_share_84d",
    "discount_rate_84d",
    "coupon_line_share_84d",
    "weekend_share_84d",
    "evening_share_84d",
)
"""Shares that are drawn once a customer and jittered each week. Their order is the order of the draws."""


def cutoffs_of(count: int) -> list[date]:
    return [FIRST_CUTOFF + timedelta(weeks=week) for week in range(count)]


def make_frame(customers: int = 400, cutoffs: int = 14, seed: int = 7) -> pd.DataFrame:
    """Return keys, the problem's features and `lapsed` for weekly cutoffs, all of them matured."""
    parts = []
    for computed in _computed(customers, cutoffs, seed):
        columns = computed | _drawn(computed, seed)
        parts.append(pd.DataFrame({name: columns[name] for name in [*KEYS, *FEATURES, "lapsed"]}))
    return pd.concat(parts, ignore_index=True)


def computed_features() -> list[str]:
    """Return the problem's features that have a formula here, in their order."""
    [columns] = _computed(customers=20, cutoffs=1, seed=7)
    return [name for name in FEATURES if name in columns]


def drawn(feature: Feature, rows: int, generator: np.random.Generator) -> np.ndarray:
    """Return values that the feature's schema line allows: of its type, inside its bounds, null where it may be."""
    low, high = feature.low, feature.high
    if low is None:
        low = 0.0 if high is None else high - 100
    high = low + 100 if high is None else high
    if feature.dtype == "int64":
        return generator.integers(int(np.ceil(low)), int(high), size=rows, endpoint=True)
    values = generator.uniform(low, high, size=rows)
    return np.where(generator.random(rows) < 0.05, np.nan, values) if feature.nullable else values


def _drawn(columns, seed):
    week, rows = int(columns["cutoff_date"][0].astype("datetime64[D]").astype("int64")), len(columns["cutoff_date"])
    return {
        name: drawn(CATALOGUE[name], rows, np.random.default_rng([seed, week, zlib.crc32(name.encode())]))
        for name in FEATURES
        if name not in columns
    }


def _computed(customers, cutoffs, seed):
    """Return keys, `lapsed` and the features that have a formula: a dictionary of columns each cutoff."""
    generator = np.random.default_rng(seed)
    days = WINDOW + 7 * (cutoffs - 1) + HORIZON
    pace = np.exp(generator.normal(-1.7, 0.9, size=customers)).clip(0.03, 0.9)
    trips = generator.poisson(np.repeat(pace[:, None], days, axis=1))
    # A customer in three falls silent for some weeks: what the model is to see coming from the first silent days.
    silent_from = generator.integers(0, days, size=customers)
    length = np.where(generator.random(customers) < 0.35, generator.integers(35, 90, size=customers), 0)
    day = np.arange(days)
    trips[(day >= silent_from[:, None]) & (day < (silent_from + length)[:, None])] = 0
    basket = np.exp(generator.normal(7.8, 0.6, size=(customers, 1)))
    largest = (
        np.where(trips > 0, basket * np.exp(generator.normal(0, 0.4, size=trips.shape)), 0).round().astype("int64")
    )
    spend = largest + np.where(trips > 1, (trips - 1) * (largest // 2), 0)
    habits = {name: generator.beta(2, 5, size=customers) for name in HABITS}
    return [
        _at(cutoff, WINDOW + 7 * week, trips, spend, largest, habits, generator)
        for week, cutoff in enumerate(cutoffs_of(cutoffs))
    ]


def _at(cutoff, end, trips, spend, largest, habits, generator):
    window = slice(end - WINDOW, end)
    seen = trips[:, window] > 0
    here = np.flatnonzero(seen[:, -POPULATION:].any(axis=1))
    seen, t, s, b = seen[here], trips[here, window], spend[here, window], largest[here, window]
    n = len(here)
    back = np.arange(WINDOW, 0, -1)  # days before the cutoff
    f = {
        "customer_id": np.char.add("c", here.astype(str)).astype(object),
        "cutoff_date": np.full(n, np.datetime64(cutoff, "us")),
        "lapsed": (~(trips[here, end : end + HORIZON] > 0).any(axis=1)).astype("int64"),
        "recency_days": np.where(seen, back, 999).min(axis=1),
        "days_since_first_seen_84d": np.where(seen, back, 0).max(axis=1),
        "active_days_28d": seen[:, -28:].sum(axis=1),
        "active_days_84d": seen.sum(axis=1),
        "mean_basket_cents_84d": s.sum(axis=1) / t.sum(axis=1),
        "max_basket_cents_28d": b[:, -28:].max(axis=1),
        "max_basket_cents_84d": b.max(axis=1),
    }
    for length in (7, 14, 28, 56, 84):
        f[f"trips_{length}d"] = t[:, -length:].sum(axis=1)
        f[f"spend_cents_{length}d"] = s[:, -length:].sum(axis=1)
    for week in (1, 2, 3, 4):
        f[f"active_days_week_{week}"] = seen[:, WINDOW - 7 * week : WINDOW - 7 * week + 7].sum(axis=1)
    weekly_days, weekly_spend = seen.reshape(n, 12, 7).sum(axis=2), s.reshape(n, 12, 7).sum(axis=2)
    centred = np.arange(12) - 5.5
    f["active_weeks_84d"] = (weekly_days > 0).sum(axis=1)
    f["spend_slope_84d"] = weekly_spend @ centred / 143
    f["active_days_slope_84d"] = weekly_days @ centred / 143
    f["spend_cv_84d"] = weekly_spend.std(axis=1) / weekly_spend.mean(axis=1)
    gaps = [np.diff(np.flatnonzero(row)) for row in seen]
    for name, statistic in {
        "mean": np.mean,
        "median": np.median,
        "max": np.max,
        "last": lambda g: g[-1],
        "mean_last3": lambda g: g[-3:].mean(),
    }.items():
        f[f"gap_{name}_days_84d"] = np.array([statistic(g) if len(g) else np.nan for g in gaps], dtype="float64")
    f["gap_std_days_84d"] = np.array([g.std(ddof=1) if len(g) > 1 else np.nan for g in gaps])
    f["recency_over_gap_mean"] = f["recency_days"] / f["gap_mean_days_84d"]
    f["recency_over_gap_max"] = f["recency_days"] / f["gap_max_days_84d"]
    spread = np.where(f["gap_std_days_84d"] > 0, f["gap_std_days_84d"], np.nan)
    f["recency_z"] = (f["recency_days"] - f["gap_mean_days_84d"]) / spread
    f["trips_ratio_28d_84d"] = 3 * f["trips_28d"] / f["trips_84d"]
    f["trips_ratio_14d_28d"] = 2 * f["trips_14d"] / f["trips_28d"]
    f["spend_ratio_28d_84d"] = 3 * f["spend_cents_28d"] / f["spend_cents_84d"]
    f["spend_ratio_14d_28d"] = 2 * f["spend_cents_14d"] / f["spend_cents_28d"]
    f["categories_28d"], f["categories_84d"] = 2 + f["trips_28d"], 2 + f["trips_84d"]
    f["categories_ratio_28d_84d"] = 3 * f["categories_28d"] / f["categories_84d"]
    f["departments_84d"] = np.minimum(1 + f["trips_84d"] // 4, 15)
    f["stores_84d"] = 1 + (f["trips_84d"] > 10).astype("int64")
    f["distinct_product_ratio_84d"] = 1 / (1 + f["trips_84d"] / 40)
    f["lines_per_trip_84d"] = 1 + f["mean_basket_cents_84d"] / 400
    f["coupon_cents_84d"] = np.where(f["trips_84d"] > 20, 150, 0)
    f["mean_hour_84d"] = 8 + 10 * habits["evening_share_84d"][here]
    for name, values in habits.items():
        f[name] = np.clip(values[here] + generator.normal(0, 0.02, size=n), 0, 1)
    f["discount_rate_28d"] = f["discount_rate_84d"]
    return f
