"""Where alerts go: always a file, and Slack, a webhook and mail where the environment names them.

`message` is one alert, `settings` says which team hears of it where, `destinations` deliver one, `file` is the one that
is always there, and `outbox` keeps what could not be delivered yet.
"""

import os
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import dagster as dg

from resources.alerts.destinations import Destination
from resources.alerts.file import AlertFile
from resources.alerts.message import Alert
from resources.alerts.outbox import Outbox
from resources.alerts.settings import Routes, routes_of
from resources.company import company
from resources.week_report import WeekReport

__all__ = ["SECONDS", "Alert", "Alerts", "Outbox"]

SECONDS = 15.0
"""After which no delivery is begun; see `Outbox.deliver`."""


class Alerts(dg.ConfigurableResource[None]):
    """Delivers alerts to the file at `path`, and to where BATON_ALERT_… leads a team's alerts.

    `report` is what BATON_ALERT_REPORT's mailboxes get with the digest of a judged week.

    The environment is read when it is used. So no secret is ever part of a configuration, which the web UI shows.
    """

    path: str
    report: WeekReport | None = None

    def routes(self) -> Routes:
        """Return where each team's alerts go beside the file.

        Raises:
            AlertSettingError: the environment says it wrongly.
        """
        return routes_of(os.environ, teams(), self.report)

    def deliver(
        self,
        outbox: Outbox,
        found: Sequence[Alert],
        *,
        owner: str,
        now: datetime | None = None,
        seconds: float = SECONDS,
    ) -> None:
        """Deliver new alerts, and what waits in the outbox; keep there what could not be. No destination raises.

        `owner` is told once, in the file and by the other destinations, when one is away, and when it is back.
        """
        now = now or datetime.now(UTC)
        file, routes = AlertFile(self.path), self.routes()
        places = {file.name: file, **routes.every()}
        outbox.keep_only(places)
        for alert in found:
            readers = routes.of_readers if alert.state == "digest" else ()
            outbox.add(alert, [file, *routes.to(alert.owner), *readers])
        # What is told of a destination stands in the file at once, and goes to others with what comes next.
        for reachable in (places, {file.name: file}):
            for name, note in outbox.deliver(reachable, owner=owner, now=now, seconds=seconds).items():
                outbox.add(note, _others(name, file, routes.to(owner)))
        outbox.trim()


def teams() -> Collection[str]:
    """Return the teams of the company's owners."""
    owners = company().owners
    return {owners.raw, owners.tables, owners.models}


def _others(name: str, file: Destination, places: Sequence[Destination]) -> list[Destination]:
    return [one for one in (file, *places) if one.name != name]
