"""What each drill came to, kept until something that it depends on changes: `make drill-all` goes on where it stopped.

One file a drill. It names what it was made of: the tables, the code, the description, FROM and WEEKS.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import date
from pathlib import Path

from drills.faults import Fault
from drills.run import Score
from resources.folders import to_disk
from resources.profiles import ROOT
from resources.sandbox import Sandbox

CODE = ("ml_models", "drills", "steps", "resources", "commands/drill.py")
"""What a drill depends on beside the tables: when it changes, the drill is run again."""


def basis(sandbox: Sandbox, code: Sequence[str] = CODE) -> str:
    """Return what all drills depend on: the tables as they are, dbt's project and `code` (files and folders)."""
    stat = Path(sandbox.warehouse_path).stat()
    digest = hashlib.sha256(repr((sandbox.dbt.digest(), stat.st_size, stat.st_mtime_ns)).encode())
    for name in code:
        place = ROOT / name
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(file.read_bytes())
    return digest.hexdigest()


def made_of(on: str, name: str, fault: Fault | None, start: date | None = None, weeks: int | None = None) -> str:
    """Return what one drill depends on, in twelve digits; `on` is the `basis`."""
    asked = (start, weeks) if start or weeks else ""
    return hashlib.sha256(f"{on}{name}{fault!r}{asked}".encode()).hexdigest()[:12]


def keep(score: Score, folder: Path, of: str) -> None:
    """Write a score under its name, with what it was made of (`made_of`)."""
    folder.mkdir(parents=True, exist_ok=True)
    row = {name: str(value) if isinstance(value, date) else value for name, value in score.row().items()}
    half = folder / f".{score.name}.{uuid.uuid4().hex}"
    half.write_text(json.dumps({"made_of": of} | row, indent=1), encoding="utf-8")
    to_disk(half).replace(folder / f"{score.name}.json")


def kept(name: str, folder: Path, of: str) -> Score | None:
    """Return the score of a drill that was run before; None where it was not, or what it was made of has changed."""
    file = folder / f"{name}.json"
    if not file.exists():
        return None
    row = json.loads(file.read_text(encoding="utf-8"))
    if row.pop("made_of", "") != of or set(row) != {field.name for field in fields(Score)}:
        return None
    return replace(Score(**row), start=date.fromisoformat(row["start"]))
