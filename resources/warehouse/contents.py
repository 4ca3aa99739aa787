"""What a raw table holds, as a short text: equal texts, equal rows, in whatever order and whenever they were read."""

import hashlib
from typing import TYPE_CHECKING

from resources.warehouse.contract import quoted

if TYPE_CHECKING:
    import duckdb

DATA_VERSION = "dagster/data_version"
"""The tag of a materialisation that says which version of its data it left, to Dagster's web UI, too."""

LANDINGS_OWN = ("_airbyte_", "_loaded_at")
"""How columns begin that say when and how a row was landed."""


def contents_of(
    connection: "duckdb.DuckDBPyConnection", schema: str, table: str, *, leave_out: tuple[str, ...] = LANDINGS_OWN
) -> str:
    """Return the number of rows, and the sum of their hashes in DuckDB, of a table; "" where there is none.

    Columns that begin as `leave_out` says do not count.

    A sum does not ask for the rows' order, and a row that stands twice counts twice. Another DuckDB may hash
    otherwise, so its version is part of the text; the columns' names and types are too.
    """
    columns = connection.execute(
        "select column_name, data_type from duckdb_columns() where schema_name = ? and table_name = ? "
        "and database_name = current_database() order by column_index",
        [schema, table],
    ).fetchall()
    if not columns:
        return ""
    own = [(name, kind) for name, kind in columns if not name.startswith(leave_out)]
    listed = ", ".join(quoted(name) for name, _ in own) or "1"
    counted = connection.execute(
        f"select count(*), sum(hash({listed})), version() from {quoted(schema)}.{quoted(table)}"
    ).fetchone()
    about = hashlib.sha256(repr((own, counted)).encode()).hexdigest()[:16]
    return f"{counted[0] if counted else 0} rows, {about}"
