"""Score the answers of entries against what really happened, and print the table.

This file stands alone: Python 3.11, numpy, pandas and pyarrow, nothing of baton. README.md tells what an answer is.

    python score.py                     every file of answers/
    python score.py answers/mine.csv    some files only
    python score.py --details           one row a world beside the table
"""

import argparse
import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
NEEDED = ("fault", "week", "alarmed", "decision")
NAMED = ("columns", "cause", "owner", "asset")
DECISIONS = ("continue", "improve", "inspect", "rollback")
SILENT = ("", "none", "insufficient evidence")
TITLES = (
    *("entry", "worlds", "detected", "delay", "cause", "owner", "asset", "decision"),
    *("false alarms", "harm", "once repaired"),
)
CLIP = 1e-15
"""Scores of 0 and 1 have no logarithm."""


class AnswerError(ValueError):
    """A file of answers cannot be read as one; the message says what was expected, what came and where."""


@dataclass
class World:
    """One fault, benign change or undisturbed stretch of weeks, and what is right there.

    `needs_alarm`: whether silence is wrong. `losses`: by week (index) and by the week on which a model was fitted
    (columns, the first is the model that served from the beginning on), the mean log-loss on the truth. `repaired`: the
    same on the rows as they are without the fault, empty where customers changed. `rows`: how many, for both by week.
    `labels`: week, customer, label of all that is known. `best`: log-loss of somebody who knew the truth.
    `promoted_on`: a Monday on which a person deploys a new model, whatever an entry decides.
    """

    name: str
    kind: str
    first_day: pd.Timestamp
    weeks: list[pd.Timestamp]
    right: dict[str, list[str]]
    best: float
    losses: pd.DataFrame
    repaired: pd.DataFrame
    rows: dict[str, pd.Series]
    labels: pd.DataFrame
    promoted_on: "pd.Timestamp | None" = None
    benign: bool = field(init=False)
    needs_alarm: bool = field(init=False)

    def __post_init__(self) -> None:
        self.benign = self.kind == "benign"
        self.needs_alarm = not self.benign and "continue" not in self.right["decision"]


@dataclass
class Outcome:
    """What one entry came to in one world; None: not asked, or not answered."""

    world: str
    kind: str
    detected: "bool | None"
    delay: float
    cause: "bool | None"
    owner: "bool | None"
    asset: "bool | None"
    decision: bool
    false_alarms: int
    harm: float
    once_repaired: float


def main() -> None:
    """Print the table of the files that are given, or of all of them."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("files", nargs="*", help="CSV files of answers (default: all of answers/)")
    arguments.add_argument("--details", action="store_true", help="one row a world beside the table")
    given = arguments.parse_args()
    files = [Path(name) for name in given.files] or sorted((HERE / "answers").glob("*.csv"))
    try:
        worlds = read_worlds(HERE)
        outcomes = {file.stem: judged(file, worlds) for file in files}
    except (AnswerError, OSError) as error:
        sys.exit(f"error: {error}")
    rows = [TITLES, *(row(name, found) for name, found in outcomes.items())]
    print(table(rows))
    if given.details:
        for name, found in outcomes.items():
            print(f"\n{name}\n{pd.DataFrame([vars(one) for one in found]).to_string(index=False)}")


# --- what is right ---------------------------------------------------------------------------------------------------


def read_worlds(folder: Path) -> dict[str, World]:
    """Return the worlds of a benchmark's folder by name."""
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    return {one["fault"]: _world(folder / "worlds" / one["fault"] / "truth", one) for one in truth}


def _world(folder: Path, truth: dict[str, Any]) -> World:
    losses = pd.read_parquet(folder / "losses.parquet")
    kinds = {kind: losses[losses["kind"] == kind] for kind in ("served", "repaired")}
    wide = {kind: part.pivot(index="week", columns="fitted_on", values="log_loss") for kind, part in kinds.items()}
    return World(
        name=truth["fault"],
        kind=truth["kind"],
        first_day=pd.Timestamp(truth["first_day"]),
        weeks=[pd.Timestamp(day) for day in truth["weeks"]],
        right={name: list(truth[name]) for name in ("cause", "owner", "asset", "decision", "also")},
        best=math.nan if truth["best_loss"] is None else truth["best_loss"],
        losses=wide["served"],
        repaired=wide["repaired"],
        rows={kind: part.groupby("week")["rows"].first() for kind, part in kinds.items()},
        labels=pd.read_parquet(folder / "labels.parquet"),
        promoted_on=pd.Timestamp(truth["promoted_on"]) if truth["promoted_on"] else None,
    )


# --- what was answered -----------------------------------------------------------------------------------------------


def read_answers(file: Path, worlds: dict[str, World]) -> pd.DataFrame:
    """Return the answers of a file, sorted, `week` as a time, `alarmed` as a truth value.

    Raises:
        AnswerError: a column, a world or a week is not what README.md says.
    """
    answers = pd.read_csv(file, dtype=str, keep_default_na=False)
    gone = [name for name in NEEDED if name not in answers]
    if gone:
        raise AnswerError(f"{file.name} has no column {', '.join(gone)}; README.md lists the columns of an answer.")
    for name in NAMED:
        if name not in answers:
            answers[name] = ""
    strange = answers[~answers["fault"].isin(worlds)]
    if len(strange):
        raise AnswerError(f"{file.name}, line {strange.index[0] + 2}: there is no world {strange['fault'].iloc[0]!r}.")
    for name, words in (("decision", DECISIONS), ("alarmed", ("true", "false"))):
        said = answers[name].str.strip().str.lower()
        wrong = said[~said.isin(words)]
        if len(wrong):
            raise AnswerError(
                f"{file.name}, line {wrong.index[0] + 2}: expected `{name}` to be one of {', '.join(words)}; it is "
                f"{wrong.iloc[0]!r}."
            )
        answers[name] = said
    answers["alarmed"] = answers["alarmed"] == "true"
    days = pd.to_datetime(answers["week"], format="%Y-%m-%d", errors="coerce")
    if days.isna().any():
        place = days.index[days.isna()][0]
        raise AnswerError(
            f"{file.name}, line {place + 2}: expected `week` as 2024-01-31; it is {answers['week'][place]!r}."
        )
    answers["week"] = days
    for fault, part in answers.groupby("fault"):
        _refuse_other_weeks(file, worlds[str(fault)], list(part["week"]))
    return answers.sort_values(["fault", "week"], ignore_index=True)


def _refuse_other_weeks(file: Path, world: World, said: list[pd.Timestamp]) -> None:
    asked = world.weeks
    if sorted(said) != sorted(asked):
        lacking = sorted({*asked} - {*said})
        beyond = sorted({*said} - {*asked})
        what = f"it lacks {lacking[0]:%Y-%m-%d}" if lacking else ""
        what = what or (f"{beyond[0]:%Y-%m-%d} is none of them" if beyond else "one of them is there twice")
        raise AnswerError(
            f"{file.name}: expected one row for each of the {len(asked)} weeks of {world.name}, and {what}. "
            f"worlds/{world.name}/world.json lists them."
        )


def judged(file: Path, worlds: dict[str, World]) -> list[Outcome]:
    """Return what the entry of a file came to, by world; worlds that it did not answer are left out."""
    answers = read_answers(file, worlds)
    beside = file.with_suffix(".parquet")
    scores = pd.read_parquet(beside) if beside.exists() else None
    names = {name: bool(answers[name].str.strip().ne("").any()) for name in ("cause", "owner", "asset")}
    return [outcome(worlds[str(name)], part, names, _of(scores, str(name))) for name, part in answers.groupby("fault")]


def _of(scores: "pd.DataFrame | None", world: str) -> "pd.DataFrame | None":
    return None if scores is None else scores[scores["fault"] == world]


def outcome(world: World, answers: pd.DataFrame, names: dict[str, bool], scores: "pd.DataFrame | None") -> Outcome:
    """Return what one entry came to in one world.

    The week that counts is the first one with an accepted decision, else the first with an alarm, else the first with
    any action. `names`: which of cause, owner and asset the entry names anywhere.
    """
    accepted = world.right["decision"]
    loud = answers[answers["alarmed"]]
    acted = answers[(answers["decision"] != "continue") & (answers["week"] != world.promoted_on)]
    # A routine retraining answers nothing. It is right where retraining is, and wrong where the rows are bad.
    routine = acted[~acted["alarmed"] & (acted["decision"] == "improve")]
    if "improve" not in accepted and ("continue" in accepted or "improve" in world.right["also"]):
        acted = acted.drop(index=routine.index)
    pool = loud if "continue" in accepted else acted
    wanted = pool[pool["decision"].isin(accepted)]
    counts = next((part.iloc[0] for part in (wanted, loud, acted) if len(part)), None)
    allowed = {*accepted, *world.right["also"], "continue"}
    decision = bool(acted["decision"].isin(allowed).all()) and (len(wanted) > 0 or "continue" in accepted)

    def named(name: str) -> "bool | None":
        if not names[name] or world.benign or not world.right[name]:
            return None
        return counts is not None and counts[name].strip() in world.right[name]

    cause = named("cause")
    if cause is not None and counts is None:
        cause = any(word in SILENT for word in world.right["cause"])
    return Outcome(
        world=world.name,
        kind=world.kind,
        detected=None if not world.needs_alarm else len(loud) > 0,
        delay=float((loud["week"].iloc[0] - world.first_day).days) if len(loud) and not world.benign else math.nan,
        cause=cause,
        owner=named("owner"),
        asset=named("asset"),
        decision=decision,
        false_alarms=int(answers["alarmed"].sum()) if world.benign else 0,
        harm=harm(world, answers, scores),
        once_repaired=once_repaired(world, answers),
    )


def harm(world: World, answers: pd.DataFrame, scores: "pd.DataFrame | None") -> float:
    """Return the mean log-loss of what the entry had deployed, over that of somebody who knew the truth.

    With `scores` of the entry's own models, it is computed from them. Without, by its decisions: after `improve` serves
    a model that was fitted on all rows whose labels were there that morning, after `rollback` the one before.
    """
    if scores is not None and len(scores):
        rows = world.labels.merge(scores, on=["week", "customer_id"], how="inner")
        chance = rows["score"].to_numpy(dtype="float64").clip(CLIP, 1 - CLIP)
        losses = -np.log(np.where(rows["label"].to_numpy() == 1, chance, 1 - chance))
        return float(losses.mean() - world.best) if len(losses) else math.nan
    return _mean(world.losses, world.rows["served"], deployed(world, answers)) - world.best


def once_repaired(world: World, answers: pd.DataFrame) -> float:
    """Return what the entry's models cost over the first one had the rows been repaired that week; nan: none were bad.

    A model that learned from bad rows fits them. It pays when they become right again.
    """
    if world.benign or world.repaired.empty:
        return math.nan
    first = dict.fromkeys(world.weeks, pd.Timestamp(world.repaired.columns[0]))
    rows = world.rows["repaired"]
    return _mean(world.repaired, rows, deployed(world, answers)) - _mean(world.repaired, rows, first)


def deployed(world: World, answers: pd.DataFrame) -> "dict[pd.Timestamp, pd.Timestamp]":
    """Return on which Monday the model was fitted that served each week, by an entry's decisions."""
    stack = [*world.losses.columns[:1]]
    found = {}
    for week, decision in zip(answers["week"], answers["decision"], strict=True):
        if (week == world.promoted_on or decision == "improve") and week in world.losses.columns:
            stack.append(week)
        elif decision == "rollback" and len(stack) > 1:
            stack.pop()
        if stack:
            found[week] = stack[-1]
    return found


def _mean(losses: pd.DataFrame, rows: pd.Series, models: "dict[pd.Timestamp, pd.Timestamp]") -> float:
    found = {week: losses.loc[week].get(model, math.nan) for week, model in models.items() if week in losses.index}
    known = [week for week, loss in found.items() if not math.isnan(loss)]
    if not known:
        return math.nan
    return float(np.average([found[week] for week in known], weights=[rows[week] for week in known]))


# --- the table -------------------------------------------------------------------------------------------------------


def row(entry: str, outcomes: list[Outcome]) -> tuple[str, ...]:
    """Return an entry's row of the table, by TITLES; what it cannot say is a dash."""
    delays = [one.delay for one in outcomes if not math.isnan(one.delay)]
    harms = [one.harm for one in outcomes if not math.isnan(one.harm)]
    later = [one.once_repaired for one in outcomes if not math.isnan(one.once_repaired)]
    return (
        entry,
        str(len(outcomes)),
        _share([one.detected for one in outcomes]),
        f"{np.median(delays):.0f} d" if delays else "-",
        _share([one.cause for one in outcomes]),
        _share([one.owner for one in outcomes]),
        _share([one.asset for one in outcomes]),
        _share([one.decision for one in outcomes if one.kind != "benign"]),
        str(sum(one.false_alarms for one in outcomes)),
        f"{_rounded(harms):+.4f}" if harms else "-",
        f"{_rounded(later):+.4f}" if later else "-",
    )


def _rounded(differences: list[float]) -> float:
    """Return the mean to four digits; what is nothing has no sign."""
    return round(float(np.mean(differences)), 4) + 0.0


def _share(answers: "list[bool | None]") -> str:
    asked = [one for one in answers if one is not None]
    return f"{sum(asked)} of {len(asked)}" if asked else "-"


def table(rows: list[tuple[str, ...]]) -> str:
    """Return rows of texts under each other."""
    widths = [max(len(one[place]) for one in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(one, widths, strict=True)).rstrip() for one in rows
    )


if __name__ == "__main__":
    main()
