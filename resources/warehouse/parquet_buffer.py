"""Rows that do not fit in memory together, on their way into a table: one Parquet file on this machine's disk."""

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from resources.warehouse.duckdb import WarehouseError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Spooled(NamedTuple):
    """A Parquet file, its columns, and how many rows it has."""

    path: Path
    schema: "pa.Schema"
    rows: int


@contextlib.contextmanager
def spooled(frames: "Iterable[pd.DataFrame]", check: "Callable[[pd.DataFrame], None]") -> Iterator[Spooled | None]:
    """Write frames into one file, each when it comes, and yield that; None if no frame came. It is deleted afterwards.

    `check` sees each frame before it is written. Nothing of the warehouse is held open but what `frames` itself reads.

    Raises:
        WarehouseError: a frame's columns are not those of the first, by name and type.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from resources.warehouse.bigquery.types import arrow_of

    with tempfile.TemporaryDirectory(prefix="baton-rows-") as folder:
        path, writer, rows = Path(folder) / "rows.parquet", None, 0
        try:
            for frame in frames:
                check(frame)
                part = arrow_of(frame)
                if writer is None:
                    writer = pq.ParquetWriter(path, part.schema)
                try:
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
        yield None if writer is None else Spooled(path, writer.schema, rows)
