"""The serving copy for a process that lives: beside the warehouse, or fetched from one elsewhere."""

import sys
import threading
from pathlib import Path

from resources.folders import make_private
from resources.profiles import home
from resources.serving_copy import FILE
from resources.warehouse import DuckDBWarehouse, Source, Warehouse, WarehouseError
from steps.serving import fetch_for_readers

LOOKS_EVERY = 60.0
"""Seconds after which a process of a deployment looks whether something was published; to look costs nothing."""


def kept_fetched(warehouse: Warehouse) -> Path:
    """Return where the copy is; that of a warehouse elsewhere is fetched again and again from now on."""
    file = home() / FILE
    if not isinstance(warehouse, DuckDBWarehouse):
        make_private(home())
        threading.Thread(target=_keep_fetched, args=(warehouse, file), daemon=True).start()
    return file


def _keep_fetched(source: Source, file: Path) -> None:
    """Fetch after each publication; what is wrong is said once."""
    said, pause = "", threading.Event()
    while True:
        try:
            new, wrong = fetch_for_readers(source, file), ""
        except WarehouseError as error:
            new, wrong = False, str(error)
        except Exception as error:  # noqa: BLE001 - readers go on with what they have, whatever it was
            new, wrong = False, f"The published tables could not be fetched: {type(error).__name__}: {error}"
        if new or wrong != said:
            print(wrong or "fetched what was published last", file=sys.stderr if wrong else sys.stdout, flush=True)
        said = wrong
        pause.wait(LOOKS_EVERY)
