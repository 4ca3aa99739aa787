"""Drift is found where a column moved and stays silent where weeks merely differ."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon
from support.bundled import FEATURES
from support.simulated_shop import cutoffs_of, make_frame

from ml_models.monitoring.drift import drift_statistics, judge_drift, weigh_drift
from ml_models.monitoring.drift.statistics import JOINT, STATISTICS_COLUMNS, reference_cutoffs
from ml_models.monitoring.drift.thresholds import MINIMUM_ROWS

WEEKS = 22
CUTOFFS = cutoffs_of(WEEKS)
FAULT = CUTOFFS[16]


@pytest.fixture(scope="module")
def natural() -> pd.DataFrame:
    return make_frame(customers=400, cutoffs=WEEKS)


def faulty(natural: pd.DataFrame, column: str, change, share: float = 1.0) -> pd.DataFrame:
    """Change a share of the customers from the fault's cutoff on."""
    frame = natural.astype({column: "float64"})
    hit = (frame["cutoff_date"] >= pd.Timestamp(FAULT)) & (
        pd.util.hash_pandas_object(frame["customer_id"], index=False) % 1000 < 1000 * share
    )
    frame.loc[hit, column] = change(frame.loc[hit, column])
    return frame


def alarms(frame: pd.DataFrame, columns: list[str]) -> list[int]:
    """Return the weeks after the fault's first cutoff at which an alarm was raised."""
    history = drift_statistics(frame, CUTOFFS, columns)
    failed = [cutoff for cutoff in CUTOFFS if judge_drift(history, cutoff).status == "fail"]
    return [(cutoff - FAULT).days // 7 for cutoff in failed]


def test_natural_weeks_raise_no_alarm(natural: pd.DataFrame) -> None:
    history = drift_statistics(natural, CUTOFFS, FEATURES)
    verdicts = [judge_drift(history, cutoff) for cutoff in CUTOFFS]
    assert [verdict.status for verdict in verdicts[:11]] == ["insufficient evidence"] * 11
    assert [verdict.status for verdict in verdicts[11:]] == ["pass"] * (WEEKS - 11)
    number = len(FEATURES)
    assert verdicts[-1].sentence.startswith(f"No drift at {CUTOFFS[-1]}: {number} of {number} columns judged")


@pytest.mark.parametrize(
    ("column", "change", "share"),
    [
        ("spend_cents_28d", lambda v: v * 100, 0.34),
        ("recency_days", lambda v: (v + 5).clip(upper=28), 1.0),
        ("categories_84d", lambda v: v * np.nan, 0.3),
        ("mean_hour_84d", lambda v: v - 5, 1.0),
    ],
)
def test_a_fault_in_one_column_is_found_in_its_second_week(
    natural: pd.DataFrame,
    column: str,
    change,
    share: float,
) -> None:
    raised = alarms(faulty(natural, column, change, share), FEATURES)
    assert raised, f"{column} was missed"
    assert raised[0] == 1


def test_the_alarm_names_the_column_and_its_numbers(natural: pd.DataFrame) -> None:
    frame = faulty(natural, "mean_hour_84d", lambda v: v - 5)
    verdict = judge_drift(drift_statistics(frame, CUTOFFS, FEATURES), CUTOFFS[17])
    assert verdict.columns == ("mean_hour_84d",)
    first = verdict.table.iloc[0]
    assert first["column_name"] == "mean_hour_84d"
    assert first["alarm"]
    assert first["statistic"] > first["threshold"]
    assert "mean_hour_84d" in verdict.sentence


def test_without_a_past_an_alarm_names_the_limit_that_it_was_held_against(natural: pd.DataFrame) -> None:
    few = natural[natural["cutoff_date"].isin(pd.to_datetime(CUTOFFS[10:]))]
    frame = faulty(few, "mean_hour_84d", lambda v: v - 5)
    verdict = judge_drift(drift_statistics(frame, CUTOFFS[10:], FEATURES), CUTOFFS[17])
    first = verdict.table.iloc[0]
    assert first["past_windows"] < 6
    assert first["statistic"] > first["threshold"] > 0
    assert "nan" not in verdict.sentence


def test_one_odd_week_is_not_enough(natural: pd.DataFrame) -> None:
    frame = natural.copy()
    odd = frame["cutoff_date"] == pd.Timestamp(FAULT)
    frame.loc[odd, "mean_hour_84d"] -= 5
    history = drift_statistics(frame, CUTOFFS, ["mean_hour_84d"])
    verdict = judge_drift(history, FAULT)
    assert verdict.status == "pass"
    assert verdict.table["violated"].item()
    assert alarms(frame, ["mean_hour_84d"]) == []


def test_a_new_level_is_an_alarm_until_the_reference_knows_it(natural: pd.DataFrame) -> None:
    assert alarms(faulty(natural, "mean_hour_84d", lambda v: v - 5), ["mean_hour_84d"]) == [1, 2]


def test_a_growing_fault_does_not_excuse_itself(natural: pd.DataFrame) -> None:
    """Violated windows do not raise the threshold of the next ones."""
    frame = natural.copy()
    weeks = ((frame["cutoff_date"] - pd.Timestamp(FAULT)).dt.days // 7 + 1).clip(lower=0)
    frame["mean_hour_84d"] -= 2.0 * weeks
    assert alarms(frame, ["mean_hour_84d"]) == [1, 2, 3, 4, 5]


def test_healthy_weeks_after_an_outage_are_no_alarm(natural: pd.DataFrame) -> None:
    frame = natural.copy()
    outage = frame["cutoff_date"].isin(pd.to_datetime([FAULT, FAULT + timedelta(weeks=1)]))
    frame.loc[outage, "mean_hour_84d"] -= 5
    assert alarms(frame, ["mean_hour_84d"]) == [1]


def test_nulls_that_appear_are_an_alarm_even_if_the_values_stay(natural: pd.DataFrame) -> None:
    frame = faulty(natural, "produce_share_84d", lambda v: v * np.nan, share=0.3)
    verdict = judge_drift(drift_statistics(frame, CUTOFFS, ["produce_share_84d"]), CUTOFFS[17])
    row = verdict.table.iloc[0]
    assert verdict.status == "fail"
    assert row["null_change"] > row["null_threshold"]


def test_a_column_that_goes_empty_is_an_alarm(natural: pd.DataFrame) -> None:
    assert alarms(faulty(natural, "produce_share_84d", lambda v: v * np.nan), ["produce_share_84d"])[0] == 1


def test_new_weeks_can_be_computed_alone(natural: pd.DataFrame) -> None:
    columns = ["recency_days", "gap_mean_days_84d"]
    whole = drift_statistics(natural, CUTOFFS, columns)
    needed = [*reference_cutoffs(CUTOFFS, CUTOFFS[-1]), pd.Timestamp(CUTOFFS[-2]), pd.Timestamp(CUTOFFS[-1])]
    part = natural[natural["cutoff_date"].isin(needed)]
    alone = drift_statistics(part, [CUTOFFS[-1]], columns)
    pd.testing.assert_frame_equal(alone, whole.tail(len(columns)).reset_index(drop=True))


def test_no_new_weeks_is_an_empty_table(natural: pd.DataFrame) -> None:
    empty = drift_statistics(natural, [], FEATURES)
    assert list(empty.columns) == STATISTICS_COLUMNS
    assert empty.empty


def test_the_statistic_is_the_second_smallest_distance_to_the_four_references(natural: pd.DataFrame) -> None:
    row = drift_statistics(natural, [CUTOFFS[-1]], ["gap_mean_days_84d"]).iloc[0]
    parts = {c: natural[natural["cutoff_date"] == pd.Timestamp(c)]["gap_mean_days_84d"] for c in CUTOFFS}
    references = [parts[CUTOFFS[-1 - step]] for step in (2, 3, 4, 5)]
    assert [day.date() for day in reference_cutoffs(CUTOFFS, CUTOFFS[-1])] == CUTOFFS[-6:-2]
    current = parts[CUTOFFS[-1]]
    tests = [stats.ks_2samp(old.dropna(), current.dropna(), method="asymp") for old in references]
    distance, reference = sorted(zip((test.statistic for test in tests), references, strict=True), key=lambda x: x[0])[
        1
    ]
    assert row["statistic"] == pytest.approx(distance)
    assert row["p_value"] == pytest.approx(stats.ks_2samp(reference.dropna(), current.dropna()).pvalue, abs=0.03)
    assert row["null_share"] == pytest.approx(current.isna().mean())
    assert (row["n"], row["reference_n"]) == (len(current), len(reference))


def test_magnitude_is_the_jensen_shannon_distance_on_reference_deciles() -> None:
    generator = np.random.default_rng(0)
    days = cutoffs_of(6)
    old, new = generator.random(500), generator.random(500) ** 2
    # All four references hold the same values, so that it does not matter which one counts.
    frame = pd.DataFrame({"cutoff_date": np.repeat(pd.to_datetime(days), 500), "x": np.concatenate([*[old] * 5, new])})
    row = drift_statistics(frame, [days[-1]], ["x"]).iloc[0]
    edges = [-np.inf, *np.quantile(old, np.arange(1, 10) / 10, method="higher"), np.inf]
    p, q = (np.histogram(part, edges)[0] / len(part) for part in (old, new))
    assert row["js"] == pytest.approx(jensenshannon(p, q, base=2), abs=0.01)


def test_a_handful_of_customers_is_not_judged(natural: pd.DataFrame) -> None:
    shard = natural[(natural["cutoff_date"] < pd.Timestamp(FAULT)) | (natural["recency_days"] > 20)]
    history = drift_statistics(shard, CUTOFFS, ["recency_days"])
    verdict = judge_drift(history, FAULT)
    assert verdict.status == "insufficient evidence"
    assert f"at least {MINIMUM_ROWS} are needed" in verdict.sentence


def test_a_cutoff_without_statistics_is_insufficient_evidence(natural: pd.DataFrame) -> None:
    history = drift_statistics(natural, CUTOFFS[:-1], ["recency_days"])
    verdict = judge_drift(history, CUTOFFS[-1])
    assert verdict.status == "insufficient evidence"
    assert "compute them before judging" in verdict.sentence


def test_later_weeks_do_not_change_a_judgement(natural: pd.DataFrame) -> None:
    history = drift_statistics(natural, CUTOFFS, ["recency_days", "trips_7d"])
    early = judge_drift(history[history["cutoff_date"] <= pd.Timestamp(FAULT)], FAULT)
    pd.testing.assert_frame_equal(early.table, judge_drift(history, FAULT).table)


def test_an_unknown_column_is_named(natural: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="shops is missing"):
        drift_statistics(natural, CUTOFFS, ["shops"])


@settings(max_examples=8)
@given(st.integers(0, 10_000), st.sampled_from([300, 1000]))
def test_weeks_drawn_from_one_distribution_raise_no_alarm(seed: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    days = [CUTOFFS[0] + timedelta(weeks=week) for week in range(16)]
    frame = pd.DataFrame(
        {"cutoff_date": np.repeat(pd.to_datetime(days), n), "score": generator.beta(1, 8, size=16 * n)}
    )
    history = drift_statistics(frame, days, ["score"])
    assert all(judge_drift(history, day).status != "fail" for day in days)


@given(st.integers(0, 10_000), st.floats(0.5, 2.0))
def test_the_statistic_ignores_units(seed: int, scale: float) -> None:
    generator = np.random.default_rng(seed)
    days = cutoffs_of(6)
    frame = pd.DataFrame({"cutoff_date": np.repeat(pd.to_datetime(days), 250), "x": generator.normal(size=1500)})
    plain = drift_statistics(frame, [days[-1]], ["x"])
    scaled = drift_statistics(frame.assign(x=frame["x"] * 2.0**scale), [days[-1]], ["x"])
    assert plain["statistic"].item() == pytest.approx(scaled["statistic"].item())


def weeks_of(make, count: int = 16, n: int = 600, seed: int = 0) -> pd.DataFrame:
    """Return `count` cutoffs of the same n customers; `make(generator, customers)` returns a week's columns."""
    generator = np.random.default_rng(seed)
    taste = generator.normal(size=n)
    ids = np.array([f"c{number}" for number in range(n)], dtype=object)
    parts = [
        pd.DataFrame(make(generator, taste)).assign(customer_id=ids, cutoff_date=pd.Timestamp(day))
        for day in cutoffs_of(count)
    ]
    return pd.concat(parts, ignore_index=True)


def two_columns(generator: np.random.Generator, taste: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "visits": taste + generator.normal(0, 0.4, len(taste)),
        "spend": taste + generator.normal(0, 0.4, len(taste)),
        "noise": generator.normal(size=len(taste)),
    }


def test_values_dealt_to_the_wrong_customers_are_found_though_no_column_changes() -> None:
    frame = weeks_of(two_columns)
    generator = np.random.default_rng(1)
    for day in cutoffs_of(16)[14:]:
        here = frame["cutoff_date"] == pd.Timestamp(day)
        frame.loc[here, "spend"] = generator.permutation(frame.loc[here, "spend"].to_numpy())
    history = drift_statistics(frame, cutoffs_of(16), ["visits", "spend", "noise"], entity="customer_id")
    verdict = judge_drift(history, cutoffs_of(16)[15])
    assert verdict.columns == (JOINT,)
    assert all(judge_drift(history, day).status != "fail" for day in cutoffs_of(16)[:15])


@pytest.mark.parametrize("seed", range(5))
def test_weeks_of_one_distribution_cannot_be_told_apart_jointly(seed: int) -> None:
    frame = weeks_of(two_columns, seed=seed)
    history = drift_statistics(frame, cutoffs_of(16), ["visits", "spend", "noise"], entity="customer_id")
    assert all(judge_drift(history, day).status != "fail" for day in cutoffs_of(16))
    assert history.loc[history["column_name"] == JOINT, "statistic"].max() < 0.1


def shops(generator: np.random.Generator, taste: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "shop": generator.choice(["north", "south", "west"], len(taste), p=[0.5, 0.3, 0.2]),
        "visits": generator.normal(size=len(taste)),
    }


def test_a_category_that_grows_is_found_and_a_new_one_as_well() -> None:
    frame = weeks_of(shops)
    late = frame["cutoff_date"] >= pd.Timestamp(cutoffs_of(16)[14])
    history = drift_statistics(frame, cutoffs_of(16), ["shop", "visits"])
    assert all(judge_drift(history, day).status != "fail" for day in cutoffs_of(16))
    frame.loc[late & (frame["shop"] == "west"), "shop"] = "east"
    changed = drift_statistics(frame, cutoffs_of(16), ["shop", "visits"])
    verdict = judge_drift(changed, cutoffs_of(16)[15])
    assert verdict.columns == ("shop",)
    assert verdict.table.iloc[0]["statistic"] == pytest.approx(0.2, abs=0.04)


def test_the_p_of_categories_and_of_nulls_are_the_textbook_ones() -> None:
    frame = weeks_of(shops, count=6)
    frame.loc[frame.index % 7 == 0, "visits"] = np.nan
    rows = drift_statistics(frame, [cutoffs_of(6)[5]], ["shop", "visits"]).set_index("column_name")
    days = [frame[frame["cutoff_date"] == pd.Timestamp(day)] for day in cutoffs_of(6)]
    tables = [
        stats.chi2_contingency(pd.crosstab(pd.concat([old, days[5]])["cutoff_date"], pd.concat([old, days[5]])["shop"]))
        for old in days[:4]
    ]
    assert min(abs(rows.loc["shop", "p_value"] - table.pvalue) for table in tables) < 1e-9
    share = float(np.mean([old["visits"].isna().mean() for old in days[:4]]))
    count = int(days[5]["visits"].isna().sum())
    exact = 2 * min(stats.binom.cdf(count, 600, share), stats.binom.sf(count - 1, 600, share))
    assert rows.loc["visits", "null_p_value"] == pytest.approx(min(exact, 1.0))


def test_a_change_in_one_segment_is_named_with_its_segment() -> None:
    frame = weeks_of(shops, n=2000)
    late = frame["cutoff_date"] >= pd.Timestamp(cutoffs_of(16)[14])
    frame.loc[late & (frame["shop"] == "west"), "visits"] *= 1.8
    history = drift_statistics(frame, cutoffs_of(16), ["visits"], segments={"shop": frame["shop"]})
    verdict = judge_drift(history, cutoffs_of(16)[15])
    assert verdict.segments == ("shop=west",)
    assert "visits in shop=west" in verdict.sentence


def test_a_gross_change_is_found_before_there_is_a_past() -> None:
    frame = weeks_of(two_columns, count=8)
    late = frame["cutoff_date"] >= pd.Timestamp(cutoffs_of(8)[6])
    frame.loc[late, "spend"] *= 100
    history = drift_statistics(frame, cutoffs_of(8), ["visits", "spend", "noise"])
    assert judge_drift(history, cutoffs_of(8)[7]).columns == ("spend",)


def by_rank(rows: pd.DataFrame) -> np.ndarray:
    """Predict from visits only."""
    return 1 / (1 + np.exp(2 + rows["visits"].to_numpy()))


def test_a_movement_that_no_score_follows_is_recorded_and_fails_nothing() -> None:
    frame = weeks_of(two_columns, count=22)
    late = frame["cutoff_date"] >= pd.Timestamp(cutoffs_of(22)[20])
    columns = ["visits", "spend", "noise"]
    dearer = frame.assign(spend=np.exp(frame["spend"]) * np.where(late, 1.8, 1.0))
    verdict = judge_drift(drift_statistics(dearer, cutoffs_of(22), columns, "customer_id"), cutoffs_of(22)[21])
    weighed = weigh_drift(verdict, by_rank, dearer, "customer_id")
    assert (verdict.status, weighed.status) == ("fail", "moved")
    assert weighed.columns == verdict.columns
    assert weighed.effect is not None
    assert weighed.effect.loss <= weighed.effect.bar
    assert "nothing that the model says did" in weighed.sentence
    rarer = frame.assign(visits=frame["visits"] - np.where(late, 0.5, 0.0))
    verdict = judge_drift(drift_statistics(rarer, cutoffs_of(22), columns, "customer_id"), cutoffs_of(22)[21])
    assert weigh_drift(verdict, by_rank, rarer, "customer_id").status == "fail"
