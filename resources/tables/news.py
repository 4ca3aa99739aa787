"""Whether a table that is there already has something new: what the sensor of arrivals asks."""

from datetime import UTC, datetime
from pathlib import Path

from resources.airbyte.raw import SourceNews
from resources.clock import Clock
from resources.company.model import RawTable
from resources.tables import files
from resources.tables.load import FILES, last_read
from resources.warehouse import Warehouse


def has_new_data(warehouse: Warehouse, clock: Clock, name: str, table: RawTable, folder: Path) -> SourceNews:
    """Tell whether a load of the table would find something new, without reading its source.

    A file has news when it was written after the last load. Any other source, and any at a clock that is set, may have
    some once the clock shows a later day.

    Raises:
        TableError: the file is not there.
        WarehouseError: the warehouse cannot be read.
    """
    now, last = clock.now(), last_read(warehouse, name)
    if last is None:
        return SourceNews(True, f"{name} was never loaded")
    last = last.astimezone(now.tzinfo)
    as_of = f"{last:%Y-%m-%d %H:%M}"
    if table.source.partition(":")[0] in FILES and not clock.stands:
        written = datetime.fromtimestamp(files.changed_at(name, table, folder), UTC).astimezone(now.tzinfo)
        if written > last:
            at = f"{written:%Y-%m-%d %H:%M:%S}"
            return SourceNews(True, f"{name} was written at {at}, and last read as of {as_of}", written.isoformat())
        return SourceNews(False, f"{name} was not written since it was read as of {as_of}")
    if last.date() < now.date():
        return SourceNews(True, f"{name} was last read as of {as_of}, it is now {now:%Y-%m-%d %H:%M}")
    return SourceNews(False, f"{name} was read as of {as_of} already, it is now {now:%Y-%m-%d %H:%M}")
