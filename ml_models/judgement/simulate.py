"""A policy, replayed week by week over a history: judge, decide, act, and what the deployed model came to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import pandas as pd

from ml_models.judgement.decision import ModelInfo
from ml_models.judgement.evidence import Alteration, Decision
from ml_models.judgement.week import WeekEvidence, WeekJudgement
from ml_models.problem import Problem


class History(Protocol):
    """A world as it looked on each Monday morning. Every method answers with what was known at that cutoff only.

    `frame`, `outcomes` and `early` are as delivered (faults included); `truth` is what really happened.
    """

    problem: Problem
    lineage: Mapping[str, Sequence[str]]
    owners: Mapping[str, str]

    def cutoffs(self) -> Sequence[date]:
        """Return all cutoffs, ascending."""
        ...

    def tables(self) -> Sequence[Any]:
        """Return the watched tables."""
        ...

    def profile(self, cutoff: date) -> pd.DataFrame:
        """Return the measures of the watched tables, up to this cutoff."""
        ...

    def frame(self, cutoff: date) -> pd.DataFrame:
        """Return the feature rows of all cutoffs up to this one, as served."""
        ...

    def audit(self, cutoff: date) -> pd.DataFrame | None:
        """Return recent feature rows, built again from the days before their cutoffs only; None: no audit."""
        ...

    def outcomes(self, cutoff: date) -> pd.DataFrame:
        """Return customer_id, cutoff_date and label of the cutoffs matured by now."""
        ...

    def early(self, cutoff: date) -> pd.DataFrame:
        """Return customer_id, cutoff_date and lapsed_14d of cutoffs at least 14 days old."""
        ...

    def truth(self, cutoff: date) -> pd.DataFrame:
        """Return customer_id, cutoff_date and the true label of this one cutoff, however late it became known."""
        ...

    def facts(self, cutoff: date) -> Sequence[Any]:
        """Return facts established outside of the profile (a contract broken, a source not delivered), or ()."""
        ...

    def rebuild(self, cutoff: date) -> Callable[[Sequence[Alteration], date], pd.DataFrame] | None:
        """Return how to build a past cutoff's feature rows under alterations, as of this morning; None: not here."""
        ...


class Policy(Protocol):
    """What decides, each week."""

    name: str

    def decide(self, evidence: WeekEvidence) -> tuple[Decision, WeekJudgement | None]:
        """Return the week's decision, and the judgement behind it if there was one."""
        ...


@dataclass(frozen=True)
class SimulationResult:
    """What a policy came to.

    `weeks`: one row a scored cutoff: cutoff_date, action, cause, event_id, model_version, trained_through, window,
    promoted, rows, log_loss, auc, calibration_error, mean_score, base_rate (the deployed model on true labels; nan
    where the truth is not known). `judgements` by cutoff, for policies that judge. `ledger`: decision.LEDGER_COLUMNS.
    """

    policy: str
    weeks: pd.DataFrame
    ledger: pd.DataFrame
    judgements: Mapping[date, WeekJudgement]
    models: Mapping[str, ModelInfo]
