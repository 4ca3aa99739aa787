"""Lose every table and every file of a small home, one at a time, and run again.

A loss heals by that run. Or the run ends with one sentence, and each advice in it, followed to the letter, heals it.
What is made again is held against a home that nothing happened to, column by column.
"""

import argparse
import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import re
import runpy
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from resources.company.choice import BUNDLED
from resources.profiles import ROOT
from resources.warehouse import open_duckdb, quoted
from tools.bundled import bundled_only, recording_ends
from tools.crash.compare import DRAWN
from tools.sample import write_connections, write_sample

WEEKS_BEFORE = timedelta(weeks=9)
"""How long before the end of the recording the home's first run is: the next finds a champion, and weeks of history."""

LIBRARIES = (
    "dagster_airbyte",
    "dagster_dbt",
    "dbt.cli.main",
    "duckdb",
    "matplotlib.figure",
    "mlflow.sklearn",
    "pandas",
    "pandera.pandas",
    "pyarrow",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "skops.io",
)
"""What each run needs, read once: a run is a fork of this process."""

TREES = ("dbt/compiled/compiled", "dbt/project", "dbt/target/compiled", "dbt/target/run")
"""Folders of many files that are written together; those of one suffix are one kind."""

BOOKKEEPING = r"_airbyte_.*|extracted_at|generation_id|holds"
"""Columns that say when and how often a row was read, or follow from that; a row that is read again has others."""

MODELS = r"training|predictions|monitoring|campaigns|marts\.(customers_at_risk|accuracy_over_time)"
"""Tables that name a model's version, or are of its scores: another model has other rows there."""


@dataclass(frozen=True)
class Loss:
    """One thing lost: a table or a file of the home, and how."""

    kind: str
    what: str
    how: str

    def __str__(self) -> str:
        return f"{self.what} {self.how}"


@dataclass(frozen=True)
class Outcome:
    """What became of a loss: how it healed; `wrong` says what did not, and is empty if all did."""

    loss: Loss
    healed: str
    wrong: str
    seconds: float


@dataclass(frozen=True)
class Ended:
    """How a run ended: its code, and all that it said."""

    code: int
    said: str

    @property
    def sentence(self) -> str:
        """The sentence of its error; empty if there is none."""
        found = re.findall(r"^error: .*(?:\n(?![\s/]).+)*", self.said, re.MULTILINE)
        return found[-1] if found and "Traceback (most recent call last)" not in self.said else ""


Held = dict[str, dict[str, str]]
"""What tables hold: by table and column, the number of rows and a digest of the values."""


class Ground:
    """A home that every loss begins with, a backup of it, and what its tables hold after a run that lost nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.backup = folder, folder / "home", folder / "backup"
        self.connections = folder / "source" / "connections.json"

    def prepare(self) -> None:
        """Make the home by runs on two Mondays and a check, if there is none yet, and back it up."""
        steps = [("run", timedelta()), ("check", timedelta())]
        if not self.home.exists():
            _apart(lambda: write_sample(self.connections.parent))
            write_connections(self.connections, self.connections.parent)
            steps.insert(0, ("run", WEEKS_BEFORE))
        for module, before in steps:
            _must(self.command(module, self.home, before=before), f"commands.{module}")
        _must(self.command("backup", self.home, "--to", str(self.backup)), "commands.backup")

    def command(self, module: str, home: Path, *arguments: str, before: timedelta = timedelta()) -> Ended:
        """Run a command in a fork of this process, as its own program would begin, so long before the end."""

        def run() -> None:
            settings = {
                "BATON_HOME": str(home),
                "BATON_NOW": (recording_ends() - before).isoformat(),
                "BATON_COMPANY": BUNDLED,
            }
            os.environ.update({**settings, "BATON_CONNECTIONS": str(self.connections), "BATON_WAIT_SECONDS": "5"})
            sys.argv = [module, *arguments]
            runpy.run_module(f"commands.{module}", run_name="__main__")

        return _forked(run)

    def reference(self) -> Held:
        """Return what each table holds by column, without the columns that a run with nothing to do writes anew."""
        kept = self.folder / "reference.json"
        if not kept.exists():
            again = self.copy(self.home, "again")
            _must(self.command("run", again), "a run with nothing to do")
            one, other = (_apart(partial(contents, home)) for home in (self.home, again))
            same = {
                table: {
                    column: digest
                    for column, digest in columns.items()
                    if other.get(table, {}).get(column) == digest and not re.fullmatch(BOOKKEEPING, column)
                }
                for table, columns in one.items()
            }
            kept.write_text(json.dumps(same), encoding="utf-8")
        return dict(json.loads(kept.read_text(encoding="utf-8")))

    def copy(self, home: Path, name: str) -> Path:
        """Copy a home to a new folder of this name."""
        target = self.folder / "copies" / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(home, target)
        return target


def _must(ended: Ended, what: str) -> None:
    if ended.code:
        raise RuntimeError(f"Expected {what} to go through, and it ended so: {ended.said[-3000:]}")


def _forked(work: Callable[[], Any]) -> Ended:
    """Do something in a fork of this process, which itself must not open a warehouse: threads do not come along."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:

        def speaking() -> None:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            work()

        child = multiprocessing.get_context("fork").Process(target=speaking)
        child.start()
        child.join()
        said.seek(0)
        return Ended(child.exitcode or 0, said.read())


def _apart(work: Callable[[], Any]) -> Any:
    """Return what a function returns that is called in a fork of this process; it must be what JSON can hold."""
    ended = _forked(lambda: print(json.dumps(work())))
    if ended.code:
        raise RuntimeError(ended.said)
    return json.loads(ended.said)


def contents(home: Path) -> Held:
    """Return what each table of a home's warehouse holds: by column the number of rows, and a digest of the values."""
    found: Held = {}
    with open_duckdb(str(home / "warehouse.duckdb"), read_only=True) as connection:
        columns = connection.execute(
            "select table_schema, table_name, column_name from information_schema.columns order by all"
        ).fetchall()
        for schema, table, column in columns:
            rows, digest = connection.execute(
                f"select count(*), sum(hash({quoted(column)}::varchar)) from {quoted(schema)}.{quoted(table)}"
            ).fetchall()[0]
            found.setdefault(f"{schema}.{table}", {})[column] = f"{rows} rows, {digest}"
    return found


def losses(home: Path, seed: int = 0) -> list[Loss]:
    """Return every loss of a home: each table, and one file of each kind of files, which `seed` chooses."""
    chosen = random.Random(seed)
    found = []
    for name, kind in _apart(partial(tables, home)):
        found += [Loss("table", name, how) for how in (("dropped",) if kind == "VIEW" else ("dropped", "emptied"))]
    for kind, files in sorted(kinds(home).items()):
        file = home / chosen.choice(files)
        found += [
            Loss(kind, str(file.relative_to(home)), how)
            for how in ("deleted", "cut to nothing", "cut to half")
            if how == "deleted" or file.stat().st_size
        ]
    return found


def tables(home: Path) -> list[tuple[str, str]]:
    """Return each table and view of a home's warehouse, and which of both it is."""
    with open_duckdb(str(home / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(
            "select table_schema || '.' || table_name, table_type from information_schema.tables order by 1"
        ).fetchall()


def kinds(home: Path) -> dict[str, list[Path]]:
    """Return all files of a home, relative to it, by kind: those that differ only in an identifier are one kind.

    Of the model registry, those of the version that serves are one kind, and those of other versions another.
    """
    served = _served(home)
    found: dict[str, list[Path]] = {}
    for file in sorted(file.relative_to(home) for file in home.rglob("*") if file.is_file()):
        path = str(file)
        role = ""
        if file.parts[0] == "mlartifacts":
            role = " (champion)" if served & set(file.parts) else " (other)"
        tree = next((tree for tree in TREES if path.startswith(f"{tree}/")), "")
        kind = f"{tree}/*{file.suffix}" if tree else DRAWN.sub("*", path)
        found.setdefault(kind + role, []).append(file)
    return found


def _served(home: Path) -> set[str]:
    """Return the folders of the champion's run and model."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(home / "mlflow.db")) as database:
        rows = database.execute(
            "select v.run_id, v.storage_location from model_versions v join registered_model_aliases a "
            "on a.name = v.name and a.version = v.version where a.alias = 'champion'"
        ).fetchall()
    return {part for run, place in rows for part in (run, *Path(place).parts) if DRAWN.search(part)}


def lose(home: Path, loss: Loss) -> None:
    """Let one thing be lost."""
    if loss.kind == "table":
        schema, _, table = loss.what.partition(".")
        named = f"{quoted(schema)}.{quoted(table)}"
        with open_duckdb(str(home / "warehouse.duckdb")) as connection:
            is_view = connection.execute(
                "select 1 from information_schema.tables where table_schema = ? and table_name = ? "
                "and table_type = 'VIEW'",
                [schema, table],
            ).fetchone()
            drop = f"drop {'view' if is_view else 'table'} {named} cascade"
            connection.execute(drop if loss.how == "dropped" else f"delete from {named}")
        return
    file = home / loss.what
    if loss.how == "deleted":
        file.unlink()
    else:
        # Of the serving copy nobody has the right to write.
        file.chmod(0o600)
        os.truncate(file, file.stat().st_size // 2 if loss.how == "cut to half" else 0)


def _restored(ground: Ground, home: Path, said: str) -> str:
    """`make restore FROM=<folder>`, and what it says itself where the home is still there."""
    ended = ground.command("restore", home, "--from", str(ground.backup))
    if ended.code and "move it away" in ended.sentence:
        home.rename(home.with_name(f"{home.name}.away"))
        ended = ground.command("restore", home, "--from", str(ground.backup))
    return "" if ended.code == 0 else f"{said} But make restore: {ended.said[-600:]}"


def _moved_away(_: Ground, home: Path, said: str) -> str:
    """Move the file away that the sentence names, or the folder."""
    if "move its folder dagster/ away" in said:
        (home / "dagster").rename(home / "dagster.away")
        return ""
    named = [Path(one.rstrip(',.:"')) for one in re.findall(rf"{re.escape(str(home))}\S*", said)]
    files = [one for one in named if one.is_file()]
    if not files:
        return f"no file to move away is named: {said}"
    files[0].rename(files[0].with_name(f"{files[0].name}.away"))
    return ""


Follow = Callable[[Ground, Path, str], str]

ADVICE: dict[str, Follow] = {
    "make restore FROM=": _restored,
    r"[Mm]ove (the file|the warehouse's file|its folder \S+) away": _moved_away,
}
"""What a sentence may advise, and how it is followed; each returns what went wrong."""


def tried(ground: Ground, reference: Held, loss: Loss, name: str) -> Outcome:
    """Lose one thing, run again, follow what is advised, and look at what came of it."""
    began = time.monotonic()
    home = ground.copy(ground.home, name)
    _apart(partial(lose, home, loss))
    damaged = ground.copy(home, f"{name}-damaged")
    ended = ground.command("run", home)
    healed, wrong = _looked_at(ground, reference, home, damaged, ended)
    for left in (ground.folder / "copies").glob(f"{name}*"):
        if not wrong:
            shutil.rmtree(left, ignore_errors=True)
    return Outcome(loss, healed, wrong, time.monotonic() - began)


def _looked_at(ground: Ground, reference: Held, home: Path, damaged: Path, ended: Ended) -> tuple[str, str]:
    """Return how a loss healed, and what went wrong; one of both is empty."""
    note = re.search(r"^note: .*", ended.said, re.MULTILINE)
    if ended.code == 0:
        changed = differences(reference, home)
        if not changed:
            return "by the next run", ""
        anew = "registered as version" in ended.said and all(re.match(MODELS, table) for table in changed)
        if anew and not note:
            return "by the next run, with a model trained anew", ""
        if not note:
            return "", f"changed in silence: {changed}"
    elif not ended.sentence:
        return "", f"no sentence: {ended.said[-1500:]}"
    said = " ".join((ended.sentence or (note.group() if note else "")).split())
    advised = [follow for words, follow in ADVICE.items() if re.search(words, said)]
    if not advised:
        return "", f"no advice: {said}"
    for number, follow in enumerate(advised):
        # Each on a home of its own; sentences name files of the home that they are about.
        again = ground.copy(damaged, f"{home.name}-{number}")
        wrong = follow(ground, again, said.replace(str(home), str(again)))
        once_more = ground.command("run", again) if not wrong else ended
        if wrong or once_more.code:
            return "", wrong or f"advice did not help: {said} Afterwards: {once_more.said[-1500:]}"
        changed = differences(reference, again)
        if changed and follow is _restored:
            return "", f"the restored home is another one: {changed}"
    return f"as advised: {said[:200]}", ""


def differences(reference: Held, home: Path) -> dict[str, str]:
    """Return by table what is other than in a home that nothing happened to."""
    found = _apart(partial(contents, home))
    told = {}
    for table, columns in reference.items():
        if table not in found:
            told[table] = "is not there"
            continue
        other = [column for column, digest in columns.items() if found[table].get(column) != digest]
        if other:
            one = other[0]
            told[table] = f"{len(other)} column(s), {one}: {found[table].get(one)} for {columns[one]}"
    return told


def outcomes(ground: Ground, chosen: Sequence[Loss]) -> Iterator[Outcome]:
    """Try losses one after the other."""
    reference = ground.reference()
    for loss in chosen:
        name = hashlib.sha256(str(loss).encode()).hexdigest()[:8]
        yield tried(ground, reference, loss, name)


def warm() -> None:
    """Read the libraries that runs need."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for name in LIBRARIES:
        __import__(name)


def main() -> None:
    """Prepare a home, lose what is asked for, and print a table; exit code 1 where something did not heal."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--share", type=int, default=0, help="how many losses, chosen by SEED (default: all)")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--only", default="", help="a regular expression of what is lost")
    arguments.add_argument("--list", action="store_true", help="say what would be lost, and lose nothing")
    arguments.add_argument("--folder", type=Path, help="a folder that is kept, with the home of a former call")
    given = arguments.parse_args()
    bundled_only("The walk over losses")
    os.chdir(ROOT)
    warm()
    with contextlib.ExitStack() as left:
        folder = given.folder or Path(left.enter_context(tempfile.TemporaryDirectory()))
        ground = Ground(folder.resolve())
        if not ground.backup.exists():
            ground.prepare()
        chosen = [loss for loss in losses(ground.home, given.seed) if re.search(given.only, str(loss))]
        if given.share:
            chosen = random.Random(given.seed).sample(chosen, min(given.share, len(chosen)))
        print(f"{len(chosen)} losses, seed {given.seed}", flush=True)
        if given.list:
            print(*chosen, sep="\n")
            return
        failed = 0
        for one in outcomes(ground, chosen):
            failed += bool(one.wrong)
            print(
                f"{'✗' if one.wrong else '✓'} {one.loss}: {one.wrong or one.healed} ({one.seconds:.0f} s)", flush=True
            )
    print(f"{len(chosen) - failed} of {len(chosen)} healed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
