"""One run builds both problems of one sync in one graph, and what the second predicts is what the call list reads."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from ml_models.training.amounts.gates import AMOUNT_GATES
from resources.registry import CHAMPION
from sensors.drift import build_drift_sensor, requests_of
from sensors.jobs import learn_from, roll_back
from steps.champions import make_champion
from steps.champions import roll_back as back
from steps.tables import TABLES, tables_of

OF = tables_of("spend")
NEWEST = "2018-01-01"


def spend_of(baton):
    return baton.resources["registry"].of("spend")


def test_a_run_trains_promotes_and_predicts_the_newest_cutoff(baton):
    assert baton.read("select model_version, reason from spend.champion") == [(1, "passed the gate")]
    rows = baton.read(
        "select cutoff_date::varchar, count(*), min(predicted) >= 0, avg(predicted) > 0 "
        "from spend.predictions group by 1"
    )
    customers = baton.read(f"select count(*) from features.feature_frame where cutoff_date = '{NEWEST}'")[0][0]
    assert rows == [(NEWEST, customers, True, True)]
    assert spend_of(baton).by_alias(CHAMPION).name == "spend"
    assert baton.resources["registry"].by_alias(CHAMPION).name == "lapse"


def test_the_gate_asked_everything_and_the_card_is_complete(baton):
    said = {
        one.check_name: one.passed
        for one in baton.result.get_asset_check_evaluations()
        if one.asset_key == OF.candidate
    }
    assert said == dict.fromkeys(AMOUNT_GATES, True)
    assert baton.read("select complete, standing like 'It serves since%' from spend.model_card") == [("true", True)]


def test_a_week_is_decided_of_its_own(baton):
    assert baton.read("select cutoff::varchar, action, cause from spend.decisions") == [(NEWEST, "continue", "none")]
    assert baton.read("select count(*) from monitoring.decisions") == [(1,)]


def test_what_is_expected_on_the_call_list_is_the_models_amount_of_who_stays(baton):
    asked = """
        select count(*), count(*) filter (
            abs(value.expected_spend_cents - spend.predicted / greatest(1 - lapse.score, .1)) <= 1
            and abs(risk.expected_spend - value.expected_spend_cents / 100) < .011
        ) from marts.customers_at_risk as risk
        join marts.customer_value as value using (customer_id, cutoff_date)
        join spend.predictions as spend using (customer_id, cutoff_date)
        join predictions.lapse_predictions as lapse using (customer_id, cutoff_date)
        where value.expected_by = 'model'
    """
    [(rows, alike)] = baton.read(asked)
    assert rows == alike == baton.read("select count(*) from marts.customers_at_risk")[0][0]
    earlier = baton.read(f"select distinct expected_by from marts.customer_value where cutoff_date < '{NEWEST}'")
    assert earlier == [("decayed mean",)], "nothing was predicted then"


def test_both_learn_from_the_same_rows(baton):
    cutoffs = "select cutoff_date, customer_id, split from {}.training_set order by all"
    assert baton.read(cutoffs.format("spend")) == baton.read(cutoffs.format("training"))


def test_every_table_has_the_columns_that_are_promised(baton):
    shapes = baton.resources["warehouse"].shapes(["spend"])
    assert {name: list(shape.columns) for name, shape in shapes.items()} == {
        name: list(columns) for name, columns in TABLES.items() if name[0] == "spend"
    }


def test_a_second_run_changes_nothing(mine):
    before = {
        name: mine.read(f"select * from spend.{name} order by all") for name in ("predictions", "champion", "decisions")
    }
    result = mine.run()
    assert result.success
    for name, rows in before.items():
        assert mine.read(f"select * from spend.{name} order by all") == rows, name
    assert [one.version for one in spend_of(mine).versions()] == [1]


def test_its_own_jobs_touch_nothing_of_lapse(mine):
    before = mine.read("select * from predictions.lapse_predictions order by all")
    config = learn_from("recent", "", "", "the totals moved", of=OF)
    result = mine.run("retrain_spend", run_config=config, tags={"baton/cause": "the totals moved"})
    assert result.success
    assert mine.read("select max(model_version) from spend.candidate") == [(2,)]
    assert {row[0] for row in mine.read("select split from spend.training_set")} >= {
        "before window",
        "train",
        "holdout",
    }
    assert mine.read("select * from predictions.lapse_predictions order by all") == before
    assert mine.resources["registry"].versions()[-1].version == 1


def test_a_rollback_returns_to_the_version_before_and_predicts_again(mine):
    mine.run("retrain_spend", run_config=learn_from("recent", "", "", "", of=OF))
    registry, warehouse = spend_of(mine), mine.resources["warehouse"]
    make_champion(registry, warehouse, registry.version(2), reason="a person", of=OF)
    result = mine.run("rollback_spend", run_config=roll_back(reason="it was worse", of=OF))
    assert result.success
    assert registry.by_alias(CHAMPION).version == 1
    assert mine.read("select distinct model_version from spend.predictions") == [(1,)]
    assert mine.read("select reason from spend.champion order by promoted_at desc limit 1") == [
        ("rollback: it was worse",)
    ]
    with pytest.raises(ValueError, match="Expected an earlier champion"):
        back(registry, warehouse, None, reason="again", run_id="r", of=OF)


def test_broken_data_veto_it_and_a_repair_lifts_that(mine):
    """The ledger of lapse says `inspect`: the same data are not to be trusted here."""
    with mine.resources["warehouse"].connect(read_only=False) as connection:
        connection.execute("update monitoring.decisions set action = 'inspect', reason = 'Store 3 is missing.'")
    run_alone(mine, OF.decisions)
    [(action, reason)] = mine.read("select action, reason from spend.decisions")
    assert action == "inspect"
    assert "Store 3 is missing." in reason
    with mine.resources["warehouse"].connect(read_only=False) as connection:
        connection.execute("update monitoring.decisions set action = 'continue'")
    run_alone(mine, OF.decisions)
    assert mine.read("select action from spend.decisions") == [("continue",)]


def run_alone(baton, *keys):
    result = baton.run("weekly_judge", asset_selection=list(keys))
    assert result.success


def test_its_sensor_asks_for_its_own_jobs(baton):
    sensor = build_drift_sensor([job for job in baton.definitions.jobs if hasattr(job, "selection")], "spend")
    assert sensor.name == "drift_sensor_spend"
    assert {target.job_name for target in sensor.targets} == {"retrain_spend", "rollback_spend"}
    assert requests_of([], now=datetime.now(UTC), of=OF) == []
    assert dg.AssetKey(["spend", "decisions"]) == OF.no_action_due.asset_key
