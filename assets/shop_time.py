"""Where the shops are and which day it is there, as `dbt_project.yml` says: one place for Python, SQL and schedules."""

from datetime import date
from functools import cache
from zoneinfo import ZoneInfo

from resources.clock import Clock
from resources.profiles import ROOT


@cache
def time_zone() -> str:
    """Return the name of the shops' time zone, the variable `time_zone` of the dbt project."""
    import yaml  # type: ignore[import-untyped]

    project = (ROOT / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8")
    return str(yaml.safe_load(project)["vars"]["time_zone"])


def today(clock: Clock) -> date:
    """Return the day that it is where the shops are: a day is whole when it has ended there."""
    return clock.now().astimezone(ZoneInfo(time_zone())).date()
