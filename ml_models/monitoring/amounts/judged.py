"""Whether predicted amounts hold on the newest outcomes that are known."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml_models.metrics import Interval
from ml_models.monitoring.types import Verdict
from ml_models.problems.contract import Problem
from ml_models.training.amounts.measures import (
    MINIMUM_ROWS,
    amount_metrics,
    movement,
    off_by,
    paired_absolute,
)
from ml_models.training.amounts.search import asked

JUDGED_CUTOFFS = 4
"""Newest matured cutoffs [cutoffs] that are judged together: one alone is a week's mood."""

PREDICTED = "predicted"
RULE = "rule"


@dataclass(frozen=True)
class AmountVerdict(Verdict):
    """What the newest matured predictions say; `cause` is totals or error.

    `off`: total predicted above total seen, a share, with its interval; `room`: by how much it may be off. `error`,
    `rule_error`: mean absolute error of the predictions and of the best plain rule on the same rows, in the problem's
    unit.
    """

    off: Interval | None = None
    room: float | None = None
    error: float | None = None
    rule_error: float | None = None


def judged_amounts(rows: pd.DataFrame, problem: Problem) -> AmountVerdict:
    """Judge live predictions by outcomes; `rows`: keys, features, label and `predicted`, of matured cutoffs.

    The newest JUDGED_CUTOFFS cutoffs count, the season by the mean's movement over all rows. *totals*: the total is
    off by more than `Amounts.off_by` and the season, beyond chance. *error*: a plain rule has the smaller absolute
    error, beyond noise.
    """
    days = sorted(rows[problem.cutoff].unique())
    newest = rows[rows[problem.cutoff].isin(days[-JUDGED_CUTOFFS:])]
    if len(newest) < MINIMUM_ROWS:
        return AmountVerdict(
            "insufficient evidence",
            "",
            f"{len(newest)} predictions have a known outcome that their model could not have learned from; at least "
            f"{MINIMUM_ROWS} are needed.",
        )
    seen, predicted = newest[problem.label].to_numpy("float64"), newest[PREDICTED].to_numpy("float64")
    groups = newest[problem.entity].to_numpy()
    room = asked(problem).off_by + movement(rows[problem.label], rows[problem.cutoff])
    off = off_by(seen, predicted, groups)
    rules = {rule.name: rule.predict(newest) for rule in asked(problem).rules if rule.beaten}
    told = {rule.name: rule.told for rule in asked(problem).rules}
    errors = {name: amount_metrics(seen, values)["absolute_error"] for name, values in rules.items()}
    best = min(errors, key=lambda name: errors[name])
    error = amount_metrics(seen, predicted)["absolute_error"]
    against = paired_absolute(seen, predicted, rules[best], groups)
    sentence = (
        f"{len(newest):,} predictions of cutoffs {days[-JUDGED_CUTOFFS:][0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}: their "
        f"total is {off.value:+.1%} off [{off.low:+.1%}, {off.high:+.1%}], at most {room:.1%}; mean absolute error "
        f"{error / 100:,.2f}, {errors[best] / 100:,.2f} by {told[best]}."
    )
    cause = ""
    if off.low > room or off.high < -room:
        cause = "totals"
    elif against.low > 0:
        cause = "error"
    return AmountVerdict("fail" if cause else "pass", cause, sentence, off, room, error, errors[best])


def former_is_better(rows: pd.DataFrame, former: np.ndarray, problem: Problem) -> str:
    """Return in words that the version before would have been better on these rows, beyond noise; empty: it is not.

    `rows` as of `judged_amounts`; `former`: what the version before predicts of them. Better by a hundredth of the
    champion's error at least: less is worth no change.
    """
    if len(rows) < MINIMUM_ROWS:
        return ""
    seen, predicted = rows[problem.label].to_numpy("float64"), rows[PREDICTED].to_numpy("float64")
    found = paired_absolute(seen, predicted, former, rows[problem.entity].to_numpy())
    error = amount_metrics(seen, predicted)["absolute_error"]
    if found.low <= 0 or found.value < WORTH * error:
        return ""
    return f"on {len(rows):,} rows that neither had seen its absolute error is larger by {found.value / error:.1%}"


WORTH = 0.01
"""Share of the champion's absolute error that the version before must be better by."""
