"""What the champion has right beyond doubt is not lost unnoticed, and a changed world is no loss."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from support.bundled import FEATURES, PROBLEM
from support.simulated_shop import make_frame

from ml_models.training.champion_challenge import Champion, Comparison, compare_with_champion
from ml_models.training.forgetting import FORGOTTEN, Remembered, borne_out, forgotten
from ml_models.training.gate import GateResult, evaluate_candidate, judge
from ml_models.training.search import TrainingResult
from ml_models.training.splits import split_training_set

LOGISTIC = PROBLEM.candidates[0]
ONE = replace(PROBLEM, candidates=(LOGISTIC,))


def remembered(spring_wrong: int = 0, light: int = 0) -> Remembered:
    """Two seasons of 400 rows, one in ten lapsed, that the champion has right; so many of spring's are wrong now.

    `light` of the wrong ones are light shoppers, like every tenth row.
    """
    days = np.repeat(["2024-02-05", "2024-05-06"], 400)
    active = np.where(np.arange(800) % 10 == 5, 2, 30)
    outcome = (np.arange(800) % 10 == 0).astype("int64")
    rows = pd.DataFrame({"customer_id": [f"c{n}" for n in range(800)], "cutoff_date": pd.to_datetime(days)})
    champion = np.where(outcome == 1, 0.8, 0.02)
    candidate = champion.copy()
    stayed = np.flatnonzero((outcome == 0) & (days == "2024-05-06"))
    of_light = stayed[active[stayed] == 2][:light]
    others = stayed[active[stayed] != 2][: spring_wrong - light]
    candidate[np.r_[of_light, others]] = 0.6
    return Remembered(rows.assign(active_days_84d=active, lapsed=outcome), candidate, champion)


def five_times(kept: Remembered) -> Remembered:
    """The same of five times as many customers: of one outcome alone there are enough rows to ask."""
    rows = [kept.rows.assign(customer_id=kept.rows["customer_id"] + f"-{n}") for n in range(5)]
    return Remembered(pd.concat(rows, ignore_index=True), np.tile(kept.candidate, 5), np.tile(kept.champion, 5))


def test_a_model_that_knows_what_the_champion_knew_forgets_nothing() -> None:
    found = forgotten(remembered(), PROBLEM)
    assert found is not None
    assert (found.share.value, found.wrong, found.seasons, found.customers) == (0.0, 0, 2, ())


def test_the_season_that_fares_worst_is_told_with_segment_and_customers() -> None:
    found = forgotten(remembered(spring_wrong=30, light=20), PROBLEM)
    assert found is not None
    assert (found.season, found.wrong, found.rows) == ("2024 Q2", 30, 400)
    assert found.share.value == pytest.approx(30 / 400)
    assert found.share.low > FORGOTTEN
    assert (found.slice_name, found.slice_value, found.slice_share) == ("activity", "1-2", pytest.approx(20 / 40))
    assert len(found.customers) == 3
    assert found.who == 30


def test_a_base_rate_that_moved_is_no_memory_lost() -> None:
    """Every score's odds are four times what they were: the order of the customers is the same."""
    kept = remembered()
    odds = 4 * kept.champion / (1 - kept.champion)
    found = forgotten(replace(kept, candidate=odds / (1 + odds)), PROBLEM)
    assert found is not None
    assert found.wrong == 0


def test_what_the_champion_had_wrong_or_in_doubt_cannot_be_forgotten() -> None:
    kept = remembered()
    unsure = replace(kept, champion=np.full(800, 0.1), candidate=1 - kept.champion)
    assert forgotten(unsure, PROBLEM) is None


def new_rows(right: bool, light: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
    """New rows, of 300 of which the champion is sure that they stay and the candidate that they lapse; it is `right`.

    The 300 are light shoppers where that is said.
    """
    kept = remembered()
    rows = pd.concat([kept.rows] * 3, ignore_index=True)
    rows["customer_id"] = [f"n{n}" for n in range(len(rows))]
    champion = np.tile(kept.champion, 3)
    # A light shopper is every tenth row: enough of them for a segment of their own.
    rows.loc[rows.index % 10 < 2, "active_days_84d"] = 2
    of = (rows["lapsed"] == 0) & (rows["active_days_84d"] == (2 if light else 30))
    turned = of.to_numpy() & (of.cumsum() <= 300).to_numpy()
    candidate = np.where(turned, 0.6, champion)
    return rows.assign(lapsed=np.where(turned & right, 1, rows["lapsed"])), pd.DataFrame(
        {"candidate": candidate, "champion": champion}
    )


def test_a_change_of_mind_that_new_rows_bear_out_is_no_memory_lost() -> None:
    [excused] = borne_out(*new_rows(right=True), PROBLEM)
    assert (excused.outcome, excused.rows, excused.except_for) == (0, 300, ())
    assert excused.gain.high < 0
    # Only those that were sure to stay are excused, wherever they stand.
    found = forgotten(five_times(remembered(spring_wrong=20, light=20)), PROBLEM, [excused])
    assert found is not None
    assert (found.rows, found.wrong) == (200, 0)


def test_a_change_of_mind_that_new_rows_do_not_bear_out_or_do_not_know_stays_asked() -> None:
    assert borne_out(*new_rows(right=False), PROBLEM) == []
    rows, scores = new_rows(right=True)
    few = np.flatnonzero(scores["candidate"] != scores["champion"])[150:]
    assert borne_out(rows.drop(index=few), scores.drop(index=few), PROBLEM) == []


def test_a_segment_in_which_new_rows_say_the_contrary_stays_asked() -> None:
    changed, wrong = new_rows(right=True), new_rows(right=False, light=True)
    both = [pd.concat(parts, ignore_index=True) for parts in zip(changed, wrong, strict=True)]
    [excused] = borne_out(*both, PROBLEM)
    assert excused.except_for == (("activity", "1-2"),)
    found = forgotten(five_times(remembered(spring_wrong=30, light=20)), PROBLEM, [excused])
    assert found is not None
    assert (found.slice_value, found.wrong) == ("1-2", 5 * 20)


@pytest.fixture(scope="module")
def forgetful() -> tuple[TrainingResult, Comparison, pd.DataFrame]:
    """A candidate of the newest cutoffs, a champion that knew the older ones, and what was learned from."""
    world = make_frame(customers=900, cutoffs=18)
    days = sorted(world["cutoff_date"].unique())
    rows, _ = split_training_set(world, ONE, newest=12)
    known = world[world["cutoff_date"] <= days[9]]
    pipeline = LOGISTIC.build({"C": 0.02}, 0).fit(known[FEATURES], known["lapsed"])
    champion = Champion(3, pipeline, LOGISTIC.name, {"C": 0.02}, days[9].date())
    result, compared, _ = evaluate_candidate(rows, ONE, champion)
    assert compared is not None
    return result, compared, rows


def verdict(result: TrainingResult, compared: Comparison | None) -> GateResult:
    return {gate.name: gate for gate in judge(result, ONE, compared)}["forgets_nothing"]


def test_the_rows_that_are_asked_are_those_that_the_champion_learned_from(forgetful) -> None:
    result, compared, rows = forgetful
    asked = compared.remembered.rows
    assert asked["cutoff_date"].max().date() == date(2017, 5, 29)
    # Also those that a recent window leaves out: they are what may be forgotten.
    assert (rows["split"] == "before window").any()
    assert set(asked["split"]) >= {"before window", "train"}
    assert verdict(result, compared).passed


def test_rows_now_known_bad_are_not_asked(forgetful) -> None:
    result, _, rows = forgetful
    first = rows["cutoff_date"].min()
    bad = rows.assign(split=rows["split"].where(rows["cutoff_date"] != first, "quarantined"))
    champion = Champion(3, result.pipeline, LOGISTIC.name, result.parameters, date(2017, 5, 29))
    compared = compare_with_champion(result, bad, champion, ONE, minimum_rows=200, minimum_positives=50)
    assert compared.remembered.rows["cutoff_date"].min() > first


def test_a_candidate_that_lost_a_segment_is_refused_and_the_sentence_says_which(forgetful) -> None:
    result, compared, _ = forgetful
    kept = compared.remembered
    light = kept.rows["active_days_84d"].between(12, 23).to_numpy()
    turned = np.where(light, 1 - kept.champion, kept.champion)
    lost = verdict(result, replace(compared, remembered=replace(kept, candidate=turned)))
    assert not lost.passed
    assert lost.observed > lost.bound == FORGOTTEN
    assert "fares worst" in lost.sentence
    assert "Customers: c" in lost.sentence


def test_where_nothing_can_be_asked_the_sentence_says_why(forgetful) -> None:
    result, _, rows = forgetful
    assert verdict(result, None).sentence == "Nothing is asked: there is no champion yet."
    gone = rows.drop(columns=["trips_7d"])
    without = replace(ONE, features=tuple(name for name in FEATURES if name != "trips_7d"))
    champion = Champion(3, result.pipeline, LOGISTIC.name, result.parameters, date(2017, 5, 29))
    again, _, _ = evaluate_candidate(gone, without)
    found = compare_with_champion(again, gone, champion, without, minimum_rows=200, minimum_positives=50)
    said = {gate.name: gate.sentence for gate in judge(again, without, found)}["forgets_nothing"]
    assert said == "Nothing is asked: version 3 cannot score rows without trips_7d."
