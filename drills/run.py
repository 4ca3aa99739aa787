"""One drill, from a fault to a row of the score table."""

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from statistics import median
from typing import Any

import pandas as pd

from drills.description import refuse_mistakes
from drills.evidence import healthy_weeks, measured_weeks, missing
from drills.faults import Expected, Fault, Kind
from drills.recording import Recording
from drills.scenario import DrilledHistory
from drills.shared import Sharing, recipe
from ml_models.cutoffs import first_judgeable
from ml_models.monitoring.data_quality.thresholds import RECENT, WEEK
from ml_models.monitoring.types import Action, Cause
from ml_models.policy_backtest import Never, Oracle, SimulationResult, simulate
from ml_models.problems.contract import Problem
from resources.sandbox import Sandbox

WEEKS = {"quality": 9, "pipeline": 9, "covariate": 12, "concept": 16, "benign": 9}
"""Mondays after FROM that are judged, by kind."""
CLEAN_WEEKS = 12
WEEKS_LEFT = 4
"""Mondays that must lie after FROM."""

SILENT: tuple[Cause, ...] = ("none", "insufficient evidence")
BAR_DELAY = {"quality": 7, "pipeline": 35, "covariate": 35, "concept": 35}
BAR_SHARES = {"detected": 1.0, "cause": 0.95, "owner": 1.0, "decision": 0.95}
BAR_HARM = 0.002


@dataclass(frozen=True)
class Score:
    """What the judgement made of one drill.

    `cause`, `first_bad_asset`, `owner`, `decision`: what it reported in the week that counts: the first one with an
    expected decision, else the first that is not silent. `decisions`: all weeks, shortened (`reca`: improved by a
    recalibration). `…_right`: None where nothing is expected. `false_alarms`: weeks of a benign drill in which
    something was to be done. `harm`: mean log-loss of the deployed model on true labels over that of somebody who knew
    the truth; nan: nothing was scored. `lacks`: which evidence the data lack for a fault that was not noticed; "": it
    should have been.
    """

    name: str
    kind: str
    start: date
    weeks: int
    detected: bool
    delay_days: float
    cause: str
    cause_right: bool | None
    first_bad_asset: str
    asset_right: bool | None
    owner: str
    owner_right: bool | None
    decision: str
    decision_right: bool
    false_alarms: int
    harm: float
    seconds: float
    decisions: str
    sentence: str
    lacks: str = ""

    def row(self) -> dict[str, object]:
        """Return the row of the table."""
        return asdict(self)


@dataclass(frozen=True)
class Drilled:
    """One drill that was lived through: its score, what the judgement did, and the history that it did it in.

    `end`: the last judged Monday. `best`: mean log-loss of somebody who knew the truth; nan: nothing was scored.
    """

    fault: Fault
    score: Score
    result: SimulationResult
    history: DrilledHistory
    end: date
    best: float


def weeks_of(fault: Fault, weeks: int | None = None) -> int:
    """Return how many Mondays after FROM are judged."""
    return weeks or fault.weeks or WEEKS[fault.kind]


def span_of(
    fault: Fault, recording: Recording, problem: Problem, start: date | None, weeks: int | None
) -> tuple[date, int, date]:
    """Return FROM, how many Mondays after it are judged, and the last of them; a fault's own go before those given."""
    start = fault.start or start or middle(recording, problem, fault.kind)
    weeks = weeks_of(fault, weeks)
    return start, weeks, min(start + timedelta(days=WEEK * weeks), recording.cutoffs[-1])


def unnoticeable(fault: Fault, start: date, end: date) -> ValueError:
    """Return what is said of a fault that is to be noticed and changes nothing."""
    return ValueError(
        f"{fault.name} changes nothing that arrives or is made of it between {start} and {end}, so nobody can "
        "notice it. Look at the `where`, `value` and `rate` of its perturbations; a value becomes its column's "
        "type, so '007' in a number is 7."
    )


def middle(recording: Recording, problem: Problem, kind: Kind = "quality") -> date:
    """Return the usual FROM: the middle of the cutoffs, or the nearest to it that leaves enough on both sides.

    Enough healthy weeks lie before it, the last one among them, wherever there is such a Monday.
    """
    cutoffs, first = recording.cutoffs, earliest(recording, problem, kind)
    latest = cutoffs[-1] - timedelta(days=7 * WEEKS_LEFT)
    wanted = max(first, min(cutoffs[len(cutoffs) // 2], latest))
    measured = measured_weeks(recording)
    possible = [day for day in cutoffs if first <= day <= latest and _quiet_before(recording, measured, day)]
    return min(possible, key=lambda day: (abs(day - wanted), day), default=wanted)


def _quiet_before(recording: Recording, measured: Mapping[str, Collection[date]], day: date) -> bool:
    """Whether each table that rows arrive in has healthy weeks enough before a Monday, the last one among them."""
    for asset, weeks in measured.items():
        healthy = healthy_weeks(recording, weeks, asset, day)
        if len(healthy) < RECENT or healthy[-1] != day - timedelta(days=WEEK):
            return False
    return True


def earliest(recording: Recording, problem: Problem, kind: Kind = "quality") -> date:
    """Return the first FROM: clean weeks lie before it, and a model could be judged.

    Faults of what arrives show without a model. Where the history is too short for one, as many weeks that were
    measured are enough for them.
    """
    cutoffs = recording.cutoffs
    first = max(cutoffs[0] + timedelta(days=7 * CLEAN_WEEKS), first_judgeable(cutoffs[0], problem.horizon_days))
    measured = [min(weeks) for weeks in measured_weeks(recording).values()]
    if kind != "quality" or not measured or first <= cutoffs[-1] - timedelta(days=7 * WEEKS_LEFT):
        return first
    seen = max(measured) + timedelta(days=7 * CLEAN_WEEKS)
    return next((day for day in cutoffs if day >= seen), first)


def check_start(start: date, weeks: int, recording: Recording, problem: Problem, kind: Kind = "quality") -> None:
    """Refuse a FROM that leaves too little before it, or nothing after it.

    Raises:
        ValueError: the message says which FROM would do.
    """
    cutoffs = recording.cutoffs
    first, latest = earliest(recording, problem, kind), cutoffs[-1] - timedelta(days=7 * min(weeks, WEEKS_LEFT))
    if start.weekday() != 0:
        raise ValueError(f"FROM must be a Monday, as every cutoff is; {start} is a {start:%A}.")
    if first > latest:
        what = "" if kind == "quality" else f" of the kind {kind}"
        raise ValueError(
            f"A drill{what} needs {CLEAN_WEEKS} clean weeks of predictions, {problem.horizon_days} days in which "
            f"outcomes become known, and some weeks after FROM; the cutoffs {cutoffs[0]} to {cutoffs[-1]} are too few "
            "for that. Load a longer history, or ask over a shorter horizon."
        )
    if start > latest:
        raise ValueError(
            f"FROM must leave at least four weeks of the recording, which ends {cutoffs[-1]}; it is {start}."
        )
    if start < first:
        raise ValueError(
            f"FROM must leave {CLEAN_WEEKS} clean weeks of predictions before it, and a model that can be judged: "
            f"{first} or later; it is {start}."
        )


def drill(
    fault: Fault,
    recording: Recording,
    sandbox: Sandbox,
    problem: Problem,
    lineage: Mapping[str, Sequence[str]],
    owners: Mapping[str, str],
    start: date | None = None,
    weeks: int | None = None,
    log: Callable[[str], None] | None = None,
) -> Drilled:
    """Let the judgement live through one fault.

    `recording` is the year without what begins at FROM. A fault's own `from` goes before `start`.

    Raises:
        DescriptionError: it names what there is not in the graph or the SQL.
        ValueError: the fault is to be noticed and changes nothing.
    """
    began = time.monotonic()
    start, weeks, end = span_of(fault, recording, problem, start, weeks)
    refuse_mistakes(fault, sandbox, lineage, owners, start, end)
    history = DrilledHistory(fault, start, recording, sandbox, problem, lineage, owners)
    if fault.kind != "benign" and not history.quiet and not history.differs(end):
        raise unnoticeable(fault, start, end)
    fit = recipe(problem)
    forced: dict[date, Action] = {}
    if fault.promoted_after is not None:
        forced[start + timedelta(days=fault.promoted_after)] = "improve"
    ours = simulate(history, Sharing(history), start, end, fit, forced=forced, gate=not forced, log=log)
    best = best_loss(fault, history, start, end, fit)
    scored = score(fault, start, weeks, ours, ours.log_loss - best, time.monotonic() - began)
    if not (scored.detected and scored.cause_right):
        scored = replace(scored, lacks=missing(fault, recording, start))
    return Drilled(fault, scored, ours, history, end, best)


def best_loss(
    fault: Fault, history: DrilledHistory, start: date, end: date, fit: Callable[[pd.DataFrame], Any]
) -> float:
    """Return the log-loss of somebody who knew the truth.

    Faulty rows are scored as they came: repairing them is not the model's. So before a fault the best is to keep the
    clean champion; where the world changed, the best of that and of learning the new world once it can be learned.
    """
    losses = [simulate(history, Never(), start, end, fit).log_loss]  # type: ignore[arg-type]
    if fault.kind in ("covariate", "concept"):
        mature = history.problem.horizon_days
        old = [day for day in history.cutoffs() if day < start - timedelta(days=mature)]
        for after in (7, 21, 35):
            due = start + timedelta(days=mature + after)
            if due <= end:
                knows = Oracle({due: ("improve", "recent")}, excluded=old)
                informed = simulate(history, knows, start, end, fit, gate=False)  # type: ignore[arg-type]
                losses.append(informed.log_loss)
    # While the graph stands still nothing is scored, and nothing is harmed.
    return min((loss for loss in losses if not math.isnan(loss)), default=math.nan)


def score(fault: Fault, start: date, weeks: int, result: SimulationResult, harm: float, seconds: float) -> Score:
    """Compare what was reported and done with what is expected."""
    expected, benign = fault.expected, fault.kind == "benign"
    weeks_by_day: dict[date, dict[Any, Any]] = {
        week["cutoff_date"].date(): week for week in result.weeks.to_dict("records")
    }
    actions = {day: str(week["action"]) for day, week in weeks_by_day.items()}
    unscheduled = {day: week for day, week in weeks_by_day.items() if not week["scheduled"]}
    loud = [day for day, week in unscheduled.items() if week["cause"] not in SILENT]
    acted = [day for day in unscheduled if actions[day] != "continue"]
    if fault.promoted_after is not None:
        # The mishap itself is no decision.
        acted = [day for day in acted if day != start + timedelta(days=fault.promoted_after)]
    wanted = [day for day in (loud if "continue" in expected.decision else acted) if actions[day] in expected.decision]
    counts = next(iter(wanted or loud or acted), None)
    diagnosis = result.judgements[counts].diagnosis if counts is not None else None
    decision = actions[counts] if counts is not None else "continue"
    allowed = {*expected.decision, *expected.also, "continue"}
    again = expected.quiet_after
    late = [] if again is None else [day for day in {*loud, *acted} if day >= start + timedelta(days=again)]
    right = all(actions[day] in allowed for day in acted) and not late
    right = right and (bool(wanted) or "continue" in expected.decision)
    if expected.lasting and wanted:
        later = [day for day in weeks_by_day if day > wanted[0] and fault.goes_on(start, day)]
        right = right and all(weeks_by_day[day]["cause"] in expected.cause for day in later)
    if expected.remedy:
        improved = [week["remedy"] for day, week in weeks_by_day.items() if actions[day] == "improve"]
        right = right and all(remedy == expected.remedy for remedy in improved)
    cause = diagnosis.cause if diagnosis is not None else "none"
    asset, owner = (diagnosis.first_bad_asset, diagnosis.owner) if diagnosis is not None else ("", "")
    return Score(
        name=fault.name,
        kind=fault.kind,
        start=start,
        weeks=weeks,
        detected=bool(loud),
        delay_days=float((loud[0] - start).days) if loud else math.nan,
        cause=cause,
        cause_right=None if benign else cause in expected.cause,
        first_bad_asset=asset,
        asset_right=asset in expected.first_bad_asset if expected.first_bad_asset else None,
        owner=owner,
        owner_right=owner == expected.owner if expected.owner else None,
        decision=decision,
        decision_right=right,
        false_alarms=len(acted) if benign else 0,
        harm=harm,
        seconds=seconds,
        decisions=" ".join(_short(actions[day], week) for day, week in weeks_by_day.items()),
        sentence=diagnosis.sentence if diagnosis is not None else "",
    )


def _short(action: str, week: Mapping[Any, Any]) -> str:
    cause, moved = str(week["cause"]), action == "improve" and week.get("remedy") == "recalibrate"
    done = "reca" if moved else action[:4]
    return done + ("" if cause == "none" else f"({''.join(word[0] for word in cause.split())})")


def bar(scores: Sequence[Score]) -> list[str]:
    """Return the sentences about what is below the bar of issue "the right decision"; none: at the bar.

    What the data cannot show at their size is not asked of the judgement.
    """
    faults = [one for one in scores if one.kind != "benign" and not one.lacks]
    # Going on as before is an accepted answer to some changes of the world; then nothing has to be noticed.
    heard = [one for one in faults if one.detected or not (one.kind == "covariate" and one.decision_right)]
    found = []
    answers: dict[str, list[bool]] = {
        "detected": [one.detected for one in heard],
        "cause": [one.cause_right for one in heard if one.cause_right is not None],
        "owner": [one.owner_right for one in faults if one.owner_right is not None],
        "decision": [one.decision_right for one in faults],
    }
    for name, answer in answers.items():
        if answer and sum(answer) / len(answer) < BAR_SHARES[name]:
            found.append(f"{name}: {sum(answer)} of {len(answer)} right, expected {BAR_SHARES[name]:.0%}")
    alarms = sum(one.false_alarms for one in scores)
    if alarms:
        found.append(f"false alarms: {alarms} weeks, expected none")
    for kinds in (("quality",), ("pipeline",), ("covariate", "concept")):
        delays = [one.delay_days for one in faults if one.kind in kinds and one.detected]
        if delays and median(delays) > BAR_DELAY[kinds[0]]:
            found.append(
                f"median delay of {kinds[-1]} faults: {median(delays):.0f} days, expected {BAR_DELAY[kinds[0]]}"
            )
    harmed = [one for one in scores if one.harm > BAR_HARM and not one.lacks]
    found += [f"{one.name}: log-loss {one.harm:.4f} above who knew the truth, expected {BAR_HARM}" for one in harmed]
    return found


def natural_year(recording: Recording, problem: Problem) -> Fault:
    """Return the year as it was, from the first cutoff on whose predecessors have an outcome.

    Raises:
        ValueError: there is none.
    """
    expected = Expected(cause=SILENT, decision=("continue",))
    before = math.ceil(problem.horizon_days / 7)
    if before >= len(recording.cutoffs) - 1:
        raise ValueError(
            f"Expected cutoffs over more than {problem.horizon_days} days, so that outcomes are known; there are "
            f"{recording.cutoffs[0]} to {recording.cutoffs[-1]}. Load a longer history."
        )
    first = recording.cutoffs[before]
    weeks = len(recording.cutoffs) - before - 1
    return Fault("natural_year", "the recorded year, nothing injected", "benign", (), expected, first, weeks)
