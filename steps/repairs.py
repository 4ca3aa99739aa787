"""What was repaired and computed again stops being bad: the ledger holds it for the earlier cutoffs alone.

A training row is as it was served until somebody computes it again (`make rebuild`). So two things have to be true
before a cutoff is free: its rows were computed again, and what they were computed of is whole. The second is measured:
each bad week on today's rows, and a list that is delivered as a whole as it is today.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from resources.warehouse.contract import LocalWarehouse, Warehouse
from steps.as_of import ledger, newest_cutoff, profile_until
from steps.migrations import ensure
from steps.profiling import MEASURED_ROWS, measured_weeks
from steps.tables import DECISIONS, PROFILE, REBUILDS, store, typed

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable
    from ml_models.monitoring.types import Anomaly

WEEK = timedelta(days=7)

COUNTS_FOR = timedelta(hours=12)
"""How long after a rebuild its judgement may come: what is whole later may have been repaired later."""

BadWeeksAt = Callable[[date], "dict[str, dict[date, tuple[str, ...]]] | None"]
"""Gives the weeks that had anomalies, as they are known at a cutoff."""


def note_rebuild(warehouse: Warehouse, rebuild_from: str, at: datetime) -> None:
    """Write down that feature rows of the cutoffs from an ISO date on were computed again.

    The note takes the place of an earlier one, whose rows may have been broken still.
    """
    import pandas as pd

    store(warehouse, REBUILDS, pd.DataFrame([{"rebuilt_from": pd.Timestamp(rebuild_from), "rebuilt_at": at}]))


def note_repairs(
    warehouse: Warehouse,
    local: LocalWarehouse,
    tables: "Sequence[MonitoredTable]",
    at: datetime,
    bad_weeks: BadWeeksAt,
    closed: frozenset[date],
) -> list[str]:
    """Free, in the ledger, the cutoffs that were computed again of what is whole by now; return a sentence for each.

    A rebuild counts for twelve hours.
    """
    ensure(warehouse, REBUILDS)
    noted = typed(warehouse.read("select * from monitoring.rebuilds"), REBUILDS)
    if noted.empty:
        return []
    [rebuild] = noted.to_dict("records")
    late = at - rebuild["rebuilt_at"] > COUNTS_FOR
    told = [] if late else _freed(warehouse, local, tables, rebuild["rebuilt_from"].date(), bad_weeks, closed)
    store(warehouse, REBUILDS, noted.iloc[:0])
    return told


def _freed(
    warehouse: Warehouse,
    local: LocalWarehouse,
    tables: "Sequence[MonitoredTable]",
    start: date,
    bad_weeks: BadWeeksAt,
    closed: frozenset[date],
) -> list[str]:
    from ml_models.monitoring.decision.ledger import computed_again, repairable

    decisions, newest = ledger(warehouse), newest_cutoff(warehouse)
    by_asset = {table.asset: table for table in tables}
    told = []
    for cutoff, asset in repairable(decisions, start):
        table = by_asset.get(asset)
        if table is None or newest is None:
            continue
        # A list is only known as it stands; of a table with a time the week itself is measured again.
        seen_at = cutoff if table.time_sql else newest
        rows = measured_weeks(local, [table], [seen_at - WEEK], MEASURED_ROWS)
        if _stands(rows, warehouse, table, tables, seen_at, bad_weeks, closed):
            continue
        decisions = computed_again(decisions, cutoff, asset, start)
        store(warehouse, DECISIONS, decisions)
        if table.time_sql:
            _remember(warehouse, rows, asset, cutoff - WEEK)
        told.append(f"{asset} is whole in the week before {cutoff}; cutoffs from {start} on may be learned from")
    return told


def _stands(
    rows: "pd.DataFrame",
    warehouse: Warehouse,
    table: "MonitoredTable",
    tables: "Sequence[MonitoredTable]",
    cutoff: date,
    bad_weeks: BadWeeksAt,
    closed: frozenset[date],
) -> "tuple[Anomaly, ...]":
    """Return what is wrong with a table in the week before a cutoff, by rows of the profile that were measured now."""
    import pandas as pd

    from ml_models.monitoring.data_quality import judge_quality

    profile = profile_until(warehouse, cutoff)
    start = pd.Timestamp(cutoff - WEEK)
    kept = profile[(profile["asset"] != table.asset) | (profile["period_start"] < start)]
    past = bad_weeks(cutoff) or {}
    verdict = judge_quality(pd.concat([kept, rows], ignore_index=True), tables, cutoff, past, closed)
    return tuple(one for one in verdict.anomalies if one.asset == table.asset)


def _remember(warehouse: Warehouse, rows: "pd.DataFrame", asset: str, week: date) -> None:
    """Let the profile hold a repaired week as it is: it is a healthy past of the weeks to come."""
    import pandas as pd

    days = [week + timedelta(days=number) for number in range(7)]
    marks = ", ".join("?" for _ in days)
    others = warehouse.read(
        f"select * from monitoring.profile where period_start in ({marks}) and asset != ?", [*days, asset]
    )
    schema, table = PROFILE.path
    whole = pd.concat([others, rows], ignore_index=True)
    warehouse.replace_partitions(schema, table, whole, column="period_start", values=days)
