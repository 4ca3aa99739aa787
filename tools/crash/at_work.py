"""What was at work in a home when it was killed, by the last thing that Dagster noted."""

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path

BEFORE = "before the first step"


def last_event(home: Path) -> str:
    """Return the last event that a home's Dagster noted: its kind, and the step.

    The files are copied first: whoever opens a database of a killed process heals it.
    """
    latest = ("", BEFORE)
    with tempfile.TemporaryDirectory() as folder:
        for number, file in enumerate(home.rglob("history/runs/*.db")):
            copy = Path(folder) / f"{number}.db"
            for part in file.parent.glob(f"{file.name}*"):
                shutil.copyfile(part, f"{copy}{part.name.removeprefix(file.name)}")
            with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(copy)) as database:
                found = database.execute(
                    "select timestamp, dagster_event_type, step_key from event_logs "
                    "where dagster_event_type is not null order by timestamp desc, id desc limit 1"
                ).fetchone()
                if found:
                    latest = max(latest, (found[0], f"{found[1]} {found[2] or ''}".strip().lower()))
    return latest[1]
