"""Where the shops are and which day it is there, as the company says: one place for Python, SQL, schedules."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from resources.clock import Clock
from resources.company import company


def time_zone() -> str:
    """Return the name of the shops' time zone."""
    return company().time.zone


def today(clock: Clock) -> date:
    """Return the day that it is where the shops are: a day is whole when it has ended there."""
    return clock.now().astimezone(ZoneInfo(time_zone())).date()


def days_since(cutoff: date, clock: Clock) -> float:
    """Return how many days ago a cutoff began where the shops are: its features end there."""
    began = datetime.combine(cutoff, time(), ZoneInfo(time_zone()))
    return (clock.now() - began).total_seconds() / 86_400
