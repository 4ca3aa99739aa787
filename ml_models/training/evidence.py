"""What is kept of a training for good: everything that was measured, as plain data beside the registered version.

Gate, summary and model card read it; none of them measures again.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ml_models.explain import family_importance
from ml_models.metrics import paired_log_loss
from ml_models.problems.contract import Problem
from ml_models.rows import features_of
from ml_models.training.baselines import BASELINES
from ml_models.training.champion_challenge import Comparison
from ml_models.training.gate import GateResult
from ml_models.training.recipe import library_versions
from ml_models.training.search import TrainingResult

FORMAT = 1
"""Raise it when a fact is added that a card needs: a version of a lower one never had it, and its card says so."""


def evidence_of(
    result: TrainingResult, compared: Comparison | None, gates: Sequence[GateResult], problem: Problem, cause: str = ""
) -> dict[str, Any]:
    """Return everything that one training found out, as JSON takes it but for dates and numpy's numbers.

    `cause`: why it was trained, in words; empty where nobody said.
    """
    return {
        "format": FORMAT,
        "cause": cause,
        "algorithm": result.candidate,
        "parameters": result.parameters,
        "selection": result.selection,
        "inner_split": result.inner,
        "seed": result.seed,
        "rows": result.rows,
        "train": [str(day) for day in result.split.train],
        "holdout": [str(day) for day in result.split.holdout],
        "window": result.window,
        "trained_from": str(result.trained_from),
        "trained_through": str(result.trained_through),
        "excluded": [str(day) for day in result.excluded],
        "features": features_of(result.pipeline, problem),
        "left_out": result.left_out,
        "libraries": library_versions(),
        "recalibration": asdict(result.recalibration) if result.recalibration else None,
        "judged_against": compared.version if compared else None,
        "comparison_with_champion": compared.how if compared else "",
        "metrics": result.metrics,
        "intervals": {name: asdict(interval) for name, interval in result.intervals.items()},
        "against_baselines": _against_baselines(result, problem),
        "gates": [asdict(gate) for gate in gates],
        "importance": _importance(result, problem),
        **{
            name: getattr(result, name).to_dict("records") for name in ("comparison", "slices", "trials", "calibration")
        },
    }


def _against_baselines(result: TrainingResult, problem: Problem) -> dict[str, dict[str, float]]:
    """Return the difference in log-loss to each baseline on the judged rows, with its interval; below 0 is better."""
    outcome, groups = (result.holdout_predictions[name].to_numpy() for name in (problem.label, problem.entity))
    scores = result.holdout_scores
    return {
        name: asdict(paired_log_loss(outcome, scores[result.candidate].to_numpy(), scores[name].to_numpy(), groups))
        for name in BASELINES
        if name in scores and name != result.candidate
    }


def _importance(result: TrainingResult, problem: Problem) -> list[dict[str, Any]]:
    rows = result.holdout_rows
    newest = rows[rows[problem.cutoff] == rows[problem.cutoff].max()]
    made = family_importance(result.pipeline, newest, result.reference, problem).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in made]
