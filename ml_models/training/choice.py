"""The simplest candidate that nothing beats: when a more complex one has shown that it is worth its complexity.

Candidates stand in the order of their `complexity`. The first that none of those after it beats is the candidate; the
last to be asked is the family that the search chose. What is compared is the log-loss of fits on the train part, row by
row on the holdout, with an interval over customers: weeks of the same customer are nearly one observation.

What "beats" asks depends on what is bought. (1) Beyond noise, the upper end of the 95 % interval below zero, always
suffices. (2) A candidate that reads *more features* also beats where it gains at least WORTH of the simpler one's
log-loss and a loss of HARM of it is ruled out by the interval. Such a gain is likelier than not before it is certain;
waiting for certainty would leave a young company on three features for most of a year, and its reasons on three facts.
A gain below WORTH is not worth 50 more features to keep clean, however often it is the better guess. (3) Another
*form* on the same features (trees for a regression) buys nothing but its log-loss, so it must be certain of it.

Both bounds are shares of the log-loss, so they mean the same at any rate of lapsing. Measured on the bundled year, all
features against RFM, logistic regressions (as a share of RFM's log-loss, 97.5 % upper end in brackets), by the number
of matured cutoffs: 5: -1.0 % [+1.0 %], 7: -1.7 %, 10: -1.4 %, 14: -.5 % [+.5 %], 20: -1.2 %, 28: -1.8 %, 37: -2.2 %
[-1.5 %]. The true gain was there from the start and certain only after about twenty. At 37 cutoffs .4 % of log-loss is
some .001 of AUC, which nobody who reads a list of customers would notice.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml_models.metrics import Interval, paired_log_loss, row_log_loss
from ml_models.problems.contract import Candidate

WORTH = 0.004
"""The gain in log-loss, as a share of the simpler candidate's, that is worth reading more features."""

HARM = 0.016
"""The loss in log-loss, as a share of the other's, that must be ruled out where a gain is not certain."""

Scores = Mapping[str, npt.NDArray[np.float64]]


class Duel(NamedTuple):
    """Whether a candidate beats another one: the paired difference in log-loss, and the bound of its upper end."""

    beats: bool
    difference: Interval
    bound: float

    @property
    def sentence(self) -> str:
        """The figures and what was asked of them, as a clause."""
        asked = f"below {self.bound:.4f}" if self.bound else "below 0"
        return f"{text(self.difference)}; its upper end must be {asked}"


def duel(
    outcome: npt.ArrayLike,
    score: npt.ArrayLike,
    simpler: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    reads_more: bool,
) -> Duel:
    """Hold a candidate's probabilities against a simpler one's on the same rows; all of shape (n,)."""
    difference = paired_log_loss(outcome, score, simpler, groups)
    loss = float(row_log_loss(outcome, simpler).mean())
    worth = reads_more and difference.value <= -WORTH * loss
    bound = HARM * loss if worth else 0.0
    return Duel(difference.high < bound, difference, bound)


def reads_more(one: Candidate, other: Candidate) -> bool:
    """Tell whether a candidate reads features that the other does not."""
    if other.features is None:
        return False
    return one.features is None or bool(set(one.features) - set(other.features))


def simplest_unbeaten(
    candidates: Sequence[Candidate], scores: Scores, outcome: npt.ArrayLike, groups: npt.ArrayLike, chosen: str
) -> tuple[Candidate, Duel | None]:
    """Return the simplest candidate that nothing up to `chosen` beats, and how `chosen` fared against it.

    `scores`: probabilities of each candidate that was fitted, by name. The duel is None where `chosen` itself is it.
    """
    order = {one.name: one for one in sorted(candidates, key=lambda one: one.complexity) if one.name in scores}
    limit = order[chosen].complexity
    rivals = [one for one in order.values() if one.complexity < limit] + [order[chosen]]
    for position, one in enumerate(rivals):
        duels = [
            duel(outcome, scores[other.name], scores[one.name], groups, reads_more=reads_more(other, one))
            for other in rivals[position + 1 :]
        ]
        if not any(found.beats for found in duels):
            return one, duels[-1] if duels else None
    raise AssertionError("nothing is left that could beat the last one")


def text(interval: Interval) -> str:
    """Return an interval as people read it."""
    return f"{interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"
