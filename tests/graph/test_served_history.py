"""What was served stays: predictions are written once, history is rebuilt only when a person asks."""

import dagster as dg

from assets.company.quality import quality_assets
from commands.session import first_failure

SCORE = "predictions__lapse_predictions"


def score(mine, **config):
    return mine.run("weekly_score", run_config={"ops": {SCORE: {"config": config}}})


def predictions(mine):
    return mine.read("select * from predictions.lapse_predictions order by cutoff_date, customer_id")


def test_a_scored_cutoff_is_written_once(mine):
    before = predictions(mine)
    assert score(mine).success
    assert predictions(mine) == before


def test_the_newest_cutoff_is_scored_again_when_a_person_or_a_retraining_asks(mine):
    before = predictions(mine)
    assert score(mine, rescore=True).success
    after = predictions(mine)
    assert [row[:3] for row in after] == [row[:3] for row in before]
    scored_at = "select min(scored_at), max(scored_at) from predictions.lapse_predictions"
    assert mine.read(scored_at)[0][0] > max(row[6] for row in before)


def test_a_missed_week_is_scored_only_when_asked_for(mine):
    assert score(mine, cutoff="2017-12-25").success
    cutoffs = mine.read("select distinct cutoff_date from predictions.lapse_predictions order by 1")
    assert [str(day) for (day,) in cutoffs] == ["2017-12-25", "2018-01-01"]


def test_a_cutoff_whose_outcome_is_known_is_not_scored_again(mine):
    assert score(mine, cutoff="2017-12-04").success
    before = predictions(mine)
    result = score(mine, cutoff="2017-12-04", rescore=True)
    assert not result.success
    assert "the outcome of 2017-12-04 is known" in first_failure(result)
    assert predictions(mine) == before


def test_predictions_from_the_training_window_do_not_count_as_performance(mine):
    # The champion learned from outcomes through the cutoff of 2017-12-04, so it knew this one.
    assert score(mine, cutoff="2017-10-02").success
    assert mine.run("weekly_judge").success
    assert mine.read("select count(*) from marts.accuracy_over_time where evidence = 'live'") == [(0,)]
    assert mine.read("select count(*) from monitoring.performance where evidence = 'live'") == [(0,)]


def test_a_cutoff_that_is_not_in_the_frame_is_a_sentence(mine):
    result = score(mine, cutoff="2017-10-03")
    assert "Expected rows for cutoff 2017-10-03 in features.feature_frame and found none" in first_failure(result)


def test_history_is_rebuilt_from_a_cutoff_on_and_only_from_there(mine):
    # A repair upstream: a fifth of the lines had lost half of their amount.
    with mine.resources["warehouse"].connect(read_only=False) as connection:
        connection.execute(
            "update raw.transactions set sales_value = sales_value / 2, _airbyte_extracted_at = now() "
            "where basket_id % 5 = 0"
        )
    frame = "select cutoff_date, sum(spend_cents_84d) from features.feature_frame group by 1 order by 1"
    before = mine.read(frame)
    assert mine.run("ingest_and_build").success
    assert mine.read(frame) == before, "a late repair changed what was served"

    config = {"config": {"rebuild_from": "2017-11-06"}}
    assert mine.run("ingest_and_build", run_config={"ops": {"dbt_build": config, "feature_frame": config}}).success
    changed = [str(old[0]) for old, new in zip(before, mine.read(frame), strict=True) if old != new]
    assert changed[0] == "2017-11-06"
    assert len(changed) == 9


BY_CUTOFF = ("features.customer_features", "outcomes.customer_outcomes", "outcomes.early_outcomes")


def rows_by_cutoff(mine):
    return {table: mine.read(f"select * from {table} order by cutoff_date, customer_id") for table in BY_CUTOFF}


def build(mine, lines_at_once):
    config = {"lines_at_once": lines_at_once}
    return mine.run("ingest_and_build", run_config={"ops": {"dbt_build": {"config": config}}})


def statements(mine, model):
    """How many statements made a model last, by the SQL that dbt keeps of it."""
    [ran] = (mine.home / "dbt" / "target" / "run").rglob(f"{model}.sql")
    return 1 + ran.read_text().count("; insert into")


def test_features_of_many_customers_are_made_a_share_at_a_time_and_come_to_the_same(mine):
    before = rows_by_cutoff(mine)
    with mine.resources["warehouse"].connect(read_only=False) as connection:
        connection.execute("drop schema features cascade; drop schema outcomes cascade")
    [[lines]] = mine.read("select count(*) from staging.stg_order_lines")
    result = build(mine, lines_at_once=lines // 4)
    assert result.success, first_failure(result)
    assert statements(mine, "customer_features") == 4
    assert rows_by_cutoff(mine) == before


def test_a_share_that_cannot_be_computed_leaves_no_part_of_a_table(mine):
    with mine.resources["warehouse"].connect(read_only=False) as connection:
        # The square of a week's spend, in cents, is beyond 64 bits; everything up to there is not.
        connection.execute(
            "update raw.transactions set sales_value = 4e7, _airbyte_extracted_at = now() "
            "where transaction_timestamp = (select max(transaction_timestamp) from raw.transactions "
            "where transaction_timestamp < '2017-12-20')"
        )
        connection.execute("drop table features.customer_features")
    [[lines]] = mine.read("select count(*) from staging.stg_order_lines")
    result = build(mine, lines_at_once=lines // 4)
    assert not result.success
    assert "customer_features" in first_failure(result)
    assert statements(mine, "customer_features") == 4
    assert not mine.resources["warehouse"].exists("features", "customer_features")


def test_a_long_history_is_measured_a_few_weeks_at_a_time_and_comes_to_the_same(mine):
    rows = (
        "select * replace (round(value, 9) as value) from monitoring.profile "
        "order by asset, column_name, measure, value_key, period_start"
    )
    before = mine.read(rows)
    with mine.resources["warehouse"].connect(read_only=False) as connection:
        connection.execute("delete from monitoring.profile")
    [[lines]] = mine.read("select count(*) from raw.transactions")
    raw = [dg.AssetKey(["raw", plan.table]) for plan in mine.resources["airbyte"].plans()]
    result = dg.materialize(
        [next(one for one in quality_assets(raw) if one.op.name == "profile")],
        resources={name: mine.resources[name] for name in ("warehouse", "airbyte", "dbt")},
        run_config={"ops": {"profile": {"config": {"most_rows": lines // 7}}}},
        instance=dg.DagsterInstance.ephemeral(),
    )
    assert result.success
    assert mine.read(rows) == before
