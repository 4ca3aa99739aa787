"""The folder of the benchmark: which worlds it holds, what is made again, and what lies beside them."""

import hashlib
import json
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from commands.drill import Job, drilled, ground, in_processes, told
from drills.faults import Fault, known
from resources.folders import make_private, write_whole
from resources.profiles import ROOT

READERS = Path(__file__).resolve().parent / "folder"
"""What reads the worlds without baton, and describes them; copied into each folder."""

OURS = "this_judgement"

CODE = ("ml_models", "drills", "steps", "resources", "commands/drill.py", "tools/benchmark/worlds.py")
"""What a world and the judgement's answers depend on beside the tables: when it changes, they are made again."""


def make_worlds(folder: Path, names: Sequence[str], entries: Collection[str]) -> list[str]:
    """Write the worlds that are not there yet, and what is needed to read and score them; return what broke off.

    `entries` are those whose answers about a world that is made again are struck.

    Raises:
        ValueError: no world is there, as all broke off.
    """
    faults = known()
    make_private(folder / "worlds")
    _sweep(folder)
    basis = _basis()
    made_of = {name: _digest(basis, name, faults.get(name)) for name in names}
    todo = [name for name in names if _written(folder, name) != made_of[name]]
    for name in todo:
        if _written(folder, name):
            print(f"  {name}: written by other code or from other tables, so it is made again", flush=True)
            strike(folder, name, entries)
            shutil.rmtree(folder / "worlds" / name)
    jobs: list[Job] = [(name, faults.get(name), None, None) for name in todo]
    broken = []
    for name, done in in_processes(jobs, partial(_world, folder=folder, made_of=made_of)) if jobs else ():
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


def _world(job: Job, folder: Path, made_of: Mapping[str, str]) -> float:
    """Drill and write one world, in a process of its own; return the seconds."""
    from ml_models.training.search import simplest_recipe
    from steps.problem import problem
    from tools.benchmark.worlds import write_world

    began = time.monotonic()
    write_world(drilled(job), simplest_recipe(problem()), folder, made_of[job[0]])
    return time.monotonic() - began


def _basis() -> str:
    """Return what all worlds depend on: the tables as they are, and the code."""
    stood = ground()
    stat = Path(stood.sandbox.warehouse_path).stat()
    digest = hashlib.sha256(repr((stood.sandbox.dbt.digest(), stat.st_size, stat.st_mtime_ns)).encode())
    for name in CODE:
        place = ROOT / name
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _digest(basis: str, name: str, fault: Fault | None) -> str:
    return hashlib.sha256(f"{basis}{name}{fault!r}".encode()).hexdigest()[:12]


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
