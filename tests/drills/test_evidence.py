"""Where a drill begins, and which evidence data of a size lack: nobody is blamed for what so few rows cannot show."""

import math
from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace

import pandas as pd
import pytest
from support.bundled import PROBLEM

from drills.evidence import missing
from drills.faults import Dated, Expected, Fault
from drills.kept_scores import keep, kept, made_of
from drills.recording import Recording
from drills.run import bar, check_start, middle, score
from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable
from ml_models.monitoring.types import Diagnosis, Perturbation
from ml_models.policy_backtest import SimulationResult

MONDAY = date(2023, 1, 2)
ORDERS = MonitoredTable(
    "raw/orders", "raw.orders", {"buyer": "VARCHAR"}, time_sql="t", group="order_no", entity="buyer", ids=("buyer",)
)
RIGHT = Expected(("data quality",), ("inspect",))


def recording(weeks: int, rows: float, first_cutoff: int = 0, bad: tuple[int, ...] = ()) -> Recording:
    """Return weeks of so many rows, with cutoffs from the week `first_cutoff` on."""
    starts = [MONDAY + timedelta(days=7 * week) for week in range(weeks)]
    cutoffs = [start + timedelta(days=7) for start in starts[first_cutoff:]]
    measures = pd.DataFrame(
        {"asset": "raw/orders", "measure": "rows", "period_start": pd.to_datetime(starts), "value": rows}
    )
    none = pd.DataFrame()
    features = pd.DataFrame({"cutoff_date": pd.to_datetime(cutoffs)})
    found = {"raw/orders": {starts[week]: ("volume:",) for week in bad}}
    return Recording(features, none, none, measures, (ORDERS,), {}, bad_weeks=found)


def fault(operation: str, kind: str = "quality", **how: object) -> Fault:
    one = Perturbation("raw/orders", operation, **how)  # type: ignore[arg-type]
    return Fault("one", "", kind, (Dated(one, 0, None),), RIGHT)  # type: ignore[arg-type]


def test_by_default_a_drill_begins_in_the_middle_and_after_healthy_weeks():
    assert middle(recording(40, 500), PROBLEM) == MONDAY + timedelta(days=7 * 21)
    # The week before the middle was bad: the nearest Monday with a healthy one before it.
    assert middle(recording(40, 500, bad=(20,)), PROBLEM) == MONDAY + timedelta(days=7 * 20)


def test_a_history_too_short_for_a_model_is_drilled_for_what_arrives():
    short = recording(17, 500, first_cutoff=8)
    start = middle(short, PROBLEM)
    assert start == MONDAY + timedelta(days=7 * 13)
    check_start(start, 9, short, PROBLEM)
    with pytest.raises(ValueError, match="of the kind concept needs 12 clean weeks .* Load a longer history"):
        check_start(start, 9, short, PROBLEM, "concept")


START = MONDAY + timedelta(days=7 * 20)


@pytest.mark.parametrize(
    ("rows", "one", "sentence"),
    [
        (20, fault("scale", column="paid", value=100.0), "some 20 rows a week; below 30"),
        (55, fault("merge", column="buyer", rate=0.5), "some 55 rows a week; from 200 on"),
        (500, fault("merge", column="buyer", rate=0.5), "no second identifier beside buyer"),
        (55, fault("negate", column="paid", rate=0.05), "hits 2.8; fewer than 5 may be chance, so 100 rows"),
        (55, fault("drop", rate=0.45), "down to 28 of them"),
        (
            55,
            fault("rekey", column="buyer", per="order_no", rate=0.5),
            "from 200 on a loss without structure",
        ),
    ],
)
def test_what_few_rows_cannot_show_is_told_with_what_it_would_need(rows, one, sentence):
    assert sentence in missing(one, recording(40, rows), START)


@pytest.mark.parametrize(
    ("rows", "one"),
    [
        (55, fault("scale", column="paid", value=100.0)),
        (55, fault("drop", rate=0.7)),
        (55, fault("rekey", column="buyer")),
        (5000, fault("negate", column="paid", rate=0.05)),
        (5000, fault("drop", rate=0.1)),
        (5000, fault("drop", per="order_no", rate=0.2)),
        (20, fault("scale", kind="concept", column="paid", value=100.0)),
    ],
)
def test_nothing_is_excused_that_the_rows_show(rows, one):
    assert missing(one, recording(40, rows), START) == ""


def test_identifiers_of_a_short_history_lack_weeks_in_which_customers_are_known():
    short = recording(17, 5000, first_cutoff=8, bad=(6, 7, 8))
    assert "5 healthy weeks with 4 weeks before them" in missing(
        fault("rekey", column="buyer"), short, MONDAY + timedelta(days=7 * 12)
    )


def test_the_bar_asks_only_for_what_the_data_can_show():
    weeks = pd.DataFrame(
        [{"cutoff_date": pd.Timestamp(START), "action": "continue", "scheduled": False, "cause": "none"}]
    )
    nothing = SimulationResult("ours", weeks, pd.DataFrame(), {}, {}, pd.DataFrame())
    missed = score(fault("merge", column="buyer"), START, 1, nothing, 0.0, 0.0)
    assert bar([missed])
    assert bar([replace(missed, lacks="too few rows", harm=1.0)]) == []


@pytest.mark.parametrize(
    ("causes", "last", "right"),
    [
        (("data quality", "data quality", "data quality"), None, True),
        (("data quality", "none", "data quality"), None, False),
        (("data quality", "none", "none"), 6, True),
    ],
)
def test_a_fault_that_goes_on_must_not_fall_silent(causes, last, right):
    mornings = [START + timedelta(days=7 * (week + 1)) for week in range(len(causes))]
    weeks = pd.DataFrame(
        {
            "cutoff_date": pd.to_datetime(mornings),
            "action": ["continue" if cause == "none" else "inspect" for cause in causes],
            "scheduled": False,
            "cause": causes,
        }
    )
    diagnosis = SimpleNamespace(cause="data quality", first_bad_asset="raw/orders", owner="", sentence="")
    told = dict.fromkeys(mornings, SimpleNamespace(diagnosis=diagnosis))
    result = SimulationResult("ours", weeks, pd.DataFrame(), told, {}, pd.DataFrame())
    one = fault("null", column="buyer")
    lasting = replace(one, perturbations=(replace(one.perturbations[0], last=last),))
    assert score(lasting, START, 3, result, 0.0, 0.0).decision_right
    lasting = replace(lasting, expected=replace(RIGHT, lasting=True))
    assert score(lasting, START, 3, result, 0.0, 0.0).decision_right == right


@pytest.mark.parametrize(
    ("loud", "right"), [((0, 1), True), ((0, 1, 2), False), ((0, 3), False)], ids=["then well", "still", "again"]
)
def test_a_fault_that_is_repaired_must_be_over_from_then_on(loud, right):
    days = [START + timedelta(days=7 * number) for number in range(5)]
    found = Diagnosis("data quality", 1.0, "raw/sales", "team:data", "c", "", "Wrong.")
    weeks = pd.DataFrame(
        [
            {
                "cutoff_date": pd.Timestamp(day),
                "action": "inspect" if number in loud else "continue",
                "scheduled": False,
                "cause": "data quality" if number in loud else "none",
            }
            for number, day in enumerate(days)
        ]
    )
    judged = {day: SimpleNamespace(diagnosis=found) for day in days}
    result = SimulationResult("ours", weeks, pd.DataFrame(), judged, {}, pd.DataFrame())
    one = fault("scale", column="paid", value=100.0)
    repaired = replace(one, expected=replace(one.expected, decision=("inspect",), quiet_after=14))
    assert score(repaired, START, 5, result, 0.0, 0.0).decision_right == right


def test_a_drill_is_read_again_until_what_it_was_made_of_changes(tmp_path):
    weeks = pd.DataFrame(
        [{"cutoff_date": pd.Timestamp(START), "action": "continue", "scheduled": False, "cause": "none"}]
    )
    nothing = SimulationResult("ours", weeks, pd.DataFrame(), {}, {}, pd.DataFrame())
    found = score(fault("merge", column="buyer"), START, 1, nothing, math.nan, 12.0)
    keep(found, tmp_path, "a")
    # A delay that there is not and a harm that nobody can tell are nan, which equals nothing.
    assert repr(kept("one", tmp_path, "a")) == repr(found)
    assert kept("one", tmp_path, "b") is None
    assert kept("another", tmp_path, "a") is None
    assert not list(tmp_path.glob(".*"))


def test_a_drill_depends_on_its_description_its_days_and_what_all_drills_depend_on():
    one, other = fault("merge", column="buyer"), fault("null", column="buyer")
    made = [
        made_of(on, name, of, start, weeks)
        for on, name, of, start, weeks in (
            ("a", "one", one, None, None),
            ("b", "one", one, None, None),
            ("a", "two", one, None, None),
            ("a", "one", other, None, None),
            ("a", "one", one, MONDAY, None),
            ("a", "one", one, None, 4),
        )
    ]
    assert len(set(made)) == len(made)
    assert made[0] == made_of("a", "one", one, None, None)
