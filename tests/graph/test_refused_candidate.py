"""A refused candidate is not promoted, and stops nothing else: the champion that there is goes on scoring."""

from support.copies import copy_home

from commands.session import first_failure
from commands.summary import summarise
from resources.registry import ModelRegistry

SCORE = "predictions__lapse_predictions"

OUTCOMES_OF_CHANCE = (
    "update outcomes.customer_outcomes set lapsed = "
    "case when hash(customer_id || cast(cutoff_date as varchar)) % 10 = 0 then 1 else 0 end"
)


def retrained_on_chance(mine):
    """Who comes again has nothing to do with anything any more: no candidate can be worth anything."""
    with mine.resources["warehouse"].connect(read_only=False) as connection:
        connection.execute(OUTCOMES_OF_CHANCE)
    result = mine.run("retrain", run_config={"ops": {SCORE: {"config": {"rescore": True}}}})
    assert result.success, first_failure(result)
    return result


def refusing(result):
    return {check.check_name for check in result.get_asset_check_evaluations() if not check.passed}


def test_a_refused_candidate_stops_no_scoring_by_the_champion(mine):
    before = mine.read("select count(*), max(scored_at) from predictions.lapse_predictions")
    result = retrained_on_chance(mine)
    assert "beats_base_rate" in refusing(result)
    registry = mine.resources["registry"]
    assert (registry.by_alias("champion").version, registry.by_alias("challenger").version) == (1, 2)
    after = mine.read("select count(*), max(scored_at) from predictions.lapse_predictions")
    assert after[0][0] == before[0][0]
    assert after[0][1] > before[0][1]
    assert mine.read("select distinct model_version from predictions.lapse_predictions") == [(1,)]


def test_a_first_candidate_that_is_refused_ends_no_run_and_the_summary_says_why(baton, make_baton, tmp_path, capsys):
    home = copy_home(baton.home, tmp_path / "baton")
    empty = ModelRegistry(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}", artifact_root=tmp_path.as_uri())
    mine = make_baton(home, registry=empty)
    result = retrained_on_chance(mine)
    assert "beats_base_rate" in refusing(result)
    assert empty.by_alias("champion") is None
    summarise(mine.resources["warehouse"], empty)
    said = " ".join(capsys.readouterr().out.split())
    assert "no model has been promoted yet, so nothing is scored: version 2 (" in said
    assert "beats_base_rate: Log-loss against the base rate:" in said
