"""A retraining that loses its power, and one whose disk is full: one more run makes what an undisturbed one makes."""

import re
import threading
from dataclasses import replace

import pytest

from tools.crash.disk import NAMES_LOST
from tools.crash.plan import FULL, Kill
from tools.crash.stages import stages
from tools.crash.suite import Suite

pytestmark = pytest.mark.slow(minutes=3)


@pytest.fixture(scope="module")
def retrain():
    """The stage of the suite, at the instant of the home that the tests of the graph share."""
    return replace(stages()["retrain"], weeks_ago=0)


@pytest.fixture(scope="module")
def suite(baton, small_source, retrain, tmp_path_factory):
    """What is behind `make crash`, on that home."""
    folder, homes = tmp_path_factory.mktemp("crash"), {retrain.after: baton.home}
    made = Suite(folder, [NAMES_LOST, FULL], None, threading.Event(), homes=homes, source=small_source)
    made.undisturbed(retrain)
    return made


# When what was fitted is registered and promoted; and when most of what is written was written. What was at work by
# then depends on the machine; a disk that is full must be told as such.
@pytest.mark.parametrize(("number", "fraction", "how", "at_work"), [(1, 0.8, NAMES_LOST, "_"), (2, 0.7, FULL, "full")])
def test_one_more_run_makes_what_an_undisturbed_one_makes(suite, retrain, number, fraction, how, at_work):
    outcome = suite.outcome(Kill(number, retrain, fraction, how))
    assert outcome.healed, outcome.line()
    assert re.search(at_work, outcome.at_work), outcome.at_work
