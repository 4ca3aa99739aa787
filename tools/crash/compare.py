"""What differs between a home that was killed and healed, and one that nobody disturbed: cell by cell, file by file."""

import contextlib
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.profiles import LOCAL_COPY
from resources.serving_copy import FILE as SERVING_COPY
from resources.warehouse import quoted
from tools.same_rows import differences

if TYPE_CHECKING:
    import duckdb

_WHEN = "when it was done, by the clock of the machine"
_RUN = "an identifier that is drawn for each run"

BY_NATURE = {
    ("raw", "*", "_airbyte_raw_id"): "an identifier that is drawn for each landed row",
    ("raw", "*", "_airbyte_generation_id"): "how often a stream was read whole: the killed run may have done it once",
    ("raw", "_airbyte_state", "generation_id"): "the same number",
    ("raw", "_airbyte_state", "committed_at"): _WHEN,
    ("raw", "_airbyte_syncs", "started_at"): _WHEN,
    ("raw", "_airbyte_syncs", "ended_at"): _WHEN,
    ("raw", "_airbyte_syncs", "cpu_seconds"): "what it cost",
    ("raw", "_airbyte_syncs", "records"): "what was left to read: two syncs share the records of one",
    ("raw", "_airbyte_syncs", "bytes"): "the same in bytes",
    ("raw", "_airbyte_syncs", "counts"): "the same as the source counts them",
    ("*", "candidate", "mlflow_run_id"): _RUN,
    ("*", "champion", "run_id"): _RUN,
    ("*", "champion", "promoted_at"): _WHEN,
    ("*", "model_card", "standing"): "it names the day of a promotion, by the clock of the machine",
    ("*", "model_card", "markdown"): "the same day",
    ("*", "model_card", "card"): "the same day",
    ("predictions", "*", "scored_at"): _WHEN,
    ("*", "predictions", "scored_at"): _WHEN,
    ("marts", "customers_at_risk", "scored_at"): _WHEN,
    ("campaigns", "assignment", "assigned_at"): _WHEN,
    ("*", "decisions", "run_id"): _RUN,
    ("features", "catalogue", "build_seconds"): "what it cost",
    ("published", "serving_copy", "run_id"): _RUN,
    ("published", "serving_copy", "published_at"): _WHEN,
}
"""The columns that are not compared, each with its reason: schema and table (`*`: all, since each problem has tables
of these names), and column."""

A_ROW_A_SYNC = ("raw", "_airbyte_syncs")
"""Its rows are compared once each: a sync that was killed and one that went on are two."""


@dataclass(frozen=True)
class Difference:
    """What is other than in the undisturbed home: where, what, in how many places, and one of them."""

    where: str
    what: str
    count: int
    example: str

    def __str__(self) -> str:
        return f"{self.where}, {self.what}: {self.count:,}, such as {self.example}"


def tables(undisturbed: Path, healed: Path) -> list[Difference]:
    """Compare every table, view and SQL function of every warehouse of two homes."""
    import duckdb

    found = []
    ours, theirs = (_warehouses(home) for home in (undisturbed, healed))
    for name in sorted(ours | theirs):
        if name not in ours or name not in theirs:
            found.append(
                Difference(name, "warehouse", 1, f"only in the {'healed' if name in theirs else 'other'} home")
            )
            continue
        with duckdb.connect() as connection:
            connection.execute(f"attach '{undisturbed / name}' as ours (read_only)")
            connection.execute(f"attach '{healed / name}' as theirs (read_only)")
            prefix = "" if "/" not in name else f"{Path(name).parent}/"
            found += [
                Difference(f"{prefix}{one.where}", one.what, one.count, one.example) for one in _compared(connection)
            ]
    return found


def _warehouses(home: Path) -> set[str]:
    copies = {LOCAL_COPY, SERVING_COPY}
    return {str(file.relative_to(home)) for file in home.rglob("*.duckdb") if file.name not in copies}


def _compared(connection: "duckdb.DuckDBPyConnection") -> Iterator[Difference]:
    ours, theirs = (_columns(connection, which) for which in ("ours", "theirs"))
    for name in sorted(ours.keys() | theirs.keys()):
        where = ".".join(name)
        if ours.get(name) != theirs.get(name):
            yield Difference(where, "columns", 1, f"{theirs.get(name)} for {ours.get(name)}")
        else:
            yield from _cells(connection, name, list(ours[name]))
    ours_macros, theirs_macros = (_macros(connection, which) for which in ("ours", "theirs"))
    for macro in sorted(ours_macros.keys() | theirs_macros.keys()):
        if ours_macros.get(macro) != theirs_macros.get(macro):
            yield Difference(macro, "SQL function", 1, f"{theirs_macros.get(macro)!r} for {ours_macros.get(macro)!r}")


def _columns(connection: "duckdb.DuckDBPyConnection", which: str) -> dict[tuple[str, str], dict[str, str]]:
    found: dict[tuple[str, str], dict[str, str]] = {}
    for schema, table, column, kind in connection.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() where database_name = ? "
        "and not internal order by schema_name, table_name, column_index",
        [which],
    ).fetchall():
        found.setdefault((schema, table), {})[column] = kind
    return found


def _macros(connection: "duckdb.DuckDBPyConnection", which: str) -> dict[str, str]:
    return dict(
        connection.execute(
            "select schema_name || '.' || function_name, macro_definition from duckdb_functions() "
            "where database_name = ? and not internal",
            [which],
        ).fetchall()
    )


def _cells(connection: "duckdb.DuckDBPyConnection", name: tuple[str, str], columns: list[str]) -> Iterator[Difference]:
    """Compare two tables of one shape: exactly and by DuckDB first, what then differs by what sums of doubles may."""
    compared = [column for column in columns if not _by_nature(*name, column)]
    listed = ", ".join(quoted(column) for column in compared)
    once, table = "distinct " if name == A_ROW_A_SYNC else "", ".".join(map(quoted, name))
    ours, theirs = (f"(select {once}{listed} from {which}.{table})" for which in ("ours", "theirs"))
    left, right = (
        connection.execute(f"select * from {one} except all select * from {other}").fetchdf()
        for one, other in ((ours, theirs), (theirs, ours))
    )
    where = ".".join(name)
    if len(left) != len(right):
        [first] = (left if len(left) else right).head(1).to_dict("records")
        which = "missing" if len(left) else "too many"
        yield Difference(
            where,
            f"rows ({len(left)} missing or other, {len(right)} too many or other)",
            len(left) + len(right),
            f"{which} {_short(first)}",
        )
        return
    for column, said in differences(left, right).items():
        yield Difference(where, column, len(left), said)


def _by_nature(schema: str, table: str, column: str) -> bool:
    named = ((schema, table, column), (schema, "*", column), ("*", table, column))
    return any(name in BY_NATURE for name in named)


def _short(row: Mapping[Any, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items())[:300]


DRAWN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|(?<=compute_logs/)[a-z]{8}")
"""What is drawn for each run in the names of files."""

OF_RUNS = "dagster/"
"""In this folder Dagster keeps what it knows of the killed run beside what it knows of the other."""


TEMPORARY, OURS = "tmp/", "tmp/baton-"
"""Of the system's folder for temporary files: what libraries leave there is the system's to clear, ours is not."""


def files(undisturbed: Path, healed: Path) -> list[Difference]:
    """Return the kinds of files that are left over or missing, whatever is drawn for each run in their names."""
    ours, theirs = (_kinds(home) for home in (undisturbed, healed))
    found = []
    for kind in sorted(ours.keys() | theirs.keys()):
        if ours[kind] == theirs[kind]:
            continue
        if OF_RUNS not in kind or not ours[kind]:
            found.append(Difference(kind, "files", theirs[kind], f"{ours[kind]} in the undisturbed home"))
    return found


LOG_OF_SQLITE = re.compile(r"\.db-(wal|shm)$")
"""What SQLite has not yet moved into its file: whoever opens that next takes it over, so it is nothing left over."""

FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}
"""How Dagster calls runs that are over."""


def unfinished(home: Path) -> list[Difference]:
    """Return the runs of Dagster that are neither finished nor marked failed, though nothing runs any more."""
    found = []
    for file in sorted(home.rglob("history/runs.db")):
        with contextlib.closing(sqlite3.connect(file)) as database:
            statuses = [status for (status,) in database.execute("select status from runs order by id")]
        open_ones = [status for status in statuses if status not in FINISHED]
        if open_ones:
            found.append(Difference(str(file.relative_to(home)), "unfinished runs", len(open_ones), open_ones[0]))
    return found


def _kinds(home: Path) -> Counter[str]:
    kept = (file for file in home.rglob("*") if not file.is_dir() and not LOG_OF_SQLITE.search(file.name))
    paths = [str(file.relative_to(home)) for file in kept]
    return Counter(DRAWN.sub("*", path) for path in paths if not path.startswith(TEMPORARY) or OURS in path)
