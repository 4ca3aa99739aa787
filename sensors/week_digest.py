"""The digest of the last weeks is told once for each judged week, with what was decided and its remedy."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from resources.alerts import Alert
from resources.alerts.message import NOTHING_TO_DO
from sensors import pages
from sensors.pages import Page
from steps.ownership import owner_of
from steps.tables import WHY

OLDEST = timedelta(days=7)
"""A judgement that was made before is no news; the next one is."""


def _goes_on(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Tell whether the run that judged still works: its last step writes the report that goes with the digest."""
    run = instance.get_run_by_id(run_id)
    return run is not None and not run.is_finished


def look(context: dg.SensorEvaluationContext, memory: Mapping[str, Any], page: Page) -> tuple[list[Alert], Any]:
    """Return the digest if a week was judged that was not told yet, and the newest week that was."""
    entry = context.instance.get_latest_materialization_event(WHY)
    made = entry.asset_materialization if entry else None
    if entry is None or made is None:
        return [], memory
    said = {name: str(value.value or "") for name, value in made.metadata.items()}
    week = said.get("cutoff", "")
    # A judgement of a former build names no week.
    if not week or week <= memory.get("told", "") or _goes_on(context.instance, entry.run_id):
        return [], memory
    if datetime.fromtimestamp(entry.timestamp, UTC) < datetime.now(UTC) - OLDEST:
        return [], {"told": week}
    alert = Alert(
        id=f"week:{week}",
        state="digest",
        owner=owner_of(WHY),
        title=f"week {week}: {said.get('decision', '')}",
        body=said.get("digest", ""),
        cause=said.get("cause", ""),
        first_bad_asset=said.get("first_bad_asset", ""),
        next_step=said.get("next_command") or NOTHING_TO_DO,
        link=page(pages.of_asset(WHY)),
    )
    return [alert], {"told": week}
