"""The serving copy of a warehouse elsewhere, fetched onto this machine: what the pages for people read in production.

There the tables themselves serve whoever asks in SQL. Pages ask dozens of small questions an hour, and BigQuery
answers the smallest in a second and bills each for ten megabytes. So a process that shows pages holds the published
tables as a file of its own, the same that the embedded profile has, and fetches it again after each publication.

What is fetched is of one moment. Descriptions of tables are free: they tell whether anything was published since, and
whether a run is writing just now, in which case the former file stays until that run has published.
"""

import contextlib
import fcntl
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.folders import make_private
from resources.private_folder import private_folder
from resources.serving_copy import FILE, LAYOUT, PUBLISHED, Part, list_held, open_copy, put_in_place, put_rows
from resources.warehouse import Source, SourceTable, WarehouseError, all_or_nothing, insert_batches, quoted

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

FETCHED = ("published", "fetched")
"""The table of a fetched copy that says of which publication it is, as the warehouse describes it."""

LOCK = "fetching.lock"
"""The file beside the copy that whoever fetches holds: pages and endpoint of one home fetch once for both."""

Described = Mapping[tuple[str, str], SourceTable | None]


def fetch(source: Source, parts: Sequence[Part], file: Path) -> bool:
    """Bring the copy to what the warehouse published last; return whether there was something new.

    Of several processes with one home one fetches, and the others wait and find it done.

    While a run writes, the copy stays as it is; where there is none yet, what is there is taken. What changes in the
    middle of it is left for the next call.

    Raises:
        WarehouseError: nothing was published yet, it is of another layout, or a table cannot be read. The former copy
            is as it was.
    """
    with _one_at_a_time(file.parent):
        return _fetch(source, parts, file)


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    make_private(folder)
    with (folder / LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(source: Source, parts: Sequence[Part], file: Path) -> bool:
    published = source.describe(*PUBLISHED)
    if published is None:
        raise WarehouseError(
            f"Expected {'.'.join(PUBLISHED)} in the warehouse, and nothing was published there yet. Run the job "
            "`everything` in the web UI; the pages look again by themselves."
        )
    held = _held(file)
    if published.changed and held == published.changed:
        return False
    described = _described(source, parts)
    if held is not None and _is_written_to(described, published):
        return False
    with private_folder(file.parent, ".serving-") as folder:
        new = folder / FILE
        rows = _Fetching(source, described, new).done(parts, published)
        if source.describe(*PUBLISHED) != published or _described(source, parts) != described:
            return False
        put_in_place(new, file, rows)
    return True


def _described(source: Source, parts: Sequence[Part]) -> Described:
    return {(part.schema, part.table): source.describe(part.schema, part.table) for part in parts}


def _is_written_to(described: Described, published: SourceTable) -> bool:
    """Tell whether a table has changed since the publication: its run, or whoever it was, will publish again."""
    times = [table.modified for table in described.values() if table is not None and table.modified is not None]
    return published.modified is not None and any(time > published.modified for time in times)


def _held(file: Path) -> str | None:
    """Return of which publication a copy is; None: there is no copy that was fetched whole and can be read."""
    try:
        with open_copy(file) as connection:
            names = connection.execute("select table_schema, table_name from information_schema.tables").fetchall()
            if FETCHED not in names:
                return None
            [(changed,)] = connection.execute(f"select changed from {'.'.join(FETCHED)}").fetchall()
    except WarehouseError:
        return None
    return str(changed)


class _Fetching:
    """One copy while it is written."""

    def __init__(self, source: Source, described: Described, file: Path) -> None:
        self.source, self.described, self.file = source, described, file

    def done(self, parts: Sequence[Part], published: SourceTable) -> dict[tuple[str, str], int]:
        """Write the file whole; return the rows of each table."""
        import duckdb
        import pandas as pd

        about = self._about()
        with duckdb.connect(str(self.file)) as connection:
            connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")
            with all_or_nothing(connection):
                rows = {
                    (part.schema, part.table): count
                    for part in parts
                    if (count := self._part(connection, part)) is not None
                }
                list_held(connection, parts, rows)
                put_rows(connection, PUBLISHED, about)
                now = pd.Timestamp(datetime.now(UTC))
                put_rows(connection, FETCHED, pd.DataFrame([{"changed": published.changed, "fetched_at": now}]))
        return {**rows, PUBLISHED: 1}

    def _about(self) -> "pd.DataFrame":
        """Return the row of the publication; what calls the champion stays in the warehouse, and is not named."""
        about = self.source.read(f"select * from {'.'.join(PUBLISHED)}")
        layout = int(about["layout"].max()) if len(about) else None
        if layout != LAYOUT:
            what = "say nothing of it" if layout is None else f"are of layout {layout}"
            raise WarehouseError(
                f"Expected published tables of layout {LAYOUT}, and those of the warehouse {what}. Let the pages and "
                "what publishes be of one release; the former copy is as it was."
            )
        return about.assign(champion_function=None)

    def _part(self, connection: "duckdb.DuckDBPyConnection", part: Part) -> int | None:
        """Copy a table and return its rows; None where it is left out."""
        name, table = f"{quoted(part.schema)}.{quoted(part.table)}", self.described[part.schema, part.table]
        if table is None and part.columns is None:
            return None
        kinds = table.columns if table is not None else part.columns or {}
        connection.execute(f"create schema if not exists {quoted(part.schema)}")
        columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in kinds.items())
        connection.execute(f"create table {name} ({columns})")
        if table is None:
            return 0
        statement, given = f"select {', '.join(table.reads.values())} from {part.schema}.{part.table}", list[Any]()
        if part.since:
            first = self._first(connection, part)
            # Where nothing is there to begin with, nothing is kept, as in SQL.
            statement, given = f"{statement} where cutoff_date >= ?", [first or date.max]
        return insert_batches(connection, name, kinds, self.source.arrow_batches(statement, given))

    def _first(self, connection: "duckdb.DuckDBPyConnection", part: Part) -> date | None:
        """Return the first cutoff that is kept of a table."""
        if "{source}" in part.since:
            [first] = self.source.read(part.since.format(source=f"{part.schema}.{part.table}")).iloc[:, 0]
        else:
            [(first,)] = connection.execute(part.since).fetchall()
        return None if first is None or first != first else date.fromisoformat(str(first)[:10])
