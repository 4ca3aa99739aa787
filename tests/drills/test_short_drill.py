"""A short drill: two faults are noticed, named and handed to their owner; a benign change disturbs nobody."""

from datetime import date

import pytest
from support.bundled import PROBLEM

from drills.faults import known
from drills.run import bar, drill

pytestmark = pytest.mark.slow
START = date(2017, 8, 14)
OWNERS = {"raw": "team:data-engineering", "training": "team:ml-engineering"}


@pytest.fixture(scope="module")
def run(make_year):
    # A third of the households: with fewer, some segments hold too little to be judged, and rightly so.
    sandbox, recording = make_year(3)
    lineage = {**sandbox.lineage(), "features/feature_frame": ("features/customer_features",)}
    owners = {
        asset: OWNERS.get(asset.split("/")[0], "team:analytics-engineering")
        for asset in [*lineage, "training/champion"]
    }

    def one(name, weeks):
        return drill(known()[name], recording, sandbox, PROBLEM, lineage, owners, START, weeks).score

    return one


@pytest.mark.parametrize("name", ["amounts_times_100", "column_renamed"])
def test_a_fault_is_noticed_within_a_week_and_handed_to_its_owner(run, name):
    score = run(name, 2)
    assert score.detected
    assert score.delay_days <= 7
    assert (score.cause_right, score.owner_right, score.asset_right) == (True, True, True)
    assert score.decision_right
    assert bar([score]) == []


def test_a_benign_change_disturbs_nobody(run):
    score = run("new_nullable_column", 2)
    assert score.false_alarms == 0
    assert score.decision_right
