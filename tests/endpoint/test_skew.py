"""The endpoint is asked whether programs get what the tables say; where they do not, it says what differs and why."""

import threading

import pytest
from shops import RULES
from sklearn.pipeline import Pipeline
from support.bundled import FEATURES

from endpoint.skew import BOUND, find_skew
from steps.what_if import Models


@pytest.fixture
def found(shop):
    """Ask what is published now; `rules`: by which vectors are judged."""

    def ask(rules=RULES):
        shop.models = Models(shop.read)
        return find_skew(shop.keeper.file, shop.settings(rules=rules), shop.models)

    return ask


def changed(shop, statement, version=1):
    """Change a table of the warehouse behind everybody's back, and publish."""
    with shop.warehouse.transaction() as connection:
        connection.execute(statement)
    shop.publish(version)


def test_what_was_scored_is_what_programs_get(shop, found):
    shop.promote(1)
    skew = found()
    assert skew.passed
    assert skew.judged
    assert skew.differs_by <= BOUND
    assert skew.looked_up == skew.scored == len(shop.newest)
    assert f"{skew.scored} vectors over HTTP equal the prediction table, by version 1" in skew.sentence


def test_names_that_an_address_has_to_spell_out_are_looked_up_too(shop, found):
    names = ["a/b", "50 %", "Jürgen?x=1", "..", "#1", "c+d"]
    shop.newest.loc[: len(names) - 1, "customer_id"] = names
    shop.promote(1)
    skew = found()
    assert skew.passed, skew.sentence


def test_features_that_were_computed_again_since_are_told_apart_from_a_fault_of_the_endpoint(shop, found):
    shop.promote(1)
    changed(shop, "update features.feature_frame set discount_rate_84d = (1 - discount_rate_84d) / 2")
    skew = found()
    assert not skew.passed
    assert skew.differs_by > BOUND
    assert "vectors differ from the prediction table: customer " in skew.sentence
    assert "the features of the cutoff were computed again since it was scored" in skew.sentence


def test_an_endpoint_that_changes_what_it_is_sent_is_found(shop, found, pipelines):
    mine = threading.current_thread()

    class Wrong(Pipeline):
        """Says something else where the endpoint asks, in threads of its own."""

        def predict_proba(self, frame):
            return super().predict_proba(frame) + (0.0 if threading.current_thread() is mine else 0.001)

    shop.promote(1)
    shop.pipelines = {1: Wrong(pipelines[1].steps)}
    skew = found()
    assert not skew.passed
    assert skew.differs_by == pytest.approx(0.001)
    assert "the endpoint changes vectors on their way to the model" in skew.sentence


def test_what_the_endpoint_refuses_is_told_with_its_reason(shop, found):
    shop.promote(1)
    refuses = {"none": ("no row is right", lambda frame: frame[FEATURES[0]] < -1)}
    skew = found(refuses)
    assert not skew.passed
    assert f"{len(shop.newest)} of {len(shop.newest)} vectors differ" in skew.sentence
    assert skew.sentence.count("no row is right") == 1
    assert "The endpoint refuses what was scored from" in skew.sentence


def test_a_model_that_will_not_load_is_told_with_its_reason(shop, found):
    shop.promote(1)
    shop.lost = {1}
    skew = found()
    assert not skew.passed
    assert skew.sentence.count("Expected the files of version 1, and they are gone.") == 1


def test_where_another_version_scored_the_week_the_look_ups_alone_are_compared(shop, found):
    shop.promote(1)
    changed(shop, "update training.champion set model_version = 2", 2)
    skew = found()
    assert skew.passed
    assert skew.scored == 0
    assert "was scored by version 1, and version 2 serves since" in skew.sentence


def test_before_anybody_is_scored_there_is_nothing_to_compare(shop, found):
    shop.promote(1)
    changed(shop, "delete from predictions.lapse_predictions")
    skew = found()
    assert (skew.passed, skew.judged, skew.differs_by) == (True, False, None)
