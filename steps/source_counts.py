"""How many records the source says it sent in a week's syncs, and how many of them arrived, by raw table."""

import json
from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING

from resources.airbyte.plans import SCHEMA, SYNCS_TABLE
from resources.warehouse.contract import Warehouse

if TYPE_CHECKING:
    from ml_models.monitoring.data_quality.source_counts import Counted


def source_counts(warehouse: Warehouse, cutoff: date) -> "dict[str, Counted]":
    """Return what the syncs counted that brought the days of the week before `cutoff`, by asset.

    The sync of a morning brings the day before it. Tables of which no source counts anything are left out, and so is
    everything where Airbyte's server does the syncs.
    """
    from ml_models.monitoring.data_quality.source_counts import Counted

    if not warehouse.exists(SCHEMA, SYNCS_TABLE):
        return {}
    syncs = warehouse.read(
        f"select * from {SCHEMA}.{SYNCS_TABLE} where status = 'succeeded' and cast(as_of as date) > cast(? as date) "
        "and cast(as_of as date) <= cast(? as date)",
        [cutoff - timedelta(days=7), cutoff],
    )
    if "counts" not in syncs.columns:
        # Synced by an earlier release.
        return {}
    said: Counter[str] = Counter()
    came: Counter[str] = Counter()
    number: Counter[str] = Counter()
    for text in syncs["counts"].dropna():
        for table, (sent, arrived) in json.loads(text).items():
            said[table] += sent
            came[table] += arrived
            number[table] += 1
    return {f"{SCHEMA}/{table}": Counted(said[table], came[table], number[table]) for table in said}
