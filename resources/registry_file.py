"""MLflow's database as a file of the home: its addresses follow the home, and what it cannot be read for is said.

MLflow keeps absolute addresses of its files. A home that was moved, copied or restored would write its models into the
place where it was made, or find none; so the addresses are brought to where the home is now, before they are used.
"""

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import unquote, urlparse

PREFIX = "sqlite:///"

PLACES = {
    "experiments": "artifact_location",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
    "runs": "artifact_uri",
}
"""Where MLflow's database keeps absolute addresses of files."""


class RegistryError(RuntimeError):
    """The registry, a version or its file is missing or damaged; the message says which and what to do."""


def follow(tracking_uri: str, artifact_root: str, experiment: str) -> None:
    """Bring the addresses of an experiment's files to `artifact_root`, if the database and the files moved together.

    Only where both lie in one folder: a registry elsewhere has addresses that somebody else gives. One transaction, so
    that a kill leaves either all of them or none.

    Raises:
        RegistryError: the file is there, and is no database that can be read and written.
    """
    file = _beside(tracking_uri, artifact_root)
    if file is None or not file.exists() or not file.stat().st_size:
        return
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as database:
            _look_once(database, file, file.stat().st_ino)
            former = _former(database, experiment)
            if former is None or former == artifact_root:
                return
            database.execute("begin immediate")
            for table, column in PLACES.items():
                database.execute(
                    f"update {table} set {column} = ? || substr({column}, ?) where {column} = ? "
                    f"or substr({column}, 1, ?) = ?",
                    [artifact_root, len(former) + 1, former, len(former) + 1, f"{former}/"],
                )
            database.execute("commit")
    except sqlite3.Error as error:
        raise RegistryError(
            f"Expected MLflow's database at {file}, and it cannot be used: {error}. If it cannot be written to, give "
            "this user the right to. If it is damaged, bring the home back by `make restore FROM=<folder>`; without a "
            "backup move the file away, and `make run` trains and registers anew."
        ) from error


_looked: set[tuple[Path, int]] = set()
"""The databases that this process found whole: MLflow tells of a damaged one by whatever its libraries raise."""


def _look_once(database: sqlite3.Connection, file: Path, made: int) -> None:
    if (file, made) not in _looked:
        [said] = database.execute("pragma quick_check(1)").fetchone()
        if said != "ok":
            raise sqlite3.DatabaseError(said)
        _looked.add((file, made))


def _former(database: sqlite3.Connection, experiment: str) -> str | None:
    """Return where the experiment's files were when it was last used; None: there is no experiment yet."""
    if not database.execute("select 1 from sqlite_master where name = 'experiments'").fetchone():
        return None
    found = database.execute("select artifact_location from experiments where name = ?", [experiment]).fetchone()
    return str(found[0]) if found else None


def _beside(tracking_uri: str, artifact_root: str) -> Path | None:
    """Return the database's file if the artefacts lie in the same folder."""
    root = urlparse(artifact_root)
    if not tracking_uri.startswith(PREFIX) or root.scheme != "file":
        return None
    file = Path(tracking_uri.removeprefix(PREFIX))
    return file if file.parent == Path(unquote(root.path)).parent else None
