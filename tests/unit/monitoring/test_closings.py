"""Days without rows: those that recur are known, and a load that is missing still alarms."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from ml_models.monitoring.data_quality import judge_arrival, judge_quality
from ml_models.monitoring.data_quality.closings import recurring_closings, rows_by_day
from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable

TABLE = MonitoredTable("raw/lines", "raw.lines", {"sold_at": "TIMESTAMP"}, "sold_at", "sold_at")
FIRST = date(2022, 10, 3)  # a Monday
HOLIDAYS = (date(2022, 12, 26), date(2023, 4, 7), date(2023, 4, 10), date(2023, 5, 29))
"""Boxing Day, Good Friday, Easter Monday, and the last Monday of May."""


def rows_until(end: date, *, without: tuple[date, ...]) -> dict[date, float]:
    """Return the rows of a shop's days: its weekdays differ, and chance does the rest."""
    generator = np.random.default_rng(4)
    days = [FIRST + timedelta(days=number) for number in range((end - FIRST).days)]
    return {
        day: 0.0 if day in without else float(generator.poisson((300, 310, 320, 330, 420, 500, 200)[day.weekday()]))
        for day in days
    }


def profile_of(rows: dict[date, float]) -> pd.DataFrame:
    found = []
    for day, value in rows.items():
        week = day - timedelta(days=day.weekday())
        if day == week:
            found.append(("rows", week, sum(rows.get(week + timedelta(days=one), 0) for one in range(7))))
        if value:
            found.append(("day_rows", day, value))
    frame = pd.DataFrame(found, columns=["measure", "period_start", "value"])
    frame = frame.assign(asset="raw/lines", column_name="", value_key="", n=frame["value"].astype("int64"))
    return frame.assign(period_start=pd.to_datetime(frame["period_start"]).astype("datetime64[us]"))


def judged(closed: date, *, before: tuple[date, ...] = HOLIDAYS) -> list[str]:
    """Return what is said of the week in which a day is without rows."""
    cutoff = closed - timedelta(days=closed.weekday()) + timedelta(days=7)
    profile = profile_of(rows_until(cutoff, without=(*before, closed)))
    return [one.sentence for one in judge_quality(profile, [TABLE], cutoff, {}).anomalies]


@pytest.mark.parametrize(
    "day",
    [
        pytest.param(date(2023, 12, 26), id="the same date a year ago"),
        pytest.param(date(2024, 3, 29), id="Good Friday, nine days earlier in the year"),
        pytest.param(date(2024, 4, 1), id="Easter Monday"),
        pytest.param(date(2024, 5, 27), id="the last Monday of the month"),
    ],
)
def test_a_holiday_that_was_one_before_is_silent(day):
    assert judged(day) == []


@pytest.mark.parametrize("day", [date(2023, 12, 20), date(2024, 3, 27), date(2024, 4, 3), date(2024, 5, 22)])
def test_a_load_that_is_missing_beside_a_holiday_alarms(day):
    [said] = judged(day)
    assert f"lacks rows: {day} (0 of" in said


def test_a_first_closed_day_is_asked_about_with_the_command_that_answers():
    [said] = judged(date(2023, 12, 26), before=())
    assert said.endswith("Could nobody buy then? Say so: make closed DAY=2023-12-26.")


def test_a_day_on_which_some_rows_came_is_no_closed_day():
    cutoff = date(2023, 12, 25)
    rows = rows_until(cutoff, without=())
    rows[date(2023, 12, 20)] = 90.0
    [anomaly] = judge_quality(profile_of(rows), [TABLE], cutoff, {}).anomalies
    assert "make closed" not in anomaly.sentence


def first_wednesdays(*months: date) -> tuple[date, ...]:
    return tuple(month + timedelta(days=(2 - month.weekday()) % 7) for month in months)


def test_a_day_of_the_month_is_known_after_three_months_in_a_row():
    *before, newest = first_wednesdays(*(date(2023, month, 1) for month in (3, 4, 5, 6)))
    rows = rows_until(newest + timedelta(days=5), without=(*before, newest))
    assert recurring_closings(rows, newest) == {newest}
    rows = rows_until(newest + timedelta(days=5), without=(*before[1:], newest))
    assert recurring_closings(rows, newest) == frozenset()


def test_a_weekday_that_is_missing_each_week_is_not_explained_by_itself():
    sundays = tuple(date(2023, 4, 2) + timedelta(days=7 * week) for week in range(6))
    rows = rows_until(date(2023, 5, 8), without=sundays)
    assert recurring_closings(rows, FIRST) == frozenset()


def test_an_outage_of_a_week_a_year_ago_explains_none_today():
    year_ago = tuple(date(2022, 12, 5) + timedelta(days=number) for number in range(7))
    rows = rows_until(date(2023, 12, 11), without=(*year_ago, date(2023, 12, 7)))
    assert recurring_closings(rows, date(2023, 12, 4)) == frozenset()


def test_fewer_rows_than_on_the_holiday_before_are_not_explained_by_it():
    before, now = date(2022, 12, 24), date(2023, 12, 24)
    rows = rows_until(date(2023, 12, 25), without=())
    rows |= {before: 0.4 * rows[before], now: 0.38 * rows[now - timedelta(days=7)]}
    assert recurring_closings(rows, now) == {now}
    assert recurring_closings(rows | {now: 0.0}, now) == frozenset()


def test_a_load_that_was_repaired_later_is_no_closed_day():
    profile = profile_of(rows_until(date(2023, 1, 2), without=(date(2022, 12, 26),)))
    again = profile.iloc[:1].assign(
        measure="again_rows", period_start=pd.Timestamp(2022, 12, 26), value_key="2022-12-20 00:00:00", value=7.0
    )
    found = rows_by_day(pd.concat([profile, again]), "raw/lines", date(2023, 1, 2))
    assert (found[date(2022, 12, 26)], found[date(2022, 12, 20)]) == (0.0, 7.0)


def test_the_newest_days_may_be_holidays_that_recur():
    cutoff, newest = date(2024, 1, 1), date(2023, 12, 29)
    before, now = ((date(year, 12, 30), date(year, 12, 31)) for year in (2022, 2023))
    known = profile_of(rows_until(cutoff, without=(*before, *now)))
    assert judge_arrival(known, TABLE, cutoff, newest, allowed=1) == ()
    unknown = profile_of(rows_until(cutoff, without=now))
    [anomaly] = judge_arrival(unknown, TABLE, cutoff, newest, allowed=1)
    assert anomaly.kind == "stale"


def sundays(rows: dict[date, float]) -> list[date]:
    return [day for day in rows if day.weekday() == 6]


def test_a_weekday_that_was_always_closed_may_open():
    cutoff = date(2023, 5, 8)
    rows = rows_until(cutoff, without=())
    rows |= dict.fromkeys(sundays(rows)[:-1], 0.0)
    assert judge_quality(profile_of(rows), [TABLE], cutoff, {}).anomalies == ()


def test_a_weekday_that_is_said_to_be_closed_from_now_on_is_missed_by_nobody():
    rows = rows_until(date(2023, 5, 8), without=())
    rows |= dict.fromkeys(sundays(rows)[-3:], 0.0)
    bad = {}
    for cutoff in (date(2023, 4, 24), date(2023, 5, 1), date(2023, 5, 8)):
        verdict = judge_quality(profile_of(rows), [TABLE], cutoff, bad, closed_days=sundays(rows))
        bad = verdict.bad_weeks
        assert verdict.anomalies == ()


def test_a_company_that_is_closed_on_sundays_still_loses_no_fifth_of_its_rows_unnoticed():
    cutoff = date(2023, 5, 8)
    rows = rows_until(cutoff, without=())
    rows |= dict.fromkeys(sundays(rows), 0.0)
    closed = sundays(rows)
    assert judge_quality(profile_of(rows), [TABLE], cutoff, {}, closed_days=closed).anomalies == ()
    lost = {day: 0.8 * value if day >= date(2023, 5, 1) else value for day, value in rows.items()}
    [anomaly] = judge_quality(profile_of(lost), [TABLE], cutoff, {}, closed_days=closed).anomalies
    assert "times its own noise at once" in anomaly.sentence
