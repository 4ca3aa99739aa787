"""The function of the features' history is dbt's SQL with two tables exchanged, in either engine's words."""

from datetime import UTC, datetime

import pytest

from resources.compiled_models import Model
from resources.feature_history import Settings, function_sql

SHOP = Settings(window_days=28, horizon_days=7, zone="Europe/Paris")
READ = datetime(2024, 5, 2, 8, tzinfo=UTC)


def model(asset, sql, *parents):
    schema, _, name = asset.partition("/")
    return Model(asset, schema, name, sql, True, parents, (), "", f'"memory"."{schema}"."{name}"')


MODELS = [
    model("staging/stg_order_lines", "select 1"),
    model("staging/stg_products", "select 2"),
    model("features/cutoffs", 'select 3 from "memory"."staging"."stg_order_lines"', "staging/stg_order_lines"),
    model(
        "marts/order_lines",
        'select * from "memory"."staging"."stg_order_lines" join "memory"."staging"."stg_products" using (product_id)',
        "staging/stg_order_lines",
        "staging/stg_products",
    ),
    model(
        "features/customer_features",
        'select customer_id, cutoff_date from "memory"."marts"."order_lines" cross join "memory"."features"."cutoffs"',
        "marts/order_lines",
        "features/cutoffs",
    ),
]


def told(dialect, ended=READ, models=MODELS):
    return " ".join(function_sql(models, dialect, SHOP, ended, "features").split())


def test_spine_and_order_lines_are_exchanged_and_a_list_is_read_as_it_is():
    made = told("duckdb")
    assert made.startswith('create or replace macro "features".features_as_of(customer, instant) as table ( with ')
    assert "from staging.stg_order_lines as lines where lines.customer_id = cast(customer as varchar)" in made
    assert "select * from as_of_staging_stg_order_lines join staging.stg_products using (product_id)" in made
    assert "from as_of_marts_order_lines cross join as_of_features_cutoffs" in made
    assert made.endswith("select * from as_of_features_customer_features )")
    assert "memory" not in made


def test_the_days_are_those_before_the_instant_by_the_shops_clock_and_the_lines_had_arrived():
    made = told("googlesql")
    assert made.startswith(
        "create or replace table function `features`.features_as_of(customer string, instant timestamp) as ( with "
    )
    # The look-back, and a week for an order that began before it.
    assert "lines.ordered_on >= date_sub(date(instant, 'Europe/Paris'), interval 35 day)" in made
    assert "lines.ordered_on < date(instant, 'Europe/Paris')" in made
    first = "timestamp '2024-05-02 08:00:00+00:00'"
    assert f"(lines.extracted_at <= instant or lines.extracted_at <= {first})" in made
    assert "and lines.extracted_at <= instant )" in told("googlesql", None), "nothing was read yet"


def test_models_without_order_lines_behind_them_are_refused():
    with pytest.raises(ValueError, match="Expected features/customer_features and staging/stg_order_lines among"):
        told("duckdb", models=MODELS[:2])
    alone = [*MODELS[:4], model("features/customer_features", "select 1", "features/cutoffs")]
    with pytest.raises(ValueError, match="to be made of staging/stg_order_lines, got features/cutoffs"):
        told(
            "duckdb", models=[one if one.asset != "features/cutoffs" else model(one.asset, "select 3") for one in alone]
        )
