"""Rows that do not fit in memory together, on their way into a table: one Parquet file on this machine's disk."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from resources.private_folder import scratch_folder
from resources.warehouse.arrow import arrow_of
from resources.warehouse.contract import Warehouse, WarehouseError, lower_names, refuse_unexpected_values

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Buffered(NamedTuple):
    """A Parquet file, its columns, and how many rows it has."""

    path: Path
    schema: "pa.Schema"
    rows: int


@contextlib.contextmanager
def buffered(frames: "Iterable[pd.DataFrame]", check: "Callable[[pd.DataFrame], None]") -> Iterator[Buffered | None]:
    """Write frames into one file, each when it comes, and yield that; None if no frame came. It is deleted afterwards.

    `check` sees each frame before it is written. Nothing of the warehouse is held open but what `frames` itself reads.

    Raises:
        WarehouseError: a frame's columns are not those of the first, by name and type.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with scratch_folder("baton-rows-") as folder:
        path, writer, rows = folder / "rows.parquet", None, 0
        try:
            for frame in frames:
                check(frame)
                part = arrow_of(frame)
                if writer is None:
                    writer = pq.ParquetWriter(path, part.schema)
                try:
                    _refuse_numbers_as_text(part, writer.schema)
                    writer.write_table(part.select(writer.schema.names).cast(writer.schema))
                except (KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                    raise WarehouseError(
                        "Expected every piece of the rows to have the columns and types of the first "
                        f"({', '.join(writer.schema.names)}), but {str(error).splitlines()[0]} Nothing was written."
                    ) from error
                rows += part.num_rows
        finally:
            if writer is not None:
                writer.close()
        yield None if writer is None else Buffered(path, writer.schema, rows)


def _refuse_numbers_as_text(part: "pa.Table", schema: "pa.Schema") -> None:
    """Refuse a piece that would become text because the first one had no value there.

    Raises:
        pa.ArrowInvalid: there is such a column.
    """
    import pyarrow as pa

    texts = {field.name for field in schema if pa.types.is_string(field.type)}
    for field in part.schema:
        if field.name in texts and not pa.types.is_string(field.type):
            raise pa.ArrowInvalid(f"column {field.name} is text in the first piece and {field.type} in another.")


def replace_by_buffer(
    warehouse: Warehouse,
    schema: str,
    table: str,
    frames: "Iterable[pd.DataFrame]",
    column: str,
    values: Sequence[Any],
    put: Callable[[Buffered], int],
) -> int:
    """Do what `Warehouse.replace_partitions_by` promises, and return the table's rows.

    `put` is what the engine does: it replaces the rows by those of a file, and returns the table's rows.

    Raises:
        WarehouseError: a frame holds a row outside `values`, or has other columns than the first; nothing was written.
    """
    name = f"{schema}.{table}"
    pieces = (lower_names(frame) for frame in frames)
    with buffered(pieces, lambda frame: refuse_unexpected_values(frame, name, column, values)) as rows:
        if rows is not None:
            return put(rows)
    if not warehouse.exists(schema, table):
        return 0
    nothing = warehouse.read(f"select * from {name} limit 0")
    return warehouse.replace_partitions(schema, table, nothing, column=column, values=values)
