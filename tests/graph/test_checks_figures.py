"""Every check of quality says in its result what it measured, by which bound, and what that means in a sentence."""

import math
from collections import Counter

import dagster as dg
import pytest

from resources.figures import figures
from sensors.jobs import UNIT_TESTS


@pytest.fixture(scope="module")
def evaluations(baton) -> list[dg.AssetCheckEvaluation]:
    return baton.result.get_asset_check_evaluations()


def test_every_check_of_a_whole_run_says_number_bound_unit_and_sentence(evaluations):
    assert len(evaluations) > 100
    silent = [
        f"{one.asset_key.to_user_string()}: {one.check_name}"
        for one in evaluations
        if not {"measured", "bound", "unit"} <= set(one.metadata) or not one.description
    ]
    assert silent == []


def test_what_was_measured_is_a_number_unless_nothing_could_be(evaluations):
    words = Counter(one.check_name for one in evaluations if isinstance(one.metadata["measured"].value, str))
    # A young home has neither enough weeks to judge by nor a closed week of live outcomes, and nobody was drawn.
    assert set(words) <= {
        "feature_drift",
        "score_drift",
        "predictions_hold",
        "amounts_hold",
        "lists_hold",
        "shares_hold",
    }


def test_a_check_that_counts_what_is_wrong_passes_exactly_where_there_is_none(evaluations):
    counted = [one for one in evaluations if one.metadata["bound"].value == 0 and one.check_name != "no_action_due"]
    counted = [one for one in counted if str(one.metadata["unit"].value).endswith("at most")]
    assert {"keys_hold", "frame_is_valid", "not_null_customers_customer_id"} <= {one.check_name for one in counted}
    wrong = [one.check_name for one in counted if one.passed != (one.metadata["measured"].value == 0)]
    assert wrong == []


def test_a_unit_test_of_sql_says_so_too(baton):
    result = baton.run(UNIT_TESTS)
    assert result.success
    told = result.get_asset_check_evaluations()
    assert {(one.metadata["measured"].value, one.metadata["bound"].value) for one in told} == {(0, 0)}
    assert all(one.description for one in told)


@pytest.mark.parametrize(("number", "shown"), [(None, "none yet"), (math.inf, "inf"), (3, 3), (0.25, 0.25)])
def test_a_number_that_json_does_not_know_is_a_word(number, shown):
    said = figures(number, number, "x")
    assert {name: one.value for name, one in said.items()} == {"measured": shown, "bound": shown, "unit": "x"}
