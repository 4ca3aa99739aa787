"""dagster-dbt without dbt: the graph is made of a manifest, which is JSON, and dbt is loaded where it builds.

dagster-dbt (1.13) works where dbt-core is not installed, with enumerations of its own; only where it finds dbt-core
does it load it, which takes as long as all of Dagster. So it does not find it while it is imported first, here.
"""

import importlib
import sys

HIDDEN = "dbt.version"
"""What it looks for."""


def import_dagster_dbt_lean() -> None:
    """Import dagster-dbt so that it leaves dbt alone; nothing is done where it was imported before."""
    if "dagster_dbt" in sys.modules:
        return
    found = sys.modules.get(HIDDEN)
    # None is how Python is told that there is no such module (reference manual, 5.3.1, the module cache).
    sys.modules[HIDDEN] = None  # type: ignore[assignment]
    try:
        importlib.import_module("dagster_dbt")
    finally:
        del sys.modules[HIDDEN]
        if found is not None:
            sys.modules[HIDDEN] = found
