"""What is there on a Monday of a scenario: what the graph would have had by then, and nothing more."""

from dataclasses import replace
from datetime import date, timedelta

import pandas as pd
import pytest
from support.bundled import PROBLEM

from drills.faults import Dated, Expected, Fault, known
from drills.recording import record
from drills.run import check_start, drill, middle
from drills.scenario import DrilledHistory
from drills.shared import Sharing, recipe
from ml_models.monitoring.data_quality import audited
from ml_models.monitoring.diagnosis import NotReplayable
from ml_models.monitoring.types import Perturbation
from ml_models.policy_backtest import simulate
from ml_models.rows import labelled_rows, scored
from ml_models.training.search import simplest_recipe

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


SCALED = Perturbation("raw/transactions", "scale", "sales_value", value=100.0)
# Comes to nothing, but moves rows to other days, so that nobody can tell it by its description.
MOVED = Perturbation("raw/transactions", "shift_time", "transaction_timestamp", value=0.0)


def test_a_morning_before_which_nothing_happened_is_read_and_is_what_would_have_been_built(year):
    read, built = history(year, SCALED), history(year, SCALED, MOVED)
    assert read.untouched(START)
    assert not read.untouched(START + WEEK)
    assert not built.untouched(START)
    assert at(read.frame(START), START).equals(at(built.frame(START), START))
    for found, whole in ((read.outcomes(START), built.outcomes(START)), (read.early(START), built.early(START))):
        assert found.reset_index(drop=True).equals(whole.reset_index(drop=True))
    both = read.profile(START).merge(built.profile(START), on=MEASURE, how="outer", indicator=True)
    assert (both._merge == "both").all()
    assert both.value_x.fillna(-1).sub(both.value_y.fillna(-1)).abs().max() < 1e-6
    assert {asset: dict(kinds) for asset, kinds in read.columns(START).items()} == built.columns(START)


def test_a_cutoff_that_looks_back_on_untouched_days_alone_is_audited_by_what_was_recorded(year):
    read, built = (history(year, *made).audit(START + 3 * WEEK) for made in ((SCALED,), (SCALED, MOVED)))
    names = ["customer_id", *PROBLEM.features]
    one, other = (part.before_only.sort_values("customer_id")[names] for part in (read, built))
    pd.testing.assert_frame_equal(
        one.reset_index(drop=True), other.reset_index(drop=True), check_dtype=False, check_exact=True
    )


@pytest.mark.parametrize(
    "perturbation",
    [
        Perturbation("raw/transactions", "delay", value=3),
        Perturbation("raw/transactions", "replay_days", "basket_id", value=7),
        Perturbation("raw/transactions", "set", "transaction_timestamp", value=None),
        Perturbation("raw/transactions", "swap", "extracted_at", value="transaction_timestamp"),
        Perturbation("raw/transactions", "duplicate", "basket_id", value={"transaction_timestamp": "now()"}),
        Perturbation("raw/products", "collapse", "department", value="ALL"),
        Perturbation("raw/transactions", "drop_column", "store_id"),
        Perturbation("marts/orders", "scale", "amount_cents", value=2.0),
        Perturbation("features/customer_features", "edit_model", value={"find": "a", "replace": "a"}),
    ],
)
def test_what_may_reach_back_is_never_taken_for_untouched(year, perturbation):
    assert not history(year, perturbation).untouched(START)
    assert history(year, perturbation).untouched(START) == history(year, SCALED, perturbation).untouched(START)
    assert not history(year, SCALED, rebuild=True).untouched(START)


def test_tables_that_a_fault_does_not_reach_keep_what_was_measured_of_them(year):
    sandbox, recording = year
    broken = Perturbation("raw/products", "collapse", "department", value="ALL")
    lineage = sandbox.lineage()
    fault = Fault("one", "", "quality", (Dated(broken, 0, None),), RIGHT)
    every, some = (DrilledHistory(fault, START, recording, sandbox, PROBLEM, graph) for graph in ({}, lineage))
    both = every.profile(START).merge(some.profile(START), on=MEASURE, how="outer", indicator=True)
    assert (both._merge == "both").all()
    assert both.value_x.fillna(-1).sub(both.value_y.fillna(-1)).abs().max() < 1e-6
    moved = both[both.value_x.round(6) != both.value_y.round(6)].dropna(subset=["value_x"])
    assert moved.empty


def test_a_recipe_gives_the_same_model_for_the_same_rows_and_another_for_others(year):
    recording = year[1]
    rows = labelled_rows(recording.features, recording.outcomes, PROBLEM)
    fit = recipe(PROBLEM)
    model = fit(rows)
    assert recipe(PROBLEM)(rows.copy()) is model
    other = fit(rows.assign(spend_cents_7d=rows["spend_cents_7d"] + 1))
    assert other is not model
    again = simplest_recipe(PROBLEM)(rows)
    assert (scored(again, rows, PROBLEM) == scored(model, rows, PROBLEM)).all()


def test_the_first_week_of_two_drills_is_judged_once_where_nothing_has_happened_by_then(year):
    sandbox, recording = year
    recording = replace(recording, first_weeks={})
    fit = recipe(PROBLEM)
    told = []
    for one in (SCALED, replace(SCALED, operation="null", value=None), MOVED):
        scenario = DrilledHistory(history(year, one).fault, START, recording, sandbox, PROBLEM)
        told.append(simulate(scenario, Sharing(scenario), START, START, fit).judgements[START])
    assert told[0] is told[1]
    assert told[0] is not told[2]
    assert told[0].why == told[2].why


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
