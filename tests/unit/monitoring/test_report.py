"""What a person reads on a Monday: what goes on, what is over, what was released, restated and repaired."""

from datetime import date, timedelta

import pandas as pd
import pytest

from ml_models.monitoring.decision.ledger import LEDGER_COLUMNS, release_week, write_anomalies
from ml_models.monitoring.performance import messages
from ml_models.monitoring.performance.explained import most_of_the_loss
from ml_models.monitoring.performance.segments import FOUND, OVERALL, SCORE
from ml_models.monitoring.report import digest
from ml_models.monitoring.types import Anomaly

MONDAY = date(2030, 3, 4)
WEEK = timedelta(days=7)


def week(cutoff, event="", decision="continue", asset="", restated="", remedy=""):
    return {
        "cutoff": pd.Timestamp(cutoff),
        "cause": "data quality" if asset else "none",
        "percent_explained": 90.0 if asset else None,
        "first_bad_asset": asset,
        "owner": "team:raw" if asset else "",
        "failing_check": f"{asset}:volume" if asset else "",
        "decision": decision,
        "remedy": remedy,
        "reason": f"{asset} holds too few rows." if asset else "Nothing is out of its range.",
        "next_command": "dagster asset materialize" if asset else "",
        "event_id": event,
        "restated": restated,
    }


def decided(cutoff, *anomalies, **more):
    row = {"cutoff": pd.Timestamp(cutoff), "anomalies": write_anomalies(anomalies), **more}
    return dict.fromkeys(LEDGER_COLUMNS) | row


def few(cutoff, **more):
    first, last = cutoff - WEEK, cutoff - timedelta(days=1)
    return Anomaly("volume", "raw/orders", "", 1.0, 9.0, 2.0, 9, "Too few rows.", first, last, **more)


WHY = pd.DataFrame(
    [
        week(MONDAY - 3 * WEEK, "data-raw/items-x", "inspect", "raw/items"),
        week(MONDAY - 2 * WEEK, restated="3 days of raw/orders were corrected."),
        week(MONDAY - WEEK, "data-raw/orders-x", "inspect", "raw/orders"),
        week(MONDAY, "data-raw/orders-x", "inspect", "raw/orders"),
    ]
)
LEDGER = pd.DataFrame(
    [
        decided(MONDAY - 3 * WEEK, few(MONDAY - 3 * WEEK, rebuilt_from=MONDAY - 8 * WEEK)),
        decided(MONDAY - 2 * WEEK, released='{"2030-02-12": "ben on 2030-02-20: a holiday"}'),
        decided(MONDAY - WEEK, few(MONDAY - WEEK)),
        decided(MONDAY, few(MONDAY)),
    ]
)


def test_the_digest_tells_what_goes_on_from_what_is_over():
    lines = digest(WHY).splitlines()
    assert lines[0].startswith("4 week(s) judged")
    assert lines[1].startswith(f"Still going on, since {MONDAY - WEEK}: data quality, 90 % explained")
    assert "First to be looked at: raw/orders (team:raw, check raw/orders:volume)." in lines[1]
    assert lines[1].endswith("Next: dagster asset materialize")
    assert lines[2].startswith(f"Over, {MONDAY - 3 * WEEK}: data quality")


def test_the_digest_names_what_was_restated_released_and_repaired():
    released = release_week(LEDGER, MONDAY, {"by": "ana", "at": "2030-03-05", "reason": "stocktaking"})
    text = digest(WHY, released)
    assert f"Restated, {MONDAY - 2 * WEEK}: 3 days of raw/orders were corrected." in text
    assert f"Released, {MONDAY}: by ana on 2030-03-05: stocktaking." in text
    assert f"Released, {MONDAY - 2 * WEEK}: 2030-02-12 was closed, says ben on 2030-02-20: a holiday." in text
    assert f"Repaired, {MONDAY - 3 * WEEK}: raw/orders is whole, computed again from {MONDAY - 8 * WEEK} on." in text
    # A released week does not go on.
    assert "Still going on" not in text
    assert "Still going on" in digest(WHY, LEDGER)


def test_the_digest_names_the_remedy_of_each_improvement():
    weeks = [
        week(MONDAY - 2 * WEEK, "drift-x", "inspect"),
        week(MONDAY - WEEK, "drift-x", "improve", remedy="recalibrate"),
        week(MONDAY, "drift-x", "improve", remedy="retrain"),
    ]
    assert ": none; inspect, then improve (recalibrate), then improve (retrain)." in digest(pd.DataFrame(weeks))


def test_a_week_that_a_former_build_judged_names_no_remedy():
    weeks = pd.DataFrame([week(MONDAY, "drift-x", "improve")])
    assert ": none; improve. " in digest(weeks.drop(columns=["remedy"]))
    assert ": none; improve. " in digest(weeks.assign(remedy=None))


def test_without_a_week_there_is_nothing_to_tell():
    assert digest(WHY.iloc[:0], LEDGER) == "No week has been judged yet."


def gap(column, value, harm, kind="realised", statistic="calibration", violated=True, now=0.1, past=0.0):
    return {
        "kind": kind,
        "segment_column": column,
        "segment_value": value,
        "statistic": statistic,
        "value": now,
        "past": past,
        "harm": harm,
        "n": 500,
        "violated": violated,
    }


RISE = gap(OVERALL, OVERALL, None, statistic="log_loss", now=0.34, past=0.32)


@pytest.mark.parametrize(
    ("rows", "column", "share"),
    [
        # Many bands fall with it; the two of the weekend's share win most back.
        (
            [
                *(gap(f"feature_{number}", "above 3", 0.004) for number in range(30)),
                gap("weekend_share", "above 0.6", 0.009),
                gap("weekend_share", "up to 0.1", 0.005),
                gap(SCORE, "above 0.2", 0.02),
                gap(OVERALL, OVERALL, 0.003),
            ],
            "weekend_share",
            0.7,
        ),
        ([gap("visits", "above 3", 0.0101), gap(OVERALL, OVERALL, 0.01)], OVERALL, 0.5),
        ([gap(SCORE, "above 0.2", 0.01)], SCORE, 0.5),
        ([gap("visits", "above 3", 0.05, violated=False), gap("spend", "above 9", 0.01)], "spend", 0.5),
        ([gap(FOUND, "visits > 3 and spend <= 9", 0.04)], FOUND, 1.0),
    ],
    ids=["a split among many", "all alike", "only the score's bands", "what is not beyond its past", "found by a tree"],
)
def test_the_split_that_explains_most_of_the_loss_is_named(rows, column, share):
    table = pd.DataFrame([*rows, RISE, gap("other", "x", 9.0, kind="proxy")])
    found = most_of_the_loss(table, "realised")
    assert found.column == column
    assert found.share == pytest.approx(share)
    sentence = messages.explained(found)
    assert f"{share:.0%} of what the loss rose by" in sentence
    assert {OVERALL: "all customers alike", FOUND: "visits > 3 and spend <= 9"}.get(column, column) in sentence


def test_without_a_rise_only_the_gain_is_told():
    table = pd.DataFrame([gap("visits", "above 3", 0.01), RISE | {"past": 0.35}])
    found = most_of_the_loss(table, "realised")
    assert found.share is None
    assert "0.0100 of log-loss." in messages.explained(found)
    assert most_of_the_loss(table, "proxy") is None
