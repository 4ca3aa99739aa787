"""The champion changes only for a reason, one way back is always open, and stale data is not scored."""

import dagster as dg
import pytest
from support.copies import copy_home

from commands.session import first_failure

SCORE = "predictions__lapse_predictions"
TRAIN = "training__training_set"
PROMOTION = "training__champion"


def run(mine, job, **configs):
    config = {"ops": {op: {"config": values} for op, values in configs.items()}}
    return mine.run(job, run_config=config)


def champions(mine):
    return mine.read("select model_version, previous_version, reason from training.champion order by promoted_at")


def alias(mine, name="champion"):
    return mine.resources["registry"].by_alias(name).version


def serving(mine):
    return [version for (version,) in mine.read("select distinct model_version from predictions.lapse_predictions")]


def checks(result):
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def happened(result, key):
    notes = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    return notes[key]["what_happened"].value


QUARANTINE = {"exclude_from": "2017-06-05", "exclude_to": "2017-06-12", "reason": "two weeks without a third of stores"}


def replaced_because_contaminated(mine):
    """A retraining without two cutoffs that the champion learned from: grounds to replace it by what is no worse."""
    result = run(mine, "retrain", **{TRAIN: QUARANTINE, SCORE: {"rescore": True}})
    assert result.success, first_failure(result)
    return result


def difference_in_sql(mine):
    """How far the published function is from the newest predictions, which scikit-learn made."""
    [[far]] = mine.read(
        "select max(abs(scoring.lapse_champion(f) - p.score)) from features.feature_frame f "
        "join predictions.lapse_predictions p using (customer_id, cutoff_date)"
    )
    return far


def test_the_champion_can_be_called_in_sql_and_a_rollback_moves_what_is_called(mine):
    assert difference_in_sql(mine) < 1e-9
    trained = replaced_because_contaminated(mine)
    assert checks(trained)["sql_parity"].passed, checks(trained)["sql_parity"].description
    assert difference_in_sql(mine) < 1e-9
    back = run(mine, "rollback")
    assert back.success, first_failure(back)
    assert difference_in_sql(mine) < 1e-9
    [[first, second]] = mine.read(
        "select max(abs(scoring.lapse_v1(f) - scoring.lapse_champion(f))), "
        "max(abs(scoring.lapse_v2(f) - scoring.lapse_champion(f))) from features.feature_frame f"
    )
    assert first == 0 < second


def test_a_champion_that_learned_from_quarantined_cutoffs_is_replaced_and_can_return(mine):
    result = replaced_because_contaminated(mine)
    verdict = checks(result)["beats_champion"]
    assert verdict.passed, verdict.description
    assert "it learned from 2 cutoff(s) now known bad (2017-06-05 to 2017-06-12)" in verdict.description
    assert alias(mine) == 2
    assert serving(mine) == [2]
    splits = mine.read("select cutoff_date::varchar, split from training.training_set group by all order by 1")
    assert [day for day, split in splits if split == "quarantined"] == ["2017-06-05", "2017-06-12"]
    evidence = mine.resources["registry"].evidence(mine.resources["registry"].version(2))
    assert evidence["excluded"] == ["2017-06-05", "2017-06-12"]
    assert (evidence["trained_from"], evidence["trained_through"]) == ("2017-03-27", "2017-12-04")
    assert (evidence["window"], evidence["judged_against"]) == ("expanding", 1)

    back = run(mine, "rollback", **{PROMOTION: {"rollback": True, "reason": "it harms"}, SCORE: {"rescore": True}})
    assert back.success, first_failure(back)
    assert happened(back, "training/champion") == "rolled back from version 2 to version 1"
    assert alias(mine) == 1
    assert serving(mine) == [1]
    assert champions(mine) == [
        (1, None, "passed the gate"),
        (2, 1, "passed the gate"),
        (1, 2, "rollback: it harms"),
    ]

    # What was sent away does not come back by itself, and there is nothing further to go back to.
    again = run(mine, "retrain", **{TRAIN: QUARANTINE, SCORE: {"rescore": True}})
    assert "version 2 is not promoted: it was rolled back" in happened(again, "training/champion")
    assert alias(mine) == 1
    nowhere = mine.run("rollback")
    assert "Expected an earlier champion to return to and found none" in first_failure(nowhere)
    assert alias(mine) == 1


def test_a_rollback_passes_over_champions_that_learned_from_the_bad_cutoffs(mine):
    replaced_because_contaminated(mine)
    bad = {"exclude_from": "2017-06-05", "exclude_to": "2017-06-12", "rollback": True}
    result = run(mine, "rollback", **{PROMOTION: bad, SCORE: {"rescore": True}})
    assert "and that learned from none of the bad cutoffs" in first_failure(result)
    assert alias(mine) == 2


def test_a_candidate_that_is_no_better_leaves_the_champion_and_the_run_goes_on(mine):
    # A detail of an old week was repaired: other data, another version, no better model.
    with mine.resources["warehouse"].connect(read_only=False) as connection:
        connection.execute(
            "update features.feature_frame set spend_cents_84d = spend_cents_84d + 1 where cutoff_date = '2017-06-05'"
        )
    result = run(mine, "retrain", **{SCORE: {"rescore": True}})
    assert result.success, first_failure(result)
    assert [name for name, check in checks(result).items() if not check.passed] == ["beats_champion"]
    assert happened(result, "training/champion") == "version 2 is not promoted: it failed beats_champion"
    assert (alias(mine), alias(mine, "challenger")) == (1, 2)
    assert len(champions(mine)) == 1
    assert serving(mine) == [1]

    # Its record is lost while another version is the challenger: a way back to it needs one.
    with mine.resources["warehouse"].connect(read_only=False) as connection:
        connection.execute("delete from training.champion")
    assert mine.run("promote", run_config={"ops": {PROMOTION: {"config": {"after_shadow": False}}}}).success
    assert champions(mine) == [(1, None, "recorded again: it serves, and its record was lost")]
    assert alias(mine) == 1


def test_a_recent_window_learns_from_the_newest_cutoffs_only(mine):
    run(mine, "retrain", **{TRAIN: {"window": "recent"}})
    learned = mine.read(
        "select count(distinct cutoff_date), min(cutoff_date)::varchar from training.training_set "
        "where split <> 'before window'"
    )
    assert learned == [(8, "2017-10-16")]
    evidence = mine.resources["registry"].evidence(mine.resources["registry"].version(2))
    assert (evidence["window"], evidence["trained_from"]) == ("recent", "2017-10-16")


def test_above_a_row_limit_whole_customers_are_left_out_of_training_always_the_same(mine):
    [[there]] = mine.read("select count(*) from training.training_set")
    # Whether half the customers are enough for a model that passes the gate is another question.
    run(mine, "retrain", **{TRAIN: {"most_rows": there - 1}})
    sampled = mine.read(
        "select customer_id, count(*) from training.training_set group by 1 except "
        "select customer_id, count(*) from features.feature_frame join outcomes.customer_outcomes "
        "using (customer_id, cutoff_date) group by 1"
    )
    assert sampled == [], "a customer that is learned from is there with all its rows"
    [[kept, expected]] = mine.read(
        "select count(*), count(*) filter (where md5(customer_id) < '80000000') from training.training_set"
    )
    assert kept == expected
    assert kept == pytest.approx(there / 2, rel=0.1)


def test_a_challenger_can_be_made_to_score_as_a_shadow_first(mine):
    configs = {TRAIN: QUARANTINE, PROMOTION: {"after_shadow": True}}
    result = run(mine, "retrain", **configs)
    assert "has not scored a cutoff as a shadow yet" in happened(result, "training/champion")
    early = mine.run("promote")
    assert "has not scored a cutoff as a shadow yet" in happened(early, "training/champion")
    assert alias(mine) == 1

    shadow = mine.run("weekly_score")
    assert shadow.success, first_failure(shadow)
    assert happened(shadow, "predictions/shadow_predictions") == "cutoff 2018-01-01 scored as a shadow by version 2"
    assert serving(mine) == [1], "the challenger served"
    [(both, low, high)] = mine.read(
        "select count(champion_score), min(score), max(score) from predictions.shadow_predictions "
        "where model_version = 2"
    )
    assert both > 200
    assert 0 < low < high < 1

    promoted = mine.run("promote")
    assert promoted.success, first_failure(promoted)
    assert alias(mine) == 2
    assert serving(mine) == [2]
    assert happened(mine.run("weekly_score"), "predictions/shadow_predictions") == "no challenger waits"


def test_a_stale_feed_is_not_scored_and_the_run_does_not_fail(baton, make_baton, tmp_path):
    late = make_baton(copy_home(baton.home, tmp_path / "baton"), now="2018-01-09T09:00:00-05:00")
    with late.resources["warehouse"].connect(read_only=False) as connection:
        connection.execute("delete from predictions.lapse_predictions")
    result = late.run("weekly_score")
    assert result.success, first_failure(result)
    verdict = checks(result)["scored_current_cutoff"]
    assert not verdict.passed
    assert "the cutoff of 2018-01-08 is due" in verdict.description
    assert "none after 2018-01-01" in verdict.description
    assert verdict.metadata["owner"].value == "team:data-engineering"
    assert late.read("select count(*) from predictions.lapse_predictions") == [(0,)]
    # Who knows what they do may still name the cutoff.
    assert run(late, "weekly_score", **{SCORE: {"cutoff": "2018-01-01"}}).success
    assert late.read("select count(*) > 200 from predictions.lapse_predictions") == [(True,)]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"most_rows": 0}, "Expected most_rows to be a number of rows from 1 on; got 0"),
        ({"window": "all"}, "Expected window to be one of expanding, recent; got 'all'"),
        ({"exclude_from": "2017-06-05"}, "Expected exclude_from and exclude_to to be the first and last cutoff"),
        ({"exclude_from": "2017-06-12", "exclude_to": "2017-06-05"}, "Expected exclude_from and exclude_to"),
    ],
)
def test_a_wrong_run_config_is_a_sentence(mine, config, sentence):
    assert sentence in first_failure(run(mine, "retrain", **{TRAIN: config}))


def test_the_current_cutoff_is_scored_on_the_natural_data(baton):
    key = dg.AssetCheckKey(dg.AssetKey(["predictions", "lapse_predictions"]), "scored_current_cutoff")
    [check] = [one for one in baton.result.get_asset_check_evaluations() if one.asset_check_key == key]
    assert check.passed
    assert check.description == "Cutoff 2018-01-01 is current and scored."
