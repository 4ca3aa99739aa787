"""What many drills of one process have in common, made once: fits on the same rows, the week before anything happened.

Told by content, never by name: what is shared is what would have come out anyway.
"""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pandas as pd

from drills.scenario import DrilledHistory
from ml_models.monitoring import WeekEvidence, WeekJudgement
from ml_models.monitoring.types import Decision
from ml_models.policy_backtest import Ours
from ml_models.problems.contract import Problem
from ml_models.training.search import simplest_recipe

FITS = 64
"""Models kept in memory, some hundred kilobytes each."""

_fits: OrderedDict[str, Any] = OrderedDict()


def recipe(problem: Problem) -> Callable[[pd.DataFrame], Any]:
    """Return `simplest_recipe`, which for rows that it was fitted on before gives that very model.

    Every drill begins with the model of the healthy weeks, and while labels mature a retraining learns from them too.
    """
    fit = simplest_recipe(problem)

    def once(rows: pd.DataFrame) -> Any:
        digest = sha256(repr((problem.name, problem.recipe_version, list(rows.columns), list(rows.dtypes))).encode())
        digest.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
        asked = digest.hexdigest()
        if asked not in _fits:
            _fits[asked] = fit(rows)
            while len(_fits) > FITS:
                _fits.popitem(last=False)
        _fits.move_to_end(asked)
        return _fits[asked]

    return once


class Sharing(Ours):
    """Our judgement, which judges the first week once for all drills in which nothing has happened by then."""

    def __init__(self, history: DrilledHistory) -> None:
        super().__init__()
        self._history = history

    def decide(self, evidence: WeekEvidence) -> tuple[Decision, WeekJudgement | None]:
        """Return the judgement's decision."""
        history, champion = self._history, evidence.champion
        if len(evidence.ledger) or not history.untouched(evidence.cutoff):
            return super().decide(evidence)
        known = history.recording.first_weeks.get(evidence.cutoff)
        if known is not None and known[0] == champion:
            return self.go_on(known[1])
        decision, judged = super().decide(evidence)
        if judged is not None:
            history.recording.first_weeks[evidence.cutoff] = (champion, judged)
        return decision, judged
