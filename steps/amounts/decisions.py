"""The week's decision of a problem that predicts an amount, kept as a row of its ledger."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING

from resources.clock import Clock
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.registry import ModelRegistry, RegistryError
from resources.warehouse import Warehouse
from steps.amounts.monitoring import judge_amounts, live_amounts
from steps.as_of import due_cutoff, ledger, newest_cutoff
from steps.candidates import quarantined_cutoffs
from steps.champions import previous_champion, training_span
from steps.decisions import CUTOFF_TAG, EVENT_TAG, Due, FinishedRun
from steps.migrations import ensure
from steps.ownership import owner_of
from steps.problem import settings
from steps.tables import ProblemTables, store

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.monitoring.amounts.policy import AmountWeek
    from ml_models.problems.contract import Problem

_EVIDENCE = ("event_id", "cause", "owner", "first_bad_asset", "next_command", "window", "reason")


def judge_amount_week(
    warehouse: Warehouse,
    registry: ModelRegistry,
    clock: Clock,
    problem: "Problem",
    of: ProblemTables,
    *,
    finished_run: FinishedRun,
    log: Callable[[str], None],
    again: bool = False,
) -> None:
    """Decide the week that is due, once; it stands unless `again`, or the data that it waited for are held to be sound.

    Whether they are is read of `monitoring.decisions`, which is judged before.
    """
    import pandas as pd

    from ml_models.monitoring.amounts.policy import decide, event_of

    ensure(warehouse, of.decisions)
    kept = _brought_up_to_date(warehouse, of, finished_run)
    cutoff = due_cutoff(newest_cutoff(warehouse), clock)
    if cutoff is None:
        return
    week = _week(warehouse, registry, problem, of, cutoff, kept)
    decision = decide(week, problem, settings())
    stands = kept[pd.to_datetime(kept["cutoff"]).dt.date == cutoff]
    if len(stands) and not again:
        was = str(stands.iloc[0]["action"])
        # Broken data veto also what was decided before they were found; and they are sound again when they are.
        if was == decision.action or "inspect" not in (was, decision.action):
            log(f"{cutoff} was judged before and its decision stands")
            return
    verdict = week.verdict
    row = {
        "cutoff": pd.Timestamp(cutoff),
        "event_id": event_of(week, decision, problem),
        **decision.__dict__,
        "off_by": verdict.off.value if verdict.off else None,
        "absolute_error": verdict.error,
        "rule_error": verdict.rule_error,
        "model_version": week.version,
        "run_id": None,
        "promoted": None,
    }
    rest = kept[pd.to_datetime(kept["cutoff"]).dt.date != cutoff]
    rows = pd.DataFrame([*rest.to_dict("records"), row]).sort_values("cutoff", ignore_index=True)
    store(warehouse, of.decisions, rows)
    log(f"{cutoff}: {decision.action}. {decision.reason}")


def _week(
    warehouse: Warehouse,
    registry: ModelRegistry,
    problem: "Problem",
    of: ProblemTables,
    cutoff: date,
    kept: "pd.DataFrame",
) -> "AmountWeek":
    """Read everything that the judgement of a week may know."""
    from ml_models.model_version import learned_from
    from ml_models.monitoring.amounts.policy import AmountWeek
    from ml_models.monitoring.decision.ledger import released_weeks

    shared = ledger(warehouse)
    row = shared[shared["cutoff"].dt.date == cutoff]
    champion = registry.by_alias(CHAMPION_ALIAS)
    matured = warehouse.read(
        "select distinct cutoff_date from outcomes.customer_outcomes where matured_on <= ? order by 1", [cutoff]
    )
    days = [stamp.date() for stamp in matured["cutoff_date"]]
    bad = set(quarantined_cutoffs(warehouse, days))
    clean = [day for day in days if day not in bad]
    learned: list[date] = []
    if champion is not None:
        try:
            first, excluded = training_span(registry.evidence(champion))
        except RegistryError:
            first, excluded = None, ()
        learned = learned_from(clean, champion.trained_through, first, excluded)
    return AmountWeek(
        cutoff=cutoff,
        shared=row.iloc[0].to_dict() if len(row) else None,
        released=cutoff in released_weeks(shared),
        version=str(champion.version) if champion else None,
        owner=owner_of(of.champion),
        verdict=judge_amounts(warehouse, registry, problem, of, cutoff),
        former=_former_is_better(warehouse, registry, problem, of, cutoff),
        matured=len(clean),
        learned=len(learned),
        ledger=kept,
    )


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


def _brought_up_to_date(warehouse: Warehouse, of: ProblemTables, finished_run: FinishedRun) -> "pd.DataFrame":
    """Return the ledger with what became of past decisions: the run that was launched, and whether it promoted."""
    ensure(warehouse, of.champion)
    kept = warehouse.read(f"select * from {'.'.join(of.decisions.path)} order by cutoff")
    promoting = set(
        warehouse.read(f"select run_id from {'.'.join(of.champion.path)} where run_id is not null")["run_id"]
    )
    filled = kept.astype({"run_id": "object", "promoted": "object"})
    for index, row in kept[kept["run_id"].isna() & kept["action"].isin(["improve", "rollback"])].iterrows():
        run_id = finished_run({EVENT_TAG: str(row["event_id"]), CUTOFF_TAG: f"{row['cutoff']:%Y-%m-%d}"})
        if run_id is not None:
            filled.loc[[index], ["run_id", "promoted"]] = [[run_id, str(run_id in promoting).lower()]]
    if not filled["run_id"].equals(kept["run_id"]):
        store(warehouse, of.decisions, filled)
    return filled


def amount_due(decisions: "pd.DataFrame") -> Due:
    """Return what the newest decision asks for; `decisions` are rows of the ledger, the newest first."""
    if decisions.empty:
        return Due("continue", "Nothing was judged yet: there is no cutoff.", {})
    row = decisions.iloc[0]
    evidence = {"cutoff": f"{row['cutoff']:%Y-%m-%d}", **{name: str(row[name] or "") for name in _EVIDENCE}}
    return Due(str(row["action"]), f"{row['action']}: {row['reason']}", evidence)
