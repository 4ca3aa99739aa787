"""What the columns of a DataFrame become in BigQuery, and back, with the same meaning as in DuckDB.

A naive datetime is a DATE, one with a zone a TIMESTAMP; NaN and None are NULL; an integer or boolean column with nulls
comes back as pandas' nullable type.
"""

import io
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from resources.warehouse.duckdb import WarehouseError, calendar_days, lower_names

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

TYPES = {
    "bigint": "INT64",
    "integer": "INT64",
    "double": "FLOAT64",
    "varchar": "STRING",
    "boolean": "BOOL",
    "date": "DATE",
    "timestamp with time zone": "TIMESTAMP",
}
"""The contract's type names."""

OLD_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
"""BigQuery's interface still answers with these."""


def bigquery_type(contract_type: str) -> str:
    """Return GoogleSQL's name of a type of the contract.

    Raises:
        WarehouseError: the contract has no such type.
    """
    try:
        return TYPES[contract_type.lower()]
    except KeyError:
        raise WarehouseError(f"Expected a type out of {', '.join(TYPES)}; got {contract_type!r}.") from None


def arrow_of(frame: "pd.DataFrame") -> "pa.Table":
    """Return a frame as an Arrow table whose types BigQuery has; column names in lower case.

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
        columns[str(name)] = _plain(str(name), column, is_day=str(name) in days)
    return pa.table(columns)


def _plain(name: str, column: "pa.Array", *, is_day: bool) -> "pa.Array":
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if is_day:
        return column.cast(pa.timestamp("us"), safe=False).cast(pa.date32())
    if pa.types.is_timestamp(kind):
        # BigQuery keeps microseconds.
        return column.cast(pa.timestamp("us", tz="UTC"), safe=False)
    if pa.types.is_null(kind):
        # A text column without a value; there is no column of no type.
        return column.cast(pa.string())
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


def schema_of(schema: "pa.Schema") -> dict[str, str]:
    """Return GoogleSQL's type of each column of a table that `arrow_of` made."""
    import pyarrow as pa

    kinds = {
        pa.int64(): "INT64",
        pa.float64(): "FLOAT64",
        pa.string(): "STRING",
        pa.bool_(): "BOOL",
        pa.date32(): "DATE",
        pa.timestamp("us", tz="UTC"): "TIMESTAMP",
    }
    return {field.name: kinds[field.type] for field in schema}


def parquet_of(table: "pa.Table") -> io.BytesIO:
    """Return a table as a Parquet file in memory."""
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(table, file)
    file.seek(0)
    return file


def frame_of(table: "pa.Table") -> "pd.DataFrame":
    """Return what was read as a frame with lower-case names and the column types that DuckDB's reader gives.

    Dates are datetime64[us], instants datetime64[us, UTC], integers int64 (Int64 with nulls), booleans bool (boolean
    with nulls), decimals float64.
    """
    import pandas as pd
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if pa.types.is_date(kind):
            column = column.cast(pa.timestamp("us"))
        elif pa.types.is_decimal(kind):
            column = column.cast(pa.float64())
        elif pa.types.is_null(kind):
            column = column.cast(pa.string())
        if pa.types.is_integer(kind) and column.null_count:
            columns[name.lower()] = column.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        elif pa.types.is_boolean(kind) and column.null_count:
            columns[name.lower()] = column.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
        else:
            columns[name.lower()] = column.to_pandas()
    return pd.DataFrame(columns, columns=[name.lower() for name in table.column_names])


def parameters_of(values: Sequence[Any]) -> list[Any]:
    """Return `?` parameters with the types that BigQuery must be told.

    Raises:
        WarehouseError: a value is of no such type.
    """
    from google.cloud.bigquery import ScalarQueryParameter

    return [ScalarQueryParameter(None, *_typed(value)) for value in values]


def array_parameter(values: Sequence[Any]) -> Any:
    """Return one `?` parameter that holds all values, which must be of one type."""
    from google.cloud.bigquery import ArrayQueryParameter

    typed = [_typed(value) for value in values]
    kinds = {kind for kind, _ in typed}
    if len(kinds) > 1:
        raise WarehouseError(f"Expected values of one type, got {', '.join(sorted(kinds))}: {list(values)}.")
    return ArrayQueryParameter(None, kinds.pop() if kinds else "STRING", [value for _, value in typed])


def _typed(value: Any) -> tuple[str, Any]:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool):
        return "BOOL", value
    if isinstance(value, int):
        return "INT64", value
    if isinstance(value, float | Decimal):
        return "FLOAT64", float(value)
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            return "TIMESTAMP", value
        if (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0):
            return "DATE", value.date()
        raise WarehouseError(f"Expected a date or an instant with a zone as a parameter, got {value}. Give it a zone.")
    if isinstance(value, date):
        return "DATE", value
    if isinstance(value, str) or value is None:
        return "STRING", value
    raise WarehouseError(
        f"Expected a number, text, boolean, date or instant as a parameter, got {type(value).__name__}."
    )
