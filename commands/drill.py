"""The fault drill: inject a described fault into a copy of what is recorded and see what the judgement makes of it.

Nothing in the warehouse is changed: the rows are perturbed in memory, and dbt's own SQL makes features and labels of
them. One row of the score table a drill; exit code 1 when something is below the bar. A command over many that was
stopped goes on: what a drill came to is kept until tables, code or description change.
"""

import argparse
import math
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from commands.alone import DRILLS, alone
from commands.dates import iso_date
from commands.sentences import sentences
from commands.session import quiet
from drills.faults import Fault, known, lacking, read_faults
from ml_models.problems.about import FIRST
from resources.company import CompanyError
from resources.folders import make_private
from resources.profiles import home, resources_for, stay_embedded
from resources.sandbox import Sandbox, SandboxError
from steps.monitored_tables import monitored_tables, take_census
from steps.problem import problem
from steps.week_evidence import lineage_and_owners

if TYPE_CHECKING:
    import pandas as pd

    from drills.recording import Recording
    from drills.run import Drilled, Score

NATURAL = "natural_year"
WORKERS = 2

Job = tuple[str, Fault | None, date | None, int | None]
"""A fault by its name (none: the natural year), and FROM and WEEKS where they are given."""

Done = TypeVar("Done")

COLUMNS = ("name", "detected", "delay", "cause", "first bad asset", "owner", "decision", "alarms", "harm", "s")
WIDTHS = (26, 8, 6, 20, 30, 28, 12, 6, 8, 5)


def main() -> None:
    """Drill one fault, those of a file, or everything."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--fault", default="", help="the name of a fault")
    arguments.add_argument(
        "--from", dest="start", default="", help="the Monday on which it begins (default: the middle of the cutoffs)"
    )
    arguments.add_argument("--file", default="", help="a fault file of your own; see docs/drill.md")
    arguments.add_argument("--weeks", default="", help="Mondays after FROM that are judged")
    arguments.add_argument("--all", action="store_true", help="all faults, all benign changes, and the natural year")
    given = arguments.parse_args()
    stay_embedded()
    start, weeks = iso_date(given.start, "FROM") if given.start else None, _number(given.weeks)
    with sentences():
        try:
            file = Path(given.file) if given.file else None
            faults, absent = read_faults(file) if file else known(), lacking(file)
        except CompanyError:
            raise
        except ValueError as error:
            sys.exit(f"error: {error}")
    chosen = _chosen(given, faults, absent)

    quiet()
    with sentences():
        try:
            with alone(make_private(home()), lock=DRILLS):
                scores, broken = run([*chosen], faults, start, weeks)
        except (ValueError, SandboxError) as error:
            # Expected: a FROM that cannot be, a description that does not fit the tables.
            sys.exit(f"error: {error}")
    finish(scores, broken)


def _chosen(given: argparse.Namespace, faults: dict[str, Fault], absent: dict[str, str]) -> list[str]:
    """Return the names of what is to be drilled; what the company cannot have is said with its reason."""
    there = f"There are {', '.join([*faults, NATURAL])}."
    reasons = "".join(f"\n  {name}: {why}" for name, why in absent.items())
    left_out = f"\nNot for this company:{reasons}" if absent else ""
    if given.fault:
        if given.fault in absent:
            sys.exit(f"error: {given.fault} cannot be drilled: {absent[given.fault]}. {there}")
        if given.fault not in [*faults, NATURAL]:
            sys.exit(f"error: there is no fault {given.fault!r}. {there}{left_out}")
        return [given.fault]
    if given.all or given.file:
        if left_out:
            print(left_out.strip(), flush=True)
        if given.file and not faults:
            sys.exit("error: this company cannot have any of the faults of that file.")
        # Windows of the calendar without perturbations are part of the natural year, which is lapse's.
        named = [
            name for name, fault in faults.items() if fault.perturbations or fault.problem != FIRST or not given.all
        ]
        return [*named, NATURAL] if given.all else named
    sys.exit(f"error: FAULT names what to drill. {there} Or give FAULT_FILE=path.{left_out}")


def _number(text: str) -> int | None:
    if not text:
        return None
    if not text.isdigit() or int(text) < 1:
        sys.exit(f"error: WEEKS must be a whole number from 1 on; it is {text!r}.")
    return int(text)


@dataclass
class Ground:
    """What every drill stands on: the sandbox, what is monitored, and who owns what."""

    sandbox: Any
    tables: Sequence[Any]
    lineage: dict[str, tuple[str, ...]]
    owners: dict[str, str]
    keep: Path
    usual: "Recording | None" = None

    @property
    def scores(self) -> Path:
        """The folder of what drills came to, one file each."""
        return self.keep.parent / "came_to"

    def recording(self, fault: Fault | None = None) -> "Recording":
        """Return what is recorded, as it was without what begins at FROM; what most drills stand on is read once."""
        from drills.recording import record

        always = fault.always if fault else ()
        if always or self.usual is None:
            found = record(self.sandbox, problem(), self.tables, always, self.keep)
            if always:
                return found
            self.usual = found
        return self.usual


def ground(threads: int = 2) -> Ground:
    """Return the ground under `BATON_HOME`; the warehouse is only read.

    Raises:
        WarehouseError: there is no warehouse yet.
    """
    resources = resources_for()
    warehouse, dbt = resources["warehouse"], resources["dbt"]
    plans = resources["airbyte"].plans()
    census = take_census(warehouse.read, plans, dbt.variables())
    tables = monitored_tables(plans, dbt.variables(), census)
    # One clock for what is measured and for what is cut off.
    times = {table.asset: table.time_sql for table in tables if table.time_sql and table.asset.startswith("raw/")}
    sandbox = Sandbox(dbt, warehouse.path, times, threads=threads)
    lineage, owners = lineage_and_owners(sandbox)
    return Ground(sandbox, tables, lineage, owners, home() / "drill" / "recordings")


@cache
def _stood_on(_home: Path, threads: int) -> Ground:
    """Return the ground of all drills of this process: to read dbt's project and the graph takes two seconds."""
    return ground(threads)


def run(
    names: Sequence[str], faults: dict[str, Fault], start: date | None, weeks: int | None
) -> "tuple[list[Score], list[str]]":
    """Drill the named faults, one alone or many in two processes; print each row as it comes.

    Returns the scores, and the names of those of many that broke off, with what they said printed: what the others came
    to is not lost.
    """
    from drills.kept_scores import basis, kept, made_of

    scores: list[Score] = []
    stood = ground()
    on = basis(stood.sandbox)
    of = {name: made_of(on, name, faults.get(name), start, weeks) for name in names}
    if len(names) == 1:
        scores = [_one((names[0], faults.get(names[0]), start, weeks), of, sys.stderr.isatty())]
        print(f"{line(COLUMNS)}\n{line(cells(scores[0]))}", flush=True)
        print(f"\n{scores[0].decisions}\n{scores[0].sentence}")
        return scores, []
    broken: list[str] = []
    print(line(COLUMNS), flush=True)
    there = {name: kept(name, stood.scores, of[name]) for name in names}
    for score in there.values():
        if score is not None:
            scores.append(score)
            print(line(cells(score)), flush=True)
    if scores:
        print(f"  {len(scores)} of these were drilled before, and nothing that they depend on has changed", flush=True)
    todo = [(name, faults.get(name), start, weeks) for name in names if there[name] is None]
    for name, done in in_processes(todo, partial(_one, of=of)) if todo else ():
        if isinstance(done, BaseException):
            broken.append(name)
            told(done)
            continue
        scores.append(done)
        print(line(cells(done)), flush=True)
    return scores, broken


def told(error: BaseException) -> None:
    """Print why one of many drills broke off."""
    # A description that does not fit the tables is the reader's to mend; anything else is a defect of ours.
    traceback.print_exception(error, limit=None if not isinstance(error, ValueError | SandboxError) else 0)


def in_processes(jobs: Sequence[Job], work: Callable[[Job], Done]) -> Iterator[tuple[str, Done | BaseException]]:
    """Let two processes do `work` (a function of a module) for each job; yield what came of each as it ends."""
    from drills.run import weeks_of

    # Both processes read what this one records.
    ground().recording()
    # The longest first, so that no process ends alone with it.
    ordered = sorted(jobs, key=lambda job: math.inf if job[1] is None else weeks_of(job[1], job[3]), reverse=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        drills = {pool.submit(work, job): job[0] for job in ordered}
        for done in as_completed(drills):
            yield drills[done], done.exception() or done.result()


def _one(job: Job, of: Mapping[str, str], talk: bool = False) -> "Score":
    fault = job[1]
    if fault is not None and fault.problem != FIRST:
        return _drilled_lists(job, of[job[0]], talk)
    return drilled(job, of[job[0]], talk).score


def _drilled_lists(job: Job, of: str, talk: bool) -> "Score":
    """Run one drill of what a customer buys next, and keep its score and what was said each week."""
    from drills.lists import drill_lists

    made, recording, log = _begun(job, talk)
    _, fault, start, weeks = job
    assert fault is not None
    ground_of = (made.sandbox, problem(), made.lineage, made.owners, made.keep.parent / "lists")
    score, told = drill_lists(fault, recording, *ground_of, start, weeks, log)
    _keep(made, score, told, of)
    return score


def _begun(job: Job, talk: bool) -> "tuple[Ground, Recording, Callable[[str], None] | None]":
    """Return what a drill stands on, its recording, and where it tells what happens; its FROM is checked."""
    import warnings

    from drills.run import check_start, middle, weeks_of

    warnings.simplefilter("ignore")
    quiet()
    _, fault, start, weeks = job
    made = _stood_on(home(), 2 if talk else 1)
    recording = made.recording(fault)
    # A window of the calendar lies where it lies.
    if fault is not None and (fault.start is None or fault.problem != FIRST):
        first = fault.start or start or middle(recording, problem(), fault.kind)
        check_start(first, weeks_of(fault, weeks), recording, problem(), fault.kind)
    return made, recording, (lambda text: print(f"  {text}", file=sys.stderr, flush=True)) if talk else None


def _keep(made: Ground, score: "Score", why: "pd.DataFrame", of: str) -> None:
    """Keep a score (`of`: what it was made of) and what was said each week."""
    from drills.kept_scores import keep

    folder = made.keep.parent / "why"
    folder.mkdir(parents=True, exist_ok=True)
    why.to_csv(folder / f"{score.name}.csv", index=False)
    keep(score, made.scores, of)


def drilled(job: Job, of: str, talk: bool = False) -> "Drilled":
    """Run one drill, and keep its score (`of`: what it was made of) and what was said each week.

    Every process has its own sandbox.
    """
    import pandas as pd

    from drills.run import drill, natural_year

    made, recording, log = _begun(job, talk)
    _, fault, start, weeks = job
    fault = fault or natural_year(recording, problem())
    done = drill(fault, recording, made.sandbox, problem(), made.lineage, made.owners, start, weeks, log)
    weeks_of_why = [judged.why for _, judged in sorted(done.result.judgements.items())]
    _keep(made, done.score, pd.DataFrame(weeks_of_why), of)
    return done


def cells(score: "Score") -> list[str]:
    """One row of the score table, by COLUMNS."""

    def judged(text: str, right: bool | None) -> str:
        return text if right is None else f"{'✓' if right else '✗'} {text}"

    return [
        score.name,
        "-" if score.kind == "benign" else "yes" if score.detected else "no",
        f"{score.delay_days:.0f} d" if score.detected else "-",
        judged(score.cause, score.cause_right),
        judged(score.first_bad_asset or "-", score.asset_right),
        judged(score.owner or "-", score.owner_right),
        judged(score.decision, score.decision_right),
        str(score.false_alarms),
        "-" if score.harm != score.harm else f"{round(score.harm, 4) + 0.0:+.4f}",
        f"{score.seconds:.0f}",
    ]


def line(texts: Sequence[str]) -> str:
    """Columns under each other, for a terminal."""
    return "  ".join(text.ljust(width) for text, width in zip(texts, WIDTHS, strict=True)).rstrip()


def finish(scores: "list[Score]", broken: Sequence[str] = ()) -> None:
    """Write the table, say what is below the bar, and exit 1 if something is or a drill broke off."""
    import pandas as pd

    from drills.run import bar

    folder = home() / "drill"
    folder.mkdir(parents=True, exist_ok=True)
    order = {kind: place for place, kind in enumerate(("quality", "pipeline", "covariate", "concept", "benign"))}
    scores = sorted(scores, key=lambda score: (order[score.kind], score.name))
    name = scores[0].name if len(scores) == 1 and not broken else "scores"
    table = pd.DataFrame([score.row() for score in scores])
    table.to_csv(folder / f"{name}.csv", index=False)
    listed = [COLUMNS, ["---"] * len(COLUMNS), *(cells(score) for score in scores)]
    rows = ["| " + " | ".join(row) + " |" for row in listed]
    (folder / f"{name}.md").write_text("\n".join(rows) + "\n", encoding="utf-8")
    print(f"\ntable: {folder / name}.csv and .md; what was said each week: {folder / 'why'}")
    unseen = [score for score in scores if score.lacks]
    if unseen:
        print("cannot be seen in these data, and is not asked for:")
        for score in unseen:
            print(f"  {score.name}: {score.lacks}")
    below = [*bar(scores), *(f"{name}: broke off; what it said is above" for name in broken)]
    if below:
        print("below the bar:")
        for sentence in below:
            print(f"  {sentence}")
        sys.exit(1)
    print("at the bar")


if __name__ == "__main__":
    main()
