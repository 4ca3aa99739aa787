"""Where the shops are and which day it is there, as the company says: one place for Python, SQL, schedules."""

from datetime import date
from zoneinfo import ZoneInfo

from resources.clock import Clock
from resources.company import company


def time_zone() -> str:
    """Return the name of the shops' time zone."""
    return company().time.zone


def today(clock: Clock) -> date:
    """Return the day that it is where the shops are: a day is whole when it has ended there."""
    return clock.now().astimezone(ZoneInfo(time_zone())).date()
