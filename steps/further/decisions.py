"""The week's decision of a problem beside the first, kept as a row of its ledger."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from resources.clock import Clock
from resources.registry import CHAMPION as CHAMPION_ALIAS
from resources.registry import ModelRegistry, RegistryError
from resources.warehouse import Warehouse
from steps.as_of import due_cutoff, ledger, newest_cutoff
from steps.candidates import quarantined_cutoffs
from steps.champions import training_span
from steps.decisions import CUTOFF_TAG, EVENT_TAG, Due, FinishedRun
from steps.migrations import ensure
from steps.ownership import owner_of
from steps.problem import asked_named, settings
from steps.tables import ProblemTables, store

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.monitoring.decision.further import Broken, FurtherWeek
    from ml_models.monitoring.types import Verdict

_EVIDENCE = ("event_id", "cause", "owner", "first_bad_asset", "next_command", "window", "reason")


class Evidence(NamedTuple):
    """What a kind of problem knows of a week.

    `verdict`: of the matured predictions; `former`: that the version before would have been better, in words, empty: it
    is not. `broken`: what the problem alone reads. `columns`: what its ledger holds beside what every ledger holds.
    """

    verdict: "Verdict"
    former: str = ""
    broken: "Broken | None" = None
    columns: Mapping[str, Any] = {}


Look = Callable[[Warehouse, ModelRegistry, ProblemTables, date], Evidence]
"""Gathers what a kind of problem knows of a week; the registry is the problem's own."""


def judge_further_week(
    warehouse: Warehouse,
    registry: ModelRegistry,
    clock: Clock,
    of: ProblemTables,
    look: Look,
    *,
    finished_run: FinishedRun,
    log: Callable[[str], None],
    again: bool = False,
) -> None:
    """Decide the week that is due, once; it stands unless `again`, or the data that it waited for are held to be sound.

    Whether they are is read of `monitoring.decisions`, which is judged before. `look` gathers what the kind of problem
    knows of a week.
    """
    import pandas as pd

    from ml_models.monitoring.decision.further import decide, event_of

    ensure(warehouse, of.decisions)
    kept = _brought_up_to_date(warehouse, of, finished_run)
    cutoff = due_cutoff(newest_cutoff(warehouse), clock)
    if cutoff is None:
        return
    problem, found = asked_named(of.name), look(warehouse, registry, of, cutoff)
    week = _week(warehouse, registry, of, cutoff, kept, found)
    decision = decide(week, problem, settings())
    stands = kept[pd.to_datetime(kept["cutoff"]).dt.date == cutoff]
    if len(stands) and not again:
        was = str(stands.iloc[0]["action"])
        # Broken data veto also what was decided before they were found; and they are sound again when they are.
        if was == decision.action or "inspect" not in (was, decision.action):
            log(f"{cutoff} was judged before and its decision stands")
            return
    row = {
        "cutoff": pd.Timestamp(cutoff),
        "event_id": event_of(week, decision, problem),
        **decision.__dict__,
        **found.columns,
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
    of: ProblemTables,
    cutoff: date,
    kept: "pd.DataFrame",
    found: Evidence,
) -> "FurtherWeek":
    """Read everything that the judgement of a week may know."""
    from ml_models.model_version import learned_from
    from ml_models.monitoring.decision.further import FurtherWeek
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
    return FurtherWeek(
        cutoff=cutoff,
        shared=row.iloc[0].to_dict() if len(row) else None,
        released=cutoff in released_weeks(shared),
        version=str(champion.version) if champion else None,
        owner=owner_of(of.champion),
        verdict=found.verdict,
        former=found.former,
        broken=found.broken,
        matured=len(clean),
        learned=len(learned),
        ledger=kept,
    )


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


def further_due(decisions: "pd.DataFrame") -> Due:
    """Return what the newest decision asks for; `decisions` are rows of the ledger, the newest first."""
    if decisions.empty:
        return Due("continue", "Nothing was judged yet: there is no cutoff.", {})
    row = decisions.iloc[0]
    evidence = {"cutoff": f"{row['cutoff']:%Y-%m-%d}", **{name: str(row[name] or "") for name in _EVIDENCE}}
    return Due(str(row["action"]), f"{row['action']}: {row['reason']}", evidence)
