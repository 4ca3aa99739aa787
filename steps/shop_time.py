"""Where the shops are and which day it is there, as `dbt_project.yml` says: one place for Python, SQL and schedules."""

from datetime import date
from functools import cache
from zoneinfo import ZoneInfo

from resources.clock import Clock
from resources.dbt import variables_of
from resources.profiles import ROOT


@cache
def time_zone() -> str:
    """Return the name of the shops' time zone, the variable `time_zone` of the dbt project."""
    return str(variables_of(ROOT / "dbt_project")["time_zone"])


def today(clock: Clock) -> date:
    """Return the day that it is where the shops are: a day is whole when it has ended there."""
    return clock.now().astimezone(ZoneInfo(time_zone())).date()
