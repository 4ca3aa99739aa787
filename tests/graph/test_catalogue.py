"""The feature catalogue says of each feature what the graph knows of it; the history in SQL says what was served."""

import random

import pandas as pd
import pytest

from resources.registry import CHAMPION
from steps.catalogue import Built, keep_catalogue
from steps.tables import CATALOGUE, CUSTOMER_FEATURES

KEYS = ["customer_id", "cutoff_date"]


@pytest.fixture(scope="module")
def rows(baton):
    """The catalogue by feature."""
    return baton.resources["warehouse"].read("select * from features.catalogue").set_index("feature")


def test_each_feature_of_the_frame_has_one_row_with_words_owner_sql_and_inputs(baton, rows):
    columns = baton.resources["warehouse"].shapes({"features"})["features", "feature_frame"].columns
    assert sorted(rows.index) == sorted(set(columns) - set(KEYS))
    told = rows[["description", "label", "family", "unit", "owner", "definition", "inputs"]]
    assert (told.notna() & (told != "")).all(axis=None)
    assert set(rows["owner"]) == {"team:analytics-engineering"}
    check = {one.check_name: one for one in baton.result.get_asset_check_evaluations() if one.asset_key == CATALOGUE}
    assert {name: one.passed for name, one in check.items()} == {
        "catalogue_complete": True,
        "history_can_be_asked": True,
    }


def test_the_sql_of_a_feature_runs_as_it_stands_and_gives_what_was_built(baton, rows):
    chosen = random.Random(4).sample(sorted(rows.index), 8)
    for name in ["gap_median_days_84d", "top_store_share_84d", "categories_ratio_28d_84d", *chosen]:
        sql = rows.loc[name, "definition"]
        differing = baton.read(
            f"select count(*), count(d.customer_id) from ({sql}) d full join features.customer_features f "
            f"using (customer_id, cutoff_date) where d.{name} is distinct from f.{name}"
        )
        assert differing == [(0, 0)], name
        assert len(sql) < 5_000, "without what other features need"


def test_what_a_feature_is_made_of_is_what_its_sql_reads(rows):
    assert "raw.products" in rows.loc["categories_84d", "inputs"]
    assert "raw.products" not in rows.loc["trips_84d", "inputs"], "no product decides how often somebody came"
    assert rows["inputs"].str.contains("raw.transactions").all()


def test_nulls_and_drift_are_those_of_the_newest_week(baton, rows):
    warehouse = baton.resources["warehouse"]
    newest = "(select max(cutoff_date) from features.feature_frame)"
    frame = warehouse.read(f"select * from features.feature_frame where cutoff_date = {newest}")
    assert set(rows["customers"]) == {len(frame)}
    pd.testing.assert_series_equal(rows["null_share"], frame[rows.index].isna().mean(), check_names=False)
    assert rows["null_share"].max() > 0
    drift = warehouse.read(
        f"select column_name, statistic from monitoring.drift where layer = 'features' and cutoff_date = {newest}"
    ).set_index("column_name")["statistic"]
    pd.testing.assert_series_equal(rows["drift"], drift[rows.index], check_names=False)
    assert (rows["drift_bound"] > 0).all()
    assert set(rows["delivered_through"]) == set(
        warehouse.read("select max(watermark_date) d from features.cutoffs")["d"]
    )


def test_a_champion_s_features_are_told_with_how_far_they_move_it(baton, rows):
    for problem in ("lapse", "spend"):
        registry = baton.resources["registry"].of(problem)
        reads = set(registry.load(registry.by_alias(CHAMPION)).feature_names_in_)
        users = rows["problems"].str.split(", ").map(lambda names, one=problem: one in names)
        assert set(rows.index[users]) == reads
        assert set(rows.index[rows[f"importance_{problem}"].notna()]) == reads
        assert rows[f"importance_{problem}"].max() > 0


def test_seconds_are_those_of_dbts_build_shared_evenly(baton, rows):
    event = baton.instance.get_latest_materialization_event(CUSTOMER_FEATURES)
    seconds = event.asset_materialization.metadata["Execution Duration"].value
    assert rows["build_seconds"].sum() == pytest.approx(seconds)
    assert rows["build_seconds"].nunique() == 1
    assert rows["bytes_billed"].isna().all(), "DuckDB bills nobody"


def test_the_history_says_of_a_cutoff_what_was_served_for_it(baton):
    """All of it was read by one load, so nothing was late."""
    served = baton.read(
        "select customer_id, cutoff_date from features.feature_frame order by hash(customer_id) limit 3"
    )
    for customer, cutoff in served:
        asked = f"features.features_as_of('{customer}', timestamptz '{cutoff} 09:00:00-05:00')"
        whose = f"features.feature_frame where customer_id = '{customer}' and cutoff_date = date '{cutoff}'"
        assert baton.read(f"from {asked} except (from {whose})") == []
        assert len(baton.read(f"from {asked}")) == 1


def test_a_feature_without_words_or_sql_is_named(mine):
    warehouse = mine.resources["warehouse"]
    with warehouse.connect(read_only=False) as connection:
        connection.execute("alter table features.feature_frame add column strange double")
    done = keep_catalogue(warehouse, mine.resources["registry"], mine.resources["dbt"], Built())
    assert done.lacking == {"strange": ("description", "definition", "inputs")}
    [row] = mine.read("select null_share, problems, build_seconds from features.catalogue where feature = 'strange'")
    assert row == (1.0, "", None)


def test_a_history_that_lacks_a_column_of_the_features_is_told(mine):
    warehouse = mine.resources["warehouse"]
    with warehouse.connect(read_only=False) as connection:
        connection.execute("alter table features.customer_features add column strange double")
    done = keep_catalogue(warehouse, mine.resources["registry"], mine.resources["dbt"], Built(29.0))
    assert not done.history.right
    assert "do not have the same columns: strange are in one" in done.history.sentence
    assert mine.read("select distinct build_seconds from features.catalogue") == [(0.5,)]
