"""Columns of tables that Python writes: what the web UI shows of them, and what SQL may rely on."""

from typing import NamedTuple


class Column(NamedTuple):
    """SQL type and meaning of a column."""

    type: str
    about: str


DECIDED = {
    "cutoff": Column("date", "The judged week."),
    "event_id": Column("varchar", "The same while one cause goes on."),
    "action": Column("varchar", "continue, improve, inspect or rollback: exactly one a week."),
    "cause": Column("varchar", "data quality, what did not hold (totals, error, lists), labels or none."),
    "reason": Column("varchar", "Why this action."),
    "first_bad_asset": Column("varchar", "Where a repair starts; empty: nothing is bad."),
    "owner": Column("varchar", "Who holds the baton."),
    "next_command": Column("varchar", "What to run next."),
    "window": Column("varchar", "What a retraining learns from: expanding or recent."),
}
"""What the ledger of every problem beside the first holds of a week; its kind adds what it measured."""

ANSWERED = {
    "model_version": Column("varchar", "Version that served this week."),
    "run_id": Column("varchar", "The run that was launched; null: none."),
    "promoted": Column("varchar", "Whether a retraining ended in a promotion; null: nothing was trained."),
}
"""And what became of it."""
