"""The warehouse contract: what assets, steps and commands may ask of a warehouse, and what they get.

Here belongs what holds for every engine: the methods, their errors, and the small functions with which engines keep the
contract alike. What one engine does in its own way belongs in its module: `duckdb`, `bigquery`.

Writes are atomic, column names are lower-case, and an empty frame is a table with columns and no rows. pandas has no
calendar date, so the contract gives its two kinds of time a meaning. A naive datetime column is a DATE (cutoffs, days).
One with a zone is an instant, TIMESTAMP WITH TIME ZONE. A time of day without a zone is refused.

An engine more needs a class that implements `Warehouse` and a fixture in `tests/contracts/warehouse`. The whole graph
also needs a `Source` for the local copy, a SQL dialect for published scores, a dbt output with its macros, the types
that Airbyte lands, and a profile: docs/decisions/0013 lists the files.
"""

import abc
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import dagster as dg

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

    from ml_models.scoring_sql.compiler import DialectName

POPULATION = ("features", "customer_features")
"""Who is predicted; its newest cutoff tells how many customers there are."""

JUDGED_CUSTOMERS = 20_000
"""Above it the weekly judgement measures, compares and replays a share of the customers: its cost stays the same."""

EXTRACTED = "_airbyte_extracted_at"
"""The instant at which Airbyte read a row of a raw table."""

LOADED = "_loaded_at"
"""The instant at which a row of a table that was there already was first seen in this form."""


class WarehouseError(RuntimeError):
    """Something about the warehouse that a person has to put right; the message says what and how."""


class WarehouseBusyError(WarehouseError):
    """Another process holds the warehouse file."""


class Shape(NamedTuple):
    """Columns of a table or view (name: type, as the engine names it) and its rows; None where counting would cost."""

    columns: dict[str, str]
    rows: int | None


class SourceTable(NamedTuple):
    """A table that a local copy is made of, as its warehouse describes it.

    `columns` is DuckDB's type of each column, `reads` the source's SQL for its value. `changed` is another text
    whenever rows may be others; "" where the source cannot tell. `made` is another text when the table was made anew.
    `modified` is when it last changed, by the source's clock; None where the source cannot tell.
    """

    columns: Mapping[str, str]
    reads: Mapping[str, str]
    changed: str
    made: str
    modified: datetime | None = None


class Source(Protocol):
    """The warehouse that a local copy is made of."""

    def tables(self, schema: str) -> list[str]:
        """Return the names of a schema's tables and views; none if it is not there."""

    def describe(self, schema: str, table: str) -> SourceTable | None:
        """Return a table's description, at no charge; None if it is not there."""

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> "pd.DataFrame":
        """Return the rows of a query."""

    def arrow_batches(self, sql: str, parameters: Sequence[Any] = ()) -> "Iterator[pa.RecordBatch]":
        """Yield the rows of a query as they come."""

    def sampled(self, column: str, share: float) -> str:
        """Return the condition that a share of a column's values meet."""

    def digest_of(self, values: Sequence[str]) -> str:
        """Return the SQL of an aggregate over rows, in any order, that is another one when a value is."""


class LocalWarehouse(Protocol):
    """A DuckDB file on this machine: what `Warehouse.local` returns. It is to be read only."""

    path: str

    def connect(self) -> "AbstractContextManager[duckdb.DuckDBPyConnection]":
        """Open the file for one short use."""

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> "pd.DataFrame":
        """Return the rows of a query."""

    def exists(self, schema: str, table: str) -> bool:
        """Tell whether a table or view is there."""

    def row_count(self, schema: str, table: str) -> int:
        """Count the rows of a table."""

    def shapes(self, schemas: Collection[str] | None = None) -> dict[tuple[str, str], Shape]:
        """Return columns and row count of every table and view (of these schemas), by (schema, name)."""

    def sampled(self, column: str, share: float) -> str:
        """Return the condition that a share of a column's values meet."""


class Copier(Protocol):
    """What keeps a local copy of a warehouse; the profile hands one in (`resources.warehouse.local_copy`)."""

    @property
    def most_customers(self) -> int:
        """Return the number of customers at the newest cutoff above which only a share of them is copied."""

    def refreshed(self, source: Source) -> LocalWarehouse:
        """Bring the copy to where the source is, and return it."""


class Warehouse(dg.ConfigurableResource[None]):
    """What assets may ask of a warehouse, whichever engine it is.

    SQL given to it is what DuckDB and GoogleSQL both understand: `schema.table`, `?` for parameters, `cast`, no quoted
    names. Types in `create_table` are bigint, double, varchar, boolean, date and timestamp with time zone. What is
    written in one engine's own SQL asks `dialect` first.

    `local_copy` keeps what `local` returns. The profile hands it in, because it is made with an engine of its own.
    """

    # Dagster takes any object so, and hands it on when it copies the resource for a step; its types know no default.
    local_copy: dg.ResourceDependency["Copier | None"] = None  # type: ignore[assignment]

    @property
    @abc.abstractmethod
    def dialect(self) -> "DialectName":
        """Return the SQL dialect of this engine, as `ml_models.scoring_sql` names it."""

    @property
    def bills_queries(self) -> bool:
        """Tell whether each query is charged for: then nothing is tried out that a dry run can tell."""
        return False

    @abc.abstractmethod
    def read(self, sql: str, parameters: Sequence[Any] = ()) -> "pd.DataFrame":
        """Return the rows of `sql` as a DataFrame with lower-case column names; changes nothing."""

    @abc.abstractmethod
    def batches(self, sql: str, parameters: Sequence[Any] = ()) -> "Generator[pd.DataFrame, None, None]":
        """Yield the rows of `sql` in frames as `read` returns them, as they are asked for: memory stays flat.

        Close it, or take all: until then the connection is held. How many rows a frame has is the engine's.
        """

    @abc.abstractmethod
    def exists(self, schema: str, table: str) -> bool:
        """Tell whether a table or view is there (a warehouse that is not there has no tables)."""

    def present(self, names: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return those of these tables and views, by (schema, name), that are there."""
        return {name for name in names if self.exists(*name)}

    @abc.abstractmethod
    def row_count(self, schema: str, table: str) -> int:
        """Count the rows of a table."""

    @abc.abstractmethod
    def shapes(self, schemas: Collection[str] | None = None) -> dict[tuple[str, str], Shape]:
        """Return columns and row count of every table and view (of these schemas), by (schema, name)."""

    @abc.abstractmethod
    def local(self) -> LocalWarehouse:
        """Return what the weekly judgement measures and replays as a DuckDB file on this machine, up to date.

        It is to be read only: results are written to the warehouse itself.

        Raises:
            WarehouseError: there is no such file and nobody to make one, or the warehouse cannot be read.
        """

    @abc.abstractmethod
    def create_table(self, schema: str, table: str, columns: Mapping[str, str]) -> None:
        """Create an empty table with these columns (name: SQL type) unless it is there."""

    @abc.abstractmethod
    def drop_table(self, schema: str, table: str) -> None:
        """Remove a table; nothing happens where it is not there."""

    @abc.abstractmethod
    def replace_table(self, schema: str, table: str, frame: "pd.DataFrame") -> int:
        """Replace the whole table by `frame` (empty allowed), atomically; return its row count."""

    @abc.abstractmethod
    def replace_partitions(
        self, schema: str, table: str, frame: "pd.DataFrame", *, column: str, values: Sequence[Any]
    ) -> int:
        """Replace the rows whose `column` is one of `values` by `frame`, atomically; return the table's rows.

        Columns are matched by name, never by position. A column that the table lacks is added; one that `frame` lacks
        becomes null.

        Raises:
            WarehouseError: `frame` holds a row outside `values`; nothing was written.
        """

    @abc.abstractmethod
    def replace_partitions_by(
        self, schema: str, table: str, frames: "Iterable[pd.DataFrame]", *, column: str, values: Sequence[Any]
    ) -> int:
        """Do as `replace_partitions`, with rows that need not fit in memory together; all or nothing.

        `frames` is taken to its end first and may read this warehouse meanwhile; its rows wait on this machine's disk.
        All have the columns and types of the first.
        """

    @abc.abstractmethod
    def md5_of(self, column: str) -> str:
        """Return the SQL for the MD5 of a column's text, as 32 lower-case hexadecimal digits."""

    def sampled(self, column: str, share: float) -> str:
        """Return a SQL condition that about this share (0 to 1) of a column's values meet: the same ones everywhere.

        A hash below a bound, not the n smallest: who is in does not depend on who else is there, nor on the engine.
        """
        if share >= 1:
            return "true"
        # Hexadecimal digits sort as the numbers do, and what begins with the bound comes after it.
        return f"{self.md5_of(column)} < '{int(share * 16**8):08x}'"

    def costs(self) -> dict[str, int]:
        """Return what the present step was charged for since the last call, as metadata.

        An engine of one's own charges nothing.
        """
        return {}

    def expected_cost(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, int]:  # noqa: ARG002
        """Return what reading the rows of `sql` would be charged for, as metadata, without reading them."""
        return {}


def arrival_of(columns: Mapping[str, str]) -> str:
    """Return the column that says when a row of a raw table arrived; "" where none does."""
    return next((name for name in (EXTRACTED, LOADED) if name in columns), "")


def quoted(name: str) -> str:
    """Quote a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def share_within(there: int, limit: int) -> float:
    """Return the share (1, 1/2, 1/4, ...) of `there` things that is no more than `limit`.

    A power of a half, so that it seldom changes while things become more, and the smaller sample is in the larger.
    """
    share = 1.0
    while there * share > limit:
        share /= 2
    return share


def plain_value(value: Any) -> Any:
    """Return a parameter as Python's own kind of value: NumPy's numbers, texts and times are no kind of any engine."""
    import pandas as pd

    if value is pd.NA or value is pd.NaT:
        return None
    if getattr(getattr(value, "dtype", None), "kind", "") == "M":
        return pd.Timestamp(value)
    return value.item() if hasattr(value, "item") else value


def lower_names(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the frame with lower-case column names: itself where they are, for a copy of all rows costs as a write."""
    names = [str(name) for name in frame.columns]
    return frame if names == [name.lower() for name in names] else frame.rename(columns=str.lower)


def refuse_unexpected_values(frame: "pd.DataFrame", table: str, column: str, values: Sequence[Any]) -> None:
    """Refuse rows whose `column` is none of the `values` that are replaced.

    Raises:
        WarehouseError: there are such rows.
    """
    import pandas as pd

    wanted = {pd.Timestamp(value) if isinstance(value, date) else value for value in map(plain_value, values)}
    unexpected = set(frame[column].unique()) - wanted
    if unexpected:
        raise WarehouseError(
            f"Expected only rows with {column} in {sorted(map(str, wanted))} for {table}, but some have "
            f"{sorted(map(str, unexpected))}. Nothing was written."
        )


def calendar_days(frame: "pd.DataFrame") -> list[str]:
    """Return the columns that hold calendar dates: naive datetimes.

    Raises:
        WarehouseError: one of them holds a time of day.
    """
    # A zone stands after a comma: datetime64[us, UTC].
    days = [str(n) for n, kind in frame.dtypes.items() if str(kind).startswith("datetime64") and "," not in str(kind)]
    for name in days:
        timed = frame[name].dropna()
        timed = timed[timed != timed.dt.normalize()]
        if len(timed):
            raise WarehouseError(
                f"Expected calendar dates or instants with a zone in column {name}, but {len(timed)} row(s) have "
                f"a time of day without a zone, such as {timed.iloc[0]}. Give them a zone, or cut them to the day. "
                "Nothing was written."
            )
    return days
