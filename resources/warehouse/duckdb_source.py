"""A DuckDB warehouse as the source of a local copy, for when there are more customers than are judged."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from resources.warehouse.contract import LocalWarehouse, SourceTable, arrival_of, plain_value, quoted

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

BATCH_ROWS = 100_000


class DuckDBSource:
    """What a local copy asks of its source, answered by a DuckDB file; instants are read as UTC.

    What tables there are, and in what state, is looked up once: make a new one for each refresh.
    """

    def __init__(self, warehouse: LocalWarehouse) -> None:
        self.warehouse = warehouse

    def tables(self, schema: str) -> list[str]:
        """Return the names of a schema's tables and views."""
        return [name for there, name in self._columns if there == schema]

    def describe(self, schema: str, table: str) -> SourceTable | None:
        """Return a table's description; None if it is not there.

        DuckDB keeps no instant of the last change. Of raw tables the number of rows and the newest extraction tell that
        rows came or went; models are made of them, and change when one of them did.
        """
        columns = self._columns.get((schema, table))
        if columns is None:
            return None
        changed = self._raw_states[table] if schema == "raw" else " ".join(self._raw_states.values())
        return SourceTable(columns, {name: quoted(name) for name in columns}, changed, "")

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> "pd.DataFrame":
        """Return the rows of a query."""
        with self.warehouse.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(sql, [plain_value(one) for one in parameters]).fetchdf()

    def arrow_batches(self, sql: str, parameters: Sequence[Any] = ()) -> "Iterator[pa.RecordBatch]":
        """Yield the rows of a query as they come; in any order, so that all cores read."""
        with self.warehouse.connect() as connection:
            connection.execute("set timezone = 'UTC'; set preserve_insertion_order = false")
            given = [plain_value(one) for one in parameters]
            yield from connection.sql(sql, params=given or None).to_arrow_reader(BATCH_ROWS)

    def sampled(self, column: str, share: float) -> str:
        """Return the condition that a share of a column's values meet."""
        return self.warehouse.sampled(column, share)

    def digest_of(self, values: Sequence[str]) -> str:
        """Return the SQL of the sum of a hash of each row, which is another one when a value is."""
        return f"cast(sum(hash({', '.join(values)})) as varchar)"

    @cached_property
    def _columns(self) -> dict[tuple[str, str], dict[str, str]]:
        found = self.read(
            "select table_schema, table_name, column_name, data_type from information_schema.columns "
            "order by table_schema, table_name, ordinal_position"
        )
        columns: dict[tuple[str, str], dict[str, str]] = {}
        for schema, table, column, kind in found.itertuples(index=False):
            columns.setdefault((schema, table), {})[column] = kind
        return columns

    @cached_property
    def _raw_states(self) -> dict[str, str]:
        """Return a text for each raw table that is another one when rows came or went."""
        names = self.tables("raw")
        arrivals = {name: arrival_of(self._columns["raw", name]) for name in names}
        newest = {name: f"max({column})" if column else "null" for name, column in arrivals.items()}
        counted = " union all ".join(
            f"select '{name}' as name, count(*) as n, {newest[name]} as newest from raw.{quoted(name)}"
            for name in names
        )
        if not counted:
            return {}
        return {str(row[0]): " ".join(map(str, row)) for row in self.read(counted).itertuples(index=False)}
