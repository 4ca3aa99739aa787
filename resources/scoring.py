"""Published scores: SQL functions in the warehouse, a version each, and the alias that analysts call.

Plain functions on the warehouse contract. The texts come from `ml_models.scoring_sql`; here they are run.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resources.warehouse import DuckDBWarehouse, WarehouseError

if TYPE_CHECKING:
    from ml_models.scoring_sql import CompiledScore

SCHEMA = "scoring"


@dataclass(frozen=True)
class Published:
    """What a problem's functions are: the versions there are, and the one that the alias calls (None: no alias)."""

    versions: tuple[int, ...]
    champion: int | None


def publish(
    warehouse: DuckDBWarehouse, problem_name: str, version: int, compiled: "CompiledScore", *, alias: bool = False
) -> Published:
    """Publish a version as the SQL function `scoring.<problem>_v<version>`; with `alias`, make it the champion.

    All or nothing, and the same again changes nothing: a published version never changes, because its model does not.

    Raises:
        WarehouseError: the function is there already and computes something else.
    """
    from ml_models.scoring_sql import function_name, function_statements

    with _transaction(warehouse) as connection:
        before = _definition(connection, function_name(problem_name, version))
        for statement in function_statements(problem_name, version, compiled, alias):
            connection.execute(statement)
        after = _definition(connection, function_name(problem_name, version))
        if before is not None and before != after:
            raise WarehouseError(
                f"Expected {SCHEMA}.{function_name(problem_name, version)} to be what version {version} was published "
                "as, but it computes something else. A version never changes; register the new model as a new version, "
                "or drop the function if it was made by hand. Nothing was changed."
            )
        return _published(connection, problem_name)


def move_alias(warehouse: DuckDBWarehouse, problem_name: str, version: int) -> Published:
    """Point `scoring.<problem>_champion` to a published version: what a promotion and a rollback do.

    Raises:
        WarehouseError: that version has not been published.
    """
    from ml_models.scoring_sql import alias_statements

    with _transaction(warehouse) as connection:
        there = _published(connection, problem_name)
        if version not in there.versions:
            known = ", ".join(map(str, there.versions)) or "none"
            raise WarehouseError(
                f"Expected version {version} of {problem_name} among the published SQL functions; published are: "
                f"{known}. Publish it first. The alias was not moved."
            )
        for statement in alias_statements(problem_name, version, "duckdb"):
            connection.execute(statement)
        return _published(connection, problem_name)


def withdraw_alias(warehouse: DuckDBWarehouse, problem_name: str) -> Published:
    """Remove the alias: a champion that SQL cannot compute must not leave the one before it to be called."""
    from ml_models.scoring_sql.publishing import CHAMPION, function_name

    with _transaction(warehouse) as connection:
        if _definition(connection, function_name(problem_name, CHAMPION)) is not None:
            connection.execute(f'drop macro "{SCHEMA}"."{function_name(problem_name, CHAMPION)}"')
        return _published(connection, problem_name)


def published(warehouse: DuckDBWarehouse, problem_name: str) -> Published:
    """Return which versions of a problem can be called, and which one the alias calls."""
    with warehouse.connect() as connection:
        return _published(connection, problem_name)


def _transaction(warehouse: DuckDBWarehouse) -> Any:
    return warehouse._transaction()


def _published(connection: Any, problem_name: str) -> Published:
    from ml_models.scoring_sql.publishing import CHAMPION, aliased_version, function_name

    names = connection.execute(
        "select function_name from duckdb_functions() where schema_name = ? and function_type = 'macro'", [SCHEMA]
    ).fetchall()
    found = [re.fullmatch(rf"{re.escape(problem_name)}_v([0-9]+)", name) for (name,) in names]
    definition = _definition(connection, function_name(problem_name, CHAMPION))
    champion = None if definition is None else aliased_version(problem_name, definition)
    return Published(tuple(sorted(int(one.group(1)) for one in found if one)), champion)


def _definition(connection: Any, name: str) -> str | None:
    row = connection.execute(
        "select macro_definition from duckdb_functions() "
        "where schema_name = ? and function_name = ? and function_type = 'macro'",
        [SCHEMA, name],
    ).fetchone()
    return None if row is None else row[0]
