"""A person releases a judged week: what was found in it was no fault, or is none any more."""

from datetime import date, datetime
from typing import TYPE_CHECKING

from resources.warehouse.contract import Warehouse
from steps.as_of import ledger
from steps.errors import StepRefusedError
from steps.tables import DECISIONS, store

if TYPE_CHECKING:
    import pandas as pd

NAMED = 6
"""Weeks that a sentence names."""


def release(warehouse: Warehouse, week: date, by: str, at: datetime, reason: str) -> str:
    """Release a judged week in the ledger, and return what that came to, as a sentence.

    Its anomalies keep no cutoff out of training, accuse no model and are no bad past for the weeks to come.

    Raises:
        StepRefusedError: nobody or no reason is named, or nothing is held in that week.
    """
    from ml_models.monitoring.decision.ledger import read_anomalies, released_weeks

    if not by.strip():
        raise StepRefusedError("Expected BY to say who releases the week, such as BY=ana. Nothing was changed.")
    if not reason.strip():
        raise StepRefusedError(
            'Expected REASON to say why the week is released, such as REASON="stocktaking, the numbers are right": who '
            "reads the ledger later needs to know. Nothing was changed."
        )
    decisions = ledger(warehouse)
    row = _row_of(decisions, week)
    found = read_anomalies(row["anomalies"])
    if not found:
        raise StepRefusedError(
            f"Expected a week in which something was found; nothing was in that of {week}. "
            f"{_weeks_held(decisions)} Nothing was changed."
        )
    before = released_weeks(decisions).get(week)
    said = {"by": by.strip(), "at": f"{at:%Y-%m-%d}", "reason": reason.strip()}
    _write(warehouse, decisions, week, said)
    anew = f" {before['by']} had released it on {before['at']}; now this is what stands." if before else ""
    event = decisions[(decisions["event_id"] == row["event_id"]) & (decisions["cutoff"].dt.date != week)]
    others = _held(event)
    more = f" Of the same event, and not released: {_named(others)}; release each that was right." if others else ""
    what = ", ".join(dict.fromkeys(anomaly.check for anomaly in found))
    return (
        f"{week}: released by {said['by']} ({what}). It keeps nothing out of training and accuses no model."
        f"{anew}{more} `make run` goes on with it."
    )


def hold_again(warehouse: Warehouse, week: date) -> str:
    """Take a release back, and return what that came to, as a sentence.

    Raises:
        StepRefusedError: nobody had released that week.
    """
    from ml_models.monitoring.decision.ledger import released_weeks

    decisions = ledger(warehouse)
    _row_of(decisions, week)
    free = released_weeks(decisions)
    if week not in free:
        known = f"Released are {_named(sorted(free))}." if free else "No week is released."
        raise StepRefusedError(f"Expected a released week; {week} is none. {known} Nothing was changed.")
    _write(warehouse, decisions, week, None)
    return f"{week}: what {free[week]['by']} had released on {free[week]['at']} is held again."


def _row_of(decisions: "pd.DataFrame", week: date) -> "pd.Series":
    rows = decisions[decisions["cutoff"].dt.date == week] if len(decisions) else decisions
    if rows.empty:
        raise StepRefusedError(
            f"Expected WEEK to be the Monday of a judged week; {week} is none. {_weeks_held(decisions)} Nothing was "
            "changed."
        )
    return rows.iloc[-1]


def _weeks_held(decisions: "pd.DataFrame") -> str:
    held = _held(decisions)
    return f"Found and not released: {_named(held)}." if held else "Nothing is to be released in any week."


def _held(decisions: "pd.DataFrame") -> list[date]:
    """Return the weeks of these decisions in which something was found that nobody released."""
    from ml_models.monitoring.decision.ledger import read_anomalies, released_weeks

    free = released_weeks(decisions)
    found = [row["cutoff"].date() for row in decisions.to_dict("records") if read_anomalies(row["anomalies"])]
    return [day for day in found if day not in free]


def _named(weeks: list[date]) -> str:
    newest = [str(day) for day in weeks[-NAMED:]]
    more = len(weeks) - len(newest)
    return ", ".join(newest) + (f" and {more} earlier" if more else "")


def _write(warehouse: Warehouse, decisions: "pd.DataFrame", week: date, said: dict[str, str] | None) -> None:
    from ml_models.monitoring.decision.ledger import release_week

    store(warehouse, DECISIONS, release_week(decisions, week, said))
