"""What is known of a week of a problem that predicts an amount: whether its totals and errors hold."""

from datetime import date, timedelta
from typing import TYPE_CHECKING

from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.registry import ModelRegistry
from resources.warehouse import Warehouse
from steps.amounts.monitoring import judge_amounts, live_amounts
from steps.champions import previous_champion
from steps.further.decisions import Evidence
from steps.problem import problem_named, settings
from steps.tables import ProblemTables

if TYPE_CHECKING:
    from ml_models.problems.contract import Problem


def amount_evidence(warehouse: Warehouse, registry: ModelRegistry, of: ProblemTables, cutoff: date) -> Evidence:
    """Return what is known of a week; `registry` is the problem's own."""
    problem = problem_named(of.name)
    verdict = judge_amounts(warehouse, registry, problem, of, cutoff)
    columns = {
        "off_by": verdict.off.value if verdict.off else None,
        "absolute_error": verdict.error,
        "rule_error": verdict.rule_error,
    }
    return Evidence(verdict, _former_is_better(warehouse, registry, problem, of, cutoff), columns=columns)


def _former_is_better(
    warehouse: Warehouse, registry: ModelRegistry, problem: "Problem", of: ProblemTables, cutoff: date
) -> str:
    """Return that the version before the champion would have been better, in words; empty: it is not, or is too old."""
    from ml_models.monitoring.amounts.judged import former_is_better
    from ml_models.rows import missing_features, scored

    champion, former = registry.by_alias(CHAMPION_ALIAS), previous_champion(registry, warehouse, of=of)
    if champion is None or former is None:
        return ""
    first = warehouse.read(
        f"select min(cutoff_date) as first from {'.'.join(of.predictions.path)} where model_version = ?",
        [champion.version],
    )["first"].iloc[0]
    if first != first or (cutoff - first.date()).days > settings().comparison_days(problem.horizon_days):
        return ""
    rows = live_amounts(warehouse, problem, of, cutoff)
    rows = rows[rows["model_version"] == champion.version].reset_index(drop=True)
    through = former.trained_through + timedelta(days=problem.horizon_days)
    rows = rows[rows["cutoff_date"].dt.date >= through].reset_index(drop=True)
    pipeline = registry.load(former)
    if rows.empty or missing_features(pipeline, rows.columns, problem):
        return ""
    return former_is_better(rows, scored(pipeline, rows, problem, f"version {former.version}"), problem)
