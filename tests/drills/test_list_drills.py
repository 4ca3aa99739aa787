"""Drills of what is bought next: mornings made at once are those made one by one, and a score says what was decided."""

from datetime import date, timedelta

import pandas as pd
import pytest
from support.bundled import PROBLEM

from drills.faults import LISTS, Dated, Expected, Fault, known, read_faults
from drills.lists import score_lists
from drills.one_pass import OnePass
from drills.scenario import DrilledHistory
from ml_models.monitoring.types import Perturbation

START, WEEK = date(2017, 8, 14), timedelta(days=7)
END = START + 2 * WEEK
MEASURE = ["asset", "column_name", "measure", "value_key", "period_start"]


def both_ways(year, fault):
    sandbox, recording = year
    given = (fault, START, recording, sandbox, PROBLEM, sandbox.lineage())
    return OnePass(*given, end=END), DrilledHistory(*given)


@pytest.mark.parametrize("name", ["type_renamed", "popularity_flipped"])
def test_mornings_that_are_made_at_once_are_those_that_are_made_one_by_one(year, name):
    at_once, one_by_one = both_ways(year, known()[name])
    at_once.refuse_others()
    keys = list(PROBLEM.keys)
    for found, each in (
        (at_once.frame(END), one_by_one.frame(END)),
        (at_once.outcomes(END), one_by_one.outcomes(END)),
        (at_once.early(END), one_by_one.early(END)),
    ):
        found, each = (rows.sort_values(keys, ignore_index=True) for rows in (found, each))
        pd.testing.assert_frame_equal(found, each[list(found)], check_dtype=False)
    measured = at_once.profile(END).merge(
        one_by_one.profile(END), on=MEASURE, how="outer", suffixes=("", "_each"), indicator=True
    )
    assert (measured["_merge"] == "both").all(), measured[measured["_merge"] != "both"].head()
    assert measured["value"].fillna(-1).sub(measured["value_each"].fillna(-1)).abs().max() < 1e-6
    assert at_once.anomalies(END) == one_by_one.anomalies(END)


def test_each_morning_has_the_pairs_of_its_own_newest_cutoff(year):
    at_once, _ = both_ways(year, known()["type_renamed"])
    sandbox = at_once.sandbox
    for morning in (START, END):
        new = at_once.types_bought(morning)
        with sandbox.scenario(
            at_once.perturbations, cutoffs=[morning], until=morning, build=["next_product/candidates"]
        ) as made:
            pairs = made.read("select * from next_product.candidates")
            popular = made.read("select * from next_product.popular_types")
        by = ["customer_id", "product_type"]
        for found, each in ((new["candidates"], pairs), (new["popular_types"].assign(customer_id=""), popular)):
            each = each.assign(cutoff_date=each["cutoff_date"].astype("datetime64[us]"))
            each = each if "customer_id" in each else each.assign(customer_id="")
            found, each = (rows.sort_values(by, ignore_index=True) for rows in (found, each[list(found)]))
            pd.testing.assert_frame_equal(found, each, check_dtype=False)
        assert set(new["outcomes"]["cutoff_date"]) <= {pd.Timestamp(morning - timedelta(days=28))}


@pytest.mark.parametrize(
    "late",
    [
        Dated(Perturbation("raw/transactions", "delay", value=3), 0, None),
        Dated(Perturbation("raw/products", "null", column="product_category"), 0, 8),
        Dated(Perturbation("features/customer_features", "null", column="orders_84d"), 0, None),
    ],
)
def test_what_is_not_the_same_on_each_morning_is_refused(year, late):
    fault = Fault("late", "rows come late", "quality", (late,), Expected(("data quality",), ("inspect",)))
    with pytest.raises(ValueError, match="late cannot be drilled for lapse: its mornings are built all at once"):
        both_ways(year, fault)[0].refuse_others()


def weeks(*rows):
    names = ("action", "cause", "types", "first_bad_asset", "owner", "reason", "types_sentence")
    return pd.DataFrame(
        [
            {"cutoff": START + place * WEEK, **dict(zip(names, (*row, *[""] * len(names)), strict=False))}
            for place, row in enumerate(rows)
        ]
    )


QUIET = ("continue", "none", "as usual")
ASKED = ("inspect", "data quality", "renamed", "raw/products", "team:data-engineering")


def test_a_right_answer_counts_from_the_week_in_which_it_was_given():
    found = score_lists(known()["type_renamed"], START, 4, weeks(QUIET, ASKED, QUIET), 1.0)
    assert (found.detected, found.delay_days, found.decisions) == (True, 7, "cont insp(data quality, renamed) cont")
    assert (found.cause_right, found.asset_right, found.owner_right, found.decision_right) == (True,) * 4
    assert found.cause == "data quality: renamed"


@pytest.mark.parametrize(
    ("week", "wrong"),
    [
        (("inspect", "data quality", "vanished", "raw/products", "team:data-engineering"), "cause_right"),
        (("inspect", "data quality", "renamed", "raw/transactions", "team:data-engineering"), "asset_right"),
        (("inspect", "data quality", "renamed", "raw/products", "team:ml-engineering"), "owner_right"),
        (("continue", "data quality", "renamed", "raw/products", "team:data-engineering"), "decision_right"),
        (("improve", "data quality", "renamed", "raw/products", "team:data-engineering"), "decision_right"),
    ],
)
def test_what_is_wrong_is_told_as_wrong(week, wrong):
    found = score_lists(known()["type_renamed"], START, 4, weeks(week), 1.0)
    judged = ("cause_right", "asset_right", "owner_right", "decision_right")
    assert [name for name in judged if not getattr(found, name)] == [wrong]


def test_a_campaign_that_is_seen_and_followed_is_right_and_one_that_is_inspected_is_not():
    fault, seen = known()["popularity_flipped"], ("continue", "none", "campaign")
    assert score_lists(fault, START, 8, weeks(seen, QUIET), 1.0).decision_right
    assert not score_lists(fault, START, 8, weeks(ASKED, seen), 1.0).decision_right


def test_a_benign_change_is_a_false_alarm_where_something_was_to_be_done_and_a_scheduled_training_is_none():
    fault = known()["types_added"]
    assert score_lists(fault, START, 3, weeks(QUIET, ASKED, ASKED), 1.0).false_alarms == 2
    assert score_lists(fault, START, 3, weeks(QUIET, ("improve", "labels", "as usual")), 1.0).false_alarms == 0


def test_a_problem_that_cannot_be_drilled_and_a_verdict_that_nobody_gives_are_refused(tmp_path):
    text = LISTS.read_text(encoding="utf-8")
    for old, new, sentence in (
        ('problem = "next_product"', 'problem = "spend"', "expected `problem` out of lapse, next_product; got 'spend'"),
        ('types = "renamed"', 'types = "lost"', "expected `types` out of renamed, vanished, appeared, campaign; got"),
    ):
        file = tmp_path / "mine.toml"
        file.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(ValueError, match=sentence):
            read_faults(file)
