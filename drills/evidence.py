"""What data of a size can show: why a fault that arrives was not noticed, told by the rows that are missing for it.

A shop of fifty orders a week shows amounts in cents, and not that two of its customers became one. A drill that fails
there says which evidence is missing and how many rows it would need; a drill that fails without a reason is a defect.
"""

import math
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ml_models.monitoring.data_quality.thresholds import (
    BLOCK_WEEKS,
    DEVIATIONS,
    FEW_ROWS,
    MINIMUM_ROWS,
    MINIMUM_WINDOWS,
    RECENT,
    VOLUME_FACTOR,
    WEEK,
)

if TYPE_CHECKING:
    from drills.faults import Fault
    from drills.recording import Recording
    from ml_models.monitoring.data_quality.monitored_tables import MonitoredTable
    from ml_models.monitoring.types import Perturbation

OF_MANY = frozenset({"merge", "shuffle", "swap", "map_values", "collapse", "shift_time", "replay_days"})
"""Operations that show in categories, hours, repeated content and pairs of identifiers, which few rows do not tell."""

OF_SHARES = frozenset({"null", "negate", "duplicate"})
"""Operations that show as a share of the rows."""

CHANCE_ROWS = 5
"""Rows of a week that may be odd by chance where none ever was."""


def measured_weeks(recording: "Recording") -> dict[str, dict[date, float]]:
    """Return the rows of the measured weeks, by table that rows arrive in and by the week's first day, ascending."""
    found = recording.measures[recording.measures["measure"] == "rows"].sort_values("period_start")
    timed = {table.asset for table in recording.tables if table.time_sql and not table.of}
    return {
        str(asset): {
            stamp.date(): float(value) for stamp, value in zip(rows["period_start"], rows["value"], strict=True)
        }
        for asset, rows in found.groupby("asset", observed=True)
        if asset in timed
    }


def healthy_weeks(recording: "Recording", weeks: Iterable[date], asset: str, day: date) -> list[date]:
    """Return those of a table's measured `weeks` before a Monday that had no anomaly, in their order."""
    bad = (recording.bad_weeks or {}).get(asset, {})
    return [week for week in weeks if week < day and week not in bad]


def missing(fault: "Fault", recording: "Recording", start: date) -> str:
    """Return which evidence these data lack for a fault of what arrives, as sentences; "": they should show it."""
    tables = {table.asset: table for table in recording.tables if table.time_sql}
    found: list[str] = []
    for one in fault.on(start):
        if fault.kind != "quality" or one.table not in tables:
            return ""
        reason = next(_reasons(one, tables[one.table], recording, start), "")
        if not reason:
            # One visible part is enough for the fault to be seen.
            return ""
        found.append(reason)
    return " ".join(dict.fromkeys(found))


def _reasons(one: "Perturbation", table: "MonitoredTable", recording: "Recording", start: date) -> Iterator[str]:
    asset = table.asset
    rows = measured_weeks(recording).get(asset, {})
    healthy = healthy_weeks(recording, rows, asset, start)
    if len(healthy) < MINIMUM_WINDOWS:
        yield f"{asset} has {len(healthy)} healthy weeks before {start}, and {MINIMUM_WINDOWS} are needed."
        return
    recent = sorted(rows[week] for week in healthy[-RECENT:])
    usual = recent[len(recent) // 2]
    size = f"{asset} has some {usual:,.0f} rows a week"
    if usual < FEW_ROWS:
        yield f"{size}; below {FEW_ROWS} only its columns and its newest day are judged."
    if one.operation in OF_MANY and usual < MINIMUM_ROWS:
        yield (
            f"{size}; from {MINIMUM_ROWS} on categories, hours, repeated orders and pairs of identifiers are judged, "
            "in which this shows."
        )
    if one.operation in OF_SHARES and one.rate * usual < CHANCE_ROWS:
        yield (
            f"{size}, of which this hits {one.rate * usual:.1f}; fewer than {CHANCE_ROWS} may be chance, so "
            f"{math.ceil(CHANCE_ROWS / one.rate):,} rows a week are needed."
        )
    yield from _identities(one, table, healthy)
    yield from _without_structure(one, table, usual, len(healthy))
    if one.operation == "drop" and not one.per and usual < MINIMUM_ROWS:
        # Square roots of counts scatter by a half, whatever the count.
        edge = min(max(math.sqrt(usual) - DEVIATIONS / 2, 0) ** 2, usual / VOLUME_FACTOR)
        if usual * (1 - one.rate) > edge:
            yield f"{size}; down to {edge:,.0f} of them customers and chance do by themselves."


def _without_structure(one: "Perturbation", table: "MonitoredTable", usual: float, healthy: int) -> Iterator[str]:
    """Yield why rows that are lost here and there, or second identifiers beside the first, do not show."""
    second = one.operation == "rekey" and one.per == table.group != ""
    lost = one.operation == "drop" and one.per in ("", table.group)
    weeks = MINIMUM_WINDOWS + RECENT
    if not (second or lost):
        return
    if usual < MINIMUM_ROWS and (second or one.per):
        yield (
            f"{table.asset} has some {usual:,.0f} rows a week; from {MINIMUM_ROWS} on a loss without structure and "
            "second identifiers show."
        )
    if healthy < weeks and (second or one.rate < 1 - 1 / VOLUME_FACTOR):
        yield f"{table.asset} has {healthy} healthy weeks, and {weeks} are needed to know the noise of its rows."


def _identities(one: "Perturbation", table: "MonitoredTable", healthy: list[date]) -> Iterator[str]:
    """Yield why identifiers that changed do not show."""
    if one.operation == "merge" and not set(table.segments) & set(table.ids):
        yield (
            f"{table.asset} names no second identifier beside {one.column}, such as a store: folded customers show in "
            "the pairs of both."
        )
    known = [week for week in healthy if week >= healthy[0] + timedelta(days=WEEK * BLOCK_WEEKS)]
    if one.operation == "rekey" and len(known) < MINIMUM_WINDOWS:
        yield (
            f"{table.asset} has {len(known)} healthy weeks with {BLOCK_WEEKS} weeks before them, in which customers "
            f"can be known, and {MINIMUM_WINDOWS} are needed."
        )
    if one.operation == "replay_days" and isinstance(one.value, dict) and len(table.keys) < 2:
        yield (
            f"{table.asset} holds no orders of several lines, by whose content days that are dated anew are recognised."
        )
