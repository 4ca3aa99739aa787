"""MLflow's database as a file of the home: how it begins, that its addresses follow the home, what it is refused for.

MLflow keeps absolute addresses of its files. A home that was moved, copied or restored would write its models into the
place where it was made, or find none; so the addresses are brought to where the home is now, before they are used.
"""

import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlparse

from resources.folders import make_private, name_to_disk, of_disk, to_disk
from resources.private_folder import private_folder

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


class OlderRegistryError(RegistryError):
    """An earlier MLflow wrote the database: it has to be brought up."""


KEPT = Path(sys.prefix) / "share" / "baton"
"""Where this environment keeps what every home would have to make again."""


def empty_database(kept_in: Path = KEPT) -> Path | None:
    """Return an empty MLflow database of the installed version, made once an environment; None where none can be kept.

    MLflow takes an empty file through the 69 changes that its tables saw over the years, which costs more than all
    else that a first run asks of it.
    """
    kept = kept_in / f"mlflow-{version('mlflow')}.db"
    if kept.exists():
        return kept
    # An environment may be read-only, as in an image: then MLflow makes each database itself.
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            made = Path(folder) / kept.name
            _make_database(made)
            to_disk(made).replace(kept)
            name_to_disk(kept)
        return kept
    return None


def _make_database(file: Path) -> None:
    """Write a database with MLflow's tables and nothing in them: `mlflow db upgrade`, in this process."""
    from mlflow.db import commands

    commands.main(["upgrade", f"{PREFIX}{file}"], standalone_mode=False)


def begin_database(file: Path) -> None:
    """Put an empty database where none is yet; a kill leaves none, and of two processes one puts it there."""
    make_private(file.parent)
    if file.exists():
        return
    empty = empty_database()
    if empty is None:
        return
    with private_folder(file.parent, ".mlflow-") as folder:
        whole = to_disk(shutil.copyfile(empty, folder / file.name))
        with contextlib.suppress(FileExistsError):
            os.link(whole, file)


def follow(tracking_uri: str, artifact_root: str, experiment: str) -> None:
    """Bring the addresses of an experiment's files to `artifact_root`, if the database and the files moved together.

    Only where both lie in one folder: a registry elsewhere has addresses that somebody else gives. One transaction, so
    that a kill leaves either all of them or none.

    Raises:
        RegistryError: the file is there, and is no database that can be read and written, or of another MLflow.
    """
    file = _beside(tracking_uri, artifact_root)
    if file is None or not file.exists() or not file.stat().st_size:
        return
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as database:
            former = _former(database, experiment)
            if former is None:
                # Nothing is in it yet. MLflow itself goes on where the making of it was killed.
                return
            _look_once(database, file)
            if former == artifact_root:
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
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> RegistryError:
    return RegistryError(
        of_disk(str(error))
        or f"Expected MLflow's database at {file}, and it cannot be used: {error}. If it cannot be written to, give "
        "this user the right to. If it is damaged, bring the home back by `make restore FROM=<folder>`; without a "
        "backup move the file away, and `make run` trains and registers anew."
    )


_looked: set[tuple[Path, int]] = set()
"""The databases that this process found whole: MLflow tells of a damaged one by whatever its libraries raise."""


def _look_once(database: sqlite3.Connection, file: Path) -> None:
    looked = (file, file.stat().st_ino)
    if looked in _looked:
        return
    [said] = database.execute("pragma quick_check(1)").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError(said)
    found, wanted = _schema(database), _newest_schema()
    if found and found != wanted:
        here = f"MLflow {version('mlflow')}, which is installed, ({wanted})"
        if found in _known_schemas():
            raise OlderRegistryError(
                f"Expected MLflow's database {file} in the schema of {here}, and it is in that of an earlier MLflow "
                f"({found}). Bring it up: make upgrade. It keeps a copy of the database as it is. Nothing was changed."
            )
        raise RegistryError(
            f"Expected MLflow's database {file} in the schema of {here}, and a later MLflow wrote it ({found}). Check "
            "out the baton that wrote it, or a later one, then `make setup` and this command again; or bring an "
            "earlier backup back by `make restore FROM=<folder>`. Nothing was changed."
        )
    _looked.add(looked)


def upgrade(tracking_uri: str) -> str:
    """Bring a database in a file to the schema of the installed MLflow; return what was done, in a sentence.

    A copy of the database as it was is kept beside it.

    Raises:
        RegistryError: the file is no whole database, or a later MLflow wrote it.
    """
    file = Path(tracking_uri.removeprefix(PREFIX))
    if not file.exists():
        return f"There is no database of MLflow at {file} yet."
    with contextlib.closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as database:
        try:
            _look_once(database, file)
        except OlderRegistryError:
            former = _schema(database)
        except sqlite3.Error as error:
            raise _damaged(file, error) from error
        else:
            return f"MLflow's database {file} is in the schema of MLflow {version('mlflow')} ({_schema(database)})."
        kept = file.with_name(f"{file.name}.{former}")
        with contextlib.closing(sqlite3.connect(kept)) as copy:
            database.backup(copy)
    import sqlalchemy
    from mlflow.store.db.utils import _upgrade_db

    engine = sqlalchemy.create_engine(tracking_uri)
    try:
        _upgrade_db(engine)  # type: ignore[no-untyped-call]
    finally:
        engine.dispose()
    return (
        f"MLflow's database {file} was brought from the schema {former} to that of MLflow {version('mlflow')} "
        f"({_newest_schema()}). As it was it is kept in {kept}."
    )


def _schema(database: sqlite3.Connection) -> str:
    """Return the revision of a database's schema; empty where no MLflow made one yet."""
    if not database.execute("select 1 from sqlite_master where name = 'alembic_version'").fetchone():
        return ""
    found = database.execute("select version_num from alembic_version").fetchone()
    return str(found[0]) if found else ""


@cache
def _newest_schema() -> str:
    from mlflow.store.db.utils import _get_latest_schema_revision

    return str(_get_latest_schema_revision())  # type: ignore[no-untyped-call]


def _known_schemas() -> set[str]:
    """Return the revisions from which the installed MLflow can come to its own."""
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    config = _get_alembic_config(db_url="")  # type: ignore[no-untyped-call]
    return {one.revision for one in ScriptDirectory.from_config(config).walk_revisions()}


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
