from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from support.bundled import PROBLEM

from ml_models.monitoring.data_quality import Audit, audited, judge_as_of, judge_frame, judge_outcomes

CUTOFF = date(2021, 6, 7)


@pytest.fixture(scope="module")
def last(world) -> date:
    return world["cutoff_date"].max().date()


def spoil(world: pd.DataFrame, day: date, name: str, value: float, share: float) -> pd.DataFrame:
    spoilt = world.copy()
    rows = spoilt.index[spoilt["cutoff_date"] == pd.Timestamp(day)]
    spoilt[name] = spoilt[name].astype("float64")
    spoilt.loc[rows[: int(len(rows) * share)], name] = value
    return spoilt


def test_natural_rows_raise_nothing(world, last):
    for step in range(4):
        assert judge_frame(world, PROBLEM, last - timedelta(days=7 * step)) == ()


def test_nulls_and_stuck_features_are_seen(world, last):
    name = next(one for one in PROBLEM.features if world[one].nunique() > 100 and not world[one].isna().any())
    (null,) = judge_frame(spoil(world, last, name, np.nan, 0.2), PROBLEM, last)
    assert (null.kind, null.column) == ("nulls", name)
    assert null.rate == pytest.approx(0.2, abs=0.02)
    stuck = judge_frame(spoil(world, last, name, float(world[name].median()), 0.7), PROBLEM, last)
    assert ("stuck", name) in {(anomaly.kind, anomaly.column) for anomaly in stuck}


def test_values_outside_of_the_definition_are_seen(world, last):
    name = next(one for one in PROBLEM.features if PROBLEM.catalogue[one].low == 0)
    anomalies = judge_frame(spoil(world, last, name, -5.0, 0.01), PROBLEM, last)
    assert ("range", name) in {(anomaly.kind, anomaly.column) for anomaly in anomalies}


def outcomes() -> tuple[pd.DataFrame, pd.DataFrame]:
    generator = np.random.default_rng(0)
    days = [CUTOFF - timedelta(days=7 * step) for step in range(4, 12)]
    late = pd.DataFrame({"customer_id": [str(n) for n in range(400)]}).merge(
        pd.DataFrame({"cutoff_date": pd.to_datetime(days)}), how="cross"
    )
    away = generator.random(len(late)) < 0.3
    early = late.assign(lapsed_14d=away.astype(int))
    return late.assign(lapsed=(away & (generator.random(len(late)) < 0.5)).astype(int)), early


def test_true_outcomes_raise_nothing():
    late, early = outcomes()
    assert judge_outcomes(late, PROBLEM, CUTOFF, truth=late, early=early) == ()


def test_outcomes_that_are_young_wrong_or_closed_early_are_seen():
    late, early = outcomes()
    young = late.assign(cutoff_date=late["cutoff_date"] + pd.Timedelta(days=14))
    assert "28 days" in judge_outcomes(young, PROBLEM, CUTOFF)[0].sentence
    wrong = late.assign(lapsed=1 - late["lapsed"])
    assert judge_outcomes(wrong, PROBLEM, CUTOFF, truth=late)[0].kind == "labels"
    closed = late.assign(lapsed=early["lapsed_14d"])
    (anomaly,) = judge_outcomes(closed, PROBLEM, CUTOFF, early=early)
    assert "closed before" in anomaly.sentence


def test_rows_that_know_the_future_differ_when_later_days_are_read(world):
    same = judge_as_of(world, world.copy(), PROBLEM.features)
    assert same == ()
    name = PROBLEM.features[0]
    leaked = world.assign(**{name: world[name] + 1})
    (anomaly,) = judge_as_of(leaked, world, PROBLEM.features)
    assert (anomaly.kind, anomaly.column, anomaly.rate) == ("future", name, 1.0)
    fewer = judge_as_of(world.iloc[5:], world, PROBLEM.features)
    assert [anomaly.column for anomaly in fewer] == ["customer_id"]


def never() -> pd.DataFrame:
    raise AssertionError("nothing differs from what was served, so nothing else is to be built")


def test_what_was_corrected_upstream_is_restated_and_knows_no_future(world, last):
    name, other = PROBLEM.features[:2]
    again = world[world["cutoff_date"] == pd.Timestamp(last)].copy()
    again[name] = again[name].astype("float64")
    again.loc[again.index[:10], name] += 1
    again.loc[again.index[:3], other] += 1
    anomalies, restated = audited(world, Audit(again, lambda: again), PROBLEM.features, "customer_id")
    assert anomalies == ()
    assert restated is not None
    assert (restated.customers, restated.rows, restated.features) == (10, len(again), (name, other))
    assert (restated.first, restated.last) == (last, last)
    assert "10 would come out otherwise today in 2 features" in restated.sentence


def test_a_leak_is_seen_beside_a_correction(world, last):
    name, other = PROBLEM.features[:2]
    corrected = world[world["cutoff_date"] == pd.Timestamp(last)].assign(**{name: lambda rows: rows[name] + 1})
    leaky = corrected.assign(**{other: corrected[other] + 1})
    served = world.assign(**{other: world[other] + 1})
    anomalies, restated = audited(served, Audit(corrected, lambda: leaky), PROBLEM.features, "customer_id")
    assert [(one.kind, one.column) for one in anomalies] == [("future", other)]
    assert restated is None


def test_customers_who_came_or_went_as_a_whole_are_restated_too(world, last):
    again = world[world["cutoff_date"] == pd.Timestamp(last)].iloc[4:]
    anomalies, restated = audited(world, Audit(again, lambda: again), PROBLEM.features, "customer_id")
    assert anomalies == ()
    assert restated is not None
    assert (restated.customers, restated.features) == (4, ())


def test_where_nothing_differs_from_what_was_served_nothing_else_is_built(world, last):
    again = world[world["cutoff_date"] == pd.Timestamp(last)]
    assert audited(world, Audit(again, never), PROBLEM.features, "customer_id") == ((), None)
