"""A recalibration goes the way of a retraining: gate, registry, SQL function, predictions; or it is refused."""

from datetime import date

import pytest

from commands.session import first_failure
from ml_models.model_version import Deployed, ModelInfo
from ml_models.monitoring.decision.remedies import Remedies
from ml_models.monitoring.settings import SETTINGS
from ml_models.rows import labelled_rows
from ml_models.training.search import simplest_recipe
from steps.problem import problem

SCORE, TRAIN, CANDIDATE = "predictions__lapse_predictions", "training__training_set", "candidate"
OLD = {"exclude_from": "2017-10-02", "exclude_to": "2017-12-04", "reason": "what came since is not known yet"}
STEP = 1.2


def run(mine, job, **configs):
    return mine.run(job, run_config={"ops": {op: {"config": values} for op, values in configs.items()}})


def recalibrate(mine):
    return run(mine, "retrain", **{CANDIDATE: {"remedy": "recalibrate"}, SCORE: {"rescore": True}})


def alias(mine, name="champion"):
    return mine.resources["registry"].by_alias(name).version


def more_lapse(mine):
    """Let the newest outcomes be what they would be with all log-odds a step higher: some who stayed lapse, by hash."""
    moved = f"1 / (1 + exp(-{STEP}) * (1 - p) / p)"
    with mine.resources["warehouse"].connect(read_only=False) as connection:
        connection.execute(
            "update outcomes.customer_outcomes o set lapsed = 1 from ("
            "select customer_id, cutoff_date, scoring.lapse_champion(f) as p from features.feature_frame f "
            "where cutoff_date >= '2017-10-02') s "
            "where o.customer_id = s.customer_id and o.cutoff_date = s.cutoff_date and o.lapsed = 0 "
            f"and hash(o.customer_id, o.cutoff_date) / 18446744073709551616.0 < ({moved} - p) / (1 - p)"
        )


def test_a_champion_whose_base_rate_moved_is_recalibrated_served_and_can_be_called_in_sql(mine):
    begun = run(mine, "retrain", **{TRAIN: OLD, SCORE: {"rescore": True}})
    assert begun.success, first_failure(begun)
    assert alias(mine) == 2
    more_lapse(mine)
    [[before]] = mine.read("select avg(score) from predictions.lapse_predictions")

    result = recalibrate(mine)
    assert result.success, first_failure(result)
    failed = {one.check_name: one.description for one in result.get_asset_check_evaluations() if not one.passed}
    assert failed == {}
    assert alias(mine) == 3

    registry = mine.resources["registry"]
    version = registry.version(3)
    evidence, recipe = registry.evidence(version), registry.evidence(registry.version(2))
    moved = evidence["recalibration"]
    assert moved["version"] == 2
    assert moved["intercept"] == pytest.approx(STEP, abs=0.4)
    assert (registry.tag(version, "remedy"), registry.tag(version, "recalibrates")) == ("recalibrate", "2")
    # What is fitted again one day is the same recipe.
    assert (evidence["algorithm"], evidence["parameters"]) == (recipe["algorithm"], recipe["parameters"])
    assert evidence["trained_through"] == "2017-12-04"
    assert evidence["excluded"] == ["2017-10-02", "2017-10-09", "2017-10-16", "2017-10-23", "2017-10-30", "2017-11-06"]

    [[versions, after]] = mine.read(
        "select string_agg(distinct model_version::varchar), avg(score) from predictions.lapse_predictions"
    )
    assert versions == "3"
    assert after > before
    [[far, orders]] = mine.read(
        "select max(abs(scoring.lapse_champion(f) - p.score)), corr(scoring.lapse_v2(f), p.score) "
        "from features.feature_frame f join predictions.lapse_predictions p using (customer_id, cutoff_date)"
    )
    assert far < 1e-9
    assert orders > 0.9
    [[unexplained]] = mine.read("select count(*) from predictions.lapse_predictions where reason_1 is null")
    [[rows]] = mine.read("select count(*) from predictions.lapse_predictions")
    assert unexplained < rows

    # The same outcomes say nothing more: asked again, nothing is done, and that is said.
    changes = mine.read("select count(*) from training.champion")
    again = recalibrate(mine)
    assert again.success, first_failure(again)
    assert alias(mine) == 3
    assert len(registry.versions()) == 3
    assert mine.read("select count(*) from training.champion") == changes
    [happened] = again.asset_materializations_for_node("training__champion")
    assert "version 3 is the champion already" in str(happened.metadata)


def test_without_outcomes_that_the_champion_does_not_know_nothing_is_moved(mine):
    result = recalibrate(mine)
    assert (
        "Expected outcomes of both kinds at cutoffs from 2018-01-01 on, 28 days after all that version 1 learned from; "
        "got 0 rows at 0 cutoff(s). Recalibrate when more is known, or retrain (remedy: retrain). Nothing was trained."
    ) in first_failure(result)
    assert alias(mine) == 1


def test_a_remedy_that_there_is_not_is_refused(mine):
    result = run(mine, "retrain", **{CANDIDATE: {"remedy": "pray"}})
    assert "Expected remedy to be one of retrain, recalibrate; got 'pray'. Correct the run config." in first_failure(
        result
    )


def test_in_the_christmas_weeks_of_the_recorded_year_nothing_is_moved(baton):
    """Labels of the last cutoffs reach into Christmas. What a recalibration would gain there is within noise."""
    warehouse = baton.resources["warehouse"]
    frame = warehouse.read("select * from features.feature_frame")
    outcomes = warehouse.read("select customer_id, cutoff_date, lapsed from outcomes.customer_outcomes")
    rows, fit = labelled_rows(frame, outcomes, problem()), simplest_recipe(problem())
    known = rows[rows["cutoff_date"] <= "2017-09-04"]
    champion = Deployed(fit(known), ModelInfo("1", date(2017, 9, 4), date(2017, 10, 2), date(2017, 3, 27)))
    for newest in ("2017-11-20", "2017-11-27", "2017-12-04"):
        remedies = Remedies(rows[rows["cutoff_date"] <= newest], champion, fit, problem(), (), SETTINGS)
        found = remedies.recalibration("expanding")
        assert found is not None
        assert found.gain.low <= 0, found.sentence
