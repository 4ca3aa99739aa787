"""The week's one decision of a problem beside the first: continue, improve, inspect or rollback.

Whether the data are sound was judged already, for all problems together: where that asks for an inspection, nothing is
trained here either. A problem may read what no other does; where that is broken, it is inspected here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import pandas as pd

from ml_models.monitoring.settings import SETTINGS, Settings
from ml_models.monitoring.types import Action, Verdict
from ml_models.problems.contract import Problem, Ranking


class Broken(NamedTuple):
    """What the problem alone reads is broken: in a sentence, where its repair starts, and who does it."""

    sentence: str
    first_bad_asset: str
    owner: str
    next_command: str


@dataclass(frozen=True)
class FurtherWeek:
    """What the judgement of a week may know.

    `shared`: the week's row of `monitoring.decisions`, None where there is none; `released`: a person released it.
    `version`: the champion's, None before the first; `owner`: who predicts. `verdict`: of the matured predictions.
    `former`: that the version before would have been better, in words. `matured`, `learned`: clean labelled cutoffs,
    and those of them that the champion learned from. `ledger`: rows of the problem's decisions of earlier weeks.
    `broken`: what the problem alone reads, None where that is sound.
    """

    cutoff: date
    shared: Mapping[str, Any] | None
    released: bool
    version: str | None
    owner: str
    verdict: Verdict
    former: str
    matured: int
    learned: int
    ledger: pd.DataFrame
    broken: Broken | None = None


@dataclass(frozen=True)
class FurtherDecision:
    """What follows, and why; the columns of the problem's `decisions`."""

    action: Action
    cause: str
    reason: str
    first_bad_asset: str = ""
    owner: str = ""
    next_command: str = ""
    window: str = "expanding"


def decide(week: FurtherWeek, problem: Problem | Ranking, settings: Settings = SETTINGS) -> FurtherDecision:
    """Return the decision of a week.

    In this order: broken data veto everything; a champion whose predecessor is better goes; what does not hold
    retrains, on recent weeks where the totals moved; labels that outgrew the champion retrain. After an improvement or
    a rollback nothing is retrained for a cool-down: until its effect can be seen.
    """
    name = problem.name
    retrain = f"dagster job execute -m definitions -j retrain_{name}"
    if week.shared is not None and week.shared["action"] == "inspect" and not week.released:
        return FurtherDecision(
            "inspect",
            "data quality",
            f"The data of this week are not to be trusted, so nothing is trained on them. {week.shared['reason']}",
            str(week.shared["first_bad_asset"] or ""),
            str(week.shared["owner"] or ""),
            str(week.shared["next_command"] or ""),
        )
    if week.broken is not None and not week.released:
        sentence, asset, owner, command = week.broken
        return FurtherDecision("inspect", "data quality", sentence, asset, owner, command)
    if week.version is None:
        return FurtherDecision("continue", "none", f"There is no model of {name} yet.", owner=week.owner)
    if week.former:
        return FurtherDecision(
            "rollback",
            "error",
            f"The version before {week.version} predicts better: {week.former}.",
            owner=week.owner,
            next_command=f"dagster job execute -m definitions -j rollback_{name}",
        )
    waits = _cooling_down(week, problem, settings)
    enough = week.matured >= settings.needed_cutoffs(problem.horizon_days)
    if week.verdict.status == "fail":
        if waits or not enough:
            why = waits or f"{week.matured} clean labelled cutoffs are too few to train on"
            return FurtherDecision(
                "continue", week.verdict.cause, f"{week.verdict.sentence} But {why}.", owner=week.owner
            )
        window = "recent" if week.verdict.cause == "totals" else "expanding"
        return FurtherDecision(
            "improve", week.verdict.cause, week.verdict.sentence, owner=week.owner, next_command=retrain, window=window
        )
    if enough and week.matured >= settings.growth * week.learned and not waits:
        return FurtherDecision(
            "improve",
            "labels",
            f"Version {week.version} learned from {week.learned} of {week.matured} clean labelled cutoffs.",
            owner=week.owner,
            next_command=retrain,
        )
    return FurtherDecision("continue", "none", week.verdict.sentence, owner=week.owner)


def _cooling_down(week: FurtherWeek, problem: Problem | Ranking, settings: Settings) -> str:
    """Return why nothing is retrained yet, in words; empty: it may be."""
    acted = week.ledger[week.ledger["action"].isin(["improve", "rollback"])]
    acted = acted[pd.to_datetime(acted["cutoff"]) < pd.Timestamp(week.cutoff)]
    if acted.empty:
        return ""
    last = acted.sort_values("cutoff").iloc[-1]
    days = settings.cooldown_days(problem.horizon_days)
    passed = (pd.Timestamp(week.cutoff) - pd.Timestamp(last["cutoff"])).days
    return (
        "" if passed >= days else f"{last['action']} was decided {passed} days ago, and its effect shows after {days}"
    )


def event_of(week: FurtherWeek, decision: FurtherDecision, problem: Problem | Ranking) -> str:
    """Return what the event is called: as last week's while one cause goes on, empty without a cause."""
    if decision.cause == "none":
        return ""
    before = week.ledger[pd.to_datetime(week.ledger["cutoff"]) < pd.Timestamp(week.cutoff)].sort_values("cutoff")
    if len(before) and before.iloc[-1]["cause"] == decision.cause and before.iloc[-1]["event_id"]:
        return str(before.iloc[-1]["event_id"])
    return f"{problem.name}-{week.cutoff}-{decision.cause.replace(' ', '-')}"
