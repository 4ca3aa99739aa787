"""Did only the rate of outcomes move? Three questions to scores and outcomes, before and now.

Under label shift customers who lapse look as lapsing customers did, and the others too; there are only more of one
kind (Saerens, Latinne and Decaestecker 2002; Lipton, Wang and Smola 2018). Then the calibration in the large is off,
the scores order customers as well as before, and they are as bold as before: a regression of the outcome on the
log-odds keeps its slope. Who lapses for reasons that no feature shows costs order and slope.

Errors are sandwich estimates over customers, because a customer's rows of neighbouring weeks are nearly one.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from ml_models.monitoring.decision.thresholds import NOISE, RANKING_KEPT, SLOPE_KEPT
from ml_models.odds import log_odds
from ml_models.recalibration import fitted_map, sigmoid

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """Outcomes (0 or 1), the champion's scores (0 to 1) and the customers of some rows, each (n,)."""

    outcome: Array
    score: Array
    customer: npt.NDArray[np.object_]


@dataclass(frozen=True)
class BaseRateTest:
    """`shift`: step in log-odds by which scores are too low now; `slope`, `ranking`: changes of slope and AUC since.

    Each with its standard error.
    """

    shift: float
    shift_error: float
    slope: float
    slope_error: float
    ranking: float
    ranking_error: float

    @property
    def moved(self) -> bool:
        """Whether the calibration in the large is off beyond noise."""
        return abs(self.shift) > NOISE * self.shift_error

    @property
    def ranks_as_before(self) -> bool:
        """Whether order and boldness changed by no more than is allowed, or than chance does where that is more."""
        ranks = self.ranking >= -max(RANKING_KEPT, NOISE * self.ranking_error)
        return ranks and abs(self.slope) <= max(SLOPE_KEPT, NOISE * self.slope_error)

    @property
    def only(self) -> bool:
        """Whether nothing but the base rate moved."""
        return self.moved and self.ranks_as_before

    @property
    def sentence(self) -> str:
        """What was measured, and what follows."""
        measured = (
            f"scores are off by {self.shift:+.2f} in log-odds (± {NOISE * self.shift_error:.2f}), AUC changed by "
            f"{self.ranking:+.3f} (± {NOISE * self.ranking_error:.3f}), the slope by {self.slope:+.2f} "
            f"(± {NOISE * self.slope_error:.2f})"
        )
        verdict = "Only the base rate moved" if self.only else "More than the base rate moved, or not even that"
        return f"{verdict}: {measured}."


def base_rate_test(before: Scored, now: Scored) -> BaseRateTest:
    """Compare the newest rows with earlier ones of the same champion; both hold outcomes of either kind."""
    shift, shift_parts = _shift(now)
    (slope, slope_parts), (slope_before, slope_parts_before) = _slope(now), _slope(before)
    (auc, auc_parts), (auc_before, auc_parts_before) = _ranking(now), _ranking(before)
    return BaseRateTest(
        shift=shift,
        shift_error=_error((now, shift_parts)),
        slope=slope - slope_before,
        slope_error=_error((now, slope_parts), (before, -slope_parts_before)),
        ranking=auc - auc_before,
        ranking_error=_error((now, auc_parts), (before, -auc_parts_before)),
    )


def slope_of(rows: Scored) -> tuple[float, float]:
    """Return the slope of the outcome's log-odds in the scores' (1: as bold as they should be), and its error."""
    slope, influence = _slope(rows)
    return slope, _error((rows, influence))


def _shift(rows: Scored) -> tuple[float, Array]:
    """Return the step in log-odds that makes the scores right on average, and each row's influence on it."""
    found = fitted_map(rows.outcome, rows.score)
    p = found.of(rows.score)
    return found.intercept, (rows.outcome - p) / float((p * (1 - p)).sum())


def _slope(rows: Scored) -> tuple[float, Array]:
    """Return the slope of the outcome's log-odds in the scores', and each row's influence on it."""
    found, odds = fitted_map(rows.outcome, rows.score, slope=True), log_odds(rows.score)
    p = sigmoid(found.intercept + found.slope * odds)
    design = np.column_stack([np.ones(len(odds)), odds])
    curvature = (design * (p * (1 - p))[:, None]).T @ design
    influence = (design * (rows.outcome - p)[:, None]) @ np.linalg.pinv(curvature)
    return found.slope, influence[:, 1]


def _ranking(rows: Scored) -> tuple[float, Array]:
    """Return the AUC and each row's influence on it: the share of the other class that it beats (DeLong 1988)."""
    positive = rows.outcome > 0.5
    count, other = int(positive.sum()), int((~positive).sum())
    ranks = rankdata(rows.score)
    influence = np.empty(len(ranks))
    influence[positive] = (ranks[positive] - rankdata(rows.score[positive])) / other
    influence[~positive] = 1 - (ranks[~positive] - rankdata(rows.score[~positive])) / count
    auc = float(influence[positive].mean())
    influence -= auc
    influence[positive] /= count
    influence[~positive] /= other
    return auc, influence


def _error(*parts: tuple[Scored, Array]) -> float:
    """Return the standard error of a sum of influences, by customer."""
    influence = pd.Series(np.concatenate([one for _, one in parts]))
    customers = np.concatenate([rows.customer for rows, _ in parts])
    return math.sqrt(float((influence.groupby(customers).sum() ** 2).sum()))
