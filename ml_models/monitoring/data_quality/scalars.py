"""Measures of the whole table, column by column: nulls, stuck values, ranges, keys, orphans, replays, rows of groups.

Each is one number against one limit, by `thresholds.RULES`; only the sentence and the replay differ.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.arithmetic import (
    Array,
    Mask,
    nanmedian,
    rounded,
    scaled,
    share_floor,
    wrong_side,
)
from ml_models.monitoring.data_quality.monitored_tables import kind_of
from ml_models.monitoring.data_quality.observation import Observation, Replay
from ml_models.monitoring.data_quality.thresholds import (
    FEW_ROWS,
    FEW_RULES,
    MINIMUM_ROWS,
    RECENT,
    SIZES,
    SNAPSHOT_ROWS,
    Rule,
)
from ml_models.monitoring.data_quality.window import Window, typed
from ml_models.monitoring.types import AnomalyKind


@dataclass(frozen=True)
class _Hit:
    """A measure beyond its limit, `excess` times as far as the limit is."""

    measure: str
    seen: Observation
    difference: float

    @property
    def excess(self) -> float:
        return float(abs(self.difference) / max(self.seen.threshold, 1e-12))


def judge_scalars(window: Window, rules: Mapping[str, Rule]) -> None:
    """Judge each column's measures of the whole table; one anomaly a column and kind, the clearest."""
    found: dict[tuple[str, AnomalyKind], list[_Hit]] = {}
    for measure, rule in rules.items():
        for column, hit in _hits(window, measure, rule):
            found.setdefault((column, rule.kind), []).append(hit)
    for (column, kind), hits in found.items():
        sizes = [hit for hit in hits if hit.measure in SIZES]
        if kind == "range" and len(sizes) == len(hits) and not _agree(sizes):
            continue
        clearest_first = sorted(hits, key=lambda hit: (hit.excess, hit.measure), reverse=True)
        _RECORD[kind](window, column, clearest_first)


def _hits(window: Window, measure: str, rule: Rule) -> list[tuple[str, _Hit]]:
    """Judge one measure of all columns; return those that are beyond their limit."""
    history, position = window.history, window.position
    values, counts, labels = history.series(measure, lambda name: "@" not in name, "whole")
    if not labels:
        return []
    columns = [name for name, _ in labels]
    compared, least = _compared(window, measure, rule, values, counts[position], columns)
    difference, _, limit = window.compare(compared, least, kind=rule.kind, columns=columns)
    if measure == "distinct" and window.table.time_sql:
        # Fewer rows hold fewer values.
        fall, _, _ = window.compare(np.log(np.maximum(history.one("rows")[:, None], 0.5)), 0.0)
        difference = difference + max(0.0, -float(np.nan_to_num(fall[0])))
    wrong = wrong_side(difference, limit, rule.side)
    if not window.table.time_sql and rule.scale == "share":
        wrong = wrong & ~_no_row_changed(window, values, counts, difference)
    enough = counts[position] >= _least_rows(window, measure)
    hits = []
    for place, (column, _) in enumerate(labels):
        if not enough[place] or np.isnan(limit[place]):
            continue
        recent = values[window.healthy, place][-RECENT:]
        expected = float(np.nanmedian(recent)) if np.isfinite(recent).any() else float("nan")
        n = counts[position, place]
        seen = Observation(float(values[position, place]), expected, float(limit[place]), n)
        window.note(rule.kind, column, measure, seen, wrong[place])
        if wrong[place]:
            hits.append((column, _Hit(measure, seen, float(difference[place]))))
    return hits


def _no_row_changed(window: Window, values: Array, counts: Array, difference: Array) -> Mask:
    """Whether a list's share moved by rows that came or went, (columns,): it rose, and has no more such rows; or fell.

    A list that grows by products of which each has a size has a smaller share without one, and as many as before. Where
    a share falls, as many such rows may be missing as the list lost.
    """
    such, now = values * counts, window.position
    before = nanmedian(such[window.healthy][-RECENT:])
    lost = np.maximum(nanmedian(counts[window.healthy][-RECENT:]) - counts[now], 0)
    gained = such[now] - before
    # Half a row: shares are kept as fractions.
    unchanged = np.where(difference > 0, gained < 0.5, gained > -lost - 0.5)
    return np.asarray(unchanged & np.isfinite(gained), dtype=np.bool_)


def _compared(
    window: Window, measure: str, rule: Rule, values: Array, count: Array, columns: Sequence[str]
) -> tuple[Array, Array]:
    """Return the values on the scale of their rule, and the least difference that counts of each column."""
    if rule.scale == "share":
        past = values[window.healthy]
        quiet = np.nanmax(np.where(np.isnan(past), 0, past), axis=0) <= 0
        return values, share_floor(rule.floor, nanmedian(past), count, quiet)
    least: Array = np.full(len(columns), rule.floor)
    if measure in ("distinct", "rows_per_group", "rows"):
        with np.errstate(divide="ignore"):
            return np.log(np.maximum(values, 0.5)), least
    if measure in SIZES:
        least = least * np.sqrt(np.maximum(MINIMUM_ROWS / np.maximum(count, 1), 1))
    usual = [_usual_size(window, name) for name in columns]
    return np.column_stack([scaled(values[:, i], usual[i]) for i in range(len(columns))]), least


def _usual_size(window: Window, column: str) -> float:
    mean = window.history.one("mean", column)[window.healthy]
    return float(np.nanmedian(np.abs(mean))) if np.isfinite(mean).any() else 1.0


def _least_rows(window: Window, measure: str) -> int:
    if measure == "rows":
        return 0
    if measure in FEW_RULES and window.table.time_sql:
        return FEW_ROWS
    lists = measure in ("null_share", "null_key_share", "duplicate_share") and not window.table.time_sql
    return SNAPSHOT_ROWS if lists else MINIMUM_ROWS


def _agree(sizes: Sequence[_Hit]) -> bool:
    """Whether two measures of size moved to one side: one quantile alone may sit between two crowds of values."""
    return max(sum(hit.difference > 0 for hit in sizes), sum(hit.difference < 0 for hit in sizes)) >= 2


# --- the anomaly of each kind, from its hits, the clearest first ------------------------------------------------------


def _days(window: Window, kind: AnomalyKind, column: str) -> str:
    if window.table.time_sql:
        return window.span(kind, column)
    return f"as delivered before {window.end + timedelta(days=1)}"


def _record_nulls(window: Window, column: str, hits: Sequence[_Hit]) -> None:
    seen = hits[0].seen
    sentence = messages.nulls(window.table.asset, column, seen, _days(window, "nulls", column))
    replay = Replay("null") if seen.rise > 0 else None
    window.anomaly("nulls", column, sentence, seen, rate=max(seen.rise, 0), replay=replay)


def _record_orphans(window: Window, column: str, hits: Sequence[_Hit]) -> None:
    table, seen = window.table, hits[0].seen
    sentence = messages.orphans(table.asset, column, seen, _days(window, "orphans", column))
    text = kind_of(table.columns[column]) == "text"
    replay = Replay("map_values", "unknown {}") if text else Replay("rekey")
    window.anomaly("orphans", column, sentence, seen, rate=seen.rise, replay=replay)


def _record_stuck(window: Window, column: str, hits: Sequence[_Hit]) -> None:
    table, seen, days = window.table, hits[0].seen, _days(window, "stuck", column)
    if hits[0].measure != "modal_share":
        window.anomaly("stuck", column, messages.fewer_values(table.asset, column, seen, days), seen)
        return
    value = window.history.modal(column, window.position)
    sentence = messages.stuck(table.asset, column, value, seen, days)
    replay = Replay("set", typed(value, table.columns[column]))
    window.anomaly("stuck", column, sentence, seen, rate=seen.rise, replay=replay)


def _record_volume(window: Window, column: str, hits: Sequence[_Hit]) -> None:
    asset, seen, days = window.table.asset, hits[0].seen, _days(window, "volume", column)
    if hits[0].measure == "rows":
        rate = 1 - seen.observed / max(seen.expected, 1)
        sentence = messages.snapshot_rows(asset, seen, days)
        window.anomaly("volume", "", sentence, seen, rate=rate, replay=Replay("drop", column=""))
        return
    sentence, ratio = messages.group_rows(asset, column, seen, days), seen.observed / max(seen.expected, 1e-9)
    if ratio < 1:
        window.anomaly("volume", column, sentence, seen, rate=1 - ratio, replay=Replay("drop", column=""))
    else:
        replay = Replay("duplicate", column="")
        window.anomaly("volume", column, sentence, seen, rate=min(ratio - 1, 1), replay=replay)


def _copies(seen: Observation) -> float:
    """Return the share of rows that came twice, from the share that repeats another one."""
    return min(seen.observed / max(1 - seen.observed, 1e-9), 1)


def _record_keys(window: Window, column: str, hits: Sequence[_Hit]) -> None:
    asset, seen, days = window.table.asset, hits[0].seen, _days(window, "keys", column)
    if hits[0].measure == "null_key_share":
        window.anomaly("keys", column, messages.null_keys(asset, column, seen, days), seen, rate=seen.observed)
    else:
        repeated = messages.repeated_keys if column else messages.repeated_rows
        sentence = repeated(asset, column, seen, days)
        replay = Replay("duplicate", column="")
        window.anomaly("keys", column, sentence, seen, rate=_copies(seen), replay=replay)


def _record_replay(window: Window, column: str, hits: Sequence[_Hit]) -> None:
    asset, group, seen = window.table.asset, window.table.group, hits[0].seen
    days = _days(window, "replay", column)
    if hits[0].measure == "repeated_content_share":
        sentence = messages.repeated_content(asset, group, seen, days)
        window.anomaly("replay", group, sentence, seen, rate=_copies(seen), replay=Replay("duplicate"))
        return
    measured = window.history.one("replayed_lag", group)[window.position]
    lag = round(float(measured)) if np.isfinite(measured) else 0
    sentence = messages.replayed(asset, group, lag, seen, days)
    if lag:
        window.anomaly(
            "replay",
            group,
            sentence,
            seen,
            rate=seen.observed,
            days=(window.start, window.end),
            replay=Replay("replay_days", {"days": lag, "shift": lag}),
        )
    else:
        window.anomaly("replay", group, sentence, seen, rate=_copies(seen), replay=Replay("duplicate"))


def _record_range(window: Window, column: str, hits: Sequence[_Hit]) -> None:
    """Tell a change of all values (a unit) from one of a few (a share of the rows), by which quantiles moved alike."""
    asset, first, days = window.table.asset, hits[0], _days(window, "range", column)
    measures = {hit.measure: hit.seen for hit in hits}
    if "negative_share" in measures:
        found = measures["negative_share"]
        # The limit and the rows are those of the clearest measure.
        seen = Observation(found.observed, found.expected, first.seen.threshold, first.seen.n)
        sentence = messages.share_is(asset, column, "negative", seen, days)
        rate = abs(seen.observed - seen.expected)
        window.anomaly("range", column, sentence, seen, rate=rate, replay=Replay("negate"))
        return
    ratios = {
        name: seen.observed / seen.expected
        for name, seen in measures.items()
        if seen.expected > 0 and seen.observed > 0
    }
    middle = [ratios[name] for name in ("p25", "p50", "p75") if name in ratios]
    seen = first.seen
    if first.measure in ("zero_share", "fraction_share") and not middle:
        zero = first.measure == "zero_share"
        sentence = messages.share_is(asset, column, "zero" if zero else "not whole", seen, days)
        more_zeros = zero and seen.rise > 0
        replay = Replay("set", 0) if more_zeros else None
        window.anomaly("range", column, sentence, seen, rate=abs(seen.rise), replay=replay)
        return
    sentence = messages.sizes(asset, column, measures, days)
    mean, top = ratios.get("mean"), max((ratios.get(name, 1.0) for name in ("p99", "max")), default=1.0)
    if middle:
        replay = Replay("scale", rounded(float(np.median(middle))))
        window.anomaly("range", column, sentence, seen, replay=replay)
    elif mean and top > mean > 1:
        factor = rounded(top)
        rate = (mean - 1) / (factor - 1)
        window.anomaly("range", column, sentence, seen, rate=rate, replay=Replay("scale", factor))
    else:
        window.anomaly("range", column, sentence, seen, replay=Replay("scale", rounded(mean)) if mean else None)


_RECORD: Mapping[AnomalyKind, Callable[[Window, str, Sequence[_Hit]], None]] = {
    "nulls": _record_nulls,
    "orphans": _record_orphans,
    "stuck": _record_stuck,
    "range": _record_range,
    "volume": _record_volume,
    "keys": _record_keys,
    "replay": _record_replay,
}
