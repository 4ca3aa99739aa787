"""A retraining that loses its power, and one whose disk is full: one more run makes what an undisturbed one makes."""

import threading
from dataclasses import replace

import pytest

from tools.crash.disk import CUT, NAMES_LOST
from tools.crash.plan import FULL, Kill
from tools.crash.stages import stages
from tools.crash.suite import Suite

pytestmark = pytest.mark.slow(minutes=3)

RETRAIN = replace(stages()["retrain"], weeks_ago=0)
"""The home that the tests share is of the recording's end."""


@pytest.fixture(scope="module")
def suite(baton, small_source, tmp_path_factory):
    """The suite behind `make crash`, on the home that the tests of the graph share."""
    folder = tmp_path_factory.mktemp("crash")
    made = Suite(folder, [CUT, FULL], None, threading.Event(), homes={RETRAIN.after: baton.home}, source=small_source)
    made.undisturbed(RETRAIN)
    return made


# When the model is fitted and registered, and when it is promoted.
@pytest.mark.parametrize(("fraction", "how"), [(0.9, NAMES_LOST), (0.7, FULL)])
def test_one_more_run_makes_what_an_undisturbed_one_makes(suite, fraction, how):
    outcome = suite.outcome(Kill(1, RETRAIN, fraction, how))
    assert outcome.healed, outcome.line()
    assert outcome.at_work != "before the first step"
