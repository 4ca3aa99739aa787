"""A home is backed up and restored: all state in one folder, read back before it counts, with the versions it needs.

A backup is of one moment, also while the daemon works. Nobody can write to the warehouse while it is copied, and the
databases of MLflow and Dagster are copied while it stands still, so that the copies fit together as they would after a
kill at that moment. MLflow's files never change once a version is registered, so they follow last.
"""

import contextlib
import hashlib
import json
import shutil
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, TYPE_CHECKING

from resources.fetched_copy import LOCK as FETCHING
from resources.folders import make_private, name_to_disk, of_disk, to_disk
from resources.serving_copy import FILE as SERVING_COPY
from resources.warehouse import WarehouseError, open_duckdb, quoted
from resources.week_report import FOLDER as REPORT

if TYPE_CHECKING:
    import duckdb

NOTE = "backup.json"
"""The file in a backup that says what it holds."""

MADE_ANEW = frozenset(
    {"dbt", "dbt-production", "local_copy.duckdb", SERVING_COPY, REPORT, "drill", "scale", "coverage"}
    | {"runs.lock", "ui.lock", "drills.lock", FETCHING, NOTE}
)
"""What of a home is no state: the next run makes it again."""

PACKAGES = ("baton", "dagster", "duckdb", "mlflow", "scikit-learn")
"""Whose versions decide whether a home can be read."""

SQLITE = b"SQLite format 3\x00"

JOURNALS = (".db-wal", ".db-shm", ".db-journal", ".duckdb.wal")
"""What belongs to a database that is copied by itself."""


class BackupError(RuntimeError):
    """A backup cannot be made or restored; the message says why, and what to do. Nothing was changed."""


@dataclass(frozen=True)
class Note:
    """What a backup says of itself: of what and when, by which versions, and what it must hold.

    `files`: SHA-256 by path. `tables`: rows of each table, by the warehouse's path and the table's name.
    """

    home: str
    made_at: str
    versions: Mapping[str, str]
    files: Mapping[str, str]
    tables: Mapping[str, Mapping[str, int]]

    @property
    def rows(self) -> int:
        """How many rows all tables have."""
        return sum(sum(found.values()) for found in self.tables.values())


def versions() -> dict[str, str]:
    """Return the versions of what writes a home."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def back_up(home: Path, to: Path, *, wait_seconds: float = 600.0) -> Note:
    """Copy a home to a new folder and read it back; the folder is there whole, or not at all.

    `wait_seconds` is how long to wait for a run to let go of the warehouse.

    Raises:
        BackupError: there is no home, the folder cannot be made, or what was copied is not what was read.
        WarehouseBusyError: another process still holds the warehouse.
        WarehouseError: the warehouse cannot be read.
    """
    if not any((home / name).exists() for name in ("warehouse.duckdb", "mlflow.db")):
        raise BackupError(
            f"Expected a home in {home}, and there is no warehouse and no registry in it. Name one: export "
            "BATON_HOME=<folder>."
        )
    if to.resolve().is_relative_to(home.resolve()):
        raise BackupError(
            f"Expected a folder outside of {home}, and TO is {to}. Name one outside; nothing was written."
        )
    _refuse_filled(to, "TO")
    with _written(to, "TO") as new:
        tables = _copied(home, new, wait_seconds)
        files = {str(file.relative_to(new)): _digest(file) for file in _files(new)}
        note = Note(str(home), datetime.now(UTC).isoformat(timespec="seconds"), versions(), files, tables)
        _prove(new, note)
        (new / NOTE).write_text(json.dumps(asdict(note), indent=1) + "\n", encoding="utf-8")
    return note


def restore(source: Path, home: Path) -> Note:
    """Bring a backup back as a home that is not there yet; the home is there whole, or not at all.

    Raises:
        BackupError: it is no backup, it is damaged, later versions wrote it, or the home holds something already.
    """
    note = _read(source)
    _refuse_filled(home, "the home")
    _refuse_later(note)
    with _written(home, "the home") as new:
        changed = [name for name, digest in note.files.items() if _brought(source / name, new / name) != digest]
        if changed:
            raise BackupError(
                f"Expected the files of {source} as they were written, and {len(changed)} of {len(note.files)} are "
                f"others or gone, such as {changed[0]}. The backup is damaged: restore another one. Nothing was "
                "changed."
            )
        _prove(new, note)
    return note


def _refuse_filled(folder: Path, what: str) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupError(
            f"Expected {what} to be a folder that is new or empty, and {folder} holds something. Nothing is "
            f"overwritten: move it away, or name another one. Nothing was changed."
        )


def _refuse_later(note: Note) -> None:
    """Refuse what a later engine wrote: an older one reads it not at all, or wrongly."""
    here = versions()
    later = [
        f"{name} {made} (here {here[name]})"
        for name, made in note.versions.items()
        if name in here and name != "baton" and _number(made) > _number(here[name])
    ]
    if later:
        raise BackupError(
            f"Expected a backup that the versions here can read, and it was written by {', '.join(later)}. Check out "
            f"the baton that wrote it ({note.versions.get('baton', 'unknown')}) or a later one, then `make setup` and "
            "this command again. Nothing was changed."
        )


def _number(text: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in text.split(".")[:3])


def _read(source: Path) -> Note:
    file = source / NOTE
    try:
        return Note(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BackupError(
            f"Expected FROM to be a folder that `make backup` wrote, with {NOTE} in it, and {source} is none: {error}. "
            "Name the folder that was TO. Nothing was changed."
        ) from error


@contextlib.contextmanager
def _written(folder: Path, what: str) -> Iterator[Path]:
    """Yield a new folder beside the wanted one; it takes that name when all went well, and is gone otherwise."""
    new = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.new")
    try:
        make_private(new)
        yield new
        to_disk(new)
        if folder.exists():
            folder.rmdir()
        new.rename(folder)
        name_to_disk(folder)
    except OSError as error:
        raise BackupError(
            f"Expected to write {what} to {folder}, and it could not be: {error}. Make room or name another folder; "
            "nothing was changed."
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _copied(home: Path, new: Path, wait_seconds: float) -> dict[str, dict[str, int]]:
    """Copy what is state; return the rows of each table of each warehouse, counted in what was copied from."""
    tables: dict[str, dict[str, int]] = {}
    with contextlib.ExitStack() as held:
        for name in _state(home):
            if name.suffix == ".duckdb":
                file = home / name
                connection = held.enter_context(open_duckdb(str(file), read_only=True, wait_seconds=wait_seconds))
                tables[str(name)] = _counted(connection)
                # Closing a file lets go of every lock that the process has on it: closed last, with the connection.
                for part in (file, Path(f"{file}.wal")):
                    if part.exists():
                        _copy_open(held.enter_context(part.open("rb")), new / part.relative_to(home))
        for name in _state(home):
            if name.suffix != ".duckdb" and _is_sqlite(home / name):
                _copy_sqlite(home / name, new / name)
    for name in _state(home):
        if not (new / name).exists():
            make_private((new / name).parent)
            # What Dagster no longer keeps may go meanwhile.
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(home / name, new / name)
    return tables


def _state(home: Path) -> list[Path]:
    """Return the files of a home that no run makes again, relative to it."""
    found = sorted(file.relative_to(home) for file in home.rglob("*") if file.is_file())
    return [name for name in found if not set(name.parts) & MADE_ANEW and not name.name.endswith(JOURNALS)]


def _is_sqlite(file: Path) -> bool:
    with contextlib.suppress(FileNotFoundError), file.open("rb") as opened:
        return opened.read(len(SQLITE)) == SQLITE
    return False


def _copy_open(source: IO[bytes], target: Path) -> None:
    make_private(target.parent)
    with target.open("wb") as written:
        shutil.copyfileobj(source, written, 1 << 24)


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database as of one moment, whoever writes to it meanwhile."""
    make_private(target.parent)
    try:
        with (
            contextlib.closing(sqlite3.connect(source, timeout=60)) as reads,
            contextlib.closing(sqlite3.connect(target)) as writes,
        ):
            reads.backup(writes)
    except sqlite3.Error as error:
        raise BackupError(
            of_disk(str(error))
            or f"Expected a whole database in {source}, and it cannot be read: {error}. `make run` says what to do "
            "with it; a damaged home is not backed up over nothing. Nothing was written."
        ) from error


def _brought(source: Path, target: Path) -> str:
    """Copy a file and return the digest of the copy; empty where there is none to copy."""
    if not source.is_file():
        return ""
    make_private(target.parent)
    shutil.copyfile(source, target)
    return _digest(target)


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.name != NOTE)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _counted(connection: "duckdb.DuckDBPyConnection") -> dict[str, int]:
    names = connection.execute(
        "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE' order by 1, 2"
    ).fetchall()
    counts = {}
    for schema, table in names:
        found = connection.execute(f"select count(*) from {quoted(schema)}.{quoted(table)}").fetchone()
        counts[f"{schema}.{table}"] = int(found[0]) if found else 0
    return counts


def _prove(folder: Path, note: Note) -> None:
    """Open every database of a copy and hold it against the note.

    Raises:
        BackupError: one cannot be read, or a table has other rows.
    """
    for name, tables in note.tables.items():
        try:
            with open_duckdb(str(folder / name), read_only=True) as connection:
                found = _counted(connection)
        except WarehouseError as error:
            raise BackupError(f"What was copied cannot be read back: {error}") from error
        others = [
            f"{table} ({found.get(table)} for {rows})" for table, rows in tables.items() if found.get(table) != rows
        ]
        if others:
            raise BackupError(
                f"Expected the rows of {note.home} in the copy of {name}, and {len(others)} table(s) have others, such "
                f"as {others[0]}. Run the command again. Nothing was changed."
            )
    for file in _files(folder):
        if _is_sqlite(file):
            # Immutable: reading leaves no journal beside it.
            with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?immutable=1", uri=True)) as database:
                said = database.execute("pragma integrity_check").fetchone()[0]
            if said != "ok":
                raise BackupError(f"What was copied to {file} is no whole database: {said}. Run the command again.")
