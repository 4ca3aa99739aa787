"""What people are told: failed runs, red checks, stale tables, the week; each once when it begins, once when it ends.

Dagster shows all of it in its web UI but tells nobody; this sensor does. What was told, and what could not be delivered
yet, is its cursor, which Dagster keeps whole or not at all once a tick has ended.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from resources.alerts import SECONDS, Alert, Alerts, Outbox
from sensors import failed_runs, red_checks, stale_tables, week_digest
from sensors.pages import Page
from steps.ownership import team

Look = Callable[[dg.SensorEvaluationContext, Mapping[str, Any], Page], tuple[list[Alert], Any]]

LOOKS: Mapping[str, Look] = {
    "runs": failed_runs.look,
    "checks": red_checks.look,
    "tables": stale_tables.look,
    "week": week_digest.look,
}
"""What is looked at; each takes what it remembered and returns alerts and what to remember."""

OUTBOX = "outbox"

TICK_SECONDS = 40.0
"""After which a tick begins no delivery: Dagster gives it a minute, and tells nobody's cursor of one that took more."""


@dg.sensor(
    name="alerts_sensor",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "One alert when a run fails, a check turns red without stopping its run, or a table becomes stale, none while "
        "it stays so, and one when that is over; and the digest of each judged week. To the file always, and to where "
        "BATON_ALERT_… says; what could not be delivered is tried again."
    ),
)
def alerts_sensor(context: dg.SensorEvaluationContext, alerts: Alerts) -> dg.SkipReason:
    """Tell what is new, and deliver what waits."""
    began = time.monotonic()
    memory: dict[str, Any] = json.loads(context.cursor or "{}")
    found, page = [], alerts.routes().page
    for name, look in LOOKS.items():
        try:
            new, memory[name] = look(context, memory.get(name, {}), page)
        except Exception as error:  # noqa: BLE001 what one of them cannot read must not silence the others
            context.log.error(f"{name} could not be looked at, the next tick looks again: {error!r}")
            continue
        found += new
    outbox = Outbox(memory.get(OUTBOX))
    left = max(0.0, TICK_SECONDS - (time.monotonic() - began))
    alerts.deliver(outbox, found, owner=team("models"), seconds=min(SECONDS, left))
    memory[OUTBOX] = outbox.fields()
    context.update_cursor(json.dumps(memory))
    away = f"; away: {', '.join(outbox.away)}" if outbox.away else ""
    return dg.SkipReason(f"{len(found)} new, {len(outbox.waiting)} alert(s) wait for a destination{away}")
