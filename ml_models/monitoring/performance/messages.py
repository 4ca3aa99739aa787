"""The sentences of performance's verdicts, for people; the judging modules hand over numbers."""

from datetime import date

import pandas as pd

from ml_models.monitoring.performance.explained import Explained
from ml_models.monitoring.performance.segments import FOUND, OVERALL
from ml_models.monitoring.performance.thresholds import MINIMUM_EVENTS, MINIMUM_ROWS
from ml_models.monitoring.thresholds import MINIMUM_WINDOWS, WINDOWS

NO_OUTCOMES_AFTER_TRAINING = "insufficient evidence: no window after training has its outcomes yet"

_STATISTICS = {"calibration": "observed minus expected share", "log_loss": "log-loss", "auc": "AUC"}


def too_little(n: int, past_windows: int, enough_events: bool) -> str:
    """Return why a segment's window cannot be judged, "" when it can."""
    if n < MINIMUM_ROWS:
        return f"insufficient evidence: {n} rows, at least {MINIMUM_ROWS} are needed"
    if not enough_events:
        return f"insufficient evidence: fewer than {MINIMUM_EVENTS} outcomes of either kind are expected"
    if past_windows < MINIMUM_WINDOWS:
        return f"insufficient evidence: {past_windows} past windows, at least {MINIMUM_WINDOWS} are needed"
    return ""


def fell(cutoff: date, kind: str, worst: pd.Series, segments: int) -> str:
    """Return where outcomes disagree most (a row of the verdict's table), and in how many segments they do."""
    return (
        f"Performance fell at {cutoff} ({kind}): {_measured(worst)} (usual {worst['past']:+.4f}, "
        f"{abs(worst['deviations']):.1f} standard deviations away, bar {worst['threshold']:.1f}), seen in "
        f"{worst['violated_windows']} of the last {WINDOWS} windows; {segments} segments in all."
    )


def explained(found: Explained) -> str:
    """Return which split explains most of the loss, by how much, and its worst segment."""
    worst = found.worst
    gap = f"observed minus expected {worst['value']:+.3f}, usually {worst['past']:+.3f}"
    share = "" if found.share is None else f", {found.share:.0%} of what the loss rose by"
    gain = f"{found.gain:.4f} of log-loss{share}"
    if found.column == OVERALL:
        return f"The loss rose among all customers alike ({gap}): {gain}."
    place = worst["segment_value"] if found.column == FOUND else f"{found.column}, first with {worst['segment_value']}"
    return f"Most of the loss lies with {place} (n = {worst['n']}, {gap}): the split explains {gain}."


def may_change(cutoff: date, estimate: pd.Series) -> str:
    """Return that the scores alone promise another loss (a row of the verdict's table)."""
    return (
        f"Performance may change at {cutoff} (estimated from the scores only): expected log-loss "
        f"{estimate['value']:.4f}, usually {estimate['past']:.4f}. Outcomes will tell."
    )


def not_judgeable(cutoff: date, note: str) -> str:
    """Return that nothing can be judged yet, and why: `note` is the first segment's, "" when no outcome is there."""
    reason = note or "no outcomes are known yet"
    return f"Performance at {cutoff} cannot be judged yet: {reason.removeprefix('insufficient evidence: ')}."


def holds(cutoff: date, kind: str, newest: date, judged: int, once: int) -> str:
    """Return that no segment alarmed: how many statistics were judged, and how many are odd in this window only."""
    return (
        f"Predictions hold at {cutoff} ({kind}, window {newest}): {judged} statistics of segments judged, {once} "
        "beyond the bar in this window only."
    )


def _measured(row: pd.Series) -> str:
    place = "all customers" if row["segment_column"] == OVERALL else f"{row['segment_column']} {row['segment_value']}"
    if row["segment_column"] == FOUND:
        place = row["segment_value"]
    signed = f"{row['value']:+.4f}" if row["statistic"] == "calibration" else f"{row['value']:.4f}"
    window = f"{row['kind']} window {row['cutoff_date'].date()}, n = {row['n']}"
    return f"{_STATISTICS[row['statistic']]} {signed} in {place} ({window})"
