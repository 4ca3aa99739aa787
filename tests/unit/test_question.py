"""Another question moves everything that is made of it: split, maturity, grades, waiting, names and texts."""

from dataclasses import replace
from datetime import date, timedelta

import pandas as pd
import pytest
from support.bundled import COMPANY
from support.simulated_shop import cutoffs_of

from ml_models.cutoffs import cutoffs_needed
from ml_models.monitoring.data_quality import judge_outcomes
from ml_models.monitoring.decision.grading import grade, promotion_effects
from ml_models.monitoring.decision.ledger import LEDGER_COLUMNS
from ml_models.monitoring.new_customers import filled_after
from ml_models.monitoring.performance.alarms import sharing
from ml_models.monitoring.performance.history import performance_history
from ml_models.monitoring.settings import SETTINGS
from ml_models.monitoring.types import Effect
from ml_models.problems.contract import Problem
from ml_models.problems.lapse.problem import lapse
from ml_models.problems.question import Question
from ml_models.training.recipe import recipe_fingerprint
from ml_models.training.splits import inner_split, split_cutoffs, split_training_set
from steps.problem import problem_of

FOUR_WEEKS = Question()
EIGHT_WEEKS = Question(56, 28, 56, 336, 7)
BOTH = pytest.mark.parametrize("question", [FOUR_WEEKS, EIGHT_WEEKS], ids=["28 days", "56 days"])


def asking(question: Question) -> Problem:
    return lapse(question, COMPANY.parts)


def labelled(problem: Problem, cutoffs: list[date]) -> pd.DataFrame:
    """Return one customer's rows and labels, with one feature."""
    days = pd.to_datetime(cutoffs).as_unit("us")
    return pd.DataFrame({"customer_id": "c1", "cutoff_date": days, problem.recency_feature: 1, problem.label: 0})


@BOTH
def test_the_names_and_the_length_of_a_label_are_the_questions(question: Question) -> None:
    problem = asking(question)
    assert (problem.horizon_days, problem.window_days) == (question.horizon_days, question.look_back_days)
    assert problem.early_label == f"lapsed_{question.early_days}d"
    assert problem.features == tuple(problem.catalogue)
    assert {problem.recency_feature, *problem.rfm_features} <= set(problem.features)
    assert {rule.feature for rule in problem.slices} <= set(problem.features)


def test_features_are_named_by_the_look_back() -> None:
    problem = asking(EIGHT_WEEKS)
    assert problem.rfm_features == ("recency_days", "active_days_336d", "spend_cents_336d")
    assert [rule.feature for rule in problem.slices] == ["active_days_336d"]
    assert not [name for name in problem.features if "84d" in name]


@pytest.mark.parametrize(
    ("question", "edges"),
    [
        (FOUR_WEEKS, (1, 3, 6, 12, 24)),
        (Question(84, 42, 84, 168), (1, 2, 4, 8, 16)),
        (Question(7, 3, 7, 84), (1, 12, 24, 48, 96)),
    ],
)
def test_bands_of_activity_follow_the_companys_pace(question: Question, edges: tuple[int, ...]) -> None:
    assert [rule.edges for rule in asking(question).slices] == [edges]


def test_a_company_of_orders_alone_is_expected_nothing_of_what_it_lacks() -> None:
    problem = lapse(FOUR_WEEKS, ())
    families = {problem.catalogue[name].family for name in problem.features}
    assert {family for one in problem.behaviour.expectations for family in one.families} <= families
    assert problem.behaviour.expectations


def test_the_problem_is_the_companys_and_made_once() -> None:
    question = COMPANY.question.model_copy(update={"horizon_days": 56})
    changed = COMPANY.model_copy(update={"question": question})
    assert problem_of(COMPANY) is problem_of(COMPANY)
    assert (problem_of(changed).horizon_days, problem_of(changed).early_label) == (56, "lapsed_28d")


@BOTH
def test_no_training_label_reaches_into_the_holdout(question: Question) -> None:
    problem = replace(asking(question), features=("recency_days",))
    _, split = split_training_set(labelled(problem, cutoffs_of(40)), problem)
    assert (split.holdout[0] - split.train[-1]).days == question.horizon_days
    assert len(split.gap) == question.horizon_cutoffs - 1


@BOTH
def test_a_long_horizon_needs_more_cutoffs(question: Question) -> None:
    least = cutoffs_needed(question.horizon_days)
    assert least == question.horizon_cutoffs + 1 == SETTINGS.needed_cutoffs(question.horizon_days)
    split = split_cutoffs(cutoffs_of(least), question.horizon_days)
    assert (len(split.train), len(split.holdout)) == (1, 1)
    with pytest.raises(ValueError, match=rf"{question.horizon_days} days"):
        split_cutoffs(cutoffs_of(least - 1), question.horizon_days)


@BOTH
def test_too_few_training_cutoffs_for_a_gap_are_split_by_customer(question: Question) -> None:
    problem, least = asking(question), cutoffs_needed(question.horizon_days)
    assert inner_split(labelled(problem, cutoffs_of(least)), problem)[1].startswith("time")
    assert inner_split(labelled(problem, cutoffs_of(least - 1)), problem)[1].startswith("customers")


@BOTH
def test_a_label_is_known_when_the_horizon_is_over(question: Question) -> None:
    problem, now = asking(question), date(2021, 6, 7)
    known = labelled(problem, [now - timedelta(days=question.horizon_days)])
    young = labelled(problem, [now - timedelta(days=question.horizon_days - 7)])
    assert judge_outcomes(known, problem, now) == ()
    [anomaly] = judge_outcomes(young, problem, now)
    assert f"{question.horizon_days} days later" in anomaly.sentence


@BOTH
def test_evidence_is_known_as_late_as_the_question_says(question: Question) -> None:
    problem = replace(asking(question), features=("recency_days",), slices=(), families={})
    rows = pd.concat([labelled(problem, cutoffs_of(12)).assign(customer_id=f"c{number}") for number in range(300)])
    rows = rows.reset_index(drop=True).assign(lapsed=lambda frame: frame.index % 3 == 0).astype({"lapsed": int})
    outcomes = rows[[*problem.keys, problem.label]]
    early = outcomes.rename(columns={problem.label: problem.early_label})
    frame, scores = rows[[*problem.keys, "recency_days"]], pd.Series(0.2, index=rows.index) + (rows.index % 5) / 10
    history = performance_history(frame, scores.to_numpy(), outcomes, early, problem, cutoffs_of(12)[-1])
    waited = (history["known_on"] - history["cutoff_date"]).dt.days.groupby(history["kind"]).unique()
    assert waited["realised"].tolist() == [question.horizon_days]
    assert waited["proxy"].tolist() == [question.early_days]


@BOTH
def test_the_judgement_waits_for_labels(question: Question) -> None:
    horizon = question.horizon_days
    assert SETTINGS.cooldown_days(horizon) == horizon + 7
    assert SETTINGS.comparison_days(horizon) == 2 * horizon + 7
    assert sharing(question) == question.horizon_cutoffs - question.horizon_cutoffs / 4
    assert filled_after(question) >= 0.8 * question.look_back_days / 7


@BOTH
def test_grades_come_when_the_outcome_is_known(question: Question) -> None:
    asked, known = date(2021, 6, 7), date(2021, 6, 7) + timedelta(days=question.horizon_days)
    row = dict.fromkeys(LEDGER_COLUMNS) | {"cutoff": pd.Timestamp(asked), "action": "continue", "promoted": "true"}
    ledger = pd.DataFrame([row])
    assert grade(ledger, known - timedelta(days=7), {}, question)["grade"].isna().all()
    assert grade(ledger, known, {}, question)["grade"].notna().all()

    promoted = ledger.assign(action="improve")
    cutoffs = tuple(asked + timedelta(weeks=week) for week in range(question.horizon_cutoffs))
    effect = Effect(0.1, 0.05, 0.15, rows=1000, cutoffs=cutoffs)
    assert promotion_effects(promoted, replace(effect, cutoffs=cutoffs[:-1]), question) == {}
    assert promotion_effects(promoted, effect, question) == {asked: effect}


def test_another_horizon_is_another_recipe() -> None:
    problem = replace(asking(FOUR_WEEKS), features=("recency_days",))
    rows = split_training_set(labelled(problem, cutoffs_of(40)), problem)[0]
    digits = {
        recipe_fingerprint(rows, replace(problem, question=question), seed=0, libraries={})
        for question in (FOUR_WEEKS, EIGHT_WEEKS)
    }
    assert len(digits) == 2
