"""Who owns what, and how old it may get: one table each, keyed by asset.

An asset that no row covers fails a test. Teams, and how old a raw table may get, stand in the company's file; which of
the teams has a schema, and the freshness windows of what is made of raw tables, are written here only. The dbt project
names the default teams, and the prepared one the company's (resources/company/owners.py). `.github/CODEOWNERS` says who
is asked for a review, under your organisation's name.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

import dagster as dg

from ml_models.problems.about import FIRST, found, further
from resources.company import company
from resources.identifiers import identifier

Role = Literal["raw", "tables", "models"]
"""A field of the company's owners."""

OWNER_BY_SCHEMA: Mapping[str, Role] = {
    "raw": "raw",
    "staging": "tables",
    "marts": "tables",
    "features": "tables",
    "outcomes": "tables",
    "training": "models",
    "predictions": "models",
    "monitoring": "models",
    "campaigns": "models",
    "published": "models",
    # Each further problem has a schema of its own.
    **{about.name: "models" for about in found() if about.name != FIRST},
}

OWNER_BY_KEY: Mapping[tuple[str, str], Role] = {
    # The hand-over: who shapes builds the features, who predicts answers for what the model is fed.
    ("features", "feature_frame"): "models",
    ("features", "catalogue"): "models",
    # What dbt shapes of a further problem.
    **{("next_product", name): "tables" for name in ("candidates", "outcomes", "popular_types")},
}


def team(role: Role) -> str:
    """Return the company's team with a role."""
    return str(getattr(company().owners, role))


def owner_of(key: dg.AssetKey) -> str:
    """Return the team that owns an asset.

    Raises:
        KeyError: no row covers the asset; the message says where to add one.
    """
    schema, name = key.path[0], key.path[-1]
    role = OWNER_BY_KEY.get((schema, name)) or OWNER_BY_SCHEMA.get(schema)
    if role is None:
        raise KeyError(
            f"Asset {key.to_user_string()} has no owner. Add its schema to OWNER_BY_SCHEMA in steps/ownership.py."
        )
    return team(role)


def owner_or_models(key: dg.AssetKey) -> str:
    """Return the team that owns an asset; of one that is not ours (of another code location), who predicts."""
    try:
        return owner_of(key)
    except KeyError:
        return team("models")


def _window(*, warn_days: float, fail_days: float) -> dg.FreshnessPolicy:
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(days=fail_days), warn_window=timedelta(days=warn_days))


DAILY = _window(warn_days=1.25, fail_days=2)
WEEKLY = _window(warn_days=7.5, fail_days=9)
MONTHLY = _window(warn_days=35, fail_days=63)

RAW_FRESH_DAYS = 2.0
"""Of a raw table of which the company says nothing."""

FRESHNESS: Mapping[tuple[str, str], dg.FreshnessPolicy] = {
    ("features", "customer_features"): DAILY,
    ("features", "feature_frame"): DAILY,
    ("features", "catalogue"): DAILY,
    ("outcomes", "customer_outcomes"): DAILY,
    ("outcomes", "early_outcomes"): DAILY,
    # The model barely decays (docs/model.md): a champion may serve for weeks, but not for a quarter unseen.
    ("training", "champion"): MONTHLY,
    ("predictions", "lapse_predictions"): WEEKLY,
    ("marts", "customers_at_risk"): WEEKLY,
    ("marts", "accuracy_over_time"): WEEKLY,
    ("marts", "customer_value"): WEEKLY,
    ("marts", "expected_spend_accuracy"): WEEKLY,
    ("monitoring", "performance"): WEEKLY,
    ("monitoring", "drift"): WEEKLY,
    ("monitoring", "profile"): WEEKLY,
    ("monitoring", "why"): WEEKLY,
    ("next_product", "candidates"): DAILY,
    ("campaigns", "assignment"): WEEKLY,
    ("campaigns", "effect"): WEEKLY,
    # Published daily; what it holds for people is made weekly.
    ("published", "serving_copy"): WEEKLY,
    **{
        (about.name, table): MONTHLY if table == "champion" else WEEKLY
        for about in further(company().parts)
        for table in ("champion", "predictions", "performance", "drift", "decisions")
    },
}


def with_freshness(spec: dg.AssetSpec) -> dg.AssetSpec:
    """Give an asset its freshness policy, if it has one."""
    policy = freshness_of(spec.key)
    return spec.replace_attributes(freshness_policy=policy) if policy else spec


def freshness_of(key: dg.AssetKey) -> dg.FreshnessPolicy | None:
    """Return the freshness policy of an asset: of a raw table by the company's file, of others by the table here."""
    schema, name = key.path[0], key.path[-1]
    if schema != "raw":
        return FRESHNESS.get((schema, name))
    days = _fresh_days(name)
    # Eighteen hours before two days, a day and a half before nine: an ordinary delay alarms nobody.
    return _window(warn_days=max(days / 2, days - max(0.75, days / 6)), fail_days=days)


def _fresh_days(name: str) -> float:
    """Return how old a raw table may get."""
    ours = company()
    if name in ours.tables:
        return ours.tables[name].fresh_days
    for connection in ours.airbyte.values():
        for stream, days in connection.fresh_days.items():
            if identifier(connection.prefix + stream) == name:
                return days
    return RAW_FRESH_DAYS
