"""Pictures are drawn without a display, also when there is little to show."""

import io
import struct
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from support.simulated_outcomes import FIRST, PROBLEM, TRAINED, simulated_outcomes
from support.simulated_shop import cutoffs_of, make_frame

from ml_models.monitoring.drift import drift_statistics, judge_drift
from ml_models.monitoring.performance import judge_performance, performance_history
from ml_models.plots import accuracy_over_time_plot, drift_plot, performance_plot, reliability_plot
from ml_models.training.search import TrainingResult


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_the_reliability_curve_is_a_picture(trained: TrainingResult) -> None:
    assert min(size_of(reliability_plot(trained.calibration))) > 300


@pytest.mark.parametrize("weeks", [1, 12])
def test_accuracy_over_time_is_a_picture_from_the_first_week_on(weeks: int) -> None:
    rows = pd.DataFrame(
        {
            "cutoff_date": cutoffs_of(weeks),
            "model_version": [1] * (weeks - weeks // 2) + [2] * (weeks // 2),
            "evidence": ["holdout"] * (weeks // 3) + ["live"] * (weeks - weeks // 3),
            "auc": np.linspace(0.83, 0.86, weeks),
            "recency_rule_auc": np.nan,
            "base_rate": 0.1,
            "mean_score": 0.09,
        }
    )
    assert min(size_of(accuracy_over_time_plot(rows))) > 300


def test_a_week_that_was_never_served_is_not_drawn_as_one_that_was() -> None:
    weeks = pd.DataFrame(
        {
            "cutoff_date": pd.date_range("2017-08-07", periods=6, freq="7D"),
            "model_version": 1,
            "auc": [0.84, 0.85, 0.83, 0.86, 0.85, 0.84],
            "recency_rule_auc": 0.7,
            "mean_score": 0.1,
            "base_rate": 0.11,
        }
    )
    blue = [47, 109, 181]

    def has_strong_blue(evidence: str) -> bool:
        picture = imread(io.BytesIO(accuracy_over_time_plot(weeks.assign(evidence=evidence))))
        return bool((np.rint(picture[:, :, :3] * 255) == blue).all(axis=2).any())

    assert has_strong_blue("live")
    assert not has_strong_blue("holdout")


def test_drift_is_a_picture_with_and_without_evidence() -> None:
    frame = make_frame(customers=300, cutoffs=14)
    history = drift_statistics(frame, cutoffs_of(14), ["recency_days", "trips_7d", "gap_mean_days_84d"])
    for week in (0, 6, 13):
        assert min(size_of(drift_plot(judge_drift(history, cutoffs_of(14)[week])))) > 150


def test_the_same_numbers_give_the_same_bytes(trained: TrainingResult) -> None:
    assert reliability_plot(trained.calibration) == reliability_plot(trained.calibration)


@pytest.mark.parametrize("weeks", [3, 26])
def test_performance_is_a_picture_with_and_without_evidence(weeks: int) -> None:
    frame, scores, outcomes, early = simulated_outcomes()
    history = performance_history(frame, scores, outcomes, early, PROBLEM, TRAINED)
    verdict = judge_performance(history, FIRST + timedelta(weeks=weeks), PROBLEM.question)
    assert min(size_of(performance_plot(history, verdict))) > 500
