"""What is there on a Monday of a scenario: what the graph would have had by then, and nothing more."""

from dataclasses import replace
from datetime import date, timedelta

import pandas as pd
import pytest
from support.bundled import PROBLEM

from drills.faults import Dated, Expected, Fault, known
from drills.run import check_start, drill, middle
from drills.scenario import DrilledHistory, record
from ml_models.monitoring.data_quality import audited
from ml_models.monitoring.diagnosis import NotReplayable
from ml_models.monitoring.types import Perturbation

START = date(2017, 8, 14)
WEEK = timedelta(days=7)
RIGHT = Expected(("data quality",), ("inspect",))
MEASURE = ["asset", "column_name", "measure", "value_key", "period_start"]


def history(year, *perturbations, kind="quality", rebuild=False):
    sandbox, recording = year
    dated = tuple(Dated(one, 0, None) for one in perturbations)
    return DrilledHistory(Fault("one", "", kind, dated, RIGHT, rebuild=rebuild), START, recording, sandbox, PROBLEM)


def drilled(year, name):
    sandbox, recording = year
    return DrilledHistory(known()[name], START, recording, sandbox, PROBLEM)


def at(frame, cutoff):
    return frame[frame.cutoff_date == pd.Timestamp(cutoff)].set_index("customer_id").sort_index()


def test_when_nothing_is_altered_each_morning_is_as_it_was(year):
    scenario, recording = history(year, Perturbation("raw/transactions", "drop", where="false")), year[1]
    morning = START + WEEK
    rows = recording.features[recording.features.cutoff_date <= pd.Timestamp(morning)]
    assert scenario.frame(morning).reset_index(drop=True).equals(rows.reset_index(drop=True))
    for found, whole, days in (
        (scenario.outcomes(morning), recording.outcomes, 28),
        (scenario.early(morning), recording.early, 14),
    ):
        mature = whole[whole.cutoff_date + pd.Timedelta(days=days) <= pd.Timestamp(morning)]
        assert found.reset_index(drop=True).equals(mature.reset_index(drop=True))
    past = recording.measures[recording.measures.period_start < pd.Timestamp(morning)]
    both = scenario.profile(morning).merge(past, on=MEASURE, how="outer", suffixes=("", "_then"), indicator=True)
    assert (both._merge == "both").all()
    assert both.value.fillna(-1).sub(both.value_then.fillna(-1)).abs().max() < 1e-6
    assert [
        anomaly.sentence
        for anomaly in scenario.anomalies(morning)
        if anomaly.kind in ("schema", "stale", "future", "labels")
    ] == []


def test_a_fault_that_changes_nothing_is_refused_because_nobody_could_notice_it(year):
    sandbox, recording = year
    padded = Perturbation("raw/transactions", "map_values", column="household_id", value="00{}", rate=0.4)
    fault = Fault("ids_padded", "", "quality", (Dated(padded, 0, None),), RIGHT)
    with pytest.raises(ValueError, match="ids_padded changes nothing .* '007' in a number is 7"):
        drill(fault, recording, sandbox, PROBLEM, {}, {}, START, weeks=1)
    assert drilled(year, "amounts_times_100").differs(START + WEEK)


def test_rows_go_wrong_from_the_first_day_on_and_the_truth_stays(year):
    scenario, recording = drilled(year, "amounts_times_100"), year[1]
    assert at(scenario.frame(START), START).equals(at(recording.features, START))
    after = START + WEEK
    before, now = (at(frame, after) for frame in (recording.features, scenario.frame(after)))
    assert now.spend_cents_7d.sum() == 100 * before.spend_cents_7d.sum()
    assert at(scenario.frame(after), START).equals(at(recording.features, START))
    assert at(scenario.truth(after), after).equals(at(recording.outcomes, after))


def test_late_rows_hold_back_cutoff_and_labels_and_come_a_week_later(year):
    scenario = drilled(year, "load_three_days_late")
    late, later = START + WEEK, START + 2 * WEEK
    assert at(scenario.frame(late), late).empty
    assert scenario.outcomes(late).cutoff_date.max() == pd.Timestamp(START - 4 * WEEK)
    assert at(scenario.frame(later), late).equals(at(year[1].features, late))
    assert any(anomaly.kind == "stale" for anomaly in scenario.anomalies(late))


def test_a_missing_column_stops_the_graph_and_is_an_anomaly(year):
    scenario = drilled(year, "column_renamed")
    assert at(scenario.frame(START), START).empty
    found = [anomaly for anomaly in scenario.anomalies(START) if anomaly.kind == "schema"]
    assert [(anomaly.asset, anomaly.column) for anomaly in found] == [("raw/transactions", "sales_value")]
    assert len(scenario.profile(START)) > len(scenario.profile(START - WEEK))
    with pytest.raises(NotReplayable):
        scenario.rebuild(START)([], START - 5 * WEEK)


def test_a_table_without_a_time_changes_on_the_morning_of_the_first_day(year):
    scenario = drilled(year, "taxonomy_collapsed")
    assert at(scenario.frame(START - WEEK), START - WEEK).categories_84d.mean() > 20
    assert (
        at(scenario.frame(START), START).categories_84d == at(scenario.frame(START), START).departments_84d
    ).mean() > 0.9


def test_a_leak_is_in_the_history_that_was_built_again_and_not_in_live_rows(year):
    scenario, recording = drilled(year, "leak"), year[1]
    four_weeks_ago = START - 4 * WEEK
    pd.testing.assert_frame_equal(at(scenario.frame(START), START), at(recording.features, START), check_dtype=False)
    assert not at(scenario.frame(START), four_weeks_ago).equals(at(recording.features, four_weeks_ago))
    found, restated = audited(scenario.frame(START), scenario.audit(START), PROBLEM.features, PROBLEM.entity)
    assert {anomaly.kind for anomaly in found} == {"future"}
    assert restated is None
    other = drilled(year, "amounts_times_100")
    assert audited(other.frame(START), other.audit(START), PROBLEM.features, PROBLEM.entity) == ((), None)


def test_a_correction_of_past_days_changes_what_was_served_without_any_future(year):
    half = Perturbation("raw/transactions", "scale", "sales_value", value=1.5, per="household_id", rate=0.5)
    sandbox, recording = year
    corrected = Fault("one", "", "benign", (Dated(half, -56, -29),), RIGHT)
    scenario = DrilledHistory(corrected, START, recording, sandbox, PROBLEM)
    found, restated = audited(scenario.frame(START), scenario.audit(START), PROBLEM.features, PROBLEM.entity)
    assert found == ()
    assert restated is not None
    assert "spend_cents_84d" in restated.features
    assert 0.3 * restated.rows < restated.customers < 0.7 * restated.rows


def test_when_customers_change_the_truth_does_too(year):
    stops = Perturbation("raw/transactions", "drop", where="household_id % 32 = 0")
    scenario = history(year, stops, kind="concept")
    gone = at(scenario.truth(START), START).lapsed[lambda rows: rows.index.astype(int) % 32 == 0]
    assert len(gone) > 20
    assert gone.mean() == 1
    assert at(year[1].outcomes, START).lapsed.loc[gone.index].mean() < 0.5


def test_a_past_week_is_rebuilt_from_what_is_there_now(year):
    scenario = drilled(year, "amounts_times_100")
    build, day = scenario.rebuild(START + WEEK), START - 4 * WEEK
    assert at(build([], day), day)[list(PROBLEM.features)].equals(at(year[1].features, day)[list(PROBLEM.features)])
    doubled = Perturbation("raw/transactions", "scale", "sales_value", value=2.0)
    assert (at(build([doubled], day), day).spend_cents_84d == 2 * at(year[1].features, day).spend_cents_84d).all()


def test_a_recording_is_kept_and_read_again(year, tmp_path):
    sandbox, recording = year
    few = replace(recording, tables=recording.tables[:1])
    made = record(sandbox, PROBLEM, few.tables, keep=tmp_path)
    again = record(sandbox, PROBLEM, few.tables, keep=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert made.features.equals(again.features)
    assert made.measures.equals(again.measures)


def test_by_default_a_drill_begins_in_the_middle_of_the_cutoffs(year):
    assert middle(year[1], PROBLEM) == START


@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        (date(2017, 8, 15), "must be a Monday"),
        (date(2017, 5, 1), "2017-06-19 or later"),
        (date(2017, 12, 25), "leave four weeks"),
    ],
)
def test_a_drill_needs_weeks_before_and_after_it(year, start, sentence):
    with pytest.raises(ValueError, match="FROM must") as error:
        check_start(start, 9, year[1], PROBLEM)
    assert sentence in str(error.value).replace("at least ", "")


def test_rows_that_a_fault_dates_back_are_delivered_when_they_happened(year):
    sql = "transaction_timestamp - interval 21 day"
    earlier = Perturbation("raw/transactions", "set", "transaction_timestamp", value={"sql": sql})
    wrong, true = history(year, earlier), history(year, earlier, kind="covariate")
    week = START - WEEK

    def rows(scenario):
        profile = scenario.profile(START)
        found = profile[(profile.asset == "raw/transactions") & (profile.measure == "rows") & (profile.value_key == "")]
        return found[found.period_start == pd.Timestamp(week)].value.sum()

    recorded = rows(history(year, Perturbation("raw/transactions", "drop", where="false")))
    # On the first Monday nothing of the next weeks is there yet.
    assert rows(wrong) == recorded
    # Where the world is so, the days before hold what is dated there.
    assert rows(true) > 1.5 * recorded


def test_baskets_that_are_deleted_afterwards_are_there_at_first(year):
    gone = Perturbation(
        "raw/transactions",
        "drop",
        where="transaction_timestamp < {morning} - interval 14 day",
        per="basket_id",
        rate=0.5,
    )
    scenario, recording = history(year, gone), year[1]
    cutoff = START + 5 * WEEK
    assert at(scenario.frame(cutoff), START).trips_14d.equals(at(recording.features, START).trips_14d)
    assert at(scenario.frame(cutoff), cutoff).trips_84d.mean() < 0.93 * at(recording.features, cutoff).trips_84d.mean()
