"""How much speaks against the champion since its promotion, in a number that may be looked at every week: in shadow.

Two e-processes, recorded and not acted on: one for calibration (what matured against what was predicted), one for score
drift (scores above the marks of the training rows). Each is a bet against "nothing moved by more than a tolerance":
while that holds, the chance that the capital *ever* reaches 1 / alpha is at most alpha, however often one looks.

*The null.* Whatever happened to others before, customers lapse independently, each with log-odds within TOLERATED of
what was predicted; or, for scores, are above a mark with log-odds within TOLERATED of the training rows' share. Weeks
may differ within that, also all customers of a week together.

*The bet.* For each strategy (which rows, which direction, how far) the likelihood ratio between "beyond the tolerance"
and the edge of the tolerance. A Bernoulli's likelihood ratio is monotone, so at the edge its mean is 1 and inside less:
it is an e-value for the whole null. The products over weeks are e-processes, and so is their mean over strategies.

*Why each customer speaks once.* Labels of neighbouring cutoffs share days, and a customer's own luck lasts. A mean of
interleaved processes is none (correction of Henzi and Ziegel, Biometrika 109, 2022, page 1181). So a hash deals the
customers to the weeks of a year's half, each speaks in one of them, and then the bet begins anew.

*Source*: Ville's inequality; Shafer (2021), Testing by betting; Waudby-Smith and Ramdas (2023), Estimating means of
bounded random variables by betting; Grünwald, de Heide and Koolen (2024), Safe testing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.model_version import ModelInfo
from ml_models.odds import log_odds
from ml_models.problems.contract import Problem

TOLERATED = 0.35
"""Shift in log-odds that is no news. At a rate of 20 % that is 15 to 26 %."""

BEYOND = (0.25, 0.5, 1.0)
"""Shifts in log-odds beyond the tolerance that are bet on."""

EPOCH_WEEKS = 26
"""Weeks among which customers are dealt out; then the bet begins anew."""

ALPHA = 0.05
"""Chance of ever seeing an alarm within an epoch while the null holds."""

MARKS = (0.5, 0.9)
"""Quantiles of the training rows' scores that scores are held against."""

REFERENCE_ROWS = 20_000
"""Newest training rows whose scores set the marks."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """Capital of one bet after its last week, its peak within the epoch, and the rows and weeks it rests on.

    1: nothing speaks for a move. 1 / ALPHA and more: an alarm, if it were acted on.
    """

    capital: float
    peak: float
    rows: int
    weeks: int

    @property
    def alarm(self) -> bool:
        """Whether the bound was ever reached in this epoch."""
        return self.peak >= 1 / ALPHA


NOTHING = Evidence(1.0, 1.0, 0, 0)


@dataclass(frozen=True)
class SincePromotion:
    """What speaks against the champion in this epoch of its service."""

    calibration: Evidence
    scores: Evidence

    @property
    def sentence(self) -> str:
        """Both numbers in words, with their bound."""
        told = [
            f"{name} {one.capital:,.2g} ({one.rows:,} customers of {one.weeks} week(s), peak {one.peak:,.2g})"
            for name, one in (("calibration", self.calibration), ("scores", self.scores))
        ]
        return (
            f"In shadow, evidence against the champion since its promotion: {'; '.join(told)}. Chance alone brings "
            f"each of them to {1 / ALPHA:.0f} in at most {ALPHA:.0%} of all half-years."
        )


def capital(weeks: Sequence[Sequence[tuple[Floats, Floats]]]) -> Floats:
    """Return the capital after each week, from 1 on.

    A week holds one (expected, observed) a group of rows that is bet on by itself: probabilities between 0 and 1, and
    0 or 1. Every week has the same groups in the same order.
    """
    if not weeks:
        return np.empty(0)
    gained = np.zeros((len(weeks), len(weeks[0]), 2, len(BEYOND)))
    for number, groups in enumerate(weeks):
        for place, (expected, observed) in enumerate(groups):
            odds, happened = log_odds(expected), float(np.sum(observed))
            for way, sign in enumerate((1, -1)):
                edge = odds + sign * TOLERATED
                for step, beyond in enumerate(BEYOND):
                    # The logarithm of a Bernoulli's likelihood at log-odds x is y x - log(1 + exp(x)).
                    difference = np.logaddexp(0, edge) - np.logaddexp(0, edge + sign * beyond)
                    gained[number, place, way, step] = sign * beyond * happened + difference.sum()
    logs = gained.reshape(len(weeks), -1).cumsum(axis=0)
    top = logs.max(axis=1)
    result: Floats = np.exp(np.minimum(top + np.log(np.exp(logs - top[:, None]).mean(axis=1)), 700.0))
    return result


def since_promotion(
    champion: ModelInfo,
    frame: pd.DataFrame,
    outcomes: pd.DataFrame,
    cutoff: date,
    problem: Problem,
    predict: Callable[[pd.DataFrame], Any],
    excluded: Sequence[date] = (),
) -> SincePromotion:
    """Return what speaks against the champion by `cutoff`.

    `frame` and `outcomes` as in WeekEvidence; `predict` gives its scores of feature rows; `excluded` cutoffs, whose
    rows or labels are known to be bad, say nothing.
    """
    stamps = cutoff_dates(frame[problem.cutoff])
    week = (stamps - pd.Timestamp(champion.promoted_on)).dt.days // problem.question.cadence_days
    served = (week >= 0) & (stamps <= pd.Timestamp(cutoff)) & ~stamps.isin([pd.Timestamp(day) for day in excluded])
    if not served.any():
        return SincePromotion(NOTHING, NOTHING)
    epoch = week // EPOCH_WEEKS
    turn = pd.util.hash_array(frame[problem.entity].astype(str).to_numpy(dtype=object)) % EPOCH_WEEKS
    speaks = served & (epoch == epoch[served].max()) & (week % EPOCH_WEEKS == turn.astype("int64"))
    rows = frame[speaks.to_numpy()]
    rows = rows.assign(_score=np.asarray(predict(rows), dtype="float64") if len(rows) else np.empty(0))
    learned = frame[(stamps <= pd.Timestamp(champion.trained_through)).to_numpy()].tail(REFERENCE_ROWS)
    return SincePromotion(_calibration(rows, outcomes, problem), _drift(rows, learned, problem, predict))


def _calibration(rows: pd.DataFrame, outcomes: pd.DataFrame, problem: Problem) -> Evidence:
    """Hold what matured against what was predicted: all rows, and the halves with the higher and the lower scores."""
    keys = list(problem.keys)
    known = rows[[*keys, "_score"]].merge(outcomes[[*keys, problem.label]], on=keys)
    weeks = []
    for _, part in known.groupby(problem.cutoff, sort=True):
        score, label = part["_score"].to_numpy(), part[problem.label].to_numpy(dtype="float64")
        high = score >= np.median(score)
        weeks.append([(score[some], label[some]) for some in (np.ones(len(score), dtype=bool), high, ~high)])
    return _evidence(weeks, len(known))


def _drift(
    rows: pd.DataFrame, learned: pd.DataFrame, problem: Problem, predict: Callable[[pd.DataFrame], Any]
) -> Evidence:
    """Hold the shares of scores above the marks against those of the training rows."""
    if learned.empty or rows.empty:
        return NOTHING
    reference = np.asarray(predict(learned), dtype="float64")
    marks = [(mark, float((reference > mark).mean())) for mark in np.quantile(reference, MARKS)]
    # A score that most rows share has nothing above it.
    marks = [(mark, share) for mark, share in marks if 0 < share < 1]
    weeks = [
        [(np.full(len(part), share), (part["_score"].to_numpy() > mark).astype("float64")) for mark, share in marks]
        for _, part in rows.groupby(problem.cutoff, sort=True)
    ]
    return _evidence(weeks if marks else [], len(rows) if marks else 0)


def _evidence(weeks: Sequence[Sequence[tuple[Floats, Floats]]], rows: int) -> Evidence:
    grown = capital(weeks)
    if not len(grown):
        return NOTHING
    return Evidence(float(grown[-1]), max(1.0, float(grown.max())), rows, len(weeks))
