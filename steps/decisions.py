"""The week's judgement and its ledger: judged once, written as four tables, and later told what became of it.

The judgement itself is `ml_models.monitoring.week.judge_week`, a pure function.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, NamedTuple, cast, get_args

import dagster as dg

from ml_models.monitoring.types import Action
from resources.airbyte import RawWorkspace
from resources.clock import Clock
from resources.dbt import DbtRunner
from resources.registry import ModelRegistry
from resources.warehouse.contract import Warehouse
from steps.as_of import due_cutoff, ledger, newest_cutoff
from steps.errors import StepRefusedError
from steps.migrations import ensure
from steps.ownership import owner_of
from steps.problem import settings
from steps.tables import CHAMPION, DECISIONS, DIAGNOSIS, RESTATEMENTS, WHY, store, typed
from steps.week_evidence import week_evidence

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.monitoring.week import WeekJudgement

EVENT_TAG, CUTOFF_TAG = "baton/event_id", "baton/cutoff"
"""Tags of a run that acts on a decision; the sensor that asks for the run sets them."""

REMEDY_TAG = "baton/remedy"
"""How an improvement is made: retrain or recalibrate."""

_EVIDENCE = ("event_id", "cause", "owner", "first_bad_asset", "failing_check", "next_command", "window", "reason")
_QUARANTINED = ("quarantine_from", "quarantine_to")

FinishedRun = Callable[[Mapping[str, str]], str | None]
"""Takes tags and returns the id of the finished run that carries them; None while there is none."""


def judge_due_week(
    warehouse: Warehouse,
    registry: ModelRegistry,
    airbyte: RawWorkspace,
    dbt: DbtRunner,
    clock: Clock,
    *,
    finished_run: FinishedRun,
    log: Callable[[str], None],
    override: str = "",
    override_reason: str = "",
    again: bool = False,
) -> date | None:
    """Judge the week that is due once, and return the newest cutoff that was delivered; None before the first.

    A week that was judged before keeps its decision, unless `again`, or a person's `override` (an Action) with its
    `override_reason`. A week whose data did not come is judged too, and again when they did.

    Raises:
        StepRefusedError: `override` is no action, or has no reason.
    """
    asked = _override(override, override_reason)
    ensure(warehouse, DIAGNOSIS, RESTATEMENTS, WHY)
    judged_before = ledger(warehouse)
    newest = newest_cutoff(warehouse)
    cutoff = due_cutoff(newest, clock)
    if cutoff is None:
        return newest
    judged_before = _brought_up_to_date(warehouse, judged_before, finished_run)
    stands = judged_before[judged_before["cutoff"].dt.date == cutoff]
    if cutoff == newest:
        stands = stands[~stands["failing_check"].fillna("").str.endswith(":stale")]
    if len(stands) and not again and asked is None:
        log(f"{cutoff} was judged before and its decision stands")
        return newest

    from ml_models.monitoring.week import judge_week

    evidence = week_evidence(warehouse, registry, airbyte, dbt, cutoff, judged_before)
    judged = judge_week(evidence, settings(), override=asked)
    _write(warehouse, judged, override_reason)
    log(f"{cutoff}: {judged.decision.action}. {judged.decision.reason}")
    return newest


class Due(NamedTuple):
    """What the newest decision asks for: an Action, the sentence that says why, and what a sensor needs to act."""

    decision: str
    sentence: str
    evidence: dict[str, str]


def what_is_due(decisions: "pd.DataFrame", newest: date | None) -> Due:
    """Return what the newest decision asks for; `decisions` are rows of the ledger, the newest first.

    `newest` is the newest cutoff that was delivered: a decision on a later one waits for its data.
    """
    if decisions.empty:
        return Due("continue", "Nothing was judged yet: there is no cutoff.", {})
    from ml_models.monitoring.decision.ledger import released_weeks

    row = decisions.iloc[0]
    said = released_weeks(decisions).get(row["cutoff"].date())
    if said is not None and row["action"] == "inspect":
        sentence = f"continue: {said['by']} released the week on {said['at']}: {said['reason']}"
        evidence = {"cutoff": f"{row['cutoff']:%Y-%m-%d}", "released_by": said["by"], "event_id": str(row["event_id"])}
        return Due("continue", sentence, evidence)
    evidence = {name: str(row[name]) for name in _EVIDENCE}
    # A week that still waits for its data was not judged in full; the name tells the sensor that looks for such.
    week = "cutoff" if row["cutoff"].date() == newest else "waiting_for"
    if isinstance(remedy := row.get("remedy"), str) and remedy:
        # A ledger of a former build names none.
        evidence["remedy"] = remedy
    evidence |= {name: f"{row[name]:%Y-%m-%d}" for name in _QUARANTINED if row[name] == row[name]}
    return Due(str(row["action"]), f"{row['action']}: {row['reason']}", {week: f"{row['cutoff']:%Y-%m-%d}", **evidence})


def _override(override: str, reason: str) -> Action | None:
    if not override:
        return None
    if override not in get_args(Action):
        raise StepRefusedError(
            f"Expected override to be one of {', '.join(get_args(Action))}, or empty to let the judgement decide; got "
            f"{override!r}. Correct the run config."
        )
    if not reason:
        raise StepRefusedError(
            f"Expected override_reason beside override {override!r}: who reads the ledger later needs to know why a "
            "person decided otherwise. Add a sentence to the run config."
        )
    return cast(Action, override)


def _brought_up_to_date(warehouse: Warehouse, decisions: "pd.DataFrame", finished_run: FinishedRun) -> "pd.DataFrame":
    """Fill in what became of past decisions: the run that was launched, and whether it ended in a promotion."""
    ensure(warehouse, CHAMPION)
    promoting = set(warehouse.read("select run_id from training.champion where run_id is not null")["run_id"])
    filled = decisions.astype({"run_id": "object", "promoted": "object"})
    for index, row in decisions[
        decisions["run_id"].isna() & decisions["action"].isin(["improve", "rollback"])
    ].iterrows():
        tags = {EVENT_TAG: str(row["event_id"]), CUTOFF_TAG: f"{row['cutoff']:%Y-%m-%d}"}
        run_id = finished_run(tags)
        if run_id is not None:
            # A retraining may end well and promote nothing: the gate found it no better.
            filled.loc[[index], ["run_id", "promoted"]] = [[run_id, str(run_id in promoting).lower()]]
    if not filled["run_id"].equals(decisions["run_id"]):
        store(warehouse, DECISIONS, filled)
    return filled


def _write(warehouse: Warehouse, judged: "WeekJudgement", override_reason: str) -> None:
    """Write the week's rows: the diagnosis, why, and last the decision that somebody may act on."""
    import pandas as pd

    from ml_models.monitoring.decision.ledger import append, released_weeks

    day = pd.Timestamp(judged.cutoff)
    warehouse.replace_partitions(
        "monitoring", "diagnosis", _diagnosis_rows(judged), column="cutoff_date", values=[judged.cutoff]
    )
    warehouse.replace_partitions(
        "monitoring", "restatements", _restated_rows(judged), column="cutoff_date", values=[judged.cutoff]
    )
    why = typed(pd.DataFrame([{**judged.why, "cutoff": day}]), WHY)
    warehouse.replace_partitions("monitoring", "why", why, column="cutoff", values=[judged.cutoff])
    row = dict(judged.ledger_row)
    if judged.cutoff in (said := released_weeks(judged.graded)):
        # Judged again, a week stays released.
        row["week_released"] = json.dumps(said[judged.cutoff])
    if override_reason:
        row["reason"] = f"{override_reason} {row['reason']}"
    store(warehouse, DECISIONS, append(judged.graded, row))


def _restated_rows(judged: "WeekJudgement") -> "pd.DataFrame":
    """One row a raw table that changed since; one where none is known to have; none where nothing was restated."""
    import pandas as pd

    restated, rows = judged.restated, []
    if restated is not None:
        for change in restated.inputs or (None,):
            seen = {
                "served_on": restated.first,
                "customers": restated.customers,
                "features": ", ".join(restated.features),
                "sentence": restated.sentence,
            }
            if change is not None:
                seen |= {**asdict(change), "examples": ", ".join(change.examples)}
                seen["owner"] = owner_of(dg.AssetKey(change.asset.split("/")))
            rows.append({"asset": "", **seen})
    return typed(pd.DataFrame(rows).assign(cutoff_date=pd.Timestamp(judged.cutoff)), RESTATEMENTS)


def _diagnosis_rows(judged: "WeekJudgement") -> "pd.DataFrame":
    """One row a layer, and one for what they come to."""
    import pandas as pd

    diagnosis = judged.diagnosis
    rows: list[dict[str, object]] = [
        {"layer": name, "status": verdict.status, "sentence": verdict.sentence}
        for name, verdict in (
            ("quality", judged.quality),
            ("drift", judged.drift),
            ("performance", judged.performance),
        )
        if verdict is not None
    ]
    rows.append(
        {
            "layer": "all",
            "status": diagnosis.cause,
            "explained": diagnosis.explained,
            "first_bad_asset": diagnosis.first_bad_asset,
            "owner": diagnosis.owner,
            "failing_check": diagnosis.failing_check,
            "sentence": diagnosis.sentence,
        }
    )
    return typed(pd.DataFrame(rows).assign(cutoff_date=pd.Timestamp(judged.cutoff)), DIAGNOSIS)
