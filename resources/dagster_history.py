"""Dagster's own SQLite storage, with the files of the event log held open between events.

Dagster makes an engine and opens the file anew for each statement on its event log: a run of this graph stores some
seven hundred events, each by three or more connections, and whoever closes a file as the last one moves its log into
it and waits for the disk. Here a file stays open from its first event on. What is stored, and where, is the same, so
either storage reads what the other one wrote.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import sqlalchemy as db
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from sqlalchemy.pool import StaticPool

BUSY_SECONDS = 60
"""How long a statement waits for another process that writes to the file."""

RUNS_OPEN = 2
"""Files of so many runs stay open beside the index: the run that is going on, and one that is looked at."""


class History(DagsterSqliteStorage):
    """What `dagster.yaml` names as the embedded profile's storage; `base_dir` is the instance's folder."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        super().__init__(base_dir, inst_data=inst_data)
        self._event_log_storage = EventLog(os.path.join(base_dir, "history", "runs", ""))

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "History":
        """Return the storage of an instance's configuration."""
        return cls.from_local(inst_data=inst_data, **config_value)


class _Open(NamedTuple):
    """A connection, and which file it is to: one that was put in its place since is another."""

    connection: db.Connection
    file: tuple[int, int, int]


class EventLog(SqliteEventLogStorage):
    """The event log in SQLite, one file a run and an index; see the module."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._known: set[str] = set()
        super().__init__(base_dir, inst_data=inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[db.Connection]:
        with self._db_lock:
            connection = self._connection(shard)
            with connection.begin():
                yield connection

    def has_secondary_index(self, name: str) -> bool:
        """Tell whether a migration of data was done. One that was is never undone, so it is asked for once."""
        if name not in self._known and super().has_secondary_index(name):
            self._known.add(name)
        return name in self._known

    def dispose(self) -> None:
        """Close all files."""
        with self._db_lock:
            for shard in list(self._open):
                self._close(shard)
        super().dispose()

    def _connection(self, shard: str) -> db.Connection:
        kept = self._open.get(shard)
        if kept is not None and kept.file == self._file(shard):
            self._open.move_to_end(shard)
            return kept.connection
        if kept is not None:
            self._close(shard)
        engine = db.create_engine(
            self.conn_string_for_shard(shard),
            poolclass=StaticPool,
            # One thread at a time, which the lock sees to.
            connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        )
        if shard not in self._initialized_dbs:
            self._initdb(engine, for_index_shard=shard == INDEX_SHARD_NAME)
            self._initialized_dbs.add(shard)
        connection = engine.connect()
        # The file is a log with a journal of its own: it stays whole whatever happens, and what a power cut may take
        # is the last events before it.
        connection.exec_driver_sql("pragma synchronous = normal")
        connection.commit()
        self._open[shard] = _Open(connection, self._file(shard))
        for other in [one for one in self._open if one != INDEX_SHARD_NAME][:-RUNS_OPEN]:
            self._close(other)
        return connection

    def _file(self, shard: str) -> tuple[int, int, int]:
        """Return what tells a file from another one of its name, and its connection from one of a parent process."""
        try:
            found = os.stat(self.path_for_shard(shard))
        except FileNotFoundError:
            # Whoever deletes a run deletes its file, and the next event makes another.
            self._initialized_dbs.discard(shard)
            return 0, 0, os.getpid()
        return found.st_dev, found.st_ino, os.getpid()

    def _close(self, shard: str) -> None:
        kept = self._open.pop(shard)
        kept.connection.close()
        kept.connection.engine.dispose()
