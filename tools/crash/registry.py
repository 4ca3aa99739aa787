"""What a registry holds, so that two can be compared, and what a kill may have left in it."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from resources.registry import DIGEST, ModelRegistry
from tools.crash.compare import Difference

ONE_AT_A_TIME = threading.Lock()
"""MLflow knows one registry in a process, and kills are compared side by side."""

OF_RUN = "dagster.run_id"
"""The tag of a version that names the run which made it."""

OF_CARD = f"{DIGEST}model_card.%"
"""The tags of a version that hold the digests of its card, which names the day of a promotion."""


def registries(undisturbed: Path, healed: Path) -> list[Difference]:
    """Compare the versions, aliases and tags of every registry of two homes, and find orphans and damaged files."""
    found = []
    names = {str(file.relative_to(home)) for home in (undisturbed, healed) for file in home.rglob("mlflow.db")}
    for name in sorted(names):
        ours, theirs = undisturbed / name, healed / name
        if not ours.exists() or not theirs.exists():
            found.append(Difference(name, "registry", 1, f"{'healed' if theirs.exists() else 'undisturbed'} home only"))
            continue
        held, holds = _held(ours), _held(theirs)
        found += [
            Difference(name, what, 1, f"{holds.get(what)!r} for {held.get(what)!r}")
            for what in sorted(held.keys() | holds.keys())
            if held.get(what) != holds.get(what)
        ]
        found += _left(theirs, name)
    return found


def _held(file: Path) -> dict[str, object]:
    """Return by what it is about each fact that a registry holds of versions."""
    told: dict[str, object] = {}
    with contextlib.closing(sqlite3.connect(file)) as database:
        for model, version, status in database.execute("select name, version, current_stage from model_versions"):
            told[f"{model} version {version}"] = status
        for model, alias, version in database.execute("select name, alias, version from registered_model_aliases"):
            told[f"{model} alias {alias}"] = version
        for model, version, key, value in database.execute(
            "select name, version, key, value from model_version_tags where key <> ? and key not like ?",
            [OF_RUN, OF_CARD],
        ):
            told[f"{model} version {version}, {key}"] = value
    return told


def _left(file: Path, name: str) -> Iterator[Difference]:
    """Yield what a kill left: runs without a version, artefacts of nobody, versions whose files cannot be read."""
    folder = file.parent
    with contextlib.closing(sqlite3.connect(file)) as database:
        versions = database.execute(
            "select name, version, run_id from model_versions where current_stage = 'None'"
        ).fetchall()
        runs = database.execute("select run_uuid, status from runs where lifecycle_stage = 'active'").fetchall()
        models = [
            Path(place.removeprefix("file://")).parent.name
            for (place,) in database.execute(
                "select artifact_location from logged_models where lifecycle_stage = 'active'"
            )
        ]
    registered = {run for _, _, run in versions}
    orphans = [run for run, _ in runs if run not in registered]
    if orphans:
        yield Difference(name, "runs without a version", len(orphans), orphans[0])
    unfinished = [f"{run} ({status})" for run, status in runs if status != "FINISHED"]
    if unfinished:
        yield Difference(name, "runs that did not finish", len(unfinished), unfinished[0])
    root = folder / "mlartifacts"
    there = [one.name for one in root.glob("*") if one.name != "models"] if root.exists() else []
    there += [one.name for one in (root / "models").glob("*")] if root.exists() else []
    known = {*registered, *models}
    nobodys = [one for one in there if one not in known]
    if nobodys:
        yield Difference(str(root.name), "artefacts of nobody", len(nobodys), nobodys[0])
    registry = ModelRegistry(tracking_uri=f"sqlite:///{file}", artifact_root=root.as_uri())
    for model, version, _ in versions:
        with ONE_AT_A_TIME:
            lost = registry.of(model).lost(registry.of(model).version(version))
        if lost:
            yield Difference(name, f"files of {model} version {version}", 1, lost)
