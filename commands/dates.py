"""Dates of the commands: read from their arguments, and by default from what the company's data hold."""

import sys
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from resources.clock import Clock
from resources.company import Company
from resources.warehouse.contract import Warehouse
from steps.errors import StepRefusedError

MONDAY = "2024-01-01"
"""A Monday, for texts."""


def iso_date(text: str, name: str) -> date:
    """Return an argument as a date, or end the command with a sentence."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        sys.exit(f"error: {name} must be an ISO date such as {MONDAY}; it is {text!r}.")


def monday(text: str, name: str) -> date:
    """Return an argument as a Monday, or end the command with a sentence."""
    day = iso_date(text, name)
    if day.weekday() != 0:
        sys.exit(f"error: {name} must be a Monday, as every cutoff is; {day} is a {day:%A}.")
    return day


def first_cutoff(ours: Company, warehouse: Warehouse) -> date:
    """Return the company's first cutoff: as its file says, else as its data have it.

    Raises:
        StepRefusedError: the file names none, and nothing was built yet.
    """
    given = ours.question.first_cutoff
    if given:
        return given
    if warehouse.exists("features", "cutoffs"):
        found = warehouse.read("select min(cutoff_date) as first from features.cutoffs")["first"].iloc[0]
        if found == found:
            first: date = found.date()
            return first
    raise StepRefusedError(
        "Expected cutoffs, to know from when on there can be a model, and nothing was built yet. Run `make run` first, "
        f"or give the Monday to begin with: FROM={MONDAY}."
    )


def first_replayed(ours: Company, warehouse: Warehouse) -> date:
    """Return the first cutoff at which a model can be fitted and judged.

    Raises:
        StepRefusedError: nothing tells the first cutoff.
    """
    from ml_models.cutoffs import first_judgeable

    return first_judgeable(first_cutoff(ours, warehouse), ours.question.horizon_days)


def last_replayed(ours: Company, warehouse: Warehouse, clock: Clock) -> date:
    """Return the last cutoff: the newest that was built, else the Monday at which the clock stands, or before it."""
    if warehouse.exists("features", "cutoffs"):
        found = warehouse.read("select max(cutoff_date) as last from features.cutoffs")["last"].iloc[0]
        if found == found:
            last: date = found.date()
            return last
    day = clock.now().astimezone(ZoneInfo(ours.time.zone)).date()
    return day - timedelta(days=day.weekday())
