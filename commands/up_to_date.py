"""Whether a home still is as its last whole run left it, so that `make run` need only ask the sources what is new.

After a run of everything, a file in the home names what the tables follow from: code, packages and settings, the day,
what every raw table holds, and each file of the home that the run left, by size, time and identity. Whatever differs
later, by whomever, makes the next run a whole one. A stale answer is worse than a slow one: what cannot be told counts
as different.
"""

import hashlib
import json
import os
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg

from resources import ingestions
from resources.company.choice import chosen, folder_of
from resources.folders import write_whole
from resources.profiles import ROOT, home
from resources.warehouse import DuckDBWarehouse
from resources.warehouse.contents import DATA_VERSION
from steps.candidates import quarantined_cutoffs
from steps.shop_time import time_zone, today
from steps.tables import REBUILDS, TRAINING_SET

FILE = "whole_run.json"
"""In the home. It is taken away before anything runs, so what was killed half-way leaves none."""

NOT_THE_TABLES = frozenset({"tests", "docs", "findings", "examples", "tools", "drills", "node_modules"})
"""Folders of the project that no run reads."""

READ = frozenset({".py", ".sql", ".yml", ".yaml", ".toml", ".json", ".csv", ".md", ".html", ".css", ".svg", ".lock"})
"""Endings of the files that a run may read: code, SQL, settings, catalogues, templates."""

LEFT = ("warehouse.duckdb", "warehouse.duckdb.wal", "mlflow.db", "mlflow.db-wal", "serving.duckdb", "mlartifacts")
"""What a run leaves in its home: files, and folders with all that is in them."""


class LastRun(NamedTuple):
    """The last whole run: its id, when it ended, what each raw table held then, by its key, and its summary."""

    run_id: str
    ended: str
    raw: dict[str, str]
    summary: str


class Standing:
    """What a home's tables follow from, and how its files lie there; two that are equal need no run in between.

    To be made before a run: code or a setting that changes while the run goes on is not what its tables follow from.
    """

    def __init__(self, resources: Mapping[str, Any]) -> None:
        self._report = Path(resources["report"].path)
        self._followed = {
            "code": code_of(list(dict.fromkeys([ROOT, folder_of(chosen())]))),
            "packages": _packages(),
            "settings": _settings(),
            "day": str(today(resources["clock"])),
        }

    def why_not(self, opened: dg.DagsterInstance) -> str:
        """Return in a sentence what differs from what the last whole run left; empty: nothing does.

        What the sources hold by now is not asked here.
        """
        kept = _kept()
        if kept is None:
            return "No whole run ended here yet, or the last one did not come to its end."
        if opened.get_run_by_id(kept["run_id"]) is None:
            return "The record of the last whole run is gone."
        for name, words in WORDS.items():
            if kept.get(name) != self._followed[name]:
                return words
        files = self._files()
        changed = sorted(name for name in {*kept["files"], *files} if kept["files"].get(name) != files.get(name))
        if changed:
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            return f"{changed[0]}{more} changed since the last whole run."
        return ""

    def keep(self, run: LastRun) -> None:
        """Note that the home is now as this run left it."""
        written = {**run._asdict(), **self._followed, "files": self._files()}
        write_whole(home() / FILE, json.dumps(written, indent=1))

    def _files(self) -> dict[str, list[int]]:
        return {name: found for name, path in self._left() for found in [_lies(path)] if found}

    def _left(self) -> Iterator[tuple[str, Path]]:
        for name, path in [*((name, home() / name) for name in LEFT), ("report", self._report)]:
            if path.is_dir():
                yield from ((str(Path(name) / one.relative_to(path)), one) for one in sorted(path.rglob("*")))
            else:
                yield name, path


WORDS = {
    "code": "The code, the models or the company's file changed.",
    "packages": "Packages were installed, removed or brought up to date.",
    "settings": "A setting of the environment changed.",
    "day": "It is another day.",
}
"""By what the tables follow from: what is said where it differs."""


def last_run() -> LastRun | None:
    """Return the last whole run; None where there is none."""
    kept = _kept()
    return LastRun(**{name: kept[name] for name in LastRun._fields}) if kept else None


def forget() -> None:
    """Take the note away: whatever begins now may end half-way."""
    (home() / FILE).unlink(missing_ok=True)


def is_settled(warehouse: DuckDBWarehouse) -> bool:
    """Tell whether the same run once more would make the same: nothing that it judged changes what it learns from.

    The judgement comes after the training. What it quarantines, the next run leaves out; what it frees, the next run
    takes in.
    """
    if warehouse.exists(*REBUILDS.path) and warehouse.row_count(*REBUILDS.path):
        return False
    if not warehouse.exists(*TRAINING_SET.path):
        return True
    from ml_models.training.splits import QUARANTINED

    with warehouse.connect() as connection:
        days: dict[date, str] = dict(
            connection.execute(
                "select cutoff_date::date, max(split) from training.training_set group by cutoff_date"
            ).fetchall()
        )
    return set(quarantined_cutoffs(warehouse, sorted(days))) == {day for day in days if days[day] == QUARANTINED}


def raw_of(result: dg.JobExecutionResult, warehouse: DuckDBWarehouse) -> dict[str, str]:
    """Return what each raw table held when this run had synced it, and until which day each stream was known.

    The first is the data version of its materialisation; a table without one gets the id of the run, which is equal to
    no other. The second moves on where a day passed in which nothing happened.
    """
    found = {}
    for event in result.all_events:
        if event.event_type_value == "ASSET_MATERIALIZATION" and event.asset_key and event.asset_key.path[0] == "raw":
            tags = event.step_materialization_data.materialization.tags or {}
            found[event.asset_key.to_user_string()] = tags.get(DATA_VERSION, result.run_id)
    with warehouse.connect() as connection:
        known = connection.execute(
            f"select stream, timezone(?, max(ingested_at))::date from {ingestions.SCHEMA}.{ingestions.TABLE} "
            "group by stream",
            [time_zone()],
        ).fetchall()
    return found | {f"{stream}, known until": str(day) for stream, day in known}


def _kept() -> dict[str, Any] | None:
    try:
        read = json.loads((home() / FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return read if isinstance(read, dict) and {*LastRun._fields, "files"} <= set(read) else None


def _lies(path: Path) -> list[int]:
    """Return what tells a file from one that was written, restored or put in its place since; empty: there is none."""
    try:
        found = path.stat()
    except OSError:
        return []
    if path.is_dir():
        return [1]
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def code_of(places: Sequence[Path]) -> str:
    """Return a digest of all files in some folders that a run may read, with their names."""
    digest = hashlib.sha256()
    for folder in places:
        for place, folders, names in os.walk(folder):
            beside = Path(place) == ROOT
            folders[:] = sorted(one for one in folders if one[0] != "." and not (beside and one in NOT_THE_TABLES))
            for name in sorted(names):
                if Path(name).suffix in READ:
                    file = Path(place) / name
                    digest.update(str(file.relative_to(folder)).encode())
                    digest.update(file.read_bytes())
    return digest.hexdigest()


def _packages() -> str:
    site = Path(sysconfig.get_paths()["purelib"])
    names = sorted(one.name for one in site.iterdir() if one.suffix == ".dist-info")
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _settings() -> str:
    """Return a digest of the environment's settings and of the files that they name."""
    digest = hashlib.sha256()
    for name, value in sorted(os.environ.items()):
        if name.startswith("BATON_") and name != "BATON_HOME":
            digest.update(f"{name}={value}\n".encode())
            if value and Path(value).is_file():
                digest.update(Path(value).read_bytes())
    return digest.hexdigest()
