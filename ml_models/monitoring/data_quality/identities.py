"""Identities: whether those who act, and what they refer to, are those of before."""

import math
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.observation import Observation, Replay
from ml_models.monitoring.data_quality.thresholds import (
    BLOCK_WEEKS,
    BLOCKS,
    DEVIATIONS,
    FEW_ROWS,
    MINIMUM_ROWS,
    OVERLAP_FLOOR,
    WEEK,
)
from ml_models.monitoring.data_quality.window import Window, rows_of_one


def judge_identities(window: Window) -> None:
    """Judge whether those who act, and what they refer to, are those of before."""
    table = window.table
    for column in table.ids:
        if column not in table.segments:
            _judge(window, column, column == table.entity)


@dataclass(frozen=True)
class _Change:
    """How a share differs from what it was against some block of earlier weeks."""

    difference: float
    seen: Observation

    @property
    def fell(self) -> bool:
        return self.difference < -self.seen.threshold

    @property
    def lost(self) -> float:
        """The part of the usual share that is missing."""
        return 1 - self.seen.observed / max(self.seen.expected, 1e-9)


def _judge(window: Window, column: str, entity: bool) -> None:
    n = float(window.history.counts("known_share_1", column)[window.position])
    if n < MINIMUM_ROWS:
        if entity and n >= FEW_ROWS:
            _judge_few(window, column, n)
        return
    known = _smallest_change(window, "known_share", column, n)
    again = _smallest_change(window, "steady_again" if entity else "again_weight", column, n)
    if known is None or again is None:
        return
    window.note("ids", column, "known", known.seen, known.fell)
    window.note("ids", column, "seen again", again.seen, again.fell)
    if known.fell and again.fell:
        sentence = messages.new_identifiers(window.table.asset, column, known.seen, window.span("ids", column))
        window.anomaly("ids", column, sentence, known.seen, rate=min(known.lost, 1.0), replay=Replay("rekey"))
    elif entity and not _mixed_up(window, column, known, again) and again.fell:
        _vanished(window, column, again)


def _judge_few(window: Window, column: str, n: float) -> None:
    """Judge whether few rows come from customers who are known: as a share of the rows, and as a number.

    New identifiers make both fall. More new customers than usual leave the number as it was, and a quiet week leaves
    the share. In a small shop few come again within four weeks, so all blocks together are asked first.
    """
    history, position = window.history, window.position
    for measure, reach in (("known_share_any", BLOCKS * BLOCK_WEEKS), ("known_share_1", BLOCK_WEEKS)):
        shares, rows = history.one(measure, column)[:, None], history.counts(measure, column)[:, None]
        early = [week - timedelta(days=WEEK * reach) < history.weeks[0] for week in history.weeks]
        shares = np.where(np.array(early)[:, None], np.nan, shares)
        difference, centre, limit = window.compare(shares, OVERLAP_FLOOR, kind="ids", columns=[column])
        fewer, _, number_limit = window.compare(np.sqrt(shares * rows), 0.0, kind="ids", columns=[column])
        if np.isnan(difference[0]) or np.isnan(limit[0]):
            continue
        together = rows_of_one(window)
        usual = min(max(float(centre[0]), 1 / n), 1 - 1 / n)
        chance = DEVIATIONS * math.sqrt(together * usual * (1 - usual) / n)
        still = window.goes_on("ids", column)
        least = max(float(number_limit[0]), still * DEVIATIONS * math.sqrt(together) / 2)
        bound = max(float(limit[0]), still * chance)
        seen = Observation(float(shares[position, 0]), float(centre[0]), bound, n)
        change = _Change(float(difference[0]), seen)
        wrong = change.fell and float(fewer[0]) < -least
        window.note("ids", column, "known of few", seen, wrong)
        if wrong:
            sentence = messages.new_identifiers(window.table.asset, column, seen, window.span("ids", column))
            window.anomaly("ids", column, sentence, seen, rate=min(change.lost, 1.0), replay=Replay("rekey"))
        return


def _mixed_up(window: Window, column: str, known: _Change, again: _Change) -> bool:
    """Add an anomaly when there are many new pairs of known values: identifiers folded together, or dealt to others."""
    table = window.table
    others = [name for name in table.segments if name in table.ids and name != column and not window.affected(name)]
    pairs = [(name, _smallest_change(window, "known_share", f"{column}+{name}", again.seen.n)) for name in others]
    for name, found in pairs:
        if found is None:
            continue
        window.note("ids", f"{column}+{name}", "known", found.seen, found.fell)
        enough = again.fell or found.difference < -3 * OVERLAP_FLOOR
        if found.fell and enough and not (known.fell and not again.fell):
            share = found.seen.observed / found.seen.expected
            rate = min(2 * again.lost, 1.0) if again.fell else min(1 - share, 1.0)
            days = window.span("ids", column)
            sentence = messages.mixed_identifiers(table.asset, column, name, again.fell, found.seen, days)
            replay = Replay("merge" if again.fell else "shuffle")
            window.anomaly("ids", column, sentence, found.seen, rate=rate, replay=replay)
            return True
    return False


def _smallest_change(window: Window, measure: str, column: str, n: float) -> _Change | None:
    """Return the smallest change against each block of earlier weeks that is healthy as a whole; None: none is."""
    history, steps = window.history, range(1, BLOCK_WEEKS + 1)
    found = []
    for block in range(1, BLOCKS + 1):
        weeks = [window.start - timedelta(days=WEEK * (BLOCK_WEEKS * (block - 1) + step)) for step in steps]
        if any(week in window.bad or week < history.weeks[0] for week in weeks):
            continue
        values = history.one(f"{measure}_{block}", column)[:, None].copy()
        # A block that reaches before the data compares with nothing.
        for place, week in enumerate(history.weeks):
            reach = week - timedelta(days=WEEK * BLOCK_WEEKS * block)
            if reach < history.weeks[0] or any(
                week - timedelta(days=WEEK * (BLOCK_WEEKS * (block - 1) + step)) in window.bad for step in steps
            ):
                values[place] = np.nan
        difference, centre, limit = window.compare(values, OVERLAP_FLOOR, kind="ids", columns=[column.split("+")[0]])
        if np.isnan(limit[0]) or np.isnan(difference[0]):
            continue
        seen = Observation(float(values[window.position, 0]), float(centre[0]), float(limit[0]), n)
        found.append(_Change(float(difference[0]), seen))
    return min(found, key=lambda one: abs(one.difference) / one.seen.threshold) if found else None


def _vanished(window: Window, column: str, again: _Change) -> None:
    """Add an anomaly when a part of the steady entities is gone while those present go on as before.

    Customers who shop less make both numbers fall; customers who shop in blocks make those present shop more.
    """
    history, position = window.history, window.position
    gone = again.lost
    per_group = history.one("groups_per_entity", column)[:, None]
    if np.isnan(per_group[position, 0]):
        per_group = history.one("rows_per_entity", column)[:, None]
    rows = history.one("rows")[:, None]
    change, _, _ = window.compare(np.log(np.maximum(per_group, 1e-9)), 0.0)
    fall, _, _ = window.compare(np.log(np.maximum(rows, 0.5)), 0.0)
    same = abs(change[0]) < 0.3 * gone + 0.03
    lost = 1 - math.exp(fall[0])
    wrong = gone > 2 * OVERLAP_FLOOR and same and lost > 0.5 * gone
    window.note("ids", column, "vanished", Observation(gone, 0.0, 2 * OVERLAP_FLOOR, again.seen.n), wrong)
    if wrong:
        sentence = messages.vanished(window.table.asset, column, gone, lost, window.span("ids", column))
        window.anomaly("ids", column, sentence, again.seen, rate=gone, replay=Replay("drop", column="", per=column))
