"""Published scores: SQL functions in the warehouse, one a version, and the alias that analysts call.

Here belongs how an engine keeps functions, by its SQL dialect. The texts come from `ml_models.scoring_sql`; here they
are run. On DuckDB all statements of a call are one transaction. BigQuery has none for functions: there each statement
replaces one function whole, and the alias comes last.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from resources.warehouse import Warehouse, WarehouseError

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pandas as pd

    from ml_models.scoring_sql import CompiledScore
    from ml_models.scoring_sql.compiler import DialectName

SCHEMA = "scoring"

KEPT_VERSIONS = 12
"""Newest versions that stay callable, beside the champion: DuckDB reads every function whenever the file is opened
(50 boosted versions: half a second)."""


STANDS = "The alias calls what it called."
"""What is true when BigQuery fails midway."""

AS_BEFORE = "The function is as it was."
"""The same of a schema whose functions have no alias."""


@dataclass(frozen=True)
class Published:
    """What a problem's functions are: the versions there are, and the one that the alias calls (None: no alias)."""

    versions: tuple[int, ...]
    champion: int | None


class _Functions(Protocol):
    """The functions of a schema, on one engine."""

    dialect: "DialectName"
    schema: str

    def run(self, statement: str) -> None: ...

    def definitions(self) -> dict[str, str]:
        """Return the functions' bodies by name."""

    def computes(self, definition: str, expression: str) -> bool:
        """Tell whether a function's body, as the engine gives it back, is this expression."""

    def drop(self, name: str) -> None: ...


def score_in_memory(sql: str, rows: "pd.DataFrame") -> "np.ndarray":
    """Return the column `score` of a query over `rows` (there: `parity_rows`), null as NaN, by a DuckDB of its own.

    A proof by it depends on no warehouse, and reads and writes nothing.
    """
    import duckdb

    with duckdb.connect() as connection:
        connection.register("parity_rows", rows)
        return connection.execute(sql).fetchdf()["score"].to_numpy(dtype="float64", na_value=float("nan"))


def publish(
    warehouse: Warehouse,
    problem_name: str,
    version: int,
    compiled: "CompiledScore",
    *,
    alias: bool = False,
    keep: int = KEPT_VERSIONS,
) -> Published:
    """Publish a version as the SQL function `scoring.<problem>_v<version>`; with `alias`, make it the champion.

    The same again changes nothing. Functions of versions older than the newest `keep` are dropped, the champion's
    never; publishing one again brings it back.

    Raises:
        WarehouseError: the function is there already and computes something else (a version never changes), or
            `compiled` is in another engine's dialect. Nothing was changed.
    """
    from ml_models.scoring_sql import function_name, function_statements

    name = function_name(problem_name, version)
    if compiled.dialect != warehouse.dialect:
        raise WarehouseError(
            f"Expected a score compiled to {warehouse.dialect} for this warehouse, got {compiled.dialect}. "
            "Compile the pipeline again with that dialect; nothing was changed."
        )
    with _functions(warehouse) as functions:
        there = functions.definitions().get(name)
        if there is not None and not functions.computes(there, compiled.expression):
            raise WarehouseError(
                f"Expected {SCHEMA}.{name} to be what version {version} was published as, but it computes something "
                "else. A version never changes: register the new model as a new version, or drop the function if it "
                "was made by hand. Nothing was changed."
            )
        for statement in function_statements(problem_name, version, compiled, alias, schema=functions.schema):
            functions.run(statement)
        published = _published(functions, problem_name)
        for old in published.versions[: -keep or None]:
            if old not in (published.champion, version):
                functions.drop(function_name(problem_name, old))
        return _published(functions, problem_name)


def move_alias(warehouse: Warehouse, problem_name: str, version: int) -> Published:
    """Point `scoring.<problem>_champion` to a published version: what a promotion and a rollback do.

    Raises:
        WarehouseError: that version is not published (any more); the alias stays.
    """
    from ml_models.scoring_sql import alias_statements

    with _functions(warehouse) as functions:
        there = _published(functions, problem_name)
        if version not in there.versions:
            known = ", ".join(map(str, there.versions)) or "none"
            raise WarehouseError(
                f"Expected version {version} of {problem_name} among the published SQL functions; published are: "
                f"{known}. Publish it first. The alias was not moved."
            )
        for statement in alias_statements(problem_name, version, functions.dialect, schema=functions.schema):
            functions.run(statement)
        return _published(functions, problem_name)


def withdraw_alias(warehouse: Warehouse, problem_name: str) -> Published:
    """Remove the alias: where SQL cannot compute the champion, nobody must go on calling the one before it."""
    from ml_models.scoring_sql.publishing import CHAMPION, function_name

    return _dropped(warehouse, problem_name, [function_name(problem_name, CHAMPION)])


def withdraw(warehouse: Warehouse, problem_name: str, version: int) -> Published:
    """Remove a version that does not say what scikit-learn says, and the alias before it."""
    from ml_models.scoring_sql.publishing import CHAMPION, function_name

    names = [function_name(problem_name, CHAMPION), function_name(problem_name, version)]
    return _dropped(warehouse, problem_name, names)


def _dropped(warehouse: Warehouse, problem_name: str, names: Sequence[str]) -> Published:
    with _functions(warehouse) as functions:
        there = functions.definitions()
        for name in names:
            if name in there:
                functions.drop(name)
        return _published(functions, problem_name)


def published(warehouse: Warehouse, problem_name: str) -> Published:
    """Return which versions of a problem can be called, and which one the alias calls."""
    with _functions(warehouse, read_only=True) as functions:
        return _published(functions, problem_name)


def _published(functions: _Functions, problem_name: str) -> Published:
    from ml_models.scoring_sql.publishing import CHAMPION, aliased_version, function_name

    definitions = functions.definitions()
    found = [re.fullmatch(rf"{re.escape(problem_name)}_v([0-9]+)", name) for name in definitions]
    alias = definitions.get(function_name(problem_name, CHAMPION))
    champion = None if alias is None else aliased_version(problem_name, alias)
    return Published(tuple(sorted(int(one.group(1)) for one in found if one)), champion)


def _functions(warehouse: Warehouse, *, read_only: bool = False) -> AbstractContextManager[_Functions]:
    return functions_of(warehouse, SCHEMA, read_only=read_only)


def functions_of(warehouse: Warehouse, schema: str, *, read_only: bool = False) -> AbstractContextManager[_Functions]:
    """Open the functions of one schema of a warehouse, on whichever engine it is.

    Raises:
        WarehouseError: nothing is said of how that engine keeps functions.
    """
    opened = _OPENED.get(warehouse.dialect)
    if opened is None:
        raise WarehouseError(
            f"Expected a warehouse whose SQL is one of {', '.join(sorted(_OPENED))} to publish SQL functions in, got "
            f"{warehouse.dialect}. Say in resources/sql_functions.py how that engine keeps functions; nothing was "
            "changed."
        )
    return opened(warehouse, read_only, schema)


_GIVEN = "_baton_given"


def macros(connection: "duckdb.DuckDBPyConnection", database: str, schema: str = SCHEMA) -> dict[str, str]:
    """Return the published functions of a DuckDB database that a connection has open: the body of each by its name."""
    rows = connection.execute(
        "select function_name, macro_definition from duckdb_functions() "
        "where database_name = ? and schema_name = ? and function_type = 'macro'",
        [database, schema],
    )
    return dict(rows.fetchall())


class _Macros:
    """DuckDB's macros."""

    dialect: "DialectName" = "duckdb"

    def __init__(self, connection: Any, schema: str) -> None:
        self.connection, self.schema = connection, schema

    def run(self, statement: str) -> None:
        self.connection.execute(statement)

    def definitions(self) -> dict[str, str]:
        [(database,)] = self.connection.execute("select current_database()").fetchall()
        return macros(self.connection, database, self.schema)

    def computes(self, definition: str, expression: str) -> bool:
        # DuckDB keeps a text of its own making, so the expression is put through the same.
        self.connection.execute(f"create or replace temp macro {_GIVEN}(f) as ({expression})")
        try:
            [(given,)] = self.connection.execute(
                "select macro_definition from duckdb_functions() where database_name = 'temp' and function_name = ?",
                [_GIVEN],
            ).fetchall()
        finally:
            self.connection.execute(f"drop macro temp.{_GIVEN}")
        return bool(given == definition)

    def drop(self, name: str) -> None:
        self.connection.execute(f'drop macro "{self.schema}"."{name}"')


class _Routines:
    """BigQuery's functions."""

    dialect: "DialectName" = "googlesql"

    def __init__(self, warehouse: Any, client: Any, schema: str) -> None:
        self.warehouse, self.client = warehouse, client
        self.schema = f"{warehouse.project}.{schema}"
        self.unchanged = _unchanged(schema)
        self.asked: dict[str, Any] = warehouse.asked()

    def run(self, statement: str) -> None:
        # The dataset is there already, in the right location.
        if not statement.startswith("create schema"):
            self.warehouse.execute(statement, unchanged=self.unchanged)

    def definitions(self) -> dict[str, str]:
        from google.api_core.exceptions import NotFound

        try:
            listed = [routine.reference for routine in self.client.list_routines(self.schema, **self.asked)]
        except NotFound:
            return {}
        routines = [self.client.get_routine(reference, **self.asked) for reference in listed]
        return {routine.reference.routine_id: routine.body or "" for routine in routines}

    def computes(self, definition: str, expression: str) -> bool:
        # BigQuery keeps the text as it was given, but for what surrounds it.
        return _tokens(definition) == _tokens(expression)

    def drop(self, name: str) -> None:
        self.client.delete_routine(f"{self.schema}.{name}", not_found_ok=True, **self.asked)


def _unchanged(schema: str) -> str:
    return STANDS if schema == SCHEMA else AS_BEFORE


@contextlib.contextmanager
def _macros(warehouse: Any, read_only: bool, schema: str) -> Iterator[_Functions]:
    with warehouse.connect() if read_only else warehouse.transaction() as connection:
        yield _Macros(connection, schema)


@contextlib.contextmanager
def _routines(warehouse: Any, read_only: bool, schema: str) -> Iterator[_Functions]:
    with warehouse.connect("publishing SQL functions", unchanged=_unchanged(schema)) as client:
        if not read_only:
            warehouse.ensure_dataset(client, schema)
        yield _Routines(warehouse, client, schema)


_OPENED: Mapping[str, Callable[[Any, bool, str], AbstractContextManager[_Functions]]] = {
    "duckdb": _macros,
    "googlesql": _routines,
}
"""How the functions of an engine are reached, by its SQL dialect."""

_TOKEN = re.compile(
    r"""'(?:[^'\\]|\\.)*' | `[^`]*` | [0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)? | \w+ | [^\w\s]""", re.VERBOSE
)


def _tokens(text: str) -> list[str]:
    """Return what an expression is made of, in its order, without the parentheses around all of it."""
    found = _TOKEN.findall(text)
    while found and found[0] == "(" and _closed_by(found) == len(found) - 1:
        found = found[1:-1]
    return [one if one[0] in "'`" else one.lower() for one in found]


def _closed_by(tokens: Sequence[str]) -> int | None:
    """Return where the parenthesis that the tokens begin with is closed."""
    depth = 0
    for position, token in enumerate(tokens):
        depth += (token == "(") - (token == ")")
        if depth == 0:
            return position
    return None
