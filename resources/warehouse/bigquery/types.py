"""BigQuery's types for columns and parameters, and what a column that was read becomes in a DataFrame.

The meaning is DuckDB's: NaN and None are NULL, and an integer or boolean column with nulls comes back as pandas'
nullable type. How a DataFrame becomes Arrow is any engine's matter, and stands in `resources.warehouse.arrow`.
"""

import io
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from resources.warehouse.contract import WarehouseError, plain_value

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

CONTRACT_NAMES = {
    **{theirs: ours for ours, theirs in TYPES.items()},
    "INT64": "bigint",
}
"""What the contract calls BigQuery's types."""

OLD_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
"""BigQuery's interface still answers with these."""


def current_type(field_type: str) -> str:
    """Return the name that SQL has for a type that BigQuery's interface answered with."""
    return OLD_NAMES.get(field_type, field_type)


def bigquery_type(contract_type: str) -> str:
    """Return GoogleSQL's name of a type of the contract.

    Raises:
        WarehouseError: the contract has no such type.
    """
    try:
        return TYPES[contract_type.lower()]
    except KeyError:
        raise WarehouseError(f"Expected a type out of {', '.join(TYPES)}; got {contract_type!r}.") from None


def schema_of(schema: "pa.Schema") -> dict[str, str]:
    """Return GoogleSQL's type of each column of a table that `arrow.arrow_of` made."""
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
    value = plain_value(value)
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
