"""Split a loss change between other customers and customers who behave otherwise."""

from dataclasses import dataclass
from typing import Literal

import numpy.typing as npt
import pandas as pd

Verdict = Literal["none", "covariate", "concept", "mixed", "insufficient evidence"]


@dataclass(frozen=True)
class ShiftSplit:
    """A loss change, split: `change = covariate + concept`, each with its standard error; `overlap` is 0 to 1."""

    verdict: Verdict
    change: float
    covariate: float
    concept: float
    change_error: float
    covariate_error: float
    concept_error: float
    overlap: float
    auc: float
    sentence: str


def split_loss_change(
    reference_rows: pd.DataFrame,
    reference_loss: npt.ArrayLike,
    current_rows: pd.DataFrame,
    current_loss: npt.ArrayLike,
    reference_groups: npt.ArrayLike | None = None,
    current_groups: npt.ArrayLike | None = None,
    seed: int = 0,
) -> ShiftSplit:
    """Split the change of a model's mean loss between two windows of rows into covariate and concept."""
    raise NotImplementedError("being written")
