"""What was said of a week stands; what was found when the past was judged at once is found anew."""

from datetime import date

from steps.quality import VERDICT, bad_weeks, judge_arrivals

NEWEST = date(2018, 1, 1)
SAID, FOUND, BEFORE = date(2017, 12, 11), date(2017, 11, 27), date(2017, 12, 25)


def write(mine, cutoff: date, *kinds: str) -> None:
    with mine.resources["warehouse"].connect(read_only=False) as connection:
        connection.executemany(
            "insert into monitoring.anomalies (cutoff_date, asset, kind, column_name, sentence) "
            "values (?, ?, ?, '', ?)",
            [[cutoff, "" if kind == VERDICT else "raw/transactions", kind, f"{kind} as said then"] for kind in kinds],
        )


def said_of(mine, cutoff: date) -> list[str]:
    return [text for (text,) in mine.read(f"select sentence from monitoring.anomalies where cutoff_date = '{cutoff}'")]


def judge(mine):
    return judge_arrivals(*(mine.resources[name] for name in ("warehouse", "airbyte", "dbt", "clock")), log=print)


def test_after_a_missed_week_the_verdicts_of_older_ones_stand_and_the_rest_is_judged_anew(mine):
    write(mine, SAID, "volume", VERDICT)
    write(mine, FOUND, "nulls")
    judge(mine)
    assert sorted(said_of(mine, SAID)) == ["verdict as said then", "volume as said then"]
    # Repaired meanwhile: nothing is wrong with that week any more.
    assert said_of(mine, FOUND) == []
    assert bad_weeks(mine.resources["warehouse"], NEWEST, {NEWEST}) == {
        "raw/transactions": {date(2017, 12, 4): ("volume:",)}
    }


def test_when_the_week_before_was_judged_its_past_is_taken_as_it_stands(mine):
    write(mine, BEFORE, VERDICT)
    write(mine, FOUND, "nulls")
    judge(mine)
    assert said_of(mine, FOUND) == ["nulls as said then"]


def test_a_week_that_was_not_judged_has_no_known_past(mine):
    warehouse = mine.resources["warehouse"]
    assert bad_weeks(warehouse, NEWEST, {BEFORE}) is None
    assert bad_weeks(warehouse, NEWEST, {BEFORE, NEWEST}) == {}
