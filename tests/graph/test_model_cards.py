"""Every registered version has its card: in the warehouse, beside it in MLflow, and renewed when something is new."""

import json
import socket

import pytest

from commands.session import first_failure
from ml_models.model_card.card import from_json
from ml_models.model_version import promoted_by
from resources.registry import ModelRegistry, RegistryError
from steps.champions import make_champion
from steps.model_cards import FILES, keep_cards

SCORE, CARD = "predictions__lapse_predictions", "training/model_card"


def cards(mine):
    rows = mine.read("select model_version, standing, complete, card from training.model_card order by 1")
    return {version: (standing, complete, from_json(card)) for version, standing, complete, card in rows}


def told(card, key):
    section = next(one for one in card.sections if one.key == key)
    return " ".join([section.absent, section.lacks, *(f"{fact.name}: {fact.text}" for fact in section.facts)])


def verdict(result):
    return next(one for one in result.get_asset_check_evaluations() if one.check_name == "model_card_complete")


def mlflow_version(registry, number):
    return registry._client().get_model_version(registry.model_name, str(number))


def test_a_registered_version_has_a_complete_card_in_the_warehouse_and_the_web_ui(baton):
    [(standing, complete, card)] = cards(baton).values()
    assert standing.startswith("It serves since ")
    assert (complete, card.missing) == ("true", {})
    assert verdict(baton.result).passed
    assert "1 week(s) from 2018-01-01 to 2018-01-01" in told(card, "monitoring")
    metadata = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in baton.result.get_asset_materialization_events()
    }[CARD]
    assert metadata["card"].md_str.startswith("# Customer lapse, version 1\n")


def test_mlflow_shows_card_description_signature_and_importance(baton):
    registry = baton.resources["registry"]
    version = registry.version(1)
    [(_, _, card)] = cards(baton).values()
    markdown, page, held = (registry.text(version, name) for name in FILES)
    assert markdown.startswith("# Customer lapse, version 1")
    assert page.startswith("<!doctype html>")
    assert from_json(held) == card
    there = mlflow_version(registry, 1)
    assert "It serves since" in there.description
    assert there.tags["model_card"] == "complete"
    assert registry.signature(version).startswith(f"takes {len(registry.evidence(version)['features'])} columns")
    assert registry.text(version, "importance.csv").startswith("family,about,features,mean_effect\n")


def test_what_mlflow_loads_gives_probabilities(baton):
    import mlflow

    registry, warehouse = baton.resources["registry"], baton.resources["warehouse"]
    version = registry.version(1)
    rows = warehouse.read("select * from features.feature_frame limit 50")
    given = rows[registry.evidence(version)["features"]]
    made = mlflow.pyfunc.load_model(version.uri).predict(given)
    assert made.shape == (50, 2)
    assert made[:, 1] == pytest.approx(registry.load(version).predict_proba(given)[:, 1])


def test_a_card_whose_facts_are_as_they_were_is_not_written_again(mine):
    before = mine.read("select * from training.model_card")
    assert keep_cards(mine.resources["warehouse"], mine.resources["registry"]).what.endswith("0 of them written anew.")
    assert mine.read("select * from training.model_card") == before


def test_a_refused_candidate_gets_its_card_and_a_person_who_overrules_says_why(mine):
    warehouse, registry = mine.resources["warehouse"], mine.resources["registry"]
    with warehouse.connect(read_only=False) as connection:
        connection.execute(
            "update features.feature_frame set spend_cents_84d = spend_cents_84d + 1 where cutoff_date = '2017-06-05'"
        )
    result = mine.run("retrain", run_config={"ops": {SCORE: {"config": {"rescore": True}}}})
    assert result.success, first_failure(result)
    assert verdict(result).passed, verdict(result).description
    assert cards(mine)[2][0] == "It does not serve: it failed beats_champion."
    assert "the version before: version 1" in told(cards(mine)[2][2], "changes")

    make_champion(registry, warehouse, registry.version(2), reason=promoted_by("ana", ""))
    lacking = keep_cards(warehouse, registry).missing
    assert len(lacking) == 1
    assert "section `gate`: version 2 was promoted past the gate and nobody said why" in lacking[0]
    assert mlflow_version(registry, 2).tags["model_card"] == "incomplete: gate"
    assert cards(mine)[1][0].endswith("and another version took its place.")

    make_champion(registry, warehouse, registry.version(2), reason=promoted_by("ana", "the summer is over"))
    assert keep_cards(warehouse, registry).missing == []
    assert "past beats_champion. Reason: the summer is over" in told(cards(mine)[2][2], "gate")


def test_before_the_first_training_there_is_no_card_and_a_sentence(mine, tmp_path):
    empty = ModelRegistry(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}", artifact_root=tmp_path.as_uri())
    done = keep_cards(mine.resources["warehouse"], empty)
    assert (done.cards, done.away) == ((), "")
    assert done.what.startswith("No version has been registered yet")


def no_database(folder):
    (folder / "mlflow.db").write_text("this is no database")
    return f"sqlite:///{folder / 'mlflow.db'}"


def nobody_listens(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return f"http://user:secret@127.0.0.1:{port}"


@pytest.mark.parametrize("address", [no_database, nobody_listens])
def test_a_registry_that_is_away_leaves_the_cards_and_says_so(mine, tmp_path, monkeypatch, address):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = ModelRegistry(tracking_uri=address(tmp_path), artifact_root=(tmp_path / "mlartifacts").as_uri())
    with pytest.raises(RegistryError) as raised:
        away.versions()
    assert "secret" not in str(raised.value)
    before = mine.read("select * from training.model_card")
    done = keep_cards(mine.resources["warehouse"], away)
    assert done.away
    assert done.what.startswith("No card was written. ")
    assert mine.read("select * from training.model_card") == before


def test_a_version_of_an_earlier_release_gets_a_card_that_says_what_was_not_recorded(mine):
    """Its evidence bears neither a format nor what was added with it."""
    warehouse, registry = mine.resources["warehouse"], mine.resources["registry"]
    version = registry.version(1)
    evidence = registry.evidence(version)
    for name in ("format", "importance", "against_baselines", "libraries", "features", "cause"):
        del evidence[name]
    registry.attach(version, {"evidence.json": json.dumps(evidence)}, description="", tags={})
    assert keep_cards(warehouse, registry).missing == []
    card = cards(mine)[1][2]
    assert told(card, "importance").startswith("An earlier release registered this version")


def test_a_card_that_a_kill_cut_short_is_written_again(mine):
    warehouse, registry = mine.resources["warehouse"], mine.resources["registry"]
    version = registry.version(1)
    whole = registry.text(version, FILES[0])
    # The other problem's version has a card, too.
    [file] = [one for one in (mine.home / "mlartifacts").rglob(FILES[0]) if one.read_text() == whole]
    file.write_text(whole[:100])
    with pytest.raises(RegistryError, match="missing or damaged"):
        registry.text(version, FILES[0])
    keep_cards(warehouse, registry)
    assert registry.text(version, FILES[0]) == whole
