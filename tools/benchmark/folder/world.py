"""What an entry may see of a world on one Monday morning: the example of how to read the folder.

This file stands alone, as score.py does. `python entries.py` shows what an entry makes of it.
"""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).resolve().parent
KEYS = ("cutoff_date", "customer_id")
HEADER = ("fault", "week", "alarmed", "columns", "cause", "owner", "asset", "decision")
PROCESSES = 2


@dataclass(frozen=True)
class World:
    """One world, read as it looked on its Mondays; `folder` is `worlds/<name>`."""

    folder: Path

    @cached_property
    def about(self) -> dict[str, Any]:
        """What `world.json` says."""
        found: dict[str, Any] = json.loads((self.folder / "world.json").read_text(encoding="utf-8"))
        return found

    @property
    def weeks(self) -> list[pd.Timestamp]:
        """The Mondays that are answered, ascending; the fault begins on the first."""
        return [pd.Timestamp(day) for day in self.about["weeks"]]

    def features(self, week: pd.Timestamp) -> pd.DataFrame:
        """Return the feature rows of all cutoffs that were served by this morning, and the first model's score."""
        return self._seen("features", week).merge(self._own("scores"), on=[*KEYS], how="left")

    def outcomes(self, week: pd.Timestamp) -> pd.DataFrame:
        """Return cutoff_date, customer_id and label of all that had matured by this morning."""
        return self._seen("outcomes", week)

    def early(self, week: pd.Timestamp) -> pd.DataFrame:
        """Return the labels of a shorter horizon that were known by this morning."""
        return self._seen("early", week)

    def measures(self, week: pd.Timestamp) -> pd.DataFrame:
        """Return the aggregates of the tables, by the week or day that they are about, as each stood on its Monday."""
        return self._seen("measures", week)

    def columns(self, week: pd.Timestamp) -> pd.DataFrame:
        """Return asset, column_name and type of what was there on this morning."""
        rows = self._own("columns")
        return rows[rows["there_on"] == week].drop(columns="there_on")

    def reference(self, week: pd.Timestamp) -> pd.DataFrame:
        """Return the feature rows that a model fitted on this morning would learn from: those with a label by then."""
        known = self.outcomes(week)[[*KEYS]].drop_duplicates()
        return self.features(week).merge(known, on=[*KEYS], how="inner")

    def current(self, week: pd.Timestamp) -> pd.DataFrame:
        """Return the feature rows that this morning added for its own cutoff; none where the graph failed."""
        rows = self.features(week)
        return rows[rows["cutoff_date"] == week]

    @property
    def served_from(self) -> pd.Timestamp | None:
        """The first of `weeks` on which there was a model; None: too little had matured on any of them."""
        day = self.about["served_from"]
        return None if day is None else pd.Timestamp(day)

    @property
    def watched(self) -> list[str]:
        """The features and the score: the columns that a monitor of distributions looks at."""
        return [name for name in [*self._own("features").columns, "score"] if name not in (*KEYS, "there_on")]

    def _seen(self, name: str, week: pd.Timestamp) -> pd.DataFrame:
        own = self._own(name)
        return pd.concat([self._past(name), own[own["there_on"] <= week].drop(columns="there_on")], ignore_index=True)

    def _own(self, name: str) -> pd.DataFrame:
        return _read(self.folder / "seen" / f"{name}.parquet")

    def _past(self, name: str) -> pd.DataFrame:
        """Return what was there before the first Monday: the recorded past, or the world's own where it was rebuilt."""
        own = self.folder / "seen" / f"{name}_before.parquet"
        if own.exists():
            return _read(own)
        rows, limits = _read(self.folder.parent.parent / "past" / self.about["past"] / f"{name}.parquet"), self.about
        by = "period_start" if name == "measures" else "cutoff_date"
        return rows[rows[by] < pd.Timestamp(limits["before"][name])]


_FRAMES: dict[Path, pd.DataFrame] = {}


def _read(file: Path) -> pd.DataFrame:
    if file not in _FRAMES:
        if len(_FRAMES) > 20:
            # One world after the other: the past is read again, the worlds before are not needed any more.
            _FRAMES.clear()
        _FRAMES[file] = pd.read_parquet(file)
    return _FRAMES[file]


def worlds(folder: Path = HERE) -> dict[str, World]:
    """Return the worlds of the folder by name."""
    return {file.parent.name: World(file.parent) for file in sorted((folder / "worlds").glob("*/world.json"))}


def answer(entry: str, judge: Callable[[World], list[dict[str, str]]], folder: Path = HERE) -> Path:
    """Let an entry answer each world that its file does not answer yet, two at once; return the file.

    `judge`, a function of a module, returns one dict a week by HEADER, in order; `fault` and `week` are added.
    """
    file = folder / "answers" / f"{entry}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    done = pd.read_csv(file, dtype=str, keep_default_na=False) if file.exists() else pd.DataFrame(columns=[*HEADER])
    asked = [world for name, world in worlds(folder).items() if name not in set(done["fault"])]
    if not asked:
        return file
    with ProcessPoolExecutor(min(PROCESSES, len(asked)), mp_context=get_context("spawn")) as pool:
        for world, answers in zip(asked, pool.map(judge, asked), strict=True):
            said = [
                {**dict.fromkeys(HEADER, ""), "fault": world.folder.name, "week": f"{week:%Y-%m-%d}", **one}
                for week, one in zip(world.weeks, answers, strict=True)
            ]
            done = pd.concat([done, pd.DataFrame(said, columns=[*HEADER])], ignore_index=True)
            # World by world, so that a stop loses little; by another name, so that it is whole or not there.
            half = file.with_name(f"{file.name}.new")
            done.to_csv(half, index=False)
            half.replace(file)
            print(f"  {entry}: {world.folder.name}", flush=True)
    return file


Alarming = Callable[[pd.DataFrame, pd.DataFrame], tuple[bool, list[str]]]
"""Takes the reference and the current rows; returns whether that is an alarm, and the columns that it names."""

_SAID: dict[tuple[str, str], tuple[bool, list[str]]] = {}


def retrained_on_alarm(world: World, alarming: Alarming) -> list[dict[str, str]]:
    """Let a monitor of distributions live through a world, and retrain on each of its alarms.

    The reference is what the first model learned from, and after an alarm what the new one does. The monitor sees the
    columns `world.watched`. It is not asked before there is a model, where nothing was served, nor twice about the same
    rows.
    """
    first = reference = world.reference(world.served_from or world.weeks[0])[world.watched]
    said = []
    for week in world.weeks:
        current = world.current(week)[world.watched]
        asked = len(current) > 0 and world.served_from is not None and week >= world.served_from
        alarmed, columns = _once(alarming, reference, current) if asked else (False, [])
        if alarmed:
            learned = world.reference(week)[world.watched]
            reference = learned if len(learned) else first
        decision = "improve" if alarmed else "continue"
        said.append({"alarmed": str(alarmed).lower(), "columns": " ".join(columns), "decision": decision})
    return said


def _once(alarming: Alarming, reference: pd.DataFrame, current: pd.DataFrame) -> tuple[bool, list[str]]:
    """Ask a monitor, unless it answered for the same rows: many worlds begin alike."""
    key = (_digest(reference), _digest(current))
    if key not in _SAID:
        _SAID[key] = alarming(reference, current)
    return _SAID[key]


def _digest(rows: pd.DataFrame) -> str:
    return hashlib.sha256(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes()).hexdigest()
