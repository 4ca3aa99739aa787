"""A short drill: two faults are noticed, named and handed to their owner; a benign change disturbs nobody."""

from dataclasses import replace
from datetime import date

import pytest
from support.bundled import PROBLEM

from drills.faults import known
from drills.lists import drill_lists
from drills.run import bar, drill

pytestmark = pytest.mark.slow
START = date(2017, 8, 14)
OWNERS = {"raw": "team:data-engineering", "training": "team:ml-engineering"}


@pytest.fixture(scope="module")
def stood_on(make_year):
    # A third of the households: with fewer, some segments hold too little to be judged, and rightly so.
    sandbox, recording = make_year(3)
    lineage = {**sandbox.lineage(), "features/feature_frame": ("features/customer_features",)}
    owners = {
        asset: OWNERS.get(asset.split("/")[0], "team:analytics-engineering")
        for asset in [*lineage, "training/champion"]
    }
    return recording, sandbox, PROBLEM, lineage, owners


@pytest.fixture
def run(stood_on):
    def one(name, weeks):
        return drill(known()[name], *stood_on, START, weeks).score

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


def test_a_product_type_that_is_called_otherwise_is_seen_where_lists_are_made_and_nothing_is_trained_on_it(
    stood_on, tmp_path
):
    score, told = drill_lists(known()["type_renamed"], *stood_on, keep=tmp_path, start=START, weeks=1)
    assert bar([score]) == []
    assert score.detected
    assert set(told["types"]) == {"renamed"}
    assert set(told["action"]) == {"inspect"}
    [renamed] = known()["type_renamed"].perturbations
    nowhere = replace(renamed, perturbation=replace(renamed.perturbation, where="1 = 0"))
    with pytest.raises(ValueError, match="changes no"):
        drill_lists(
            replace(known()["type_renamed"], perturbations=(nowhere,)), *stood_on, keep=tmp_path, start=START, weeks=1
        )
