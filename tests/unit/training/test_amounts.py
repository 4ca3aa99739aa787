"""A problem that predicts an amount is searched, judged at its gate, and refused where it should be."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support.bundled import COMPANY

from ml_models.problems.spend.problem import decayed_mean, spend
from ml_models.rows import scored
from ml_models.training.amounts.gate import evaluate_amounts, judge_amounts
from ml_models.training.amounts.gates import AMOUNT_COMPARISONS, AMOUNT_GATES
from ml_models.training.amounts.measures import amount_metrics, by_slice, movement, off_by, tenths
from ml_models.training.amounts.search import SHUFFLED
from ml_models.training.champion_challenge import Champion
from ml_models.training.splits import split_training_set

SPEND = spend(COMPANY.question.asked, COMPANY.parts, COMPANY.department_shares)


@pytest.fixture(scope="module")
def bought(world):
    """The simulated shop with what each customer leaves: the look-back's pace, noise, and nothing of who lapses."""
    noise = np.random.default_rng(3).gamma(4, 0.25, size=len(world))
    cents = world["spend_cents_84d"] / 3 * noise * (1 - world["lapsed"]) / (1 - world["lapsed"].mean())
    return world.assign(**{SPEND.label: cents.round().astype("int64")})


@pytest.fixture(scope="module")
def training_rows(bought):
    return split_training_set(bought, SPEND)[0]


@pytest.fixture(scope="module")
def found(training_rows):
    return evaluate_amounts(training_rows, SPEND)


def verdicts(gates):
    return {gate.name: gate.passed for gate in gates}


def champion_of(result, **changes):
    return replace(
        Champion(
            version=1,
            pipeline=result.evaluated,
            algorithm=result.candidate,
            parameters=result.parameters,
            trained_through=result.split.train[-1],
            trained_from=result.trained_from,
        ),
        **changes,
    )


def test_a_sound_candidate_passes_every_gate_in_the_order_of_the_table(found):
    result, compared, gates = found
    assert compared is None
    assert [gate.name for gate in gates] == list(AMOUNT_GATES)
    assert [gate.sentence for gate in gates if not gate.passed] == []
    assert set(AMOUNT_COMPARISONS) <= set(AMOUNT_GATES)
    rules = result.comparison.set_index("model")["absolute_error"]
    assert rules[result.candidate] < rules[["decayed_mean", "last_month"]].min()


def test_the_same_rows_are_the_same_model_whatever_their_order(training_rows, found):
    again = evaluate_amounts(training_rows.sample(frac=1, random_state=1), SPEND)[0]
    rows = found[0].holdout
    assert np.array_equal(scored(again.pipeline, rows, SPEND), scored(found[0].pipeline, rows, SPEND))


def test_an_amount_is_never_below_nothing(found):
    result = found[0]
    nothing = result.holdout.assign(**dict.fromkeys(SPEND.amounts.slip, 0))
    assert result.pipeline.predict(nothing[list(result.pipeline.feature_names_in_)]).min() < 0, "or this proves nothing"
    assert scored(result.pipeline, nothing, SPEND).min() == 0


def test_what_lets_the_label_through_is_found(training_rows, found):
    """The control on shuffled amounts is handed the label itself: it beats the rules, and so is seen."""
    result = found[0]
    seen = result.holdout[SPEND.label].to_numpy("float64")
    leaking = replace(result, predictions=result.predictions.assign(**{SHUFFLED: seen}))
    assert [name for name, passed in verdicts(judge_amounts(leaking, SPEND)).items() if not passed] == [
        "shuffled_amounts_fail"
    ]


@pytest.mark.parametrize(
    ("spoil", "refused"),
    [
        (lambda amounts: amounts * 1.4, {"totals_agree", "tenths_agree"}),
        (lambda amounts: amounts * 0 + amounts.mean(), {"beats_plain_rules"}),
        (lambda amounts: amounts[::-1], {"beats_plain_rules", "tenths_agree"}),
    ],
    ids=["a total that is too large", "the same of everybody", "of somebody else"],
)
def test_predictions_that_would_mislead_are_refused(found, spoil, refused):
    result = found[0]
    predictions = result.predictions.copy()
    predictions[result.candidate] = spoil(predictions[result.candidate].to_numpy())
    failed = {
        name
        for name, passed in verdicts(judge_amounts(replace(result, predictions=predictions), SPEND)).items()
        if not passed
    }
    assert refused <= failed


def test_few_rows_prove_nothing(found):
    result = found[0]
    few = replace(result, holdout=result.holdout.head(100), predictions=result.predictions.head(100))
    assert not verdicts(judge_amounts(few, SPEND))["enough_amounts"]


def test_a_model_that_does_not_follow_prices_is_refused(found):
    class Still:
        feature_names_in_ = np.array(["recency_days"])

        def predict(self, rows):
            return np.full(len(rows), 5000.0)

    gates = verdicts(judge_amounts(replace(found[0], pipeline=Still()), SPEND))
    assert [name for name, passed in gates.items() if not passed] == ["amounts_follow"]


def test_a_champion_stays_where_the_candidate_is_no_better(training_rows, found):
    """What predicts the same is no reason for a change; nothing is wrong with the champion."""
    result = found[0]
    serving = champion_of(result, trained_through=result.trained_through)
    _, compared, gates = evaluate_amounts(training_rows, SPEND, serving)
    assert compared is not None
    assert compared.grounds == ""
    assert not verdicts(gates)["beats_serving_version"]


def test_a_champion_that_no_longer_fits_is_beaten_on_rows_that_it_never_saw(training_rows, found):
    """Prices trebled since: the champion predicts a third of what is spent."""
    result = found[0]

    class Third:
        feature_names_in_ = result.evaluated.feature_names_in_

        def predict(self, rows):
            return result.evaluated.predict(rows) / 3

    _, compared, gates = evaluate_amounts(training_rows, SPEND, champion_of(result, pipeline=Third()))
    assert compared is not None
    assert "new rows" in compared.how
    assert [gate.sentence for gate in gates if not gate.passed] == []
    assert result.candidate, "the family is told"


def test_the_decayed_mean_is_that_of_the_table():
    """The figures of the unit test of marts/customer_value."""
    rows = pd.DataFrame(
        {
            "cutoff_date": pd.to_datetime(["2017-10-09", "2017-10-09", "2017-04-03"]),
            "days_since_first_seen_84d": [84, 7, 84],
            "spend_cents_28d": [2800, 1400, 0],
            "spend_cents_56d": [5600, 1400, 0],
            "spend_cents_84d": [8400, 1400, 1680],
        }
    )
    assert decayed_mean(rows, COMPANY.question.asked).round().tolist() == [2835, 4356, 280]


def test_measures_say_what_they_are_called():
    customers = np.arange(400) % 200
    seen = np.where(customers % 2, 1000, 0)
    assert off_by(seen, seen * 1.1, customers).value == pytest.approx(0.1)
    assert np.isnan(off_by(np.zeros(3), np.ones(3), [1, 2, 3]).value)
    assert amount_metrics(seen, seen + 10)["absolute_error"] == 10
    assert movement(seen, np.zeros(400)) == 0
    table = tenths(seen, np.arange(400.0), customers)
    assert table["n"].tolist() == [40] * 10
    assert (table["low"] <= table["mean_predicted"] - table["mean_seen"]).all()
    slices = {"half": pd.Series(np.where(np.arange(400) < 100, "few", "many"))}
    judged = by_slice(seen, seen, slices).set_index("slice_value")
    assert judged.loc["few", "note"].startswith("insufficient evidence")
    assert judged.loc["many", "absolute_error"] == 0
