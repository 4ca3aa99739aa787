"""Metrics equal their definitions, computed the slow way."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from support.bundled import PROBLEM

from ml_models.metrics import (
    METRICS,
    auc,
    band_labels,
    bands,
    bootstrap_metrics,
    calibration_error,
    calibration_noise,
    calibration_table,
    evaluate_slices,
    paired_log_loss,
    score_metrics,
    slices_of,
    top_share,
)

# Few distinct scores, so that ties are common.
rows = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 9)), min_size=2, max_size=60)


def unpack(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([y for y, _ in pairs]), np.array([s / 10 for _, s in pairs])


@given(rows)
def test_auc_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[int, int]]) -> None:
    y, p = unpack(pairs)
    contests = [(a > b) + (a == b) / 2 for a in p[y == 1] for b in p[y == 0]]
    expected = float(np.mean(contests)) if contests else math.nan
    assert auc(y, p) == pytest.approx(expected, nan_ok=True)


@given(rows)
def test_log_loss_and_brier_are_those_of_the_textbook(pairs: list[tuple[int, int]]) -> None:
    y, p = unpack(pairs)
    metrics = score_metrics(y, p)
    assert metrics["log_loss"] == pytest.approx(log_loss(y, p, labels=[0, 1]))
    assert metrics["brier"] == pytest.approx(brier_score_loss(y, p, pos_label=1))
    assert metrics["base_rate"] == pytest.approx(y.mean())


@given(rows)
def test_ties_at_the_boundary_count_by_their_expectation(pairs: list[tuple[int, int]]) -> None:
    y, p = unpack(pairs)
    k = max(1, math.ceil(len(y) / 10))
    generator = np.random.default_rng(0)
    hits = []
    for _ in range(400):
        order = generator.permutation(len(y))
        top = order[np.argsort(-p[order], kind="stable")[:k]]
        hits.append(y[top].mean())
    precision, recall, lift = top_share(y, p)
    assert precision == pytest.approx(np.mean(hits), abs=5 * (np.std(hits) / 20 + 1e-9) + 1e-9)
    if y.any():
        assert recall == pytest.approx(precision * k / y.sum())
        assert lift == pytest.approx(precision / y.mean())


def test_a_score_without_information_has_no_lift() -> None:
    y = np.tile([1, 0, 0, 0], 50)
    assert top_share(y, np.full(200, 0.25)) == pytest.approx((0.25, 0.1, 1.0))


@given(rows)
def test_calibration_error_is_the_weighted_distance_of_its_bins(pairs: list[tuple[int, int]]) -> None:
    y, p = unpack(pairs)
    table = calibration_table(y, p)
    assert table["n"].sum() == len(y)
    assert (table["n"] * table["observed_rate"]).sum() == pytest.approx(y.sum())
    by_hand = sum(row.n * abs(row.mean_score - row.observed_rate) for row in table.itertuples()) / len(y)
    assert calibration_error(y, p) == pytest.approx(by_hand)


def test_calibration_noise_is_what_a_calibrated_score_shows() -> None:
    generator = np.random.default_rng(5)
    p = generator.beta(1, 8, size=2000)
    shown = [calibration_error(generator.random(2000) < p, p) for _ in range(100)]
    assert calibration_noise(p) == pytest.approx(np.mean(shown), rel=0.1)


def test_one_class_leaves_what_has_a_meaning() -> None:
    metrics = score_metrics(np.zeros(300), np.full(300, 0.1))
    assert math.isnan(metrics["auc"])
    assert math.isnan(metrics["recall_at_10"])
    assert metrics["calibration_error"] == pytest.approx(0.1)


def test_unequal_lengths_and_nulls_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="as many scores as labels"):
        score_metrics([0, 1], [0.5])
    with pytest.raises(ValueError, match="got nulls"):
        score_metrics([0, 1], [0.5, math.nan])


def test_bands_are_closed_below_and_cover_all_shoppers() -> None:
    rule = PROBLEM.slices[0]
    assert band_labels(rule.edges) == ["1-2", "3-5", "6-11", "12-23", "24+"]
    days = pd.Series([1, 2, 3, 5, 6, 11, 12, 23, 24, 84])
    assert bands(days, rule).tolist() == [name for name in band_labels(rule.edges) for _ in range(2)]
    assert bands(pd.Series([0.0, math.nan]), rule).isna().all()


def test_a_slice_without_evidence_says_so_instead_of_a_number() -> None:
    generator = np.random.default_rng(0)
    slices = {"size": pd.Series(["large"] * 1000 + ["small"] * 50 + ["one class"] * 300)}
    y = np.r_[generator.random(1050) < 0.2, np.zeros(300)].astype(int)
    p = np.clip(y * 0.2 + generator.random(1350) * 0.5, 0, 1)
    table = evaluate_slices(y, p, slices).set_index("slice_value")
    assert table.loc["large", list(METRICS)].notna().all()
    assert table.loc["large", "note"] == ""
    assert table.loc[["small", "one class"], list(METRICS)].isna().all(axis=None)
    assert "50 rows, at least 200" in table.loc["small", "note"]
    assert "0 of 300 rows are positive" in table.loc["one class", "note"]
    assert table.loc["small", "n"] == 50


def test_slices_are_all_each_cutoff_and_each_activity_band(world: pd.DataFrame) -> None:
    table = evaluate_slices(world["lapsed"], np.full(len(world), 0.1), slices_of(world, PROBLEM))
    assert table.groupby("slice_name")["n"].sum().to_dict() == dict.fromkeys(["all", "cutoff", "activity"], len(world))
    assert table.loc[table["slice_name"] == "activity", "slice_value"].tolist() == [
        "1-2",
        "3-5",
        "6-11",
        "12-23",
        "24+",
    ]
    assert "activity" not in slices_of(world[["customer_id", "cutoff_date"]], PROBLEM)


def weekly_customers(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, calibrated scores and customers: 150 customers whose ten rows are nearly the same."""
    generator = np.random.default_rng(seed)
    risk = generator.beta(1, 5, size=150)
    lapses = generator.random(150) < risk
    customers = np.repeat(np.arange(150), 10)
    scores = np.clip(risk[customers] + generator.normal(0, 0.01, 1500), 0.001, 0.999)
    return lapses[customers].astype(int), scores, customers


def test_the_bootstrap_equals_resampling_customers_one_by_one() -> None:
    y, p, customers = weekly_customers(1)
    fast = bootstrap_metrics(y, p, customers, replicates=300, seed=3)
    generator = np.random.default_rng(4)
    areas, losses = [], []
    for _ in range(300):
        picked = np.concatenate([np.flatnonzero(customers == c) for c in generator.integers(0, 150, size=150)])
        areas.append(roc_auc_score(y[picked], p[picked]))
        losses.append(log_loss(y[picked], p[picked]))
    assert fast["auc"].value == pytest.approx(roc_auc_score(y, p))
    assert (fast["auc"].low, fast["auc"].high) == pytest.approx(tuple(np.quantile(areas, [0.025, 0.975])), abs=0.02)
    assert (fast["log_loss"].low, fast["log_loss"].high) == pytest.approx(
        tuple(np.quantile(losses, [0.025, 0.975])), abs=0.03
    )


def test_rows_of_one_customer_do_not_count_as_independent() -> None:
    y, p, customers = weekly_customers(2)
    clustered = bootstrap_metrics(y, p, customers)["auc"]
    naive = bootstrap_metrics(y, p, np.arange(len(y)))["auc"]
    assert clustered.high - clustered.low > 2 * (naive.high - naive.low)


def test_a_paired_difference_is_tighter_than_two_intervals() -> None:
    y, p, customers = weekly_customers(3)
    worse = np.clip(p * 0.7, 0.001, 0.999)
    difference = paired_log_loss(y, worse, p, customers)
    assert difference.value == pytest.approx(log_loss(y, worse) - log_loss(y, p))
    single = bootstrap_metrics(y, p, customers)["log_loss"]
    assert difference.high - difference.low < 0.5 * (single.high - single.low)
    same = paired_log_loss(y, p, p, customers)
    assert (same.low, same.value, same.high) == (0, 0, 0)


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_row_order_changes_no_interval(seed: int) -> None:
    y, p, customers = weekly_customers(5)
    order = np.random.default_rng(seed).permutation(len(y))
    before, after = bootstrap_metrics(y, p, customers, 50), bootstrap_metrics(y[order], p[order], customers[order], 50)
    for metric in ("auc", "log_loss"):
        for end in ("value", "low", "high"):
            assert getattr(before[metric], end) == pytest.approx(getattr(after[metric], end))
