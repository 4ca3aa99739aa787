"""A column is followed in the web UI from a prediction back to the raw streams that it is made of."""

import dagster as dg


def lineages(baton):
    """The lineage of columns of each asset that has one."""
    found = {}
    for event in baton.result.get_asset_materialization_events():
        metadata = event.step_materialization_data.materialization.metadata
        if "dagster/column_lineage" in metadata:
            found[event.asset_key] = metadata["dagster/column_lineage"].value.deps_by_column
    return found


def behind(found, key, column):
    """All columns behind one, as `table.column`."""
    made = set()
    for part in found.get(key, {}).get(column, []):
        made |= {
            f"{part.asset_key.to_user_string()}.{part.column_name}",
            *behind(found, part.asset_key, part.column_name),
        }
    return made


def test_a_score_is_followed_back_to_the_raw_streams(baton):
    made = behind(lineages(baton), dg.AssetKey(["predictions", "lapse_predictions"]), "score")
    assert {"features/feature_frame.spend_cents_84d", "marts/customer_days.amount_cents"} <= made
    assert {"raw/transactions.sales_value", "raw/transactions.transaction_timestamp", "raw/products.department"} <= made


def test_a_feature_is_followed_to_what_it_is_computed_of_and_to_nothing_else(baton):
    made = behind(lineages(baton), dg.AssetKey(["features", "feature_frame"]), "coupon_cents_84d")
    raw = {one for one in made if one.startswith("raw/")}
    assert raw == {"raw/transactions.coupon_disc", "raw/transactions.coupon_match_disc"}


def test_every_column_that_a_lineage_names_is_there(baton):
    known = {
        (f"{schema}/{table}", column)
        for schema, table, column in baton.read(
            "select table_schema, table_name, column_name from information_schema.columns"
        )
    }
    for key, columns in lineages(baton).items():
        for column, parts in columns.items():
            assert (key.to_user_string(), column) in known
            assert {(part.asset_key.to_user_string(), part.column_name) for part in parts} <= known


def test_every_dbt_model_has_a_lineage(baton):
    schemas = {"staging", "marts", "features", "outcomes"}
    built = {event.asset_key for event in baton.result.get_asset_materialization_events()}
    assert {key for key in built if key.path[0] in schemas} <= set(lineages(baton))


def test_the_page_of_a_table_says_of_each_column_what_it_is_made_of(baton):
    described = {}
    for event in baton.result.get_asset_materialization_events():
        if event.asset_key == dg.AssetKey(["features", "customer_features"]):
            schema = event.step_materialization_data.materialization.metadata["dagster/column_schema"].schema
            described = {column.name: column.description for column in schema.columns}
    assert described["evening_share_84d"].endswith("Made of marts.customer_days (evening_orders, orders).")
