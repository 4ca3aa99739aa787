"""Performance is judged where outcomes change and scores do not, and stays silent where weeks merely differ."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from support.simulated_outcomes import CUTOFFS, FIRST, ONSET, PROBLEM, TRAINED, WEEKS, simulated_outcomes

from ml_models.metrics import auc
from ml_models.monitoring.performance.history import HISTORY_COLUMNS, performance_history
from ml_models.monitoring.performance.segments import auc_error
from ml_models.monitoring.performance.verdict import judge_performance
from ml_models.monitoring.performance.weekly import judge_predictions


def history_of(parts, groups=(), **more) -> pd.DataFrame:
    frame, scores, outcomes, early = parts
    return performance_history(frame, scores, outcomes, early, PROBLEM, TRAINED, groups=groups, **more)


def judged(history: pd.DataFrame) -> dict[int, object]:
    """Return the verdict at each Monday, by days after the onset."""
    mondays = [FIRST + timedelta(weeks=week) for week in range(14, WEEKS + 1)]
    return {(day - ONSET).days: judge_performance(history, day, PROBLEM.question) for day in mondays}


@pytest.fixture(scope="module")
def natural() -> pd.DataFrame:
    return history_of(simulated_outcomes(), groups=("region",))


@pytest.mark.parametrize("seed", range(2))
def test_natural_weeks_raise_no_alarm(seed: int) -> None:
    verdicts = judged(history_of(simulated_outcomes(seed), groups=("region",)))
    assert {verdict.status for verdict in verdicts.values()} == {"pass", "insufficient evidence"}
    assert verdicts[70].status == "pass"


def test_a_group_that_quits_with_unchanged_features_is_found_and_named() -> None:
    history = history_of(
        simulated_outcomes(quits=lambda rows, after: np.where(rows["taste"] > 0.67, 0.06 * (after + 1), 0).clip(0, 0.3))
    )
    verdicts = judged(history)
    first = min(days for days, verdict in verdicts.items() if verdict.status == "fail")
    assert 0 < first <= 35
    assert verdicts[42].segments[0][0] == "taste"
    assert verdicts[42].segments[0][1].startswith("above 0.6")
    assert all(verdict.status == "fail" for days, verdict in verdicts.items() if days >= 35)


def test_a_small_region_is_found_by_the_column_that_names_it() -> None:
    quits = lambda rows, after: np.where(rows["region"] == "west", 0.3, 0)  # noqa: E731
    verdicts = judged(history_of(simulated_outcomes(quits=quits), groups=("region",)))
    assert verdicts[28].status == "fail"
    assert verdicts[28].segments[0] == ("region", "west")


def test_a_corner_that_no_band_describes_is_found_by_one_half_and_confirmed_by_the_other() -> None:
    corner = lambda rows, after: np.where((rows["taste"] < 0.5) & (rows["age"] > 18), 0.3, 0)  # noqa: E731
    history = history_of(simulated_outcomes(quits=corner))
    table = judge_performance(history, ONSET + timedelta(days=49), PROBLEM.question).table
    found = table[(table["segment_column"] == "found") & table["alarm"]]
    assert len(found)
    assert found["segment_value"].str.contains("taste <= 0.").any()


def test_the_early_label_comes_first() -> None:
    quits = lambda rows, after: np.where(rows["taste"] > 0.6, 0.4, 0)  # noqa: E731
    verdicts = judged(history_of(simulated_outcomes(quits=quits)))
    first = min(days for days, verdict in verdicts.items() if verdict.status == "fail")
    assert first == 14
    assert verdicts[14].kind == "proxy"
    assert verdicts[28].kind == "realised"


def test_labels_that_close_too_early_are_a_fall_as_well() -> None:
    frame, scores, outcomes, early = simulated_outcomes()
    late = outcomes["cutoff_date"] >= pd.Timestamp(ONSET)
    outcomes = outcomes.assign(lapsed=np.where(late, early["lapsed_14d"], outcomes["lapsed"]))
    assert judged(history_of((frame, scores, outcomes, early)))[35].status == "fail"


def test_scores_that_promise_less_only_warn() -> None:
    frame, scores, outcomes, early = simulated_outcomes()
    late = (frame["cutoff_date"] >= pd.Timestamp(CUTOFFS[-2])).to_numpy()
    verdict = judge_performance(
        history_of((frame, np.where(late, scores**0.6, scores), outcomes, early)), CUTOFFS[-1], PROBLEM.question
    )
    assert verdict.status == "warn"
    assert verdict.kind == "estimated"


def test_windows_that_the_model_learned_from_raise_no_alarm() -> None:
    frame, scores, outcomes, early = simulated_outcomes(quits=lambda rows, after: np.full(len(rows), 0.5))
    history = performance_history(frame, scores, outcomes, early, PROBLEM, CUTOFFS[-1])
    assert {verdict.status for verdict in judged(history).values()} == {"insufficient evidence"}


def test_too_few_rows_are_not_judged() -> None:
    frame, scores, outcomes, early = simulated_outcomes()
    few = (frame["customer_id"].str[1:].astype(int) < 80).to_numpy()
    verdict = judge_performance(history_of((frame[few], scores[few], outcomes, early)), CUTOFFS[-1], PROBLEM.question)
    assert verdict.status == "insufficient evidence"
    assert "at least 100 are needed" in verdict.sentence


def test_later_outcomes_do_not_change_a_judgement(natural: pd.DataFrame) -> None:
    known = natural[natural["known_on"] <= pd.Timestamp(ONSET)]
    early, late = (judge_performance(one, ONSET, PROBLEM.question) for one in (known, natural))
    pd.testing.assert_frame_equal(early.table, late.table)


def test_new_windows_are_added_to_what_is_known(natural: pd.DataFrame) -> None:
    known = natural[natural["known_on"] <= pd.Timestamp(ONSET)]
    again = history_of(simulated_outcomes(), groups=("region",), known=known)
    pd.testing.assert_frame_equal(again, natural)
    assert list(natural.columns) == HISTORY_COLUMNS


def test_rows_that_are_not_together_by_cutoff_come_to_the_same(natural: pd.DataFrame) -> None:
    frame, scores, outcomes, early = simulated_outcomes()
    assert frame["cutoff_date"].is_monotonic_increasing
    # Cutoffs interleaved, customers of each in their order.
    order = np.argsort(frame.groupby("cutoff_date").cumcount(), kind="stable")
    apart = (frame.iloc[order].reset_index(drop=True), scores[order], outcomes, early)
    assert not apart[0]["cutoff_date"].is_monotonic_increasing
    pd.testing.assert_frame_equal(history_of(apart, groups=("region",)), natural)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match="shop is missing"):
        history_of(simulated_outcomes(), groups=("shop",))


def test_the_error_of_an_auc_is_what_repetition_shows() -> None:
    generator = np.random.default_rng(0)
    areas, errors = [], []
    for _ in range(60):
        score = generator.beta(1, 6, 800)
        label = generator.random(800) < score
        areas.append(auc(label, score))
        errors.append(auc_error(label, score))
    assert np.mean(errors) == pytest.approx(np.std(areas), rel=0.25)


def test_asked_again_of_the_same_rows_the_history_is_the_same_and_of_others_it_is_measured_anew() -> None:
    frame, scores, outcomes, early = simulated_outcomes()

    def asked(known: pd.DataFrame) -> pd.DataFrame:
        return judge_predictions(frame, lambda _: scores, known, early, PROBLEM, TRAINED, CUTOFFS[-1])[0]

    once, again = asked(outcomes), asked(outcomes)
    pd.testing.assert_frame_equal(once, again)
    # One outcome that came to be known otherwise is seen.
    changed = outcomes.copy()
    place = changed.index[-1]
    changed.loc[place, PROBLEM.label] = 1 - changed.loc[place, PROBLEM.label]
    pd.testing.assert_frame_equal(asked(changed), performance_history(frame, scores, changed, early, PROBLEM, TRAINED))
    assert not asked(changed).equals(once)
