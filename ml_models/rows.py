"""Rows that models are judged on: features joined to their labels, and the scores that a model gives them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.problems.contract import Problem


def labelled_rows(frame: pd.DataFrame, outcomes: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """Return the feature rows with a known label: keys, features, label; sorted by cutoff and entity."""
    left = frame.assign(**{problem.cutoff: cutoff_dates(frame[problem.cutoff])})
    right = outcomes[[*problem.keys, problem.label]]
    right = right.assign(**{problem.cutoff: cutoff_dates(right[problem.cutoff])})
    left = left.drop(columns=problem.label, errors="ignore")
    rows = left.merge(right, on=problem.keys, how="inner").dropna(subset=[problem.label])
    return rows.sort_values([problem.cutoff, problem.entity], ignore_index=True)


def scored(model: Any, rows: pd.DataFrame, problem: Problem) -> npt.NDArray[np.float64]:
    """Return the model's probability (0 to 1) for each row; `model` is fitted and has `predict_proba`."""
    return np.asarray(model.predict_proba(rows[list(problem.features)])[:, 1], dtype="float64")
