"""One week, judged: what arrived, what moved, how the predictions held, what explains it, and what to do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline

from ml_models.judgement.decision import ModelInfo
from ml_models.judgement.evidence import Alteration, Decision, Diagnosis
from ml_models.problem import Problem


@dataclass(frozen=True)
class WeekEvidence:
    """Everything that one judgement may know, on the morning of `cutoff` (a Monday).

    Rows before the cutoff are delivered, and the cutoff itself has just been scored. Frames hold `cutoff_date` as
    datetime64[us] at midnight.

    - `profile`: measures of the watched tables up to this cutoff (measures.MEASURE_COLUMNS); `tables`: WatchedTable.
    - `frame`: feature rows of all cutoffs up to this one, as served. `audit`: rows of some recent cutoffs, built
      again from the days before them only (None: no audit this week).
    - `outcomes`: customer_id, cutoff_date, label; matured at the cutoff only. `early`: customer_id, cutoff_date,
      lapsed_14d of cutoffs at least 14 days old. `served`: customer_id, cutoff_date, score, model_version,
      trained_through; what was predicted live.
    - `champion`, `previous`: fitted pipelines with `predict_proba`, None when there is none yet; their `_info`.
    - `ledger`: past decisions (decision.LEDGER_COLUMNS), oldest first.
    - `lineage`: asset -> the assets it reads; `owners`: asset -> team; both keyed `schema/name`.
    - `rebuild(alterations, cutoff)`: feature rows of one past cutoff as they would be under these alterations; None
      where the sandbox is not at hand.
    - `refit(rows)`: the champion's recipe (or the default one), fitted on rows with features and label.
    - `drift_history`: what this judgement returned a week ago as `WeekJudgement.drift_history` (None: measured anew).
    - `active_checks`: facts that others established (schema contracts, source freshness), added to the quality facts.
    """

    cutoff: date
    problem: Problem
    profile: pd.DataFrame
    tables: Sequence[Any]
    frame: pd.DataFrame
    outcomes: pd.DataFrame
    early: pd.DataFrame
    served: pd.DataFrame
    champion: Pipeline | None
    champion_info: ModelInfo | None
    previous: Pipeline | None
    previous_info: ModelInfo | None
    ledger: pd.DataFrame
    lineage: Mapping[str, Sequence[str]]
    owners: Mapping[str, str]
    rebuild: Callable[[Sequence[Alteration], date], pd.DataFrame] | None
    refit: Callable[[pd.DataFrame], Pipeline]
    audit: pd.DataFrame | None = None
    drift_history: pd.DataFrame | None = None
    active_checks: Sequence[Any] = field(default_factory=tuple)


@dataclass(frozen=True)
class WeekJudgement:
    """The week's three verdicts, what explains them, and the decision.

    `why` is one row, by WHY_COLUMNS. `drift_history` is to be handed to next week's judgement. `ledger_row` is what
    to append to the ledger (decision.LEDGER_COLUMNS), before anything is launched.
    """

    cutoff: date
    quality: Any
    drift: Any
    performance: Any
    diagnosis: Diagnosis
    decision: Decision
    why: dict[str, object]
    ledger_row: dict[str, object]
    drift_history: pd.DataFrame | None = None


WHY_COLUMNS = (
    "cutoff",
    "what_happened",
    "cause",
    "percent_explained",
    "first_bad_asset",
    "owner",
    "failing_check",
    "decision",
    "reason",
    "next_command",
    "event_id",
)


def judge_week(evidence: WeekEvidence) -> WeekJudgement:
    """Judge one week: quality, drift, performance, diagnosis, decision."""
    raise NotImplementedError("being written")
