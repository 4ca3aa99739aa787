"""Split a loss change between other customers (covariate) and customers who behave otherwise (concept).

After Cai, Namkoong and Yadlowsky, "Diagnosing model performance under distribution shift" (2023): the two windows'
losses are compared on the customers whom both could have had. With π(x) the probability, by a domain classifier on
balanced windows, that a row with features x is of the current window, reference rows weigh π and current rows 1 - π:
both then have the shared density p q / (p + q). The difference of the weighted losses is the concept part; what remains
of the change is the covariate part. A weighted regression of the loss on the features takes off what the weights leave
unbalanced (their classifier is never perfect), and gives each row's influence, whence standard errors by customer.

The split cannot tell broken data from other customers (it calls both covariate): ask it after the fault replay, about
what faults do not explain.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_models.metrics import Array, auc
from ml_models.monitoring.diagnosis import messages
from ml_models.monitoring.diagnosis.thresholds import (
    CHANGED,
    COUNTS,
    FOLDS,
    MAXIMUM_AUC,
    MINIMUM_EFFECTIVE,
    MINIMUM_OVERLAP,
    MINIMUM_ROWS,
    ROW_LIMIT,
    SHARE,
)
from ml_models.monitoring.drift.distances import normal_scores
from ml_models.rows import customer_folds

Verdict = Literal["none", "covariate", "concept", "mixed", "insufficient evidence"]


@dataclass(frozen=True)
class LossSplit:
    """A loss change, split: `change = covariate + concept`, each with its standard error by customer.

    `overlap` is the mean of 4 π (1 - π): 1 when nobody can tell the windows apart, 0 when they share nobody's like.
    `auc` is the domain classifier's, `effective` the smaller number of rows that the weights leave. Verdict `none`: the
    loss did not rise beyond noise. `insufficient evidence`: too few rows, too little overlap, or a rise that neither
    part explains beyond its own noise.
    """

    verdict: Verdict
    change: float
    covariate: float
    concept: float
    change_error: float
    covariate_error: float
    concept_error: float
    overlap: float
    auc: float
    effective: float
    sentence: str


def split_loss_change(
    reference_rows: pd.DataFrame,
    reference_loss: npt.ArrayLike,
    current_rows: pd.DataFrame,
    current_loss: npt.ArrayLike,
    reference_groups: npt.ArrayLike | None = None,
    current_groups: npt.ArrayLike | None = None,
) -> LossSplit:
    """Split the rise of a model's mean loss from the reference rows to the current rows.

    Rows are what the model sees (numbers, nulls allowed), preferably with its score as a further column, because the
    loss depends on little else; losses are one a row, by the same model. Groups are the customers' ids: rows of one
    customer are one observation. Of more than ROW_LIMIT rows a side every k-th is taken. Raises ValueError when columns
    or lengths differ.

    A week in which every customer's loss rose by .1, and one in which young customers, who are harder to foretell, are
    more frequent:

    >>> generator = np.random.default_rng(0)
    >>> rows = pd.DataFrame({"tenure": generator.exponential(24, 2000)})
    >>> loss = 0.2 + 0.4 * np.exp(-rows["tenure"] / 12) + generator.exponential(0.2, 2000)
    >>> found = split_loss_change(rows, loss, rows, loss + 0.1)
    >>> found.verdict, round(found.change, 2), round(found.concept, 2)
    ('concept', 0.1, 0.1)
    >>> younger = (rows["tenure"] < 12) | (generator.random(2000) < 0.4)
    >>> found = split_loss_change(rows, loss, rows[younger], loss[younger])
    >>> found.verdict, found.covariate > 2 * found.concept
    ('covariate', True)
    """
    if list(reference_rows.columns) != list(current_rows.columns):
        raise ValueError("Expected the same columns in both windows; pass the features of one model in one order.")
    losses = [np.asarray(loss, dtype="float64") for loss in (reference_loss, current_loss)]
    sides = [reference_rows, current_rows]
    groups = [
        np.asarray(given, dtype=object)
        if given is not None
        else np.array([f"{side} {row}" for row in range(len(rows))])
        for side, (given, rows) in enumerate(zip((reference_groups, current_groups), sides, strict=True))
    ]
    if any(
        len(rows) != len(loss) or len(rows) != len(who) for rows, loss, who in zip(sides, losses, groups, strict=True)
    ):
        raise ValueError("Expected one loss (and one group) a row; align them with the rows.")
    steps = [max(1, math.ceil(len(rows) / ROW_LIMIT)) for rows in sides]
    n = [len(rows.iloc[::step]) for rows, step in zip(sides, steps, strict=True)]
    loss = np.concatenate([part[::step] for part, step in zip(losses, steps, strict=True)])
    who = np.concatenate([part[::step] for part, step in zip(groups, steps, strict=True)])
    if min(n) < MINIMUM_ROWS:
        return _nothing(losses, messages.too_few_rows(min(n)))
    values = np.concatenate(
        [rows.iloc[::step].to_numpy(dtype="float64", na_value=np.nan) for rows, step in zip(sides, steps, strict=True)]
    )
    current = np.repeat([False, True], n)
    views = _views(values)
    probability, area = _domain(views, current, who)
    weights = np.where(current, 1 - probability, probability)
    overlap = float(np.mean([(4 * probability * (1 - probability))[side].mean() for side in (current, ~current)]))
    effective = min(float(weights[side].sum() ** 2 / (weights[side] ** 2).sum()) for side in (current, ~current))

    residual, concept = _adjusted(views, loss, current, weights)
    means = np.where(current, loss[current].mean(), loss[~current].mean())
    change = float(loss[current].mean() - loss[~current].mean())
    sign = np.where(current, 1.0, -1.0)
    total = np.where(current, weights[current].sum(), weights[~current].sum())
    of_concept = sign * weights * residual / total
    of_change = sign * (loss - means) / np.where(current, n[1], n[0])
    codes, _ = pd.factorize(who)
    errors = [
        float(np.sqrt((np.bincount(codes, weights=influence) ** 2).sum()))
        for influence in (of_change, of_change - of_concept, of_concept)
    ]
    verdict, reason = _judge(change, change - concept, concept, errors, overlap, effective, area)
    parts = (change, change - concept, concept)
    sentence = f"{messages.loss_split(parts, errors, overlap)} {reason}"
    return LossSplit(
        verdict, change, change - concept, concept, errors[0], errors[1], errors[2], overlap, area, effective, sentence
    )


def _nothing(losses: list[Array], reason: str) -> LossSplit:
    change = float(losses[1].mean() - losses[0].mean()) if all(len(loss) for loss in losses) else math.nan
    nan = math.nan
    sentence = messages.not_splittable(reason)
    return LossSplit("insufficient evidence", change, nan, nan, nan, nan, nan, nan, nan, 0.0, sentence)


def _views(values: Array) -> Array:
    """Return each column's normal score, its square, and whether it is null; standardised, constants left out."""
    scores, nulls = normal_scores(values)
    views = np.concatenate([scores, np.minimum(scores**2, 9), nulls], axis=1)
    spread = views.std(axis=0)
    return np.asarray((views - views.mean(axis=0))[:, spread > 1e-9] / spread[spread > 1e-9])


def _domain(views: Array, current: npt.NDArray[np.bool_], who: npt.NDArray[np.object_]) -> tuple[Array, float]:
    """Return π of each row, cross-fitted over folds of customers, windows balanced; and its AUC."""
    folds = customer_folds(who, FOLDS)
    x = np.column_stack([np.ones(len(views)), views])
    balance = np.where(current, 0.5 / current.mean(), 0.5 / (~current).mean())
    probability = np.full(len(views), 0.5)
    for fold in range(FOLDS):
        out = folds == fold
        if out.any() and current[~out].any() and (~current[~out]).any():
            beta = _logistic(x[~out], current[~out].astype("float64"), balance[~out])
            probability[out] = 1 / (1 + np.exp(-np.clip(x[out] @ beta, -30, 30)))
    probability = np.clip(probability, 0.01, 0.99)
    return probability, auc(current.astype("float64"), probability)


def _logistic(x: Array, y: Array, weights: Array) -> Array:
    """Return the coefficients of a ridge logistic regression (Newton); the first column is the constant."""
    penalty = 0.005 * len(y) * np.eye(x.shape[1])
    penalty[0, 0] = 0.0
    beta = np.zeros(x.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        slope = weights * p * (1 - p)
        step = np.linalg.solve((x * slope[:, None]).T @ x + penalty, x.T @ (weights * (y - p)) - penalty @ beta)
        beta = beta + step
        if np.abs(step).max() < 1e-6:
            break
    return beta


def _adjusted(views: Array, loss: Array, current: npt.NDArray[np.bool_], weights: Array) -> tuple[Array, float]:
    """Return residuals and the difference of losses on the shared rows, adjusted for features left unbalanced."""
    balanced = weights / np.where(current, weights[current].sum(), weights[~current].sum())
    x = np.column_stack([np.ones(len(views)), current.astype("float64"), views])
    penalty = 0.02 * np.eye(x.shape[1])
    penalty[:2, :2] = 0.0
    beta = np.linalg.solve((x * balanced[:, None]).T @ x + penalty, x.T @ (balanced * loss))
    return loss - x @ beta, float(beta[1])


def _judge(
    change: float, covariate: float, concept: float, errors: list[float], overlap: float, effective: float, area: float
) -> tuple[Verdict, str]:
    if change <= CHANGED * errors[0]:
        return "none", "The loss did not rise beyond noise."
    if overlap < MINIMUM_OVERLAP or area > MAXIMUM_AUC or effective < MINIMUM_EFFECTIVE:
        return "insufficient evidence", "The windows share too few similar customers to compare how they behave."
    counts = [part > COUNTS * error for part, error in ((covariate, errors[1]), (concept, errors[2]))]
    shares = [part / change for part in (covariate, concept)]
    if all(counts) and min(shares) >= SHARE:
        return "mixed", "Both parts are beyond noise."
    if counts[1] and (not counts[0] or shares[1] >= shares[0]):
        return "concept", "Only the behaviour of similar customers explains it."
    if counts[0]:
        return "covariate", "Other customers explain it."
    return "insufficient evidence", "Neither part is beyond its own noise."
