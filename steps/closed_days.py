"""Days on which nobody could buy: what the company's file says, and what people said afterwards."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, get_args

from resources.company import company
from resources.company.model import Weekday
from resources.warehouse.contract import Warehouse
from steps.as_of import HISTORY_CUTOFFS, ledger
from steps.errors import StepRefusedError
from steps.migrations import ensure
from steps.tables import CLOSED_DAYS, DECISIONS, store, typed

if TYPE_CHECKING:
    import pandas as pd

WEEKDAYS = get_args(Weekday)


class Released(NamedTuple):
    """What saying so came to: the sentence for people, and how many decisions it touched."""

    sentence: str
    decisions: int


def closed_days(warehouse: Warehouse, until: date) -> frozenset[date]:
    """Return the closed days before `until`, as far back as a judgement looks."""
    time = company().time
    first = until - timedelta(days=7 * (HISTORY_CUTOFFS + 1))
    weekdays = {WEEKDAYS.index(name) for name in time.closed_weekdays}
    every = (first + timedelta(days=number) for number in range((until - first).days))
    weekly = {day for day in every if day.weekday() in weekdays}
    return frozenset(weekly) | frozenset(time.closed_days) | frozenset(_said(warehouse)["day"].dt.date)


def say_closed(warehouse: Warehouse, days: Sequence[date], by: str, at: datetime, reason: str = "") -> Released:
    """Record that `days` were closed, and release what they were held for in the ledger.

    Raises:
        StepRefusedError: nobody says so, no day is given, or one is not over yet.
    """
    import pandas as pd

    if not by.strip():
        raise StepRefusedError("Expected BY to say who knows that it was closed, such as BY=ana. Nothing was changed.")
    _check(days, at)
    said = _said(warehouse)
    said = said[~said["day"].dt.date.isin(days)]
    new = pd.DataFrame({"day": [pd.Timestamp(day) for day in days], "said_by": by, "said_at": at, "reason": reason})
    rows = typed(pd.concat([part for part in (said, new) if len(part)], ignore_index=True), CLOSED_DAYS)
    store(warehouse, CLOSED_DAYS, rows.sort_values("day", ignore_index=True))
    touched = _release(warehouse)
    named = ", ".join(map(str, days))
    if not touched:
        return Released(f"{named}: closed, says {by}. No decision was held up by it.", 0)
    weeks = ", ".join(map(str, touched))
    return Released(
        f"{named}: closed, says {by}. Released from quarantine: what was missing on it, in the decisions of {weeks}. "
        "These days may be learned from again; `make run` goes on with them.",
        len(touched),
    )


def take_back(warehouse: Warehouse, days: Sequence[date]) -> Released:
    """Forget that `days` were called closed, and hold again what they had released.

    Raises:
        StepRefusedError: nobody had called one of them closed.
    """
    said = _said(warehouse)
    unknown = sorted(set(days) - set(said["day"].dt.date))
    if unknown:
        raise StepRefusedError(
            f"Expected a day that somebody called closed; nobody said so of {', '.join(map(str, unknown))}. Nothing "
            "was changed."
        )
    store(warehouse, CLOSED_DAYS, said[~said["day"].dt.date.isin(days)])
    touched = _release(warehouse)
    return Released(f"{', '.join(map(str, days))}: taken back. {len(touched)} decision(s) hold it again.", len(touched))


def _check(days: Sequence[date], at: datetime) -> None:
    if not days:
        raise StepRefusedError("Expected at least one day, such as 2011-08-29. Nothing was changed.")
    late = max(days)
    if late > at.date():
        raise StepRefusedError(
            f"Expected days that are over; {late} is in the future. A day that is known before belongs into "
            "time.closed_days of company.toml. Nothing was changed."
        )


def _said(warehouse: Warehouse) -> "pd.DataFrame":
    ensure(warehouse, CLOSED_DAYS)
    return typed(warehouse.read("select * from monitoring.closed_days order by day"), CLOSED_DAYS)


def _release(warehouse: Warehouse) -> list[date]:
    """Bring the ledger to what is said now; return the cutoffs of the decisions that changed."""
    from ml_models.monitoring.decision.ledger import release

    said = {
        row["day"].date(): f"{row['said_by']} on {row['said_at']:%Y-%m-%d}"
        + (f": {row['reason']}" if row["reason"] else "")
        for row in _said(warehouse).to_dict("records")
    }
    before = ledger(warehouse)
    after = release(before, said)
    was = before["released"] if "released" in before else before["anomalies"].map(lambda _: None)
    changed = after[was.fillna("").to_numpy() != after["released"].fillna("").to_numpy()]
    if len(changed):
        store(warehouse, DECISIONS, after)
    return [stamp.date() for stamp in changed["cutoff"]]
