"""The folder of the benchmark: which worlds it holds, what is made again, and what lies beside them."""

import json
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from commands.drill import Job, drilled, ground, in_processes, told
from drills.faults import known
from drills.kept_scores import CODE, basis, kept, made_of
from drills.run import Score
from ml_models.problems.about import FIRST
from resources.folders import make_private, write_whole

READERS = Path(__file__).resolve().parent / "folder"
"""What reads the worlds without baton, and describes them; copied into each folder."""

OURS = "this_judgement"

WORLD_CODE = (*CODE, "tools/benchmark/worlds.py")
"""What a world and the judgement's answers depend on beside the tables: when it changes, they are made again."""


def make_worlds(folder: Path, names: Sequence[str], entries: Collection[str]) -> list[str]:
    """Write the worlds that are not there yet, and what is needed to read and score them; return what broke off.

    `entries` are those whose answers about a world that is made again are struck.

    Raises:
        ValueError: no world is there, as all broke off.
    """
    faults = known(FIRST)
    make_private(folder / "worlds")
    _sweep(folder)
    sandbox = ground().sandbox
    drill, world = basis(sandbox), basis(sandbox, WORLD_CODE)
    of = {name: (made_of(drill, name, faults.get(name)), made_of(world, name, faults.get(name))) for name in names}
    todo = [name for name in names if _written(folder, name) != of[name][1]]
    for name in todo:
        if _written(folder, name):
            print(f"  {name}: written by other code or from other tables, so it is made again", flush=True)
            strike(folder, name, entries)
            shutil.rmtree(folder / "worlds" / name)
    jobs: list[Job] = [(name, faults.get(name), None, None) for name in todo]
    broken = []
    for name, done in in_processes(jobs, partial(_world, folder=folder, of=of)) if jobs else ():
        if isinstance(done, BaseException):
            broken.append(name)
            told(done)
        else:
            print(f"  {name}: written, {done:.0f} s", flush=True)
    if not any((folder / "worlds").glob("*/world.json")):
        raise ValueError(f"no world was written, as each drill broke off; what it said is above: {', '.join(broken)}.")
    copy_readers(folder)
    gather(folder)
    return broken


def copy_readers(folder: Path) -> None:
    """Copy what reads the folder without baton, and what describes it."""
    for file in READERS.iterdir():
        if file.is_file():
            shutil.copyfile(file, folder / file.name)


def drill_scores(names: Sequence[str]) -> list[Score]:
    """Return what the drills of these worlds came to, as far as they are kept."""
    stood, faults = ground(), known(FIRST)
    on = basis(stood.sandbox)
    found = (kept(name, stood.scores, made_of(on, name, faults.get(name))) for name in names)
    return [score for score in found if score is not None]


def _world(job: Job, folder: Path, of: Mapping[str, tuple[str, str]]) -> float:
    """Drill and write one world, in a process of its own; return the seconds.

    `of`: what the drill and the world are made of, by name.
    """
    from drills.shared import recipe
    from steps.problem import problem
    from tools.benchmark.worlds import write_world

    began = time.monotonic()
    drill, world = of[job[0]]
    write_world(drilled(job, drill), recipe(problem()), folder, world)
    return time.monotonic() - began


def _written(folder: Path, name: str) -> str:
    """Return what a world was made of; "": it is not there."""
    about = folder / "worlds" / name / "world.json"
    return str(json.loads(about.read_text(encoding="utf-8"))["made_of"]) if about.exists() else ""


def _sweep(folder: Path) -> None:
    """Remove what a stopped command left half-written; nobody else writes while the drills are held."""
    for half in [*(folder / "worlds").glob(".*"), *(folder / "past").glob(".*")]:
        shutil.rmtree(half, ignore_errors=True)


def strike(folder: Path, name: str, entries: Collection[str]) -> None:
    """Take a world that is made again out of what our own entries answered."""
    for entry in entries:
        file = folder / "answers" / f"{entry}.csv"
        if file.exists():
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
            write_whole(file, "".join(line for line in lines if not line.startswith(f"{name},")))


def gather(folder: Path) -> None:
    """Write `truth.json` and the judgement's own answers, of all worlds that are there."""
    import pandas as pd

    worlds = sorted(about.parent for about in (folder / "worlds").glob("*/world.json"))
    truth = [json.loads((one / "truth" / "truth.json").read_text(encoding="utf-8")) for one in worlds]
    write_whole(folder / "truth.json", json.dumps(truth, indent=1))
    answers = folder / "answers"
    answers.mkdir(exist_ok=True)
    texts = [(one / OURS / "answers.csv").read_text(encoding="utf-8").splitlines() for one in worlds]
    write_whole(answers / f"{OURS}.csv", "\n".join([*texts[0][:1], *(line for one in texts for line in one[1:]), ""]))
    scores = pd.concat([pd.read_parquet(one / OURS / "scores.parquet") for one in worlds], ignore_index=True)
    half = answers / f"{OURS}.parquet.new"
    scores.to_parquet(half, index=False, compression="zstd")
    half.replace(answers / f"{OURS}.parquet")
