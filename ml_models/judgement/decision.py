"""Exactly one decision a week, from the diagnosis, the ledger of past decisions and a table of settings."""

from dataclasses import dataclass
from datetime import date

LEDGER_COLUMNS = {
    "cutoff": "datetime64[us]",
    "event_id": "object",
    "action": "object",
    "cause": "object",
    "explained": "float64",
    "first_bad_asset": "object",
    "owner": "object",
    "failing_check": "object",
    "next_command": "object",
    "reason": "object",
    "window": "object",
    "quarantine_from": "datetime64[us]",
    "quarantine_to": "datetime64[us]",
    "helps": "float64",
    "override_of": "object",
    "model_version": "object",
    "promoted": "object",
    "run_id": "object",
    "grade": "object",
}
"""One row a judged cutoff. `model_version` served that week (as text); `promoted` is True, False or null (nothing was
trained); `override_of` holds what the judgement had asked for before a person changed it, else null; dates at midnight."""


@dataclass(frozen=True)
class ModelInfo:
    """What the judgement must know about a registered model.

    `trained_from` and `trained_through` are the first and last cutoff it learned from (inclusive); `excluded` the
    cutoffs between them that were kept out; `promoted_on` the first cutoff that it scored.
    """

    version: str
    trained_through: date
    promoted_on: date
    trained_from: date | None = None
    excluded: tuple[date, ...] = ()
