"""The split that explains most of a loss: by which column customers must be told apart to win most of it back.

Where something is wrong, a hundred segments fall with it: every band of every feature that has to do with it. What each
split could win back says which of them it is about.
"""

from typing import NamedTuple

import pandas as pd

from ml_models.monitoring.performance.segments import OVERALL, SCORE
from ml_models.monitoring.performance.thresholds import BEYOND_ALL


class Explained(NamedTuple):
    """What explains most of the loss.

    `column`: the split, OVERALL where all customers alike are further from what was promised. `worst`: its segment with
    most of it (a row of the verdict's table). `gain`: log-loss, over all rows, that knowing the split's gaps would win.
    `share`: of the rise of the loss, 0 to 1; None: the loss did not rise, or its past is not known.
    """

    column: str
    worst: pd.Series
    gain: float
    share: float | None


def most_of_the_loss(table: pd.DataFrame, kind: str) -> Explained | None:
    """Return the split that explains most of a loss by one kind of evidence; None: no gap is beyond its past.

    `table`: PerformanceVerdict's. A split counts only with what it wins beyond a gap that all customers share, because
    every split finds that too. The bands of the score come last: they say where, and not of whom.
    """
    rows = table[(table["kind"] == kind) & (table["statistic"] == "calibration") & table["harm"].notna()]
    rows = rows[rows["violated"].astype(bool)]
    if rows.empty:
        return None
    gains = rows.groupby("segment_column", sort=True)["harm"].sum()
    alike = float(gains.get(OVERALL, 0.0))
    apart = gains.drop(labels=[OVERALL, SCORE], errors="ignore")
    column = str(apart.idxmax()) if len(apart) and apart.max() > BEYOND_ALL * alike else ""
    column = column or (OVERALL if alike else str(gains.idxmax()))
    inside = rows[rows["segment_column"] == column]
    worst = inside.iloc[int(inside["harm"].to_numpy(dtype="float64").argmax())]
    gain = float(gains[column])
    return Explained(column, worst, gain, _share(table, kind, gain))


def _share(table: pd.DataFrame, kind: str, gain: float) -> float | None:
    """Return the share of the rise of the loss that a gain would win back."""
    whole = table[(table["kind"] == kind) & (table["statistic"] == "log_loss") & (table["segment_column"] == OVERALL)]
    rise = float((whole["value"] - whole["past"]).iloc[0]) if len(whole) else 0.0
    return min(gain / rise, 1.0) if rise > 0 else None
