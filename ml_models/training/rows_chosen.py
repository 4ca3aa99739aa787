"""Which rows the next training learns from, with which weight, and why: each reason is a switch.

All rows are ordinary and weigh the same unless a company switches a reason on (`[learn_from]` of its file). What each
was worth on the bundled year stands in docs/model.md, and `make backtest ROWS=1` says it of any company's own.
"""

import math
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.cutoffs import cutoff_dates
from ml_models.metrics import MINIMUM_PER_CLASS, MINIMUM_ROWS, row_log_loss, segments_of
from ml_models.problems.contract import Problem
from ml_models.rows import customer_folds, scored
from ml_models.training.fitting import WEIGHT
from ml_models.training.forgetting import BEYOND_DOUBT, leaning
from ml_models.training.label_suspects import contradicted
from ml_models.training.search import simplest_recipe
from ml_models.training.splits import KEPT_OUT

FOLDS = 4

ORDINARY, UNCERTAIN, KNOWN_ERROR, WEAK_SLICE, LABEL_SUSPECT = (
    "ordinary",
    "uncertain",
    "known error",
    "weak slice",
    "label suspect",
)

WEIGHTS = {ORDINARY: 1.0, UNCERTAIN: 2.0, KNOWN_ERROR: 2.0, WEAK_SLICE: 2.0, LABEL_SUSPECT: 0.0}
"""Times an ordinary row that a row counts, by its reason."""

UNCERTAIN_SHARE = 0.1
"""Share (0 to 1) of the rows, those with a probability nearest to one half, that are uncertain."""


@dataclass(frozen=True)
class Switches:
    """Which reasons are on. Of several that hold for a row the first of these is its reason.

    `label_suspect`: later rows contradict the label. `known_error`: its outcome was given odds of a third of the mean
    or less, by what served then or else by a fit that did not know the customer. `uncertain`: that probability is among
    the tenth nearest to one half. `weak_slice`: it is in the segment that gains least on its own base rate.
    """

    label_suspect: bool = False
    known_error: bool = False
    uncertain: bool = False
    weak_slice: bool = False

    @property
    def on(self) -> tuple[str, ...]:
        """The reasons that are on, in the order in which they are looked for."""
        return tuple(one.name.replace("_", " ") for one in fields(self) if getattr(self, one.name))

    @property
    def asks_a_model(self) -> bool:
        """Whether scores are needed: they cost fits."""
        return self.known_error or self.uncertain or self.weak_slice


def choose_rows(
    training_set: pd.DataFrame,
    problem: Problem,
    switches: Switches,
    *,
    seen: pd.DataFrame | None = None,
    served: pd.DataFrame | None = None,
    scores: npt.NDArray[np.float64] | None = None,
) -> pd.DataFrame:
    """Return keys, `weight` and `reason` of the rows that something is learned from, in their order.

    `training_set`: keys, features, label, `split`. `seen`: keys and the recency feature of all cutoffs, for
    `label_suspect`. `served`: keys and `score` of predictions made before their outcome was known, for `known_error`.
    `scores`: `unknowing_scores` of the rows that are learned from, where somebody has them already.
    """
    rows = training_set[~training_set["split"].isin(KEPT_OUT)].reset_index(drop=True)
    rows = rows.assign(**{problem.cutoff: cutoff_dates(rows[problem.cutoff])})
    reason = np.full(len(rows), ORDINARY, dtype=object)
    if scores is None:
        asks = switches.asks_a_model and len(rows)
        scores = unknowing_scores(rows, problem) if asks else np.full(len(rows), math.nan)
    # From the last reason to the first, which has the last word.
    if switches.weak_slice:
        reason[_weak(rows, scores, problem)] = WEAK_SLICE
    if switches.uncertain:
        reason[_uncertain(scores)] = UNCERTAIN
    if switches.known_error:
        reason[_wrong(rows, scores, served, problem)] = KNOWN_ERROR
    if switches.label_suspect and seen is not None:
        found = contradicted(rows, seen, problem)
        keys = pd.MultiIndex.from_frame(found[problem.keys])
        reason[pd.MultiIndex.from_frame(rows[problem.keys]).isin(keys)] = LABEL_SUSPECT
    weight = np.array([WEIGHTS[one] for one in reason], dtype="float64")
    return rows[problem.keys].assign(**{WEIGHT: weight, "reason": reason})


def unknowing_scores(rows: pd.DataFrame, problem: Problem) -> npt.NDArray[np.float64]:
    """Return each row's probability by a fit without its customer, (n,).

    The recipe is the simplest that reads all features.
    Rows of the train part are scored by fits of that part alone: what the holdout judges must not know the holdout by
    way of weights. The others are scored by fits of all rows.
    """
    fit = simplest_recipe(problem)
    result = np.full(len(rows), float(rows[problem.label].mean()))
    train = (rows["split"] == "train").to_numpy() if "split" in rows else np.ones(len(rows), dtype=bool)
    folds = customer_folds(rows[problem.entity], FOLDS)
    for asked, known in ((train, train), (~train, np.ones(len(rows), dtype=bool))):
        for fold in range(FOLDS):
            if not (here := asked & (folds == fold)).any():
                continue
            learned = rows[known & (folds != fold)]
            if learned[problem.label].nunique() > 1:
                result[here] = scored(fit(learned), rows[here], problem)
    return result


def _uncertain(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    result: npt.NDArray[np.bool_] = np.zeros(len(scores), dtype=bool)
    result[np.argsort(np.abs(scores - 0.5), kind="stable")[: int(UNCERTAIN_SHARE * len(scores))]] = True
    return result


def _wrong(
    rows: pd.DataFrame, scores: npt.NDArray[np.float64], served: pd.DataFrame | None, problem: Problem
) -> npt.NDArray[np.bool_]:
    given = scores
    if served is not None and len(served):
        theirs = served.assign(**{problem.cutoff: cutoff_dates(served[problem.cutoff])})
        found = rows[problem.keys].merge(theirs[[*problem.keys, "score"]], on=problem.keys, how="left")["score"]
        given = np.where(found.notna(), found, scores)
    result: npt.NDArray[np.bool_] = leaning(given, rows[problem.label].to_numpy(dtype="int64")) <= -math.log(
        BEYOND_DOUBT
    )
    return result


def _weak(rows: pd.DataFrame, scores: npt.NDArray[np.float64], problem: Problem) -> npt.NDArray[np.bool_]:
    """Return the rows of the segment whose log-loss is nearest to that of its own base rate, by its train part."""
    outcome = rows[problem.label].to_numpy(dtype="float64")
    judged = (rows["split"] == "train").to_numpy() if "split" in rows else np.ones(len(rows), dtype=bool)
    worst, result = -math.inf, np.zeros(len(rows), dtype=bool)
    for _, _, here in segments_of(rows, problem):
        part = here & judged
        positives = int(outcome[part].sum())
        if part.sum() < MINIMUM_ROWS or min(positives, int(part.sum()) - positives) < MINIMUM_PER_CLASS:
            continue
        own = row_log_loss(outcome[part], np.full(int(part.sum()), positives / part.sum())).mean()
        left = float(row_log_loss(outcome[part], scores[part]).mean() / own)
        if left > worst:
            worst, result = left, here
    return result
