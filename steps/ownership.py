"""Who owns what, and how old it may get: one table each, keyed by asset.

An asset that no row covers fails a test. A row is a decision by people. A freshness window is written here only. A
team's name also stands where this table cannot be read; a test holds the owners of all assets to the table
(tests/graph/test_graph.py).

- `resources/airbyte/raw.py`: the owner of the raw assets, in a room below this one.
- `dbt_project/dbt_project.yml`, and the `.yml` files of dbt's groups, sources, exposures and serving models.
- `.github/CODEOWNERS`: who is asked for a review, under your organisation's name.
- `expected` in `drills/*.toml`: whom a drill must name.
"""

from collections.abc import Mapping
from datetime import timedelta

import dagster as dg

DATA_ENGINEERING = "team:data-engineering"
ANALYTICS_ENGINEERING = "team:analytics-engineering"
ML_ENGINEERING = "team:ml-engineering"

OWNER_BY_SCHEMA: Mapping[str, str] = {
    "raw": DATA_ENGINEERING,
    "staging": ANALYTICS_ENGINEERING,
    "marts": ANALYTICS_ENGINEERING,
    "features": ANALYTICS_ENGINEERING,
    "outcomes": ANALYTICS_ENGINEERING,
    "training": ML_ENGINEERING,
    "predictions": ML_ENGINEERING,
    "monitoring": ML_ENGINEERING,
}

OWNER_BY_KEY: Mapping[tuple[str, str], str] = {
    # The hand-over: analytics engineering builds the features, ML engineering answers for what the model is fed.
    ("features", "feature_frame"): ML_ENGINEERING,
}


def owner_of(key: dg.AssetKey) -> str:
    """Return the team that owns an asset.

    Raises:
        KeyError: no row covers the asset; the message says where to add one.
    """
    schema, name = key.path[0], key.path[-1]
    owner = OWNER_BY_KEY.get((schema, name)) or OWNER_BY_SCHEMA.get(schema)
    if owner is None:
        raise KeyError(
            f"Asset {key.to_user_string()} has no owner. Add its schema to OWNER_BY_SCHEMA in steps/ownership.py."
        )
    return owner


def _window(*, warn_days: float, fail_days: float) -> dg.FreshnessPolicy:
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(days=fail_days), warn_window=timedelta(days=warn_days))


DAILY = _window(warn_days=1.25, fail_days=2)
WEEKLY = _window(warn_days=7.5, fail_days=9)
MONTHLY = _window(warn_days=35, fail_days=63)

FRESHNESS: Mapping[tuple[str, str], dg.FreshnessPolicy] = {
    ("raw", "transactions"): DAILY,
    ("raw", "products"): DAILY,
    ("raw", "demographics"): WEEKLY,
    ("raw", "campaigns"): WEEKLY,
    ("raw", "campaign_descriptions"): WEEKLY,
    ("raw", "coupons"): WEEKLY,
    ("raw", "coupon_redemptions"): DAILY,
    ("features", "customer_features"): DAILY,
    ("features", "feature_frame"): DAILY,
    ("outcomes", "customer_outcomes"): DAILY,
    ("outcomes", "early_outcomes"): DAILY,
    # The model barely decays (docs/model.md): a champion may serve for weeks, but not for a quarter unseen.
    ("training", "champion"): MONTHLY,
    ("predictions", "lapse_predictions"): WEEKLY,
    ("marts", "customers_at_risk"): WEEKLY,
    ("marts", "accuracy_over_time"): WEEKLY,
    ("monitoring", "performance"): WEEKLY,
    ("monitoring", "drift"): WEEKLY,
    ("monitoring", "profile"): WEEKLY,
    ("monitoring", "why"): WEEKLY,
}


def with_freshness(spec: dg.AssetSpec) -> dg.AssetSpec:
    """Give an asset its freshness policy, if the table has one."""
    policy = FRESHNESS.get((spec.key.path[0], spec.key.path[-1]))
    return spec.replace_attributes(freshness_policy=policy) if policy else spec
