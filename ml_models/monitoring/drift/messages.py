"""The sentences of drift's verdicts, for people; the judging modules hand over numbers."""

from collections.abc import Sequence
from datetime import date

import pandas as pd

from ml_models.monitoring.drift.result import ScoreEffect
from ml_models.monitoring.drift.thresholds import MINIMUM_ROWS, REFERENCE_STEPS
from ml_models.monitoring.thresholds import MINIMUM_WINDOWS, WINDOWS


def not_measured(cutoff: date) -> str:
    """Return why a cutoff without statistics has no verdict."""
    return f"No drift statistics for {cutoff}; compute them before judging."


def too_little(n: int, reference_n: int, past_windows: int) -> str:
    """Return why a column cannot be judged, "" when it can: rows, reference's rows, windows of its past."""
    if n < MINIMUM_ROWS:
        return f"insufficient evidence: {n} rows, at least {MINIMUM_ROWS} are needed"
    if reference_n < MINIMUM_ROWS:
        return f"insufficient evidence: {reference_n} reference rows, {max(REFERENCE_STEPS)} earlier cutoffs are needed"
    if past_windows < MINIMUM_WINDOWS:
        return f"insufficient evidence: {past_windows} past windows, at least {MINIMUM_WINDOWS} are needed"
    return ""


def not_judgeable(cutoff: date, note: str) -> str:
    """Return that no column can be judged yet, and the first one's reason."""
    return f"Drift at {cutoff} cannot be judged yet: {note}."


def drifted(cutoff: date, columns: Sequence[str], count: int, first: pd.Series) -> str:
    """Return which of `count` columns alarmed, and the numbers of the first row of the verdict's table."""
    return (
        f"{len(columns)} of {count} columns drifted at {cutoff}: {_listed(columns)}. First: {first['column_name']}"
        f"{' in ' + first['segment'] if first['segment'] else ''}, distance {first['statistic']:.3f} "
        f"(threshold {first['threshold']:.3f}), nulls {first['null_share']:.1%}, violated in "
        f"{first['violated_windows']} of the last {WINDOWS} windows."
    )


def no_drift(cutoff: date, judged: int, count: int, once: int) -> str:
    """Return that no column alarmed: how many of `count` were judged, and how many are odd in this window only."""
    return f"No drift at {cutoff}: {judged} of {count} columns judged, {once} above the threshold in this window only."


def harmless(cutoff: date, columns: Sequence[str], effect: ScoreEffect) -> str:
    """Return that columns moved and the scores did not."""
    return (
        f"{len(columns)} columns moved at {cutoff}, and nothing that the model says did: {_listed(columns)}. "
        f"Undoing it would change the expected log-loss by {effect.loss:.5f} (natural weeks: to {effect.bar:.5f}) and "
        f"the mean score by {-effect.score_change:+.4f}."
    )


def moved_by_new_customers(
    cutoff: date, columns: Sequence[str], new_share: float, filled_after: int, effect: ScoreEffect
) -> str:
    """Return that columns moved because new customers came; `effect` is what remains among the existing ones.

    New is who was not there `filled_after` windows before.
    """
    return (
        f"{len(columns)} columns moved at {cutoff}, by new customers: {new_share:.0%} of the rows were not there "
        f"{filled_after} windows ago. Among those who were, undoing it would change the expected log-loss by "
        f"{effect.loss:.5f} only (natural weeks: to {effect.bar:.5f})."
    )


def _listed(columns: Sequence[str]) -> str:
    return f"{', '.join(columns[:5])}{', …' if len(columns) > 5 else ''}"
