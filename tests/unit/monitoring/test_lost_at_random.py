"""Rows that are lost without any structure, in series whose truth is known: their noise, their rhythm, their slope."""

import math
import re
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from ml_models.monitoring.data_quality import judge_quality
from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable
from ml_models.monitoring.data_quality.source_counts import Counted

FIRST = date(2021, 1, 4)
DAY = timedelta(days=1)
WEEKS, BEGAN = 40, 26
COLUMNS = {"order_no": "BIGINT", "buyer": "BIGINT", "shop": "VARCHAR", "sold_at": "TIMESTAMP"}
TABLE = MonitoredTable(
    "raw/lines",
    "raw.lines",
    COLUMNS,
    "sold_at",
    "sold_at",
    keys=("order_no", "buyer"),
    group="order_no",
    segments=("shop",),
)
SHOPS = 20


def weeks_of(
    *,
    orders: float = 3000,
    size: float = 10.0,
    kept_orders=lambda week: 1.0,
    kept_lines=lambda week: 1.0,
    shops=lambda week: np.ones(SHOPS),
    numbered: bool = False,
    seed: int = 3,
) -> pd.DataFrame:
    """Return the profile of weeks of orders, at a rhythm of the month: `kept` shares by week since the fault began.

    `shops` says by how much each shop's rows differ from its usual ones.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for week in range(WEEKS):
        day, since = FIRST + timedelta(days=7 * week), week - BEGAN
        full = generator.poisson(orders * math.exp(generator.normal(0, 0.02)))
        rhythm = 1.08 if (day + timedelta(days=3)).day <= 7 else 1.0
        here = shops(since)
        kept = (kept_orders(since), kept_lines(since)) if since >= 0 else (1.0, 1.0)
        count = generator.binomial(full, kept[0] * here.mean())
        lines = count * size * rhythm * math.exp(generator.normal(0, 0.015)) * kept[1]
        rows += [("", "rows", "", day, lines, lines), ("order_no", "groups", "", day, lines, count)]
        rows.append(("order_no", "rows_per_group", "", day, count, lines / count))
        if numbered:
            rows.append(
                ("order_no", "number_span", "", day, count, full / count * math.exp(generator.normal(0, 0.004)))
            )
        by_shop = generator.poisson(lines / size / SHOPS * here / here.mean()) * size
        rows += [("shop", "value_rows", f"shop {number}", day, value, value) for number, value in enumerate(by_shop)]
        for number in range(7):
            on = day + timedelta(days=number)
            rows.append(("", "day_rows", "", on, lines / 7, generator.poisson(lines / 7 / size) * size))
    frame = pd.DataFrame(rows, columns=["column_name", "measure", "value_key", "period_start", "n", "value"])
    return frame.assign(asset="raw/lines", period_start=pd.to_datetime(frame["period_start"]).astype("datetime64[us]"))


def judged(profile: pd.DataFrame, through: int) -> dict[int, list[str]]:
    """Judge each week since the fault began in its order; return what is wrong, as `kind:column`, by week."""
    bad, found = {}, {}
    for week in range(14, BEGAN + through):
        verdict = judge_quality(profile, [TABLE], FIRST + timedelta(days=7 * (week + 1)), bad)
        bad = verdict.bad_weeks
        found[week - BEGAN] = [f"{one.kind}:{one.column}" for one in verdict.anomalies]
    return found


def test_nothing_is_lost_in_weeks_of_noise_and_rhythm():
    for seed in range(8):
        assert set(map(tuple, judged(weeks_of(seed=seed), 14).values())) == {()}


@pytest.mark.parametrize("lost", [0.2, 0.35])
def test_orders_lost_at_random_are_seen_at_once_and_as_long_as_they_are(lost):
    found = judged(weeks_of(kept_orders=lambda week: 1 - lost if week < 3 else 1.0), 5)
    assert [found[week] for week in range(-1, 5)] == [[], *[["volume:"]] * 3, [], []]


def test_an_eighth_of_the_lines_is_seen_at_once():
    found = judged(weeks_of(kept_lines=lambda week: 0.875), 3)
    assert [found[week] for week in range(-1, 3)] == [[], *[["volume:order_no"]] * 3]


def test_lines_lost_little_by_little_are_seen_before_a_tenth_is_gone():
    found = judged(weeks_of(kept_lines=lambda week: 1 - 0.015 * min(week + 1, 10)), 10)
    first = min(week for week, wrong in found.items() if wrong)
    assert 0 <= first <= 6
    assert all(found[week] == ["volume:order_no"] for week in range(first + 2, 10))


def test_baskets_may_shrink_by_themselves_over_the_months():
    slow = weeks_of(kept_lines=lambda week: 1 - 0.003 * (week + 1))
    assert set(map(tuple, judged(slow, 14).values())) == {()}


def test_fewer_rows_along_shops_are_a_feed_s_and_told_so():
    some = np.where(np.arange(SHOPS) < 8, 0.65, 1.0)
    uneven = weeks_of(shops=lambda week: some if week >= 0 else np.ones(SHOPS))
    verdict = judge_quality(uneven, [TABLE], FIRST + timedelta(days=7 * (BEGAN + 1)), {})
    assert "unevenly along shop" in verdict.anomalies[0].sentence


def test_orders_numbers_prove_a_loss_and_its_absence():
    lost = weeks_of(kept_orders=lambda week: 0.75, numbered=True)
    assert judged(lost, 1)[0] == ["volume:"]
    span = lost["measure"] == "number_span"
    usual = lost.loc[span & (lost["period_start"] < pd.Timestamp(FIRST + timedelta(days=7 * BEGAN))), "value"].median()
    fewer_were_made = lost.assign(value=lost["value"].where(~span, usual))
    assert judged(fewer_were_made, 1)[0] == []


def test_the_sentence_counts_the_numbers_that_are_missing():
    lost = weeks_of(kept_orders=lambda week: 0.75, numbered=True)
    [anomaly] = judge_quality(lost, [TABLE], FIRST + timedelta(days=7 * (BEGAN + 1)), {}).anomalies
    said = re.search(r"([\d,]+) of ([\d,]+) order numbers are missing .*, usually 0\.\d%\.", anomaly.sentence)
    missing, between = (int(text.replace(",", "")) for text in said.groups())
    assert missing / between == pytest.approx(0.25, abs=0.02)


def test_gaps_tell_a_loss_that_chance_may_make_where_there_were_none():
    lost = weeks_of(kept_orders=lambda week: 0.93, numbered=True)
    assert judged(lost, 1)[0] == ["volume:"]
    assert judged(weeks_of(kept_orders=lambda week: 0.93), 1)[0] == []


@pytest.mark.parametrize("kept", [{"kept_orders": lambda week: 0.75}, {"kept_lines": lambda week: 0.875}])
@pytest.mark.parametrize(
    ("said", "came", "silent"),
    [(40_000, 40_000, True), (40_010, 40_000, False), (5, 5, False)],
    ids=["all arrived", "some did not", "a part is counted"],
)
def test_what_the_source_sent_whole_was_not_lost_on_the_way(kept, said, came, silent):
    lost, cutoff = weeks_of(**kept), FIRST + timedelta(days=7 * (BEGAN + 1))
    verdict = judge_quality(lost, [TABLE], cutoff, {}, counted={"raw/lines": Counted(said, came, 7)})
    assert (verdict.anomalies == ()) is silent
    assert judge_quality(lost, [TABLE], cutoff, {}).anomalies, "nobody counts"
    if silent:
        assert FIRST + timedelta(days=7 * BEGAN) not in verdict.bad_weeks.get("raw/lines", {})


STAGED = replace(TABLE, asset="staging/lines", relation="staging.lines")


@pytest.mark.parametrize(
    ("raw", "staged", "found"),
    [(0.75, 0.75, []), (1.0, 0.75, ["staging/lines"]), (0.75, 0.6, ["staging/lines"])],
    ids=["fewer were bought", "staging lost some", "both"],
)
def test_what_is_made_of_a_whole_table_lost_nothing_on_the_way_unless_it_holds_less_of_it(raw, staged, found):
    frames = [
        weeks_of(kept_orders=lambda week: raw),
        weeks_of(kept_orders=lambda week: staged).assign(asset=STAGED.asset),
    ]
    cutoff = FIRST + timedelta(days=7 * (BEGAN + 1))
    counted = {"raw/lines": Counted(40_000, 40_000, 7)}
    verdict = judge_quality(pd.concat(frames), [TABLE, STAGED], cutoff, {}, counted=counted)
    assert [one.asset for one in verdict.anomalies] == found


def test_another_table_that_arrived_whole_proves_nothing_of_this_one():
    """Coupons that come as ever, by chance of their own, do not vouch for orders."""
    other = weeks_of(orders=60, seed=11).assign(asset="raw/coupons")
    coupons = replace(TABLE, asset="raw/coupons", relation="raw.coupons")
    profile, cutoff = pd.concat([other, weeks_of(kept_orders=lambda week: 0.75)]), FIRST + 7 * (BEGAN + 1) * DAY
    counted = {"raw/coupons": Counted(40_000, 40_000, 7)}
    verdict = judge_quality(profile, [coupons, TABLE], cutoff, {}, counted=counted)
    assert [one.asset for one in verdict.anomalies] == ["raw/lines"]


def test_orders_whose_numbers_are_missing_are_lost_whatever_the_source_counts():
    lost, cutoff = weeks_of(kept_orders=lambda week: 0.75, numbered=True), FIRST + timedelta(days=7 * (BEGAN + 1))
    verdict = judge_quality(lost, [TABLE], cutoff, {}, counted={"raw/lines": Counted(40_000, 40_000, 7)})
    assert [one.kind for one in verdict.anomalies] == ["volume"]


def test_shops_that_lack_rows_are_told_whatever_the_source_counts():
    """Its tills may not have told the source."""
    some = np.where(np.arange(SHOPS) < 8, 0.1, 1.0)
    uneven, cutoff = weeks_of(shops=lambda week: some if week >= 0 else np.ones(SHOPS)), FIRST + 7 * (BEGAN + 1) * DAY
    assert judge_quality(uneven, [TABLE], cutoff, {}, counted={"raw/lines": Counted(40_000, 40_000, 7)}).anomalies


def test_numbers_that_a_source_skips_are_no_loss():
    clean = weeks_of(numbered=True)
    skipped = (clean["measure"] == "number_span") & (clean["period_start"] >= pd.Timestamp(FIRST + 7 * BEGAN * DAY))
    assert judged(clean.assign(value=clean["value"].where(~skipped, 1.3)), 1)[0] == []


def test_a_day_that_lacks_rows_is_told_as_a_day_unless_all_days_do():
    lost = weeks_of(kept_orders=lambda week: 0.6)
    sunday = pd.Timestamp(FIRST + timedelta(days=7 * BEGAN + 6))
    of_day = (lost["measure"] == "day_rows") & (lost["period_start"] == sunday)
    worst = lost.assign(value=lost["value"].where(~of_day, lost["value"] * 0.5))
    [anomaly] = judge_quality(worst, [TABLE], FIRST + timedelta(days=7 * (BEGAN + 1)), {}).anomalies
    assert "times its own noise" in anomaly.sentence
    clean = weeks_of()
    week = (clean["measure"] == "rows") & (clean["period_start"] == pd.Timestamp(FIRST + timedelta(days=7 * BEGAN)))
    missing = clean.loc[of_day.to_numpy(), "value"].iloc[0]
    one = clean[~of_day.to_numpy()].assign(value=lambda rows: rows["value"].where(~week, rows["value"] - missing))
    [anomaly] = judge_quality(one, [TABLE], FIRST + timedelta(days=7 * (BEGAN + 1)), {}).anomalies
    assert anomaly.first_day == anomaly.last_day == sunday.date()
