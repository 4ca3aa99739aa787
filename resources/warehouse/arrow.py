"""A DataFrame as an Arrow table, with the meaning that the contract gives its columns.

A naive datetime is a date, one with a zone an instant in UTC; NaN and None are null. Here belongs what Parquet files
need on their way into any engine; an engine's own names of types belong to that engine.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from resources.warehouse.contract import WarehouseError, calendar_days, lower_names

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def arrow_of(frame: "pd.DataFrame", known: "Callable[[], Mapping[str, str]]" = dict) -> "pa.Table":
    """Return a frame as an Arrow table of few types; column names in lower case.

    The types are int64, double, string, boolean, date32 and timestamps of microseconds in UTC. All values of a column
    decide its type, not its first ones. A column of objects without any value has no type of its own: it gets the one
    that `known` says, else text. `known` returns the contract's type by column, and is asked only where there is such
    a column: an engine must look for it.

    Raises:
        WarehouseError: a column holds something else, or a time of day without a zone.
    """
    import pyarrow as pa

    frame = lower_names(frame)
    twice = sorted(set(frame.columns[frame.columns.duplicated()]))
    if twice:
        raise WarehouseError(f"Expected every column once, but {', '.join(twice)} is there twice. Nothing was written.")
    days = calendar_days(frame)
    columns = {}
    for name in frame.columns:
        try:
            column = pa.Array.from_pandas(frame[name])
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise WarehouseError(
                f"Expected one kind of value in column {name}, but {str(error).splitlines()[0]} Nothing was written."
            ) from error
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        if pa.types.is_null(column.type):
            # There is no column of no type.
            columns[str(name)] = column.cast(_declared(known().get(str(name), "varchar")))
        else:
            columns[str(name)] = _plain(str(name), column, is_day=str(name) in days)
    return pa.table(columns)


def _declared(kind: str) -> "pa.DataType":
    """Return the type of a column that the contract calls `kind`; of one that it does not know, text."""
    import pyarrow as pa

    return {
        "bigint": pa.int64(),
        "integer": pa.int64(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp with time zone": pa.timestamp("us", tz="UTC"),
    }.get(kind.lower(), pa.string())


def _plain(name: str, column: "pa.Array", *, is_day: bool) -> "pa.Array":
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if is_day:
        return column.cast(pa.timestamp("us"), safe=False).cast(pa.date32())
    if pa.types.is_timestamp(kind):
        # As the engines keep it: BigQuery knows nothing finer than microseconds.
        return column.cast(pa.timestamp("us", tz="UTC"), safe=False)
    if pa.types.is_integer(kind):
        return column.cast(pa.int64())
    if pa.types.is_floating(kind):
        return column.cast(pa.float64())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.cast(pa.string())
    if pa.types.is_boolean(kind) or pa.types.is_date32(kind):
        return column
    raise WarehouseError(
        f"Expected numbers, text, booleans, dates or instants in column {name}, but it holds {kind}. "
        "Nothing was written."
    )
