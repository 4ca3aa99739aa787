"""What a home lost of its history is said before a run begins to make tables anew: no row goes in silence."""

from pathlib import Path

import dagster as dg

from resources.registry import CHALLENGER, ModelRegistry
from resources.warehouse import Warehouse
from steps.tables import ANOMALIES, CANDIDATE, CHAMPION, DECISIONS, DIAGNOSIS, PREDICTIONS, SHADOW_PREDICTIONS, WHY

HISTORY = (CHAMPION, PREDICTIONS, SHADOW_PREDICTIONS, ANOMALIES, DIAGNOSIS, DECISIONS, WHY)
"""The tables that a run only adds to: what they held of former weeks it cannot make again."""


DATABASES = {
    "history/runs.db": "which runs there were",
    "history/runs/index.db": "what each run made and checked",
    "schedules/schedules.db": "what sensors saw last",
}
"""Dagster's files of the home that it makes anew without a word, and what is in them."""


def lost_runs(home: Path) -> str:
    """Return in a sentence which of Dagster's databases are gone although there were runs; empty: none.

    To be asked before the instance is opened, which makes them anew.
    """
    folder = home / "dagster"
    were = [file for file in (folder / "history" / "runs").glob("*.db") if file.name != "index.db"]
    gone = [
        f"{name} ({what})"
        for name, what in DATABASES.items()
        if were and not ((folder / name).exists() and (folder / name).stat().st_size)
    ]
    if not gone:
        return ""
    return (
        f"note: {', '.join(gone)} of {folder} held the history of {len(were)} run(s) and is gone. This run goes on, "
        "and no table and no model is concerned; the history comes back by `make restore FROM=<folder>` alone."
    )


def lost_models(warehouse: Warehouse, registry: ModelRegistry) -> str:
    """Return in a sentence that the tables name a version and the registry holds none; empty: it is not so.

    Raises:
        RegistryError: the registry cannot be used.
    """
    if not _there(warehouse, CANDIDATE) or registry.by_alias(CHALLENGER) is not None:
        return ""
    newest = warehouse.read("select max(model_version) as newest from training.candidate")["newest"].iloc[0]
    return (
        f"note: training.candidate names versions up to {newest}, and the registry holds none: MLflow's database was "
        f"lost. This run goes on, and trains version {newest + 1}; the former ones come back by `make restore "
        "FROM=<folder>` alone."
    )


def lost_history(opened: dg.DagsterInstance, warehouse: Warehouse) -> str:
    """Return in a sentence which tables held rows when they were last written and hold none now; empty: none."""
    gone = [
        f"{'.'.join(key.path)} ({rows:,} rows)"
        for key in HISTORY
        if (rows := _recorded(opened, key)) and not _there(warehouse, key)
    ]
    if not gone:
        return ""
    return (
        f"note: {', '.join(gone)} held rows at the last run and are gone. This run goes on, and writes them from now "
        "on; what they held of former weeks comes back by `make restore FROM=<folder>` alone."
    )


def _recorded(opened: dg.DagsterInstance, key: dg.AssetKey) -> int:
    event = opened.get_latest_materialization_event(key)
    made = event.asset_materialization if event else None
    rows = made.metadata.get("dagster/row_count") if made else None
    return int(str(rows.value)) if rows is not None else 0


def _there(warehouse: Warehouse, key: dg.AssetKey) -> bool:
    schema, table = key.path
    return warehouse.exists(schema, table) and warehouse.row_count(schema, table) > 0
