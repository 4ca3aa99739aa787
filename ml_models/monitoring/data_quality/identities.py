"""Identities: whether those who act, and what they refer to, are those of before."""

import math
from datetime import timedelta

import numpy as np

from ml_models.monitoring.data_quality.profile_sql import BLOCKS, WEEK
from ml_models.monitoring.data_quality.thresholds import MINIMUM_ROWS, OVERLAP_FLOOR
from ml_models.monitoring.data_quality.window import Window


def judge_entities(window: Window) -> None:
    """Judge whether those who act, and what they refer to, are those of before."""
    table = window.table
    for column in table.ids:
        if column in table.segments:
            continue
        _identity(window, column, column == table.entity)


def _identity(window: Window, column: str, entity: bool) -> None:
    history, table, position = window.history, window.table, window.position
    n = float(history.counts("known_share_1", column)[position])
    if n < MINIMUM_ROWS:
        return
    known = _moved_from_all(window, "known_share", column, OVERLAP_FLOOR)
    again = _moved_from_all(window, "steady_again" if entity else "again_weight", column, OVERLAP_FLOOR)
    if known is None or again is None:
        return
    fewer_known, fewer_again = known[0] < -known[2], again[0] < -again[2]
    window.note("ids", column, "", "known", known[3], known[1], known[2], int(n), fewer_known)
    window.note("ids", column, "", "seen again", again[3], again[1], again[2], int(n), fewer_again)
    since = f"from {window.since('ids', column)} to {window.end}"
    if fewer_known and fewer_again:
        rate = min(1 - known[3] / max(known[1], 1e-9), 1.0)
        sentence = (
            f"{1 - known[3]:.0%} of the rows of {table.asset} {since} have a {column} not seen "
            f"before (usually {1 - known[1]:.0%}), and known ones are gone: identifiers changed."
        )
        window.anomaly("ids", column, sentence, known[3], known[1], known[2], n, rate=rate, operation="rekey")
        return
    if not entity:
        return
    pairs = [name for name in table.segments if name in table.ids and name != column]
    strangers = [
        (name, found)
        for name in pairs
        if not window.spoilt(name)
        and (found := _moved_from_all(window, "known_share", f"{column}+{name}", OVERLAP_FLOOR)) is not None
    ]
    for name, found in strangers:
        strange = found[0] < -found[2]
        window.note("ids", f"{column}+{name}", "", "known", found[3], found[1], found[2], int(n), strange)
        # Many new pairs of known values: identifiers folded together, or dealt to others.
        if strange and (fewer_again or found[0] < -3 * OVERLAP_FLOOR) and not (fewer_known and not fewer_again):
            rate = (
                min(2 * (1 - again[3] / max(again[1], 1e-9)), 1.0) if fewer_again else min(1 - found[3] / found[1], 1.0)
            )
            what = (
                "some are gone, others act where they never did: identifiers were merged"
                if fewer_again
                else "they act where they never did: identifiers were mixed up"
            )
            sentence = (
                f"{1 - found[3]:.0%} of the rows of {table.asset} {since} pair a {column} with a "
                f"{name} it was never seen with (usually {1 - found[1]:.0%}); {what}."
            )
            window.anomaly(
                "ids",
                column,
                sentence,
                found[3],
                found[1],
                found[2],
                n,
                rate=rate,
                operation="merge" if fewer_again else "shuffle",
            )
            return
    if fewer_again:
        _vanished(window, column, again, since, n)


def _moved_from_all(
    window: Window, measure: str, column: str, floor: float
) -> tuple[float, float, float, float] | None:
    """Return the smallest change against each block of earlier weeks that is healthy as a whole; None: none is."""
    history = window.history
    found = []
    for block in range(1, BLOCKS + 1):
        weeks = [window.start - timedelta(days=WEEK * (4 * (block - 1) + step)) for step in (1, 2, 3, 4)]
        if any(week in window.bad or week < history.weeks[0] for week in weeks):
            continue
        values = history.one(f"{measure}_{block}", column)[:, None].copy()
        # A block that reaches before the data compares with nothing.
        for place, week in enumerate(history.weeks):
            reach = week - timedelta(days=WEEK * 4 * block)
            if reach < history.weeks[0] or any(
                week - timedelta(days=WEEK * (4 * (block - 1) + step)) in window.bad for step in (1, 2, 3, 4)
            ):
                values[place] = np.nan
        difference, centre, limit = window.compare(values, floor)
        if np.isnan(limit[0]) or np.isnan(difference[0]):
            continue
        found.append((float(difference[0]), float(centre[0]), float(limit[0]), float(values[window.position, 0])))
    return min(found, key=lambda one: abs(one[0]) / one[2]) if found else None


def _vanished(window: Window, column: str, again: tuple[float, float, float, float], since: str, n: float) -> None:
    """Add an anomaly when a part of the known entities is gone while those present go on as before.

    Customers who shop less make both numbers fall; customers who shop in blocks make those present shop more.
    """
    history, table, position = window.history, window.table, window.position
    gone = 1 - again[3] / max(again[1], 1e-9)
    per_group = history.one("groups_per_entity", column)[:, None]
    if np.isnan(per_group[position, 0]):
        per_group = history.one("rows_per_entity", column)[:, None]
    rows = history.one("rows")[:, None]
    change, _, _ = window.compare(np.log(np.maximum(per_group, 1e-9)), 0.0)
    fall, _, _ = window.compare(np.log(np.maximum(rows, 0.5)), 0.0)
    same = abs(change[0]) < 0.3 * gone + 0.03
    lost = 1 - math.exp(fall[0])
    wrong = gone > 2 * OVERLAP_FLOOR and same and lost > 0.5 * gone
    window.note("ids", column, "", "vanished", gone, 0.0, 2 * OVERLAP_FLOOR, int(n), wrong)
    if wrong:
        sentence = (
            f"{gone:.0%} of those {column}s of {table.asset} that come every week are gone at "
            f"once {since}, with {lost:.0%} of the rows; the others go on as before: a part of the feed is missing."
        )
        window.anomaly(
            "ids", column, sentence, again[3], again[1], again[2], n, rate=gone, operation="drop", per=column, target=""
        )
